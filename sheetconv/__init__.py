"""Convolutional networks as Excel workbooks of live formulas, checked against NumPy."""

from importlib import import_module
from typing import TYPE_CHECKING

from .version import __version__

if TYPE_CHECKING:
    from .checking import check
    from .drawing import Drawing
    from .errors import SheetconvError
    from .guides import Guides
    from .images import load_image
    from .interchange.onnx_reading import from_onnx
    from .interchange.torch_modules import from_torch
    from .layers.adaptive_avg_pool2d import AdaptiveAvgPool2d
    from .layers.adaptive_max_pool2d import AdaptiveMaxPool2d
    from .layers.avg_pool2d import AvgPool2d
    from .layers.batch_norm2d import BatchNorm2d
    from .layers.conv2d import Conv2d
    from .layers.dropout import Dropout
    from .layers.flatten import Flatten
    from .layers.gelu import GELU
    from .layers.instance_norm2d import InstanceNorm2d
    from .layers.leaky_relu import LeakyReLU
    from .layers.linear import Linear
    from .layers.max_pool2d import MaxPool2d
    from .layers.normalize import Normalize
    from .layers.relu import ReLU
    from .layers.sigmoid import Sigmoid
    from .layers.softmax import Softmax
    from .layers.tanh import Tanh
    from .network import Sequential
    from .pixels import Pixels
    from .reading import read
    from .rendering import render
    from .summary import summarize
    from .template import load_template
    from .tracing import trace
    from .training.datasets import Data, load_data
    from .training.learner import Learner
    from .weights import load_weights
    from .workbook import build

__all__ = [  # noqa: RUF022 - sorted as `dir` sorts
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "Data",
    "Drawing",
    "Dropout",
    "Flatten",
    "GELU",
    "Guides",
    "InstanceNorm2d",
    "LeakyReLU",
    "Learner",
    "Linear",
    "MaxPool2d",
    "Normalize",
    "Pixels",
    "ReLU",
    "Sequential",
    "SheetconvError",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "__version__",
    "build",
    "check",
    "from_onnx",
    "from_torch",
    "load_data",
    "load_image",
    "load_template",
    "load_weights",
    "read",
    "render",
    "summarize",
    "trace",
]

# Loaded when they are first used: the command line and pytest start with this package
# and mostly need little of it.
_MODULES = {
    "Tanh": "layers.tanh",
    "Softmax": "layers.softmax",
    "Sigmoid": "layers.sigmoid",
    "LeakyReLU": "layers.leaky_relu",
    "GELU": "layers.gelu",
    "InstanceNorm2d": "layers.instance_norm2d",
    "Normalize": "layers.normalize",
    "BatchNorm2d": "layers.batch_norm2d",
    "AvgPool2d": "layers.avg_pool2d",
    "AdaptiveMaxPool2d": "layers.adaptive_max_pool2d",
    "AdaptiveAvgPool2d": "layers.adaptive_avg_pool2d",
    "Conv2d": "layers.conv2d",
    "Data": "training.datasets",
    "Learner": "training.learner",
    "load_data": "training.datasets",
    "Drawing": "drawing",
    "Dropout": "layers.dropout",
    "Flatten": "layers.flatten",
    "Guides": "guides",
    "Linear": "layers.linear",
    "MaxPool2d": "layers.max_pool2d",
    "Pixels": "pixels",
    "ReLU": "layers.relu",
    "Sequential": "network",
    "SheetconvError": "errors",
    "build": "workbook",
    "check": "checking",
    "from_onnx": "interchange.onnx_reading",
    "from_torch": "interchange.torch_modules",
    "load_image": "images",
    "load_template": "template",
    "summarize": "summary",
    "trace": "tracing",
    "load_weights": "weights",
    "read": "reading",
    "render": "rendering",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'sheetconv' has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

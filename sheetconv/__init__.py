"""Convolutional networks as Excel workbooks of live formulas, checked against NumPy."""

from importlib import import_module
from typing import TYPE_CHECKING

from .version import __version__

if TYPE_CHECKING:
    from .checking import check
    from .drawing import Drawing
    from .errors import SheetconvError
    from .layers.conv2d import Conv2d
    from .layers.dropout import Dropout
    from .layers.flatten import Flatten
    from .layers.linear import Linear
    from .layers.max_pool2d import MaxPool2d
    from .layers.relu import ReLU
    from .network import Sequential
    from .template import load_template
    from .workbook import build

__all__ = [
    "Conv2d",
    "Drawing",
    "Dropout",
    "Flatten",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "Sequential",
    "SheetconvError",
    "__version__",
    "build",
    "check",
    "load_template",
]

# Loaded when they are first used: the command line and pytest start with this package
# and mostly need little of it.
_MODULES = {
    "Conv2d": "layers.conv2d",
    "Drawing": "drawing",
    "Dropout": "layers.dropout",
    "Flatten": "layers.flatten",
    "Linear": "layers.linear",
    "MaxPool2d": "layers.max_pool2d",
    "ReLU": "layers.relu",
    "Sequential": "network",
    "SheetconvError": "errors",
    "build": "workbook",
    "check": "checking",
    "load_template": "template",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'sheetconv' has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

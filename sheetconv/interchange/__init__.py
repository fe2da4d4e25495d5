"""Networks to and from other programs: ONNX files and PyTorch modules.

What comes in becomes a `Sequential` layer by layer; what cannot be said with
sheetconv's layers is refused by name. The packages `onnx` and `torch` are optional, and
imported when one of these functions is called.
"""

from .onnx_reading import OnnxNetwork, from_onnx, read_onnx
from .onnx_template import template_from_onnx
from .onnx_writing import to_onnx
from .torch_modules import from_torch

__all__ = [
    "OnnxNetwork",
    "from_onnx",
    "from_torch",
    "read_onnx",
    "template_from_onnx",
    "to_onnx",
]

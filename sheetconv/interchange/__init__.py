"""Networks to and from other programs: ONNX files and PyTorch modules.

What comes in becomes a `Sequential` layer by layer; what cannot be said with
sheetconv's layers is refused by name. The packages `onnx` and `torch` are optional, and
imported when a function here needs them.
"""

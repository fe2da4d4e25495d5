"""The rectifier, in place wherever nobody needs what it rectifies."""

from __future__ import annotations

import numpy as np

from ..fields import Numbers
from .operations import Chunk, Kernel, Operation


class RectifierKernel(Kernel):
    """out = max(0, x)."""

    def bind(self, x: Numbers, overwritable: bool, chunk: Chunk) -> Operation:
        return _Rectifier(x, overwritable, self.training)


class _Rectifier(Operation):
    overwritable = True

    def __init__(self, x: Numbers, overwritable: bool, training: bool) -> None:
        self.x, self.out = x, x if overwritable else np.empty_like(x)
        # An array of zeros: with a single zero NumPy's maximum takes five times as long.
        self.zero = np.zeros_like(x)
        self.above = np.empty(x.shape, np.bool_) if training else None

    def forward(self) -> None:
        if self.above is not None:
            np.greater(self.x, self.zero, out=self.above)
        np.maximum(self.x, self.zero, out=self.out)

    def connect(self, grad_out: Numbers, needs_input: bool, needs_params: bool) -> None:
        self.grad_in = grad_out if needs_input else None

    def backward(self) -> None:
        if self.grad_in is not None and self.above is not None:
            np.multiply(self.grad_in, self.above, out=self.grad_in)

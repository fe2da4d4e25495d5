"""The rectifier: negative numbers become zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..formulas import Formula
from .base import Array, Cache, Elementwise, Example, Params


@dataclass(frozen=True)
class ReLU(Elementwise):
    """The rectified linear unit.

    ::

        out = max(0, x)

        =MAX(0,AH3)                       on planes of its own
        =MAX(0,SUMPRODUCT(...))           fused into the layer before

        grad_input = grad_output where x > 0, else 0

        =IF(AH3>0,CK3,0)

    Shapes: any; the output has the input's.

    Example:
        >>> ReLU().wrap(("A1",))
        ('MAX(0,', 'A1', ')')
    """

    title: ClassVar[str] = "ReLU"
    stem: ClassVar[str] = "relu"

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        return np.maximum(x, 0.0), x > 0

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        return grad_output * cache, {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        out = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            out[index] = max(0.0, float(x[index]))
        return out

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """The input's: the slope is at most 1, and MAX does not round."""
        return {"out": error}

    def wrap(self, expression: Formula) -> Formula:
        return ("MAX(0,", *expression, ")")

    def slope(self, x: Formula, out: Formula, grad: Formula) -> Formula:
        return ("IF(", *x, ">0,", *grad, ",0)")

    def nonnegative(self, input_nonnegative: bool) -> bool:
        return True

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([[[-1.5, 2.25], [0.0, -3.0]]])
        return [
            Example(cls(), x, {}, (0, 0, 1), 2.25),
            Example(cls(), x, {}, (0, 1, 1), 0.0),
            Example(cls(), np.array([-2.0, 3.0]), {}, (1,), 3.0),
        ]

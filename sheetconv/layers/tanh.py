"""The hyperbolic tangent: any number becomes one between -1 and 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..formulas import Formula
from .base import ROUNDOFF, Array, Cache, Elementwise, Example, Params


@dataclass(frozen=True)
class Tanh(Elementwise):
    """The hyperbolic tangent.

    ::

        out = tanh(x)

        =TANH(AH3)

        grad_input = grad_output * (1 - out) * (1 + out)

        =CK3*(1-BM4)*(1+BM4)

    The square of an output near 1 would round away what 1 - out keeps.

    Shapes: any; the output has the input's.

    Example:
        >>> Tanh().forward(np.array([[0.0, 1.0]]), {})[0].round(4)
        array([[0.    , 0.7616]])
    """

    title: ClassVar[str] = "Tanh"
    stem: ClassVar[str] = "tanh"

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        out = np.tanh(x)
        return out, out

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        return grad_output * (1.0 - cache * cache), {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        out = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            out[index] = math.tanh(float(x[index]))
        return out

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """The input's, the slope being at most 1, and a few roundoffs."""
        return {"out": error + 8 * ROUNDOFF * np.abs(self.forward(x, params)[0])}

    def wrap(self, expression: Formula) -> Formula:
        return ("TANH(", *expression, ")")

    def slope(self, x: Formula, out: Formula, grad: Formula) -> Formula:
        return (*grad, "*(1-", *out, ")*(1+", *out, ")")

    def nonnegative(self, input_nonnegative: bool) -> bool:
        return input_nonnegative

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([[[0.0, 0.5], [-1.5, 40.0]]])
        return [
            # (e - 1) / (e + 1)
            Example(cls(), x, {}, (0, 0, 1), 0.46211715726000973),
            Example(cls(), x, {}, (0, 1, 1), 1.0),
            Example(cls(), np.array([-0.5, 0.0]), {}, (1,), 0.0),
        ]

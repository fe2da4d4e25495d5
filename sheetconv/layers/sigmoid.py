"""The sigmoid: any number becomes one between 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import ClassVar

import numpy as np

from ..formulas import Formula
from .base import ROUNDOFF, Array, Cache, Elementwise, Example, Params


@dataclass(frozen=True)
class Sigmoid(Elementwise):
    """The logistic function.

    ::

        out = 1 / (1 + exp(-x))

        =1/(1+EXP(MIN(-(AH3),700)))

        grad_input = grad_output * out * (1 - out)

        =CK3*BM4*(1-BM4)

    The formula stops at exp(700), beyond which spreadsheets overflow; NumPy's side needs no
    stop: both are zero to 300 digits there. Shapes: any; the output has the input's.

    Example:
        >>> Sigmoid().forward(np.array([[0.0, -800.0]]), {})[0]
        array([[0.5, 0. ]])
    """

    title: ClassVar[str] = "Sigmoid"
    stem: ClassVar[str] = "sigmoid"

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        # exp of minus the absolute value never overflows.
        small = np.exp(-np.abs(x))
        out = np.where(x >= 0, 1.0, small) / (1.0 + small)
        return out, out

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        return grad_output * cache * (1.0 - cache), {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        out = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            out[index] = 1.0 / (1.0 + exp(min(-float(x[index]), 700.0)))
        return out

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """A quarter of the input's, the steepest slope, and a few roundoffs."""
        return {"out": error / 4 + 8 * ROUNDOFF * self.forward(x, params)[0] + 1e-300}

    def wrap(self, expression: Formula) -> Formula:
        return ("1/(1+EXP(MIN(-(", *expression, "),700)))")

    def slope(self, x: Formula, out: Formula, grad: Formula) -> Formula:
        return (*grad, "*", *out, "*(1-", *out, ")")

    def nonnegative(self, input_nonnegative: bool) -> bool:
        return True

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([[[0.0, 2.0], [-1.5, -800.0]]])
        return [
            Example(cls(), x, {}, (0, 0, 0), 0.5),
            # 1 / (1 + e**-2)
            Example(cls(), x, {}, (0, 0, 1), 0.8807970779778823),
            Example(cls(), np.array([-800.0, 30.0]), {}, (0,), 0.0),
        ]

"""The leaky rectifier: negative numbers become small instead of zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import ShapeError
from ..formulas import Formula
from .base import ROUNDOFF, Array, Cache, Elementwise, Example, Params
from .validation import shown


@dataclass(frozen=True)
class LeakyReLU(Elementwise):
    """The leaky rectified linear unit.

    ::

        out = max(x, negative_slope * x)

        =MAX(AH3,0.01*AH3)

        grad_input = grad_output where x > 0, else negative_slope * grad_output

        =IF(AH3>0,CK3,0.01*CK3)

    Shapes: any; the output has the input's.

    Args:
        negative_slope: the factor of negative numbers, from 0 to 1. Default 0.01.

    Raises:
        ShapeError: `negative_slope` is out of its range.

    Example:
        >>> LeakyReLU(0.1).forward(np.array([[-2.0, 3.0]]), {})[0]
        array([[-0.2,  3. ]])
    """

    negative_slope: float = 0.01

    title: ClassVar[str] = "LeakyReLU"
    stem: ClassVar[str] = "leaky_relu"

    def __post_init__(self) -> None:
        slope = self.negative_slope
        if isinstance(slope, bool) or not isinstance(slope, int | float) or not 0 <= slope <= 1:
            raise ShapeError(
                f"LeakyReLU: negative_slope is {shown(slope)}: expected a number from 0 to 1"
            )
        # NumPy's own float is written otherwise in a formula.
        self.set("negative_slope", float(slope))

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        return np.maximum(x, self.negative_slope * x), x > 0

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        return np.where(cache, grad_output, self.negative_slope * grad_output), {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        out = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            value = float(x[index])
            out[index] = value if value > 0 else self.negative_slope * value
        return out

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """The input's, and the rounding of one product."""
        return {"out": error + 2 * ROUNDOFF * np.abs(self.forward(x, params)[0])}

    def wrap(self, expression: Formula) -> Formula:
        return ("MAX(", *expression, f",{self.negative_slope!r}*(", *expression, "))")

    def slope(self, x: Formula, out: Formula, grad: Formula) -> Formula:
        return ("IF(", *x, ">0,", *grad, f",{self.negative_slope!r}*", *grad, ")")

    def nonnegative(self, input_nonnegative: bool) -> bool:
        return input_nonnegative

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([[[-1.5, 2.25], [0.0, -3.0]]])
        return [
            Example(cls(), x, {}, (0, 0, 1), 2.25),
            Example(cls(0.25), x, {}, (0, 1, 1), -0.75),
            Example(cls(0.5), np.array([-2.0, 3.0]), {}, (0,), -1.0),
        ]

"""Global average-pooling: one number for a whole plane, however large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..formulas import BackView, CellFormulas
from .base import ROUNDOFF, Array, Cache, Example, Params
from .pooling import GlobalPool2d


@dataclass(frozen=True)
class AdaptiveAvgPool2d(GlobalPool2d):
    """The mean of each plane.

    ::

        out[c, 0, 0] = mean of x[c]

        =AVERAGE(BM4:CK27)

        grad_input[c] = grad_output[c, 0, 0] / (H * W)

        =$CN$4/600

    Shapes: x (N, C, H, W), out (N, C, 1, 1).

    Args:
        output_size: 1, the only size to which a plane is pooled here.

    Raises:
        ShapeError: `output_size` is not 1.

    Example:
        >>> x = np.array([[[[1.0, 3.0], [5.0, 7.0]]]])
        >>> AdaptiveAvgPool2d(1).forward(x, {})[0]
        array([[[[4.]]]])
    """

    output_size: int

    title: ClassVar[str] = "Global avgpool"
    function: ClassVar[str] = "AVERAGE"
    stem: ClassVar[str] = "global_avgpool"

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        return x.mean(axis=(2, 3), keepdims=True), x.shape

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        return np.broadcast_to(grad_output / (cache[2] * cache[3]), cache).copy(), {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        n, channels, height, width = x.shape
        out = np.zeros((n, channels, 1, 1))
        for b, c in np.ndindex(n, channels):
            out[b, c, 0, 0] = sum(x[b, c].reshape(-1).tolist()) / (height * width)
        return out

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """The mean of the input's, and twice (n + 1) roundoffs of the mean absolute value."""
        terms = x.shape[2] * x.shape[3]
        rounding = 2 * (terms + 1) * ROUNDOFF * self.forward(np.abs(x), params)[0]
        return {"out": rounding + self.forward(error, params)[0]}

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        return [
            CellFormulas(
                "input.grad",
                start,
                grid,
                (f"{view.absolute(view.grad_output.grids[c])}/{grid.size}",),
            )
            for c, start, grid in view.targets
        ]

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([[[1.0, 5, 2], [4, 2, -2]], [[-7, -9, -3], [-5, -6, -6]]])
        return [
            Example(cls(1), x, {}, (0, 0, 0), 2.0),
            Example(cls(1), x, {}, (1, 0, 0), -6.0),
        ]

"""Global max-pooling: one number for a whole plane, however large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..formulas import BackView, CellFormulas, Shape
from .base import Array, Cache, Example, Params
from .pooling import GlobalPool2d, to_first_largest, units_before


@dataclass(frozen=True)
class AdaptiveMaxPool2d(GlobalPool2d):
    """The maximum of each plane.

    ::

        out[c, 0, 0] = maximum of x[c]

        =MAX(BM4:CK27)

        grad_input[c, y, x] = grad_output[c, 0, 0] where x is the first maximum, row by row,
                              else 0

        =IF(AND(BN5=CM4,MAX(BM4:CK4,BM5)<CM4),CN4,0)

    Shapes: x (N, C, H, W), out (N, C, 1, 1).

    Args:
        output_size: 1, the only size to which a plane is pooled here.

    Raises:
        ShapeError: `output_size` is not 1.

    Example:
        >>> x = np.array([[[[1.0, 3.0], [5.0, 7.0]]]])
        >>> AdaptiveMaxPool2d(1).forward(x, {})[0]
        array([[[[7.]]]])
    """

    output_size: int

    title: ClassVar[str] = "Global maxpool"
    function: ClassVar[str] = "MAX"
    stem: ClassVar[str] = "global_maxpool"

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        return x.max(axis=(2, 3), keepdims=True), x

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        # The first maximum, row by row, takes the whole gradient.
        flat = cache.reshape(*cache.shape[:2], -1)
        grad_input = np.zeros(flat.shape, grad_output.dtype)
        first = flat.argmax(axis=-1)[..., np.newaxis]
        np.put_along_axis(grad_input, first, grad_output.reshape(*flat.shape[:2], 1), axis=-1)
        return grad_input.reshape(cache.shape), {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        out = np.zeros((*x.shape[:2], 1, 1))
        for b, c in np.ndindex(x.shape[:2]):
            out[b, c, 0, 0] = max(x[b, c].reshape(-1).tolist())
        return out

    def probe_window(self, input_shape: Shape) -> tuple[int, int]:
        return (input_shape[1], input_shape[2])

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """The largest of the input's: MAX does not round."""
        return {"out": error.max(axis=(2, 3), keepdims=True)}

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        formulas = []
        for c, start, grid in view.targets:
            plane = view.input.grids[c]
            largest, grad = (g[c].unit(0) for g in (view.own["out"].grids, view.grad_output.grids))
            columns = range(plane.width)
            for index in range(plane.size):
                i, j = divmod(index, plane.width)
                before = units_before(view, plane, i, j, range(plane.height), columns)
                text = to_first_largest(view, plane.unit(index), before, largest, grad)
                formulas.append(
                    CellFormulas("input.grad", start + index, grid.unit(index), (text,))
                )
        return formulas

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([[[1.0, 5, 2], [4, 2, -2]], [[-7, -9, -3], [-5, -6, -6]]])
        return [
            Example(cls(1), x, {}, (0, 0, 0), 5.0),
            Example(cls(1), x, {}, (1, 0, 0), -3.0),
        ]

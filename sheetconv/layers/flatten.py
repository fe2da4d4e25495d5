"""Flatten: planes read as one vector. Nothing is drawn: the cells stay where they are."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from ..formulas import CellFormulas, Shape, View
from .arithmetic import Arithmetic
from .base import Array, Cache, Example, Layer, Params, Tensor


@dataclass(frozen=True)
class Flatten(Layer):
    """The units of all planes, in C order, as one vector.

    ::

        out[(c*H + i)*W + j] = x[c, i, j]

    No formula: the next layer reads the planes themselves. Shapes: x (N, C, H, W),
    out (N, C*H*W).

    Example:
        >>> Flatten().output_shape((2, 12, 13))
        (312,)
    """

    title: ClassVar[str] = "Flatten"
    stem: ClassVar[str] = "flatten"
    is_view: ClassVar[bool] = True

    def output_shape(self, input_shape: Shape) -> Shape:
        return (prod(input_shape),)

    def arithmetic(self, input_shape: Shape) -> Arithmetic:
        planes = "*{height_in}*{width_in}" if len(input_shape) == 3 else ""
        return Arithmetic(channels="{channels_in}" + planes)

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        return x.reshape(len(x), -1), x.shape

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        return grad_output.reshape(cache), {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        out = np.zeros((len(x), prod(x.shape[1:])))
        for b in range(len(x)):
            for position, index in enumerate(np.ndindex(x.shape[1:])):
                out[b, position] = x[(b, *index)]
        return out

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """The input's: nothing is computed."""
        return {"out": error.reshape(len(error), -1)}

    def tensors(self, input_shape: Shape) -> tuple[Tensor, ...]:
        return ()

    def formulas(self, view: View) -> list[CellFormulas]:
        return []

    def nonnegative(self, input_nonnegative: bool) -> bool:
        return input_nonnegative

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.arange(12.0).reshape(2, 2, 3)
        return [
            # One plane of 6, then the second unit of the next.
            Example(cls(), x, {}, (7,), 7.0),
            # A vector stays what it is.
            Example(cls(), np.array([4.0, -5.0]), {}, (1,), -5.0),
        ]

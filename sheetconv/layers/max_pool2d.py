"""Max-pooling: every unit is the largest of its window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import ShapeError
from ..formulas import CellFormulas, Shape, View
from .base import Array, Border, Cache, Example, Layer, Params
from .validation import flag, pair


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """The maximum of each window.

    ::

        out[c, i, j] = max over u, v of x[c, i*stride + u - padding, j*stride + v - padding]

        =MAX(BM4:BN5)

    The border is blank on the worksheet, and MAX skips blanks: PyTorch's padding of
    minus infinity. Shapes: x (N, C, H, W), out (N, C, H', W') with
    H' = (H + 2 padding - kernel_h) / stride_h + 1, rounded down, or up with `ceil_mode`
    unless the last window would begin past the input and its left padding.

    Args:
        kernel_size: height and width of the window, or one number for both.
        stride: rows and columns between windows. Default: the kernel size.
        padding: rows and columns of the border, at most half the kernel. Default 0.
        ceil_mode: keep the window that only partly covers the input. Default False.

    Raises:
        ShapeError: a field is out of its range.

    Example:
        >>> MaxPool2d(2, ceil_mode=True).output_shape((2, 24, 25))
        (2, 12, 13)
    """

    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0
    ceil_mode: bool = False

    title: ClassVar[str] = "Maxpool"
    stem: ClassVar[str] = "maxpool"

    def __post_init__(self) -> None:
        kernel = pair("MaxPool2d", "kernel_size", self.kernel_size, 1)
        if self.stride is not None:
            pair("MaxPool2d", "stride", self.stride, 1)
        padding = pair("MaxPool2d", "padding", self.padding, 0)
        flag("MaxPool2d", "ceil_mode", self.ceil_mode)
        if 2 * padding[0] > kernel[0] or 2 * padding[1] > kernel[1]:
            raise ShapeError(
                f"MaxPool2d: padding is {self.padding!r}: expected at most half of "
                f"kernel_size {self.kernel_size!r}"
            )
        self.store_plain("kernel_size", "stride", "padding")

    @property
    def _kernel(self) -> tuple[int, int]:
        return pair("MaxPool2d", "kernel_size", self.kernel_size, 1)

    @property
    def _stride(self) -> tuple[int, int]:
        stride = self.kernel_size if self.stride is None else self.stride
        return pair("MaxPool2d", "stride", stride, 1)

    @property
    def _padding(self) -> tuple[int, int]:
        return pair("MaxPool2d", "padding", self.padding, 0)

    def _length(self, axis: int, length: int) -> int:
        kernel, stride, padding = self._kernel[axis], self._stride[axis], self._padding[axis]
        room = length + 2 * padding - kernel
        out = (-(-room // stride) if self.ceil_mode else room // stride) + 1
        if self.ceil_mode and (out - 1) * stride >= length + padding:
            out -= 1
        return out

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3:
            raise self.refuse_input(input_shape, "(channels, height, width)")
        channels, *lengths = input_shape
        height, width = (self._length(axis, length) for axis, length in enumerate(lengths))
        if height < 1 or width < 1:
            raise self.refuse_input(input_shape, "planes at least as large as the window")
        return (channels, height, width)

    def _past(self, axis: int, length: int) -> int:
        """Units that the last window reaches beyond the input and its padding."""
        kernel, stride, padding = self._kernel[axis], self._stride[axis], self._padding[axis]
        reach = (self._length(axis, length) - 1) * stride + kernel - padding
        return max(0, reach - length - padding)

    def _windows(self, x: Array) -> Array:
        (ph, pw), (sh, sw) = self._padding, self._stride
        _, _, height, width = x.shape
        bottom, right = ph + self._past(0, height), pw + self._past(1, width)
        padded = np.pad(x, ((0, 0), (0, 0), (ph, bottom), (pw, right)), constant_values=-np.inf)
        windows = sliding_window_view(padded, self._kernel, axis=(2, 3))[:, :, ::sh, ::sw]
        rows, columns = self._length(0, height), self._length(1, width)
        return windows[:, :, :rows, :columns].reshape(*x.shape[:2], rows, columns, -1)

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        windows = self._windows(x)
        return windows.max(axis=-1), (x.shape, windows)

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        (n, c, height, width), windows = cache
        (ph, pw), (sh, sw), (_, kw) = self._padding, self._stride, self._kernel
        # The first maximum of a window, row by row, takes the whole gradient.
        u, v = np.divmod(windows.argmax(axis=-1), kw)
        b, k, i, j = np.indices(u.shape, sparse=True)
        grad_input = np.zeros((n, c, height, width))
        np.add.at(grad_input, (b, k, i * sh + u - ph, j * sw + v - pw), grad_output)
        return grad_input, {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        (kh, kw), (sh, sw), (ph, pw) = self._kernel, self._stride, self._padding
        n, _, height, width = x.shape
        out = np.zeros((n, *self.output_shape(x.shape[1:])))
        for b, c, i, j in np.ndindex(out.shape):
            top, left = i * sh - ph, j * sw - pw
            out[b, c, i, j] = max(
                x[b, c, row, column]
                for row in range(max(top, 0), min(top + kh, height))
                for column in range(max(left, 0), min(left + kw, width))
            )
        return out

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """The largest of the window's: MAX does not round."""
        return {"out": self.forward(error, params)[0]}

    def border(self, input_shape: Shape) -> Border:
        ph, pw = self._padding
        _, height, width = input_shape
        past = (self._past(1, width), self._past(0, height))
        return Border(pw, pw, ph, ph, past[0], past[1], zeros=False)

    def steps(self) -> tuple[int, int]:
        return self._stride

    def formulas(self, view: View) -> list[CellFormulas]:
        formulas = []
        for c, start, grid in view.planes("out"):
            plane = view.input.grids[c]
            window = view.window(plane, self._kernel, self._stride, self._padding)
            formulas.append(CellFormulas("out", start, grid, ("MAX(", window, ")")))
        return formulas

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([[[1.0, 5, 2, -1], [4, 3, 0, -2], [-7, -8, -3, -4]]])
        return [
            Example(cls(2), x, {}, (0, 0, 0), 5.0),
            # ceil_mode keeps the window that sees only -3 and -4 of the last row.
            Example(cls(2, ceil_mode=True), x, {}, (0, 1, 1), -3.0),
            # The border is minus infinity, not zero: the corner window sees -7 and -8 only.
            Example(cls((2, 2), stride=(2, 1), padding=1), -np.abs(x), {}, (0, 0, 0), -1.0),
            Example(cls(3, stride=1), x, {}, (0, 0, 1), 5.0),
            # 3x3 windows, two apart, over 4 columns: the second sees 2, -1, 0, -2.
            Example(cls(3, stride=2, padding=1, ceil_mode=True), x, {}, (0, 0, 2), -1.0),
        ]

"""Max-pooling: every unit is the largest of its window."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from ..errors import ShapeError
from ..formulas import BackView, CellFormulas, Formula, Shape, View, joined
from .base import Array, Cache, Example, Params
from .pooling import Pool2d, to_first_largest, units_before, windows_over
from .validation import pair


@dataclass(frozen=True)
class MaxPool2d(Pool2d):
    """The maximum of each window.

    ::

        out[c, i, j] = max over u, v of x[c, i*stride + u - padding, j*stride + v - padding]

        =MAX(BM4:BN5)
        =MAX(BM4,BO4,BM6,BO6)                 dilated by 2

        grad_input[c, y, x] = sum of grad_output[c, i, j] over the windows whose first maximum,
                              row by row, it is

        =IF(AND(BN5=CM4,MAX(BM4:BN4,BM5)<CM4),EA4,0)+...          one term a window

    The border is blank on the worksheet, and MAX skips blanks: PyTorch's padding of
    minus infinity. Shapes: x (N, C, H, W), out (N, C, H', W') with
    H' = (H + 2 padding - kernel_h) / stride_h + 1, rounded down, or up with `ceil_mode`
    unless the last window would begin past the input and its left padding.

    Args:
        kernel_size: height and width of the window, or one number for both.
        stride: rows and columns between windows. Default: the kernel size.
        padding: rows and columns of the border, at most half the kernel. Default 0.
        dilation: rows and columns from one unit of a window to the next. Default 1.
        ceil_mode: keep the window that only partly covers the input. Default False.

    Raises:
        ShapeError: a field is out of its range. Later, for an input: it is smaller than the
            windows, or one of them sees only padding, of which PyTorch gives minus infinity.

    Example:
        >>> MaxPool2d(2, ceil_mode=True).output_shape((2, 24, 25))
        (2, 12, 13)
    """

    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    ceil_mode: bool = False

    title: ClassVar[str] = "Maxpool"
    stem: ClassVar[str] = "maxpool"

    def __post_init__(self) -> None:
        super().__post_init__()
        pair("MaxPool2d", "dilation", self.dilation, 1)
        self.store_plain("dilation")

    @property
    def _dilation(self) -> tuple[int, int]:
        return pair("MaxPool2d", "dilation", self.dilation, 1)

    def output_shape(self, input_shape: Shape) -> Shape:
        shape = super().output_shape(input_shape)
        for axis, side in ((0, "row"), (1, "column")):
            window = self._first_of_padding(axis, input_shape[axis + 1], shape[axis + 1])
            if window is not None:
                raise ShapeError(
                    f"{self} got an input of shape {input_shape}: the windows in {side} "
                    f"{window + 1} of its output see only padding, which has no largest unit: "
                    "use a smaller dilation, less padding or a larger input"
                )
        return shape

    def _first_of_padding(self, axis: int, length: int, windows: int) -> int | None:
        """The first window along an axis that sees nothing of the input, if there is one.

        It steps over the whole input: no other can miss it, as half a kernel of padding at
        most stands before it, and no window begins behind it.
        """
        stride, padding, dilation = self._stride[axis], self._padding[axis], self._dilation[axis]
        if dilation <= length:
            return None
        before = min(windows, -(-padding // stride))
        return next((i for i in range(before) if (i * stride - padding) % dilation >= length), None)

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        windows = self._windows(x, -np.inf, -np.inf)
        return windows.max(axis=-1), (x.shape, windows)

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        (n, c, height, width), windows = cache
        (ph, pw), (sh, sw), (_, kw) = self._padding, self._stride, self._kernel
        dh, dw = self._dilation
        # The first maximum of a window, row by row, takes the whole gradient.
        u, v = np.divmod(windows.argmax(axis=-1), kw)
        b, k, i, j = np.indices(u.shape, sparse=True)
        grad_input = np.zeros((n, c, height, width), grad_output.dtype)
        rows, columns = i * sh + u * dh - ph, j * sw + v * dw - pw
        np.add.at(grad_input, (b, k, rows, columns), grad_output)
        return grad_input, {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        (sh, sw), (ph, pw), (dh, dw) = self._stride, self._padding, self._dilation
        n, _, height, width = x.shape
        out = np.zeros((n, *self.output_shape(x.shape[1:])))
        for b, c, i, j in np.ndindex(out.shape):
            top, left = i * sh - ph, j * sw - pw
            out[b, c, i, j] = max(
                x[b, c, row, column]
                for row in range(top, top + self._span(0), dh)
                for column in range(left, left + self._span(1), dw)
                if 0 <= row < height and 0 <= column < width
            )
        return out

    def probe_window(self, input_shape: Shape) -> tuple[int, int]:
        return (self._span(0), self._span(1))

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """The largest of the window's: MAX does not round."""
        return {"out": self.forward(error, params)[0]}

    def formulas(self, view: View) -> list[CellFormulas]:
        formulas = []
        for c, start, grid in view.planes("out"):
            plane = view.input.grids[c]
            if self._dilation == (1, 1):
                cells: Formula = (view.window(plane, self._kernel, self._stride, self._padding),)
            else:
                # The cells between those of a dilated window count not, so that each is named.
                cells = joined(
                    ",",
                    [
                        (view.window(plane, (1, 1), self._stride, self._offset(u, v)),)
                        for u, v in np.ndindex(self._kernel)
                    ],
                )
            formulas.append(CellFormulas("out", start, grid, ("MAX(", *cells, ")")))
        return formulas

    def _offset(self, u: int, v: int) -> tuple[int, int]:
        """Rows above and columns left of the first window's unit (u, v) where the plane begins."""
        (ph, pw), (dh, dw) = self._padding, self._dilation
        return (ph - u * dh, pw - v * dw)

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        plane, out = view.input.grids[0], view.own["out"].grids[0]
        rows = self._inside(0, plane.height, out.height)
        columns = self._inside(1, plane.width, out.width)
        over = (windows_over(rows, plane.height), windows_over(columns, plane.width))
        formulas = []
        for c, start, grid in view.targets:
            plane, out, grad = (
                grids[c]
                for grids in (view.input.grids, view.own["out"].grids, view.grad_output.grids)
            )
            for index in range(plane.size):
                y, x = divmod(index, plane.width)
                shares = []
                for i, j in product(over[0][y], over[1][x]):
                    before = units_before(view, plane, y, x, rows[i], columns[j])
                    of_window = (planes.unit(i * out.width + j) for planes in (out, grad))
                    shares.append(to_first_largest(view, plane.unit(index), before, *of_window))
                # What no window reads has no share.
                formula = ("+".join(shares) or "0",)
                formulas.append(
                    CellFormulas("input.grad", start + index, grid.unit(index), formula)
                )
        return self.fitting(formulas, "use a smaller window, or a larger stride")

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
            # Every other column of the last two: 2 is skipped, 5 and -1 and 3 and -2 stay.
            Example(cls(2, stride=1, dilation=(1, 2)), x, {}, (0, 0, 1), 5.0),
        ]

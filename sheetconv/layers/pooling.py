"""What pools have in common: windows that slide, and may reach beyond the plane."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..cells import Grid
from ..errors import ShapeError
from ..formulas import CellFormulas, Shape, View, called, formula_text
from .arithmetic import Arithmetic, window_settings, windows_along
from .base import Array, Border, Layer, Reach
from .validation import flag, pair, shown


class Pool2d(Layer):
    """A layer whose units each read one window of one plane.

    Subclasses are dataclasses with these fields, and with `dilation` where they have one.
    """

    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None
    padding: int | tuple[int, int]
    ceil_mode: bool

    def __post_init__(self) -> None:
        name = type(self).__name__
        kernel = pair(name, "kernel_size", self.kernel_size, 1)
        if self.stride is not None:
            pair(name, "stride", self.stride, 1)
        padding = pair(name, "padding", self.padding, 0)
        flag(name, "ceil_mode", self.ceil_mode)
        if 2 * padding[0] > kernel[0] or 2 * padding[1] > kernel[1]:
            raise ShapeError(
                f"{name}: padding is {self.padding!r}: expected at most half of "
                f"kernel_size {self.kernel_size!r}"
            )
        self.store_plain("kernel_size", "stride", "padding")

    @property
    def _kernel(self) -> tuple[int, int]:
        return pair(type(self).__name__, "kernel_size", self.kernel_size, 1)

    @property
    def _stride(self) -> tuple[int, int]:
        stride = self.kernel_size if self.stride is None else self.stride
        return pair(type(self).__name__, "stride", stride, 1)

    @property
    def _padding(self) -> tuple[int, int]:
        return pair(type(self).__name__, "padding", self.padding, 0)

    @property
    def _border_counts(self) -> bool:
        """Whether the border holds zeros, which count, or blanks, which do not."""
        return False

    @property
    def _dilation(self) -> tuple[int, int]:
        return (1, 1)

    def _span(self, axis: int) -> int:
        """Units from the first of a window to its last, both included."""
        return (self._kernel[axis] - 1) * self._dilation[axis] + 1

    def _length(self, axis: int, length: int) -> int:
        span, stride, padding = self._span(axis), self._stride[axis], self._padding[axis]
        room = length + 2 * padding - span
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
        span, stride, padding = self._span(axis), self._stride[axis], self._padding[axis]
        reach = (self._length(axis, length) - 1) * stride + span - padding
        return max(0, reach - length - padding)

    def _windows(self, x: Array, padding: float, past: float) -> Array:
        """Every window, its units in a row: (N, C, H', W', kernel_h * kernel_w).

        Args:
            x: the input of a batch.
            padding: what the border holds.
            past: what lies beyond the border.
        """
        (ph, pw), (sh, sw), (dh, dw) = self._padding, self._stride, self._dilation
        _, _, height, width = x.shape
        around = ((0, 0), (0, 0), (ph, ph), (pw, pw))
        beyond = ((0, 0), (0, 0), (0, self._past(0, height)), (0, self._past(1, width)))
        padded = np.pad(x, around, constant_values=padding)
        padded = np.pad(padded, beyond, constant_values=past)
        spans = (self._span(0), self._span(1))
        windows = sliding_window_view(padded, spans, axis=(2, 3))
        windows = windows[:, :, ::sh, ::sw, ::dh, ::dw]
        rows, columns = self._length(0, height), self._length(1, width)
        return windows[:, :, :rows, :columns].reshape(*x.shape[:2], rows, columns, -1)

    def _inside(self, axis: int, length: int, windows: int) -> list[range]:
        """For each of the windows along an axis, what it reads of the input, without padding."""
        stride, padding, dilation = self._stride[axis], self._padding[axis], self._dilation[axis]
        span, found = self._span(axis), []
        for first in range(-padding, windows * stride - padding, stride):
            skipped = -(min(first, 0) // dilation)
            found.append(range(first + skipped * dilation, min(length, first + span), dilation))
        return found

    def border(self, input_shape: Shape) -> Border:
        ph, pw = self._padding
        _, height, width = input_shape
        past = (self._past(1, width), self._past(0, height))
        return Border(pw, pw, ph, ph, past[0], past[1], self._border_counts, self._border_counts)

    def nonnegative(self, input_nonnegative: bool) -> bool:
        return input_nonnegative

    def steps(self) -> tuple[int, int]:
        return self._stride

    def arithmetic(self, input_shape: Shape) -> Arithmetic:
        ph, pw = self._padding
        ceil = self.ceil_mode
        return Arithmetic(
            window_settings(self._kernel, self._stride, (pw, pw, ph, ph), self._dilation),
            height=windows_along("height", "top", "bottom", ceil=ceil),
            width=windows_along("width", "left", "right", ceil=ceil),
        )

    def reach(self, input_shape: Shape) -> Reach:
        return Reach((self._span(0), self._span(1)), self._stride, self._padding)


class GlobalPool2d(Layer):
    """A layer whose units each read one whole plane: (N, C, H, W) becomes (N, C, 1, 1).

    Subclasses are dataclasses with the field `output_size`, which is 1.
    """

    output_size: int
    #: Excel's function of the plane.
    function: ClassVar[str] = ""

    def __post_init__(self) -> None:
        name = type(self).__name__
        if pair(name, "output_size", self.output_size, 1) != (1, 1):
            raise ShapeError(f"{name}: output_size is {shown(self.output_size)}: expected 1")
        self.set("output_size", 1)

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3:
            raise self.refuse_input(input_shape, "(channels, height, width)")
        return (input_shape[0], 1, 1)

    def reach(self, input_shape: Shape) -> None:
        return None

    def arithmetic(self, input_shape: Shape) -> Arithmetic:
        return Arithmetic(height="1", width="1")

    def nonnegative(self, input_nonnegative: bool) -> bool:
        return input_nonnegative

    def formulas(self, view: View) -> list[CellFormulas]:
        return [
            CellFormulas(
                "out", start, grid, (f"{self.function}({view.relative(view.input.grids[c])})",)
            )
            for c, start, grid in view.planes("out")
        ]


def windows_over(inside: list[range], length: int) -> list[list[int]]:
    """For each position along an axis, which windows read it.

    Args:
        inside: what each window reads.
        length: of the axis.

    Example:
        >>> windows_over([range(0, 2), range(1, 3)], 4)
        [[0], [0, 1], [1], []]
    """
    over: list[list[int]] = [[] for _ in range(length)]
    for window, positions in enumerate(inside):
        for position in positions:
            over[position].append(window)
    return over


def units_before(view: View, plane: Grid, i: int, j: int, rows: range, columns: range) -> list[str]:
    """References to the units of a window that come before unit (i, j), row by row.

    Args:
        view: what the layer sees.
        plane: the input's plane.
        i, j: row and column of the unit, one of the window's.
        rows, columns: of the window, without those that lie outside the plane.
    """
    above, left = rows[: rows.index(i)], columns[: columns.index(j)]
    parts = [(above, columns), (range(i, i + 1), left)]
    if rows.step != 1 or columns.step != 1:
        # The cells between those of a dilated window count not.
        parts = [
            (range(row, row + 1), range(column, column + 1))
            for part in parts
            for row in part[0]
            for column in part[1]
        ]
    return [view.part(plane, *part) for part in parts if all(part)]


def to_first_largest(view: View, unit: Grid, before: list[str], largest: Grid, grad: Grid) -> str:
    """The share of a unit in its window's gradient: all of it, or nothing.

    That the units before are less than the largest, and not than the unit itself, matters
    to programs for which numbers are equal that differ in the last digits only: of several
    such units exactly one, the first, takes the gradient.

    Args:
        view: what the layer sees.
        unit: the unit.
        before: references to the units of its window that come before it.
        largest: the window's maximum.
        grad: its gradient.
    """
    x, most, share = (view.relative(grid) for grid in (unit, largest, grad))
    if not before:
        return f"IF({x}={most},{share},0)"
    so_far = formula_text(called("MAX", [(area,) for area in before]))
    return f"IF(AND({x}={most},{so_far}<{most}),{share},0)"

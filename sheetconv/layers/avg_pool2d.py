"""Average-pooling: every unit is the mean of its window."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, product
from typing import ClassVar

import numpy as np

from ..errors import LayoutError
from ..formulas import BackView, CellFormulas, View
from .base import ROUNDOFF, Array, Cache, Example, Params
from .pooling import Pool2d, windows_over
from .validation import flag


@dataclass(frozen=True)
class AvgPool2d(Pool2d):
    """The mean of each window.

    ::

        out[c, i, j] = mean over u, v of x[c, i*stride + u - padding, j*stride + v - padding]

        =AVERAGE(BM4:BN5)

        grad_input[c, y, x] = sum of grad_output[c, i, j] / units over the windows that read it,
                              units how many of a window count

        =SUM(EA4:EB5)/9
        =SUM(EA4:EA5)/6+SUM(EB4:EB5)/9          where windows at an edge count fewer units

    AVERAGE skips blanks. With `count_include_pad` the border is drawn as zeros, which count;
    without, it is blank. What a window of `ceil_mode` reaches beyond the border is always
    blank, and never counts, as in PyTorch. Shapes: as for `MaxPool2d`.

    Args:
        kernel_size: height and width of the window, or one number for both.
        stride: rows and columns between windows. Default: the kernel size.
        padding: rows and columns of the border, at most half the kernel. Default 0.
        ceil_mode: keep the window that only partly covers the input. Default False.
        count_include_pad: whether the border's zeros count. Default True.

    Raises:
        ShapeError: a field is out of its range.

    Example:
        >>> x = np.array([[[[1.0, 3.0], [5.0, 7.0]]]])
        >>> AvgPool2d(2).forward(x, {})[0]
        array([[[[4.]]]])
    """

    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    title: ClassVar[str] = "Avgpool"
    stem: ClassVar[str] = "avgpool"

    def __post_init__(self) -> None:
        super().__post_init__()
        flag("AvgPool2d", "count_include_pad", self.count_include_pad)

    @property
    def _border_counts(self) -> bool:
        return self.count_include_pad

    def _counts(self, x: Array) -> Array:
        """How many units of each window count."""
        ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
        counts: Array = self._windows(ones, float(self.count_include_pad), 0.0).sum(axis=-1)
        return counts

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        counts = self._counts(x)
        return self._windows(x, 0.0, 0.0).sum(axis=-1) / counts, (x.shape, counts)

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        (n, c, height, width), counts = cache
        (kh, kw), (sh, sw), (ph, pw) = self._kernel, self._stride, self._padding
        share = grad_output / counts
        rows, columns = share.shape[2] * sh, share.shape[3] * sw
        # Room for what the last windows reach beyond the input.
        padded = np.zeros((n, c, rows + kh + height, columns + kw + width), share.dtype)
        for u in range(kh):
            for v in range(kw):
                padded[:, :, u : u + rows : sh, v : v + columns : sw] += share
        return padded[:, :, ph : ph + height, pw : pw + width], {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        (kh, kw), (sh, sw), (ph, pw) = self._kernel, self._stride, self._padding
        n, _, height, width = x.shape
        out = np.zeros((n, *self.output_shape(x.shape[1:])))
        for b, c, i, j in np.ndindex(out.shape):
            total, count = 0.0, 0
            for u, v in np.ndindex(kh, kw):
                row, column = i * sh + u - ph, j * sw + v - pw
                if 0 <= row < height and 0 <= column < width:
                    total += x[b, c, row, column]
                    count += 1
                elif self.count_include_pad and row < height + ph and column < width + pw:
                    count += 1
            out[b, c, i, j] = total / count
        return out

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """The mean of the input's, and twice (n + 1) roundoffs of the mean absolute value."""
        kh, kw = self._kernel
        rounding = 2 * (kh * kw + 1) * ROUNDOFF * self.forward(np.abs(x), params)[0]
        return {"out": rounding + self.forward(error, params)[0]}

    def formulas(self, view: View) -> list[CellFormulas]:
        padded = self.count_include_pad and self._padding != (0, 0)
        formulas = []
        for c, start, grid in view.planes("out"):
            plane = view.input.grids[c]
            if padded and not plane.compact:
                raise LayoutError(
                    f"{self} counts the zeros around a plane whose cells stand apart: draw the "
                    "layer before it compact, not aligned"
                )
            window = view.window(plane, self._kernel, self._stride, self._padding)
            formulas.append(CellFormulas("out", start, grid, ("AVERAGE(", window, ")")))
        return formulas

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        plane, out = view.input.grids[0], view.grad_output.grids[0]
        rows = self._runs(0, plane.height, out.height)
        columns = self._runs(1, plane.width, out.width)
        formulas = []
        for c, start, grid in view.targets:
            for index in range(grid.size):
                y, x = divmod(index, grid.width)
                shares = []
                for (i, height), (j, width) in product(rows[y], columns[x]):
                    area = view.part(view.grad_output.grids[c], i, j)
                    total = area if len(i) == len(j) == 1 else f"SUM({area})"
                    shares.append(f"{total}/{height * width}")
                # What no window reads has no share.
                formula = ("+".join(shares) or "0",)
                formulas.append(
                    CellFormulas("input.grad", start + index, grid.unit(index), formula)
                )
        return formulas

    def _runs(self, axis: int, length: int, windows: int) -> list[list[tuple[range, int]]]:
        """For each position along an axis, the windows that read it, those that count alike.

        Args:
            axis: 0 or 1.
            length: of the input.
            windows: how many there are.

        Returns:
            For each position: adjacent windows, and how many units along the axis each counts.
        """
        stride, padding, kernel = self._stride[axis], self._padding[axis], self._kernel[axis]
        around = padding if self.count_include_pad else 0

        def counted(window: int) -> int:
            first = window * stride - padding
            return min(first + kernel, length + around) - max(first, -around)

        found = []
        for over in windows_over(self._inside(axis, length, windows), length):
            runs = [(list(run), count) for count, run in groupby(over, counted)]
            found.append([(range(run[0], run[-1] + 1), count) for run, count in runs])
        return found

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([[[1.0, 5, 2, 0], [4, 2, 0, -2], [-7, -9, -3, -5]]])
        return [
            Example(cls(2), x, {}, (0, 0, 0), 3.0),
            # The corner window sees 1 alone, and three zeros of the border.
            Example(cls(2, padding=1), x, {}, (0, 0, 0), 0.25),
            # Without the border it sees 1 alone.
            Example(cls(2, padding=1, count_include_pad=False), x, {}, (0, 0, 0), 1.0),
            # ceil_mode keeps the window that sees only -3 and -5; what is beyond never counts.
            Example(cls(2, ceil_mode=True), x, {}, (0, 1, 1), -4.0),
            # 5 + 2 + 2 + 0 in the second window, one column on.
            Example(cls(2, stride=(1, 1)), x, {}, (0, 0, 1), 2.25),
            # The last window sees 2 and 5 and four zeros; its third column lies beyond them.
            Example(cls(3, stride=2, padding=1, ceil_mode=True), -x, {}, (0, 1, 2), 7 / 6),
        ]

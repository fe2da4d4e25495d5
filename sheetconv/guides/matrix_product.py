"""A convolution as the product of one big matrix with the flattened image, and as im2col.

For a patch of one layer's input, which can be moved, and one of its filters: the matrix of
tied weights has a row for each unit and a column for each cell of the patch; each entry is a
reference to a cell of the kernel, in that cell's colour, or zero. Its product with the patch
as one column is the convolution. The other way round, im2col has a column of copied cells
for each window, and the kernel is a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ..cells import Grid, Range
from ..drawing import Style
from ..formulas import Formula, formula_text
from ..layers.base import ROUNDOFF, SNAP, Array, Elementwise
from ..layout import ColourScale, Layout
from ..network import Sequential
from ..palette import DIGITS, FRAME, PIXELS, SIGNED, TIED
from ..values import Value
from .base import (
    HEADING,
    NOTE,
    SAID,
    TABLE_HEAD,
    TITLE,
    Given,
    Guide,
    GuideCell,
    GuidePage,
    Shown,
    Validation,
    ref,
    table_ref,
)
from .patch import patches

_CONTROL = 3  # row of the first control
_PATCH = 9  # row of the patch's column numbers
_NUMBER = Style("0.00", size=DIGITS)


class MatrixProduct(Guide):
    """The worksheet of one layer's matrix.

    Args:
        network, layout, sheet: as for every guide.
        layer: name of a convolution. Default: the first that has a matrix small enough.
    """

    kind: ClassVar[str] = "matrix"
    invitation: ClassVar[str] = (
        "The same convolution as one matrix product: each weight stands in many places, in its "
        "own colour. Move the patch with the yellow cells; the difference stays zero."
    )

    def __init__(
        self, network: Sequential, layout: Layout, sheet: str, layer: str | None = None
    ) -> None:
        super().__init__(network, layout, sheet)
        self.patch = next(patches(network, layout, layer))

    @staticmethod
    def fits(network: Sequential, layout: Layout, layer: str | None = None) -> bool:
        """Whether there is such a convolution, with a patch small enough."""
        return next(patches(network, layout, layer), None) is not None

    def config(self) -> dict[str, Any]:
        return {"layer": self.patch.stage.name}

    # --- Where things stand

    def _patch_grid(self, channel: int) -> Grid:
        height, width = self.patch.size
        return Grid(self.sheet, _PATCH + 1, 3 + channel * (width + 3), height, width)

    @property
    def _kernel_left(self) -> int:
        return 3 + self.patch.channels * (self.patch.size[1] + 3) + 1

    def _kernel_grid(self, channel: int) -> Grid:
        (height, width), *_ = self.patch.window
        left = self._kernel_left + channel * (width + 1)
        return Grid(self.sheet, _PATCH + 1, left, height, width)

    @property
    def _matrix_top(self) -> int:
        return _PATCH + 1 + max(self.patch.size[0], self.patch.window[0][0]) + 4

    @cached_property
    def entries(self) -> Grid:
        rows = self.patch.units[0] * self.patch.units[1]
        columns = self.patch.channels * self.patch.size[0] * self.patch.size[1]
        return Grid(self.sheet, self._matrix_top + 1, 3, rows, columns)

    @cached_property
    def after(self) -> int:
        """The column of the flattened patch, right of the matrix."""
        return self.entries.bounds.last_column + 2

    @property
    def _columns_top(self) -> int:
        return self.entries.bounds.last_row + 5

    @cached_property
    def _copied(self) -> Grid:
        """The im2col matrix: a row for each cell of the kernel, a column for each window."""
        (height, width), *_ = self.patch.window
        rows = self.patch.channels * height * width
        return Grid(self.sheet, self._columns_top + 1, 5, rows, self.entries.height)

    @property
    def page(self) -> GuidePage:
        after = self.after
        columns = (
            (0, 0, 2.0),
            (1, 1, 11.0),
            (2, 2, 5.0),
            (after, after, 6.5),
            (after + 1, after + 1, 3.0),
            (after + 2, after + 5, 18.0),
        )
        return GuidePage(self.sheet, columns, (2, 0), default_width=4.5)

    def given(self) -> dict[str, Given]:
        rows, columns = self._first()
        cells = {"patch row": (_CONTROL, rows), "patch column": (_CONTROL + 1, columns)}
        return {
            name: Given(Grid(self.sheet, row, 3, 1, 1), (float(first),))
            for name, (row, first) in cells.items()
        }

    def _first(self) -> tuple[int, int]:
        """Where the patch stands at first: in the middle."""
        return (self.patch.last[0] + 1) // 2, (self.patch.last[1] + 1) // 2

    def validations(self) -> list[Validation]:
        return [
            Validation(
                Range(self.sheet, _CONTROL + axis, 3),
                "whole",
                f"A whole number from 1 to {last}.",
                limits=(1, last),
            )
            for axis, last in enumerate(self.patch.last)
        ]

    def scales(self) -> list[ColourScale]:
        patches = tuple(self._patch_grid(c).bounds for c in range(self.patch.channels))
        colours: tuple[str, ...] = PIXELS if self.patch.stage.source == "input" else SIGNED
        after, rows = self.after, self.entries.height
        products = Range(self.sheet, self.entries.row, after + 2, rows, 3)
        return [ColourScale(patches, colours), ColourScale((products,), SIGNED)]

    def turns(self, given: Mapping[str, tuple[Value, ...]]) -> list[dict[str, tuple[Value, ...]]]:
        row, column = self.patch.last
        return [
            {"patch row": (1.0,), "patch column": (1.0,)},
            {"patch row": (float(row),), "patch column": (float(column),)},
            {"patch row": (0.0,), "patch column": (float(column + 7),)},
            {"patch row": ("two",), "patch column": (1.5,)},
        ]

    # --- The cells

    def _at(self, shown: Shown) -> tuple[int, int]:
        """The first row and column of the patch's units, from 1, whatever was typed."""
        found = []
        for name, last in zip(("patch row", "patch column"), self.patch.last, strict=True):
            (value,) = shown.given[name]
            number = value if isinstance(value, float) else 1.0
            found.append(min(max(1, int(np.floor(number))), last))
        return found[0], found[1]

    def _is_usable(self, shown: Shown) -> bool:
        values = (shown.given["patch row"][0], shown.given["patch column"][0])
        return all(isinstance(value, float) for value in values) and self._at(shown) == values

    def cells(self, shown: Shown) -> Iterator[GuideCell]:
        label = f"{self.patch.stage.name} of {self.home}"
        yield self.text(0, 1, f"{label}, filter 1, as a matrix product", TITLE)
        yield self.text(
            1,
            1,
            "Every entry of the matrix is a reference to a cell of the kernel, in that cell's "
            "colour, or zero: one product of it with the flattened patch is the convolution.",
        )
        yield from self._controls(shown)
        yield from self._patch_cells(shown)
        yield from self._kernel(shown)
        yield from self._matrix(shown)
        yield from self._im2col(shown)

    def _controls(self, shown: Shown) -> Iterator[GuideCell]:
        at = self._at(shown)
        for axis, word in enumerate(("row", "column")):
            row, last = _CONTROL + axis, self.patch.last[axis]
            yield self.text(row, 1, f"first {word}", HEADING)
            typed = self.at(row, 3).a1
            formula = f"IF(ISNUMBER({typed}),MIN(MAX(1,INT({typed})),{last}),1)"
            yield self.text(row, 5, "used:")
            yield GuideCell(self.at(row, 7), float(at[axis]), formula)
        rows, columns = self.patch.last
        words = f"Type whole numbers: a row from 1 to {rows}, a column from 1 to {columns}."
        tests = []
        for row in (_CONTROL, _CONTROL + 1):
            typed, used = self.at(row, 3).a1, self.at(row, 7).a1
            tests.append(f"ISNUMBER({typed}),{typed}={used}")
        formula = f'IF(AND({",".join(tests)}),"","{words}")'
        said = "" if self._is_usable(shown) else words
        yield GuideCell(self.at(_CONTROL + 2, 1), said, formula, style=SAID)

    @property
    def _words(self) -> str:
        """What comes behind the product, for people."""
        fused = [self.network.layers[name].title for name in self.patch.stage.fused]
        return ", ".join((["bias"] if self.patch.layer.bias else []) + fused)

    def _patch_cells(self, shown: Shown) -> Iterator[GuideCell]:
        _, _, stride, padding = self.patch.window
        values, at = self.patch.values(shown.tensors, self._at(shown)), self._at(shown)
        height, width = self.patch.size
        grids = self.patch.placed["x"].image(0).grids[: self.patch.channels]
        _, rows, columns = self.patch.stage.input_shape
        where = "padding included" if any(padding) else "its rows and columns beside it"
        yield self.text(_PATCH - 2, 1, f"patch of {self.patch.stage.source} ({where})", HEADING)
        for c, plane in enumerate(grids):
            grid = self._patch_grid(c)
            if self.patch.channels > 1:
                yield self.text(_PATCH - 1, grid.column, f"channel {c + 1}")
            for axis, count in enumerate((height, width)):
                used = ref(self.at(_CONTROL + axis, 7), self.sheet)
                for k in range(count):
                    cell = (
                        self.at(grid.row + k, grid.column - 1)
                        if axis == 0
                        else self.at(grid.row - 1, grid.column + k)
                    )
                    shift = k - padding[axis] + 1
                    formula = f"({used}-1)*{stride[axis]}{shift:+d}"
                    value = float((at[axis] - 1) * stride[axis] + shift)
                    style = Style("0", colour=NOTE.colour, size=DIGITS)
                    yield GuideCell(cell, value, formula, style=style)
            area = table_ref(plane.bounds, self.sheet)
            for a in range(height):
                for b in range(width):
                    row = f"${self.at(grid.row + a, grid.column - 1).a1}"
                    column = self.at(grid.row - 1, grid.column + b).a1
                    i = row if plane.row_step == 1 else f"({row}-1)*{plane.row_step}+1"
                    j = column if plane.column_step == 1 else f"({column}-1)*{plane.column_step}+1"
                    inside = f"AND({row}>=1,{row}<={rows},{column}>=1,{column}<={columns})"
                    # A text counts as 0, as in the convolution's own sum.
                    source = f"INDEX({area},{i},{j})"
                    formula = f"IF({inside},IF(ISNUMBER({source}),{source},0),0)"
                    yield GuideCell(
                        grid.cell(a, b), _number(values[c, a, b]), formula, style=_NUMBER
                    )

    def _tied(self, u: int, v: int) -> Style:
        width = self.patch.window[0][1]
        colour = TIED[(u * width + v) % len(TIED)]
        return Style("0.00", fill=colour, frame=FRAME, size=DIGITS)

    def _kernel(self, shown: Shown) -> Iterator[GuideCell]:
        yield self.text(_PATCH - 2, self._kernel_left, "kernel of filter 1", HEADING)
        weight = self.patch.weights(shown.tensors)
        for c in range(self.patch.channels):
            source = self.patch.placed["weight"].grids[c]
            grid = self._kernel_grid(c)
            for u in range(grid.height):
                for v in range(grid.width):
                    weight_cell = ref(source.cell(u, v), self.sheet, absolute=False)
                    formula = f"IF(ISNUMBER({weight_cell}),{weight_cell},0)"
                    value = _number(weight[c, u, v])
                    yield GuideCell(grid.cell(u, v), value, formula, style=self._tied(u, v))

    def _matrix(self, shown: Shown) -> Iterator[GuideCell]:
        entries, after = self.entries, self.after
        top = self._matrix_top
        yield self.text(top - 1, 1, "the matrix, times the patch as one column", HEADING)
        yield self.text(top, 1, "unit", TABLE_HEAD)
        heads = ("patch", "", "product", "with bias", "convolution", "difference")
        if self.patch.stage.fused:
            heads = (*heads[:3], f"with {self._words}", *heads[4:])
        for offset, head in enumerate(heads):
            if head:
                yield self.text(top, after + offset, head, TABLE_HEAD)
        values, patch = (
            self.patch.matrix(shown.tensors),
            self.patch.values(shown.tensors, self._at(shown)).reshape(-1),
        )
        places = [
            self._patch_grid(c).cell(a, b)
            for c in range(self.patch.channels)
            for a in range(self.patch.size[0])
            for b in range(self.patch.size[1])
        ]
        for k, place in enumerate(places):
            cell = self.at(entries.row + k, after)
            yield GuideCell(cell, _number(patch[k]), place.a1, style=_NUMBER)
        column = Range(self.sheet, entries.row, after, entries.width, 1).absolute
        zero = Style("0", colour=NOTE.colour, size=DIGITS)
        for unit in range(entries.height):
            i, j = divmod(unit, self.patch.units[1])
            yield self.text(entries.row + unit, 1, f"row +{i}, col +{j}")
            for cell_number in range(entries.width):
                spot = self.patch.place_in_kernel(unit, cell_number)
                cell = entries.cell(unit, cell_number)
                if spot is None:
                    yield GuideCell(cell, 0.0, style=zero)
                    continue
                c, u, v = spot
                weight = self._kernel_grid(c).cell(u, v)
                formula = ref(weight, self.sheet)
                value = _number(values[unit, cell_number])
                yield GuideCell(cell, value, formula, style=self._tied(u, v))
            yield from self._products(shown, unit, values[unit] * patch, column)

    def _products(
        self, shown: Shown, unit: int, products: Array, column: str
    ) -> Iterator[GuideCell]:
        """One row's product, what the layer makes of it, the convolution's cell, and zero."""
        row, after, entries = self.entries.row + unit, self.after, self.entries
        total, magnitude = float(products.sum()), float(np.abs(products).sum())
        bound = 2 * (products.size + 2) * ROUNDOFF * magnitude
        style = Style("0.0000", size=DIGITS)
        line = Range(self.sheet, row, entries.column, 1, entries.width).a1
        product = self.at(row, after + 2)
        yield GuideCell(
            product, _number(total), f"MMULT({line},{column})", style=style, bound=bound
        )
        finished: Formula = (product.a1,)
        if self.patch.layer.bias:
            bias = self.patch.placed["bias"].grids[0].cell(0, 0)
            finished = (product.a1, "+", ref(bias, self.sheet))
            number = float(shown.tensors[f"{self.patch.stage.name}.bias"].reshape(-1)[0])
            total, magnitude = total + number, magnitude + abs(number)
        bound += (2 * ROUNDOFF + SNAP) * magnitude
        value, drift = np.full((1, 1, 1, 1), total), np.full((1, 1, 1, 1), bound)
        for name in self.patch.stage.fused:
            layer = self.network.layers[name]
            assert isinstance(layer, Elementwise)
            finished = layer.wrap(finished)
            drift = layer.error_bounds(value, drift, {})["out"]
            value = layer.forward(value, {})[0]
        made = self.at(row, after + 3)
        bound = float(drift.item())
        yield GuideCell(
            made, _number(value.item()), formula_text(finished), style=style, bound=bound
        )
        out = self.patch.placed["out"].image(0).grids[0]
        i, j = divmod(unit, self.patch.units[1])
        lengths = []
        for axis, (offset, step) in enumerate(((i, out.row_step), (j, out.column_step))):
            place = f"{ref(self.at(_CONTROL + axis, 7), self.sheet)}{offset:+d}"
            lengths.append(place if step == 1 else f"({place}-1)*{step}+1")
        formula = f"INDEX({table_ref(out.bounds, self.sheet)},{','.join(lengths)})"
        first = self._at(shown)
        plane = shown.tensors[self.patch.stage.out].reshape(-1, out.height, out.width)[0]
        convolved = float(plane[first[0] - 1 + i, first[1] - 1 + j])
        cell = self.at(row, after + 4)
        yield GuideCell(cell, _number(convolved), formula, style=style)
        expected: Value = 0.0
        if shown.overwritten or not np.isfinite(convolved) or not np.isfinite(value.item()):
            expected = _number(value.item() - convolved)
        difference = Style("0.0000;-0.0000;0", bold=True, size=DIGITS)
        yield GuideCell(
            self.at(row, after + 5),
            expected,
            f"{made.a1}-{cell.a1}",
            style=difference,
            bound=2 * bound + SNAP * abs(convolved),
        )

    def _im2col(self, shown: Shown) -> Iterator[GuideCell]:
        (kh, kw), (dh, dw), (sh, sw), _ = self.patch.window
        top, copied = self._columns_top, self._copied
        yield self.text(
            top - 1, 1, "im2col: each window as one column, below the kernel's weights", HEADING
        )
        yield self.text(top, 3, "weight", TABLE_HEAD)
        yield self.text(top, 5, "windows, one a column", TABLE_HEAD)
        patch, weight = (
            self.patch.values(shown.tensors, self._at(shown)),
            self.patch.weights(shown.tensors).reshape(-1),
        )
        columns = np.zeros((copied.height, copied.width))
        for k in range(copied.height):
            c, rest = divmod(k, kh * kw)
            u, v = divmod(rest, kw)
            formula = ref(self._kernel_grid(c).cell(u, v), self.sheet)
            cell = self.at(copied.row + k, 3)
            yield GuideCell(cell, _number(weight[k]), formula, style=self._tied(u, v))
            for unit in range(copied.width):
                i, j = divmod(unit, self.patch.units[1])
                a, b = i * sh + u * dh, j * sw + v * dw
                columns[k, unit] = patch[c, a, b]
                formula = ref(self._patch_grid(c).cell(a, b), self.sheet)
                yield GuideCell(
                    copied.cell(k, unit), _number(columns[k, unit]), formula, style=_NUMBER
                )
        weights = Range(self.sheet, copied.row, 3, copied.height, 1).absolute
        row = copied.bounds.last_row + 2
        yield self.text(row, 1, "product", HEADING)
        for unit in range(copied.width):
            window = Range(self.sheet, copied.row, copied.column + unit, copied.height, 1).a1
            products = columns[:, unit] * weight
            bound = 2 * (products.size + 2) * ROUNDOFF * float(np.abs(products).sum())
            yield GuideCell(
                self.at(row, copied.column + unit),
                _number(float(products.sum())),
                f"SUMPRODUCT({weights},{window})",
                style=Style("0.00", bold=True, size=DIGITS),
                bound=bound,
            )


def _number(value: float) -> Value:
    """A value that can be expected; None where there is none."""
    return float(value) if np.isfinite(value) else None

"""A worksheet that writes whole planes of cells at once, inside XlsxWriter's workbook.

XlsxWriter keeps one object and runs some thirty regular expressions for each formula
cell. Here a plane is one band, and a row of it one text that is filled in by string
formatting; styles, conditional formats and the package stay with XlsxWriter. The
overridden methods are private to it: its version is pinned, and a test notices a change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray
from xlsxwriter.worksheet import Worksheet

from .cells import Grid, column_name, quote_sheet
from .formulas import CellFormulas, Moving, formula_text
from .values import Value

# A private-use character stands for the row number in a row's text until the row is
# known; those that follow it stand for the rows of references.
_OWN_ROW = "\ue000"


@dataclass(frozen=True, slots=True)
class NumberBand:
    """Numbers on a grid, each as the shortest text that reads back as the same double.

    Attributes:
        grid: where.
        values: (height, width).
        style: index of the cell format.
    """

    grid: Grid
    values: NDArray[np.float64]
    style: int

    def row_texts(self) -> Callable[[int], str]:
        width, head = self.grid.width, _cell_heads(self.grid, self.style)
        template = "".join(f"{head[j]}><v>%r</v></c>" for j in range(width))

        def text(i: int) -> str:
            row = str(self.grid.row + i * self.grid.row_step + 1)
            filled = template.replace(_OWN_ROW, row) % tuple(self.values[i].tolist())
            # 0 and 1 are frequent in images, and shorter than Python's 0.0 and 1.0.
            return filled.replace(".0</v>", "</v>")

        return text


@dataclass(frozen=True, slots=True)
class FormulaBand:
    """Formulas on a grid, with the values that a spreadsheet shows before it calculates.

    Attributes:
        cells: the formula and its grid.
        values: (height, width).
        style: index of the cell format.
        shared: number of the shared formula, or None to write out every cell's own.
    """

    cells: CellFormulas
    values: NDArray[np.float64]
    style: int
    shared: int | None = None

    @property
    def grid(self) -> Grid:
        return self.cells.grid

    def row_texts(self) -> Callable[[int], str]:
        if self.shared is not None:
            return self._shared_rows()
        return self._one_cell() if self._is_one_cell else self._written_out_rows()

    @property
    def _is_one_cell(self) -> bool:
        return self.grid.height == self.grid.width == 1 and not self.cells.array

    def _one_cell(self) -> Callable[[int], str]:
        grid, looks = self.grid, f' s="{self.style}"' if self.style else ""
        formula = escape(formula_text(self.cells.formula))
        cell = f"{column_name(grid.column)}{grid.row + 1}"
        text = f'<c r="{cell}"{looks}><f>{formula}</f><v>{self.values.item()!r}</v></c>'
        return lambda i: text

    def _shared_rows(self) -> Callable[[int], str]:
        grid, head = self.grid, _cell_heads(self.grid, self.style)
        follower = f'><f t="shared" si="{self.shared}"/><v>%r</v></c>'
        template = "".join(part + follower for part in head)
        first = escape(formula_text(self.cells.formula)).replace("%", "%%")
        leader = (
            f'><f t="shared" ref="{grid.bounds.a1}" si="{self.shared}">{first}</f><v>%r</v></c>'
        )
        first_row = head[0] + leader + "".join(part + follower for part in head[1:])

        def text(i: int) -> str:
            row = str(grid.row + i * grid.row_step + 1)
            chosen = template if i else first_row
            return chosen.replace(_OWN_ROW, row) % tuple(self.values[i].tolist())

        return text

    def _written_out_rows(self) -> Callable[[int], str]:
        grid, head = self.grid, _cell_heads(self.grid, self.style)
        moving = [piece for piece in self.cells.formula if isinstance(piece, Moving)]
        marks = _row_marks(moving)
        parts = []
        for j in range(grid.width):
            formula = "".join(
                escape(piece).replace("%", "%%")
                if isinstance(piece, str)
                else _moving_text(piece, j, marks)
                for piece in self.cells.formula
            )
            cell = f"{column_name(grid.column + j * grid.column_step)}{_OWN_ROW}"
            opening = f'<f t="array" ref="{cell}">' if self.cells.array else "<f>"
            parts.append(f"{head[j]}>{opening}{formula}</f><v>%r</v></c>")
        template = "".join(parts)

        def text(i: int) -> str:
            filled = template.replace(_OWN_ROW, str(grid.row + i * grid.row_step + 1))
            for (row, step), mark in marks.items():
                filled = filled.replace(mark, str(row + i * step + 1))
            return filled % tuple(self.values[i].tolist())

        return text


@dataclass(frozen=True, slots=True)
class BlankBand:
    """Cells that have looks and nothing in them."""

    grid: Grid
    style: int

    def row_texts(self) -> Callable[[int], str]:
        template = "".join(f"{head}/>" for head in _cell_heads(self.grid, self.style))
        return lambda i: template.replace(_OWN_ROW, str(self.grid.row + i * self.grid.row_step + 1))


@dataclass(frozen=True, slots=True)
class TextBand:
    """One text."""

    grid: Grid
    text: str
    style: int
    index: int

    def row_texts(self) -> Callable[[int], str]:
        (head,) = _cell_heads(self.grid, self.style)
        filled = head.replace(_OWN_ROW, str(self.grid.row + 1))
        return lambda i: f'{filled} t="s"><v>{self.index}</v></c>'


@dataclass(frozen=True, slots=True)
class ValueBand:
    """One cell with a number, or a formula and the number or text that it shows.

    Attributes:
        grid: where.
        formula: without the equals sign; empty for a constant number.
        value: None for a formula of which nothing is known.
        style: index of the cell format.
    """

    grid: Grid
    formula: str
    value: Value
    style: int

    def row_texts(self) -> Callable[[int], str]:
        (head,) = _cell_heads(self.grid, self.style)
        filled = head.replace(_OWN_ROW, str(self.grid.row + 1))
        formula = f"<f>{escape(self.formula)}</f>" if self.formula else ""
        if isinstance(self.value, float):
            text = f"{filled}>{formula}<v>{self.value!r}</v></c>"
        elif isinstance(self.value, str):
            text = f'{filled} t="str">{formula}<v>{escape(self.value)}</v></c>'
        else:
            text = f"{filled}>{formula}</c>"
        return lambda i: text


Band = NumberBand | FormulaBand | BlankBand | TextBand | ValueBand


@dataclass(slots=True)
class ColumnWidth:
    """A `<col>` element: zero-based columns and their width in characters."""

    first: int
    last: int
    width: float
    hidden: bool = False
    outline: int = 0
    collapsed: bool = False


@dataclass(slots=True)
class SheetContent:
    """Everything that `CellWorksheet` writes itself."""

    bands: list[Band] = field(default_factory=list)
    columns: list[ColumnWidth] = field(default_factory=list)
    default_width: float | None = None
    row_height: float | None = None
    heights: Mapping[int, float] = field(default_factory=dict)
    progress: Callable[[int], object] | None = None


class CellWorksheet(Worksheet):  # type: ignore[misc]
    """A worksheet whose cells come from bands."""

    content: SheetContent

    def prepare(self, content: SheetContent) -> None:
        """Take the cells; to be called once, before the workbook is closed."""
        self.content = content
        grids = [band.grid for band in content.bands]
        self.dim_rowmin = min(grid.row for grid in grids)
        self.dim_rowmax = max(_last_row(grid) for grid in grids)
        self.dim_colmin = min(grid.column for grid in grids)
        self.dim_colmax = max(grid.column + (grid.width - 1) * grid.column_step for grid in grids)

    def _write_sheet_format_pr(self) -> None:
        attributes: list[tuple[str, Any]] = []
        if self.content.default_width is not None:
            attributes.append(("defaultColWidth", self.content.default_width))
        attributes.append(("defaultRowHeight", self.content.row_height or 15))
        if self.content.row_height is not None:
            attributes.append(("customHeight", 1))
        if outline := max((column.outline for column in self.content.columns), default=0):
            attributes.append(("outlineLevelCol", outline))
        self._xml_empty_tag("sheetFormatPr", attributes)

    def _write_cols(self) -> None:
        if not self.content.columns:
            return
        self._xml_start_tag("cols")
        for column in sorted(self.content.columns, key=lambda item: item.first):
            attributes: list[tuple[str, Any]] = [
                ("min", column.first + 1),
                ("max", column.last + 1),
                ("width", column.width),
            ]
            if column.hidden:
                attributes.append(("hidden", 1))
            attributes.append(("customWidth", 1))
            if column.outline:
                attributes.append(("outlineLevel", column.outline))
            if column.collapsed:
                attributes.append(("collapsed", 1))
            self._xml_empty_tag("col", attributes)
        self._xml_end_tag("cols")

    def _write_sheet_data(self) -> None:
        write = self.fh.write
        write("<sheetData>")
        for row, texts, cells in _rows(self.content.bands):
            height = self.content.heights.get(row)
            looks = f' ht="{height}" customHeight="1"' if height is not None else ""
            write(f'<row r="{row + 1}"{looks}>{texts}</row>')
            if self.content.progress is not None:
                self.content.progress(cells)
        write("</sheetData>")


def _rows(bands: Iterable[Band]) -> Iterator[tuple[int, str, int]]:
    """Row number, XML text and number of cells of every row that has any."""
    waiting = sorted(bands, key=lambda band: band.grid.row, reverse=True)
    active: list[tuple[int, int, Grid, Callable[[int], str]]] = []
    row = 0
    while waiting or active:
        if not active:
            row = waiting[-1].grid.row
        begun = len(active)
        while waiting and waiting[-1].grid.row == row:
            band = waiting.pop()
            grid = band.grid
            active.append((grid.column, _last_row(grid), grid, band.row_texts()))
        if len(active) > begun:
            active.sort(key=itemgetter(0))
        texts, cells = [], 0
        for _, _, grid, text in active:
            i, off = divmod(row - grid.row, grid.row_step)
            if not off:
                texts.append(text(i))
                cells += grid.width
        if texts:
            yield row, "".join(texts), cells
        row += 1
        active = [item for item in active if item[1] >= row]


def _last_row(grid: Grid) -> int:
    return grid.row + (grid.height - 1) * grid.row_step


def _cell_heads(grid: Grid, style: int) -> list[str]:
    """The opening of each cell's element in a row, its row number still a mark."""
    looks = f' s="{style}"' if style else ""
    return [
        f'<c r="{column_name(grid.column + j * grid.column_step)}{_OWN_ROW}"{looks}'
        for j in range(grid.width)
    ]


def _row_marks(moving: Iterable[Moving]) -> dict[tuple[int, int], str]:
    """A mark for each (first row of a reference, its step): rows that move alike share one."""
    keys = {
        (row, piece.row_step)
        for piece in moving
        for row in (piece.row, piece.row + piece.height - 1)
    }
    return {key: chr(ord(_OWN_ROW) + 1 + number) for number, key in enumerate(sorted(keys))}


def _moving_text(piece: Moving, j: int, marks: dict[tuple[int, int], str]) -> str:
    column = piece.column + j * piece.column_step
    prefix = escape(quote_sheet(piece.sheet) + "!").replace("%", "%%") if piece.sheet else ""
    first = f"{column_name(column)}{marks[piece.row, piece.row_step]}"
    if piece.height == 1 and piece.width == 1:
        return prefix + first
    last_row = marks[piece.row + piece.height - 1, piece.row_step]
    return f"{prefix}{first}:{column_name(column + piece.width - 1)}{last_row}"

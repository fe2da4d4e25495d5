"""Every cell of a workbook's worksheets in a few long arrays, sorted by place.

A cell is known by its position in the arrays; its key is worksheet, row and column in one
whole number, so that the cells of a row's stretch are a slice of the arrays.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from .. import description
from ..cells import MAX_COLUMNS, MAX_ROWS, Cell, Grid
from ..values import Value
from ..xlsx import SheetCell, read_cells, sheet_parts

Positions = NDArray[np.intp]
Mask = NDArray[np.bool_]
Keys = NDArray[np.int64]

_ROWS = np.int64(MAX_ROWS)
_COLUMNS = np.int64(MAX_COLUMNS)


@dataclass(frozen=True, slots=True)
class SourceFormula:
    """A formula as the file stores it, once for all the cells that it fills.

    Attributes:
        sheet: number of the worksheet.
        row, column: the cell whose formula the text is.
        text: without the equals sign.
        array: whether it is an array formula.
    """

    sheet: int
    row: int
    column: int
    text: str
    array: bool


@dataclass(frozen=True, slots=True)
class BookCells:
    """The cells of a workbook that hold something, and blank ones that were asked for.

    Attributes:
        sheets: names of the worksheets, in order, without sheetconv's own.
        keys: sorted; see `key`.
        numbers: what cells show; NaN where that is no number.
        odd: position -> what a cell shows that is no number and no blank.
        formula: index in `formulas`, -1 for a constant.
        shift: (cells, 2): rows and columns from the formula's own cell, for fills.
        formulas: the formulas.
    """

    sheets: tuple[str, ...]
    keys: Keys
    numbers: NDArray[np.float64]
    odd: dict[int, Value]
    formula: NDArray[np.intp]
    shift: NDArray[np.int64]
    formulas: list[SourceFormula]

    @property
    def is_formula(self) -> Mask:
        """Which cells hold a formula."""
        return self.formula >= 0

    def sheet_number(self, name: str) -> int | None:
        """The number of a worksheet; names do not distinguish case in formulas."""
        return next((i for i, own in enumerate(self.sheets) if own.lower() == name.lower()), None)

    def find(self, cell: Cell) -> int | None:
        """The position of a cell; None for a blank one."""
        wanted = key(self.sheets.index(cell.sheet), cell.row, cell.column)
        position = int(np.searchsorted(self.keys, wanted))
        found = position < self.keys.size and self.keys[position] == wanted
        return position if found else None

    def places(self, positions: Positions) -> tuple[Keys, Keys, Keys]:
        """Worksheet numbers, rows and columns of cells."""
        lines, columns = np.divmod(self.keys[positions], _COLUMNS)
        sheets, rows = np.divmod(lines, _ROWS)
        return sheets, rows, columns

    def cell(self, position: int) -> Cell:
        """The cell at a position."""
        sheet, row, column = (int(part[0]) for part in self.places(np.array([position])))
        return Cell(self.sheets[sheet], row, column)

    def value(self, position: int) -> Value:
        """What a cell shows."""
        number = float(self.numbers[position])
        return self.odd.get(position) if number != number else number

    def of_grids(self, grids: Iterable[Grid]) -> Positions:
        """The positions of grids' units, in order; each must be known, be it blank."""
        return np.searchsorted(self.keys, grid_keys(self.sheets, grids))


def key(sheet: int, row: int, column: int) -> int:
    """Worksheet number, row and column of a cell as one number."""
    return (sheet * MAX_ROWS + row) * MAX_COLUMNS + column


def grid_keys(sheets: tuple[str, ...], grids: Iterable[Grid]) -> Keys:
    """The keys of every unit of some grids, in order."""
    parts = [np.empty(0, dtype=np.int64)]
    for grid in grids:
        rows = grid.row + grid.row_step * np.arange(grid.height)[:, None]
        columns = grid.column + grid.column_step * np.arange(grid.width)
        lines = np.int64(sheets.index(grid.sheet)) * _ROWS + rows
        parts.append((lines * _COLUMNS + columns).ravel())
    return np.concatenate(parts)


def read_book(path: str | os.PathLike[str], blanks: Iterable[Grid]) -> BookCells:
    """Read every worksheet once.

    Args:
        path: the workbook.
        blanks: cells that are to be known even if they are blank.

    Raises:
        WorkbookError: the file cannot be read as a workbook.
    """
    sheets = tuple(name for name in sheet_parts(path) if name != description.SHEET)
    reader = _Reader()
    for number, name in enumerate(sheets):
        reader.read(number, read_cells(path, name))
    filled = np.array(reader.keys, dtype=np.int64)
    keys = np.sort(np.concatenate((filled, grid_keys(sheets, blanks))))
    keys = keys[np.diff(keys, prepend=-1) != 0]
    at = np.searchsorted(keys, filled)
    numbers = np.full(keys.size, np.nan)
    numbers[at] = reader.numbers
    formula = np.full(keys.size, -1, dtype=np.intp)
    formula[at] = reader.formula
    odd = {int(at[index]): value for index, value in reader.odd.items()}
    return BookCells(
        sheets,
        keys,
        numbers,
        odd,
        formula,
        _shifts(keys, formula, reader.formulas),
        reader.formulas,
    )


def _shifts(keys: Keys, formula: Positions, formulas: list[SourceFormula]) -> Keys:
    """Rows and columns from each cell's formula; array formulas are not moved."""
    shift = np.zeros((keys.size, 2), dtype=np.int64)
    filled = np.flatnonzero(formula >= 0)
    sources = formula[filled]
    own = np.array([(item.row, item.column) for item in formulas], dtype=np.int64).reshape(-1, 2)
    lines, columns = np.divmod(keys[filled], _COLUMNS)
    shift[filled, 0] = lines % _ROWS - own[sources, 0]
    shift[filled, 1] = columns - own[sources, 1]
    is_array = np.array([item.array for item in formulas], dtype=np.bool_)
    shift[filled[is_array[sources]]] = 0
    return shift


class _Reader:
    """Gathers the cells of worksheets one after the other."""

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.numbers: list[float] = []
        self.odd: dict[int, Value] = {}
        self.formula: list[int] = []
        self.formulas: list[SourceFormula] = []

    def read(self, sheet: int, cells: Iterator[SheetCell]) -> None:
        shared_by: dict[int, int] = {}
        filled_by: dict[tuple[int, int], int] = {}
        keys, numbers, sources = self.keys, self.numbers, self.formula
        first, nan = sheet * MAX_ROWS, math.nan
        for row, column, formula, array, shared, value, area in cells:
            if isinstance(value, float):
                numbers.append(value)
            else:
                if value is not None:
                    self.odd[len(keys)] = value
                numbers.append(nan)
            keys.append((first + row) * MAX_COLUMNS + column)
            source = -1
            if formula:
                source = len(self.formulas)
                self.formulas.append(SourceFormula(sheet, row, column, formula, array))
                if shared is not None:
                    shared_by[shared] = source
                if area is not None:
                    filled_by[area.row, area.column] = source
            elif shared is not None:
                source = shared_by.get(shared, -1)
            elif area is not None:
                source = filled_by.get((area.row, area.column), -1)
            sources.append(source)


def rectangles(rows: Keys, columns: Keys) -> list[tuple[int, int, int, int]]:
    """Places as few rectangles: (first row, first column, height, width), from the top.

    Args:
        rows, columns: of every place, row by row.

    Example:
        >>> rectangles(np.array([0, 0, 1, 1, 5]), np.array([2, 3, 2, 3, 0]))
        [(0, 2, 2, 2), (5, 0, 1, 1)]
    """
    if not rows.size:
        return []
    top, left = int(rows.min()), int(columns.min())
    height, width = int(rows.max()) - top + 1, int(columns.max()) - left + 1
    if height * width == rows.size:
        return [(top, left, height, width)]
    begins = np.flatnonzero(
        np.diff(rows, prepend=-1).astype(bool) | (np.diff(columns, prepend=-9) != 1)
    )
    ends = np.append(begins[1:], rows.size) - 1
    found: list[tuple[int, int, int, int]] = []
    # (first column, last column) -> first and last row of the rectangle that still grows.
    growing: dict[tuple[int, int], tuple[int, int]] = {}
    runs = zip(rows[begins].tolist(), columns[begins].tolist(), columns[ends].tolist(), strict=True)
    for row, first, last in chain(runs, ()):
        since, until = growing.get((first, last), (row, row - 1))
        if until != row - 1:
            found.append((since, first, until - since + 1, last - first + 1))
            since = row
        growing[first, last] = (since, row)
    for (first, last), (since, until) in growing.items():
        found.append((since, first, until - since + 1, last - first + 1))
    return sorted(found)

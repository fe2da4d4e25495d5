"""The worksheets of a workbook that are no network's, as pandas frames.

The files may come from anywhere, so that they go through the reader of `xlsx` and never
straight into pandas, and what a table may hold is limited.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .calculators import OpenBook
from .cells import MAX_COLUMNS, MAX_ROWS, Range, column_name
from .errors import WorkbookError
from .values import CellError, Value
from .xlsx import read_cells

if TYPE_CHECKING:
    import pandas as pd

#: Cells of one table: four million fill some gigabyte of memory.
MOST_CELLS = 2**22


@dataclass(slots=True)
class TableCells:
    """What the cells of a worksheet hold.

    Attributes:
        sheet: the worksheet's name.
        values: (row, column), zero-based -> value, for formulas the cached one, which may be
            None.
        formulas: the cells that hold a formula.
    """

    sheet: str
    values: dict[tuple[int, int], Value] = field(default_factory=dict)
    formulas: set[tuple[int, int]] = field(default_factory=set)

    @property
    def unknown(self) -> int:
        """How many formulas have no value."""
        return sum(self.values[cell] is None for cell in self.formulas)


def read_table(path: Path, sheet: str) -> TableCells:
    """The cells of a worksheet.

    Raises:
        WorkbookError: the file cannot be read; or the worksheet has more than `MOST_CELLS`
            cells, or one beyond Excel's last.
    """
    table = TableCells(sheet)
    for cell in read_cells(path, sheet):
        at = (cell.row, cell.column)
        if not (0 <= cell.row < MAX_ROWS and cell.column < MAX_COLUMNS):
            raise WorkbookError(
                f"{path}: worksheet {sheet!r} has a cell beyond XFD{MAX_ROWS}, where worksheets "
                "end: open it in a spreadsheet program and save it again"
            )
        table.values[at] = cell.value
        if cell.formula is not None:
            table.formulas.add(at)
        _check_size(path, table, len(table.values))
    rows, columns = _extent(table)
    _check_size(path, table, len(rows) * len(columns))
    return table


def _check_size(path: Path, table: TableCells, cells: int) -> None:
    if cells > MOST_CELLS:
        raise WorkbookError(
            f"{path}: the table on worksheet {table.sheet!r} has more than {MOST_CELLS:,} cells, "
            "too many for a frame: take that worksheet out"
        )


def recalculated_table(book: OpenBook, table: TableCells) -> TableCells:
    """The same table with its formulas' values as an engine has them.

    Raises:
        CalculatorError: the program failed.
    """
    values = dict(table.values)
    columns: dict[int, list[int]] = {}
    for row, column in table.formulas:
        columns.setdefault(column, []).append(row)
    for column, rows in columns.items():
        for first, last in _runs(sorted(rows)):
            shown = book.get_values(Range(table.sheet, first, column, last - first + 1))
            values |= {(first + i, column): line[0] for i, line in enumerate(shown)}
    return TableCells(table.sheet, values, table.formulas)


def _runs(rows: list[int]) -> list[tuple[int, int]]:
    """Adjacent rows as (first, last).

    Example:
        >>> _runs([1, 2, 3, 7])
        [(1, 3), (7, 7)]
    """
    runs: list[tuple[int, int]] = []
    for row in rows:
        if runs and runs[-1][1] == row - 1:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((row, row))
    return runs


def table_frame(table: TableCells) -> pd.DataFrame:
    """A table as a frame: rows by their numbers in the worksheet, blank ones left out.

    The first row names the columns where it has a text in each, no two the same, and there
    are rows below; else the columns are A, B, C as in the worksheet. Blanks, errors and
    formulas without a value are NaN.

    Example:
        >>> cells = {(0, 0): "name", (0, 2): "mark", (1, 0): "Ada", (1, 2): 5.0}
        >>> table_frame(TableCells("marks", cells))
            name  mark
        row
        2    Ada   5.0
    """
    import pandas as pd

    rows, columns = _extent(table)
    names = [column_name(column) for column in columns]
    if len(rows) > 1:
        head = [table.values.get((rows[0], column)) for column in columns]
        texts = [value for value in head if type(value) is str and value]
        if len(set(texts)) == len(columns):
            names, rows = texts, rows[1:]
    index = pd.Index([row + 1 for row in rows], name="row", dtype="int64")
    filled = {
        number: [_shown(table.values.get((row, column))) for row in rows]
        for number, column in enumerate(columns)
    }
    return pd.DataFrame(filled, index=index).set_axis(names, axis="columns")


def _extent(table: TableCells) -> tuple[list[int], list[int]]:
    """The rows and the columns that hold anything."""
    return sorted({row for row, _ in table.values}), sorted({column for _, column in table.values})


def _shown(value: Value) -> Value:
    return math.nan if value is None or isinstance(value, CellError) else value

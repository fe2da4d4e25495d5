"""Which cells change at every recalculation: RAND and its like, and all that depends on them.

Their cached values say nothing about likeness, so that a comparison of workbooks must
know them. The closure is computed over masks of the formula cells, not cell by cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..references import Area, References, references


class Source(NamedTuple):
    """One formula cell: worksheet, zero-based row and column, and the formula's text."""

    sheet: str
    row: int
    column: int
    formula: str


def volatile_cells(
    formulas: Iterable[Source], names: Mapping[str, str]
) -> tuple[dict[str, set[tuple[int, int]]], frozenset[str]]:
    """The cells whose value depends on a volatile function, directly or not.

    Args:
        formulas: every formula cell of the workbook.
        names: what each defined name (lower case) stands for, as the text of a formula.

    Returns:
        The cells, (row, column) by worksheet, and the volatile functions in use.

    Example:
        >>> cells = [Source("s", 0, 0, "=RAND()"), Source("s", 1, 0, "=SUM(A1:B1)"),
        ...     Source("s", 2, 0, "=C1")]
        >>> volatile, functions = volatile_cells(cells, {})
        >>> sorted(volatile["s"]), functions
        ([(0, 0), (1, 0)], frozenset({'RAND'}))
    """
    cells = list(formulas)
    resolved: dict[str, References] = {}
    owners: list[int] = []
    areas: list[Area] = []
    functions: set[str] = set()
    roots: list[int] = []
    for index, cell in enumerate(cells):
        found = references(cell.formula, cell.sheet)
        for name in found.names:
            if name in names:
                meaning = _resolve(name, names, resolved)
                found.areas += meaning.areas
                found.functions |= meaning.functions
        owners += [index] * len(found.areas)
        areas += found.areas
        if found.functions:
            functions |= found.functions
            roots.append(index)
    if not roots:
        return {}, frozenset()
    dirty = _spread(cells, np.array(owners, dtype=np.intp), areas, roots)
    result: dict[str, set[tuple[int, int]]] = {}
    for cell in (cells[index] for index in np.flatnonzero(dirty)):
        result.setdefault(cell.sheet, set()).add((cell.row, cell.column))
    return result, frozenset(functions)


def _resolve(name: str, names: Mapping[str, str], resolved: dict[str, References]) -> References:
    """What a defined name reads, through the names that it uses."""
    if name not in resolved:
        # Entered before its names are followed, so that names in a circle end.
        found = resolved[name] = references(names[name], "")
        for inner in found.names:
            if inner in names:
                meaning = _resolve(inner, names, resolved)
                found.areas += [area for area in meaning.areas if area not in found.areas]
                found.functions |= meaning.functions
    return resolved[name]


class _SheetMask:
    """The formula cells of one worksheet on a grid without the rows and columns between them."""

    def __init__(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> None:
        self.rows, self.i = np.unique(rows, return_inverse=True)
        self.columns, self.j = np.unique(columns, return_inverse=True)
        self.sums = np.zeros((self.rows.size + 1, self.columns.size + 1), dtype=np.int64)

    def place(self, areas: NDArray[np.intp]) -> None:
        """Take over the areas (top, left, bottom, right) that will be asked for."""
        self.top = np.searchsorted(self.rows, areas[:, 0], "left")
        self.left = np.searchsorted(self.columns, areas[:, 1], "left")
        self.bottom = np.searchsorted(self.rows, areas[:, 2], "right")
        self.right = np.searchsorted(self.columns, areas[:, 3], "right")

    def hits(self, dirty: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether each area holds a dirty cell, by a table of sums over all rectangles."""
        marks = np.zeros((self.rows.size, self.columns.size), dtype=np.int64)
        marks[self.i[dirty], self.j[dirty]] = 1
        self.sums[1:, 1:] = marks.cumsum(axis=0).cumsum(axis=1)
        sums = self.sums
        inside = (
            sums[self.bottom, self.right]
            - sums[self.top, self.right]
            - sums[self.bottom, self.left]
            + sums[self.top, self.left]
        )
        return np.asarray(inside > 0)


def _spread(
    cells: list[Source], owners: NDArray[np.intp], areas: list[Area], roots: list[int]
) -> NDArray[np.bool_]:
    """Which cells are among the roots or read, directly or not, one that is."""
    dirty = np.zeros(len(cells), dtype=np.bool_)
    dirty[roots] = True
    # Names of worksheets do not distinguish case in formulas.
    numbers: dict[str, int] = {}
    sheets = np.array([numbers.setdefault(cell.sheet.lower(), len(numbers)) for cell in cells])
    positions = np.array([(cell.row, cell.column) for cell in cells], dtype=np.intp)
    area_sheets = np.array([numbers.get(area.sheet.lower(), -1) for area in areas], dtype=np.intp)
    corners = np.array([area[1:5] for area in areas], dtype=np.intp).reshape(-1, 4)
    masks = []
    for number in range(len(numbers)):
        on_sheet = np.flatnonzero(sheets == number)
        asked = np.flatnonzero(area_sheets == number)
        mask = _SheetMask(positions[on_sheet, 0], positions[on_sheet, 1])
        mask.place(corners[asked])
        masks.append((mask, on_sheet, owners[asked]))
    before = -1
    while (count := int(dirty.sum())) != before:
        before = count
        for mask, on_sheet, readers in masks:
            dirty[readers[mask.hits(dirty[on_sheet])]] = True
    return dirty

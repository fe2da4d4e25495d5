"""The cells of a workbook's tensors, as the file or an engine has them: numbers, and neither.

It reads the workbook's description and then each worksheet once, as a stream.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from . import description
from .calculators import OpenBook
from .cells import Cell, Grid
from .description import Described
from .errors import CheckError
from .formulas import CellFormulas, Placed, Role, can_share, formula_text
from .layers.base import Array, Border
from .layout import stage_formulas
from .padding_cells import Moat, Stray
from .values import Value
from .xlsx import SheetCell, read_cells, sheet_parts


@dataclass(slots=True)
class TensorCells:
    """The cells of one tensor, in its flat order.

    Attributes:
        placed: where they stand.
        numbers: (size,); NaN where the cell holds no number. For formulas the cached value.
        odd: flat index -> what a cell holds that is no number: a text, an error, None.
        is_formula: (size,) whether the cell holds a formula.
        changed: flat indices of cells whose formula is not the one that sheetconv writes.
        strays: what stands on the padding around its planes and does not belong there.
    """

    placed: Placed
    numbers: Array
    odd: dict[int, Value]
    is_formula: NDArray[np.bool_]
    changed: list[int] = field(default_factory=list)
    strays: list[Stray] = field(default_factory=list)

    @property
    def has_cached_values(self) -> bool:
        """Whether any formula shows a value."""
        shown = self.is_formula.copy()
        shown[[index for index, value in self.odd.items() if value is None]] = False
        return bool(shown.any())

    @property
    def array(self) -> Array:
        """The numbers in the tensor's shape; a blank cell counts as 0, as in a sum.

        A formula without a cached value is no blank: it is NaN.
        """
        numbers = self.numbers
        blanks = [
            index
            for index, value in self.odd.items()
            if value is None and not self.is_formula[index]
        ]
        if blanks:
            numbers = numbers.copy()
            numbers[blanks] = 0.0
        return numbers.reshape(self.placed.shape)


def description_rows(path: Path) -> list[str]:
    """The texts with which a workbook describes itself.

    Raises:
        WorkbookError: the file cannot be read as a workbook.
        CheckError: sheetconv did not make it.
    """
    if description.SHEET not in sheet_parts(path):
        raise CheckError(
            f"{path} was not made by sheetconv: it has no worksheet {description.SHEET!r} that "
            "describes its network; make one with: sheetconv build"
        )
    rows = [
        (cell.row, str(cell.value))
        for cell in read_cells(path, description.SHEET)
        if cell.column == 0 and cell.value is not None
    ]
    return [text for _, text in sorted(rows)]


def read_descriptions(path: Path) -> list[Described]:
    """The networks that a workbook says it holds; none where it only trains one in its cells.

    Raises:
        WorkbookError: the file cannot be read as a workbook.
        CheckError: sheetconv did not make it, its description is damaged, or one of its
            worksheets is gone.
    """
    described = description.from_rows(description_rows(path), str(path))
    sheets = sheet_parts(path)
    for item in described:
        if gone := [name for name in item.layout.worksheets if name not in sheets]:
            raise CheckError(
                f"{path} has no worksheet {gone[0]!r}, on which its network stood: it has "
                f"{', '.join(name for name in sheets if name != description.SHEET)}; give it its "
                "old name again"
            )
    return [_without_gone_guides(item, sheets) for item in described]


def _without_gone_guides(item: Described, sheets: Collection[str]) -> Described:
    """A network without the guides whose worksheets somebody deleted or gave another name.

    Where one of these feeds the network, the others speak of it, and all are left out.
    """
    gone = [guide for guide in item.guides if guide.sheet and guide.sheet not in sheets]
    if not gone:
        return item
    left = [guide for guide in item.guides if guide not in gone]
    if any(guide.feeds() for guide in gone):
        left = []
    return replace(item, guides=tuple(left), gone=tuple(guide.sheet for guide in gone))


def read_tensors(path: Path, described: Described) -> dict[str, TensorCells]:
    """The cells of every tensor of a network, by full name.

    Raises:
        WorkbookError: the file cannot be read.
        LayoutError: the description's formulas do not fit a worksheet.
    """
    layout = described.layout
    tensors = {
        name: TensorCells(
            placed, np.full(placed.size, np.nan), {}, np.zeros(placed.size, dtype=np.bool_)
        )
        for name, placed in layout.placed.items()
    }
    formulas = _formulas_by_grid(described)
    spans: list[_Span] = []
    for name, placed in layout.placed.items():
        start = 0
        for grid in placed.grids:
            items = formulas.get(name, [])
            first = bisect_left(items, start, key=_START)
            last = bisect_left(items, start + grid.size, key=_START)
            spans.append(_Span(tensors[name], grid, start, items[first:last]))
            start += grid.size
    readers: list[_Span | Moat] = [*spans, *_moats(described, tensors)]
    for sheet in layout.worksheets:
        own = [reader for reader in readers if reader.grid.sheet == sheet]
        _fill(own, read_cells(path, sheet))
    for tensor in tensors.values():
        missing = np.flatnonzero(np.isnan(tensor.numbers))
        for index in missing.tolist():
            tensor.odd.setdefault(index, None)
    return tensors


def read_placed(
    path: Path,
    placed: Mapping[str, Placed],
    formulas: Mapping[str, Sequence[CellFormulas]],
) -> dict[str, TensorCells]:
    """The cells of tensors that stand anywhere, by name.

    Args:
        path: the workbook.
        placed: name -> where its cells stand.
        formulas: name -> the formulas that sheetconv writes there, if any.

    Raises:
        WorkbookError: the file cannot be read.
    """
    tensors = {
        name: TensorCells(where, np.full(where.size, np.nan), {}, np.zeros(where.size, np.bool_))
        for name, where in placed.items()
    }
    spans: list[_Span | Moat] = []
    for name, where in placed.items():
        items, start = sorted(formulas.get(name, ()), key=_START), 0
        for grid in where.grids:
            first = bisect_left(items, start, key=_START)
            last = bisect_left(items, start + grid.size, key=_START)
            spans.append(_Span(tensors[name], grid, start, items[first:last]))
            start += grid.size
    for sheet in dict.fromkeys(span.grid.sheet for span in spans):
        _fill([span for span in spans if span.grid.sheet == sheet], read_cells(path, sheet))
    for tensor in tensors.values():
        for index in np.flatnonzero(np.isnan(tensor.numbers)).tolist():
            tensor.odd.setdefault(index, None)
    return tensors


def cell_of(placed: Placed, index: int) -> Cell:
    """The cell of a tensor's unit by its flat index."""
    for grid in placed.grids:
        if index < grid.size:
            return grid.cell(*divmod(index, grid.width))
        index -= grid.size
    raise IndexError(index)


def numbers_of(rows: Sequence[Sequence[Value]], grid: Grid) -> tuple[Array, dict[int, Value]]:
    """The units of a grid from the values of its bounds: numbers, and what is none.

    Example:
        >>> numbers_of([[1.0, None, "x"]], Grid("s", 0, 0, 1, 2, column_step=2))
        (array([ 1., nan]), {1: 'x'})
    """
    values = [value for row in rows[:: grid.row_step] for value in row[:: grid.column_step]]
    if _are_numbers(values):
        return np.array(values), {}
    odd: dict[int, Value] = {}
    numbers = np.full(len(values), np.nan)
    for index, value in enumerate(values):
        if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
            numbers[index] = value
        else:
            odd[index] = value
    return numbers, odd


def _are_numbers(values: Sequence[Value]) -> bool:
    """Whether all are floats, as nearly always: then one call takes them."""
    return set(map(type, values)) == {float}


def calculated(book: OpenBook, placed: Placed) -> tuple[Array, dict[int, Value]]:
    """What an engine shows of a tensor: numbers, flat, and by flat index what is none.

    Raises:
        CalculatorError: a worksheet is missing or the program failed.
    """
    parts, odd, start = [], dict[int, Value](), 0
    for grid in placed.grids:
        values, strange = numbers_of(book.get_values(grid.bounds), grid)
        parts.append(values)
        odd |= {start + index: value for index, value in strange.items()}
        start += grid.size
    return np.concatenate(parts), odd


_START = attrgetter("start")
_NO_CELL = SheetCell(-1, -1, None, False, None, None)


@dataclass(slots=True)
class _Span:
    """One grid of a tensor while the worksheet's rows stream by."""

    tensor: TensorCells
    grid: Grid
    start: int
    formulas: list[CellFormulas]
    first_row: int = field(init=False)
    last_row: int = field(init=False)
    columns: range = field(init=False)

    def __post_init__(self) -> None:
        bounds = self.grid.bounds
        self.first_row, self.last_row = bounds.row, bounds.last_row
        self.columns = range(bounds.column, bounds.last_column + 1, self.grid.column_step)

    def take(self, row: int, by_column: dict[int, SheetCell]) -> None:
        i, off = divmod(row - self.first_row, self.grid.row_step)
        if not off:
            _take_row(self, i, by_column)


def _formulas_by_grid(described: Described) -> dict[str, list[CellFormulas]]:
    """The formulas of each tensor, by its full name, in its flat order."""
    layout = described.layout
    found: dict[str, list[CellFormulas]] = {}
    for stage in layout.stages:
        for item in stage_formulas(described.network, stage, layout.placed, layout.drawing):
            found.setdefault(f"{stage.name}.{item.tensor}", []).append(item)
    for guide in described.guides:
        for name, fed in guide.feeds().items():
            found.setdefault(name, []).extend(fed)
    for items in found.values():
        items.sort(key=_START)
    return found


def _moats(described: Described, tensors: dict[str, TensorCells]) -> list[Moat]:
    """The padding that is no tensor of its own, around every plane that has some."""
    moats = []
    for stage in described.layout.stages:
        border = described.network.layers[stage.name].border(stage.input_shape)
        if border.filled or border == Border(zeros=border.zeros, counts=border.counts):
            continue
        source = tensors[stage.source]
        moats += [
            Moat(grid, plane, border, source.strays)
            for plane, grid in enumerate(source.placed.grids)
        ]
    return moats


def _fill(readers: list[_Span | Moat], cells: Iterator[SheetCell]) -> None:
    waiting = sorted(readers, key=lambda reader: reader.first_row, reverse=True)
    active: list[_Span | Moat] = []
    for row, group in groupby(cells, key=attrgetter("row")):
        while waiting and waiting[-1].first_row <= row:
            active.append(waiting.pop())
        active = [reader for reader in active if reader.last_row >= row]
        by_column = {cell.column: cell for cell in group}
        for reader in active:
            reader.take(row, by_column)
    for reader in readers:
        if isinstance(reader, Moat):
            reader.finish()


def _take_row(span: _Span, i: int, by_column: dict[int, SheetCell]) -> None:
    tensor, first = span.tensor, span.start + i * span.grid.width
    last = first + span.grid.width
    cells = [by_column.get(column, _NO_CELL) for column in span.columns]
    values = [cell.value for cell in cells]
    # What is written as infinity or NaN is no number of any spreadsheet.
    if _are_numbers(values) and all(map(math.isfinite, values)):  # type: ignore[arg-type]
        tensor.numbers[first:last] = values
    else:
        for index, value in enumerate(values, first):
            if isinstance(value, float) and math.isfinite(value):
                tensor.numbers[index] = value
            else:
                tensor.odd[index] = value
    is_formula = [cell.formula is not None for cell in cells]
    if any(is_formula):
        tensor.is_formula[first:last] = is_formula
        if span.formulas:
            tensor.changed += [
                index for index, cell in enumerate(cells, first) if _is_changed(span, index, cell)
            ]


def _is_changed(span: _Span, index: int, cell: SheetCell) -> bool:
    """Whether a formula is another than sheetconv writes, spaces aside.

    The followers of a shared formula are the fill of a leader that is compared itself.
    """
    if cell.formula is None or (cell.formula == "" and cell.shared is not None):
        return False
    number = bisect_right(span.formulas, index, key=_START) - 1
    if number < 0:
        return False
    item = span.formulas[number]
    if cell.shared is not None and not can_share(item):
        return False
    text = formula_text(item.formula, *divmod(index - item.start, item.grid.width))
    return not same_formula(cell.formula, text)


def same_formula(a: str, b: str) -> bool:
    """Whether two formulas are one, spaces and capital letters aside."""
    return a == b or _normal(a) == _normal(b)


def _normal(formula: str) -> str:
    return formula.replace(" ", "").replace("_xlfn.", "").upper()


def given_roles(described: Described, *roles: Role) -> list[str]:
    """Full names of the tensors of a network that have one of the roles."""
    return [name for name, placed in described.layout.placed.items() if placed.role in roles]


def cells_of(placed: Placed) -> Iterator[Cell]:
    """Every cell of a tensor, in its flat order."""
    for grid in placed.grids:
        yield from grid.cells()

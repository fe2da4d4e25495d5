"""The cells that explain a network, held against what they have to show.

A guide says itself what each of its formulas shows, computed by other means from the
numbers and choices that the workbook shows; see `guides.base`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np

from ..calculators import OpenBook
from ..cells import Cell, Grid, Range
from ..description import Described
from ..formulas import Placed, Role
from ..guides import Given, Guide, GuideCell, Shown
from ..guides.pictures import Pictures
from ..layers.base import Array
from ..tensor_cells import TensorCells, cell_of, same_formula
from ..values import Value
from ..xlsx import SheetCell, read_cells
from .comparing import POISON, shown_value
from .results import LayerResult, TensorResult, WrongCell

# The bound of sums of numbers of 15 digits, in bounds of sums of doubles.
_COARSE_BOUND = 64

#: So many pictures are chosen in turn, and so many where they are large.
MOST_PICTURES, FEWEST_PICTURES = 100, 20
# Cells that engines go over for all pictures: about a minute.
_MOST_VISITS = 200_000_000

Values = Mapping[Cell, Value]


@dataclass
class GuideCells:
    """The cells of a network's guides as the file has them.

    Attributes:
        given: those that a person changes, by name.
        formulas: where their formulas stand, by worksheet: few ranges, which may hold others'
            cells.
        cells: all of them, by place; blanks are missing.
    """

    given: dict[str, Given]
    formulas: dict[str, list[Range]]
    cells: dict[Cell, SheetCell] = field(default_factory=dict)

    @cached_property
    def values(self) -> dict[Cell, Value]:
        """What they show."""
        return {cell: item.value for cell, item in self.cells.items()}

    @cached_property
    def held(self) -> dict[str, tuple[Value, ...]]:
        """What a person's cells hold, by name."""
        values = self.values
        return {
            name: tuple(values.get(cell) for cell in item.grid.cells())
            for name, item in self.given.items()
        }


def read_guides(path: Path, described: Described) -> GuideCells:
    """The cells of a network's guides, from the file.

    Raises:
        WorkbookError: the file cannot be read, or a worksheet is gone.
    """
    given = {name: item for guide in described.guides for name, item in guide.given().items()}
    tensors = {name: np.zeros(placed.shape) for name, placed in described.layout.placed.items()}
    # Numbers of the right shapes are enough to ask where cells stand.
    blank = Shown(tensors, {name: item.values for name, item in given.items()})
    found = GuideCells(given, _areas(described, blank, formulas=True))
    for sheet, areas in _areas(described, blank, formulas=False).items():
        for item in read_cells(path, sheet):
            if any(_holds(area, item) for area in areas):
                found.cells[Cell(sheet, item.row, item.column)] = item
    return found


def _holds(area: Range, item: SheetCell) -> bool:
    return area.row <= item.row <= area.last_row and area.column <= item.column <= area.last_column


def _areas(described: Described, blank: Shown, *, formulas: bool) -> dict[str, list[Range]]:
    """Where a network's guides have cells, or only formulas, by worksheet."""
    found: dict[str, list[Range]] = {}
    own: dict[str, list[Range]] = {}
    for guide in described.guides:
        areas = [
            Range(item.cell.sheet, item.cell.row, item.cell.column)
            for item in guide.cells(blank)
            if item.formula or not formulas
        ]
        if not formulas:
            areas += [given.grid.bounds for given in guide.given().values()]
        for area in areas:
            is_own = area.sheet == guide.sheet
            (own if is_own else found).setdefault(area.sheet, []).append(area)
    for sheet, areas in own.items():
        found[sheet] = [_around(areas)]
    return {sheet: _by_row(areas) for sheet, areas in found.items()}


def _around(areas: Sequence[Range]) -> Range:
    top, left = min(area.row for area in areas), min(area.column for area in areas)
    bottom, right = max(area.last_row for area in areas), max(area.last_column for area in areas)
    return Range(areas[0].sheet, top, left, bottom - top + 1, right - left + 1)


def _by_row(areas: Sequence[Range]) -> list[Range]:
    """Single cells of one row as one range, larger ranges as they are."""
    rows: dict[tuple[int, int], list[Range]] = {}
    for area in areas:
        rows.setdefault((area.row, area.height), []).append(area)
    return [_around(own) for own in rows.values()]


def calculated_guides(book: OpenBook, guides: GuideCells) -> dict[Cell, Value]:
    """What an engine shows where a network's guides have formulas.

    Raises:
        CalculatorError: a worksheet is missing or the program failed.
    """
    values: dict[Cell, Value] = {}
    for areas in guides.formulas.values():
        for area in areas:
            for i, row in enumerate(book.get_values(area)):
                for j, value in enumerate(row):
                    if value is not None:
                        values[Cell(area.sheet, area.row + i, area.column + j)] = value
    return values


def choices(
    described: Described, held: Mapping[str, tuple[Value, ...]], most: int
) -> tuple[list[dict[str, tuple[Value, ...]]], int]:
    """What to choose, one after the other, and how much there is to choose.

    Args:
        described: the network.
        held: what a person's cells hold.
        most: how many choices of each guide are made; of pictures more, unless they are many
            and large.
    """
    chosen, all_of_them = [], 0
    for guide in described.guides:
        turns = guide.turns(held)
        limit = max(most, _most_pictures(described)) if "input" in guide.feeds() else most
        # What cannot be used comes last, and is tried in any case.
        step = max(1, -(-len(turns) // limit))
        chosen += turns[::-step][::-1]
        all_of_them += len(turns)
    return chosen, all_of_them


def _most_pictures(described: Described) -> int:
    """How many pictures are chosen: IronCalc goes over the whole bank for each pixel."""
    banks = [g.count for g in described.guides if isinstance(g, Pictures)]
    size = prod(described.layout.input_shape)
    return max(FEWEST_PICTURES, min(MOST_PICTURES, _MOST_VISITS // (sum(banks) * size * size)))


def texts(
    described: Described, held: Mapping[str, tuple[Value, ...]]
) -> list[dict[str, tuple[Value, ...]]]:
    """What to choose besides, with a text where a number is expected."""
    return [turn for guide in described.guides for turn in guide.text_turns(held)]


def choose(book: OpenBook, guides: GuideCells, turn: Mapping[str, tuple[Value, ...]]) -> None:
    """Write into the cells of a person.

    Raises:
        CalculatorError: the program failed.
    """
    for name, values in turn.items():
        grid = guides.given[name].grid
        rows = [list(values[i * grid.width : (i + 1) * grid.width]) for i in range(grid.height)]
        book.set_values(grid.bounds, rows)


def compare_guides(
    described: Described,
    shown: Shown,
    values: Values,
    source: str,
    *,
    coarseness: float = 0.0,
    fed: Mapping[str, TensorCells] | None = None,
) -> list[LayerResult]:
    """Hold every formula of a network's guides against what it has to show.

    Args:
        described: the network.
        shown: what the workbook shows, which they follow from.
        values: what their cells show.
        source: for the results.
        coarseness: the relative error of all these numbers, beyond rounding to a double.
        fed: the cells of tensors, of which those that guides feed are compared, too, as far as
            they hold formulas. None where something else was written over them.
    """
    results = []
    with np.errstate(all="ignore"):
        for guide in described.guides:
            cells = [cell for cell in guide.cells(shown) if cell.formula]
            result = LayerResult(guide.sheet or guide.home, guide.kind, source, [], [])
            if cells:
                tensor, wrong = _compare_cells(guide, cells, values, source, coarseness)
                result.tensors.append(tensor)
                result.wrong += wrong
            for name, expected in guide.fed(shown).items() if fed is not None else ():
                assert fed is not None
                tensor, wrong = _compare_fed(
                    guide, name, shown.tensors[name], expected, fed[name], source
                )
                result.tensors.append(tensor)
                result.wrong += wrong
            if result.tensors:
                results.append(result)
    return results


def _compare_cells(
    guide: Guide, cells: Sequence[GuideCell], values: Values, source: str, coarseness: float
) -> tuple[TensorResult, list[WrongCell]]:
    count = len(cells)
    got, expected, bound = np.full(count, np.nan), np.full(count, np.nan), np.zeros(count)
    wrong, found = np.zeros(count, dtype=np.bool_), []
    for index, cell in enumerate(cells):
        value = values.get(cell.cell)
        if isinstance(value, float):
            got[index] = value
        if isinstance(cell.value, float):
            expected[index] = cell.value
            bound[index] = cell.bound
            if coarseness:
                bound[index] = _COARSE_BOUND * cell.bound + coarseness * abs(cell.value)
        if _agrees(cell, value, float(bound[index])):
            continue
        wrong[index] = True
        reason = f"got {_said(value)}, expected {_said(cell.value)}"
        if value == POISON:
            reason += "; it was not recalculated"
        number = cell.value if isinstance(cell.value, float) else None
        found.append(
            WrongCell(cell.cell, guide.kind, source, value, number, float(bound[index]), reason)
        )
    grids = tuple(Grid(c.cell.sheet, c.cell.row, c.cell.column, 1, 1) for c in cells)
    placed = Placed((count,), Role.STEP, grids)
    none = np.zeros(count, dtype=np.bool_)
    tensor = TensorResult(guide.kind, placed, got, expected, bound, expected, wrong, none)
    return tensor, found


def _agrees(cell: GuideCell, value: Value, bound: float) -> bool:
    if value == POISON:
        return False
    if cell.value is None:
        # It follows from numbers that the workbook does not show.
        return True
    if isinstance(cell.value, float):
        return isinstance(value, float) and abs(value - cell.value) <= bound
    return value == cell.value or (value is None and cell.value == "")


def _compare_fed(
    guide: Guide, name: str, shown: Array, expected: Array, cells: TensorCells, source: str
) -> tuple[TensorResult, list[WrongCell]]:
    """The cells of a tensor that hold a guide's formulas; numbers typed over them are given."""
    got, wanted = shown.reshape(-1), expected.reshape(-1)
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    wrong = ~same & cells.is_formula
    none = np.zeros(got.size, dtype=np.bool_)
    kept = np.where(cells.is_formula, wanted, got)
    tensor = TensorResult(name, cells.placed, got, kept, np.zeros(got.size), kept, wrong, none)
    found = [
        WrongCell(
            cell_of(cells.placed, index), guide.kind, source, float(got[index]),
            float(wanted[index]), 0.0,
            f"got {_said(float(got[index]))}, expected {_said(float(wanted[index]))}",
        )
        for index in np.flatnonzero(wrong).tolist()
    ]  # fmt: skip
    return tensor, found


def _said(value: Value) -> str:
    return shown_value(value if value == value else None)


def _texts_among_numbers(guide: Guide, file: GuideCells) -> Iterator[WrongCell]:
    """A person's cells that hold no number where the guide has numbers, such as pixels."""
    for name, given in guide.given().items():
        if given.is_numbers:
            for cell, value in zip(given.grid.cells(), file.held[name], strict=True):
                if value is not None and not isinstance(value, float):
                    reason = f"{shown_value(value)} stands where a number is expected"
                    yield WrongCell(cell, guide.kind, "file", value, None, 0.0, reason)


def guide_structure(
    described: Described, file: GuideCells, tensors: Mapping[str, TensorCells]
) -> tuple[list[WrongCell], list[Cell], int]:
    """What is of the wrong kind, whose formula is another, and how many formulas there are.

    Args:
        described: the network.
        file: the cells of its guides, as the file has them.
        tensors: the network's own cells.
    """
    wrong: list[WrongCell] = []
    changed: list[Cell] = []
    count = 0
    shown = Shown({n: t.array for n, t in tensors.items()}, file.held)
    for guide in described.guides:
        wrong += _texts_among_numbers(guide, file)
        for cell in guide.cells(shown):
            item = file.cells.get(cell.cell)
            value = None if item is None else item.value
            if cell.formula:
                count += 1
                if item is None or item.formula is None:
                    reason = f"{shown_value(value)} stands where a formula is expected"
                    wrong.append(WrongCell(cell.cell, guide.kind, "file", value, None, 0.0, reason))
                elif item.formula and not same_formula(item.formula, cell.formula):
                    changed.append(cell.cell)
            elif isinstance(cell.value, float) and value != cell.value:
                reason = f"got {shown_value(value)}, expected {cell.value!r}"
                wrong.append(
                    WrongCell(cell.cell, guide.kind, "file", value, cell.value, 0.0, reason)
                )
        for name in guide.feeds():
            count += int(tensors[name].is_formula.sum())
            changed += [cell_of(tensors[name].placed, index) for index in tensors[name].changed]
    return wrong, changed, count

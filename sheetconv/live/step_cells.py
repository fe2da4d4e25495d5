"""The first step's cells as a live run uses them: what it reads, and over what it writes.

A live step copies what the step made (new weights, what the optimiser keeps) onto the
numbers that the step began with. Programs take their time for each call, so that both go
through few ranges: those that stand near each other are read as one, and the planes of a tensor
are written as one where nothing but blank cells lies between them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..calculators import OpenBook
from ..cell_training.beside import panels_of, setting_tensors
from ..cell_training.home import live_table
from ..cell_training.places import Places
from ..cell_training.reckoning import kept_before
from ..cells import Cell, Range
from ..checking.comparing import shown_value
from ..checking.trainings import bounding, taken
from ..errors import TrainingError
from ..formulas import Placed
from ..layers.base import Array
from ..tensor_cells import cell_of, cells_of
from ..values import Value

# Reading so many cells more takes less time than another call.
_SLACK = 60
_BLANK = -1


@dataclass(frozen=True, slots=True)
class Step:
    """What a recalculated step shows.

    Attributes:
        number: of the step, from 0.
        loss: of its batch.
        lr: its learning rate.
        after: the numbers with which the next step begins, as `StepCells.write` takes them.
    """

    number: int
    loss: float
    lr: float
    after: list[float]


class StepCells:
    """The first step of a workbook that trains.

    Args:
        places: where everything stands.
        book: the workbook, open in an engine.

    Attributes:
        begins: names of the tensors with which a step begins: its number, the weights, and what
            the optimiser keeps.
    """

    def __init__(self, places: Places, book: OpenBook) -> None:
        self.places, self.book = places, book
        self.placed = places.step(0)
        training = places.training
        learned = [f"{layer}.{key}" for layer, key in training.learned]
        kept = list(kept_before(training))
        self.begins = ["number", *learned, *(f"{name}.was" for name in kept)]
        made = [*(f"{name}.new" for name in learned), *kept]
        read = ["number", "loss", "lr", *made]
        self._areas = _merged(_area(self.placed[name]) for name in read)
        where = _offsets(self._areas)
        self._picked = [where[cell] for name in read for cell in cells_of(self.placed[name])]
        self._targets, self._rows = self._writing()

    def read(self) -> Step:
        """What the step shows, once it is recalculated.

        Raises:
            TrainingError: the loss or a new weight is no number: training went astray, or
                somebody typed something that is no number; both are said.
            CalculatorError: the program failed.
        """
        flat = _flat(self.book.get_many(self._areas))
        shown = [flat[index] for index in self._picked]
        try:
            fine = all(map(math.isfinite, shown))  # type: ignore[arg-type]
        except TypeError:
            fine = False
        if not fine:
            raise self._astray()
        number, loss, lr, *made = map(float, shown)  # type: ignore[arg-type]
        return Step(round(number), loss, lr, [number + 1.0, *made])

    def write(self, numbers: Sequence[float]) -> None:
        """Let the step begin with other numbers.

        Args:
            numbers: of all `begins`, one after the other, each in its flat order.

        Raises:
            CalculatorError: the program failed, or refuses.
        """
        known: list[Value] = [*numbers, None]
        values = [[[known[index] for index in row] for row in rows] for rows in self._rows]
        self.book.set_many(self._targets, values)

    def beginning(self) -> list[float]:
        """The numbers with which the step begins, as `write` takes them.

        Raises:
            TrainingError: a cell holds none.
        """
        found = self.tensors(self.begins)
        return [number for name in self.begins for number in found[name].ravel().tolist()]

    def tensors(self, names: Iterable[str]) -> dict[str, Array]:
        """The numbers of some tensors, each in its shape.

        Args:
            names: of the step's tensors; `setting lr` and so on; `data pixels`, `data targets`.

        Raises:
            TrainingError: a cell holds none.
        """
        return self.numbers({name: self.place(name) for name in names})

    def numbers(self, placed: Mapping[str, Placed]) -> dict[str, Array]:
        """The numbers in some cells, by any names, each in its shape.

        Raises:
            TrainingError: a cell holds none.
        """
        areas = [_area(where) for where in placed.values()]
        found = dict[str, Array]()
        many = self.book.get_many(areas)
        for (name, where), area, rows in zip(placed.items(), areas, many, strict=True):
            numbers, odd = taken(rows, where, area)
            if odd:
                raise self._no_number(where, min(odd))
            found[name] = numbers.reshape(where.shape)
        return found

    def by_person(self) -> list[str]:
        """Tensors that only a person changes: settings, data, and numbers of layers."""
        return [*self.places.tensors, *setting_tensors(self.places.training)]

    def split(self, numbers: Sequence[float]) -> dict[str, Array]:
        """The numbers that `write` takes, by tensor, each in its shape."""
        found, start = dict[str, Array](), 0
        for name in self.begins:
            where = self.placed[name]
            own = np.array(numbers[start : start + where.size])
            found[name], start = own.reshape(where.shape), start + where.size
        return found

    def place(self, name: str) -> Placed:
        """Where a tensor stands."""
        return self.placed[name] if name in self.placed else self.places.tensors[name]

    def clear_others(self) -> None:
        """Clear the cells of steps, panels and history, which no live step needs.

        They would take their time at every recalculation. For programs that nobody sees; what
        is saved has them.
        """
        height = self.places.block.height
        own = bounding(map(_area, self.placed.values()))
        width = own.last_column + 1
        areas = [live_table(self.places)]
        areas += [
            Range(own.sheet, self.places.first_row(number), 0, height, width)
            for number in range(1, self.places.training.steps)
        ]
        for panel in panels_of(self.places):
            areas.append(bounding(map(_area, panel.placed.values())))
        for area in areas:
            self.book.set_values(area, [[None] * area.width] * area.height)

    def _writing(self) -> tuple[list[Range], list[list[list[int]]]]:
        """The ranges to write, and for each of their cells the index of its number."""
        others = {
            cell
            for name, where in self.placed.items()
            if name not in self.begins
            for cell in cells_of(where)
        }
        areas, start = list[Range](), 0
        index = dict[Cell, int]()
        for name in self.begins:
            where = self.placed[name]
            index |= {cell: start + k for k, cell in enumerate(cells_of(where))}
            start += where.size
            area = _area(where)
            between = [cell for cell in _cells(area) if cell not in index]
            if others.isdisjoint(between) and self._are_blank(area, between):
                areas.append(area)
                continue
            for grid in where.grids:
                units = [grid] if grid.compact else map(grid.unit, range(grid.size))
                areas += [unit.bounds for unit in units]
        rows = [
            [
                [index.get(Cell(area.sheet, row, column), _BLANK) for column in _columns(area)]
                for row in range(area.row, area.last_row + 1)
            ]
            for area in areas
        ]
        return areas, rows

    def _are_blank(self, area: Range, cells: Sequence[Cell]) -> bool:
        """Whether some cells of a range hold nothing that writing would overwrite."""
        if not cells:
            return True
        rows = self.book.get_values(area)
        return all(rows[c.row - area.row][c.column - area.column] is None for c in cells)

    def _astray(self) -> TrainingError:
        """Why a step shows no numbers."""
        try:
            self.tensors([*self.begins, *self.by_person()])
        except TrainingError as error:
            return error
        number = self.book.get_values(_area(self.placed["number"]))[0][0]
        loss = self.book.get_values(_area(self.placed["loss"]))[0][0]
        assert isinstance(number, float)
        what = f"the loss is {shown_value(loss)}"
        if isinstance(loss, float) and math.isfinite(loss):
            what = "a new weight is beyond all numbers"
        return TrainingError(
            f"training went astray: in step {round(number)} {what}; "
            "a smaller learning rate may help"
        )

    def _no_number(self, where: Placed, index: int) -> TrainingError:
        cell = cell_of(where, index)
        value = self.book.get_values(Range(cell.sheet, cell.row, cell.column))[0][0]
        return TrainingError(
            f"{cell} holds {shown_value(value)} where a number is expected: type one there"
        )


def _area(placed: Placed) -> Range:
    return bounding(grid.bounds for grid in placed.grids)


def _columns(area: Range) -> range:
    return range(area.column, area.last_column + 1)


def _cells(area: Range) -> Iterator[Cell]:
    for row in range(area.row, area.last_row + 1):
        for column in _columns(area):
            yield Cell(area.sheet, row, column)


def _merged(areas: Iterable[Range]) -> list[Range]:
    """Ranges that hold all of these, those that stand near each other as one.

    Example:
        >>> [str(area) for area in _merged([Range("s", 0, 0), Range("s", 2, 1), Range("s", 0, 99)])]
        ['s!A1:B3', 's!CV1']
    """
    merged: list[Range] = []
    for area in sorted(areas, key=lambda area: (area.sheet, area.column, area.row)):
        if merged and merged[-1].sheet == area.sheet:
            both = bounding([merged[-1], area])
            if _size(both) <= _size(merged[-1]) + _size(area) + _SLACK:
                merged[-1] = both
                continue
        merged.append(area)
    return merged


def _size(area: Range) -> int:
    return area.height * area.width


def _offsets(areas: Sequence[Range]) -> dict[Cell, int]:
    """The place of every cell among the values of all ranges, read one after the other."""
    cells = (cell for area in areas for cell in _cells(area))
    return {cell: index for index, cell in enumerate(cells)}


def _flat(many: Sequence[Sequence[Sequence[Value]]]) -> list[Value]:
    return [value for rows in many for row in rows for value in row]

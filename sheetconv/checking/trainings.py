"""The cells of a training held against NumPy: every cell from the numbers before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..calculators import OpenBook
from ..cell_training.beside import given_tensors, panels_of
from ..cell_training.description import check_file, trainings_of
from ..cell_training.home import TABLE, table_formulas, table_placed
from ..cell_training.panels import Shown
from ..cell_training.places import Places, own_settings
from ..cell_training.reckoning import (
    ROUNDING,
    kept_before,
    roughness,
    step_values,
    weights_after,
)
from ..cell_training.registers import values_shown
from ..cell_training.spelling import all_formulas
from ..cells import Cell, Range
from ..formulas import CellFormulas, Placed
from ..layers.base import Array
from ..tensor_cells import cell_of, description_rows, numbers_of, read_placed
from ..values import Value
from ..xlsx import sheet_parts
from .comparing import POISON, shown_value
from .results import LayerResult, TensorResult, WrongCell
from .training_numbers import Read, random_numbers, unusable, wrong_kind

#: The source of what the file itself shows.
CACHED = "cached values"
_EXACT: Array = np.zeros(())
# The rows of a report.
_KINDS = ("steps", "forward", "loss", "gradients", "weights")


class TrainingCells:
    """A training in a workbook that is checked.

    Args:
        path: the workbook.
        places: where everything stands.
    """

    def __init__(self, path: Path, places: Places) -> None:
        self.places = places
        self.placed = all_placed(places)
        formulas: dict[str, list[CellFormulas]] = {}
        for number, spelled in enumerate(all_formulas(places)):
            for name, item in spelled:
                formulas.setdefault(f"{number} {name}", []).append(item)
            for name, item in table_formulas(places, number):
                formulas[name] = [item]
        self.given = given_names(places)
        self.texts: set[str] = set()
        there, panels = sheet_parts(path), panels_of(places)
        #: Worksheets beside the steps that somebody deleted.
        self.gone = [panel.page.name for panel in panels if panel.page.name not in there]
        self.panels = [panel for panel in panels if panel.page.name in there]
        for panel in self.panels:
            self.placed |= panel.placed
            self.given |= panel.given.keys()
            self.texts |= panel.texts.keys()
            for name, item in panel.formulas():
                formulas.setdefault(name, []).append(item)
        self.cells = read_placed(path, self.placed, formulas)
        self.computed = [name for name in self.placed if name not in self.given | self.texts]
        self.formula_cells = sum(self.placed[name].size for name in self.computed)

    def structure(self) -> Iterator[WrongCell]:
        """Cells that hold something else than a formula."""
        for name in self.computed:
            cells = self.cells[name]
            for index in np.flatnonzero(~cells.is_formula).tolist():
                value = cells.odd.get(index, float(cells.numbers[index]))
                yield wrong_kind(cell_of(cells.placed, index), value, "a formula")

    def changed(self) -> Iterator[Cell]:
        """Cells whose formula is another than sheetconv writes."""
        for cells in self.cells.values():
            for index in cells.changed:
                yield cell_of(cells.placed, index)

    @cached_property
    def _has_cached_values(self) -> bool:
        return any(self.cells[name].has_cached_values for name in self.computed)

    # --- What is shown

    def from_file(self) -> Read:
        """The cached values."""
        numbers = {name: cells.numbers for name, cells in self.cells.items()}
        return self._read(numbers, {name: cells.odd for name, cells in self.cells.items()})

    def from_engine(self, book: OpenBook) -> Read:
        """What an engine shows."""
        numbers, odd = dict[str, Array](), dict[str, dict[int, Value]]()
        for names in self._regions():
            placed = [self.placed[name] for name in names]
            area = bounding(grid.bounds for where in placed for grid in where.grids)
            # One call for a whole step: programs take their time for each.
            rows = book.get_values(area)
            for name, where in zip(names, placed, strict=True):
                numbers[name], odd[name] = taken(rows, where, area)
        return self._read(numbers, odd)

    def _read(self, numbers: dict[str, Array], odd: dict[str, dict[int, Value]]) -> Read:
        """What is shown; a blank counts as 0 where a person's number is expected, as in a sum."""
        for name in self.given:
            is_formula = self.cells[name].is_formula
            blanks = [k for k, value in odd[name].items() if value is None and not is_formula[k]]
            if blanks:
                numbers[name] = numbers[name].copy()
                numbers[name][blanks] = 0.0
                odd[name] = {k: value for k, value in odd[name].items() if k not in blanks}
        return Read(numbers, odd)

    def _regions(self) -> list[list[str]]:
        """Names of tensors that stand near each other: of one worksheet and step."""
        regions: dict[tuple[str, str], list[str]] = {}
        for name, where in self.placed.items():
            regions.setdefault((where.grids[0].sheet, name.split()[0]), []).append(name)
        return list(regions.values())

    def _unusable(self, read: Read) -> list[WrongCell]:
        """The cells of a person from whose numbers no step can be computed."""
        found = list(unusable(self.places, self.placed, sorted(self.given), read))
        if found:
            return found
        shown = self._shown(read)
        return [
            wrong_kind(
                cell_of(self.placed[name], 0), float(read.numbers[name][0]), f"a number {words}"
            )
            for panel in self.panels
            for name, words in panel.unusable(shown)
        ]

    def _shown(self, read: Read) -> Shown:
        texts = {name: str(read.odd[name].get(0, "")) for name in self.texts}
        return Shown(read.numbers, self.placed, texts)

    # --- The comparison

    def compare(self, read: Read, source: str) -> list[LayerResult]:
        """Hold every formula cell against NumPy.

        Where a person's numbers cannot be used, these are wrong, and nothing else is expected.

        Args:
            read: what is shown.
            source: for the results.
        """
        if source == CACHED and not self._has_cached_values:
            return []
        sheet = self.places.names.steps
        results = {kind: LayerResult(sheet, kind, source, [], []) for kind in _KINDS}
        sheets = [panel.page.name for panel in self.panels]
        results |= {name: LayerResult(name, name, source, [], []) for name in sheets}
        nothing = {name: np.full(self.placed[name].shape, np.nan) for name in self.computed}
        with np.errstate(all="ignore"):
            wrong = self._unusable(read)
            expected, rough = (nothing, {}) if wrong else self._expected(self._shown(read))
        results["steps"].wrong += [replace(item, source=source) for item in wrong]
        for name in self.computed:
            off = rough.get(name, _EXACT)
            self.hold(results[self._kind(name)], name, expected[name], read, off)
        return list(results.values())

    def _expected(self, shown: Shown) -> tuple[dict[str, Array], dict[str, Array]]:
        """What every tensor should show, and how far each may lie off beyond rounding."""
        places, training = self.places, self.places.training
        settings = {name: float(shown(f"setting {name}")) for name in places.settings}
        own_numbers = {name: settings[name] for name in own_settings(training.settings)}
        own = replace(training, optimiser=training.optimiser.with_cells(own_numbers))
        pixels, targets = shown("data pixels"), shown("data targets")
        first = round(float(shown("0 number")))
        expected, rough = dict[str, Array](), dict[str, Array]()
        names = [*places.block.placed]
        learned = [f"{layer}.{key}" for layer, key in training.learned]
        weights = {name: shown(f"0 {name}") for name in [*learned, *training.fixed]}
        kept = {name: shown(f"0 {name}.was") for name in kept_before(training)}
        for number in range(training.steps):
            here = {name: shown(f"{number} {name}") for name in names}
            values = step_values(
                own, first + number, weights, kept, settings, pixels, targets, here
            )
            if training.iterate:
                values |= values_shown(training, here)
            expected |= {f"{number} {name}": values[name] for name in names}
            for name in TABLE.values():
                # A cell that is right is not to blame where the one that it repeats is not.
                full, right = f"table {number} {name}", values[name]
                is_right = np.abs(shown(full) - right) <= ROUNDING * np.maximum(np.abs(right), 1.0)
                expected[full] = np.where(is_right, right, here[name])
            off = roughness(own, here)
            rough |= {f"{number} {name}": value for name, value in off.items()}
            # The weights of a step are those that the step before made.
            weights = weights_after(training, here)
            kept = {name: here[name] for name in kept}
        for panel in self.panels:
            expected |= panel.expected(shown)
            rough |= panel.roughness(shown)
        return expected, rough

    def _kind(self, name: str) -> str:
        """Of which row of a report a tensor is."""
        training = self.places.training
        sheet, (step, *rest) = self.placed[name].grids[0].sheet, name.split(" ", 1)
        if sheet not in (self.places.names.steps, self.places.names.home):
            return sheet
        own, learned = "".join(rest), [f"{layer}.{key}" for layer, key in training.learned]
        if step == "table":
            return "steps"
        if own in self.places.block.gradients:
            return "gradients"
        if own in learned or any(own.startswith(f"{full}.") for full in learned):
            return "weights"
        if own.startswith("loss."):
            return "loss"
        return "forward" if "." in own or own == "input" else "steps"

    def hold(
        self,
        result: LayerResult,
        name: str,
        expected: Array,
        read: Read,
        rough: Array = _EXACT,
    ) -> None:
        """Hold a tensor against NumPy.

        Args:
            result: takes what is found.
            name: of the tensor.
            expected: its numbers; NaN where nothing can be expected.
            read: what is shown.
            rough: how far a number may lie off beyond rounding. Default: not at all.
        """
        placed, got = self.placed[name], read.numbers[name]
        flat = np.asarray(expected, dtype=np.float64).reshape(-1)
        finite = np.isfinite(flat)
        scale = max(1.0, float(np.abs(flat[finite]).max(initial=0.0)))
        # What overflows bounds nothing.
        rough = np.where(np.isfinite(rough), rough, 0.0).reshape(-1)
        bound = np.maximum(ROUNDING * scale, np.broadcast_to(rough, flat.shape))
        # Where the numbers before a cell are none, nothing can be expected of it.
        wrong = (finite & ~(np.abs(got - flat) <= bound)) | (got == POISON)
        nothing = np.zeros(wrong.shape, np.bool_)
        result.tensors.append(TensorResult(name, placed, got, flat, bound, flat, wrong, nothing))
        for index in np.flatnonzero(wrong).tolist():
            value = read.odd[name].get(index, float(got[index]))
            reason = f"got {shown_value(value)}, expected {float(flat[index])!r}"
            if value == POISON:
                reason += "; it was not recalculated"
            result.wrong.append(
                WrongCell(
                    cell_of(placed, index),
                    result.label,
                    result.source,
                    value,
                    float(flat[index]),
                    float(bound[index]),
                    reason,
                )
            )

    def write_random(self, book: OpenBook, rng: np.random.Generator) -> None:
        """Other numbers of a person, so that a reference to a wrong cell cannot hide.

        Args:
            book: an engine's.
            rng: of the numbers.
        """
        given, file = sorted(self.given), self.from_file()
        for name, values in random_numbers(self.places, self.placed, given, file, rng).items():
            flat, start = values.reshape(-1), 0
            for grid in self.placed[name].grids:
                own = flat[start : start + grid.size].reshape(grid.height, grid.width)
                start += grid.size
                if grid.compact:
                    book.set_values(grid.bounds, own.tolist())
                    continue
                for cell, value in zip(grid.cells(), own.ravel().tolist(), strict=True):
                    book.set_values(Range(cell.sheet, cell.row, cell.column), [[value]])


def bounding(areas: Iterable[Range]) -> Range:
    """The smallest range that holds some ranges of one worksheet.

    Example:
        >>> bounding([Range("s", 2, 3, 2, 2), Range("s", 3, 1)])
        Range(sheet='s', row=2, column=1, height=2, width=4)
    """
    all_ = list(areas)
    top, left = min(area.row for area in all_), min(area.column for area in all_)
    bottom, right = max(area.last_row for area in all_), max(area.last_column for area in all_)
    return Range(all_[0].sheet, top, left, bottom - top + 1, right - left + 1)


def taken(
    rows: Sequence[Sequence[Value]], placed: Placed, area: Range
) -> tuple[Array, dict[int, Value]]:
    """A tensor out of the values of a range: its numbers, flat, and what is none, by flat index.

    Args:
        rows: the values of the range.
        placed: where the tensor stands, within the range.
        area: the range.
    """
    parts, odd, start = [], dict[int, Value](), 0
    for grid in placed.grids:
        bounds = grid.bounds
        top, left = bounds.row - area.row, bounds.column - area.column
        own = [row[left : left + bounds.width] for row in rows[top : top + bounds.height]]
        values, strange = numbers_of(own, grid)
        parts.append(values)
        odd |= {start + index: value for index, value in strange.items()}
        start += grid.size
    return np.concatenate(parts), odd


def all_placed(places: Places) -> dict[str, Placed]:
    """Every tensor of the training: data, settings, each step's under `K name`, the table."""
    found = dict(places.tensors)
    for number in range(places.training.steps):
        found |= {f"{number} {name}": where for name, where in places.step(number).items()}
        found |= table_placed(places, number)
    return found


def given_names(places: Places) -> set[str]:
    """Those that are numbers of a person."""
    training = places.training
    given = {name for name, where in places.tensors.items() if not where.role.is_formula}
    return given | {f"0 {name}" for name in given_tensors(training)}


def read_trainings(path: Path) -> list[TrainingCells]:
    """The trainings that a workbook holds, with their cells.

    Args:
        path: the workbook.

    Raises:
        WorkbookError: it cannot be read.
        CheckError: its description is damaged, or one of its worksheets is gone.
    """
    trainings = trainings_of(description_rows(path), str(path))
    for item in trainings:
        check_file(item, path)
    return [TrainingCells(path, item) for item in trainings]

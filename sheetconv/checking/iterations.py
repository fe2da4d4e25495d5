"""A training whose step is repeated by recalculations: what can be checked of it, and how.

Its circular references are meant. LibreOffice goes round in them once at each recalculation, so
that a step can be taken for real; of the other engines one has no iterative calculation, and one
was never tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from ..calculators import OpenBook
from ..cell_training.iteration import period_of
from ..cell_training.registers import BEFORE_END, is_settled, registers_of
from ..cell_training.spelling import step_formulas
from ..layers.base import Array
from ..tensor_cells import cell_of
from .results import NUMBERS, LayerResult, WrongCell
from .training_numbers import Read
from .trainings import TrainingCells

#: The engines that calculate circular references as these workbooks need it.
ENGINES = ("libreoffice",)


def not_recalculated(engine: str) -> str:
    """What a check says of an engine that cannot take such a step."""
    return (
        f"a repeated step refers to itself, which {engine} does not calculate: formulas and cached "
        "values were checked, nothing was recalculated; give --engine libreoffice for that"
    )


def between_steps(item: TrainingCells, read: Read) -> str:
    """Why the numbers of a workbook do not belong together, if they do not; else nothing.

    Args:
        item: the training.
        read: what the workbook shows.
    """
    if not item.places.training.iterate:
        return ""
    tick, period = (float(read.numbers[f"0 {name}"][0]) for name in ("tick", "period"))
    if not np.isfinite([tick, period]).all() or is_settled(tick, period):
        return ""
    return (
        f"{item.places.names.steps}: saved in the middle of a step, so that its cached values are "
        f"no one step's and were not compared: recalculate until phase is {period - BEFORE_END:.0f}"
        ", save it, and check it again"
    )


def too_short(item: TrainingCells) -> Iterator[WrongCell]:
    """K, where it is so small that a step would take what has not settled.

    Args:
        item: a training, which repeats its step or not.
    """
    if not item.places.training.iterate:
        return
    least, cells = _least(item), item.cells["0 period"]
    period = float(cells.numbers[0])
    if period < least or period % 1:
        reason = f"K is {period:g}: a whole number from {least} on is expected, since a step takes "
        reason += "so many recalculations"
        yield WrongCell(cell_of(cells.placed, 0), NUMBERS, "file", period, None, 0.0, reason)


def repeated_steps(item: TrainingCells, book: OpenBook, engine: str) -> Iterator[LayerResult]:
    """The beginning and a step, for real; and the beginning with random weights and data.

    Args:
        item: the training.
        book: an engine's.
        engine: its name, for the results.
    """
    period, registers = _least(item), registers_of(item.places.training)
    _set(item, book, "period", float(period))
    before = _begun(item, book, period)
    yield from item.compare(before, engine)
    starts = {register.state: before.numbers[f"0 {register.start}"] for register in registers}
    yield _held(item, "registers", engine, before, starts, 0.0)
    _set(item, book, "run", 1.0)
    _recalculate(book, 2 * period - 1)
    after = item.from_engine(book)
    for result in item.compare(after, engine):
        yield replace(result, label=f"{result.label}, a step on")
    made = {
        register.state: before.numbers[f"0 {register.next}"]
        if register.next
        else starts[register.state] + 1
        for register in registers
    }
    yield _held(item, "registers, a step on", engine, after, made, 2.0 * period - 1)
    item.write_random(book, np.random.default_rng(1))
    yield from item.compare(_begun(item, book, period), f"{engine}, probe 1")


def _begun(item: TrainingCells, book: OpenBook, period: int) -> Read:
    """What is shown after a reset, when all has settled."""
    _set(item, book, "run", 0.0)
    _set(item, book, "reset", 1.0)
    _recalculate(book, period)
    _set(item, book, "reset", 0.0)
    _recalculate(book, 1)
    return item.from_engine(book)


def _held(
    item: TrainingCells,
    label: str,
    source: str,
    read: Read,
    states: Mapping[str, Array],
    tick: float,
) -> LayerResult:
    """The states, and how often was recalculated, held against what they should be."""
    result = LayerResult(item.places.names.steps, label, source, [], [])
    for name, values in {**states, "tick": np.array([tick])}.items():
        item.hold(result, f"0 {name}", values, read)
    return result


def _least(item: TrainingCells) -> int:
    return period_of(item.places, step_formulas(item.places, 0))


def _set(item: TrainingCells, book: OpenBook, name: str, value: float) -> None:
    book.set_values(item.placed[f"0 {name}"].grids[0].bounds, [[value]])


def _recalculate(book: OpenBook, times: int) -> None:
    for _ in range(times):
        book.recalculate()

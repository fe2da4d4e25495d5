"""The cell-by-cell check: a workbook against the NumPy engine, as recalculated for real.

Inputs and weights are read from the cells as they now are. Each formula cell is held
against NumPy twice. *In its place*: computed from the numbers that the workbook itself
shows in the layer before; a mismatch names the very cell that is wrong, unless that layer
is off and the cell is right end to end. *End to end*: computed from the image; a mismatch
that is none in its place is a consequence of one upstream. Both are bounded by the
rounding of the sums involved (each layer's `error_bounds`), never by a fixed tolerance.

An engine recalculates a copy of the file whose cached values were overwritten with one
absurd number, so that a value that was not calculated cannot pass. In *probes* it
calculates each stage by itself with random numbers; see `probes`.
"""

from __future__ import annotations

import math
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..calculators import Engine, find_engine
from ..description import Described
from ..errors import CalculatorError, CheckError
from ..formulas import Role
from ..guides import Shown
from ..layers.base import Array
from ..moved_cells import QUESTION, look_moved
from ..tensor_cells import (
    TensorCells,
    cell_of,
    read_descriptions,
    read_tensors,
)
from ..xlsx import poison
from .books import (
    NetworkBook,
    all_arrays,
    given_numbers,
    is_given,
    no_number,
    read_formulas,
    write_numbers,
)
from .choosing import MOST_PROBED_CELLS, check_choices, compare_all, probed_guides
from .comparing import POISON, Got, compare, shown_value
from .guides import GuideCells, compare_guides, guide_structure, read_guides
from .iterations import (
    ENGINES,
    between_steps,
    not_recalculated,
    repeated_steps,
    too_short,
)
from .padding import readers_of_wrong_padding, wrong_padding
from .probes import draw, needed, tested
from .results import CheckResult, LayerResult, WrongCell
from .trainings import TrainingCells, read_trainings

_COPY = "sheetconv-recalculated.xlsx"

_FEWEST_PROBES = 2

# Twice the relative error of a number that was rounded to 15 digits: of two factors.
_FIFTEEN_DIGITS = 1e-14


def check(
    path: str | Path,
    engines: str | Iterable[Engine | str] = ("ironcalc",),
    *,
    probes: int | None = None,
    timeout: float = 120.0,
) -> CheckResult:
    """Hold every formula cell of a workbook against NumPy.

    Args:
        path: a workbook that sheetconv made, edited or not.
        engines: what recalculates it, by name or from `sheetconv.calculators`. Default:
            IronCalc, which comes with sheetconv. With none, only the cached values are
            compared.
        probes: how many times every stage is recalculated with random numbers, by each
            engine. Default: as often as it takes to see every cell that the formulas read, in
            workbooks of some 100,000 cells and more less often, which a note then says.
        timeout: seconds that one call of an engine may take. Default 120.

    Raises:
        WorkbookError: the file cannot be read as a workbook.
        CheckError: sheetconv did not make it, its description is damaged, or it holds no
            cached values and no engine is given.
        CalculatorError: an engine is unknown, is not found here, or failed.

    Example:
        >>> import tempfile, numpy as np, sheetconv as sc
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     built = sc.build(sc.Sequential(sc.Conv2d(1, 1, 3)), f"{folder}/a.xlsx",
        ...                      image=np.eye(5))
        ...     result = check(built.path)
        >>> result.ok, result.formula_cells
        (True, 9)
    """
    began = time.perf_counter()
    path = Path(path)
    result = CheckResult(path)
    engines = (engines,) if isinstance(engines, str) else engines
    found = [find_engine(item) if isinstance(item, str) else item for item in engines]
    books = [
        NetworkBook(item, read_tensors(path, item), read_guides(path, item))
        for item in read_descriptions(path)
    ]
    trainings = read_trainings(path)
    for training in trainings:
        result.structure += training.structure()
        result.structure += too_short(training)
        result.changed += training.changed()
        result.formula_cells += training.formula_cells
        if training.gone:
            result.notes.append(
                f"no worksheet {', '.join(map(repr, training.gone))} is there any more, under its "
                "own name: it is not checked"
            )
    for described, tensors, guides in books:
        _check_structure(result, described, tensors, guides)
        if described.gone:
            result.notes.append(
                f"{described.worksheet}: no worksheet {', '.join(map(repr, described.gone))} is "
                "there any more, under its own name: what explains the network is not checked"
            )
        if look_moved(tensors):
            result.moved.append(
                f"{described.worksheet}: the cells do not stand where they were built: {QUESTION}, "
                "for the check looks where they stood"
            )
    if books:
        _check_cached(result, books)
    for training in trainings:
        read = training.from_file()
        if reason := between_steps(training, read):
            result.notes.append(reason)
        else:
            result.layers += training.compare(read, "cached values")
    for engine in found:
        with _naming(result):
            if books:
                _check_engine(result, engine, books, probes, timeout)
            if trainings:
                _check_trainings(result, engine, trainings, timeout)
    if not result.layers and not found:
        raise CheckError(
            f"{path} holds no cached values, so that only an engine can tell whether it is right: "
            "give one, as in check(path, ['ironcalc'])"
        )
    result.seconds = time.perf_counter() - began
    return result


def _check_structure(
    result: CheckResult,
    described: Described,
    tensors: Mapping[str, TensorCells],
    guides: GuideCells,
) -> None:
    fed = {name for guide in described.guides for name in guide.feeds()}
    wrong, changed, count = guide_structure(described, guides, tensors)
    result.structure += wrong
    result.changed += changed
    result.formula_cells += count
    labels = {
        name: stage.label
        for stage in described.layout.stages
        for name in tensors
        if name.startswith(f"{stage.name}.")
    }
    result.structure += wrong_padding(described, tensors)
    for name, tensor in tensors.items():
        if tensor.placed.role.is_formula:
            result.formula_cells += tensor.placed.size
            result.changed += [cell_of(tensor.placed, index) for index in sorted(tensor.changed)]
            for index in np.flatnonzero(~tensor.is_formula).tolist():
                value = tensor.odd.get(index, float(tensor.numbers[index]))
                reason = f"{shown_value(value)} stands where a formula is expected"
                cell = cell_of(tensor.placed, index)
                result.structure.append(
                    WrongCell(cell, labels[name], "file", value, None, 0.0, reason)
                )
        else:
            for index, value in sorted(tensor.odd.items()):
                # What a list feeds into a cell is said of the list.
                if value is not None and not (name in fed and tensor.is_formula[index]):
                    result.structure.append(no_number(tensor.placed, index, value, "file"))


def _check_cached(result: CheckResult, books: Sequence[NetworkBook]) -> None:
    if not any(tensor.has_cached_values for book in books for tensor in book.tensors.values()):
        result.notes.append(
            "the file holds no cached values: it was saved by a program that does not calculate "
            "(openpyxl, for one), so that previews and pandas see empty cells; open and save it "
            "in Excel or LibreOffice"
        )
        return
    for _, tensors, _ in books:
        for tensor in filter(is_given, tensors.values()):
            for index in np.flatnonzero(tensor.is_formula).tolist():
                if tensor.odd.get(index, 0.0) is None:
                    result.structure.append(no_number(tensor.placed, index, None, "cached values"))
    layers = _compare_cached(books, 0.0)
    if any(layer.wrong or layer.follows for layer in layers) and _has_fifteen_digits(books):
        layers = _compare_cached(books, _FIFTEEN_DIGITS)
        result.notes.append(
            "no cached value has more than 15 digits, as LibreOffice writes them: they are "
            "compared to that precision"
        )
    result.layers += layers


def _compare_cached(books: Sequence[NetworkBook], coarseness: float) -> list[LayerResult]:
    layers = []
    for described, tensors, guides in books:
        got = {
            name: (tensor.numbers, tensor.odd)
            for name, tensor in tensors.items()
            if not is_given(tensor)
        }
        excused = readers_of_wrong_padding(described, tensors)
        given, source = given_numbers(tensors), "cached values"
        layers += compare(described, given, got, source, coarseness, excused)
        values = guides.values
        shown = Shown(all_arrays(described, given, got), guides.held)
        layers += compare_guides(
            described, shown, values, source, coarseness=coarseness, fed=tensors
        )
    return layers


def _has_fifteen_digits(books: Sequence[NetworkBook]) -> bool:
    return all(
        float(f"{number:.15g}") == number
        for book in books
        for tensor in book.tensors.values()
        for number in tensor.numbers.tolist()
        if tensor.placed.role.is_formula and math.isfinite(number)
    )


@contextmanager
def _naming(result: CheckResult) -> Iterator[None]:
    """Let an engine's error name the user's file, not the copy that was recalculated.

    And what may have led to it: moved formulas are not always such that an engine opens them.
    """
    try:
        yield
    except CalculatorError as error:
        named = re.sub(rf"\S*{re.escape(_COPY)}", lambda _: str(result.path), str(error))
        raise CalculatorError("; ".join([*result.moved, named])) from None


def _check_engine(
    result: CheckResult,
    engine: Engine,
    books: Sequence[NetworkBook],
    probes: int | None,
    timeout: float,
) -> None:
    with tempfile.TemporaryDirectory(prefix="sheetconv-") as folder:
        copy = Path(folder) / _COPY
        poison(result.path, copy, POISON)
        if probes is None:
            probes = _affordable(result, max(needed(item.described) for item in books))
        random: dict[str, list[Array]] = {}
        readers = {
            item.described.worksheet: readers_of_wrong_padding(item.described, item.tensors)
            for item in books
        }
        for turn in (0, 1):
            shown: dict[str, Array] = {}
            with engine.open(copy, timeout=timeout) as book:
                if not turn:
                    book.recalculate()
                    for item in books:
                        excused = readers[item.described.worksheet]
                        held = item.guides.held
                        got = compare_all(result, engine, book, item, held, engine.name, excused)
                        _keep_noise(random, item.described, got)
                        check_choices(result, engine, book, item, held, excused)
                if turn and all(len(item.described.layout.stages) == 1 for item in books):
                    continue
                for probe in range(probes):
                    drawn = [
                        draw(item.described, given_numbers(item.tensors), probe, turn)
                        for item in books
                    ]
                    for item, numbers in zip(books, drawn, strict=True):
                        write_numbers(book, item.described, numbers, shown)
                    book.recalculate()
                    for item, numbers in zip(books, drawn, strict=True):
                        described = item.described
                        got = read_formulas(book, described, tested(described, turn))
                        source = f"{engine.name}, probe {probe + 1}"
                        result.layers += compare(
                            described, numbers, got, source, excused=readers[described.worksheet]
                        )
                        _keep_noise(random, described, got)
                        if described.guides and probe < _FEWEST_PROBES:
                            result.layers += probed_guides(book, item, numbers, source)
        _check_noise(result, engine, books, random)


def _check_trainings(
    result: CheckResult, engine: Engine, trainings: Sequence[TrainingCells], timeout: float
) -> None:
    """Recalculate the steps of training, then again with random data and weights."""
    repeated = any(item.places.training.iterate for item in trainings)
    if repeated and engine.name not in ENGINES:
        result.notes.append(not_recalculated(engine.name))
        return
    with tempfile.TemporaryDirectory(prefix="sheetconv-") as folder:
        copy = Path(folder) / _COPY
        poison(result.path, copy, POISON)
        with engine.open(copy, timeout=timeout) as book:
            if repeated:
                for item in trainings:
                    result.layers += repeated_steps(item, book, engine.name)
                return
            book.recalculate()
            for item in trainings:
                result.layers += item.compare(item.from_engine(book), engine.name)
            chosen = [turn for item in trainings for panel in item.panels for turn in panel.turns()]
            for number, (area, text) in enumerate(chosen, 1):
                book.set_values(area, [[text]])
                book.recalculate()
                for item in trainings:
                    source = f"{engine.name}, choice {number}"
                    result.layers += item.compare(item.from_engine(book), source)
            for item in trainings:
                item.write_random(book, np.random.default_rng(1))
            book.recalculate()
            for item in trainings:
                result.layers += item.compare(item.from_engine(book), f"{engine.name}, probe 1")


def _affordable(result: CheckResult, probes: int) -> int:
    """How many of the probes that are needed are run unasked."""
    most = max(_FEWEST_PROBES, MOST_PROBED_CELLS // max(1, result.formula_cells))
    if probes <= most:
        return probes
    note = (
        f"{most} probes of {probes} were run, as there are {result.formula_cells:,} formula cells: "
        f"give --probes {probes} for all"
    )
    if note not in result.notes:
        result.notes.append(note)
    return most


def _keep_noise(random: dict[str, list[Array]], described: Described, got: Got) -> None:
    for name, (numbers, _) in got.items():
        if described.layout.placed[name].role is Role.NOISE:
            random.setdefault(f"{described.worksheet}!{name}", []).append(numbers)


def _check_noise(
    result: CheckResult,
    engine: Engine,
    books: Sequence[NetworkBook],
    random: Mapping[str, list[Array]],
) -> None:
    """A random number that several recalculations leave as it was is none."""
    for described, _, _ in books:
        for stage in described.layout.stages:
            for name, placed in described.layout.placed.items():
                drawn = random.get(f"{described.worksheet}!{name}", [])
                if not name.startswith(f"{stage.name}.") or len(drawn) < 2:
                    continue
                same = np.ptp(np.stack(drawn), axis=0) == 0
                same &= (drawn[0] >= 0) & (drawn[0] < 1)
                for index in np.flatnonzero(same).tolist():
                    value = float(drawn[0][index])
                    reason = f"{value!r} stays the same where a random number is expected"
                    result.structure.append(
                        WrongCell(
                            cell_of(placed, index),
                            stage.label,
                            engine.name,
                            value,
                            None,
                            0.0,
                            reason,
                        )
                    )

"""The cell-by-cell check: a workbook against the NumPy engine, as recalculated for real.

Inputs and weights are read from the cells as they now are. Each formula cell is held
against NumPy twice. *In its place*: computed from the numbers that the workbook itself
shows in the layer before; a mismatch names the very cell that is wrong, unless that layer
is off and the cell is right end to end. *End to end*: computed from the image; a mismatch
that is none in its place is a consequence of one upstream. Both are bounded by the
rounding of the sums involved (each layer's `error_bounds`), never by a fixed tolerance.

An engine recalculates a copy of the file whose cached values were overwritten with one
absurd number, so that a value that was not calculated cannot pass. In *probes* it
calculates again with random numbers for the image and the weights: a wrong reference
among zeros, or behind a rectifier that lets nothing through, shows where all are
positive, and a missing rectifier where half of the weights are negative.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ..calculators import Engine, OpenBook, find_engine
from ..description import Described
from ..errors import CheckError
from ..formulas import Placed, Role
from ..layers.base import Array
from ..values import Value
from ..xlsx import poison
from .comparing import POISON, Got, compare, shown_value
from .probes import draw
from .results import NUMBERS, CheckResult, LayerResult, WrongCell
from .tensor_cells import (
    TensorCells,
    cell_of,
    given_roles,
    numbers_of,
    read_descriptions,
    read_tensors,
)

#: How many recalculations with random numbers follow the one with the workbook's own.
PROBES = 6

# Twice the relative error of a number that was rounded to 15 digits: of two factors.
_FIFTEEN_DIGITS = 1e-14


def check(
    path: str | Path,
    engines: Iterable[Engine | str] = ("ironcalc",),
    *,
    probes: int = PROBES,
    timeout: float = 120.0,
) -> CheckResult:
    """Hold every formula cell of a workbook against NumPy.

    Args:
        path: a workbook that sheetconv made, edited or not.
        engines: what recalculates it, by name or from `sheetconv.calculators`. Default:
            IronCalc, which comes with sheetconv. With none, only the cached values are
            compared.
        probes: recalculations with random numbers, for each engine. Default 6.
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
    found = [find_engine(item) if isinstance(item, str) else item for item in engines]
    books = [(item, read_tensors(path, item)) for item in read_descriptions(path)]
    for described, tensors in books:
        _check_structure(result, described, tensors)
    _check_cached(result, books)
    for engine in found:
        _check_engine(result, engine, books, probes, timeout)
    if not result.layers:
        raise CheckError(
            f"{path} holds no cached values, so that only an engine can tell whether it is right: "
            "give one, as in check(path, ['ironcalc'])"
        )
    result.seconds = time.perf_counter() - began
    return result


_Books = list[tuple[Described, dict[str, TensorCells]]]


def _check_structure(
    result: CheckResult, described: Described, tensors: Mapping[str, TensorCells]
) -> None:
    labels = {
        name: stage.label
        for stage in described.layout.stages
        for name in tensors
        if name.startswith(f"{stage.name}.")
    }
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
                if value is not None:
                    result.structure.append(_no_number(tensor.placed, index, value, "file"))


def _check_cached(result: CheckResult, books: _Books) -> None:
    if not any(tensor.has_cached_values for _, tensors in books for tensor in tensors.values()):
        result.notes.append(
            "the file holds no cached values: it was saved by a program that does not calculate "
            "(openpyxl, for one), so that previews and pandas see empty cells; open and save it "
            "in Excel or LibreOffice"
        )
        return
    for _, tensors in books:
        for tensor in filter(_is_given, tensors.values()):
            for index in np.flatnonzero(tensor.is_formula).tolist():
                if tensor.odd.get(index, 0.0) is None:
                    result.structure.append(_no_number(tensor.placed, index, None, "cached values"))
    layers = _compare_cached(books, 0.0)
    if any(layer.wrong or layer.follows for layer in layers) and _has_fifteen_digits(books):
        layers = _compare_cached(books, _FIFTEEN_DIGITS)
        result.notes.append(
            "no cached value has more than 15 digits, as LibreOffice writes them: they are "
            "compared to that precision"
        )
    result.layers += layers


def _compare_cached(books: _Books, coarseness: float) -> list[LayerResult]:
    layers = []
    for described, tensors in books:
        got = {
            name: (tensor.numbers, tensor.odd)
            for name, tensor in tensors.items()
            if not _is_given(tensor)
        }
        layers += compare(described, _given(tensors), got, "cached values", coarseness)
    return layers


def _has_fifteen_digits(books: _Books) -> bool:
    return all(
        float(f"{number:.15g}") == number
        for _, tensors in books
        for tensor in tensors.values()
        for number in tensor.numbers.tolist()
        if tensor.placed.role.is_formula and math.isfinite(number)
    )


def _no_number(placed: Placed, index: int, value: Value, source: str) -> WrongCell:
    reason = f"{shown_value(value)} stands where a number is expected"
    return WrongCell(cell_of(placed, index), NUMBERS, source, value, None, 0.0, reason)


def _given(tensors: Mapping[str, TensorCells]) -> dict[str, Array]:
    """The image, the weights and the settings, as the file holds them."""
    return {name: tensor.array for name, tensor in tensors.items() if _is_given(tensor)}


def _is_given(tensor: TensorCells) -> bool:
    return not tensor.placed.role.is_formula


def _check_engine(
    result: CheckResult, engine: Engine, books: _Books, probes: int, timeout: float
) -> None:
    with tempfile.TemporaryDirectory(prefix="sheetconv-") as folder:
        copy = Path(folder) / "poisoned.xlsx"
        poison(result.path, copy, POISON)
        with engine.open(copy, timeout=timeout) as book:
            book.recalculate()
            for described, tensors in books:
                given = _read_given(result, engine, book, tensors)
                got = _read_formulas(book, described)
                result.layers += compare(described, given, got, engine.name)
            for probe in range(1, probes + 1):
                drawn = [draw(described, _given(tensors), probe) for described, tensors in books]
                for (described, _), numbers in zip(books, drawn, strict=True):
                    _write_numbers(book, described, numbers)
                book.recalculate()
                for (described, _), numbers in zip(books, drawn, strict=True):
                    got = _read_formulas(book, described)
                    source = f"{engine.name}, probe {probe}"
                    result.layers += compare(described, numbers, got, source)


def _write_numbers(book: OpenBook, described: Described, numbers: Mapping[str, Array]) -> None:
    for name in given_roles(described, Role.INPUT, Role.PARAM, Role.SETTING):
        flat, start = numbers[name].reshape(-1), 0
        for grid in described.layout.placed[name].grids:
            plane = flat[start : start + grid.size].reshape(grid.height, grid.width)
            start += grid.size
            bounds = grid.bounds
            rows: list[list[Value]] = [[None] * bounds.width for _ in range(bounds.height)]
            for i, values in enumerate(plane.tolist()):
                rows[i * grid.row_step][:: grid.column_step] = values
            book.set_values(bounds, rows)


def _read_given(
    result: CheckResult, engine: Engine, book: OpenBook, tensors: Mapping[str, TensorCells]
) -> dict[str, Array]:
    """The image and the weights; those that a person made formulas, as the engine has them."""
    given = _given(tensors)
    for name, array in given.items():
        tensor = tensors[name]
        if tensor.is_formula.any():
            numbers, odd = _read(book, tensor.placed)
            flat = np.where(tensor.is_formula, numbers, array.reshape(-1))
            given[name] = flat.reshape(tensor.placed.shape)
            result.structure += [
                _no_number(tensor.placed, index, value, engine.name)
                for index, value in odd.items()
                if tensor.is_formula[index]
            ]
    return given


def _read_formulas(book: OpenBook, described: Described) -> Got:
    return {
        name: _read(book, placed)
        for name, placed in described.layout.placed.items()
        if placed.role.is_formula
    }


def _read(book: OpenBook, placed: Placed) -> tuple[Array, dict[int, Value]]:
    parts, odd, start = [], dict[int, Value](), 0
    for grid in placed.grids:
        values, strange = numbers_of(book.get_values(grid.bounds), grid)
        parts.append(values)
        odd |= {start + index: value for index, value in strange.items()}
        start += grid.size
    return np.concatenate(parts), odd

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
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .calculators.base import Engine, OpenBook, Value
from .cells import Cell
from .description import Described
from .errors import CheckError
from .evaluate import stage_activations, stage_error_bounds, stage_params
from .formulas import Placed, Role
from .layers.base import Array
from .layout import Stage
from .package import poison
from .probes import draw
from .tensor_cells import (
    TensorCells,
    cell_of,
    given_roles,
    numbers_of,
    read_descriptions,
    read_tensors,
)

#: What every cached value of the recalculated copy is before it is calculated: exact in
#: binary, and no number that a person would type.
POISON = 777.0078125

#: The label of wrong cells among the image and the weights.
NUMBERS = "numbers"

#: How many recalculations with random numbers follow the one with the workbook's own.
PROBES = 6

# Twice the relative error of a number that was rounded to 15 digits: of two factors.
_FIFTEEN_DIGITS = 1e-14


@dataclass(frozen=True, slots=True)
class WrongCell:
    """A cell that is not what it should be.

    Attributes:
        cell: where it stands.
        layer: the label of its stage, `conv1 + relu1`, or `numbers`.
        source: what found it: `file`, `cached values`, `ironcalc`, `ironcalc, probe 1`.
        got: what it holds or shows.
        expected: what NumPy computes from the numbers before it; None where a formula
            or a number of any value is expected.
        bound: how far `got` may lie off.
        reason: what is wrong, in words.
    """

    cell: Cell
    layer: str
    source: str
    got: Value
    expected: float | None
    bound: float
    reason: str

    def __str__(self) -> str:
        return f"{self.cell}: {self.reason} ({self.layer}, {self.source})"


@dataclass(slots=True)
class TensorResult:
    """One computed tensor held against NumPy: flat arrays over its cells.

    Attributes:
        name: full tensor name.
        placed: where it stands.
        got: what the workbook shows; NaN where that is no number.
        expected: what NumPy computes from the numbers before it.
        bound: how far `got` may lie from `expected`.
        from_image: what NumPy computes from the image.
        wrong: cells that are wrong in their place.
        follows: cells that are off only because cells before them are.
    """

    name: str
    placed: Placed
    got: Array
    expected: Array
    bound: Array
    from_image: Array
    wrong: NDArray[np.bool_]
    follows: NDArray[np.bool_]

    @property
    def errors(self) -> Array:
        """The distance from NumPy, end to end."""
        return np.abs(self.got - self.from_image)


@dataclass(slots=True)
class LayerResult:
    """The cells of one stage of one worksheet, from one source.

    Attributes:
        worksheet: its name.
        label: `conv1 + relu1`.
        source: `cached values`, an engine, or an engine's probe.
        tensors: its computed tensors.
        wrong: the wrong cells, worst first.
    """

    worksheet: str
    label: str
    source: str
    tensors: list[TensorResult]
    wrong: list[WrongCell]

    @property
    def cells(self) -> int:
        """Formula cells compared."""
        return sum(tensor.got.size for tensor in self.tensors)

    @property
    def follows(self) -> int:
        """Cells that are off only because cells before them are."""
        return sum(int(tensor.follows.sum()) for tensor in self.tensors)

    @property
    def worst(self) -> tuple[Cell, float, float] | None:
        """The cell that lies farthest from NumPy end to end, its value, and NumPy's."""
        best: tuple[float, Cell, float, float] | None = None
        for tensor in self.tensors:
            errors = np.nan_to_num(tensor.errors, nan=-1.0)
            index = int(errors.argmax())
            if errors[index] >= 0 and (best is None or errors[index] > best[0]):
                cell = cell_of(tensor.placed, index)
                got, expected = float(tensor.got[index]), float(tensor.from_image[index])
                best = (float(errors[index]), cell, got, expected)
        return best and best[1:]

    @property
    def largest_error(self) -> float:
        """The largest distance from NumPy, end to end."""
        worst = self.worst
        return abs(worst[1] - worst[2]) if worst else 0.0


@dataclass(slots=True)
class CheckResult:
    """What a check found.

    Attributes:
        path: the workbook.
        layers: one entry for each worksheet, stage and source.
        structure: cells that hold the wrong kind of thing: a number for a formula, a text
            for a number.
        changed: cells whose formula is not the one that sheetconv writes; no fault in
            itself.
        formula_cells: formula cells of all worksheets.
        notes: what a person should know besides.
        seconds: how long it took.
    """

    path: Path
    layers: list[LayerResult] = field(default_factory=list)
    structure: list[WrongCell] = field(default_factory=list)
    changed: list[Cell] = field(default_factory=list)
    formula_cells: int = 0
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def wrong(self) -> list[WrongCell]:
        """Every wrong cell, each once, as the first source saw it."""
        found: dict[Cell, WrongCell] = {}
        for item in [*self.structure, *(w for layer in self.layers for w in layer.wrong)]:
            found.setdefault(item.cell, item)
        return list(found.values())

    @property
    def follows(self) -> int:
        """The most cells, over the sources, that are off only because of others."""
        by_source: dict[str, int] = {}
        for layer in self.layers:
            by_source[layer.source] = by_source.get(layer.source, 0) + layer.follows
        return max(by_source.values(), default=0)

    @property
    def ok(self) -> bool:
        """Whether every cell of every source agrees with NumPy."""
        return not self.wrong and not self.follows

    @property
    def sources(self) -> list[str]:
        """The sources in the order in which they were compared."""
        return list(dict.fromkeys(layer.source for layer in self.layers))


def check(
    path: str | Path,
    engines: Iterable[Engine] = (),
    *,
    probes: int = PROBES,
    timeout: float = 120.0,
) -> CheckResult:
    """Hold every formula cell of a workbook against NumPy.

    Args:
        path: a workbook that sheetconv made, edited or not.
        engines: what recalculates it. Default: none; only the cached values are compared.
        probes: recalculations with random numbers, for each engine. Default 6.
        timeout: seconds that one call of an engine may take. Default 120.

    Raises:
        WorkbookError: the file cannot be read as a workbook.
        CheckError: sheetconv did not make it, its description is damaged, or it holds no
            cached values and no engine is given.
        CalculatorError: an engine failed.

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
    books = [(item, read_tensors(path, item)) for item in read_descriptions(path)]
    for described, tensors in books:
        _check_structure(result, described, tensors)
    _check_cached(result, books)
    for engine in engines:
        _check_engine(result, engine, books, probes, timeout)
    if not result.layers:
        raise CheckError(
            f"{path} holds no cached values, so that only an engine can tell whether it is right: "
            "give one, as in check(path, [find_engine('ironcalc')])"
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
                reason = f"{_shown(value)} stands where a formula is expected"
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
        layers += _compare(described, _given(tensors), got, "cached values", coarseness)
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
    reason = f"{_shown(value)} stands where a number is expected"
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
                result.layers += _compare(described, given, got, engine.name)
            for probe in range(1, probes + 1):
                drawn = [draw(described, _given(tensors), probe) for described, tensors in books]
                for (described, _), numbers in zip(books, drawn, strict=True):
                    _write_numbers(book, described, numbers)
                book.recalculate()
                for (described, _), numbers in zip(books, drawn, strict=True):
                    got = _read_formulas(book, described)
                    source = f"{engine.name}, probe {probe}"
                    result.layers += _compare(described, numbers, got, source)


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


_Got = dict[str, tuple[Array, dict[int, Value]]]


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


def _read_formulas(book: OpenBook, described: Described) -> _Got:
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


def _compare(
    described: Described,
    given: Mapping[str, Array],
    got: _Got,
    source: str,
    coarseness: float = 0.0,
) -> list[LayerResult]:
    """Hold every computed tensor of a network against NumPy.

    Args:
        described: the network.
        given: full name -> the image, weights and settings.
        got: full name -> what the workbook shows, flat, and what of it is no number.
        source: for the results.
        coarseness: the relative error of all these numbers, beyond rounding to a double.
    """
    network, layout = described.network, described.layout
    shown = dict(given)
    for name, (numbers, _) in got.items():
        if layout.placed[name].role is Role.NOISE:
            # What was not recalculated is no random number for the cells that read it.
            numbers = np.where(numbers == POISON, np.nan, numbers)
        shown[name] = numbers.reshape(layout.placed[name].shape)
    # From the image: values, and how far each may have drifted by rounding.
    values: dict[str, Array] = {"input": given["input"]}
    drift: dict[str, Array] = {"input": np.zeros(given["input"].shape)}
    results = []
    with np.errstate(all="ignore"):
        for stage in layout.stages:
            params = stage_params(stage, shown)
            x = shown[stage.source]
            expected = stage_activations(network, stage, x, params)
            # A factor off by some part has the same effect, be it the input or the weight.
            bounds = stage_error_bounds(network, stage, x, coarseness * np.abs(x), params)
            source_value = values[stage.source]
            source_drift = drift[stage.source] + coarseness * np.abs(source_value)
            from_image = stage_activations(network, stage, source_value, params)
            drifted = stage_error_bounds(network, stage, source_value, source_drift, params)
            values |= from_image
            drift |= drifted
            result = LayerResult(described.worksheet, stage.label, source, [], [])
            for name, placed in layout.placed.items():
                if not name.startswith(f"{stage.name}.") or not placed.role.is_formula:
                    continue
                numbers, odd = got[name]
                if placed.role is Role.NOISE:
                    tensor = _compare_noise(name, placed, numbers)
                else:
                    tensor = _compare_tensor(
                        name, placed, numbers,
                        expected[name], bounds[name] + coarseness * np.abs(expected[name]),
                        from_image[name], drifted[name] + coarseness * np.abs(from_image[name]),
                    )  # fmt: skip
                result.tensors.append(tensor)
                result.wrong += _wrong_cells(tensor, odd, stage, source)
            results.append(result)
    return results


def _compare_noise(name: str, placed: Placed, numbers: Array) -> TensorResult:
    """Random numbers cannot be foretold: each has to lie in [0, 1)."""
    wrong = ~((numbers >= 0) & (numbers < 1))
    nothing = np.zeros(numbers.shape)
    return TensorResult(
        name, placed, numbers, numbers, nothing, numbers, wrong, np.zeros(wrong.shape, np.bool_)
    )


def _compare_tensor(
    name: str,
    placed: Placed,
    numbers: Array,
    expected: Array,
    bound: Array,
    from_image: Array,
    drift: Array,
) -> TensorResult:
    expected, bound = expected.reshape(-1), bound.reshape(-1)
    from_image, drift = from_image.reshape(-1), drift.reshape(-1)
    # Where the numbers before a cell are none, nothing can be expected of it in its place.
    known = np.isfinite(expected) & np.isfinite(bound)
    off = ~(np.abs(numbers - from_image) <= drift)
    # The maximum of a window that was not recalculated is right in its place.
    stale = off & (numbers == POISON)
    expected = np.where(stale, from_image, expected)
    # Where the cells before are off, a cell that is right from the image is not to blame.
    misled = ~(np.abs(expected - from_image) <= drift)
    wrong = stale | (known & ~(np.abs(numbers - expected) <= bound) & (off | ~misled))
    return TensorResult(name, placed, numbers, expected, bound, from_image, wrong, off & ~wrong)


def _wrong_cells(
    tensor: TensorResult, odd: Mapping[int, Value], stage: Stage, source: str
) -> list[WrongCell]:
    cells = []
    for index in np.flatnonzero(tensor.wrong).tolist():
        got = odd[index] if index in odd else float(tensor.got[index])
        if tensor.placed.role is Role.NOISE:
            expected, reason = None, f"got {_shown(got)}, expected a random number in [0, 1)"
        else:
            expected = float(tensor.expected[index])
            reason = f"got {_shown(got)}, expected {expected!r}"
        if got == POISON:
            reason += "; it was not recalculated"
        cell = cell_of(tensor.placed, index)
        bound = float(tensor.bound[index])
        cells.append(WrongCell(cell, stage.label, source, got, expected, bound, reason))

    def distance(item: WrongCell) -> float:
        if not isinstance(item.got, float) or item.expected is None:
            return -np.inf
        return -abs(item.got - item.expected)

    return sorted(cells, key=distance)


def _shown(value: Value) -> str:
    if value is None:
        return "nothing"
    return repr(value) if isinstance(value, float) else f"{str(value)!r}"

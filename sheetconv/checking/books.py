"""One network of a workbook that is checked: its numbers, in the file and in an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..calculators import Engine, OpenBook
from ..cells import Grid
from ..description import Described
from ..formulas import Placed
from ..layers.base import Array
from ..layout import Stage
from ..tensor_cells import TensorCells, calculated, cell_of
from ..values import Value
from .comparing import Got, shown_value
from .guides import GuideCells
from .results import NUMBERS, CheckResult, WrongCell


class NetworkBook(NamedTuple):
    """One network of the workbook, and its cells as the file has them."""

    described: Described
    tensors: dict[str, TensorCells]
    guides: GuideCells


def no_number(placed: Placed, index: int, value: Value, source: str) -> WrongCell:
    """The finding about a cell of numbers that holds none."""
    reason = f"{shown_value(value)} stands where a number is expected"
    return WrongCell(cell_of(placed, index), NUMBERS, source, value, None, 0.0, reason)


def is_given(tensor: TensorCells) -> bool:
    """Whether its cells are numbers of a person, and no formulas of the network."""
    return not tensor.placed.role.is_formula


def given_numbers(tensors: Mapping[str, TensorCells]) -> dict[str, Array]:
    """The image, the weights and the settings, as the file holds them."""
    return {name: tensor.array for name, tensor in tensors.items() if is_given(tensor)}


def all_arrays(described: Described, given: Mapping[str, Array], got: Got) -> dict[str, Array]:
    """Every tensor as it is shown, in its shape."""
    placed = described.layout.placed
    formulas = {name: numbers.reshape(placed[name].shape) for name, (numbers, _) in got.items()}
    return {**given, **formulas}


def read_given(
    result: CheckResult, engine: Engine, book: OpenBook, item: NetworkBook
) -> dict[str, Array]:
    """The image and the weights; those that a person made formulas, as the engine has them."""
    tensors, given = item.tensors, given_numbers(item.tensors)
    fed = {name for guide in item.described.guides for name in guide.feeds()}
    for name, array in given.items():
        tensor = tensors[name]
        if tensor.is_formula.any():
            numbers, odd = calculated(book, tensor.placed)
            flat = np.where(tensor.is_formula, numbers, array.reshape(-1))
            given[name] = flat.reshape(tensor.placed.shape)
            result.structure += [
                no_number(tensor.placed, index, value, engine.name)
                for index, value in odd.items()
                if tensor.is_formula[index] and name not in fed
            ]
    return given


def read_formulas(book: OpenBook, described: Described, stages: Sequence[Stage]) -> Got:
    """What an engine shows of the formulas of some stages."""
    return {
        name: calculated(book, placed)
        for stage in stages
        for name, placed in described.layout.placed.items()
        if placed.role.is_formula and name.startswith(f"{stage.name}.")
    }


def write_numbers(
    book: OpenBook, described: Described, numbers: Mapping[str, Array], shown: dict[str, Array]
) -> None:
    """Write the numbers that are not those which an earlier probe wrote; keep them in `shown`."""
    for name, values in numbers.items():
        key = f"{described.worksheet}!{name}"
        if key in shown and np.array_equal(shown[key], values):
            continue
        shown[key] = values
        flat, start = values.reshape(-1), 0
        for grid in described.layout.placed[name].grids:
            plane = flat[start : start + grid.size].reshape(grid.height, grid.width)
            start += grid.size
            rows = plane.tolist() if grid.compact else _spread_out(plane, grid)
            book.set_values(grid.bounds, rows)


def _spread_out(plane: Array, grid: Grid) -> list[list[Value]]:
    """Rows of a grid's bounds, with None between its cells."""
    bounds = grid.bounds
    rows: list[list[Value]] = [[None] * bounds.width for _ in range(bounds.height)]
    for i, row in enumerate(plane.tolist()):
        rows[i * grid.row_step][:: grid.column_step] = row
    return rows

"""Reading a workbook back: its numbers as they are in the cells, whoever edited and saved it.

What formulas show is what the program showed that saved the file, or what an engine
computes anew.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from . import description
from .calculators import Engine, OpenBook, find_engine
from .contents import NetworkContents, WorkbookContents
from .description import Described
from .errors import ShapeError, WorkbookError
from .guides import guide_sheets
from .layers import Layer
from .moved_cells import QUESTION, look_moved
from .network import Sequential
from .tables import TableCells, read_table, recalculated_table, table_frame
from .tensor_cells import TensorCells, calculated, cell_of, read_descriptions, read_tensors
from .values import CellError, Value
from .xlsx import sheet_parts

_RECALCULATE = "recalculate it, as in read(path, engine='ironcalc')"


def read(
    path: str | Path, *, engine: Engine | str | None = None, timeout: float = 120.0
) -> WorkbookContents:
    """Read the tensors of a workbook that sheetconv made, as edited, and its tables.

    Args:
        path: the .xlsx file.
        engine: what recalculates a copy first: `"ironcalc"`, another name, or one from
            `sheetconv.calculators`. Default: none; formulas show their cached values.
        timeout: seconds that one call of the engine may take. Default 120.

    Returns:
        The contents. A blank cell of a tensor counts as 0, as in a sum. A formula that shows
        an error or a text is NaN, and so is one without a cached value, which openpyxl
        leaves behind; an engine calculates it.

    Raises:
        WorkbookError: the file cannot be read as a workbook; a cell of the image, the
            parameters or the settings holds no number, it is named; or a table is too large.
        CheckError: sheetconv did not make it, or its description is damaged.
        CalculatorError: the engine is unknown, is not found here, or failed.

    Example:
        >>> import tempfile, numpy as np, sheetconv as sc
        >>> net = sc.Sequential(sc.Conv2d(1, 2, 3), sc.ReLU())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     built = sc.build(net, f"{folder}/mine.xlsx", image=np.eye(6))
        ...     book = sc.read(built.path)
        >>> book["conv1.weight"].shape, book.input.shape, book.output.shape
        ((2, 1, 3, 3), (1, 1, 6, 6), (1, 2, 4, 4))
        >>> bool(np.allclose(book.network(book.input), book.output))
        True
        >>> book.only.cells("conv1.out")[0, 0, 0].tolist()
        ['O4', 'P4', 'Q4', 'R4']
        >>> book.only.frame("input").nlargest(1, "value")
                                worksheet cell  value
        image channel row column
        0     0       0   0        network   B4    1.0
    """
    path = Path(path)
    found = find_engine(engine) if isinstance(engine, str) else engine
    books = [(item, read_tensors(path, item)) for item in read_descriptions(path)]
    taken = {description.SHEET, *(name for item, _ in books for name in item.layout.worksheets)}
    taken |= {name for item, _ in books for name in guide_sheets(item.guides)}
    tables = [read_table(path, sheet) for sheet in sheet_parts(path) if sheet not in taken]
    if found is not None:
        with found.open(path, timeout=timeout) as book:
            book.recalculate()
            books = [(item, _recalculated(book, tensors)) for item, tensors in books]
            tables = [recalculated_table(book, table) for table in tables]
    networks = {item.worksheet: _contents(path, item, tensors) for item, tensors in books}
    cells = [tensor for _, tensors in books for tensor in tensors.values()]
    return WorkbookContents(
        path,
        MappingProxyType(networks),
        MappingProxyType({table.sheet: table_frame(table) for table in tables}),
        (*_moved(books), *_notes(cells, tables)),
    )


def _recalculated(book: OpenBook, tensors: Mapping[str, TensorCells]) -> dict[str, TensorCells]:
    """The same cells with their formulas' values as an engine has them."""
    fresh = {}
    for name, tensor in tensors.items():
        if tensor.is_formula.any():
            numbers, odd = calculated(book, tensor.placed)
            tensor = replace(
                tensor,
                numbers=np.where(tensor.is_formula, numbers, tensor.numbers),
                odd={
                    **{i: value for i, value in tensor.odd.items() if not tensor.is_formula[i]},
                    **{i: value for i, value in odd.items() if tensor.is_formula[i]},
                },
            )
        fresh[name] = tensor
    return fresh


def _contents(path: Path, item: Described, tensors: Mapping[str, TensorCells]) -> NetworkContents:
    advice = QUESTION if look_moved(tensors) else "type one there"
    for name, tensor in tensors.items():
        if not tensor.placed.role.is_formula:
            _check_numbers(path, name, tensor, advice)
    arrays = {name: tensor.array for name, tensor in tensors.items()}
    layers = [(name, _with_settings(path, name, layer, tensors)) for name, layer in item.network]
    network = Sequential(*layers)
    state = network.state_dict()
    network.load_state_dict({name: arrays.get(name, value) for name, value in state.items()})
    return NetworkContents(item.worksheet, network, MappingProxyType(arrays), item.layout)


def _check_numbers(path: Path, name: str, tensor: TensorCells, advice: str) -> None:
    """Refuse what is no number where a person's numbers are expected."""
    for index, value in sorted(tensor.odd.items()):
        cell = cell_of(tensor.placed, index)
        if value is not None:
            raise WorkbookError(
                f"{path}: {cell}, a cell of {name}, holds {_quoted(value)}: expected a number; "
                f"{advice}"
            )
        if tensor.is_formula[index]:
            raise WorkbookError(
                f"{path}: {cell}, a cell of {name}, holds a formula without a value, as of a "
                f"program that does not calculate: {_RECALCULATE}"
            )


def _quoted(value: Value) -> str:
    if isinstance(value, CellError | float):
        return str(value)
    return str(value).upper() if isinstance(value, bool) else reprlib.repr(value)


def _with_settings(
    path: Path, name: str, layer: Layer, tensors: Mapping[str, TensorCells]
) -> Layer:
    """A layer whose settings are the numbers of their cells, not those it was built with."""
    cells = {key: tensors[f"{name}.{key}"] for key in layer.settings()}
    try:
        return replace(layer, **{key: tensor.array.item() for key, tensor in cells.items()})
    except ShapeError as error:
        places = ", ".join(str(cell_of(tensor.placed, 0)) for tensor in cells.values())
        raise WorkbookError(f"{path}: {places}: {error}") from None


def _moved(books: Iterable[tuple[Described, Mapping[str, TensorCells]]]) -> Iterator[str]:
    for item, tensors in books:
        if look_moved(tensors):
            yield (
                f"the cells of {item.worksheet} do not stand where they were built, so that other "
                f"numbers than the tensors' were read: {QUESTION}"
            )


def _notes(tensors: Iterable[TensorCells], tables: Iterable[TableCells]) -> tuple[str, ...]:
    count = sum(table.unknown for table in tables)
    for tensor in tensors:
        count += sum(
            value is None and bool(tensor.is_formula[index]) for index, value in tensor.odd.items()
        )
    if not count:
        return ()
    return (
        f"{count:,} formulas have no value and are NaN, since a program that does not calculate "
        f"(openpyxl, for one) saved the file: {_RECALCULATE}",
    )

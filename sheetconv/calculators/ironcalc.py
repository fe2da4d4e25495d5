"""IronCalc: the engine that comes with sheetconv, inside this Python process.

It is the default because it needs nothing installed and is fast. The `ironcalc` package
is imported in this module only, and not before it is used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..cells import Range
from ..errors import CalculatorError
from ..values import CellError, Value
from ..xlsx import check_package
from .base import EngineStatus
from .book import Book

if TYPE_CHECKING:
    from ironcalc import CellType, Model


class IronCalc:
    """The embedded engine; its values are raw doubles.

    It has no iterative calculation: a circular reference is ``#CIRC!``. Being a part of
    this process it cannot be interrupted, so that `open` ignores its time limit.
    """

    name = "ironcalc"

    def status(self) -> EngineStatus:
        """Whether the package is installed."""
        spec = find_spec("ironcalc")
        found = spec is not None
        return EngineStatus(
            name=self.name,
            found=found,
            version=metadata.version("ironcalc") if found else "",
            where=str(spec.origin) if spec is not None else "",
            hint="pip install ironcalc",
        )

    def open(self, path: Path, *, timeout: float = 120.0, show: bool = False) -> Book:
        """Open an .xlsx file: it is read once, and not held open.

        Raises:
            CalculatorError: the package is missing or refuses the file, or a window is asked for.
        """
        if show:
            raise CalculatorError("IronCalc has no window: take libreoffice or excel, or no window")
        check_package(path)
        try:
            from ironcalc import CellType, load_from_xlsx
        except ImportError as error:
            raise CalculatorError("IronCalc is not installed: pip install ironcalc") from error
        with _reported("open", path), _quiet():
            # One locale and time zone everywhere, so that a workbook has one meaning.
            model = load_from_xlsx(str(path), "en", "UTC", "en")
            return _IronCalcBook(path, model, CellType.ErrorValue)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Rust prints of a panic away from the user, who gets the error instead."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    try:
        kept = os.dup(1), os.dup(2)
    except OSError:
        # A program without a console has nothing to keep quiet.
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        for number, descriptor in enumerate(kept, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(nowhere)


class _IronCalcBook(Book):
    def __init__(self, path: Path, model: Model, error: CellType) -> None:
        super().__init__(path)
        self._model = model
        self._error = error
        self._sheets = [sheet["name"] for sheet in model.get_worksheets_properties()]

    def close(self) -> None:
        self._closed = True

    def _write(self, area: Range, values: list[list[Value]]) -> None:
        model = self._model
        sheet = self._sheets.index(area.sheet)
        update = model.update_cell_with_number
        with _reported("write", area):
            if all(value is None for line in values for value in line):
                # A cell that keeps its format takes time at every recalculation.
                corner = area.last_row + 1, area.last_column + 1
                model.range_clear_all(sheet, area.row + 1, area.column + 1, *corner)
                return
            for row, line in enumerate(values, area.row + 1):
                for column, value in enumerate(line, area.column + 1):
                    if type(value) is float:
                        update(sheet, row, column, value)
                    elif value is None:
                        model.clear_cell_contents(sheet, row, column)
                    elif isinstance(value, bool):
                        model.update_cell_with_bool(sheet, row, column, value)
                    elif isinstance(value, CellError):
                        model.set_user_input(sheet, row, column, str(value))
                    elif isinstance(value, str):
                        model.update_cell_with_text(sheet, row, column, value)

    def _calculate(self) -> None:
        with _reported("recalculate", self._path):
            self._model.evaluate()

    def _read(self, area: Range) -> list[list[Value]]:
        sheet = self._sheets.index(area.sheet)
        columns = range(area.column + 1, area.last_column + 2)
        get = self._model.get_cell_value
        with _reported("read", area):
            rows: list[list[Value]] = [
                [get(sheet, row, column) for column in columns]
                for row in range(area.row + 1, area.last_row + 2)
            ]
            for i, line in enumerate(rows):
                for j, value in enumerate(line):
                    if isinstance(value, str) and value.startswith("#"):
                        line[j] = self._error_or_text(value, sheet, area.row + i, area.column + j)
        return rows

    def _error_or_text(self, value: str, sheet: int, row: int, column: int) -> Value:
        """An error comes as its text; only the type tells it from a text that looks the same."""
        kind = self._model.get_cell_type(sheet, row + 1, column + 1)
        return CellError(value) if kind == self._error else value


@contextmanager
def _reported(doing: str, what: object) -> Iterator[None]:
    """Turn whatever IronCalc raises into a `CalculatorError` of one line."""
    try:
        yield
    except BaseException as error:
        # A panic of IronCalc's Rust code arrives as a BaseException that cannot be imported.
        panic = type(error).__name__ == "PanicException"
        if not panic and not isinstance(error, Exception):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CalculatorError(
            f"IronCalc could not {doing} {what}: {reason}; try another engine, such as libreoffice"
        ) from error

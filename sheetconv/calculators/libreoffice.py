"""LibreOffice as an engine, if it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..cells import Range
from ..errors import CalculatorError
from ..values import CellError, Value
from .base import EngineStatus
from .book import Book
from .office import HINT, Office, find_soffice, python_with_uno, soffice_version


class LibreOffice:
    """LibreOffice Calc, headless unless it is to be seen; its values are raw doubles.

    An error has the name that LibreOffice shows in English, which is not always Excel's:
    ``=SQRT(-1)`` is ``Err:502`` there, and a circular reference ``Err:522``.
    """

    name = "libreoffice"

    def status(self) -> EngineStatus:
        """Whether the program and a Python with `uno` are there; asks both for no more."""
        try:
            soffice = find_soffice()
            version = soffice_version(soffice)
            python_with_uno(soffice)
        except CalculatorError as error:
            return EngineStatus(self.name, False, "", "", str(error))
        return EngineStatus(self.name, True, version, str(soffice), HINT)

    def open(self, path: Path, *, timeout: float = 120.0, show: bool = False) -> Book:
        """Open a private copy of an .xlsx file in a LibreOffice of its own.

        Args:
            path: the file.
            timeout: seconds that each call may take, and starting the program, too. When
                they are over the program is killed, and the book is closed.
            show: in a window. Default False.

        Raises:
            CalculatorError: the program is missing, refused the file, or timed out.
        """
        return _LibreOfficeBook(path, timeout, show)


class _LibreOfficeBook(Book):
    def __init__(self, path: Path, timeout: float, show: bool) -> None:
        super().__init__(path)
        self._office = Office(path, timeout, show=show)
        self._sheets = self._office.sheets

    def close(self) -> None:
        self._closed = True
        self._office.close()

    def _write(self, area: Range, values: list[list[Value]]) -> None:
        rows = [[{"error": v} if isinstance(v, CellError) else v for v in row] for row in values]
        self._call(f"write {area}", "set", *_corners(area), rows)

    def _calculate(self) -> None:
        self._call(f"recalculate {self._path}", "calculate")

    def _read(self, area: Range) -> list[list[Value]]:
        rows = self._call(f"read {area}", "get", *_corners(area))
        return [[CellError(v["error"]) if isinstance(v, dict) else v for v in row] for row in rows]

    def _read_many(self, areas: Sequence[Range]) -> list[list[list[Value]]]:
        found: list[list[list[Value]]] = self._call(
            f"read {len(areas)} ranges", "get_many", [_corners(area) for area in areas]
        )
        return found

    def _write_many(self, areas: Sequence[Range], values: list[list[list[Value]]]) -> None:
        pairs = [(_corners(area), rows) for area, rows in zip(areas, values, strict=True)]
        self._call(f"write {len(areas)} ranges", "set_many", pairs)

    def _call(self, doing: str, do: str, *arguments: object) -> Any:
        try:
            return self._office.call(doing, do, *arguments)
        finally:
            # A program that failed or was killed takes no more calls.
            self._closed = not self._office.end.alive


def _corners(area: Range) -> tuple[str, int, int, int, int]:
    return area.sheet, area.column, area.row, area.last_column, area.last_row

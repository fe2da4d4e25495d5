"""What every spreadsheet engine offers: the one protocol behind which they stand.

An `Engine` says whether its program is there and opens files; an `OpenBook` is one
open file: set cells, recalculate, read cells. Nothing here knows of networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from ..cells import Range
from ..values import Value


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Whether an engine can be used here.

    Attributes:
        name: the engine's name on the command line.
        found: whether it can be used on this machine.
        version: the program's version; empty where it was not found.
        where: the program's path or package; empty where it was not found.
        hint: how to get it, one line.
    """

    name: str
    found: bool
    version: str
    where: str
    hint: str


class OpenBook(Protocol):
    """One workbook, open in an engine. A context manager: leaving it closes everything.

    The file on disk is never changed.
    """

    def set_values(self, area: Range, values: Sequence[Sequence[Value]]) -> None:
        """Write values (rows of columns) over a range; None clears a cell.

        Raises:
            CalculatorError: the sheet is missing or the shapes differ.
        """

    def recalculate(self) -> None:
        """Recalculate every formula, whatever the file's cached values say.

        Raises:
            CalculatorError: the program failed or ran over its time limit.
        """

    def get_values(self, area: Range) -> list[list[Value]]:
        """The values of a range, full double precision, as rows of columns.

        Raises:
            CalculatorError: the sheet is missing or the program failed.
        """

    def get_many(self, areas: Sequence[Range]) -> list[list[list[Value]]]:
        """The numbers of several ranges, in one call where a program takes its time for each.

        Where a cell holds no number there may stand anything that is none; `get_values` tells
        what it is. A truth value may come as 1 or 0.

        Raises:
            CalculatorError: a sheet is missing or the program failed.
        """

    def set_many(self, areas: Sequence[Range], values: Sequence[Sequence[Sequence[Value]]]) -> None:
        """Write numbers over several ranges, likewise; None clears a cell.

        Raises:
            CalculatorError: a sheet is missing or the shapes differ.
        """

    def close(self) -> None:
        """Close the workbook and whatever was started for it; safe to call twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Engine(Protocol):
    """One spreadsheet program."""

    name: str

    def status(self) -> EngineStatus:
        """Whether the program is there, without starting more than it takes to know."""

    def open(self, path: Path, *, timeout: float = 120.0, show: bool = False) -> OpenBook:
        """Open an .xlsx file.

        Args:
            path: the file; it is opened from a private copy or read-only.
            timeout: seconds that each call may take.
            show: in a window, for a person who watches. Default False.

        Raises:
            CalculatorError: the program is missing, refused the file, or timed out.
        """

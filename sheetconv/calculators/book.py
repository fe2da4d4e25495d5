"""The half of an open workbook that is the same in every engine.

It owns what is checked before a program sees a request: that the book is open, the
worksheet exists, and the values are ones that a cell can hold.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from types import TracebackType
from typing import Self

from ..cells import Range
from ..errors import CalculatorError
from ..values import CellError, Value

#: The error values that can be written into a cell in every program.
ERRORS = ("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A")


class Book(ABC):
    """One open workbook; an engine adds how its program reads, writes and calculates."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sheets: list[str] = []
        self._closed = False

    def set_values(self, area: Range, values: Sequence[Sequence[Value]]) -> None:
        """Write rows of values over a range; None, or an empty text, clears a cell.

        Raises:
            CalculatorError: the sheet is missing, the shapes differ, or a value is not one
                that a cell can hold (such as nan).
        """
        self._write(area, self._cleaned(area, values))

    def recalculate(self) -> None:
        """Recalculate every formula, whatever the file's cached values say.

        Raises:
            CalculatorError: the program failed or ran over its time limit.
        """
        self._check(None)
        self._calculate()

    def get_values(self, area: Range) -> list[list[Value]]:
        """The values of a range, full double precision, as rows of columns.

        Raises:
            CalculatorError: the sheet is missing or the program failed.
        """
        self._check(area)
        return self._read(area)

    def get_many(self, areas: Sequence[Range]) -> list[list[list[Value]]]:
        """The numbers of several ranges; see `OpenBook.get_many`.

        Raises:
            CalculatorError: a sheet is missing or the program failed.
        """
        for area in areas:
            self._check(area)
        return self._read_many(areas)

    def set_many(self, areas: Sequence[Range], values: Sequence[Sequence[Sequence[Value]]]) -> None:
        """Write numbers over several ranges; see `OpenBook.set_many`.

        Raises:
            CalculatorError: a sheet is missing, the shapes differ, or a value is not one that a
                cell can hold.
        """
        self._write_many(areas, [self._cleaned(*pair) for pair in zip(areas, values, strict=True)])

    @abstractmethod
    def close(self) -> None:
        """Close the workbook and whatever was started for it; safe to call twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def _write(self, area: Range, values: list[list[Value]]) -> None: ...

    @abstractmethod
    def _calculate(self) -> None: ...

    @abstractmethod
    def _read(self, area: Range) -> list[list[Value]]: ...

    def _read_many(self, areas: Sequence[Range]) -> list[list[list[Value]]]:
        return [self._read(area) for area in areas]

    def _write_many(self, areas: Sequence[Range], values: list[list[list[Value]]]) -> None:
        for area, rows in zip(areas, values, strict=True):
            self._write(area, rows)

    def _cleaned(self, area: Range, values: Sequence[Sequence[Value]]) -> list[list[Value]]:
        self._check(area)
        if len(values) != area.height or any(len(row) != area.width for row in values):
            got = f"{len(values)} rows of {sorted({len(row) for row in values})} values"
            raise CalculatorError(
                f"{got} do not fit {area}: give {area.height} rows of {area.width}"
            )
        return [_clean_row(row, area) for row in values]

    def _check(self, area: Range | None) -> None:
        if self._closed:
            raise CalculatorError(f"{self._path} is closed: open it again")
        if area is not None and area.sheet not in self._sheets:
            close = get_close_matches(area.sheet, self._sheets, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {self._sheets}"
            raise CalculatorError(f"there is no worksheet {area.sheet!r} in {self._path}: {hint}")


def _clean_row(row: Sequence[Value], area: Range) -> list[Value]:
    # Nearly all rows are numbers and nothing else, which two calls tell.
    if set(map(type, row)) == {float} and all(map(math.isfinite, row)):  # type: ignore[arg-type]
        return list(row)
    return [_clean(value, area) for value in row]


def _clean(value: object, area: Range) -> Value:
    """The value as a plain bool, float, text, error or None, or a `CalculatorError`."""
    # Nearly all are plain numbers, and the abstract Real is slow to ask.
    if (type(value) is float and math.isfinite(value)) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, CellError):
        if value not in ERRORS:
            raise CalculatorError(
                f"{value!r} for {area} is no error that can be written: use one of {ERRORS}"
            )
        return value
    if isinstance(value, str):
        return value or None
    if not isinstance(value, Real):
        raise CalculatorError(
            f"{value!r} ({type(value).__name__}) for {area} is no cell value: give a number, "
            "text, bool, CellError or None"
        )
    if not math.isfinite(value):
        raise CalculatorError(f"{value!r} for {area}: a cell holds finite numbers only")
    return float(value)

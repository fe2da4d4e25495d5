"""The workbook on disk, which has the last good weights whatever happens to the program.

What is saved is the file as it was when it was opened, with other numbers in the cells of a
step, and all that follows from them calculated anew, by IronCalc, in the saved state: no
cached value is stale, and a program that has died is not missed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from ..calculators import OpenBook
from ..calculators.ironcalc import IronCalc
from ..cells import Range
from ..description import SHEET
from ..errors import CalculatorError, WorkbookError
from ..files import check_target, written_whole
from ..values import Value
from ..xlsx import read_cells, sheet_parts
from .splicing import runs, splice

#: Numbers to write: worksheet -> (row, column) -> value, None for a blank.
Numbers = Mapping[str, Mapping[tuple[int, int], Value]]

_MOST_NAMES = 1000


class Saver:
    """Writes a workbook again and again, each time whole or not at all.

    Args:
        source: the workbook.
        target: where to; the workbook itself, or another file.
        force: replace another file that exists already. Default False.

    Raises:
        WorkbookError: the workbook cannot be read, or the target cannot be written.

    Attributes:
        target: as given.
        is_source: whether it is the workbook itself.
    """

    def __init__(self, source: Path, target: Path, *, force: bool = False) -> None:
        self.is_source = target.exists() and source.exists() and target.samefile(source)
        if target.suffix.lower() != ".xlsx":
            raise WorkbookError(f"{target}: the name of a workbook ends in .xlsx")
        check_target(target, force=force or self.is_source)
        self.target = target
        self._folder = tempfile.TemporaryDirectory(prefix="sheetconv-", ignore_cleanup_errors=True)
        self._copy = Path(self._folder.name, "book.xlsx")
        self._signature = _signature(target)
        self._mirror: OpenBook | None = None
        self._formulas: dict[str, dict[tuple[int, int], Value]] = {}
        try:
            shutil.copyfile(source, self._copy)
        except OSError as error:
            self.close()
            raise WorkbookError(
                f"{source}: cannot be copied ({error.strerror or error}): check the disk's space"
            ) from None

    def close(self) -> None:
        """Remove what is temporary; safe to call twice."""
        if self._mirror is not None:
            self._mirror.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def save(self, numbers: Numbers) -> Path:
        """Write the workbook with other numbers, and with what follows from them.

        Raises:
            WorkbookError: it cannot be written, or another program changed it meanwhile.
        """
        if _signature(self.target) != self._signature:
            raise WorkbookError(
                f"{self.target} was changed by another program: it is left as it is now"
            )
        self._write(self.target, numbers)
        self._signature = _signature(self.target)
        return self.target

    def save_somewhere(self, numbers: Numbers) -> Path:
        """The same; where the target cannot be written, beside it under a name that is free.

        Raises:
            WorkbookError: nothing can be written there.
        """
        try:
            return self.save(numbers)
        except WorkbookError as refused:
            for number in range(1, _MOST_NAMES):
                other = self.target.with_name(f"{self.target.stem}-live-{number}.xlsx")
                if not other.exists():
                    try:
                        self._write(other, numbers)
                    except WorkbookError:
                        break
                    return other
            raise refused

    def _write(self, target: Path, numbers: Numbers) -> None:
        sheets = self._calculated(numbers)
        for name, values in numbers.items():
            sheets[name] = {**sheets.get(name, {}), **values}
        with written_whole(target, force=True) as temporary:
            splice(self._copy, temporary, sheets)

    def _calculated(self, numbers: Numbers) -> dict[str, dict[tuple[int, int], Value]]:
        """What every formula shows; a blank, if nothing calculates it."""
        if not self._formulas:
            self._formulas = {
                name: {
                    (cell.row, cell.column): None
                    for cell in read_cells(self._copy, name)
                    if cell.formula is not None
                }
                for name in sheet_parts(self._copy)
                if name != SHEET
            }
        found: dict[str, dict[tuple[int, int], Value]] = defaultdict(dict)
        try:
            if self._mirror is None:
                self._mirror = IronCalc().open(self._copy)
            for name, values in numbers.items():
                _set(self._mirror, name, values)
            self._mirror.recalculate()
            for name, cells in self._formulas.items():
                for row, column, width in runs(cells):
                    (shown,) = self._mirror.get_values(Range(name, row, column, 1, width))
                    found[name] |= {(row, column + k): value for k, value in enumerate(shown)}
        except CalculatorError:
            # Without cached values every program calculates when it opens the file.
            return {name: dict(cells) for name, cells in self._formulas.items()}
        return found


def _set(book: OpenBook, sheet: str, values: Mapping[tuple[int, int], Value]) -> None:
    found = list(runs(values))
    areas = [Range(sheet, row, column, 1, width) for row, column, width in found]
    rows = [[[values[row, column + k] for k in range(width)]] for row, column, width in found]
    book.set_many(areas, rows)


def _signature(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written; None where there is none."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size

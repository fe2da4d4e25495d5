"""Microsoft Excel on Windows and macOS, through xlwings.

This module has been run against a stand-in for xlwings only, never against a real Excel:
it asks xlwings for as little as it can. Excel runs as a private instance, invisible unless it is
to be seen, on a private copy of the file, so that books that are open elsewhere are never touched.
"""

from __future__ import annotations

import os
import plistlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..cells import Range
from ..errors import CalculatorError
from ..values import CellError, Value
from ..xlsx import check_package
from .base import EngineStatus
from .book import Book
from .processes import time_limit

_HINT = "install Microsoft Excel, and: pip install xlwings"
_MAC_APP = Path("/Applications/Microsoft Excel.app")
# Excel for macOS asks the user for leave before it opens a file outside of its own folder.
_MAC_FOLDER = Path("~/Library/Containers/com.microsoft.Excel/Data")

# How Windows' automation gives error values, which come as integers; numbers come as floats.
_WINDOWS_ERRORS = {
    -2146826288: "#NULL!",
    -2146826281: "#DIV/0!",
    -2146826273: "#VALUE!",
    -2146826265: "#REF!",
    -2146826259: "#NAME?",
    -2146826252: "#NUM!",
    -2146826246: "#N/A",
}


class Excel:
    """Microsoft Excel; its values are raw doubles."""

    name = "excel"

    def status(self) -> EngineStatus:
        """Whether Excel and xlwings are installed; starts neither."""
        platform: str = sys.platform
        if platform not in ("win32", "darwin"):
            hint = "Excel runs on Windows and macOS only: use ironcalc or libreoffice here"
            return EngineStatus(self.name, False, "", "", hint)
        version, where = _installed()
        if not where:
            return EngineStatus(self.name, False, "", "", _HINT)
        if find_spec("xlwings") is None:
            return EngineStatus(self.name, False, "", "", "pip install xlwings")
        return EngineStatus(self.name, True, version, where, _HINT)

    def open(self, path: Path, *, timeout: float = 120.0, show: bool = False) -> Book:
        """Open a private copy of an .xlsx file in an Excel of its own.

        Args:
            path: the file.
            timeout: seconds that each call may take, after which this Excel is killed;
                the start of Excel itself is not limited.
            show: in a window. Default False.

        Raises:
            CalculatorError: Excel is missing, refused the file, or timed out.
        """
        status = self.status()
        if not status.found:
            raise CalculatorError(f"the engine excel cannot be used here: {status.hint}")
        check_package(path)
        return _ExcelBook(path, timeout, show)


class _ExcelBook(Book):
    def __init__(self, path: Path, timeout: float, show: bool) -> None:
        super().__init__(path)
        self._timeout = timeout
        self._app: Any = None
        self._book: Any = None
        home = _MAC_FOLDER.expanduser() if sys.platform == "darwin" else None
        self._folder = tempfile.TemporaryDirectory(
            prefix="sheetconv-",
            dir=home if home is not None and home.is_dir() else None,
            ignore_cleanup_errors=True,
        )
        try:
            copy = Path(self._folder.name, "book.xlsx")
            shutil.copyfile(path, copy)
            with self._reported(f"open {path}"):
                self._app = import_module("xlwings").App(visible=show, add_book=False)
            self._pid = int(self._app.pid)
            with self._limited(f"open {path}"):
                self._app.display_alerts = False
                self._book = self._app.books.open(str(copy), update_links=False, read_only=True)
                # Needs an open book, and concerns this instance only.
                self._app.calculation = "manual"
                self._sheets = [sheet.name for sheet in self._book.sheets]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._closed = True
        app, self._app = self._app, None
        try:
            if app is not None:
                with suppress(CalculatorError), self._limited("end"):
                    for book in list(app.books):
                        book.close()  # without saving
                    app.quit()
        finally:
            self._folder.cleanup()

    def _write(self, area: Range, values: list[list[Value]]) -> None:
        with self._limited(f"write {area}"):
            self._range(area).raw_value = [[_typed(value) for value in row] for row in values]

    def _calculate(self) -> None:
        with self._limited(f"recalculate {self._path}"):
            if _on_windows():
                self._app.api.CalculateFullRebuild()
            else:
                self._app.api.calculate_full_rebuild()

    def _read(self, area: Range) -> list[list[Value]]:
        with self._limited(f"read {area}"):
            cells = self._range(area)
            if _on_windows():
                # Value2 gives doubles where Value gives dates and currencies.
                return [[_windows_value(v) for v in row] for row in _rows(cells.api.Value2)]
            values = _rows(cells.raw_value)
            # An error has no value on macOS: only its text tells that there is one.
            texts = _rows(cells.options(err_to_str=True).raw_value)
            return [
                [_mac_value(v, t) for v, t in zip(*pair, strict=True)]
                for pair in zip(values, texts, strict=True)
            ]

    def _range(self, area: Range) -> Any:
        return self._book.sheets[area.sheet].range(
            (area.row + 1, area.column + 1), (area.last_row + 1, area.last_column + 1)
        )

    @contextmanager
    def _limited(self, doing: str) -> Iterator[None]:
        """Kill this Excel if the block takes too long, which makes the block fail."""
        expired = None
        try:
            with (
                self._reported(doing),
                time_limit(self._timeout, lambda: _kill(self._pid)) as expired,
            ):
                yield
        finally:
            if expired is not None and expired.is_set():
                self._closed = True
                self._app = None
                self._folder.cleanup()
                raise CalculatorError(
                    f"Excel did not {doing} within {self._timeout:g} s and was stopped: "
                    "allow more time, or try another engine"
                )

    @contextmanager
    def _reported(self, doing: str) -> Iterator[None]:
        """Turn whatever xlwings and the system below raise into a `CalculatorError`."""
        try:
            yield
        except CalculatorError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise CalculatorError(f"Excel could not {doing}: {reason}") from error


def _on_windows() -> bool:
    return sys.platform == "win32"


def _installed() -> tuple[str, str]:
    """Excel's version and place, both empty where it is not installed."""
    if _on_windows():
        winreg = import_module("winreg")
        with suppress(OSError):
            current = winreg.QueryValue(winreg.HKEY_CLASSES_ROOT, r"Excel.Application\CurVer")
            return current.rsplit(".", 1)[-1], current
        return "", ""
    with suppress(OSError, plistlib.InvalidFileException):
        with (_MAC_APP / "Contents" / "Info.plist").open("rb") as file:
            version = str(plistlib.load(file).get("CFBundleShortVersionString", ""))
        return version, str(_MAC_APP)
    return "", ""


def _kill(pid: int) -> None:
    with suppress(OSError):
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def _typed(value: Value) -> float | str | bool:
    """A value as a person would type it, since Excel reads it as if typed."""
    if value is None:
        return ""
    if isinstance(value, CellError):
        return f"={value}"
    if isinstance(value, str):
        # The apostrophe keeps text text, whether it looks like a formula or a number.
        return f"'{value}"
    return value


def _rows(values: Any) -> list[list[Any]]:
    """Rows of columns: a single cell comes as its value alone."""
    if not isinstance(values, (list, tuple)):
        return [[values]]
    if not isinstance(values[0], (list, tuple)):
        return [list(values)]
    return [list(row) for row in values]


def _windows_value(value: Any) -> Value:
    if isinstance(value, int) and not isinstance(value, bool):
        return CellError(_WINDOWS_ERRORS.get(value, f"error {value}"))
    return _plain(value)


def _mac_value(value: Any, text: Any) -> Value:
    if isinstance(text, str) and text != value:
        return CellError(text)
    # A blank cell and an empty text cannot be told apart here.
    return None if value == "" else _plain(value)


def _plain(value: Any) -> Value:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return float(value)
    raise CalculatorError(f"Excel gave {value!r}, which is no number, text or truth value")

"""Excel's engine against a stand-in for xlwings: what it asks for, and what it makes of answers."""

from __future__ import annotations

import importlib.machinery
import plistlib
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from sheetconv.calculators import ENGINES, CellError, excel
from sheetconv.cells import parse_range
from sheetconv.errors import CalculatorError

EXCEL = ENGINES["excel"]


class Cells:
    """A range: it keeps what is written, and answers with what the test recorded."""

    def __init__(self, book: Book, corners: tuple[Any, ...], errors: bool = False) -> None:
        self._book, self._corners, self._errors = book, corners, errors
        self.api = types.SimpleNamespace(Value2=book.answer)

    @property
    def raw_value(self) -> Any:
        return self._book.texts if self._errors else self._book.answer

    @raw_value.setter
    def raw_value(self, values: Any) -> None:
        self._book.app.log.append(("write", *self._corners, values))

    def options(self, *, err_to_str: bool) -> Cells:
        return Cells(self._book, self._corners, err_to_str)


class Sheet:
    def __init__(self, book: Book, name: str) -> None:
        self.name, self._book = name, book

    def range(self, *corners: Any) -> Cells:
        return Cells(self._book, (self.name, *corners))


class Sheets(list[Sheet]):
    def __getitem__(self, name: Any) -> Any:
        return next(sheet for sheet in self if sheet.name == name)


class Book:
    answer: Any = None
    texts: Any = None

    def __init__(self, app: App) -> None:
        self.app = app
        self.sheets = Sheets([Sheet(self, "data"), Sheet(self, "it's")])

    def close(self) -> None:
        self.app.log.append("close")
        self.app.books.remove(self)


class Books(list[Book]):
    app: App

    def open(self, path: str, **options: Any) -> Book:
        assert Path(path).read_bytes()[:2] == b"PK"
        self.app.log.append(("open", options))
        self.append(Book(self.app))
        return self[0]


class App:
    """An Excel of its own, which is here a process that sleeps."""

    made: App

    def __init__(self, **options: Any) -> None:
        self.log: list[Any] = [("app", options)]
        self.books = Books()
        self.books.app = self
        self.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        self.pid = self.process.pid
        self.api = types.SimpleNamespace(
            CalculateFullRebuild=lambda: self.log.append("windows rebuild"),
            calculate_full_rebuild=lambda: self.log.append("mac rebuild"),
        )
        App.made = self

    def quit(self) -> None:
        self.log.append("quit")
        self.process.kill()
        self.process.wait()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("calculation", "display_alerts"):
            self.log.append((name, value))
        object.__setattr__(self, name, value)


@pytest.fixture(params=["win32", "darwin"])
def platform(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[str]:
    fake: Any = types.ModuleType("xlwings")
    fake.App = App
    fake.__spec__ = importlib.machinery.ModuleSpec("xlwings", None)
    registry: Any = types.ModuleType("winreg")
    registry.HKEY_CLASSES_ROOT = 1
    registry.QueryValue = lambda key, name: "Excel.Application.16"
    plist = tmp_path / "Excel.app" / "Contents" / "Info.plist"
    plist.parent.mkdir(parents=True)
    plist.write_bytes(plistlib.dumps({"CFBundleShortVersionString": "16.99"}))
    monkeypatch.setitem(sys.modules, "xlwings", fake)
    monkeypatch.setitem(sys.modules, "winreg", registry)
    monkeypatch.setattr(excel, "_MAC_APP", tmp_path / "Excel.app")
    monkeypatch.setattr(excel, "_MAC_FOLDER", tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # Only what this module asks: the standard library must not take this for another system.
    stand_in = types.SimpleNamespace(platform=request.param, modules=sys.modules)
    monkeypatch.setattr(excel, "sys", stand_in)
    yield request.param
    assert not list(tmp_path.glob("sheetconv-*"))


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet()
    return path


def test_status(platform: str) -> None:
    status = EXCEL.status()
    assert status.found
    assert status.version == {"win32": "16", "darwin": "16.99"}[platform]


def test_excel_is_driven_with_care(platform: str, workbook: Path) -> None:
    with EXCEL.open(workbook) as book:
        book.set_values(
            parse_range("'it''s'!B2:G2"), [[0.1, True, None, "=1", "2", CellError("#N/A")]]
        )
        book.recalculate()
    book.close()
    assert App.made.log == [
        ("app", {"visible": False, "add_book": False}),
        ("display_alerts", False),
        ("open", {"update_links": False, "read_only": True}),
        ("calculation", "manual"),
        ("write", "it's", (2, 2), (2, 7), [[0.1, True, "", "'=1", "'2", "=#N/A"]]),
        "windows rebuild" if platform == "win32" else "mac rebuild",
        "close",
        "quit",
    ]


def test_values_are_read_with_their_kinds(platform: str, workbook: Path) -> None:
    area = parse_range("data!A1:F1")
    with EXCEL.open(workbook) as book:
        fake = App.made.books[0]
        if platform == "win32":
            fake.answer = ((0.1 + 0.2, "#N/A", True, -2146826281, None, -2146826246),)
        else:
            fake.answer = [[0.1 + 0.2, "#N/A", True, None, "", None]]
            fake.texts = [[0.1 + 0.2, "#N/A", True, "#DIV/0!", "", "#N/A"]]
        (values,) = book.get_values(area)
        assert values == [0.1 + 0.2, "#N/A", True, "#DIV/0!", None, "#N/A"]
        assert [type(v) for v in values] == [float, str, bool, CellError, type(None), CellError]
        fake.answer = fake.texts = 2.5
        assert book.get_values(parse_range("data!A1")) == [[2.5]]
        fake.answer = fake.texts = object()
        with pytest.raises(CalculatorError, match="is no number, text or truth value"):
            book.get_values(parse_range("data!A1"))


def test_errors_and_hangs_are_errors_of_one_line(platform: str, workbook: Path) -> None:
    with EXCEL.open(workbook) as book:
        App.made.books[0].sheets.clear()
        with pytest.raises(CalculatorError, match="Excel could not read data!A1"):
            book.get_values(parse_range("data!A1"))
        app = App.made
        hang = types.SimpleNamespace(
            CalculateFullRebuild=app.process.wait, calculate_full_rebuild=app.process.wait
        )
        app.api = hang
        book._timeout = 0.3  # type: ignore[attr-defined]
        with pytest.raises(CalculatorError, match=r"did not recalculate .* within 0\.3 s"):
            book.recalculate()
        assert app.process.wait() != 0
        with pytest.raises(CalculatorError, match="is closed"):
            book.recalculate()


def test_a_refused_file_ends_excel(
    platform: str, workbook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Books, path: str, **options: Any) -> None:
        raise OSError("a message\nof two lines")

    monkeypatch.setattr(Books, "open", refuse)
    with pytest.raises(CalculatorError, match=r"could not open .*: a message of two lines$"):
        EXCEL.open(workbook)
    assert App.made.log[-1] == "quit"


def test_what_is_missing_is_said(
    platform: str, workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excel, "find_spec", lambda name: None)
    assert EXCEL.status().hint == "pip install xlwings"

    def missing(key: int, name: str) -> str:
        raise OSError

    monkeypatch.setattr(sys.modules["winreg"], "QueryValue", missing)
    monkeypatch.setattr(excel, "_MAC_APP", tmp_path / "none")
    with pytest.raises(CalculatorError, match="cannot be used here: install Microsoft Excel"):
        EXCEL.open(workbook)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="Excel may be there")
def test_elsewhere_there_is_no_excel() -> None:
    status = EXCEL.status()
    assert not status.found
    assert "Windows and macOS only: use ironcalc or libreoffice here" in status.hint

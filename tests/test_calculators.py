"""Every engine that can run here does the same with a workbook, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import xlsxwriter

from sheetconv.calculators import (
    ENGINES,
    CellError,
    Engine,
    OpenBook,
    find_engine,
    found_engines,
    processes,
    statuses,
)
from sheetconv.calculators import ironcalc as ironcalc_module
from sheetconv.calculators import (
    office as office_module,
)
from sheetconv.cells import Range, parse_range
from sheetconv.errors import CalculatorError, WorkbookError

POISON = 777
NUMBERS = [(0.1, 0.2, 1e-17), (1 / 3, 2 / 7, 1e300), (math.pi, -math.e, 5e-324)]
ODD = "it's a sheet"
FORMULAS = {
    "A1": "=data!A1*data!B1+data!C1",
    "A2": "=data!A2*data!B2+data!C2",
    "A3": "=data!A3/data!B3",
    "A4": "=data!A1+data!B1",
    "A5": "=data!C3",
    "A6": "='it''s a sheet'!A1*3",
    "B1": '=data!A5&" and more"',
    "B2": '=IF(TRUE,"","x")',
    "B3": '="#N/A"',
    "C1": "=data!A1<data!B1",
    "C2": "=NOT(C1)",
    "C3": "=data!B5",
    "D1": "=1/0",
    "D2": "=NA()",
    "D3": "=nosuch(1)",
    "D4": '="a"+1',
    "D5": "=EXP(710)",
    "E1": "=data!F9",
}


@pytest.fixture(params=["ironcalc", "libreoffice"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "libreoffice":
        request.getfixturevalue("libreoffice")
    return ENGINES[request.param]


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which everything temporary is made, so that what is left can be seen."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    return write_workbook(tmp_path / "book.xlsx")


def write_workbook(path: Path) -> Path:
    with xlsxwriter.Workbook(path) as book:
        data = book.add_worksheet("data")
        sheet = book.add_worksheet(ODD)
        for i, row in enumerate(NUMBERS):
            # XlsxWriter rounds them to 16 digits: the scenario sets them again.
            for j, number in enumerate(row):
                data.write_number(i, j, number)
        data.write_row("A5", ["text", True])
        data.write_string("C5", "=1+2")
        for cell, formula in FORMULAS.items():
            sheet.write_formula(cell, formula, None, POISON)
        sheet.write_array_formula("F1:F1", "{=SUM(data!A1:A2*data!B1:B2)}", None, POISON)
    return path


def one(book: OpenBook, cell: str, sheet: str = ODD) -> object:
    return book.get_values(parse_range(cell, sheet))[0][0]


def check_scenario(book: OpenBook) -> None:
    """Recalculate a poisoned workbook, and compare with Python's own arithmetic."""
    book.set_values(Range("data", 0, 0, 3, 3), NUMBERS)
    book.recalculate()
    (a1, b1, c1), (a2, b2, c2), (a3, b3, c3) = NUMBERS
    values = book.get_values(Range(ODD, 0, 0, 7, 7))
    assert POISON not in [value for row in values for value in row]
    numbers = [a1 * b1 + c1, a2 * b2 + c2, a3 / b3, a1 + b1, c3, (a1 * b1 + c1) * 3]
    assert [row[0] for row in values] == [*numbers, None]
    assert values[0][5] == a1 * b1 + a2 * b2
    assert values[0][4] == 0.0
    assert [row[1] for row in values[:4]] == ["text and more", "", "#N/A", None]
    assert not any(isinstance(row[1], CellError) for row in values)
    assert [row[2] for row in values[:4]] == [True, False, True, None]
    assert [type(row[2]) for row in values[:3]] == [bool] * 3
    errors = [row[3] for row in values[:5]]
    assert errors == ["#DIV/0!", "#N/A", "#NAME?", "#VALUE!", "#NUM!"]
    assert all(isinstance(error, CellError) for error in errors)
    assert book.get_values(parse_range("data!A5:D5")) == [["text", True, "=1+2", None]]
    assert type(one(book, "A1")) is float


def test_recalculates_every_kind_of_value_and_leaves_the_file_alone(
    engine: Engine, workbook: Path, private: Path
) -> None:
    before = hashlib.sha256(workbook.read_bytes()).digest()
    with engine.open(workbook) as book:
        check_scenario(book)
    book.close()
    assert hashlib.sha256(workbook.read_bytes()).digest() == before
    assert_nothing_left(private)
    with pytest.raises(CalculatorError, match="is closed: open it again"):
        book.recalculate()


def test_the_scenario_notices_an_engine_that_does_not_recalculate(
    workbook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ironcalc_module._IronCalcBook, "_calculate", lambda self: None)
    with ENGINES["ironcalc"].open(workbook) as book:
        assert one(book, "A1") == POISON
        with pytest.raises(AssertionError, match=str(POISON)):
            check_scenario(book)


def test_set_values_of_every_kind(engine: Engine, workbook: Path) -> None:
    with engine.open(workbook) as book:
        book.set_values(parse_range("data!A1:B1"), [[1 / 7, 3]])
        book.recalculate()
        assert one(book, "A4") == 1 / 7 + 3
        area = parse_range("data!A5:G5")
        given = ["-1", False, "'quoted", None, CellError("#N/A"), 1.0, "TRUE"]
        book.set_values(area, [given])
        book.recalculate()
        (got,) = book.get_values(area)
        assert got == given
        assert [type(value) for value in got] == [type(value) for value in given]
        assert one(book, "B1") == "-1 and more"
        assert one(book, "C3") is False
        # A number where a truth value was is a number, though it is 1.
        book.set_values(parse_range("data!A5:C5"), [["", 1.0, CellError("#DIV/0!")]])
        book.recalculate()
        assert book.get_values(parse_range("data!A5:C5")) == [[None, 1.0, "#DIV/0!"]]
        assert type(one(book, "B5", "data")) is float
        assert type(one(book, "C3")) is float
        # An error spreads, and is gone when its cause is.
        book.set_values(parse_range("data!A1"), [[CellError("#NUM!")]])
        book.recalculate()
        assert isinstance(one(book, "A6"), CellError)
        book.set_values(parse_range("data!A1:C1"), [[2, 3, 4]])
        book.recalculate()
        assert one(book, "A6") == 30.0


def test_what_no_cell_can_hold_is_refused(engine: Engine, workbook: Path) -> None:
    cell = parse_range("data!A1")
    with engine.open(workbook) as book:
        for values, message in [
            ([[1.0, 2.0]], "do not fit data!A1: give 1 rows of 1"),
            ([], "0 rows"),
            ([[math.nan]], "nan for data!A1: a cell holds finite numbers only"),
            ([[-math.inf]], "finite numbers only"),
            ([[CellError("Err:502")]], "no error that can be written"),
            ([[b"bytes"]], "is no cell value"),
        ]:
            with pytest.raises(CalculatorError, match=message):
                book.set_values(cell, values)  # type: ignore[arg-type]
        for area in (Range("dat", 0, 0), Range("Data", 0, 0)):
            with pytest.raises(CalculatorError, match=r"no worksheet.*did you mean 'data'"):
                book.get_values(area)
        with pytest.raises(CalculatorError, match=r"no worksheet 'xyz'.*it has \['data', "):
            book.set_values(Range("xyz", 0, 0), [[1.0]])
        book.recalculate()
        assert one(book, "A4") == 0.1 + 0.2


def test_two_books_are_open_at_once(engine: Engine, workbook: Path, tmp_path: Path) -> None:
    other = write_workbook(tmp_path / "other.xlsx")
    with engine.open(workbook) as first, engine.open(other) as second:
        first.set_values(parse_range("data!A1"), [[5.0]])
        second.set_values(parse_range("data!A1"), [[7.0]])
        second.recalculate()
        first.recalculate()
        assert (one(first, "A4"), one(second, "A4")) == (5.2, 7.2)


def test_paths_with_spaces_and_letters(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "Größe & 'plan' 100% 雪"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("LC_ALL", "xx_XX.none")
    workbook = write_workbook(folder / "naïve book.xlsx")
    with engine.open(workbook) as book:
        check_scenario(book)
    assert list(folder.iterdir()) == [workbook]


def bad_files(folder: Path) -> Iterator[tuple[Path, str]]:
    def file(name: str, content: bytes) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    good = write_workbook(folder / "good.xlsx")
    junk = bytes(range(256)) * 8
    yield folder / "missing.xlsx", "no such file"
    yield folder, "folder"
    yield file("empty.xlsx", b""), "empty file"
    yield file("garbage.xlsx", junk), "no zip|not a zip|not an"
    yield file("ole.xlsx", bytes.fromhex("D0CF11E0A1B11AE1") + junk), "password-protected"
    yield file("half.xlsx", good.read_bytes()[:3000]), "damaged"
    yield zipped(folder / "zip.xlsx", {"a.txt": b"a"}), "workbook"
    with zipfile.ZipFile(good) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    yield zipped(folder / "torn.xlsx", parts | {sheet: parts[sheet][:-200]}), "damaged|XML"
    flipped = bytearray(good.read_bytes())
    flipped[flipped.index(b"xl/worksheets/sheet1.xml") + 60] ^= 0xFF
    yield file("flipped.xlsx", bytes(flipped)), "damaged|could not open"


def zipped(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_bad_files_are_refused_in_one_line(engine: Engine, tmp_path: Path, private: Path) -> None:
    for path, message in bad_files(tmp_path):
        with pytest.raises((WorkbookError, CalculatorError), match=message) as caught:
            engine.open(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert_nothing_left(private)


def test_a_panic_of_ironcalc_is_an_error_of_one_line() -> None:
    import ironcalc

    with (
        pytest.raises(CalculatorError, match=r"IronCalc could not try it: .*; try another"),
        ironcalc_module._reported("try", "it"),
    ):
        ironcalc.test_panic()
    with pytest.raises(KeyboardInterrupt), ironcalc_module._reported("try", "it"):
        raise KeyboardInterrupt


def test_engines_are_found_by_name(monkeypatch: pytest.MonkeyPatch, no_libreoffice: None) -> None:
    assert list(ENGINES) == ["ironcalc", "libreoffice", "excel"]
    assert [status.name for status in statuses()] == list(ENGINES)
    ironcalc, libreoffice, _ = statuses()
    assert ironcalc.found
    assert ironcalc.version.startswith("0.9")
    assert not libreoffice.found
    assert ENGINES["ironcalc"] in found_engines()
    assert ENGINES["libreoffice"] not in found_engines()
    with pytest.raises(CalculatorError, match=r"did you mean 'libreoffice'.*ironcalc, libreoff"):
        find_engine("LibreOfice")
    with pytest.raises(CalculatorError, match="no engine 'numbers': The engines are"):
        find_engine("numbers")
    with pytest.raises(CalculatorError, match=r"libreoffice cannot be used here: .*install"):
        find_engine("libreoffice")
    with pytest.raises(CalculatorError, match="LibreOffice is not found"):
        ENGINES["libreoffice"].open(Path("any.xlsx"))


def test_importing_imports_no_engine() -> None:
    code = (
        "import sys, sheetconv.calculators; print({'ironcalc', 'uno', 'xlwings'} & {*sys.modules})"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout == "set()\n"


# LibreOffice's processes


@pytest.fixture
def no_libreoffice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SHEETCONV_SOFFICE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(office_module, "PLACES", ())


def commands() -> dict[int, str]:
    """The command line of every living process."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("processes are looked up in /proc")
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found[int(folder.name)] = text
    return found


def assert_nothing_left(private: Path, word: str = "") -> None:
    """No file in the folder, and no process that knows it, after a moment to die."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        left = [text for text in commands().values() if (word or str(private)) in text]
        if not left and not list(private.iterdir()):
            return
        time.sleep(0.05)
    assert list(private.iterdir()) == []
    assert left == []


def office_of(private: Path) -> int:
    (pid,) = [
        pid for pid, text in commands().items() if str(private) in text and "soffice.bin" in text
    ]
    return pid


def socket_of(private: Path) -> Path:
    """The one thing that LibreOffice makes outside of the private folder."""
    (name,) = {
        match[1]
        for text in commands().values()
        if str(private) in text and (match := re.search(r"--accept=pipe,name=(\w+)", text))
    }
    socket = Path(f"/tmp/OSL_PIPE_{os.getuid()}_{name}")
    assert socket.exists()
    return socket


def fake_soffice(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_wrong_variable_is_named(
    workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in (tmp_path, tmp_path / "none", workbook):
        monkeypatch.setenv("SHEETCONV_SOFFICE", str(wrong))
        with pytest.raises(
            CalculatorError, match=r"SHEETCONV_SOFFICE is '.*', which is not a prog"
        ):
            ENGINES["libreoffice"].open(workbook)
        assert "SHEETCONV_SOFFICE" in ENGINES["libreoffice"].status().hint


def test_a_libreoffice_that_hangs_is_killed(
    libreoffice: Engine, workbook: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = f"9{os.getpid()}.25"
    fake = fake_soffice(private.parent / "soffice", f"sleep {word}; sleep 1")
    monkeypatch.setenv("SHEETCONV_SOFFICE", str(fake))
    with pytest.raises(CalculatorError, match=r"did not start within 0\.7 s and was stopped"):
        libreoffice.open(workbook, timeout=0.7)
    assert_nothing_left(private, word)
    monkeypatch.setattr(office_module, "_GRACE", 0.5)
    status = libreoffice.status()
    assert not status.found
    assert "did not end within 0.5 s" in status.hint
    assert_nothing_left(private, word)


def test_a_libreoffice_that_fails_at_once_says_so(
    libreoffice: Engine, workbook: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fake_soffice(private.parent / "soffice", "exit 3")
    monkeypatch.setenv("SHEETCONV_SOFFICE", str(fake))
    with pytest.raises(CalculatorError, match="could not start: it ended with exit code 3"):
        libreoffice.open(workbook)
    assert "exit code 3" in libreoffice.status().hint
    assert_nothing_left(private)


def test_a_python_without_uno_is_said(
    libreoffice: Engine, workbook: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fake_soffice(private.parent / "soffice", "echo LibreOffice 9.9.9.9")
    monkeypatch.setenv("SHEETCONV_SOFFICE", str(fake))
    monkeypatch.setattr(processes, "run", lambda command, **_: (1, ""))
    with pytest.raises(CalculatorError, match="apt install python3-uno"):
        libreoffice.open(workbook)
    assert_nothing_left(private)


@pytest.mark.parametrize("victim", ["soffice.bin", "_uno_server.py"])
def test_a_libreoffice_that_dies_is_an_error(
    libreoffice: Engine, workbook: Path, private: Path, victim: str
) -> None:
    with libreoffice.open(workbook) as book:
        for pid, text in commands().items():
            if str(private) in text and victim in text:
                os.kill(pid, signal.SIGKILL)
        with pytest.raises(CalculatorError, match="LibreOffice stopped when it was to recalc"):
            book.recalculate()
        assert_nothing_left(private)
        with pytest.raises(CalculatorError, match="is closed"):
            book.get_values(Range("data", 0, 0))


def test_a_call_that_runs_over_its_time_kills(
    libreoffice: Engine, workbook: Path, private: Path
) -> None:
    with libreoffice.open(workbook) as book:
        socket = socket_of(private)
        os.kill(office_of(private), signal.SIGSTOP)
        book._office.timeout = 0.5  # type: ignore[attr-defined]
        with pytest.raises(CalculatorError, match=r"did not recalculate .* within 0\.5 s"):
            book.recalculate()
        assert_nothing_left(private)
        assert not socket.exists()


def test_ctrl_c_kills(libreoffice: Engine, workbook: Path, private: Path) -> None:
    book = libreoffice.open(workbook)
    os.kill(office_of(private), signal.SIGSTOP)
    main = threading.main_thread().ident
    assert main is not None
    interrupt = threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        book.recalculate()
    interrupt.join()
    assert_nothing_left(private)


@pytest.mark.parametrize("ending", ["pass", "os.kill(os.getpid(), 9)", "1/0"])
def test_nothing_outlives_a_python_that_forgets_to_close(
    libreoffice: Engine, workbook: Path, private: Path, ending: str
) -> None:
    code = (
        "import os, sys; from pathlib import Path; from sheetconv.calculators import ENGINES\n"
        f"book = ENGINES['libreoffice'].open(Path(sys.argv[1]))\n{ending}\n"
    )
    environment = os.environ | {"TMPDIR": str(private)}
    subprocess.run(
        [sys.executable, "-c", code, workbook], env=environment, capture_output=True, check=False
    )
    assert_nothing_left(private)


def test_libreoffice_itself_refuses_bad_files_without_a_dialog(
    libreoffice: Engine, tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office_module, "check_parts", lambda path: None)
    bad = {path.name: path for path, _ in bad_files(tmp_path)}
    for name in ("ole.xlsx", "zip.xlsx"):
        with pytest.raises(CalculatorError, match=rf"could not open .*{name}: it cannot load"):
            libreoffice.open(bad[name])
    assert_nothing_left(private)


def test_libreoffice_reads_far_and_writes_no_part_of_an_array(
    libreoffice: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "array.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("s")
        sheet.write_array_formula("A1:A3", "{={1;2;3}*2}", None, POISON)
    with libreoffice.open(path) as opened:
        with pytest.raises(CalculatorError, match="could not write s!A2: is the worksheet prot"):
            opened.set_values(parse_range("s!A2"), [[1.0]])
        with pytest.raises(CalculatorError, match="the range ends outside its worksheet"):
            opened.get_values(Range("s", 0, 16_384))
        opened.recalculate()
        assert opened.get_values(parse_range("s!A1:A4")) == [[2.0], [4.0], [6.0], [None]]

"""New values in a workbook's XML, however that is spelled, and all else as it was."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import xlsxwriter

from sheetconv.errors import WorkbookError
from sheetconv.live.splicing import Values, splice
from sheetconv.values import CellError, Value
from sheetconv.xlsx import read_cells

PART = "xl/worksheets/sheet1.xml"
NEW: list[Value] = [1.5, -0.0, 5e-324, 1e300, True, False, 'a <b> & "c"', "", CellError("#N/A")]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.xlsx"
    rng = np.random.default_rng(0)
    with xlsxwriter.Workbook(path) as written:
        sheet = written.add_worksheet("one")
        bold = written.add_format({"bold": True})
        for row, column in sorted({(int(r), int(c)) for r, c in rng.integers(0, 9, (40, 2))}):
            kind = (row + column) % 5
            if kind == 0:
                sheet.write_formula(row, column, "=1&2", bold, "12")
            elif kind == 1:
                sheet.write_formula(row, column, "=1+2", None, 3)
            elif kind == 2:
                sheet.write_string(row, column, "text")
            elif kind == 3:
                sheet.write_blank(row, column, None, bold)
            else:
                sheet.write_number(row, column, 0.1, bold)
        written.add_worksheet("two").write_number(3, 3, 4.0)
    return path


def held(path: Path, sheet: str = "one") -> dict[tuple[int, int], tuple[str | None, Value, type]]:
    return {
        (cell.row, cell.column): (cell.formula, cell.value, type(cell.value))
        for cell in read_cells(path, sheet)
    }


def expected(path: Path, values: Values) -> dict[tuple[int, int], tuple[str | None, Value, type]]:
    found = held(path)
    for place, value in values.items():
        formula = found[place][0] if place in found else None
        found[place] = (formula, value, type(value))
    return {k: v for k, v in found.items() if v[:2] != (None, None)}


def with_sheet(path: Path, target: Path, text: bytes) -> Path:
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as out:
        for name in source.namelist():
            out.writestr(name, text if name == PART else source.read(name))
    return target


@pytest.mark.parametrize("seed", range(8))
def test_values_are_replaced_and_added(seed: int, book: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    places = {(int(r), int(c)) for r, c in rng.integers(0, 12, (30, 2))} | {(1_048_575, 16_383)}
    values: dict[tuple[int, int], Value] = {}
    for place in sorted(places):
        values[place] = [*NEW, None, None][int(rng.integers(len(NEW) + 2))]
    out = tmp_path / "out.xlsx"
    splice(book, out, {"one": values})
    assert held(out) == expected(book, values)
    assert held(out, "two") == held(book, "two")
    # What stays the same stays, byte by byte.
    splice(book, out, {"one": {}})
    with zipfile.ZipFile(book) as a, zipfile.ZipFile(out) as b:
        assert [(n, a.read(n)) for n in a.namelist()] == [(n, b.read(n)) for n in b.namelist()]


@pytest.mark.parametrize(
    "cells",
    [
        "<sheetData/>",
        "<sheetData></sheetData>",
        '<sheetData><row r="3" spans="1:2"/></sheetData>',
        '<sheetData><row r="3"></row><row r="9"/></sheetData>',
        "<sheetData>\n<row r='3' spans='1:2'>\n <c\n r='B3' t='s' ><v>0</v></c></row></sheetData>",
        '<sheetData><row r="3"><c r="B3" t="inlineStr"><is><t>a</t></is></c></row></sheetData>',
        '<sheetData><row r="3"><c r="B3" t="e"><f>1/0</f><v>#DIV/0!</v></c></row></sheetData>',
        '<sheetData><row r="3"><c r="B3"><f>1/0</f></c><c r="C3"/></row></sheetData>',
        "<sheetData><row><c><v>1</v></c><c/><c/></row><row/><row><c/><c><v>2</v></c></row></sheetData>",
    ],
)
@pytest.mark.parametrize("prefix", ["", "x:"])
def test_other_spellings(cells: str, prefix: str, book: Path, tmp_path: Path) -> None:
    head = f"<{prefix}worksheet xmlns{':x' if prefix else ''}="
    head += '"http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    spelled = cells.replace("</", "\0").replace("<", f"<{prefix}").replace("\0", f"</{prefix}")
    text = f"{head}{spelled}</{prefix}worksheet>".encode()
    odd = with_sheet(book, tmp_path / "odd.xlsx", text)
    for value in (2.5, "b", None):
        values: Values = {(2, 1): value, (2, 0): 1.0, (5, 7): 3.0, (0, 0): value, (2, 9): None}
        splice(odd, tmp_path / "out.xlsx", {"one": values})
        assert held(tmp_path / "out.xlsx") == expected(odd, values)


def test_refusals(book: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkbookError, match="no worksheet 'three': give it its old name again"):
        splice(book, tmp_path / "out.xlsx", {"three": {(0, 0): 1.0}})
    with zipfile.ZipFile(book) as source:
        text = source.read(PART).decode().replace("UTF-8", "UTF-16").encode("utf-16")
    odd = with_sheet(book, tmp_path / "odd.xlsx", text)
    with pytest.raises(WorkbookError, match="is UTF-16"):
        splice(odd, tmp_path / "out.xlsx", {"one": {(0, 0): 1.0}})

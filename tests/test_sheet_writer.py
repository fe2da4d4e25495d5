"""The cell writer: what it writes reads back, to the bit, and XlsxWriter still calls it."""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import openpyxl
import pytest
import xlsxwriter
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl.worksheet.formula import ArrayFormula
from xlsxwriter.worksheet import Worksheet

from sheetconv import Conv2d, Dropout, MaxPool2d, Sequential
from sheetconv.cells import Grid
from sheetconv.drawing import Columns, Drawing, Text
from sheetconv.formulas import CellFormulas, Moving, can_share
from sheetconv.network_sheet import NetworkSheet
from sheetconv.sheet_writer import (
    Band,
    BlankBand,
    CellWorksheet,
    ColumnWidth,
    FormulaBand,
    NumberBand,
    SheetContent,
)
from sheetconv.workbook import build_workbook

deterministic = settings(derandomize=True, deadline=None, max_examples=60)


def write(path: Path, bands: Sequence[Band], sheet: str = "s", **content: Any) -> Path:
    """A workbook whose only worksheet holds the bands."""
    with xlsxwriter.Workbook(path) as book:
        worksheet = book.add_worksheet(sheet, worksheet_class=CellWorksheet)
        worksheet.prepare(SheetContent(list(bands), **content))
    return path


def sheet_xml(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read("xl/worksheets/sheet1.xml").decode()


def numbers_in_xml(path: Path) -> list[float]:
    return [float(text) for text in re.findall(r"<v>([^<]*)</v>", sheet_xml(path))]


def read_formulas(path: Path, sheet: str = "s") -> dict[str, str]:
    found = {}
    for row in openpyxl.load_workbook(path)[sheet].iter_rows():
        for cell in row:
            if isinstance(cell.value, ArrayFormula):
                found[cell.coordinate] = cell.value.text
            elif cell.data_type == "f":
                found[cell.coordinate] = cell.value
    return found


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


# --- Numbers

finite = st.floats(allow_nan=False, allow_infinity=False)


@deterministic
@given(value=finite | st.integers(-(2**60), 2**60).map(float))
@example(5e-324)
@example(2.2250738585072014e-308)
@example(1e300)
@example(-0.0)
@example(0.1 + 0.2)
@example(9007199254740993.0)
@example(1e16)
@example(1e22)
def test_a_number_is_the_same_double_again_and_no_longer_than_it_must_be(value: float) -> None:
    row = NumberBand(Grid("s", 0, 0, 1, 1), np.array([[value]]), 0).row_texts()(0)
    text = row.removeprefix('<c r="A1"><v>').removesuffix("</v></c>")
    assert bits(float(text)) == bits(value)
    assert text == repr(value).removesuffix(".0")


@settings(deterministic, max_examples=25)
@given(values=st.lists(finite | st.integers(-(2**60), 2**60).map(float), min_size=1, max_size=12))
@example([5e-324, 1e300, -1e-300, -0.0, 3.0, 1e16, 1e22, 0.1])
def test_numbers_round_trip_bit_for_bit(values: list[float]) -> None:
    grid = Grid("s", 0, 0, 1, len(values))
    cells = CellFormulas("out", 0, Grid("s", 1, 0, 1, len(values)), ("A9",))
    array = np.array([values])
    with TemporaryDirectory() as folder:
        path = write(
            Path(folder) / "a.xlsx", [NumberBand(grid, array, 0), FormulaBand(cells, array, 0)]
        )
        assert [bits(v) for v in numbers_in_xml(path)] == [bits(v) for v in values * 2]
        sheet = openpyxl.load_workbook(path, data_only=True)["s"]
        for row in (1, 2):
            # openpyxl reads "-0" as an integer, which has no sign.
            read = [cell.value for cell in sheet[row]]
            assert read == values
            assert all(isinstance(value, int | float) for value in read)


# --- Formulas

WINDOW = Moving("", 0, 0, 2, 3, 1, 1)
STRIDED = Moving("", 0, 0, 2, 2, 2, 3)


@pytest.mark.parametrize(
    ("cells", "shares"),
    [
        (CellFormulas("out", 0, Grid("s", 3, 4, 3, 2), ("SUM(", WINDOW, ")")), True),
        (CellFormulas("out", 0, Grid("s", 3, 4, 3, 2), ("SUM(", WINDOW, ")+$A$1")), True),
        (CellFormulas("out", 0, Grid("s", 3, 4, 3, 2, 2, 3), ("MAX(", STRIDED, ")")), True),
        (CellFormulas("out", 0, Grid("s", 3, 4, 1, 2, 1, 3), ("MAX(", STRIDED, ")")), True),
        (CellFormulas("out", 0, Grid("s", 3, 4, 3, 2), ("MAX(", STRIDED, ")")), False),
        (CellFormulas("out", 0, Grid("s", 3, 4, 3, 2, 2, 3), ("SUM(", WINDOW, ")")), False),
        (CellFormulas("out", 0, Grid("s", 3, 4, 1, 1), ("SUM(", WINDOW, ")")), False),
        (CellFormulas("out", 0, Grid("s", 3, 4, 3, 2), ("SUM(", WINDOW, ")"), array=True), False),
    ],
)
def test_only_fills_are_shared(cells: CellFormulas, shares: bool) -> None:
    assert can_share(cells) is shares


@settings(deterministic, max_examples=25)
@given(
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    steps=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    place=st.tuples(st.integers(0, 12), st.integers(0, 30)),
)
def test_shared_formulas_are_those_written_out(
    size: tuple[int, int],
    steps: tuple[int, int],
    window: tuple[int, int],
    place: tuple[int, int],
) -> None:
    grid = Grid("s", *place, *size, *steps)
    formula = ("MAX(0,", Moving("", 2, 1, *window, *steps), '*$C$5)&"<%s>&\'"')
    cells = CellFormulas("out", 0, grid, formula)
    values = np.arange(grid.size, dtype=float).reshape(size)
    with TemporaryDirectory() as folder:
        shared = write(Path(folder) / "a.xlsx", [FormulaBand(cells, values, 0, shared=0)])
        apart = write(Path(folder) / "b.xlsx", [FormulaBand(cells, values, 0)])
        assert read_formulas(shared) == read_formulas(apart)
        assert len(read_formulas(shared)) == grid.size
        assert numbers_in_xml(shared) == numbers_in_xml(apart) == list(range(grid.size))


def test_sharing_what_is_no_fill_is_found(tmp_path: Path) -> None:
    cells = CellFormulas("out", 0, Grid("s", 5, 5, 2, 2), ("MAX(", STRIDED, ")"))
    shared = write(tmp_path / "a.xlsx", [FormulaBand(cells, np.zeros((2, 2)), 0, shared=0)])
    apart = write(tmp_path / "b.xlsx", [FormulaBand(cells, np.zeros((2, 2)), 0)])
    assert read_formulas(shared) != read_formulas(apart)


def test_array_formulas_are_one_cell_each(tmp_path: Path) -> None:
    cells = CellFormulas("out", 0, Grid("s", 5, 5, 2, 2), ("SUM(", WINDOW, "*2)"), array=True)
    path = write(tmp_path / "a.xlsx", [FormulaBand(cells, np.zeros((2, 2)), 0)])
    read = openpyxl.load_workbook(path)["s"]
    for cell, text in {"F6": "A1:C2", "G6": "B1:D2", "F7": "A2:C3", "G7": "B2:D3"}.items():
        assert isinstance(read[cell].value, ArrayFormula)
        assert read[cell].value.ref == cell
        assert read[cell].value.text == f"=SUM({text}*2)"


def test_references_to_another_worksheet_are_escaped(tmp_path: Path) -> None:
    other = Moving("50% <&> 'x", 0, 0, 1, 1, 1, 1)
    cells = CellFormulas("out", 0, Grid("s", 0, 5, 1, 2), (other, "+1"))
    for shared in (None, 0):
        path = write(tmp_path / "a.xlsx", [FormulaBand(cells, np.zeros((1, 2)), 0, shared)])
        assert read_formulas(path) == {
            "F1": "='50% <&> ''x'!A1+1",
            "G1": "='50% <&> ''x'!B1+1",
        }


# --- Rows


def test_aligned_grids_and_their_neighbours_stand_where_they_should(tmp_path: Path) -> None:
    spread = Grid("s", 1, 1, 3, 2, row_step=2, column_step=3)
    beside = Grid("s", 2, 6, 4, 1)
    values = np.arange(1.0, 7.0).reshape(3, 2)
    bands: list[Band] = [
        NumberBand(beside, np.arange(10.0, 14.0).reshape(4, 1), 0),
        NumberBand(spread, values, 0),
        BlankBand(Grid("s", 0, 0, 1, 2), 0),
    ]
    sheet = openpyxl.load_workbook(write(tmp_path / "a.xlsx", bands))["s"]
    found = {c.coordinate: c.value for row in sheet.iter_rows() for c in row if c.value is not None}
    assert found == {
        "B2": 1, "E2": 2, "B4": 3, "E4": 4, "B6": 5, "E6": 6,
        "G3": 10, "G4": 11, "G5": 12, "G6": 13,
    }  # fmt: skip
    assert sheet.dimensions == "A1:G6"


def test_progress_counts_every_cell(tmp_path: Path) -> None:
    counts: list[int] = []
    bands = [NumberBand(Grid("s", 2 * n, 0, 2, 3), np.ones((2, 3)), 0) for n in range(4)]
    write(tmp_path / "a.xlsx", bands, progress=counts.append)
    assert counts == [3] * 8


# --- Texts


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1", "-1", "@now", "{=A1}", "#REF!", "7", "TRUE", "a & b < c > d", "it's",
        'say "hi"', "100% %s %d", "_x0041_", " spaces ", "two\nlines", "größer 😀", "",
    ],
)  # fmt: skip
def test_texts_stay_texts(text: str, tmp_path: Path) -> None:
    drawing = Drawing(texts=(Text("A1", text),))
    sheet = NetworkSheet(Sequential(MaxPool2d(2)), np.eye(4), drawing)
    built = build_workbook([sheet], tmp_path / "a.xlsx")
    cell = openpyxl.load_workbook(built.path)["network"]["A1"]
    assert (cell.value or "") == text
    assert cell.data_type == "s"


@pytest.mark.parametrize("name", ["a & b <c>", "it's", "100% %s", 'say "hi"', "größer 😀"])
def test_names_of_worksheets_are_written_as_they_are(name: str, tmp_path: Path) -> None:
    sheet = NetworkSheet(Sequential(MaxPool2d(2)), np.eye(4), Drawing(worksheet=name))
    built = build_workbook([sheet], tmp_path / "a.xlsx")
    assert openpyxl.load_workbook(built.path).sheetnames == [name, "sheetconv"]


# --- Bytes


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    network = Sequential(Conv2d(1, 2, 3, padding=1), Dropout(), MaxPool2d(2))
    paths = [tmp_path / "a.xlsx", tmp_path / "b.xlsx"]
    for path in paths:
        build_workbook([NetworkSheet(network, np.eye(6))], path, seed=3)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    build_workbook([NetworkSheet(network, np.eye(6))], tmp_path / "c.xlsx", seed=4)
    assert paths[0].read_bytes() != (tmp_path / "c.xlsx").read_bytes()


# --- XlsxWriter's private methods


@pytest.mark.parametrize("name", ["_write_sheet_data", "_write_cols", "_write_sheet_format_pr"])
def test_the_overridden_methods_exist_in_xlsxwriter(name: str) -> None:
    assert callable(getattr(Worksheet, name))
    assert getattr(CellWorksheet, name) is not getattr(Worksheet, name)


def test_xlsxwriter_calls_the_overridden_methods(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.xlsx",
        [NumberBand(Grid("s", 6, 2, 1, 1), np.array([[0.1 + 0.2]]), 0)],
        columns=[ColumnWidth(4, 5, 7.25, True, 2, True), ColumnWidth(0, 1, 3.5)],
        default_width=2.77734375,
        row_height=14.4,
    )
    xml = sheet_xml(path)
    assert '<dimension ref="C7"/>' in xml
    # XlsxWriter itself rounds numbers to 16 digits.
    assert '<sheetData><row r="7"><c r="C7"><v>0.30000000000000004</v></c></row></sheetData>' in xml
    assert (
        '<sheetFormatPr defaultColWidth="2.77734375" defaultRowHeight="14.4" customHeight="1" '
        'outlineLevelCol="2"/>'
    ) in xml
    assert (
        '<cols><col min="1" max="2" width="3.5" customWidth="1"/>'
        '<col min="5" max="6" width="7.25" hidden="1" customWidth="1" outlineLevel="2" '
        'collapsed="1"/></cols>'
    ) in xml


def test_a_sheet_without_columns_has_no_cols_element(tmp_path: Path) -> None:
    xml = sheet_xml(write(tmp_path / "a.xlsx", [BlankBand(Grid("s", 0, 0, 1, 1), 0)]))
    assert "<cols>" not in xml
    assert '<sheetFormatPr defaultRowHeight="15"/>' in xml


def test_columns_of_a_drawing_reach_the_file(tmp_path: Path) -> None:
    drawing = Drawing(columns=(Columns("C:D", 4.5, hidden=True),), default_width=3.0)
    sheet = NetworkSheet(Sequential(MaxPool2d(2)), np.eye(4), drawing)
    built = build_workbook([sheet], tmp_path / "a.xlsx")
    assert '<col min="3" max="4" width="4.5" hidden="1" customWidth="1"/>' in sheet_xml(built.path)

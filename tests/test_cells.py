"""A1 text, quoting, names of worksheets, ranges and grids."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils import get_column_letter, quote_sheetname

from sheetconv.cells import (
    MAX_COLUMNS,
    MAX_ROWS,
    Cell,
    Grid,
    Range,
    check_sheet_name,
    column_index,
    column_name,
    parse_cell,
    parse_range,
    quote_sheet,
)
from sheetconv.errors import LayoutError
from sheetconv.formulas import CellFormulas, Moving, Placed, Role, View, formula_text, joined

deterministic = settings(derandomize=True, deadline=None, max_examples=100)

rows = st.integers(0, MAX_ROWS - 1)
columns = st.integers(0, MAX_COLUMNS - 1)
sheet_names = st.text(st.characters(codec="utf-8", exclude_characters="[]:*?/\\"), min_size=1)


# --- Columns


def test_column_names_are_openpyxls() -> None:
    for column in range(MAX_COLUMNS):
        name = column_name(column)
        assert name == get_column_letter(column + 1)
        assert column_index(name) == column
        assert column_index(name.lower()) == column


# --- Cells and ranges


@deterministic
@given(row=rows, column=columns, sheet=sheet_names)
def test_a_cell_reads_back_from_its_text(row: int, column: int, sheet: str) -> None:
    cell = Cell(sheet, row, column)
    assert parse_cell(cell.a1, sheet) == cell
    assert parse_cell(str(cell)) == cell


@deterministic
@given(corners=st.tuples(rows, rows, columns, columns), sheet=sheet_names)
def test_a_range_reads_back_from_its_text(corners: tuple[int, int, int, int], sheet: str) -> None:
    (top, bottom), (left, right) = sorted(corners[:2]), sorted(corners[2:])
    area = Range(sheet, top, left, bottom - top + 1, right - left + 1)
    for text in (area.a1, area.absolute, area.a1.lower()):
        assert parse_range(text, sheet) == area
    assert parse_range(str(area)) == area
    assert area.first == Cell(sheet, top, left)
    assert (area.last_row, area.last_column) == (bottom, right)


def test_a_range_of_one_cell_has_no_colon() -> None:
    area = Range("s", 2, 1)
    assert (area.a1, area.absolute, str(area)) == ("B3", "$B$3", "s!B3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a cell or a range"),
        ("A", "'A' is not a cell"),
        ("3", "'3' is not a cell"),
        ("A1:B2:C3", "is not a cell"),
        ("ABCD1", "is not a cell"),
        ("A1;B2", "is not a cell"),
        ("'s!A1", "is not a cell"),
        ("B2:A1", "'B2:A1' runs backwards"),
        ("A2:B1", "runs backwards"),
        ("A0", "'A0' lies outside a worksheet, which ends at XFD1048576"),
        ("A1048577", "lies outside"),
        ("XFE1", "lies outside"),
    ],
)
def test_texts_that_are_no_range_are_refused(text: str, message: str) -> None:
    with pytest.raises(LayoutError) as caught:
        parse_range(text)
    assert message in str(caught.value)


def test_the_last_cell_of_a_worksheet_is_taken_and_a_range_is_no_cell() -> None:
    assert parse_cell("XFD1048576") == Cell("", MAX_ROWS - 1, MAX_COLUMNS - 1)
    with pytest.raises(LayoutError, match="'A1:A2' is a range: one cell is expected"):
        parse_cell("A1:A2")


@deterministic
@given(
    a=st.tuples(*[st.integers(0, 4)] * 2, *[st.integers(1, 4)] * 2),
    b=st.tuples(*[st.integers(0, 4)] * 2, *[st.integers(1, 4)] * 2),
)
def test_ranges_overlap_where_they_share_a_cell(
    a: tuple[int, int, int, int], b: tuple[int, int, int, int]
) -> None:
    def cells(row: int, column: int, height: int, width: int) -> set[tuple[int, int]]:
        return {(row + i, column + j) for i in range(height) for j in range(width)}

    shared = bool(cells(*a) & cells(*b))
    assert Range("s", *a).overlaps(Range("s", *b)) is shared
    assert not Range("s", *a).overlaps(Range("t", *b))


# --- Grids


@deterministic
@given(
    place=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    steps=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_a_grids_bounds_hold_its_cells(
    place: tuple[int, int], size: tuple[int, int], steps: tuple[int, int]
) -> None:
    grid = Grid("s", *place, *size, *steps)
    cells = list(grid.cells())
    assert len(set(cells)) == len(cells) == grid.size
    assert cells[0] == grid.bounds.first == grid.cell(0, 0)
    assert cells[-1] == Cell("s", grid.bounds.last_row, grid.bounds.last_column)
    assert grid.compact is (grid.bounds.height * grid.bounds.width == grid.size)
    assert cells == [grid.cell(i, j) for i in range(size[0]) for j in range(size[1])]


# --- Names of worksheets


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("conv_1", "conv_1"),
        ("conv-example", "'conv-example'"),
        ("it's", "'it''s'"),
        ("two words", "'two words'"),
        ("1st", "'1st'"),
        ("C1", "'C1'"),
        ("r", "'r'"),
        ("R1C1", "'R1C1'"),
        ("xfd1", "'xfd1'"),
        ("a&b<c", "'a&b<c'"),
        ("Größe", "'Größe'"),
    ],
)
def test_sheet_names_are_quoted_where_they_need_it(name: str, quoted: str) -> None:
    assert quote_sheet(name) == quoted
    assert quoted in (name, quote_sheetname(name))


@pytest.mark.parametrize("name", ["a", "conv-example (dropout)", "it's", "x" * 31, "ä & <b>"])
def test_good_sheet_names_pass(name: str) -> None:
    check_sheet_name(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "has 0 characters: use 1 to 31"),
        ("x" * 32, "has 32 characters"),
        *[(f"a{bad}b", "not one that Excel takes") for bad in "[]:*?/\\"],
        ("'quoted", "a quote at either end"),
        ("quoted'", "a quote at either end"),
        ("a\nb", "control characters"),
        ("C1", "looks like a cell"),
        ("s2", "looks like a cell"),
        ("rc", "looks like a cell"),
        ("XFD1048576", "looks like a cell"),
    ],
)
def test_bad_sheet_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(LayoutError) as caught:
        check_sheet_name(name)
    assert message in str(caught.value)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


# --- Formulas


def test_a_moving_reference_steps_with_its_unit() -> None:
    window = Moving("", 2, 5, 3, 2, 2, 1)
    assert formula_text(("SUM(", window, ")")) == "SUM(F3:G5)"
    assert formula_text(("SUM(", window, ")"), 1, 3) == "SUM(I5:J7)"
    assert Moving("it's", 0, 0, 1, 1, 1, 1).text(1, 0) == "'it''s'!A2"


def test_formulas_are_joined_without_a_separator_at_either_end() -> None:
    assert joined("+", [("A1",), ("B1", "*2"), ("C1",)]) == ("A1", "+", "B1", "*2", "+", "C1")
    assert joined("+", []) == ()


@pytest.fixture
def view() -> View:
    spread = Grid("s", 4, 2, 3, 3, row_step=2, column_step=2)
    return View("s", Placed((1, 3, 3), Role.OUTPUT, (spread,)), {})


def test_a_window_over_a_spread_plane_spans_its_gaps(view: View) -> None:
    window = view.window(view.input.grids[0], (2, 2), (1, 1), (1, 0))
    assert window.text(1, 1) == "E5:G7"
    assert view.window(view.input.grids[0]).text(2, 1) == "E9"


def test_references_to_another_worksheet_name_it(view: View) -> None:
    other = Grid("it's", 0, 0, 2, 2)
    assert view.absolute(other) == "'it''s'!$A$1:$B$2"
    assert view.relative(other) == "'it''s'!A1:B2"
    assert view.window(other).text(0, 1) == "'it''s'!B1"
    assert view.absolute(view.input.grids[0]) == "$C$5:$G$9"


def test_sums_of_products_come_in_two_styles(view: View) -> None:
    array = View("s", view.input, {}, array=True)
    assert "".join(map(str, view.sum_of_products(("A1:B2",), ("C1:D2",)))) == (
        "SUMPRODUCT(A1:B2,C1:D2)"
    )
    assert "".join(map(str, array.sum_of_products(("A1:B2",), ("C1:D2",)))) == "SUM(A1:B2*C1:D2)"


def test_a_tensor_fills_its_grids() -> None:
    with pytest.raises(ValueError, match="does not fill"):
        Placed((2, 3), Role.INPUT, (Grid("s", 0, 0, 2, 2),))
    assert CellFormulas("out", 0, Grid("s", 0, 0, 1, 1), ("A1",)).array is False

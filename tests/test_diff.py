"""The comparison of workbooks: each aspect has one planted difference that must be found."""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter

from sheetconv.diff import Difference, WorkbookDiff, diff
from sheetconv.diff.volatile import Source, volatile_cells
from sheetconv.errors import WorkbookError
from sheetconv.references import Area, references

REFERENCE = Path(__file__).parents[2] / "shared" / "reference" / "conv-example.xlsx"
WHITE_TO_RED = {"type": "2_color_scale", "min_color": "#FCFCFF", "max_color": "#F8696B"}
WHITE_TO_RED_TEXT = "min #FCFCFF to max #F8696B"

#: Changes one call of `build`: method -> what it is called with, by the key of the call.
Plan = dict[str, Any]


def build(path: Path, **plan: Any) -> Path:
    """A workbook with a little of everything; `plan` replaces single ingredients."""
    values: Plan = {
        "sheets": ["one", "two"],
        "number": 0.1,
        "text": "label",
        "formula": "=SUM(A1:A2)",
        "value": 0.25,
        "kernel": "=A1*2",
        "number_format": "#,##0.0",
        "bold": True,
        "italic": True,
        "scale": ("A1:B2", WHITE_TO_RED),
        "width": 5.0,
        "column": {},
        "default_width": None,
        "merged": "D1:E1",
        "array": "A5:A6",
        "hide": False,
    } | plan
    with xlsxwriter.Workbook(path) as workbook:
        sheets = {name: workbook.add_worksheet(name) for name in values["sheets"]}
        sheet = sheets["one"]
        form = workbook.add_format({"num_format": values["number_format"]})
        sheet.write_number("A1", values["number"], form)
        if isinstance(values["text"], str):
            sheet.write_string("A2", values["text"])
        else:
            sheet.write("A2", values["text"])
        sheet.write_formula("A3", values["formula"], None, values["value"])
        sheet.write_formula("A4", values["kernel"], None, 0.2)
        sheet.write_array_formula(values["array"], "{=A1:A2*2}", None, 0.2)
        sheet.write_string("B1", "bold", workbook.add_format({"bold": values["bold"]}))
        sheet.write_string("B2", "italic", workbook.add_format({"italic": values["italic"]}))
        if values["scale"]:
            sheet.conditional_format(*values["scale"])
        sheet.set_column("C:E", values["width"], None, values["column"])
        if values["default_width"]:
            sheet.default_col_width = values["default_width"]
        if values["merged"]:
            sheet.merge_range(values["merged"], "merged")
        if values["hide"]:
            sheets["two"].hide()
    return path


def compare(tmp_path: Path, a: Plan, b: Plan, **options: float) -> WorkbookDiff:
    return diff(build(tmp_path / "a.xlsx", **a), build(tmp_path / "b.xlsx", **b), **options)


def test_equal_workbooks(tmp_path: Path) -> None:
    found = compare(tmp_path, {}, {})
    assert found.equal
    assert found.differences == ()
    assert found.lines() == []
    assert found.counts == {}
    assert found.compared["one"] == {
        "formula": 3,
        "constant": 5,
        "value": 4,
        "number format": 10,
        "font": 10,
        "colour scale": 1,
        "column": 3,
        "merged range": 1,
    }
    assert found.summary().endswith("two: compared nothing: it is blank\nequal")


PLANTED: list[tuple[Plan, Plan, list[tuple[Any, ...]]]] = [
    (
        {},
        {"formula": "=SUM(A1:B2)"},
        [("one", "A3", "formula", "=SUM(A1:A2)", "=SUM(A1:B2)")],
    ),
    ({}, {"value": 0.26}, [("one", "A3", "value", "0.25", "0.26")]),
    ({}, {"value": "#N/A"}, [("one", "A3", "value", "0.25", "#N/A")]),
    ({"value": "1"}, {"value": True}, [("one", "A3", "value", "'1'", "TRUE")]),
    ({}, {"number": 0.1000000000000001}, [("one", "A1", "constant", "0.1", "0.1000000000000001")]),
    ({}, {"text": "Label"}, [("one", "A2", "constant", "'label'", "'Label'")]),
    ({"text": "1"}, {"text": 1}, [("one", "A2", "constant", "'1'", "1.0")]),
    ({"text": "TRUE"}, {"text": True}, [("one", "A2", "constant", "'TRUE'", "TRUE")]),
    ({}, {"text": None}, [("one", "A2", "constant", "'label'", "(none)")]),
    ({}, {"text": "=A1"}, [("one", "A2", "constant", "'label'", "'=A1'")]),
    ({}, {"number_format": "0.00"}, [("one", "A1", "number format", "#,##0.0", "0.00")]),
    ({}, {"bold": False}, [("one", "B1", "font", "bold", "upright")]),
    ({}, {"italic": False}, [("one", "B2", "font", "italic", "upright")]),
    (
        {},
        {"scale": ("A1:B2", WHITE_TO_RED | {"max_color": "#F8696C"})},
        [("one", "A1:B2", "colour scale", WHITE_TO_RED_TEXT, "min #FCFCFF to max #F8696C")],
    ),
    (
        {},
        {"scale": ("A1:B2", WHITE_TO_RED | {"min_type": "num", "min_value": 3})},
        [("one", "A1:B2", "colour scale", WHITE_TO_RED_TEXT, "num 3.0 #FCFCFF to max #F8696B")],
    ),
    (
        {},
        {"scale": None},
        [("one", "A1:B2", "colour scale", WHITE_TO_RED_TEXT, "(none)")],
    ),
    (
        {},
        {"width": 6.0},
        [("one", "C:E", "column", "width 5.7109375", "width 6.7109375")],
    ),
    (
        {},
        {"column": {"hidden": True}},
        [("one", "C:E", "column", "width 5.7109375", "width 5.7109375, hidden")],
    ),
    (
        {},
        {"column": {"level": 2}},
        [("one", "C:E", "column", "width 5.7109375", "width 5.7109375, outline level 2")],
    ),
    ({}, {"merged": "D1:E2"}, [
        ("one", "D1:E1", "merged range", "merged", "apart"),
        ("one", "D1:E2", "merged range", "apart", "merged"),
    ]),
    (
        {},
        {"array": "A5"},
        [("one", "A5", "formula", "{=A1:A2*2} in A5:A6", "{=A1:A2*2}")],
    ),
    ({}, {"hide": True}, [("two", "", "sheet", "visible", "hidden")]),
    ({}, {"sheets": ["one"]}, [("two", "", "sheet", "present", "missing")]),
    (
        {},
        {"sheets": ["two", "one"]},
        [("", "", "sheet", "order one, two", "order two, one")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "expected"), PLANTED)
def test_a_planted_difference_is_found_and_nothing_else(
    tmp_path: Path, a: Plan, b: Plan, expected: list[tuple[Any, ...]]
) -> None:
    found = compare(tmp_path, a, b)
    assert not found.equal
    assert found.differences == tuple(Difference(*each) for each in expected)
    back = diff(found.b, found.a)
    assert sorted((each.where, each.a, each.b) for each in back.differences) == sorted(
        (each.where, each.b, each.a) for each in found.differences
    )


def test_the_report(tmp_path: Path) -> None:
    found = compare(tmp_path, {}, {"value": 0.26, "text": "x", "width": 6.0})
    assert found.counts == {"one": {"constant": 1, "value": 1, "column": 1}}
    assert found.lines(2) == [
        "one!A2: constant 'label' | 'x'",
        "one!A3: value 0.25 | 0.26",
        "... and 1 more",
    ]
    assert len(found.lines(None)) == 3
    assert found.summary().splitlines() == [
        f"a: {found.a}",
        f"b: {found.b}",
        "one: compared 3 formulas, 5 constants, 4 values, 10 number formats, 10 fonts, "
        "1 colour scale, 3 columns, 1 merged range",
        "two: compared nothing: it is blank",
        "one: differs in 1 constant, 1 value, 1 column",
        "different: 3 differences",
    ]


def test_long_texts_are_cut_where_they_part() -> None:
    a, b = "=" + "A1+" * 500 + "B7", "=" + "A1+" * 500 + "B8"
    line = str(Difference("s", "A1", "formula", a, b))
    assert len(line) < 300
    assert "B7 | ..." in line
    assert line.endswith("B8")


@pytest.mark.parametrize(
    ("a", "b", "options", "equal"),
    [
        (1.0, 1.0 + 0.9e-12, {}, True),
        (1.0, 1.0 + 1.2e-12, {}, False),
        (-1e9, -1e9 * (1 + 0.9e-12), {}, True),
        (1e-300, 1.1e-300, {}, False),
        (0.0, 1e-15, {}, False),
        (0.0, 1e-15, {"atol": 1e-15}, True),
        (0.0, 1e-15, {"atol": 0.9e-15}, False),
        (1.0, 1.01, {"rtol": 0.011}, True),
        (1.0, 1.01, {"rtol": 0.009}, False),
        ("#N/A", "#N/A", {}, True),
        ("#N/A", "#REF!", {}, False),
        (True, True, {}, True),
        ("x", "x", {}, True),
    ],
)
def test_the_tolerance_of_values(
    tmp_path: Path, a: Any, b: Any, options: dict[str, float], equal: bool
) -> None:
    assert compare(tmp_path, {"value": a}, {"value": b}, **options).equal is equal


def splice(path: Path, old: str, new: str, sheet: int = 1) -> Path:
    """Replace text in the XML of a worksheet."""
    part, copy = f"xl/worksheets/sheet{sheet}.xml", path.with_name(f"spliced-{path.name}")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w", 8) as target:
        for name in source.namelist():
            data = source.read(name)
            if name == part:
                assert old.encode() in data
                data = data.replace(old.encode(), new.encode())
            target.writestr(name, data)
    return copy


def test_a_missing_cached_value_is_a_difference(tmp_path: Path) -> None:
    whole = build(tmp_path / "a.xlsx")
    without = splice(whole, "<v>0.25</v>", "")
    assert diff(whole, without).differences == (Difference("one", "A3", "value", "0.25", "(none)"),)
    assert diff(without, without).equal


def test_nan_equals_itself_only(tmp_path: Path) -> None:
    whole = build(tmp_path / "a.xlsx")
    nan = splice(whole, "<v>0.25</v>", "<v>NaN</v>")
    assert diff(nan, nan).equal
    assert [str(each) for each in diff(whole, nan).differences] == ["one!A3: value 0.25 | nan"]


def test_negative_zero_is_another_constant(tmp_path: Path) -> None:
    zero = build(tmp_path / "a.xlsx", number=0)
    negative = splice(zero, '<c r="A1" s="1"><v>0</v>', '<c r="A1" s="1"><v>-0.0</v>')
    assert [each.cell for each in diff(zero, negative).differences] == ["A1"]


def test_array_and_plain_formulas_differ(tmp_path: Path) -> None:
    array = build(tmp_path / "a.xlsx", array="A5")
    plain = splice(array, '<f t="array" ref="A5">', "<f>")
    assert diff(array, plain).differences == (
        Difference("one", "A5", "formula", "{=A1:A2*2}", "=A1:A2*2"),
    )


def test_formula_and_constant_differ_once(tmp_path: Path) -> None:
    formula = build(tmp_path / "a.xlsx")
    constant = splice(formula, "<f>SUM(A1:A2)</f>", "")
    assert diff(formula, constant).differences == (
        Difference("one", "A3", "formula", "=SUM(A1:A2)", "constant 0.25"),
    )


def test_shared_formulas_equal_those_written_out(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        sheet = workbook.add_worksheet("s")
        for row in range(3):
            sheet.write_formula(row, 2, f"=MAX(A{row + 1},$B$1)", None, row)
    shared = path
    for row in (1, 2, 3):
        text = f"MAX(A{row},$B$1)"
        master = f'<f t="shared" ref="C1:C3" si="0">{text}</f>'
        new = master if row == 1 else '<f t="shared" si="0"/>'
        shared = splice(shared, f"<f>{text}</f>", new)
    assert diff(path, shared).equal
    wrong = splice(path, "MAX(A2,$B$1)", "MAX(A3,$B$1)")
    assert diff(wrong, shared).differences == (
        Difference("s", "C2", "formula", "=MAX(A3,$B$1)", "=MAX(A2,$B$1)"),
    )


def test_styles_fall_back_to_row_and_column(tmp_path: Path) -> None:
    def make(name: str, column: bool, cell: bool) -> Path:
        with xlsxwriter.Workbook(tmp_path / name) as workbook:
            sheet = workbook.add_worksheet("s")
            bold = workbook.add_format({"bold": True})
            sheet.set_column("B:B", 8.43, bold if column else None)
            if cell:
                sheet.write_blank("B2", None, bold)
        return tmp_path / name

    both = make("both.xlsx", True, True)
    assert diff(both, make("column.xlsx", True, False)).equal
    neither = diff(both, make("neither.xlsx", False, False))
    assert [str(each) for each in neither.differences] == ["s!B2: font bold | upright"]


def test_the_order_of_rules_does_not_count(tmp_path: Path) -> None:
    def make(name: str, areas: list[str]) -> Path:
        with xlsxwriter.Workbook(tmp_path / name) as workbook:
            sheet = workbook.add_worksheet("s")
            for area in areas:
                sheet.conditional_format(area, WHITE_TO_RED)
        return tmp_path / name

    one = make("one.xlsx", ["A1:B2", "D1:E2"])
    assert diff(one, make("two.xlsx", ["D1:E2", "A1:B2"])).equal


def test_default_width(tmp_path: Path) -> None:
    path = build(tmp_path / "a.xlsx")
    wide = splice(path, "<sheetFormatPr ", '<sheetFormatPr defaultColWidth="2.5" ')
    assert [str(each) for each in diff(path, wide).differences] == [
        "one: column default width 9.14062 | default width 2.5"
    ]
    standard = splice(path, "<sheetFormatPr ", '<sheetFormatPr defaultColWidth="9.140625" ')
    assert diff(path, standard).equal


def volatile_book(path: Path, *, dependent: float, other: float, formula: str = "=RAND()") -> Path:
    """RAND on one worksheet; sums of it, through a name, on the other; and a bystander."""
    with xlsxwriter.Workbook(path) as workbook:
        first, second = workbook.add_worksheet("first"), workbook.add_worksheet("it's 2")
        workbook.define_name("noise", "=first!$A$1:$B$2")
        first.write_formula("B2", formula, None, dependent)
        first.write_formula("C3", "=B2+1", None, dependent)
        first.write_formula("A9", "=A8", None, other)
        second.write_formula("A1", "=SUM(first!A:C)", None, dependent)
        second.write_formula("A2", "='it''s 2'!A1*2", None, dependent)
        second.write_formula("B1", "=MAX(noise)", None, dependent)
        second.write_formula("B2", "=SUM(first!D1:Z99)", None, other)
    return path


@pytest.mark.parametrize("formula", ["=RAND()", "=NOW()", '=INDIRECT("A8")', "=1+RANDBETWEEN(1,6)"])
def test_volatile_values_are_not_compared_but_counted(tmp_path: Path, formula: str) -> None:
    a = volatile_book(tmp_path / "a.xlsx", dependent=0.1, other=1, formula=formula)
    b = volatile_book(tmp_path / "b.xlsx", dependent=0.2, other=1, formula=formula)
    found = diff(a, b)
    assert found.equal
    assert found.volatile == {"first": 2, "it's 2": 3}
    function = formula.strip("=1+").partition("(")[0]
    assert f"  3 cells depend on {function}: values not compared" in found.summary().splitlines()
    c = volatile_book(tmp_path / "c.xlsx", dependent=0.2, other=2, formula=formula)
    assert [str(each) for each in diff(a, c).differences] == [
        "first!A9: value 1.0 | 2.0",
        "'it''s 2'!B2: value 1.0 | 2.0",
    ]


def test_without_volatile_functions_every_value_is_compared(tmp_path: Path) -> None:
    a = volatile_book(tmp_path / "a.xlsx", dependent=0.1, other=1, formula='="RAND()"')
    b = volatile_book(tmp_path / "b.xlsx", dependent=0.2, other=1, formula='="RAND()"')
    found = diff(a, b)
    assert len(found.differences) == 5
    assert found.volatile == {}


def test_formulas_of_volatile_cells_are_compared(tmp_path: Path) -> None:
    a = volatile_book(tmp_path / "a.xlsx", dependent=0.1, other=1)
    b = volatile_book(tmp_path / "b.xlsx", dependent=0.2, other=1, formula="=RAND()*2")
    (found,) = diff(a, b).differences
    assert str(found) == "first!B2: formula =RAND() | =RAND()*2"
    # Volatile in one of the two is enough.
    c = volatile_book(tmp_path / "c.xlsx", dependent=0.2, other=1, formula="=0.2")
    assert [each.aspect for each in diff(a, c).differences] == ["formula"]


def test_references_in_formulas() -> None:
    formula = """=IF(A1>"B2""C3", conv_1!$C$4:D5, 'a:b'!2:3)+E:F+LOG10(x.y)+[1]z!A1"""
    found = references(formula, "s")
    rows, columns = (True, False, True, False), (False, True, False, True)
    assert found.areas == [
        Area("s", 0, 0, 0, 0),
        Area("conv_1", 3, 2, 4, 3, (False, False, True, True)),
        Area("a", 1, 0, 2, 16383, rows),
        Area("b", 1, 0, 2, 16383, rows),
        Area("s", 0, 4, 1048575, 5, columns),
    ]
    assert "x.y" in found.names
    assert found.functions == set()


def test_the_closure_of_names_and_circles() -> None:
    cells = [
        Source("s", 0, 0, "=dice"),
        Source("s", 1, 0, "=A1+A3"),
        Source("s", 2, 0, "=A2"),
        Source("s", 3, 0, "=loop"),
    ]
    names = {"dice": "RANDBETWEEN(1,6)", "loop": "pool+s!$Z$1", "pool": "loop"}
    dirty, functions = volatile_cells(cells, names)
    assert dirty == {"s": {(0, 0), (1, 0), (2, 0)}}
    assert functions == {"RANDBETWEEN"}


def test_the_closure_is_fast() -> None:
    cells = [Source("s", 0, column, "=RAND()") for column in range(100)]
    cells += [
        Source("s", row, column, f"=SUM({chr(65 + column % 26)}{row}:$Z${row},first!A1:C3)")
        for row in range(1, 91)
        for column in range(100)
    ]
    started = time.perf_counter()
    dirty, _ = volatile_cells(cells, {})
    assert time.perf_counter() - started < 5
    assert len(dirty["s"]) == len(cells)


def test_very_hidden_sheets_are_counted_not_compared(tmp_path: Path) -> None:
    def make(name: str, value: int, very: bool = True) -> Path:
        with xlsxwriter.Workbook(tmp_path / name) as workbook:
            workbook.add_worksheet("s").write_number("A1", 1)
            secret = workbook.add_worksheet("secret")
            secret.write_number("A1", value)
            if very:
                secret.very_hidden()
        return tmp_path / name

    a = make("a.xlsx", 1)
    found = diff(a, make("b.xlsx", 2))
    assert found.equal
    assert found.very_hidden == ("secret",)
    assert "1 very hidden worksheet not compared: secret" in found.summary()
    shown = diff(a, make("c.xlsx", 1, very=False))
    assert shown.differences == (Difference("secret", "", "sheet", "very hidden", "present"),)


def test_written_by_openpyxl(tmp_path: Path) -> None:
    def make(name: str, change: Callable[[Any], None] | None = None) -> Path:
        workbook = openpyxl.Workbook()
        sheet: Any = workbook.active
        sheet["A1"], sheet["B1"] = 1.5, "=A1*2"
        sheet.column_dimensions.group("C", "E", hidden=True, outline_level=1)
        if change is not None:
            change(sheet)
        workbook.save(tmp_path / name)
        return tmp_path / name

    a = make("a.xlsx")
    assert diff(a, make("b.xlsx")).equal
    c = make("c.xlsx", lambda sheet: sheet.cell(1, 2, "=A1*3"))
    assert [str(each) for each in diff(a, c).differences] == ["Sheet!B1: formula =A1*2 | =A1*3"]


@pytest.mark.parametrize("content", [None, b"", b"a,b\n"])
def test_unreadable_files(tmp_path: Path, content: bytes | None) -> None:
    good, bad = build(tmp_path / "a.xlsx"), tmp_path / "bad.xlsx"
    if content is not None:
        bad.write_bytes(content)
    for pair in ((good, bad), (bad, good)):
        with pytest.raises(WorkbookError, match=r"bad\.xlsx"):
            diff(*pair)


def test_what_openpyxl_cannot_read_is_one_line(tmp_path: Path) -> None:
    bad = splice(build(tmp_path / "a.xlsx"), "<sheetFormatPr ", '<sheetFormatPr baseColWidth="x" ')
    with pytest.raises(WorkbookError, match="openpyxl cannot read it") as caught:
        diff(bad, bad)
    assert "\n" not in str(caught.value)


def test_the_reference_equals_itself_and_not_a_changed_copy(tmp_path: Path) -> None:
    if not REFERENCE.exists():
        pytest.skip("the reference workbook is not beside the repository")
    copy = tmp_path / "copy.xlsx"
    shutil.copyfile(REFERENCE, copy)
    found = diff(REFERENCE, copy)
    assert found.equal
    assert found.volatile == {"conv-example (dropout)": 3917}
    assert found.volatile_functions == ("RAND",)
    assert found.compared["conv-example"]["value"] == 2865
    changed = splice(copy, "<v>258.73762671075724</v>", "<v>258.7376267</v>", sheet=2)
    assert [str(each) for each in diff(REFERENCE, changed).differences] == [
        "'conv-example'!EN4: value 258.73762671075724 | 258.7376267"
    ]

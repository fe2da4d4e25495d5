"""Our conv-example.xlsx against fast.ai's original.

`golden/conv-example.json` holds facts of the original: counts, hashes over all formulas,
numbers and styles, all texts, widths and colour scales, and some of Excel's own values.
Where the original itself is at hand, the golden file is held against it, and so are we,
cell by cell.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from openpyxl.styles import Font
from planting import edit_part, formula_of, opened, recached, spliced

from sheetconv.cells import Cell, column_name, parse_range
from sheetconv.diff import diff
from sheetconv.diff.snapshot import SheetFacts, Style, snapshot
from sheetconv.drawing import FormulaStyle
from sheetconv.network_sheet import NetworkSheet
from sheetconv.template import load_template
from sheetconv.workbook import BuiltWorkbook, build_workbook
from sheetconv.xlsx import sheet_parts

GOLDEN = Path(__file__).parent / "golden" / "conv-example.json"
REFERENCE = Path(__file__).parents[2] / "shared" / "reference" / "conv-example.xlsx"
ORIGINAL_SIZE = 247_915
SHEET, DROPOUT = "conv-example", "conv-example (dropout)"

#: Cells whose formulas the golden file spells out: the corners of every plane.
CORNERS = {
    SHEET: "AH3 BG28 AH32 BG57 BM4 CK27 BM33 CK56 CM4 DK26 CM33 DK55 EN4",
    DROPOUT: (
        "AI3 BH28 AI36 BH61 BQ4 CO27 BQ37 CO60 CU4 DS27 CU37 DS60 DZ4 EX27 DZ37 EX60 FA30 FA31 "
        "FA32 FA63 FA64 FA65 FE4 GC27 FE37 GC60 GH4 HF26 GH37 HF59 II4"
    ),
}
#: Ranges whose values the golden file holds as Excel calculated them: a part of each
#: convolution, the whole max-pool, and the dense activation.
VALUES = {SHEET: "AH3:BG5 AH42:BG43 BM12:CK13 BM40:CK41 CM4:DK26 CM33:DK55 EN4", DROPOUT: ""}


def golden_facts(path: Path) -> dict[str, Any]:
    """What the golden file holds of a workbook: sheet -> aspect -> fact."""
    return {name: _sheet_facts(name, facts) for name, facts in snapshot(path).sheets.items()}


def _sheet_facts(name: str, facts: SheetFacts) -> dict[str, Any]:
    formulas = [
        [_a1(at), "array" if formula.array else "plain", formula.text]
        for at, formula in sorted(facts.formulas.items())
    ]
    numbers = {at: v for at, v in facts.constants.items() if isinstance(v, float)}
    styles = {at: style for at, style in facts.styles.items() if style != Style()}
    return {
        "formula count": len(formulas),
        "number count": len(numbers),
        "formula corners": {
            cell: next(text for at, _, text in formulas if at == cell)
            for cell in CORNERS[name].split()
        },
        "formulas": _hash(formulas),
        "numbers": _hash([_a1(at), repr(value)] for at, value in sorted(numbers.items())),
        "texts": {
            _a1(at): value
            for at, value in sorted(facts.constants.items())
            if isinstance(value, str)
        },
        "number formats": _hash([_a1(at), s.number_format] for at, s in sorted(styles.items())),
        "fonts": _hash([_a1(at), s.bold, s.italic] for at, s in sorted(styles.items())),
        "colour scales": sorted(
            [" ".join(scale.ranges), *(" ".join(point) for point in scale.points)]
            for scale in facts.colour_scales
        ),
        "columns": _columns(facts),
        "merged": sorted(facts.merged),
        "values": {_a1(at): facts.values[at] for at in _cells(VALUES[name]) if at in facts.values},
    }


def _a1(at: tuple[int, int]) -> str:
    return Cell("", *at).a1


def _cells(ranges: str) -> Iterable[tuple[int, int]]:
    for area in map(parse_range, ranges.split()):
        for row in range(area.row, area.last_row + 1):
            for column in range(area.column, area.last_column + 1):
                yield row, column


def _hash(rows: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(list(rows)).encode()).hexdigest()


def _columns(facts: SheetFacts) -> list[list[Any]]:
    """Runs of columns that are not as the sheet's default: letters, width, hidden, level."""
    last = max(facts.columns)
    forms = [(column, facts.column(column)) for column in range(last + 1)]
    runs = []
    for form, run in groupby(forms, lambda item: item[1]):
        columns = [column for column, _ in run]
        letters = f"{column_name(columns[0])}:{column_name(columns[-1])}"
        runs.append([letters, form.width, form.hidden, form.outline_level])
    return runs


def differences(path: Path) -> list[str]:
    """How a workbook differs from the golden file, one line an aspect."""
    golden, ours = json.loads(GOLDEN.read_text(encoding="utf-8")), golden_facts(path)
    found = []
    if list(golden) != list(ours):
        return [f"worksheets: expected {list(golden)}, got {list(ours)}"]
    for sheet, aspects in golden.items():
        for aspect, expected in aspects.items():
            got = ours[sheet][aspect]
            if aspect == "values":
                found += _value_differences(sheet, expected, got)
            elif got != expected:
                found.append(f"{sheet}: {aspect}: {_difference(expected, got)}")
    return found


def _value_differences(sheet: str, expected: dict[str, float], got: dict[str, float]) -> list[str]:
    return [
        f"{sheet}: values: {cell}: expected {value!r}, got {got.get(cell)!r}"
        for cell, value in expected.items()
        if got.get(cell) != pytest.approx(value, rel=1e-12, abs=1e-15)
    ]


def _difference(expected: Any, got: Any) -> str:
    if isinstance(expected, dict):
        keys = [key for key in expected | got if expected.get(key) != got.get(key)]
        return "; ".join(f"{k}: expected {expected.get(k)!r}, got {got.get(k)!r}" for k in keys)
    if isinstance(expected, list):
        missing = [item for item in expected if item not in got]
        return f"missing {missing}, not expected {[item for item in got if item not in expected]}"
    return f"expected {expected}, got {got}"


def explained(path: Path, found: list[str]) -> str:
    """The differences, and where the original is at hand the cells behind the hashes."""
    cells = diff(path, REFERENCE).lines(20) if found and REFERENCE.is_file() else []
    return "\n".join([*found, *cells])


def build(folder: Path, formulas: FormulaStyle | None = None) -> BuiltWorkbook:
    template = load_template("conv-example")
    sheets = [
        NetworkSheet(
            item.network,
            item.image,
            replace(item.drawing, formulas=formulas or item.drawing.formulas),
        )
        for item in template.networks
    ]
    name = f"conv-example-{formulas or 'faithful'}.xlsx"
    return build_workbook(sheets, folder / name, title=template.title)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltWorkbook:
    return build(tmp_path_factory.mktemp("conv-example"))


@pytest.fixture
def copied(built: BuiltWorkbook, tmp_path: Path) -> Path:
    """A copy for the test to spoil."""
    return Path(shutil.copy(built.path, tmp_path / "conv-example.xlsx"))


@pytest.fixture(scope="session")
def reference() -> Path:
    if not REFERENCE.is_file():
        pytest.skip(f"fast.ai's conv-example.xlsx is not at {REFERENCE}")
    return REFERENCE


def test_equal_to_the_golden_file(built: BuiltWorkbook) -> None:
    found = differences(built.path)
    assert not found, explained(built.path, found)


def test_golden_file_is_that_of_the_original(reference: Path) -> None:
    assert golden_facts(reference) == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_equal_to_the_original(built: BuiltWorkbook, reference: Path) -> None:
    found = diff(built.path, reference)
    assert found.equal, "\n".join(found.lines())
    assert found.compared[SHEET]["formula"] == 2_865
    assert found.compared[DROPOUT]["formula"] == 6_471
    assert found.very_hidden == ("sheetconv",)


def test_golden_file_is_small_and_full() -> None:
    assert GOLDEN.stat().st_size < 60_000
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert golden[SHEET]["formula count"] == 2_865
    assert golden[SHEET]["number count"] == 1_150
    assert len(golden[SHEET]["texts"]) == 12
    assert len(golden[SHEET]["colour scales"]) == 6
    assert golden[SHEET]["values"]["EN4"] == 258.73762671075724
    pool = [cell for at in _cells("CM4:DK26 CM33:DK55") if (cell := _a1(at))]
    assert sum(cell in golden[SHEET]["values"] for cell in pool) == 312
    assert golden[DROPOUT]["formula count"] == 6_471


def test_size(built: BuiltWorkbook, tmp_path: Path) -> None:
    assert built.file_size <= ORIGINAL_SIZE
    assert build(tmp_path, "sumproduct").file_size < built.file_size


def test_other_style_shows_the_same_values(built: BuiltWorkbook, tmp_path: Path) -> None:
    ours, other = snapshot(built.path).sheets, snapshot(build(tmp_path, "sumproduct").path).sheets
    for name in (SHEET, DROPOUT):
        assert ours[name].values == other[name].values
        assert ours[name].constants == other[name].constants


def test_every_formula_has_a_cached_value(built: BuiltWorkbook) -> None:
    for facts in snapshot(built.path).sheets.values():
        assert facts.formulas.keys() == facts.values.keys()
        assert all(isinstance(value, float) for value in facts.values.values())


# Negative controls: each aspect has one planted difference that must be found.


@pytest.mark.parametrize(
    ("cell", "old", "new", "aspects"),
    [
        ("AR12", "$AF$13", "$AF$12", {"formulas"}),
        ("AH3", "A2:C4", "A3:C5", {"formulas", "formula corners"}),
    ],
)
def test_one_formula_is_noticed(
    copied: Path, cell: str, old: str, new: str, aspects: set[str]
) -> None:
    text = formula_of(copied, SHEET, cell)
    assert old in text
    spliced(copied, SHEET, cell, text.replace(old, new))
    assert_only(copied, SHEET, aspects)


def assert_only(path: Path, sheet: str, aspects: set[str]) -> None:
    found = differences(path)
    assert {tuple(line.split(": ")[:2]) for line in found} == {(sheet, name) for name in aspects}


def test_plain_formula_for_an_array_formula_is_noticed(copied: Path) -> None:
    spliced(copied, SHEET, "AR12", formula_of(copied, SHEET, "AR12").strip("{}"))
    assert_only(copied, SHEET, {"formulas"})


def test_constant_for_a_formula_is_noticed(copied: Path) -> None:
    spliced(copied, DROPOUT, "BR5", 0.0)
    assert_only(copied, DROPOUT, {"formulas", "formula count", "numbers", "number count"})


def test_last_bit_of_a_number_is_noticed(copied: Path) -> None:
    spliced(copied, SHEET, "AD11", 1.0000000000000002)
    assert_only(copied, SHEET, {"numbers"})


def test_one_text_is_noticed(copied: Path) -> None:
    spliced(copied, SHEET, "AD9", "filter 1/2")
    expected = "AD9: expected 'filter 1/1', got 'filter 1/2'"
    assert differences(copied) == [f"{SHEET}: texts: {expected}"]


@pytest.mark.parametrize("cell", ["EN4", "BM12"])
def test_one_value_is_noticed(copied: Path, cell: str) -> None:
    recached(copied, SHEET, cell, 1e-6)
    assert_only(copied, SHEET, {"values"})


def test_one_width_is_noticed(copied: Path) -> None:
    edit_part(
        copied,
        sheet_parts(copied)[SHEET],
        lambda xml: xml.replace('width="2.6640625"', 'width="2.6"', 1),
    )
    assert_only(copied, SHEET, {"columns"})


def test_looks_are_noticed(copied: Path) -> None:
    """Cached values are lost on the way; formulas, numbers and texts are not."""
    with opened(copied) as book:
        sheet = book[SHEET]
        sheet["AH4"].number_format = "0.00"
        sheet["BM1"].font = Font(bold=False)
        del sheet.conditional_formatting["AH3:BG28"]
        book[DROPOUT].unmerge_cells("GD1:GE1")
    aspects = {tuple(line.split(": ")[:2]) for line in differences(copied)}
    assert aspects >= {
        (SHEET, "number formats"),
        (SHEET, "fonts"),
        (SHEET, "colour scales"),
        (DROPOUT, "merged"),
    }


def test_missing_worksheet_is_noticed(copied: Path) -> None:
    with opened(copied) as book:
        del book[DROPOUT]
    assert differences(copied)[0].startswith("worksheets: expected")

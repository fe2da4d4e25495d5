"""The report of a check: one row for each formula cell, for pandas, CSV and JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planting import spliced, typed

import sheetconv as sc
from sheetconv.calculators import find_engine
from sheetconv.checking import CheckResult, check
from sheetconv.checking.report import frame, lines, require_report_name, write_report
from sheetconv.errors import WorkbookError
from sheetconv.network_sheet import NetworkSheet
from sheetconv.template import load_template
from sheetconv.workbook import build_workbook

COLUMNS = ["worksheet", "cell", "layer", "tensor", "unit", "verdict"]
SOURCES = ["cached values", "ironcalc"]
ALL_COLUMNS = COLUMNS + [
    f"{source}{part}" for source in SOURCES for part in ("", ": numpy", ": error", ": bound")
]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = sc.Sequential(
        sc.Conv2d(1, 2, 3), sc.ReLU(), sc.MaxPool2d(2), sc.Flatten(), sc.Linear(18, 2), seed=1
    )
    path = tmp_path_factory.mktemp("small") / "small.xlsx"
    sc.build(network, path, image=np.random.default_rng(0).random((8, 8)))
    return path


@pytest.fixture
def spoilt(small: Path, tmp_path: Path) -> Path:
    """The first conv cell a constant that is not its value."""
    path = Path(shutil.copy(small, tmp_path / "spoilt.xlsx"))
    spliced(path, "network", first_cell(path), 5.0)
    return path


def first_cell(path: Path) -> str:
    """The second cell of the first conv plane: no leader of a shared formula."""
    return str(frame(check(path))["cell"][1])


def checked(path: Path) -> CheckResult:
    return check(path, [find_engine("ironcalc")], probes=1)


@pytest.fixture(scope="module")
def conv_example(tmp_path_factory: pytest.TempPathFactory) -> CheckResult:
    template = load_template("conv-example")
    sheets = [NetworkSheet(item.network, item.image, item.drawing) for item in template.networks]
    path = tmp_path_factory.mktemp("conv-example") / "conv-example.xlsx"
    build_workbook(sheets, path)
    return checked(path)


def test_one_row_for_each_formula_cell(conv_example: CheckResult) -> None:
    table = frame(conv_example)
    assert len(table) == conv_example.formula_cells == 9_336
    assert not table.duplicated(["worksheet", "cell"]).any()
    assert list(table.columns) == ALL_COLUMNS
    assert set(table["verdict"]) == {"ok"}
    assert dict(table.groupby("worksheet").size()) == {
        "conv-example": 2_865,
        "conv-example (dropout)": 6_471,
    }


def test_values_of_a_row(conv_example: CheckResult) -> None:
    table = frame(conv_example)
    (row,) = table[(table["worksheet"] == "conv-example") & (table["cell"] == "EN4")].to_dict(
        "records"
    )
    assert (row["layer"], row["tensor"], row["unit"]) == ("dense", "dense.out", 0)
    for source in SOURCES:
        assert row[source] == pytest.approx(258.73762671075724, rel=1e-14)
        error = abs(row[source] - row[f"{source}: numpy"])
        assert row[f"{source}: error"] == error <= row[f"{source}: bound"]


def test_verdicts(spoilt: Path) -> None:
    result = checked(spoilt)
    table = frame(result)
    (cell,) = (item.cell.a1 for item in result.wrong)
    assert list(table.loc[table["verdict"] == "wrong", "cell"]) == [cell]
    follows = table[table["verdict"] == "follows"]
    assert 0 < len(follows) == result.follows
    assert set(follows["layer"]) <= {"maxpool1", "dense1"}


def test_csv_round_trip(spoilt: Path, tmp_path: Path) -> None:
    result = checked(spoilt)
    path = tmp_path / "report.csv"
    write_report([result], path)
    table = frame(result)
    read = pd.read_csv(path, dtype=str).astype(table.dtypes)
    pd.testing.assert_frame_equal(read, table, check_exact=True)


def test_json_round_trip(spoilt: Path, tmp_path: Path) -> None:
    result = checked(spoilt)
    path = tmp_path / "report.json"
    write_report([result], path)
    read = pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
    pd.testing.assert_frame_equal(read, frame(result), check_exact=True, check_dtype=False)


def test_json_has_no_nan(spoilt: Path, tmp_path: Path) -> None:
    """What is no number is null, since JSON has no NaN."""
    spliced(spoilt, "network", first_cell(spoilt), "text")
    path = tmp_path / "report.json"
    write_report([checked(spoilt)], path)

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    rows = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    (wrong,) = (row for row in rows if row["verdict"] == "wrong")
    assert wrong["cached values"] is None


def test_several_files(small: Path, spoilt: Path, tmp_path: Path) -> None:
    results = [checked(small), checked(spoilt)]
    path = tmp_path / "both.csv"
    write_report(results, path)
    read = pd.read_csv(path)
    assert list(read.columns) == ["file", *ALL_COLUMNS]
    assert dict(read.groupby("file").size()) == {
        str(result.path): result.formula_cells for result in results
    }
    wrong = read[read["verdict"] == "wrong"]
    assert list(wrong["file"]) == [str(spoilt)]


def test_without_cached_values_their_columns_are_missing(small: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(small, tmp_path / "resaved.xlsx"))
    typed(path, "network", "A1", None)
    table = frame(checked(path))
    assert list(table.columns) == [name for name in ALL_COLUMNS if not name.startswith("cached")]


def test_existing_report_is_kept(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("mine")
    with pytest.raises(WorkbookError, match="exists already"):
        write_report([checked(small)], path)
    assert path.read_text() == "mine"
    write_report([checked(small)], path, force=True)
    assert len(pd.read_csv(path)) == checked(small).formula_cells
    assert [item.name for item in tmp_path.iterdir()] == ["report.csv"]


@pytest.mark.parametrize("name", ["report.xlsx", "report", "report.csv.gz", "csv"])
def test_other_endings_are_refused(name: str) -> None:
    with pytest.raises(WorkbookError, match=r"ends in \.csv or \.json"):
        require_report_name(Path(name))


def test_missing_folder(small: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkbookError, match="does not exist"):
        write_report([checked(small)], tmp_path / "nowhere" / "report.csv")


def test_lines_of_a_good_book(small: Path) -> None:
    text = "\n".join(lines(checked(small), {"ironcalc": "0.9"}))
    assert text.startswith(f"{small}: 92 formula cells on 1 worksheet\n")
    assert "recalculated by ironcalc 0.9, against NumPy:" in text
    assert "and 1 probe with random numbers in every layer: largest error" in text
    assert text.splitlines()[-1].startswith("OK: 92 formula cells agree with NumPy")


def test_lines_of_a_wrong_book(spoilt: Path) -> None:
    result = checked(spoilt)
    text = lines(result, {})
    cell = result.wrong[0].cell.a1
    assert any(line.startswith(f"network!{cell}: 5.0 stands where a formula") for line in text)
    assert text[-1].startswith("WRONG: 1 cell; ")
    assert "after" in text[-1]


def test_lines_name_ten_cells_at_most(small: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(small, tmp_path / "many.xlsx"))
    for cell in frame(check(path))["cell"][1:15]:
        spliced(path, "network", cell, 5.0)
    text = lines(checked(path), {})
    assert "... and 4 more" in text
    assert sum("stands where a formula is expected" in line for line in text) == 10


def test_lines_name_changed_formulas(small: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(small, tmp_path / "changed.xlsx"))
    cells = list(frame(check(path))["cell"][-2:])
    for cell in cells:
        typed(path, "network", cell, "=0+1")
    assert any(
        line == "note: 2 formulas not as sheetconv writes them, whatever they give: "
        f"network!{cells[0]}, network!{cells[1]}"
        for line in lines(checked(path), {})
    )

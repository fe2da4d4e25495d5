"""What a trace says: the tree, the errors, other programs' workbooks, and the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xlsxwriter
from PIL import Image
from test_cli import ERROR, run

import sheetconv as sc
from sheetconv.cells import Cell
from sheetconv.errors import TraceError, WorkbookError
from sheetconv.network_sheet import NetworkSheet
from sheetconv.template import load_template
from sheetconv.tracing import Tracer
from sheetconv.tracing.panels import panels_of
from sheetconv.workbook import build_workbook

BT13 = "'conv-example'!BT13"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With `ce.xlsx`, fast.ai's workbook; `small.xlsx`; and `layers.xlsx`, the same by layers."""
    folder = tmp_path_factory.mktemp("traced")
    loaded = load_template("conv-example")
    sheets = [NetworkSheet(item.network, item.image, item.drawing) for item in loaded.networks]
    build_workbook(sheets, folder / "ce.xlsx")
    for name, layout in (("small", "one-sheet"), ("layers", "per-layer")):
        network = sc.Sequential(
            sc.Conv2d(1, 2, 3, padding=1), sc.ReLU(), sc.MaxPool2d(2), sc.Flatten(), sc.Linear(8, 2)
        )
        network.load_state_dict(
            {key: np.full(value.shape, 0.5) for key, value in network.state_dict().items()}
        )
        drawing = sc.Drawing(worksheet="small", layout=layout)  # type: ignore[arg-type]
        sc.build(network, folder / f"{name}.xlsx", image=np.eye(4), drawing=drawing)
    return folder


def last_cell(path: Path) -> Cell:
    """The cell of the last unit of a workbook's network."""
    return Tracer(path).regions[-1].grids[-1].cell(0, 0)


# --- The tree


def test_the_tree_of_one_unit_of_conv_example(folder: Path) -> None:
    result = run(folder, "trace", "ce.xlsx", BT13)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "'conv-example'!BT13 = 4.83564  (conv2 + relu2: channel 1, row 10, column 8)",
        "  {=MAX(0,SUM(AO12:AQ14*$BI$11:$BK$13)+SUM(AO41:AQ43*$BI$15:$BK$17))}",
        "├─ conv2.weight     18 cells  BI11:BK13, BI15:BK17  -0.6709 to 0.8595",
        "└─ conv1 + relu1    18 cells  AO12:AQ14, AO41:AQ43  0 to 3.025",
        "   ├─ conv1.weight  18 cells  AD11:AF13, AD38:AF40  -1 to 1",
        "   └─ input         25 cells  H11:L15  0 to 0.9961",
        "input pixels reached: 25 (rows 10-14, columns 8-12 of channel 1): 'conv-example'!H11:L15",
    ]


def test_one_step_back_is_what_the_formula_names(folder: Path) -> None:
    result = run(folder, "trace", "ce.xlsx", BT13, "--depth", "1")
    assert result.stdout.splitlines()[2:] == [
        "├─ conv1 + relu1  18 cells  AO12:AQ14, AO41:AQ43  0 to 3.025",
        "└─ conv2.weight   18 cells  BI11:BK13, BI15:BK17  -0.6709 to 0.8595",
        "input pixels reached: none within 1 step",
    ]


def test_the_tree_goes_through_every_layer_of_one_worksheet_or_many(folder: Path) -> None:
    shapes = []
    for name in ("small", "layers"):
        found = sc.trace(folder / f"{name}.xlsx", last_cell(folder / f"{name}.xlsx"))
        shapes.append([(item.name, item.step, item.count) for item in found.walk()])
        assert found.pixels is not None
        assert found.pixels.all()
    assert shapes[0] == shapes[1] == [
        ("dense1.weight", 1, 8),
        ("dense1.bias", 1, 1),
        ("maxpool1.out", 1, 8),
        ("conv1.out", 2, 32),
        ("padding of conv1", 3, 20),
        ("conv1.weight", 3, 18),
        ("conv1.bias", 3, 2),
        ("input", 3, 16),
    ]  # fmt: skip
    where = {item.name: item.areas[0].sheet for item in found.walk()}
    assert where["input"] == "small"
    assert where["conv1.out"] == where["conv1.weight"] == "small_conv1"


def test_values_are_those_that_the_file_shows(folder: Path) -> None:
    found = sc.trace(folder / "ce.xlsx", BT13)
    by_name = {item.name: item for item in found.walk()}
    book = sc.read(folder / "ce.xlsx").networks["conv-example"]
    assert found.value == book["conv2.out"][0, 0, 9, 7]
    for name in ("input", "conv1.out", "conv2.weight"):
        mask = by_name[name].mask
        assert mask is not None
        assert np.array_equal(by_name[name].numbers, book[name][mask])


def test_shared_formulas_show_the_text_of_their_own_cell(folder: Path) -> None:
    loaded = load_template("edges")
    path = folder / "edges.xlsx"
    build_workbook([NetworkSheet(i.network, i.image, i.drawing) for i in loaded.networks], path)
    assert sc.trace(path, "AS10").formula == "=SUMPRODUCT(J10:L12,$AF$5:$AH$7)"


# --- What cannot be traced


@pytest.mark.parametrize(
    ("book", "cell", "words"),
    [
        (
            "ce.xlsx",
            "'conv-exampel'!A2",
            "no worksheet 'conv-exampel': did you mean 'conv-example'?",
        ),
        ("small.xlsx", "zebra!A2", "no worksheet 'zebra': it has small"),
        ("ce.xlsx", "EN4", "has 2 worksheets, and EN4 may be on any: write"),
        (
            "small.xlsx",
            "A500",
            "is an empty cell: trace a cell with a formula, such as small!AI4\n",
        ),
        ("small.xlsx", "B1", "B1 holds 'Input' and no formula"),
        (
            "ce.xlsx",
            "'conv-example'!H11",
            "H11 holds 0.996078, a number and no formula; it is input: channel 1, row 10, "
            "column 8, which conv1 + relu1 reads: trace a cell of conv1 + relu1, such as "
            "'conv-example'!AH3",
        ),
        (
            "ce.xlsx",
            "'conv-example'!BJ11",
            "it is conv2.weight[0, 0, 0, 1], which conv2 + relu2 reads: trace a cell of",
        ),
        ("small.xlsx", "B4", "holds 0, a number and no formula; it is padding of conv1"),
        ("small.xlsx", "A1:B2", "'A1:B2' is a range: one cell is expected"),
        ("small.xlsx", "banana", "'banana' is not a cell or a range"),
        ("small.xlsx", "XFE1", "lies outside a worksheet"),
        ("none.xlsx", "A1", "no such file"),
        ("text.xlsx", "A1", "seems to be CSV or other text"),
    ],
)
def test_what_cannot_be_traced_is_said_in_one_line(
    folder: Path, book: str, cell: str, words: str
) -> None:
    (folder / "text.xlsx").write_text("a,b")
    result = run(folder, "trace", book, cell)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(ERROR)
    assert result.stderr.count("\n") == 1
    assert words in result.stderr


def plain(path: Path, cells: dict[str, str | float], **names: str) -> Path:
    """A workbook of another program: cells of worksheet `one`, or of the one they name."""
    with xlsxwriter.Workbook(path) as book:
        sheets = {name: book.add_worksheet(name) for name in ("one", "two words")}
        for where, content in cells.items():
            sheet, _, cell = where.rpartition("!")
            if isinstance(content, str) and content.startswith("{"):
                area = cell if ":" in cell else f"{cell}:{cell}"
                sheets[sheet or "one"].write_array_formula(area, content, None, 1)
            else:
                sheets[sheet or "one"].write(cell, content)
        for name, meaning in names.items():
            book.define_name(name, meaning)
    return path


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"A1": "=A1+1"}, "one!A1 depends on a circular reference, one!A1 -> one!A1: change"),
        (
            {"A1": "=B1", "B1": "=SUM(C1:C3)", "C2": "=B1*2"},
            "one!A1 depends on a circular reference, one!B1 -> one!C2 -> one!B1: change",
        ),
    ],
)
def test_circles_are_named(tmp_path: Path, cells: dict[str, str | float], words: str) -> None:
    with pytest.raises(TraceError, match="circular") as caught:
        sc.trace(plain(tmp_path / "a.xlsx", cells), "one!A1")
    assert words in str(caught.value)


def test_what_is_read_twice_is_no_circle(tmp_path: Path) -> None:
    cells: dict[str, str | float] = {"A1": "=B1+C1", "B1": "=C1+D1", "C1": "=D1", "D1": 3.0}
    tracer = Tracer(plain(tmp_path / "a.xlsx", cells))
    assert tracer.reach("one!A1")[1].crossing
    assert [item.count for item in tracer.trace("one!A1").walk()] == [2, 1]


# --- Other workbooks


def reached(path: Path, cell: str) -> set[str]:
    found = sc.trace(path, cell)
    return {str(c) for item in found.walk() for area in item.areas for c in area.cells()}


@pytest.mark.parametrize(
    ("formula", "cells"),
    [
        ("=SUM(B1:C2)", {"one!B1", "one!C1", "one!B2", "one!C2"}),
        ("=SUM($B:$B)", {"one!B1", "one!B2", "one!B9"}),
        ("=SUM(2:2)", {"one!B2", "one!C2"}),
        ("='two words'!B1", {"'two words'!B1"}),
        ("='TWO WORDS'!B$1", {"'two words'!B1"}),
        ('=IF(B1>0,"C1",LOG10(C2))', {"one!B1", "one!C2"}),
        ("=share*B1", {"one!B1", "one!C1", "one!C2"}),
        ("=[1]one!C1+B2", {"one!B2"}),
        ("=gone!C1+B2", {"one!B2"}),
        ("=C2:B1", {"one!B1", "one!C1", "one!B2", "one!C2"}),
    ],
)
def test_references_of_every_kind_are_followed(
    tmp_path: Path, formula: str, cells: set[str]
) -> None:
    numbers: dict[str, str | float] = {
        "B1": 1.0, "C1": 2.0, "B2": 3.0, "C2": 4.0, "B9": 5.0, "two words!B1": 6.0,
    }  # fmt: skip
    path = plain(
        tmp_path / "a.xlsx", {"A5": formula, **numbers}, share="=twice", twice="=one!$C$1:$C$2"
    )
    assert reached(path, "one!A5") == cells


def test_every_cell_of_an_array_formula_reads_what_the_formula_names(tmp_path: Path) -> None:
    cells: dict[str, str | float] = {"B1": 1.0, "B2": 2.0, "A5:C6": "{=MMULT(B1:B2,B1:B1)}"}
    path = plain(tmp_path / "a.xlsx", cells)
    found = sc.trace(path, "one!C6")
    assert found.formula == "{=MMULT(B1:B2,B1:B1)}"
    assert reached(path, "one!C6") == reached(path, "one!A5") == {"one!B1", "one!B2"}


def test_cells_that_are_not_named_are_noted(tmp_path: Path) -> None:
    path = plain(tmp_path / "a.xlsx", {"A1": "=OFFSET(B1,1,0)", "B1": 1.0, "B2": 2.0})
    assert sc.trace(path, "one!A1").lines()[-1] == (
        "note: OFFSET reads cells that its formula does not name: they are missing here"
    )


def test_a_workbook_of_no_network_is_a_plain_tree(tmp_path: Path) -> None:
    cells: dict[str, str | float] = {"A1": "=SUM(B1:B2)*D1", "B1": "=C1", "B2": "=C2", "D1": 2.0}
    path = plain(tmp_path / "a.xlsx", {**cells, "C1": 3.0, "C2": "x"})
    found = sc.trace(path, "one!A1")
    assert found.pixels is None
    assert found.lines()[1:] == [
        "  =SUM(B1:B2)*D1",
        "├─ numbers        1 cell  D1  2",
        "└─ formulas      2 cells  B1:B2  0 0",
        "   └─ constants  2 cells  C1:C2  all 3, 1 without a number",
    ]


def test_a_long_chain_of_formulas_is_traced_to_its_end(tmp_path: Path) -> None:
    cells: dict[str, str | float] = {f"A{row}": f"=A{row - 1}+1" for row in range(2, 1500)}
    found = sc.trace(plain(tmp_path / "a.xlsx", {**cells, "A1": 1.0}), "one!A1499")
    assert sum(item.count for item in found.walk()) == 1498
    assert found.lines()[-1].split()[1:] == ["numbers", "further", "back", "1", "cell", "A1", "1"]
    assert len(found.lines()) < 40


# --- The picture


def test_the_picture_shows_the_traced_cell_and_what_it_reaches(folder: Path) -> None:
    result = run(folder, "trace", "ce.xlsx", BT13, "--png", "a.png")
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "wrote a.png")
    with Image.open(folder / "a.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    blue, root = (28, 78, 216), (214, 51, 132)
    assert (pixels == blue).all(axis=1).sum() > 1000
    assert (pixels == root).all(axis=1).sum() > 50
    again = run(folder, "trace", "ce.xlsx", BT13, "--png", "a.png")
    assert again.returncode == 2
    assert "a.png exists already: replace it with --force" in again.stderr
    assert run(folder, "trace", "ce.xlsx", BT13, "--png", "a.png", "-f").returncode == 0


def test_the_picture_has_a_panel_for_each_worksheet(folder: Path) -> None:
    panels = []
    for name in ("small", "layers"):
        tracer = Tracer(folder / f"{name}.xlsx")
        found, reach = tracer.reach(last_cell(folder / f"{name}.xlsx"))
        panels.append(panels_of(tracer, reach))
        drawn = np.concatenate([panel.positions for panel in panels[-1]])
        assert set(np.flatnonzero(reach.steps >= 0)) <= set(drawn.tolist())
        png = folder / f"{name}.png"
        sc.trace(tracer.path, found, png=png)
        with Image.open(png) as image:
            assert image.width >= 900
    assert [panel.sheet for panel in panels[0]] == ["small"]
    assert [panel.sheet for panel in panels[1]] == [
        "small", "small_conv1", "small_maxpool1", "small_dense1",
    ]  # fmt: skip


def test_planes_of_other_layers_are_left_out_of_the_picture(folder: Path) -> None:
    tracer = Tracer(folder / "ce.xlsx")
    (panel,) = panels_of(tracer, tracer.reach(BT13)[1])
    labels = {text for _, _, text in panel.titles}
    assert labels == {"input", "conv1 + relu1", "conv1.weight", "conv2 + relu2", "conv2.weight"}


def test_pictures_are_png(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"give it a name with \.png"):
        sc.trace(folder / "ce.xlsx", BT13, png=tmp_path / "a.jpg")
    with pytest.raises(WorkbookError, match="folder"):
        sc.trace(folder / "ce.xlsx", BT13, png=tmp_path / "none" / "a.png")


def test_what_no_picture_holds_is_refused(tmp_path: Path) -> None:
    cells: dict[str, str | float] = {f"B{row}": 1.0 for row in range(1, 5000)}
    path = plain(tmp_path / "a.xlsx", {"A1": "=SUM(B1:B9000)", **cells})
    with pytest.raises(TraceError, match=r"reaches 2 columns and 4,999 rows .*--depth"):
        sc.trace(path, "one!A1", png=tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_a_plain_workbook_has_a_picture_too(tmp_path: Path) -> None:
    path = plain(tmp_path / "a.xlsx", {"A1": "=SUM(B1:B2)", "B1": 1.0, "B2": 2.0, "ZZ999": 3.0})
    sc.trace(path, "one!A1", png=tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000

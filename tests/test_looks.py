"""What people see: numbers as LibreOffice shows them, colours, labels, titles and their room."""

from __future__ import annotations

import ast
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import openpyxl
import pytest

import sheetconv as sc
from sheetconv import palette
from sheetconv.arranging import lay_out
from sheetconv.calculators import Engine
from sheetconv.drawing import Drawing
from sheetconv.errors import LayoutError

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (
            [-25.5, -2.75, -0.32, -0.04, 0.0, 0.04, 0.32, 25.5],
            ["-25.5", "-2.8", "-0.3", "0", "0", "0", "0.3", "25.5"],
        ),
        ([-250.5, -25.25, -0.4, 0.4, 250.75], ["-251", "-25", "0", "0", "251"]),
        ([-0.25, -0.004, 0.0, 0.126], ["-0.25", "0", "0", "0.13"]),
        ([-0.042, -0.0004, 0.03], ["-0.042", "0", "0.030"]),
        ([-3.0, 0.0, 7.0], ["-3", "0", "7"]),
    ],
)
def test_numbers_keep_their_sign_on_screen_and_zero_has_none(
    values: list[float], wanted: list[str], tmp_path: Path, libreoffice: Engine
) -> None:
    built = sc.build(sc.Sequential(sc.ReLU()), tmp_path / "a.xlsx", image=np.array([values]))
    command = [libreoffice.status().where, f"-env:UserInstallation={(tmp_path / 'p').as_uri()}"]
    command += ["--headless", "--convert-to", "html", "--outdir", str(tmp_path), str(built.path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    shown = re.findall(r'<td[^>]* sdval="[^"]*"[^>]*>(?:<[^>]*>)*([^<]*)<', page)
    assert shown[: len(values)] == wanted


def test_classes_stand_beside_the_outputs_of_every_image(tmp_path: Path) -> None:
    network = sc.Sequential(sc.Flatten(), sc.Linear(4, 2), sc.Softmax())
    # A name that looks like a formula is a text.
    drawing = Drawing(classes=("seven", "=1+1"))
    images = np.random.default_rng(0).random((2, 1, 2, 2))
    built = sc.build(network, tmp_path / "a.xlsx", image=images, drawing=drawing)
    sheet = openpyxl.load_workbook(built.path)["network"]
    for grid in built.layouts[0].placed["softmax1.out"].grids:
        beside = [sheet.cell(cell.row + 1, cell.column + 2) for cell in grid.cells()]
        assert [cell.value for cell in beside] == ["seven", "=1+1"]
        assert {cell.data_type for cell in beside} == {"s"}


@pytest.mark.parametrize(
    ("network", "classes"),
    [
        (sc.Sequential(sc.Flatten(), sc.Linear(4, 2)), ("one",)),
        (sc.Sequential(sc.Conv2d(1, 2, 1)), ("one", "two")),
    ],
)
def test_classes_that_do_not_fit_are_refused(
    network: sc.Sequential, classes: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(LayoutError, match=f"classes has {len(classes)} names"):
        sc.build(network, tmp_path / "a.xlsx", image=np.eye(2), drawing=Drawing(classes=classes))
    assert list(tmp_path.iterdir()) == []


def test_the_biases_stand_below_the_first_of_their_kernels() -> None:
    layout = lay_out(sc.Sequential(sc.Conv2d(8, 2, 3)), (8, 5, 5))
    kernels = layout.placed["conv1.weight"].grids
    for o, bias in enumerate(layout.placed["conv1.bias"].grids):
        own = kernels[8 * o : 8 * (o + 1)]
        assert bias.column == own[0].column
        assert bias.row == max(grid.bounds.last_row for grid in own) + 3


def test_titles_leave_each_other_room() -> None:
    layout = lay_out(
        sc.Sequential(sc.AdaptiveMaxPool2d(1), sc.Flatten(), sc.Linear(1, 2)), (1, 3, 3)
    )
    titles = sorted(
        (text.cell.column, text.text) for text in layout.sheets[0].texts if text.cell.row == 0
    )
    for (column, text), (following, _) in pairwise(titles):
        assert (following - column) * 4.4 > len(text), text


def test_planes_of_a_layer_s_own_worksheet_stand_close() -> None:
    network = sc.Sequential(sc.Conv2d(1, 3, 3), sc.MaxPool2d(2))
    layout = lay_out(network, (1, 30, 30), Drawing(layout="per-layer"))
    first, second, _ = layout.placed["maxpool1.out"].grids
    assert second.row - first.bounds.last_row == 3


def test_the_colours_of_training_are_those_that_are_written_down() -> None:
    text = (ROOT / "workbooks" / "LOOKS.md").read_text(encoding="utf-8")
    ends = [scale[-1] for scale in (palette.RIGHT_COUNTS, palette.WRONG_COUNTS, palette.COUNTS)]
    assert re.findall("`(#[0-9A-F]{6})`", text) == [*palette.LINES, *ends]


def colours_in(path: Path) -> list[str]:
    """The texts of a module that are a colour, and nothing else."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [
        text for text in texts if isinstance(text, str) and re.fullmatch("#[0-9A-Fa-f]{6}", text)
    ]


@pytest.mark.parametrize(
    "pattern",
    ["report_*.py", "training/pages.py", "training/picture_pages.py", "training/*plot*.py"],
)
def test_what_reports_training_has_its_colours_from_the_palette(pattern: str) -> None:
    modules = list((ROOT / "sheetconv").glob(pattern))
    assert modules
    assert [(path.name, colours_in(path)) for path in modules if colours_in(path)] == []
    assert set(palette.LINES) < set(colours_in(Path(palette.__file__)))

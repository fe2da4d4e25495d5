"""Networks of many channels, images and worksheets: what a formula cannot hold is split."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pytest

import sheetconv as sc
from sheetconv.arranging import lay_out
from sheetconv.cells import MAX_FORMULA
from sheetconv.drawing import Drawing
from sheetconv.formulas import MOST_TERMS
from sheetconv.layers import Layer
from sheetconv.layers.base import Array


def picture(*shape: int) -> Array:
    return np.random.default_rng(0).normal(size=shape)


def formulas(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
        xml = "".join(archive.read(name).decode() for name in names)
    return re.findall(r"<f[^>]*>([^<]+)</f>", xml)


@pytest.mark.parametrize("layout", ["one-sheet", "per-layer"])
@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        # Three partial sums; and with groups, two in each.
        ([sc.Conv2d(100, 2, 3, padding=1), sc.LeakyReLU()], (100, 5, 5)),
        ([sc.Conv2d(100, 2, 1, groups=2, bias=False), sc.ReLU()], (100, 3, 2)),
        # One term for all planes of a dense layer.
        ([sc.Flatten(), sc.Linear(300, 3)], (100, 1, 3)),
        # The maximum of more arguments than a function takes.
        ([sc.Flatten(), sc.Softmax()], (260, 1, 1)),
    ],
    ids=["conv", "groups", "dense", "softmax"],
)
def test_many_channels_calculate(
    layers: list[Layer], shape: tuple[int, ...], layout: str, tmp_path: Path
) -> None:
    drawing = Drawing(layout=layout)  # type: ignore[arg-type]
    network = sc.Sequential(*layers)
    built = sc.build(network, tmp_path / "a.xlsx", image=picture(*shape), drawing=drawing)
    result = sc.check(built.path)
    assert result.ok, result.wrong[:3]
    assert result.formula_cells == built.formula_cells
    assert max(map(len, formulas(built.path))) < MAX_FORMULA


def test_partial_sums_are_planes_of_their_own(tmp_path: Path) -> None:
    network = sc.Sequential(sc.Conv2d(2 * MOST_TERMS + 1, 1, 1))
    built = sc.build(network, tmp_path / "a.xlsx", image=picture(2 * MOST_TERMS + 1, 2, 2))
    (layout,) = built.layouts
    names = [name for name in layout.placed if name.startswith("conv1.partial")]
    assert names == ["conv1.partial1", "conv1.partial2", "conv1.partial3"]
    sheet = openpyxl.load_workbook(built.path)["network"]
    first = {name: layout.placed[name].grids[0].cell(0, 0).a1 for name in names}
    bias = layout.placed["conv1.bias"].grids[0].bounds.absolute
    out = sheet[layout.placed["conv1.out"].grids[0].cell(0, 0).a1].value
    assert out == "=" + "+".join([*first.values(), bias])
    terms = [sheet[cell].value.count("SUMPRODUCT(") for cell in first.values()]
    assert terms == [27, 27, 27]


def test_a_wrong_partial_sum_is_named(tmp_path: Path) -> None:
    network = sc.Sequential(sc.Conv2d(MOST_TERMS + 1, 1, 1))
    built = sc.build(network, tmp_path / "a.xlsx", image=picture(MOST_TERMS + 1, 2, 2))
    cell = built.layouts[0].placed["conv1.partial2"].grids[0].cell(1, 1)
    book = openpyxl.load_workbook(built.path)
    sheet = book["network"]
    sheet[cell.a1] = f"{sheet[cell.a1].value}+0.001"
    book.save(built.path)
    assert [item.cell for item in sc.check(built.path).wrong] == [cell]


@pytest.mark.parametrize("layout", ["one-sheet", "per-layer"])
def test_every_image_of_a_batch_is_checked(layout: str, tmp_path: Path) -> None:
    network = sc.Sequential(
        sc.Conv2d(3, 2, 3, padding=1, padding_mode="reflect"),
        sc.ReLU(),
        sc.MaxPool2d(2),
        sc.Flatten(),
        sc.Linear(18, 2),
        sc.Softmax(),
    )
    images = picture(3, 3, 6, 6)
    drawing = Drawing(layout=layout)  # type: ignore[arg-type]
    built = sc.build(network, tmp_path / "a.xlsx", image=images, drawing=drawing)
    assert sc.check(built.path).ok
    (layout_,) = built.layouts
    shown = openpyxl.load_workbook(built.path, data_only=True)
    out = layout_.placed["softmax1.out"]
    cells = [cell for grid in out.grids for cell in grid.cells()]
    values = np.reshape([shown[cell.sheet][cell.a1].value for cell in cells], out.shape)
    np.testing.assert_array_equal(values, network(images))
    # One number of the second image, wrong: its own cell is named, and no other.
    wrong = layout_.placed["maxpool1.out"].image(1).grids[1].cell(2, 2)
    book = openpyxl.load_workbook(built.path)
    book[wrong.sheet][wrong.a1] = f"{book[wrong.sheet][wrong.a1].value}+0.001"
    book.save(built.path)
    assert [item.cell for item in sc.check(built.path).wrong] == [wrong]


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_drawn_padding_is_live_and_checked(mode: str, tmp_path: Path) -> None:
    network = sc.Sequential(sc.Conv2d(1, 1, 3, padding=2, padding_mode=mode))
    image = np.arange(16.0).reshape(4, 4)
    built = sc.build(network, tmp_path / "a.xlsx", image=image)
    border = built.layouts[0].placed["conv1.border"]
    shown = openpyxl.load_workbook(built.path, data_only=True)["network"]
    values = [shown[cell.a1].value for grid in border.grids for cell in grid.cells()]
    numpy_mode = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    padded = np.pad(image, 2, mode=numpy_mode)  # type: ignore[call-overload]
    padded[2:-2, 2:-2] = np.nan
    assert sorted(values) == sorted(padded[~np.isnan(padded)])
    corner = border.grids[0].cell(0, 0)
    top, left = corner.row + 1, corner.column + 1
    area = [[shown.cell(top + i, left + j).value for j in range(8)] for i in range(8)]
    around = np.array(area, dtype=float)
    around[2:-2, 2:-2] = np.nan
    np.testing.assert_array_equal(around, padded)
    assert sc.check(built.path).ok
    book = openpyxl.load_workbook(built.path)
    book["network"][corner.a1] = "=0.5"
    book.save(built.path)
    assert [item.cell for item in sc.check(built.path).wrong] == [corner]


def test_worksheets_are_linked_with_each_other(tmp_path: Path) -> None:
    network = sc.Sequential(sc.Conv2d(1, 1, 3), sc.ReLU(), sc.MaxPool2d(2))
    drawing = Drawing(layout="per-layer", fuse=False)
    built = sc.build(network, tmp_path / "a.xlsx", image=picture(8, 8), drawing=drawing)
    book = openpyxl.load_workbook(built.path)
    names = ["network", "network_conv1", "network_relu1", "network_maxpool1"]
    assert book.sheetnames == [*names, "sheetconv"]
    links = {
        sheet.title: sorted(
            (cell.coordinate, cell.hyperlink.location)
            for row in sheet.iter_rows()
            for cell in row
            if cell.hyperlink
        )
        for sheet in book
    }
    listed = [location for _, location in links["network"]]
    assert {f"{name}!A1" for name in names[1:]} <= set(listed)
    assert links["network_relu1"] == [("A1", "network_conv1!A1"), ("A2", "network_maxpool1!A1")]
    assert links["network_maxpool1"] == [("A1", "network_relu1!A1")]


@pytest.mark.parametrize(
    ("drawing", "shape", "worksheets", "reason"),
    [
        (Drawing(), (1, 8, 8), 1, "so that Trace Precedents draws all its arrows"),
        (Drawing(), (1, 600, 600), 2, "717,604 cells are too many for one to scroll well"),
        (Drawing(), (1, 3, 9000), 2, "one would need 18,001 columns and 6 rows"),
        (Drawing(layout="per-layer"), (1, 8, 8), 2, "as asked"),
        (Drawing(layout="one-sheet"), (1, 600, 600), 1, "as asked"),
    ],
)
def test_the_layout_says_why(
    drawing: Drawing, shape: tuple[int, ...], worksheets: int, reason: str
) -> None:
    network = sc.Sequential(sc.MaxPool2d(3, stride=1))
    layout = lay_out(network, shape, drawing)
    assert len(layout.worksheets) == len(layout.sheets) == worksheets
    assert layout.reason == reason


def test_what_no_workbook_holds_is_refused_with_the_numbers(tmp_path: Path) -> None:
    network = sc.Sequential(sc.ReLU())
    with pytest.raises(sc.SheetconvError, match=r"needs 100,000,000 cells.*more than 16,777,216"):
        sc.build(network, tmp_path / "a.xlsx", image=np.zeros((2, 5_000, 5_000)))
    assert list(tmp_path.iterdir()) == []


def test_a_batch_of_vectors_is_told_from_a_plane(tmp_path: Path) -> None:
    dense = sc.Sequential(sc.Linear(4, 2), sc.ReLU())
    rows = picture(3, 4)
    built = sc.build(dense, tmp_path / "vectors.xlsx", image=rows)
    assert sc.check(built.path).ok
    np.testing.assert_array_equal(sc.read(built.path).output, dense(rows))
    plane = sc.build(sc.Sequential(sc.Flatten(), sc.Linear(12, 2)), tmp_path / "p.xlsx", image=rows)
    assert plane.layouts[0].batch == 1

"""Worksheets of a network that has one for each layer: names, links, and what reports say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpyxl
import pytest

import sheetconv as sc
from sheetconv.cells import MAX_SHEET_NAME, text_length
from sheetconv.checking.report import frame, lines
from sheetconv.drawing import Drawing
from sheetconv.errors import LayoutError
from sheetconv.network_sheet import NetworkSheet
from sheetconv.pages import page_names
from sheetconv.workbook import build_workbook

PER_LAYER = Drawing(layout="per-layer")


def small() -> sc.Sequential:
    return sc.Sequential(sc.Conv2d(1, 1, 3))


@pytest.mark.parametrize("worksheet", ["short", "x" * 31, "\N{GRINNING FACE}" * 15])
@pytest.mark.parametrize("layer", ["conv1", "c" * 29])
def test_names_are_as_long_as_excel_takes(worksheet: str, layer: str) -> None:
    own, name = page_names(worksheet, [layer])
    assert own == worksheet
    assert text_length(name) <= MAX_SHEET_NAME
    assert name.endswith(f"_{layer}")
    assert worksheet.startswith(name.removesuffix(f"_{layer}"))


@pytest.mark.parametrize(
    ("worksheet", "layers", "message"),
    [
        ("net", ["A", "a"], "layer A and layer a would both have the worksheet 'net_a'"),
        ("x" * 25 + "_conv1", ["conv1"], "the input and layer conv1 would both have"),
        ("x" * 27 + "_a", ["b", "a_b"], "layer b and layer a_b would both have"),
        ("net", ["c" * 31], "is too long for a worksheet of its own"),
    ],
)
def test_names_that_excel_takes_for_one_are_refused(
    worksheet: str, layers: list[str], message: str
) -> None:
    with pytest.raises(LayoutError) as caught:
        page_names(worksheet, layers)
    assert message in str(caught.value)


def test_networks_whose_names_are_cut_alike_are_refused(tmp_path: Path) -> None:
    sheets = [
        NetworkSheet(small(), np.eye(5), Drawing(worksheet="x" * 30 + end, layout="per-layer"))
        for end in "ab"
    ]
    with pytest.raises(LayoutError, match="cut where with a layer's it has more than 31"):
        build_workbook(sheets, tmp_path / "a.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_links_lead_to_worksheets_of_odd_names(tmp_path: Path) -> None:
    drawing = Drawing(worksheet="50% #1 & 'x' <y>\"", layout="per-layer")
    built = sc.build(small(), tmp_path / "a.xlsx", image=np.eye(5), drawing=drawing)
    book = openpyxl.load_workbook(built.path)
    first, second, _ = book
    assert first["A2"].hyperlink.location == "'50% #1 & ''x'' <y>\"_conv1'!A1"
    assert second["A1"].hyperlink.location == "'50% #1 & ''x'' <y>\"'!A1"
    assert sc.check(built.path).ok


def test_reports_place_padding_on_the_worksheet_where_it_stands(tmp_path: Path) -> None:
    network = sc.Sequential(
        sc.Conv2d(1, 1, 3), sc.Conv2d(1, 1, 3, padding=1, padding_mode="replicate")
    )
    built = sc.build(network, tmp_path / "a.xlsx", image=np.eye(6), drawing=PER_LAYER)
    corner = built.layouts[0].placed["conv2.border"].grids[0].cell(0, 0)
    assert corner.sheet == "network_conv1"
    book = openpyxl.load_workbook(built.path)
    book[corner.sheet][corner.a1] = "=9"
    book.save(built.path)
    result = sc.check(built.path)
    rows = frame(result)
    found = rows[rows.verdict == "wrong"][["worksheet", "cell", "tensor"]].to_numpy().tolist()
    assert found == [["network_conv1", corner.a1, "conv2.border"]]
    assert any(f"  {corner}: got 9.0" in line for line in lines(result, {}))


@pytest.mark.parametrize(
    ("shape", "anchors"),
    [((3, 5, 5), ("A1", "A7", "A13")), ((2, 1, 5, 5), ("A1",))],
    ids=["colours", "batch"],
)
def test_labels_without_room_above_a_pinned_image_are_left_out(
    shape: tuple[int, ...], anchors: tuple[str, ...], tmp_path: Path
) -> None:
    network = sc.Sequential(sc.Conv2d(shape[-3], 1, 3))
    image = np.random.default_rng(0).random(shape)
    drawing = Drawing(anchors={"input": anchors})
    built = sc.build(network, tmp_path / "a.xlsx", image=image, drawing=drawing)
    assert built.layouts[0].placed["input"].grids[0].cell(0, 0).a1 == "A1"
    assert sc.check(built.path).ok

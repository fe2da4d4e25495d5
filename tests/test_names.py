"""Defined names: every tensor has one, and it leads to its cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpyxl
import pytest

import sheetconv as sc
from sheetconv.calculators import find_engine
from sheetconv.cells import Range
from sheetconv.drawing import Drawing
from sheetconv.network_sheet import NetworkSheet
from sheetconv.workbook import build_workbook

NETWORK = sc.Sequential(
    sc.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"),
    sc.BatchNorm2d(2),
    sc.Flatten(),
    sc.Linear(32, 2),
    sc.Softmax(),
)
IMAGE = np.random.default_rng(0).random((4, 4))


@pytest.mark.parametrize("layout", ["one-sheet", "per-layer"])
def test_every_tensor_has_a_name(layout: str, tmp_path: Path) -> None:
    drawing = Drawing(layout=layout)  # type: ignore[arg-type]
    built = sc.build(NETWORK, tmp_path / "a.xlsx", image=IMAGE, drawing=drawing)
    book = openpyxl.load_workbook(built.path)
    placed = built.layouts[0].placed
    assert set(book.defined_names) == {name.replace(".", "_") for name in placed}
    for name, where in placed.items():
        ((sheet, cells),) = book.defined_names[name.replace(".", "_")].destinations
        named = {cell.coordinate for row in np.atleast_2d(book[sheet][cells]) for cell in row}
        own = {cell.a1 for grid in where.grids for cell in grid.cells()}
        assert {grid.sheet for grid in where.grids} == {sheet}
        assert own <= named
    assert sc.check(built.path).ok


@pytest.mark.parametrize("engine", ["ironcalc", "libreoffice"])
def test_a_name_works_in_a_formula(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if engine == "libreoffice":
        request.getfixturevalue("libreoffice")
    built = sc.build(NETWORK, tmp_path / "a.xlsx", image=IMAGE)
    book = openpyxl.load_workbook(built.path)
    book["network"]["A1"] = "=SUM(softmax1_out)+SUM(input)"
    book.save(built.path)
    with find_engine(engine).open(built.path) as opened:
        opened.recalculate()
        ((total,),) = opened.get_values(Range("network", 0, 0))
    assert total == pytest.approx(1.0 + IMAGE.sum(), rel=1e-12)


def test_names_of_two_networks_belong_to_their_worksheets(tmp_path: Path) -> None:
    sheets = [
        NetworkSheet(sc.Sequential(sc.ReLU()), IMAGE, Drawing(worksheet=name))
        for name in ("it's one", "two")
    ]
    built = build_workbook(sheets, tmp_path / "a.xlsx")
    book = openpyxl.load_workbook(built.path)
    assert not book.defined_names
    for name in ("it's one", "two"):
        assert set(book[name].defined_names) == {"input", "relu1_out"}
    assert sc.check(built.path).ok


def test_names_that_differ_in_capitals_only_are_told_apart(tmp_path: Path) -> None:
    network = sc.Sequential(("act", sc.ReLU()), ("ACT", sc.Tanh()))
    drawing = Drawing(fuse=False)
    built = sc.build(network, tmp_path / "a.xlsx", image=IMAGE, drawing=drawing)
    assert set(openpyxl.load_workbook(built.path).defined_names) == {"input", "act_out", "ACT_out_"}

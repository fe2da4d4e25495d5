"""Dropout in workbooks: fixed random numbers, vectors, and planes behind Flatten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpyxl
import pytest
from planting import formula_of, spliced, typed

import sheetconv as sc
from sheetconv.calculators import Engine, find_engine
from sheetconv.layers import Layer
from sheetconv.layout import Layout

IRONCALC = find_engine("ironcalc")
IMAGE = np.random.default_rng(0).uniform(0.5, 1.5, (2, 1, 4, 4))


def shown(engine: Engine, path: Path, layout: Layout, tensor: str) -> list[float]:
    with engine.open(path) as book:
        book.recalculate()
        values = [book.get_values(grid.bounds) for grid in layout.placed[tensor].grids]
    return [value for plane in values for row in plane for value in row]


def built(path: Path, *layers: Layer) -> Layout:
    return sc.build(sc.Sequential(*layers), path, image=IMAGE).layouts[0]


def test_fixed_random_numbers_give_every_program_the_same_mask(
    tmp_path: Path, libreoffice: Engine
) -> None:
    path = tmp_path / "a.xlsx"
    layout = built(path, sc.Dropout(0.5, seed=3))
    expected = sc.Sequential(sc.Dropout(0.5, seed=3)).forward(
        IMAGE, {"dropout1": {"random": np.random.default_rng(3).random(IMAGE.shape)}}
    )[0]
    for engine in (IRONCALC, libreoffice):
        values = shown(engine, path, layout, "dropout1.out")
        np.testing.assert_allclose(values, expected.reshape(-1), rtol=1e-15)
    assert 0 < np.count_nonzero(expected) < expected.size
    assert sc.check(path, [IRONCALC, libreoffice]).ok


def test_an_edited_p_drops_others(tmp_path: Path, libreoffice: Engine) -> None:
    path = tmp_path / "a.xlsx"
    layout = built(path, sc.Dropout(0.9, seed=3))
    before = np.array(shown(IRONCALC, path, layout, "dropout1.out"))
    typed(path, "network", layout.placed["dropout1.p"].grids[0].bounds.a1, 0.25)
    after = np.array(shown(IRONCALC, path, layout, "dropout1.out"))
    assert np.count_nonzero(before) < np.count_nonzero(after) < after.size
    assert sc.check(path, [IRONCALC, libreoffice]).ok


def test_a_wrong_formula_of_a_dropped_cell_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    layout = built(path, sc.Dropout(0.999, seed=3))
    assert max(shown(IRONCALC, path, layout, "dropout1.out")) == 0
    grid = layout.placed["dropout1.out"].grids[1]
    x, beside = (layout.placed["input"].grids[1].cell(1, j).a1 for j in (1, 2))
    cell = grid.cell(1, 1).a1
    formula = formula_of(path, "network", cell)
    spliced(path, "network", cell, formula.replace(f" {x}/", f" {beside}/"))
    assert formula_of(path, "network", cell) != formula
    assert {item.cell.a1 for item in sc.check(path).wrong} == {cell}


@pytest.mark.parametrize("seed", [None, 3])
def test_a_vector_is_dropped_with_one_count(
    tmp_path: Path, seed: int | None, libreoffice: Engine
) -> None:
    path = tmp_path / "a.xlsx"
    layout = built(path, sc.Flatten(), sc.Linear(16, 8), sc.Dropout(0.5, seed=seed))
    placed = layout.placed
    assert placed["dropout1.mask"].shape == placed["dropout1.out"].shape == (2, 8)
    assert [placed[f"dropout1.{name}"].size for name in ("total", "zeros", "share")] == [2] * 3
    assert shown(IRONCALC, path, layout, "dropout1.total") == [8.0, 8.0]
    assert sc.check(path, [IRONCALC, libreoffice]).ok


@pytest.mark.parametrize("seed", [None, 3])
def test_behind_flatten_planes_are_dropped_as_the_network_drops_the_vector(
    tmp_path: Path, seed: int | None
) -> None:
    path = tmp_path / "a.xlsx"
    net = sc.Sequential(sc.MaxPool2d(2), sc.Flatten(), sc.Dropout(0.5, seed=seed), sc.Linear(4, 2))
    layout = sc.build(net, path, image=IMAGE, seed=6).layouts[0]
    assert layout.placed["dropout1.out"].shape == (2, 1, 2, 2)
    assert sc.check(path).ok
    (grid,) = layout.placed["dropout1.random"].image(1).grids
    random = net.draw_noise((1, 4, 4), 6, batch=2)["dropout1"]["random"]
    assert random.shape == (2, 4)
    # Unseeded, it shows what the file was given until it is calculated anew.
    sheet = openpyxl.load_workbook(path, data_only=True)[grid.sheet]
    drawn = [cell.value for row in sheet[grid.bounds.a1] for cell in row]
    np.testing.assert_array_equal(drawn, random[1])

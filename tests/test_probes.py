"""Errors that the workbook's own numbers hide, and that probes show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planting import spliced

import sheetconv as sc
from sheetconv.arranging import lay_out
from sheetconv.calculators import Engine
from sheetconv.drawing import Drawing
from sheetconv.formulas import formula_text
from sheetconv.layers import Layer
from sheetconv.layout import stage_formulas


def built(path: Path, *layers: Layer, image: object, params: float | None = None) -> sc.Sequential:
    """Build a network whose formulas are written out; all its parameters may be one number."""
    network = sc.Sequential(*layers)
    if params is not None:
        for own in network.params.values():
            for name, value in own.items():
                own[name] = np.full(value.shape, params)
    sc.build(network, path, image=image, drawing=Drawing(formulas="array"))
    return network


def formulas(network: sc.Sequential, shape: tuple[int, ...], stage: int) -> dict[str, str]:
    """The formulas of a stage's output, by cell."""
    layout = lay_out(network, shape, Drawing(formulas="array"))
    return {
        item.grid.cell(i, j).a1: formula_text(item.formula, i, j)
        for item in stage_formulas(network, layout.stages[stage], layout.placed, layout.drawing)
        if item.tensor == "out"
        for i, j in np.ndindex(item.grid.height, item.grid.width)
    }


@pytest.mark.parametrize(
    ("layers", "image"),
    [
        (
            (
                sc.Conv2d(1, 1, 3, bias=False),
                sc.ReLU(),
                sc.Conv2d(1, 1, 3, bias=False),
                sc.ReLU(),
            ),
            np.ones((7, 7)),
        ),
        ((sc.Linear(4, 1), sc.ReLU(), sc.Linear(1, 1), sc.ReLU()), np.ones(4)),
    ],
)
def test_a_rectifier_that_is_missing_behind_one_channel(
    tmp_path: Path, layers: tuple[Layer, ...], image: np.ndarray
) -> None:
    path = tmp_path / "a.xlsx"
    network = built(path, *layers, image=image, params=0.1)
    shape = image.shape if image.ndim == 1 else (1, *image.shape)
    cell, text = next(iter(formulas(network, shape, 1).items()))
    assert text.startswith("MAX(0,")
    spliced(path, "network", cell, "=" + text.removeprefix("MAX(0,").removesuffix(")"))
    assert [item.cell.a1 for item in sc.check(path).wrong] == [cell]


@pytest.mark.parametrize("missing", range(9))
def test_a_pool_that_misses_one_of_nine(tmp_path: Path, missing: int) -> None:
    path = tmp_path / "a.xlsx"
    ramp = np.arange(36.0).reshape(6, 6)
    network = built(path, sc.MaxPool2d(3, stride=1), image=ramp)
    cell = next(iter(formulas(network, (1, 6, 6), 0)))
    layout = sc.build(network, tmp_path / "b.xlsx", image=ramp).layouts[0]
    window = [layout.placed["input"].grids[0].cell(i, j).a1 for i in range(3) for j in range(3)]
    del window[missing]
    spliced(path, "network", cell, f"=MAX({','.join(window)})")
    assert [item.cell.a1 for item in sc.check(path).wrong] == [cell]


def test_a_random_number_that_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    network = sc.Sequential(sc.Dropout(0.5))
    layout = sc.build(network, path, image=np.ones((3, 3))).layouts[0]
    cell = layout.placed["dropout1.random"].grids[0].cell(1, 1).a1
    spliced(path, "network", cell, "=0.7+0")
    result = sc.check(path)
    assert [item.cell.a1 for item in result.wrong] == [cell]
    assert "stays the same" in str(result.wrong[0])


def test_sums_that_cancel_are_no_false_alarm(tmp_path: Path, libreoffice: Engine) -> None:
    """LibreOffice takes what is left of 1 - (1 - 2**-49) for zero."""
    path = tmp_path / "a.xlsx"
    network = sc.Sequential(sc.Conv2d(1, 1, 1))
    network.load_state_dict({"conv1.weight": [[[[1.0]]]], "conv1.bias": [-(1 - 2.0**-49)]})
    layout = sc.build(network, path, image=np.ones((2, 2))).layouts[0]
    assert sc.check(path, libreoffice.name, probes=0).ok
    cell = layout.placed["conv1.out"].grids[0].cell(0, 0).a1
    spliced(path, "network", cell, "=0.0000001")
    assert not sc.check(path, libreoffice.name, probes=0).ok


def test_a_bound_that_overflows_bounds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    network = sc.Sequential(sc.Conv2d(1, 1, 1))
    network.load_state_dict({"conv1.weight": [[[[1.2e308]]]], "conv1.bias": [-1.2e308]})
    sc.build(network, path, image=np.ones((1, 1)))
    assert not sc.check(path, ()).ok

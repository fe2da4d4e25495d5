"""Errors that the workbook's own numbers hide, and that probes show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpyxl
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


def largest_first(*shape: int) -> np.ndarray:
    """An image whose first unit hides all others from a maximum."""
    image = np.zeros(shape)
    image.flat[0] = 1.0
    return image


@pytest.mark.parametrize(
    ("layers", "image", "tensor", "old", "new"),
    [
        # One of several planes, as the maximum of a vector that stands on them.
        ((sc.Flatten(), sc.Softmax()), largest_first(8, 2, 2), "largest", ",B32:C33", ""),
        # The last of more units than there are probes.
        ((sc.Softmax(),), largest_first(40), "largest", "B4:B43", "B4:B42"),
        # The last row, and the last column.
        ((sc.AdaptiveMaxPool2d(1),), largest_first(1, 9, 9), "out", "B4:J12", "B4:J11"),
        ((sc.AdaptiveMaxPool2d(1),), largest_first(1, 9, 9), "out", "B4:J12", "B4:I12"),
    ],
    ids=["plane", "unit", "row", "column"],
)
def test_a_maximum_that_misses_the_end_of_what_it_reads(
    tmp_path: Path, layers: tuple[Layer, ...], image: np.ndarray, tensor: str, old: str, new: str
) -> None:
    path = tmp_path / "a.xlsx"
    built = sc.build(sc.Sequential(*layers), path, image=image)
    (stage,) = built.layouts[0].stages
    cell = built.layouts[0].placed[f"{stage.name}.{tensor}"].grids[0].cell(0, 0)
    assert sc.check(path).ok
    book = openpyxl.load_workbook(path)
    formula = book["network"][cell.a1].value
    assert old in formula
    book["network"][cell.a1] = formula.replace(old, new)
    book.save(path)
    assert sc.check(path, probes=0).ok
    assert {item.cell for item in sc.check(path).wrong} == {cell}


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

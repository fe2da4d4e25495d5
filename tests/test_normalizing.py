"""Normalisations from end to end: statistics that follow edits, and hard numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planting import formula_of, spliced, typed

import sheetconv as sc
from sheetconv.calculators import Engine, find_engine
from sheetconv.cells import Cell, Range
from sheetconv.drawing import Drawing
from sheetconv.errors import LayoutError
from sheetconv.layers.normalizing import Normalization2d
from sheetconv.layout import Layout

IRONCALC = find_engine("ironcalc")
BATCH = sc.BatchNorm2d(2, track_running_stats=False)


def network(norm: Normalization2d) -> sc.Sequential:
    return sc.Sequential(sc.Conv2d(1, 2, 3), ("norm", norm), sc.ReLU())


def images(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 1, 5, 5))


def cell_of(layout: Layout, tensor: str, plane: int = 0) -> Cell:
    return layout.placed[tensor].grids[plane].cell(0, 0)


def shown(engine: Engine, path: Path, layout: Layout, tensor: str) -> list[float]:
    """What the cells of a tensor show after a recalculation, plane by plane."""
    values: list[float] = []
    with engine.open(path) as book:
        book.recalculate()
        for grid in layout.placed[tensor].grids:
            values += [value for row in book.get_values(grid.bounds) for value in row]
    return values


def test_statistics_are_formulas_over_the_planes_of_all_images(tmp_path: Path) -> None:
    net = sc.Sequential(sc.BatchNorm2d(1, affine=False, track_running_stats=False))
    path = tmp_path / "a.xlsx"
    layout = sc.build(net, path, image=images(2)).layouts[0]
    one, two = (grid.bounds.a1 for grid in layout.placed["input"].grids)
    mean, var, eps = (cell_of(layout, f"batchnorm1.{name}") for name in ("mean", "var", "eps"))
    x, out = cell_of(layout, "input").a1, cell_of(layout, "batchnorm1.out").a1
    fixed = {cell: Range(cell.sheet, cell.row, cell.column).absolute for cell in (mean, var, eps)}
    assert formula_of(path, "network", mean.a1) == f"=AVERAGE({one},{two})"
    assert formula_of(path, "network", var.a1) == (
        f"=(SUMPRODUCT(({one}-{fixed[mean]})^2)+SUMPRODUCT(({two}-{fixed[mean]})^2))/50"
    )
    assert formula_of(path, "network", out) == (
        f"=({x}-{fixed[mean]})/SQRT({fixed[var]}+{fixed[eps]})"
    )


@pytest.mark.parametrize("name", ["ironcalc", "libreoffice"])
def test_statistics_follow_an_edited_image(tmp_path: Path, name: str, libreoffice: Engine) -> None:
    engine = libreoffice if name == "libreoffice" else IRONCALC
    path, net, batch = tmp_path / "a.xlsx", network(BATCH), images()
    layout = sc.build(net, path, image=batch).layouts[0]
    assert sc.check(path, engine.name).ok
    typed(path, "network", cell_of(layout, "input", 1).a1, 40.0)
    batch[1, 0, 0, 0] = 40.0
    planes = net.layers["conv1"].forward(batch, net.params["conv1"])[0]
    means = shown(engine, path, layout, "norm.mean")
    np.testing.assert_allclose(means, planes.mean(axis=(0, 2, 3)), rtol=1e-12)
    assert sc.check(path, engine.name).ok


def test_an_edited_eps_is_calculated_with(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    layout = sc.build(network(BATCH), path, image=images()).layouts[0]
    before = shown(IRONCALC, path, layout, "norm.out")
    typed(path, "network", cell_of(layout, "norm.eps").a1, 1e6)
    after = shown(IRONCALC, path, layout, "norm.out")
    assert max(before) > 1 > 0.01 > max(after)
    assert sc.check(path).ok


@pytest.mark.parametrize(
    ("tensor", "content"),
    [
        ("norm.mean", "=AVERAGE({planes[0]},{planes[2]})"),
        ("norm.var", "=VAR({planes[0]},{planes[2]},{planes[4]})"),
    ],
)
def test_a_wrong_statistic_is_named(tmp_path: Path, tensor: str, content: str) -> None:
    path = tmp_path / "a.xlsx"
    layout = sc.build(network(BATCH), path, image=images()).layouts[0]
    planes = [grid.bounds.a1 for grid in layout.placed["conv1.out"].grids]
    cell = cell_of(layout, tensor)
    spliced(path, "network", cell.a1, content.format(planes=planes))
    assert {item.cell for item in sc.check(path).wrong} == {cell}


@pytest.mark.parametrize("name", ["running_mean", "running_var", "weight", "bias"])
def test_a_number_of_another_channel_is_found_though_all_are_the_same(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "a.xlsx"
    layout = sc.build(network(sc.BatchNorm2d(2)), path, image=images()).layouts[0]
    own, others = (grid.bounds.absolute for grid in layout.placed[f"norm.{name}"].grids)
    # Not the first: others share its formula.
    cell = layout.placed["norm.out"].grids[0].cell(1, 1)
    wrong = formula_of(path, "network", cell.a1).replace(own, others)
    assert others in wrong
    spliced(path, "network", cell.a1, wrong)
    assert {item.cell for item in sc.check(path).wrong} == {cell}


def test_an_eps_that_is_typed_into_a_formula_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    layout = sc.build(network(BATCH), path, image=images()).layouts[0]
    cell = layout.placed["norm.out"].grids[0].cell(1, 1)
    (eps,) = (grid.bounds.absolute for grid in layout.placed["norm.eps"].grids)
    spliced(path, "network", cell.a1, formula_of(path, "network", cell.a1).replace(eps, "0.00001"))
    assert {item.cell for item in sc.check(path).wrong} == {cell}


@pytest.mark.parametrize("norm", [BATCH, sc.InstanceNorm2d(2)], ids=["batch", "instance"])
@pytest.mark.parametrize("eps", [1e-12, 1e-5, 1e6])
@pytest.mark.parametrize(
    "image",
    [
        np.full((3, 2, 4, 5), 0.1),
        np.full((3, 2, 5, 5), 1e9 / 3),
        np.full((3, 2, 1, 1), 0.7),
        1e6 + 1e-3 * np.random.default_rng(1).normal(size=(3, 2, 4, 5)),
        0.1 * (1 + 2.0**-50 * np.random.default_rng(1).integers(-2, 3, (3, 2, 4, 5))),
        np.random.default_rng(1).integers(0, 256, (3, 2, 4, 5)),
    ],
    ids=["constant", "large constant", "single cells", "far from 0", "nearly equal", "bytes"],
)
def test_hard_numbers_stay_within_bounds(
    tmp_path: Path, norm: Normalization2d, eps: float, image: np.ndarray
) -> None:
    path = tmp_path / "a.xlsx"
    sc.build(sc.Sequential(type(norm)(2, eps, track_running_stats=False)), path, image=image)
    assert sc.check(path, probes=0).ok


def test_hard_numbers_stay_within_bounds_in_libreoffice(
    tmp_path: Path, libreoffice: Engine
) -> None:
    """It takes what is left of x - mean for zero where that is less than 2**-48 of x."""
    rng = np.random.default_rng(1)
    nearly = 0.1 * (1 + 2.0**-50 * rng.integers(-2, 3, (1, 2, 4, 5)))
    image = np.concatenate([nearly, np.full(nearly.shape, 1 / 3), 1e6 + 1e-3 * nearly])
    path = tmp_path / "a.xlsx"
    net = sc.Sequential(sc.InstanceNorm2d(2, 1e-12), ("again", sc.BatchNorm2d(2, 1e-12)))
    sc.build(net, path, image=image)
    assert sc.check(path, libreoffice.name, probes=0).ok


@pytest.mark.parametrize("norm", [BATCH, sc.InstanceNorm2d(2)], ids=["batch", "instance"])
def test_the_blanks_between_cells_of_an_aligned_plane_do_not_count(
    tmp_path: Path, norm: Normalization2d, libreoffice: Engine
) -> None:
    path = tmp_path / "a.xlsx"
    net = sc.Sequential(sc.Conv2d(1, 2, 2), sc.MaxPool2d(2), ("norm", norm))
    sc.build(net, path, image=images(), drawing=Drawing(aligned=frozenset({"maxpool1"})))
    assert sc.check(path, [IRONCALC, libreoffice]).ok


def test_each_layer_may_have_a_worksheet_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    net = sc.Sequential(*dict(network(BATCH)).values(), sc.InstanceNorm2d(2, affine=True))
    sc.build(net, path, image=images(), drawing=Drawing(layout="per-layer"))
    assert sc.check(path).ok


@pytest.mark.parametrize(("count", "why"), [(256, "need 256 arguments"), (250, "8,")])
def test_more_images_than_a_formula_takes_are_refused(tmp_path: Path, count: int, why: str) -> None:
    net = sc.Sequential(sc.BatchNorm2d(1, track_running_stats=False))
    with pytest.raises(LayoutError) as caught:
        sc.build(net, tmp_path / "a.xlsx", image=np.ones((count, 1, 30, 30)))
    assert why in str(caught.value)
    assert "give fewer images, or use running statistics" in str(caught.value)
    assert list(tmp_path.iterdir()) == []

"""`Normalize` from end to end: its cells, edits of what was measured, and hard numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from planting import formula_of, spliced, typed

import sheetconv as sc
from sheetconv.calculators import Engine, find_engine
from sheetconv.cells import Cell
from sheetconv.errors import ShapeError
from sheetconv.layers.base import Array
from sheetconv.layout import Layout

IRONCALC = find_engine("ironcalc")
MEAN, STD = np.array([0.13, -2.0]), np.array([0.31, 4.0])


def network(mean: Array = MEAN, std: Array = STD) -> sc.Sequential:
    net = sc.Sequential(sc.Normalize(2), sc.Conv2d(2, 2, 2, padding=1), sc.ReLU())
    net.buffers["normalize1"] = {"mean": mean.copy(), "std": std.copy()}
    return net


def images(count: int = 2) -> Array:
    return np.random.default_rng(0).normal(size=(count, 2, 5, 4))


def cell_of(layout: Layout, tensor: str, plane: int = 0) -> Cell:
    return layout.placed[tensor].grids[plane].cell(0, 0)


def shown(engine: Engine, path: Path, layout: Layout) -> Array:
    """What the cells of the layer show after a recalculation, in the shape of the batch."""
    grids = layout.placed["normalize1.out"].grids
    with engine.open(path) as book:
        book.recalculate()
        return np.array([book.get_values(grid.bounds) for grid in grids]).reshape(-1, 2, 5, 4)


def test_it_is_what_pytorch_does_with_running_statistics() -> None:
    layer, x = sc.Normalize(2), images()
    module = torch.nn.BatchNorm2d(2, eps=0.0, affine=False).double().eval()
    module.load_state_dict(
        {"running_mean": torch.tensor(MEAN), "running_var": torch.tensor(STD**2)}, strict=False
    )
    out, cache = layer.forward(x, {"mean": MEAN, "std": STD})
    theirs = torch.from_numpy(x.copy()).requires_grad_()
    expected = module(theirs)
    expected.backward(torch.from_numpy(x))
    np.testing.assert_allclose(out, expected.detach(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(layer.backward(x, cache, {})[0], theirs.grad, rtol=1e-12)


def test_a_fresh_one_changes_nothing() -> None:
    np.testing.assert_array_equal(sc.Sequential(sc.Normalize(2))(images()), images())


def test_every_plane_has_labelled_cells_that_its_formulas_name(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    layout = sc.build(network(), path, image=images()).layouts[0]
    for plane in range(4):
        x, out = (cell_of(layout, name, plane) for name in ("input", "normalize1.out"))
        mean, std = (
            layout.placed[f"normalize1.{name}"].grids[plane % 2].bounds.absolute
            for name in ("mean", "std")
        )
        assert formula_of(path, "network", out.a1) == f"=({x.a1}-{mean})/{std}"


@pytest.mark.parametrize("name", ["ironcalc", "libreoffice"])
def test_edited_numbers_are_calculated_with(
    tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    engine = request.getfixturevalue("libreoffice") if name == "libreoffice" else IRONCALC
    path = tmp_path / "a.xlsx"
    layout = sc.build(network(), path, image=images()).layouts[0]
    assert sc.check(path, engine.name).ok
    typed(path, "network", cell_of(layout, "normalize1.mean", 1).a1, 1.5)
    typed(path, "network", cell_of(layout, "normalize1.std").a1, 0.5)
    mean, std = np.array([0.13, 1.5]), np.array([0.5, 4.0])
    expected = (images() - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_allclose(shown(engine, path, layout), expected, rtol=1e-14, atol=1e-15)
    assert sc.check(path, engine.name).ok
    read = sc.read(path)
    np.testing.assert_array_equal(read["normalize1.mean"], mean)
    np.testing.assert_array_equal(read.network.buffers["normalize1"]["std"], std)


@pytest.mark.parametrize("name", ["mean", "std"])
def test_a_number_of_another_channel_is_found_though_all_are_the_same(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "a.xlsx"
    net = network(np.zeros(2), np.ones(2))
    layout = sc.build(net, path, image=images()).layouts[0]
    own, others = (grid.bounds.absolute for grid in layout.placed[f"normalize1.{name}"].grids)
    # Not the first: others share its formula.
    cell = layout.placed["normalize1.out"].grids[0].cell(1, 1)
    wrong = formula_of(path, "network", cell.a1).replace(own, others)
    assert others in wrong
    spliced(path, "network", cell.a1, wrong)
    assert {item.cell for item in sc.check(path).wrong} == {cell}


@pytest.mark.parametrize("engine", ["ironcalc", "libreoffice"])
@pytest.mark.parametrize("std", [1e-12, 1.0, -3e8])
def test_hard_numbers_stay_within_bounds(
    tmp_path: Path, engine: str, std: float, request: pytest.FixtureRequest
) -> None:
    """LibreOffice takes what is left of x - mean for zero where that is a tiny part of both."""
    if engine == "libreoffice":
        request.getfixturevalue("libreoffice")
    rng = np.random.default_rng(1)
    nearly = 0.1 * (1 + 2.0**-50 * rng.integers(-2, 3, (1, 2, 5, 4)))
    image = np.concatenate([nearly, np.full(nearly.shape, 0.1), 1e6 + nearly, -nearly])
    path = tmp_path / "a.xlsx"
    net = sc.Sequential(sc.Normalize(2))
    net.buffers["normalize1"] = {"mean": np.array([0.1, 1e6 + 0.1]), "std": np.full(2, std)}
    sc.build(net, path, image=image)
    assert sc.check(path, engine, probes=0).ok


def test_what_explains_a_network_explains_it(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    guides = sc.Guides(pictures=images(3), labels=["a", "b", "c"])
    layout = sc.build(network(), path, image=images()[0], guides=guides).layouts[0]
    assert sc.check(path).ok
    # A filter of the convolution behind it still sees 2x2 of the picture.
    fields = {item.name: item.field for item in sc.summarize(network(), (2, 5, 4)).layers}
    assert fields["normalize1"].size == (1, 1)
    assert fields["conv1"].size == (2, 2)
    cell = layout.placed["normalize1.out"].grids[1].cell(2, 2)
    spliced(path, cell.sheet, cell.a1, formula_of(path, cell.sheet, cell.a1) + "+1")
    assert {item.cell for item in sc.check(path).wrong} == {cell}


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_no_workbook_divides_by_0(tmp_path: Path) -> None:
    net = sc.Sequential(sc.Normalize(2))
    net.buffers["normalize1"]["std"][1] = 0.0
    with pytest.raises(ShapeError, match=r"normalize1\.out holds NaN or infinity"):
        sc.build(net, tmp_path / "a.xlsx", image=images())
    assert list(tmp_path.iterdir()) == []

"""Random legal networks of every kind of layer: what IronCalc recalculates is what NumPy has."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planting import opened
from random_networks import MAKERS, Case, cases

import sheetconv as sc
from sheetconv.cells import Cell
from sheetconv.checking import CheckResult
from sheetconv.errors import ShapeError
from sheetconv.formulas import Role
from sheetconv.layers import LAYERS

#: Of one channel, of three as a colour picture has them, and of other numbers.
CHANNELS = (1, 2, 3, 3, 4, 6)
quick = settings(
    derandomize=True,
    deadline=None,
    max_examples=8,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def built(case: Case, path: Path, image: np.ndarray) -> sc.BuiltWorkbook:
    images = image if len(case.input_shape) == 3 else image[0]
    return sc.build(case.network, path, image=images, drawing=case.drawing)


def image_of(case: Case, scale: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    return scale * rng.normal(size=(case.batch, *case.input_shape))


def test_every_kind_of_layer_has_a_maker() -> None:
    assert MAKERS.keys() == LAYERS.keys()


@pytest.mark.parametrize("kind", sorted(LAYERS))
@quick
@given(data=st.data())
def test_random_networks_recalculate_to_what_numpy_has(kind: str, data: st.DataObject) -> None:
    case = data.draw(cases(kind, channels=CHANNELS))
    assert kind in {type(layer).__name__ for layer in case.network.layers.values()}
    scale = data.draw(st.sampled_from([1.0, 1.0, 1e-6, 1e6, 0.0]))
    with TemporaryDirectory() as folder:
        book = built(case, Path(folder) / "random.xlsx", image_of(case, scale))
        result = sc.check(book.path)
    assert result.wrong == []
    assert result.ok
    assert result.formula_cells == book.formula_cells
    # The cached values, IronCalc's, and those of two probes at least.
    assert result.sources[:4] == [
        "cached values",
        "ironcalc",
        "ironcalc, probe 1",
        "ironcalc, probe 2",
    ]


@quick
@given(case=cases("Conv2d", channels=(41, 82)))
def test_networks_of_many_channels_recalculate_to_what_numpy_has(case: Case) -> None:
    with TemporaryDirectory() as folder:
        book = built(case, Path(folder) / "random.xlsx", image_of(case))
        assert sc.check(book.path, probes=2).wrong == []


@quick
@given(data=st.data())
def test_a_formula_that_is_a_little_off_is_named(data: st.DataObject) -> None:
    case = data.draw(cases(data.draw(st.sampled_from(sorted(LAYERS))), channels=CHANNELS))
    with TemporaryDirectory() as folder:
        book = built(case, Path(folder) / "random.xlsx", image_of(case))
        (layout,) = book.layouts
        formulas = [
            cell
            for placed in layout.placed.values()
            if placed.role in (Role.STEP, Role.OUTPUT)
            for grid in placed.grids
            for cell in grid.cells()
        ]
        spoilt = formulas[data.draw(st.integers(0, len(formulas) - 1))]
        plant(book.path, spoilt)
        result = sc.check(book.path)
    assert wrong(result) == {spoilt}


def wrong(result: CheckResult) -> set[Cell]:
    assert not result.ok
    return {item.cell for item in result.wrong}


def plant(path: Path, cell: Cell) -> None:
    """Add a hundredth to a formula."""
    with opened(path) as workbook:
        place = workbook[cell.sheet][cell.a1]
        if isinstance(place.value, str):
            place.value += "+0.01"
        else:
            place.value.text += "+0.01"


SMALL = [
    (sc.MaxPool2d((1, kernel), (1, stride), (0, padding), (1, dilation), ceil), length)
    for kernel, stride, dilation, length in product(*[range(1, 6)] * 4)
    for padding, ceil in product(range(kernel // 2 + 1), (False, True))
]


def test_a_pool_is_refused_where_a_window_sees_only_padding_and_nowhere_else() -> None:
    refused = 0
    for layer, length in SMALL:
        x = np.ones((1, 1, 2, length))
        try:
            layer.output_shape((1, 2, length))
            empty = None
        except ShapeError as error:
            if "at least as large as the window" in str(error):
                continue
            (empty,) = re.findall(r"windows in column (\d+) of its output see only", str(error))
            refused += 1
        # Without the refusal such a window gives minus infinity, as in PyTorch.
        out = layer.forward(x, {})[0][0, 0, 0]
        first = next((i for i, value in enumerate(out, 1) if np.isinf(value)), None)
        assert first == (empty and int(empty)), layer
    assert refused > 20


def test_a_pool_of_nothing_but_padding_is_refused_by_name(tmp_path: Path) -> None:
    network = sc.Sequential(sc.MaxPool2d(2, stride=1, padding=1, dilation=3))
    with pytest.raises(ShapeError, match=r"layer maxpool1: .* windows in row 1 .* only padding"):
        sc.build(network, tmp_path / "a.xlsx", image=np.ones((1, 2, 2)))
    assert list(tmp_path.iterdir()) == []

"""Budgets: cells counted exactly, sizes met within a factor, and what does not fit is said."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import openpyxl
import pytest
from hypothesis import given, reject, settings
from test_layers import EXAMPLES
from test_layout import Case, cases

from sheetconv import (
    AvgPool2d,
    Conv2d,
    Drawing,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Softmax,
    Tanh,
    build,
)
from sheetconv.arranging import lay_out
from sheetconv.budget import Budget, budget
from sheetconv.drawing import FormulaStyle, LayoutStyle
from sheetconv.errors import LayoutError, ShapeError
from sheetconv.layers import Example
from sheetconv.layers.base import Array
from sheetconv.layout import count_cells
from sheetconv.network_sheet import NetworkSheet
from sheetconv.template import load_template
from sheetconv.workbook import BuiltWorkbook, build_workbook


def image(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(0).random(shape)


def built(network: Sequential, shape: tuple[int, ...], drawing: Drawing) -> BuiltWorkbook:
    with TemporaryDirectory() as folder:
        return build(network, Path(folder) / "x.xlsx", image=image(shape), drawing=drawing)


# --- Cells


@settings(derandomize=True, max_examples=40, deadline=None)
@given(cases())
def test_cells_of_random_networks_are_counted_exactly(case: Case) -> None:
    shape = (case.batch, *case.input_shape) if len(case.input_shape) == 3 else case.input_shape
    try:
        workbook = built(case.network, shape, case.drawing)
    except ShapeError as error:
        # A dilated pool may see nothing but its border of minus infinity.
        if "holds NaN or infinity" not in str(error):
            raise
        reject()
    (layout,) = workbook.layouts
    counted = count_cells(case.network, layout.input_shape, case.drawing, layout.batch)
    assert counted == (workbook.formula_cells, workbook.number_cells)
    found = budget([NetworkSheet(case.network, image(shape), case.drawing)])
    assert (found.formula_cells, found.number_cells, found.fits) == (*counted, True)
    assert found.networks[0].worksheets == len(layout.worksheets)


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("example", EXAMPLES)
def test_cells_of_every_layer_are_counted_exactly(example: Example, fuse: bool) -> None:
    network, drawing = Sequential(MaxPool2d(1), example.layer), Drawing(fuse=fuse)
    shape = example.x.shape
    if len(shape) == 1:
        network = Sequential(Linear(len(example.x), len(example.x)), example.layer)
    workbook = built(network, shape, drawing)
    counted = count_cells(network, shape, drawing)
    assert counted == (workbook.formula_cells, workbook.number_cells)


def test_a_layer_that_is_not_fused_has_cells_of_its_own() -> None:
    network = Sequential(Conv2d(1, 2, 3), ReLU())
    fused = count_cells(network, (1, 8, 8), Drawing())
    separate = count_cells(network, (1, 8, 8), Drawing(fuse=False))
    assert fused == (72, 64 + 20)
    assert separate == (144, 64 + 20)


def test_every_image_of_a_batch_has_activations_of_its_own_and_shares_the_weights() -> None:
    network = Sequential(Conv2d(1, 2, 3))
    assert count_cells(network, (1, 8, 8), Drawing(), 3) == (3 * 72, 3 * 64 + 20)


# --- The size of the file

#: How far the estimate may lie from the file, either way.
FACTOR = 1.25


def strided(channels: list[int]) -> Sequential:
    layers = [
        layer
        for inputs, outputs in pairwise(channels)
        for layer in (Conv2d(inputs, outputs, 3, stride=2, padding=1), ReLU())
    ]
    return Sequential(*layers, Flatten())


SIZES = {
    "tiny": (Sequential(Conv2d(1, 1, 3)), (1, 5, 5)),
    "planes": (Sequential(Conv2d(1, 4, 3), ReLU(), MaxPool2d(2)), (1, 60, 60)),
    "dropout": (Sequential(Conv2d(1, 2, 3), Dropout(0.3), MaxPool2d(2)), (1, 30, 30)),
    "strided": (strided([1, 4, 8, 16, 32, 2]), (1, 28, 28)),
    "colour": (Sequential(Conv2d(3, 8, 5), Tanh(), AvgPool2d(2)), (3, 24, 24)),
    "dense": (
        Sequential(Flatten(), Linear(400, 20), ReLU(), Linear(20, 10), Softmax()),
        (1, 20, 20),
    ),
}


def estimated(name: str, drawing: Drawing) -> int:
    network, shape = SIZES[name]
    return budget([NetworkSheet(network, image(shape), drawing)]).file_size


@cache
def measured(name: str, style: FormulaStyle, layout: LayoutStyle) -> int:
    network, shape = SIZES[name]
    return built(network, shape, Drawing(formulas=style, layout=layout)).file_size


def is_met(estimate: int, size: int) -> bool:
    return size / FACTOR < estimate < size * FACTOR


WAYS: list[tuple[FormulaStyle, LayoutStyle]] = [
    ("sumproduct", "one-sheet"),
    ("array", "one-sheet"),
    ("sumproduct", "per-layer"),
]


@pytest.mark.parametrize(("style", "layout"), WAYS)
@pytest.mark.parametrize("name", SIZES)
def test_the_size_of_a_file_is_met_within_a_factor(
    name: str, style: FormulaStyle, layout: LayoutStyle
) -> None:
    estimate = estimated(name, Drawing(formulas=style, layout=layout))
    assert is_met(estimate, measured(name, style, layout))


@pytest.mark.parametrize(
    "constant", ["", "_PER_DIGITS", "_PER_NUMBER", "_PER_SHARED", "_PER_CHARACTER"]
)
def test_without_one_of_its_constants_some_size_is_not_met(
    constant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"sheetconv.budget._BYTES{constant}", 0.0)
    assert not all(
        is_met(
            estimated(name, Drawing(formulas=style, layout=layout)), measured(name, style, layout)
        )
        for name in SIZES
        for style, layout in WAYS
    )


def test_a_file_full_of_zeros_is_known_to_be_less_than_half_as_large() -> None:
    network, shape = SIZES["planes"]
    with TemporaryDirectory() as folder:
        blank = build(network, Path(folder) / "x.xlsx", image=np.zeros(shape))
    half = measured("planes", "sumproduct", "one-sheet") / 2
    assert blank.file_size < half
    assert budget([NetworkSheet(network, np.zeros(shape), Drawing())]).file_size < half
    assert estimated("planes", Drawing()) > half


def conv_example() -> tuple[Budget, list[NetworkSheet]]:
    items = load_template("conv-example").networks
    found = budget(NetworkSheet(item.network, item.image, item.drawing) for item in items)
    return found, [NetworkSheet(item.network, item.image, item.drawing) for item in items]


def test_cells_and_size_of_conv_example_are_met(tmp_path: Path) -> None:
    found, sheets = conv_example()
    workbook = build_workbook(sheets, tmp_path / "x.xlsx")
    assert (found.formula_cells, found.number_cells) == (9_336, 2_301)
    assert (workbook.formula_cells, workbook.number_cells) == (9_336, 2_301)
    assert is_met(found.file_size, workbook.file_size)


# --- Room, and time


def test_rows_and_columns_are_those_that_are_written(tmp_path: Path) -> None:
    network = Sequential(Conv2d(1, 2, 3), MaxPool2d(2), Flatten(), Linear(18, 2))
    drawing = Drawing(worksheet="small", texts=(), border="blank")
    (item,) = budget([NetworkSheet(network, image((1, 8, 8)), drawing)]).networks
    build(network, tmp_path / "x.xlsx", image=np.eye(8), drawing=drawing)
    written = openpyxl.load_workbook(tmp_path / "x.xlsx")["small"]
    assert (item.rows, item.columns) == (written.max_row, written.max_column)


ONE_SHEET = Drawing(worksheet="large", layout="one-sheet")


@pytest.mark.parametrize(
    ("layer", "shape", "drawing", "reason"),
    [
        (Conv2d(1, 1, 3), (1, 40, 20_000), ONE_SHEET, "a worksheet has 1,048,576 and 16,384"),
        (Conv2d(1, 1, 1), (1, 20_000, 20_000), Drawing("large"), "opens nowhere"),
    ],
)
def test_what_does_not_fit_is_said_in_the_words_of_the_build(
    layer: Conv2d, shape: tuple[int, int, int], drawing: Drawing, reason: str
) -> None:
    network = Sequential(layer)
    # An image that takes no memory.
    found = budget([NetworkSheet(network, np.broadcast_to(0.0, shape), drawing)])
    (item,) = found.networks
    assert reason in item.refusal
    assert (item.fits, found.fits) == (False, False)
    assert found.formula_cells == prod(layer.output_shape(shape))
    assert found.lines()[1:] == [f"  large: does not fit: {item.refusal}"]
    with pytest.raises(LayoutError) as caught:
        lay_out(network, shape, drawing)
    assert str(caught.value) == item.refusal


def test_one_network_that_does_not_fit_is_enough() -> None:
    network = Sequential(Conv2d(1, 1, 3))
    found = budget(
        [
            NetworkSheet(network, image((1, 8, 8)), Drawing("small")),
            NetworkSheet(network, image((1, 3, 20_000)), ONE_SHEET),
        ]
    )
    assert [item.fits for item in found.networks] == [True, False]
    assert not found.fits
    assert found.formula_cells == 36 + 19_998
    assert "file size" not in "\n".join(found.lines())


def test_how_many_worksheets_it_takes_and_why() -> None:
    network = Sequential(Conv2d(1, 1, 3), ReLU(), MaxPool2d(2))
    one, three, wide = (
        budget([NetworkSheet(network, image((1, 8, width)), drawing)]).lines()[-1]
        for width, drawing in [
            (8, Drawing("small")),
            (8, Drawing("small", layout="per-layer")),
            (15_000, Drawing("wide")),
        ]
    )
    assert one.startswith("  small: one worksheet, 11 rows x ")
    assert one.endswith(" columns (so that Trace Precedents draws all its arrows)")
    assert three.startswith("  small: 3 worksheets, at most 11 rows x ")
    assert three.endswith(" columns (as asked)")
    assert wide.startswith("  wide: 3 worksheets, at most 11 rows x 15,0")
    assert " columns (one would need 37," in wide


def test_two_worksheets_take_twice_the_time_of_one() -> None:
    network = Sequential(Conv2d(1, 4, 3), MaxPool2d(2))
    one = NetworkSheet(network, image((1, 60, 60)), Drawing())
    seconds, twice = budget([one]).seconds, budget([one, one]).seconds
    assert set(seconds) == {"IronCalc", "LibreOffice"}
    assert all(twice[name] == pytest.approx(2 * seconds[name]) for name in seconds)
    assert all(value > 0 for value in seconds.values())
    wider = budget(
        [NetworkSheet(Sequential(Conv2d(1, 4, 7, padding=2)), image((1, 60, 60)), Drawing())]
    ).seconds
    assert all(wider[name] > seconds[name] for name in seconds)


def test_layers_that_do_not_fit_each_other_have_no_budget() -> None:
    with pytest.raises(ShapeError, match="layer conv1"):
        budget([NetworkSheet(Sequential(Conv2d(2, 1, 3)), image((1, 8, 8)), Drawing())])
    with pytest.raises(LayoutError, match="nothing to draw"):
        budget([NetworkSheet(Sequential(Flatten()), image((1, 8, 8)), Drawing())])


def test_the_budget_of_conv_example() -> None:
    found, _ = conv_example()
    assert found.lines() == [
        "Workbook: 9,336 formula cells and 2,301 number cells",
        "  file size about 150,000 bytes",
        "  recalculation about 0.03 s in IronCalc, 0.06 s in LibreOffice",
        "  conv-example (dropout): one worksheet, 65 rows x 243 columns (as asked)",
        "  conv-example: one worksheet, 57 rows x 144 columns (as asked)",
    ]

"""Summaries: the book's figures, and receptive fields held against what units really see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_layers import EXAMPLES

from sheetconv import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from sheetconv.errors import ShapeError
from sheetconv.layers import Example, Layer
from sheetconv.layers.base import Array, Reach
from sheetconv.summary import ReceptiveField, summarize, table_lines
from sheetconv.template import load_template


def simple_cnn() -> Sequential:
    """The book's: 3 x 3 kernels, stride 2, padding 1, from 28 x 28 to one unit a class."""
    channels = [1, 4, 8, 16, 32, 2]
    layers: list[Layer] = []
    for inputs, outputs in pairwise(channels):
        layers += [Conv2d(inputs, outputs, 3, stride=2, padding=1), ReLU()]
    return Sequential(*layers[:-1], Flatten())


# --- The fast.ai book's figures, chapter 13


def test_the_books_network_has_the_books_parameters_and_shapes() -> None:
    summary = summarize(simple_cnn(), (64, 1, 28, 28))
    convolutions = [layer for layer in summary.layers if layer.type == "Conv2d"]
    assert [layer.parameters for layer in convolutions] == [40, 296, 1168, 4640, 578]
    assert [layer.output_shape for layer in convolutions] == [
        (64, 4, 14, 14), (64, 8, 7, 7), (64, 16, 4, 4), (64, 32, 2, 2), (64, 2, 1, 1),
    ]  # fmt: skip
    assert summary.parameters == 6722
    assert summary.layers[-1].output_shape == (64, 2)


def test_multiplications_are_the_weights_times_the_windows() -> None:
    """The book has a window for every unit of the input, which it has with stride 1 alone."""
    summary = summarize(simple_cnn(), (1, 28, 28))
    second, third = summary.layers[2], summary.layers[4]
    assert (second.multiplications, third.multiplications) == (7 * 7 * 288, 4 * 4 * (1168 - 16))
    wide = Conv2d(8, 16, 3, padding=1)
    assert wide.multiplications((8, 7, 7)) == 7 * 7 * (1168 - 16) == 56_448
    assert Conv2d(4, 8, 3, padding=1).multiplications((4, 14, 14)) == 14 * 14 * (296 - 8) == 56_448


def test_two_stride_2_convolutions_see_7_by_7_pixels() -> None:
    summary = summarize(simple_cnn(), (1, 28, 28))
    assert summary.layers[2].field == ReceptiveField((7, 7), (4, 4), (-3, -3))
    assert summary.layers[2].field.of(1, 2) == (range(1, 8), range(5, 12))


# --- Counts


def counting(layer: Layer, shape: tuple[int, ...]) -> int:
    """How many products a convolution or a dense layer computes, one by one."""
    if isinstance(layer, Linear):
        return layer.in_features * layer.out_features
    assert isinstance(layer, Conv2d)
    ones = {"weight": np.ones((layer.out_channels, layer.in_channels // layer.groups, 1, 1))}
    height, width = layer.kernel_size if isinstance(layer.kernel_size, tuple) else (3, 3)
    ones["weight"] = np.ones((*ones["weight"].shape[:2], height, width))
    inside = np.ones((1, shape[0], shape[1] + 20, shape[2] + 20))
    out, _ = layer.forward(inside, ones)
    # Far from the padding a unit is the number of its products.
    return int(out[0, 0, out.shape[2] // 2, out.shape[3] // 2]) * prod(layer.output_shape(shape))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv2d(1, 2, (3, 3), bias=False), (1, 8, 9)),
        (Conv2d(4, 6, (2, 3), stride=(2, 1), padding=1, groups=2, bias=False), (4, 8, 9)),
        (Conv2d(3, 3, (3, 1), dilation=2, groups=3, bias=False), (3, 9, 9)),
        (Linear(12, 5, bias=False), (12,)),
    ],
)
def test_multiplications_are_the_products_of_all_units(
    layer: Layer, shape: tuple[int, ...]
) -> None:
    (item,) = summarize(Sequential(layer), shape).layers
    assert item.multiplications == counting(layer, shape)


def test_biases_are_parameters_and_no_multiplications() -> None:
    shape = (1, 5, 5)
    (with_bias,) = summarize(Sequential(Conv2d(1, 2, 3)), shape).layers
    (without,) = summarize(Sequential(Conv2d(1, 2, 3, bias=False)), shape).layers
    assert (with_bias.parameters, without.parameters) == (20, 18)
    assert with_bias.multiplications == without.multiplications == 9 * 18


def test_what_is_kept_and_not_learned_has_a_column_of_its_own() -> None:
    network = Sequential(Conv2d(1, 2, 3))
    assert "buffers" not in summarize(network, (1, 5, 5)).lines()[0]
    network.buffers["conv1"] = {"running_mean": np.zeros(3)}
    summary = summarize(network, (1, 5, 5))
    assert (summary.parameters, summary.buffers) == (20, 3)
    assert "buffers" in summary.lines()[0]
    assert summary.lines()[-1].split() == ["total", "20", "3", "162", "18"]


def test_what_a_summary_cannot_be_of() -> None:
    with pytest.raises(ShapeError, match=r"layer conv1: .* got an input of shape"):
        summarize(Sequential(Conv2d(1, 2, 3)), (2, 5, 5))
    with pytest.raises(ShapeError, match="every length must be at least 1"):
        summarize(Sequential(Conv2d(1, 2, 3)), (1, 0, 5))


# --- Receptive fields


def seen(network: Sequential, shape: tuple[int, int, int]) -> tuple[Array, Array]:
    """Whether each unit depends on each row, and on each column, of the image.

    A row of pixels that are no numbers makes every unit that sees one of them no number.
    Shapes: (rows, units...) and (columns, units...), channels taken together.
    """
    _, height, width = shape
    images = np.random.default_rng(0).normal(size=(height + width, *shape))
    for row in range(height):
        images[row, :, row] = np.nan
    for column in range(width):
        images[height + column, :, :, column] = np.nan
    out = np.isnan(network(images))
    met = out.any(axis=1, keepdims=out.ndim == 2)
    met = met.reshape(height + width, *(met.shape[1:] if out.ndim == 4 else (1, 1)))
    return met[:height], met[height:]


def disagreements(
    network: Sequential, shape: tuple[int, int, int], *, edges: bool = True
) -> tuple[list[Any], int]:
    """Units whose receptive field is not what they see, and how many lie wholly inside.

    Those inside the image see the first and last row and column of their field. No unit sees
    anything outside it; those at the edges are left out unless `edges`.
    """
    field = summarize(network, shape).layers[-1].field
    axes = seen(network, shape)
    wrong, inside = [], 0
    for unit in np.ndindex(axes[0].shape[1:]):
        pixels = field.of(*unit)
        found = [np.flatnonzero(reached[(slice(None), *unit)]).tolist() for reached in axes]
        within = all(p.start >= 0 and p.stop <= len(a) for p, a in zip(pixels, axes, strict=True))
        inside += within
        for expected, got in zip(pixels, found, strict=True):
            outside = not set(got) <= set(expected)
            ends = [expected.start, expected.stop - 1]
            if (outside and edges) or (within and [*got[:1], *got[-1:]] != ends):
                wrong.append((unit, expected, got))
    return wrong, inside


def on_planes(example: Example) -> bool:
    """Whether a layer makes planes of planes, with rows and columns to look at."""
    shape = example.x.shape
    return len(shape) == len(example.layer.output_shape(shape)) == 3


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
pools = st.builds(
    lambda pool, kernel, stride, halves, ceil: pool(
        kernel, stride, (kernel[0] // 2 * halves[0], kernel[1] // 2 * halves[1]), ceil_mode=ceil
    ),
    st.sampled_from([MaxPool2d, partial(MaxPool2d, dilation=(2, 1)), AvgPool2d]),
    pairs,
    st.none() | pairs,
    st.tuples(st.integers(0, 1), st.integers(0, 1)),
    st.booleans(),
)
elementwise = st.sampled_from([ReLU(), LeakyReLU(0.25), Sigmoid(), Tanh()])


def fitted(layers: Sequence[Layer], shape: tuple[int, ...]) -> Iterator[Layer]:
    """The layers that can follow each other, their input channels set to what they get."""
    for layer in layers:
        if isinstance(layer, Conv2d):
            layer = replace(layer, in_channels=shape[0])
        try:
            shape = layer.output_shape(shape)
        except ShapeError:
            continue
        yield layer


convolutions = st.builds(
    Conv2d,
    in_channels=st.just(1),
    out_channels=st.integers(1, 2),
    dilation=pairs,
    kernel_size=pairs,
    stride=pairs,
    padding=st.tuples(*[st.integers(0, 3)] * 4),
    bias=st.booleans(),
)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    layers=st.lists(convolutions | pools | elementwise, min_size=1, max_size=4),
    last=st.sampled_from([(), (AdaptiveAvgPool2d(1),), (Flatten(), Softmax())]),
    shape=st.tuples(st.integers(1, 2), st.integers(16, 40), st.integers(16, 40)),
)
def test_receptive_fields_of_random_networks_are_what_their_units_see(
    layers: list[Layer], last: Sequence[Layer], shape: tuple[int, int, int]
) -> None:
    network = Sequential(*fitted([*layers, *last, ReLU()], shape))
    wrong, _ = disagreements(network, shape)
    assert wrong == []


@pytest.mark.parametrize(
    "layers",
    [
        (Conv2d(1, 2, 3), MaxPool2d(2), Conv2d(2, 1, (5, 2), stride=(1, 2))),
        (Conv2d(1, 1, 3, dilation=(3, 2), padding=2), ReLU(), MaxPool2d(3, 2, 1, ceil_mode=True)),
        (MaxPool2d(2, dilation=2), Conv2d(1, 1, 1, stride=3), Dropout(), Conv2d(1, 1, 2)),
        (Conv2d(1, 2, 3), AdaptiveAvgPool2d(1)),
        (Conv2d(1, 2, 3), AdaptiveAvgPool2d(1), Conv2d(2, 1, 3, padding=1)),
        (Conv2d(1, 2, 3), Flatten(), Linear(2 * 28 * 28, 3), ReLU(), Linear(3, 1)),
        (MaxPool2d(2), Flatten(), Softmax()),
    ],
    ids=str,
)
def test_units_inside_the_image_see_their_whole_receptive_field(layers: Sequence[Layer]) -> None:
    wrong, inside = disagreements(Sequential(*layers), (1, 30, 30))
    assert wrong == []
    assert inside


@pytest.mark.parametrize("example", [e for e in EXAMPLES if on_planes(e.values[0])])
def test_every_layer_says_what_its_units_read(example: Example) -> None:
    """A layer that forgets `reach` although it has windows fails here."""
    network = Sequential(("one", example.layer))
    wrong, inside = disagreements(network, (len(example.x), 12, 13), edges=False)
    assert wrong == []
    assert inside


@pytest.mark.parametrize(
    "mistaken",
    [
        Reach((4, 3), (2, 2), (1, 1)),
        Reach((3, 2), (2, 2), (1, 1)),
        Reach((3, 3), (2, 1), (1, 1)),
        Reach((3, 3), (2, 2), (0, 1)),
        Reach((3, 3), (2, 2), (1, 2)),
        Reach(),
        None,
    ],
)
def test_the_comparison_notices_a_wrong_reach(
    mistaken: Reach | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Sequential(Conv2d(1, 1, 3, stride=2, padding=1), MaxPool2d(2))
    assert disagreements(network, (1, 20, 20))[0] == []
    monkeypatch.setattr(Conv2d, "reach", lambda *_: mistaken)
    assert disagreements(network, (1, 20, 20))[0] != []


def test_behind_flatten_units_keep_their_fields() -> None:
    network = Sequential(MaxPool2d(2), Flatten(), ReLU(), Linear(16, 1))
    fields = [layer.field for layer in summarize(network, (1, 8, 8)).layers]
    assert fields[0] == fields[1] == fields[2] == ReceptiveField((2, 2), (2, 2), (0, 0))
    assert fields[3] == ReceptiveField((8, 8), (0, 0), (0, 0))


def test_the_field_of_a_vector_is_a_column() -> None:
    (dense, relu) = summarize(Sequential(Linear(64, 3), ReLU()), (64,)).layers
    assert dense.field == relu.field == ReceptiveField((64, 1), (0, 0), (0, 0))
    assert dense.output_shape == (1, 3)


# --- How it reads


def test_the_table_of_conv_example() -> None:
    item = load_template("conv-example").networks[1]
    assert summarize(item.network, item.image.shape).lines() == [
        "layer    type       output shape    parameters  multiplications  activations"
        "  receptive field  step   first at",
        "input               (1, 1, 28, 28)",
        "conv1    Conv2d     (1, 2, 26, 26)          18           12,168        1,352"
        "  3 x 3            1 x 1  (0, 0)",
        "relu1    ReLU       (1, 2, 26, 26)           0                0        1,352"
        "  3 x 3            1 x 1  (0, 0)",
        "conv2    Conv2d     (1, 2, 24, 25)          36           21,600        1,200"
        "  5 x 5            1 x 1  (0, 0)",
        "relu2    ReLU       (1, 2, 24, 25)           0                0        1,200"
        "  5 x 5            1 x 1  (0, 0)",
        "maxpool  MaxPool2d  (1, 2, 12, 13)           0                0          312"
        "  6 x 6            2 x 2  (0, 0)",
        "flatten  Flatten    (1, 312)                 0                0            0"
        "  6 x 6            2 x 2  (0, 0)",
        "dense    Linear     (1, 1)                 312              312            1"
        "  28 x 30          -      (0, 0)",
        "total                                      366           34,080        5,417",
        "Receptive fields reach over the edge of the image, into padding.",
    ]


def test_fields_within_the_image_need_no_note() -> None:
    lines = summarize(Sequential(Conv2d(1, 1, 3), Flatten(), Linear(36, 1)), (1, 8, 8)).lines()
    assert lines[-1].startswith("total")
    padded = summarize(Sequential(Conv2d(1, 1, 3, padding=(0, 0, 1, 0))), (1, 8, 8)).lines()
    assert padded[-1].startswith("Receptive fields reach over")


def test_the_frame_has_one_row_a_layer() -> None:
    frame = summarize(simple_cnn(), (1, 28, 28)).frame()
    assert list(frame.index[:3]) == ["conv1", "relu1", "conv2"]
    assert frame["parameters"].sum() == 6722
    assert frame.loc["conv2", "output_shape"] == (1, 8, 7, 7)
    assert frame.loc["conv2", "field_size"] == (7, 7)
    assert frame.loc["conv2", "field_start"] == (-3, -3)


def test_rows_that_end_early_are_aligned_too() -> None:
    assert table_lines([["a", "number"], ["long name", "1"], ["b"]], {1}) == [
        "a          number",
        "long name       1",
        "b",
    ]

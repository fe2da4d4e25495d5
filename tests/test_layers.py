"""One matrix over every layer's examples, and what holds for single layers only."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from itertools import product
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest

import sheetconv
from sheetconv import (
    GELU,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    InstanceNorm2d,
    Linear,
    MaxPool2d,
    Normalize,
    ReLU,
    Sequential,
    layers,
)
from sheetconv.calculators import OpenBook, find_engine
from sheetconv.cells import Cell, Grid, Range
from sheetconv.drawing import Drawing
from sheetconv.errors import ShapeError
from sheetconv.formulas import CellFormulas, Formula, Placed, Role, View
from sheetconv.layers import LAYERS, Example, Layer, layer_from_config
from sheetconv.layers.base import Array, Cache, Params
from sheetconv.network_sheet import NetworkSheet
from sheetconv.workbook import build_workbook

EXAMPLES = [
    pytest.param(example, id=f"{name}-{number}")
    for name, layer_class in LAYERS.items()
    for number, example in enumerate(layer_class.examples())
]
every_example = pytest.mark.parametrize("example", EXAMPLES)


def numbers_apart(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random numbers that lie far from each other and from zero: no ties, and no kinks."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) - size // 2 + 0.5) * 0.37).reshape(shape)


def random_numbers(example: Example, batch: int, seed: int = 0) -> tuple[Array, dict[str, Array]]:
    """A batch, and parameters, buffers and noise, in the shapes of an example."""
    rng = np.random.default_rng(seed)
    x = numbers_apart(rng, (batch, *example.x.shape))
    params = {name: rng.normal(size=value.shape) for name, value in trainable(example).items()}
    probed = example.layer.probe_settings(rng)
    params |= {name: probed[name] for name in kept(example)}
    noise = example.layer.draw_noise(example.x.shape, rng)
    return x, params | {name: value for name, value in noise.items() if name in example.params}


def trainable(example: Example) -> dict[str, Array]:
    """The parameters of an example that `init_params` makes."""
    names = example.layer.init_params(np.random.default_rng(0))
    return {name: example.params[name] for name in names}


def kept(example: Example) -> dict[str, Array]:
    """The buffers of an example that `init_buffers` makes."""
    return {name: example.params[name] for name in example.layer.init_buffers()}


# --- The matrix


@every_example
def test_output_shape_is_that_of_forward(example: Example) -> None:
    out, _ = example.layer.forward(example.x[np.newaxis], example.params)
    assert out.shape == (1, *example.layer.output_shape(example.x.shape))


@every_example
def test_forward_gives_the_value_worked_out_by_hand(example: Example) -> None:
    out, _ = example.layer.forward(example.x[np.newaxis], example.params)
    assert out[(0, *example.index)] == example.value


@every_example
def test_parameters_have_the_shapes_of_the_example(example: Example) -> None:
    made = {
        Role.PARAM: example.layer.init_params(np.random.default_rng(0)),
        Role.BUFFER: example.layer.init_buffers(),
    }
    tensors = example.layer.tensors(example.x.shape)
    for role, arrays in made.items():
        for name, value in arrays.items():
            assert value.shape == example.params[name].shape
        assert {tensor.name for tensor in tensors if tensor.role is role} == set(arrays)


@every_example
def test_naive_forward_equals_forward(example: Example) -> None:
    for x, params in ((example.x[np.newaxis], example.params), random_numbers(example, 3)):
        out, _ = example.layer.forward(x, params)
        naive = example.layer.forward_naive(x, params)
        np.testing.assert_allclose(naive, out, rtol=1e-12, atol=1e-12)


@every_example
def test_activations_contain_the_output_of_forward(example: Example) -> None:
    x, params = random_numbers(example, 2)
    params |= example.layer.draw_noise(example.x.shape, np.random.default_rng(0))
    activations = example.layer.activations(x, params)
    np.testing.assert_array_equal(activations["out"], example.layer.forward(x, params)[0])
    drawn = {tensor.name: tensor for tensor in example.layer.tensors(example.x.shape)}
    if not example.layer.is_view:
        assert set(activations) == {
            name for name, t in drawn.items() if t.role in (Role.STEP, Role.OUTPUT)
        }
    for name in activations.keys() & drawn.keys():
        images = (2,) if drawn[name].batched else ()
        assert activations[name].shape == (*images, *drawn[name].shape)


def central_differences(loss: Callable[[], float], array: Array) -> Array:
    """The slope of `loss` along every number of an array, which is put back.

    Two differences, so that what is left is of the order of the step's fourth power.
    """
    step = 2.0**-10
    slopes = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        before = array[index]
        difference = {}
        for reach in (1, 2):
            array[index] = before + reach * step
            above = loss()
            array[index] = before - reach * step
            difference[reach] = above - loss()
        slopes[index] = (8 * difference[1] - difference[2]) / (12 * step)
        array[index] = before
    return slopes


def assert_backward_is_the_slope(layer: Layer, x: Array, params: dict[str, Array]) -> None:
    out, cache = layer.forward(x, params)
    grad_output = np.random.default_rng(9).normal(size=out.shape)

    def loss() -> float:
        return float((layer.forward(x, params)[0] * grad_output).sum())

    grad_input, grads = layer.backward(grad_output, cache, params)
    np.testing.assert_allclose(grad_input, central_differences(loss, x), rtol=1e-8, atol=1e-9)
    assert set(grads) == set(layer.init_params(np.random.default_rng(0)))
    for name, grad in grads.items():
        slopes = central_differences(loss, params[name])
        np.testing.assert_allclose(grad, slopes, rtol=1e-8, atol=1e-9, err_msg=name)


@every_example
def test_backward_is_the_slope_of_forward(example: Example) -> None:
    assert_backward_is_the_slope(example.layer, *random_numbers(example, 2))


def test_a_wrong_backward_is_found() -> None:
    class Wrong(Linear):
        def backward(
            self, grad_output: Array, cache: Cache, params: Params
        ) -> tuple[Array, dict[str, Array]]:
            grad_input, grads = super().backward(grad_output, cache, params)
            return grad_input, grads | {"bias": grads["bias"] * 1.001}

    with pytest.raises(AssertionError, match="bias"):
        assert_backward_is_the_slope(Wrong(3, 2), *random_numbers(Linear.examples()[0], 2))


@every_example
def test_error_bounds_cover_the_rounding_and_are_tiny(example: Example) -> None:
    x, params = random_numbers(example, 3)
    params |= example.layer.draw_noise(example.x.shape, np.random.default_rng(0))
    out, _ = example.layer.forward(x, params)
    bounds = example.layer.error_bounds(x, np.zeros(x.shape), params)
    assert bounds["out"].shape == out.shape
    assert (np.abs(out - example.layer.forward_naive(x, params)) <= bounds["out"]).all()
    for name, value in example.layer.activations(x, params).items():
        assert (bounds[name] <= 1e-9 * (1 + np.abs(value).max())).all()


@every_example
def test_error_bounds_cover_an_input_that_is_off(example: Example) -> None:
    x, params = random_numbers(example, 3)
    params |= example.layer.draw_noise(example.x.shape, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    error = rng.uniform(0.0, 0.1, x.shape)
    moved, _ = example.layer.forward(x + error * rng.uniform(-1, 1, x.shape), params)
    off = np.abs(moved - example.layer.forward(x, params)[0])
    assert (off <= example.layer.error_bounds(x, error, params)["out"]).all()


@every_example
def test_config_is_the_inverse_of_layer_from_config(example: Example) -> None:
    config = json.loads(json.dumps(example.layer.config()))
    assert layer_from_config(config) == example.layer


# --- The formulas, recalculated


def written(placed: Placed, values: Array, book: OpenBook) -> None:
    """Write a tensor's numbers over its cells."""
    cells = [cell for grid in placed.grids for cell in grid.cells()]
    for cell, value in zip(cells, values.reshape(-1).tolist(), strict=True):
        book.set_values(Range(cell.sheet, cell.row, cell.column), [[value]])


def read(grids: tuple[Grid, ...], book: OpenBook) -> dict[Cell, Any]:
    """What the cells of a tensor show, in its flat order."""
    return {
        cell: book.get_values(grid.bounds)[cell.row - grid.row][cell.column - grid.column]
        for grid in grids
        for cell in grid.cells()
    }


def disagreements(
    layer: Layer, example: Example, style: str, path: Path, batch: int = 1
) -> dict[str, list[Cell]]:
    """Cells of a layer's workbook that differ from `forward`, by tensor.

    The workbook is built with the example's numbers; others are written into it before it is
    recalculated, so that no cached value can pass for a calculated one.
    """
    # A network of views alone draws nothing.
    after = [("after", ReLU())] if layer.is_view else []
    network = Sequential(("it", layer), *after)
    network.params["it"], network.buffers["it"] = trainable(example), kept(example)
    drawing = Drawing(formulas=style, fuse=False)
    image = np.stack([example.x] * batch) if batch > 1 else example.x
    built = build_workbook([NetworkSheet(network, image, drawing)], path)
    placed = built.layouts[0].placed
    x, params = random_numbers(example, batch, seed=5)
    params |= layer.draw_noise(example.x.shape, np.random.default_rng(6), batch)
    expected = {f"it.{name}": value for name, value in layer.activations(x, params).items()}
    bounds = layer.error_bounds(x, np.zeros(x.shape), params)
    if layer.is_view:
        # Its output stands on its input's cells.
        expected, bounds = {"input": expected["it.out"]}, {"input": bounds["out"]}
    differ: dict[str, list[Cell]] = {}
    with find_engine("ironcalc").open(path) as book:
        written(placed["input"], x, book)
        for name, values in params.items():
            written(placed[f"it.{name}"], values, book)
        book.recalculate()
        for name, values in expected.items():
            shown = read(placed[name].grids, book)
            limits = bounds[name.removeprefix("it.")].reshape(-1)
            wrong = [
                cell
                for (cell, got), value, bound in zip(
                    shown.items(), values.reshape(-1), limits, strict=True
                )
                if not abs(got - value) <= bound
            ]
            if wrong:
                differ[name] = wrong
    return differ


@pytest.mark.parametrize("style", ["sumproduct", "array"])
@every_example
def test_formulas_calculate_forward(example: Example, style: str, tmp_path: Path) -> None:
    assert disagreements(example.layer, example, style, tmp_path / "layer.xlsx") == {}


@pytest.mark.parametrize(
    "example", [pytest.param(p.values[0], id=p.id) for p in EXAMPLES if p.values[0].x.ndim == 3]
)
def test_formulas_of_several_images_calculate_forward(example: Example, tmp_path: Path) -> None:
    differ = disagreements(example.layer, example, "sumproduct", tmp_path / "layer.xlsx", batch=3)
    assert differ == {}


class ShiftedConv2d(Conv2d):
    """A convolution whose windows begin one column too far right."""

    def formulas(self, view: View) -> list[CellFormulas]:
        right = [replace(grid, column=grid.column + 1) for grid in view.input.grids]
        return super().formulas(replace(view, input=replace(view.input, grids=tuple(right))))


class LiftedReLU(ReLU):
    """A rectifier whose formula begins above zero."""

    def wrap(self, expression: Formula) -> Formula:
        return ("MAX(0.01,", *expression, ")")


class ShortSightedBatchNorm2d(BatchNorm2d):
    """A batch normalisation whose statistics are those of the first image."""

    def batch_formulas(self, view: View) -> list[CellFormulas]:
        return super().batch_formulas(replace(view, input=view.input.image(0)))


class TransposedLinear(Linear):
    """A dense layer whose formulas stand in each other's cells."""

    def formulas(self, view: View) -> list[CellFormulas]:
        first, *others = super().formulas(view)
        return [replace(first, formula=others[0].formula), *others]


@pytest.mark.parametrize(
    ("wrong", "example"),
    [
        (ShiftedConv2d(1, 1, 3, bias=False), Conv2d.examples()[0]),
        (LiftedReLU(), ReLU.examples()[0]),
        (TransposedLinear(3, 2), Linear.examples()[0]),
    ],
)
def test_a_wrong_formula_is_found(wrong: Layer, example: Example, tmp_path: Path) -> None:
    differ = disagreements(wrong, example, "sumproduct", tmp_path / "layer.xlsx")
    assert list(differ) == ["it.out"]


def test_a_wrong_formula_over_several_images_is_found(tmp_path: Path) -> None:
    layer = ShortSightedBatchNorm2d(2, affine=False, track_running_stats=False)
    path = tmp_path / "layer.xlsx"
    assert set(disagreements(layer, BatchNorm2d.examples()[-1], "sumproduct", path, 2)) == {
        "it.mean", "it.var", "it.out",
    }  # fmt: skip


def test_one_wrong_cell_is_found_where_it_stands(tmp_path: Path) -> None:
    differ = disagreements(
        TransposedLinear(3, 2), Linear.examples()[0], "sumproduct", tmp_path / "layer.xlsx"
    )
    assert len(differ["it.out"]) == 1


# --- What every layer file has to say


def test_every_module_of_the_folder_defines_a_layer() -> None:
    modules = {info.name for info in iter_modules(layers.__path__)} - {
        "arithmetic",
        "base",
        "normalizing",
        "normalizing_cells",
        "padding",
        "pooling",
        "validation",
    }
    defining = {layer_class.__module__.rpartition(".")[2] for layer_class in LAYERS.values()}
    assert defining == modules


@pytest.mark.parametrize("layer_class", LAYERS.values(), ids=LAYERS)
def test_examples_use_every_optional_field(layer_class: type[Layer]) -> None:
    examples = layer_class.examples()
    assert len(examples) >= 2
    for field in fields(layer_class):
        if field.default is not MISSING:
            given = [getattr(example.layer, field.name) for example in examples]
            assert any(value != field.default for value in given), field.name


@pytest.mark.parametrize("layer_class", LAYERS.values(), ids=LAYERS)
def test_docstrings_show_an_excel_formula(layer_class: type[Layer]) -> None:
    lines = [line.strip() for line in (layer_class.__doc__ or "").splitlines()]
    assert layer_class.is_view or any(line.startswith("=") for line in lines)
    assert layer_class.title
    assert layer_class.stem.isidentifier()


def test_the_public_names_are_honest() -> None:
    assert sheetconv.__all__ == sorted(set(sheetconv.__all__))
    for name in sheetconv.__all__:
        assert getattr(sheetconv, name) is not None
    for name, layer_class in LAYERS.items():
        assert name in sheetconv.__all__
        assert getattr(sheetconv, name) is layer_class
    assert dir(sheetconv) == sheetconv.__all__
    with pytest.raises(AttributeError, match="Conv3d"):
        sheetconv.Conv3d  # noqa: B018


# --- Max-pooling


def starts_of_windows(
    size: int, kernel: int, stride: int, padding: int, *, ceil_mode: bool
) -> list[int]:
    """Where windows begin in the padded input: PyTorch's rule, one window after the other."""
    starts: list[int] = []
    end = size + 2 * padding
    for start in range(0, end, stride):
        whole = start + kernel <= end
        covered = bool(starts) and starts[-1] + kernel >= end
        begins_inside = start < size + padding
        if whole or (ceil_mode and not covered and begins_inside):
            starts.append(start)
    return starts


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_max_pool_has_the_windows_of_pytorch(ceil_mode: bool) -> None:
    for size, kernel, stride in product(range(1, 10), range(1, 5), range(1, 6)):
        for padding in range(kernel // 2 + 1):
            if size + 2 * padding < kernel:
                continue
            starts = starts_of_windows(size, kernel, stride, padding, ceil_mode=ceil_mode)
            pool = MaxPool2d((kernel, 1), (stride, 1), (padding, 0), ceil_mode=ceil_mode)
            case = (size, kernel, stride, padding)
            assert pool.output_shape((1, size, 1)) == (1, len(starts), 1), case
            x = numbers_apart(np.random.default_rng(size), (1, 1, size, 1))
            inside = [x[0, 0, max(s - padding, 0) : s - padding + kernel, 0] for s in starts]
            expected = [window.max() for window in inside]
            assert pool.forward(x, {})[0][0, 0, :, 0].tolist() == expected, case


@pytest.mark.parametrize(
    ("pool", "shape"),
    [
        # torch.nn.MaxPool2d's own results.
        (MaxPool2d(2, ceil_mode=True), (1, 12, 13)),
        (MaxPool2d(2), (1, 12, 12)),
        (MaxPool2d(3, stride=2, padding=1), (1, 12, 13)),
        (MaxPool2d(3, stride=2, padding=1, ceil_mode=True), (1, 13, 13)),
        (MaxPool2d((4, 5), stride=(3, 4)), (1, 7, 6)),
    ],
)
def test_max_pool_shapes_of_a_24_by_25_plane(pool: MaxPool2d, shape: tuple[int, ...]) -> None:
    assert pool.output_shape((1, 24, 25)) == shape


def test_max_pool_takes_a_plane_smaller_than_its_window_with_ceil_mode_only() -> None:
    assert MaxPool2d(3, stride=2, ceil_mode=True).output_shape((1, 2, 2)) == (1, 1, 1)
    with pytest.raises(ShapeError, match="at least as large as the window"):
        MaxPool2d(3, stride=2).output_shape((1, 2, 2))


def test_the_first_maximum_of_a_window_takes_the_gradient() -> None:
    pool = MaxPool2d(2, stride=1)
    x = np.array([[[[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]]])
    _, cache = pool.forward(x, {})
    grad_input, _ = pool.backward(np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]), cache, {})
    assert grad_input.tolist() == [[[[1.0, 10.0, 0.0], [100.0, 1000.0, 0.0], [0.0, 0.0, 0.0]]]]


def test_the_border_never_takes_a_gradient() -> None:
    pool = MaxPool2d(2, padding=1, ceil_mode=True)
    x = np.full((1, 1, 3, 3), -5.0)
    _, cache = pool.forward(x, {})
    grad_input, _ = pool.backward(np.ones((1, 1, 2, 2)), cache, {})
    assert grad_input.tolist() == [[[[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]]


# --- Dropout

X = np.array([[[[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]]]])
RANDOM = np.array([[[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]])


def test_dropout_without_random_numbers_is_the_identity() -> None:
    out, cache = Dropout(0.9).forward(X, {})
    np.testing.assert_array_equal(out, X)
    np.testing.assert_array_equal(Dropout(0.9).backward(X, cache, {})[0], X)


def test_dropout_with_p_0_keeps_all_and_with_p_1_nothing() -> None:
    np.testing.assert_array_equal(Dropout(0.0).forward(X, {"random": RANDOM})[0], X)
    np.testing.assert_array_equal(Dropout(1).forward(X, {"random": RANDOM})[0], 0.0 * X)


def test_dropout_rescales_what_it_keeps() -> None:
    out, cache = Dropout(0.25).forward(X, {"random": RANDOM})
    np.testing.assert_allclose(out, [[[[0, 0, 4], [16 / 3, 20 / 3, -8]]]])
    grad_input, _ = Dropout(0.25).backward(np.ones(X.shape), cache, {})
    np.testing.assert_allclose(grad_input, [[[[0, 0, 4 / 3], [4 / 3, 4 / 3, 4 / 3]]]])


def test_dropout_reads_p_from_its_cell() -> None:
    out, _ = Dropout(0.0, rescale=False).forward(X, {"random": RANDOM, "p": np.array(0.5)})
    assert np.count_nonzero(out) == 1


def test_dropout_with_a_seed_draws_the_same_numbers_for_any_generator() -> None:
    drawn = [
        Dropout(seed=seed).draw_noise((2, 3), np.random.default_rng(other), 2)["random"].tolist()
        for seed, other in ((3, 0), (3, 1), (4, 0))
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_dropout_with_a_seed_is_probed_with_all_cells_kept() -> None:
    layer = Dropout(0.9, margin=0.25, seed=0)
    for n in range(20):
        p = layer.probe_settings(np.random.default_rng(n))["p"]
        assert (layer.forward(X, {"random": np.full(X.shape, 1e-9), "p": p})[0] != 0).all()


def test_dropout_is_probed_with_a_small_p() -> None:
    probed = [Dropout().probe_settings(np.random.default_rng(n))["p"] for n in range(20)]
    assert all(0 <= p <= 0.2 and p.shape == () for p in probed)


@pytest.mark.parametrize(
    ("layer", "total", "share"),
    [(Dropout(0.25), 6.0, 1 / 3), (Dropout(0.25, counted=(4, 5)), 20.0, 0.1)],
)
def test_dropout_counts_what_it_dropped(layer: Dropout, total: float, share: float) -> None:
    counted = layer.activations(X, {"random": RANDOM})
    assert counted["zeros"].tolist() == [[2.0]]
    assert counted["total"].tolist() == [[total]]
    assert counted["share"].tolist() == [[share]]


# --- Configurations


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d(0, 1, 3), "Conv2d: in_channels is 0: expected a whole number"),
        (lambda: Conv2d(1, True, 3), "Conv2d: out_channels is True"),
        (lambda: Conv2d(1, 1, 0), "Conv2d: kernel_size is 0: expected a whole number of at least"),
        (lambda: Conv2d(1, 1, (3, 0)), "Conv2d: kernel_size is 0"),
        (lambda: Conv2d(1, 1, (3, 3, 3)), "Conv2d: kernel_size is (3, 3, 3): expected a whole"),
        (lambda: Conv2d(1, 1, 2.0), "Conv2d: kernel_size is 2.0"),
        (lambda: Conv2d(1, 1, "33"), "Conv2d: kernel_size is '33'"),
        (lambda: Conv2d(1, 1, 3, stride=0), "Conv2d: stride is 0"),
        (lambda: Conv2d(1, 1, 3, padding=-1), "Conv2d: padding is -1: expected a whole number"),
        (lambda: Conv2d(1, 1, 3, padding=(1, 2, 3)), "four sides (left, right, top, bottom)"),
        (lambda: Conv2d(1, 1, 3, padding=(1, 2, 3, -4)), "Conv2d: padding is -4"),
        (lambda: Conv2d(1, 1, 3, bias=1), "Conv2d: bias is 1: expected true or false"),
        (lambda: MaxPool2d(0), "MaxPool2d: kernel_size is 0"),
        (lambda: MaxPool2d(2, stride=0), "MaxPool2d: stride is 0"),
        (lambda: MaxPool2d(2, padding=2), "MaxPool2d: padding is 2: expected at most half"),
        (lambda: MaxPool2d((4, 2), padding=(2, 2)), "expected at most half of kernel_size (4, 2)"),
        (lambda: MaxPool2d(2, ceil_mode="yes"), "MaxPool2d: ceil_mode is 'yes'"),
        (lambda: Linear(0, 1), "Linear: in_features is 0"),
        (lambda: Linear(1, -1), "Linear: out_features is -1"),
        (lambda: Linear(1, 1, bias=None), "Linear: bias is None"),
        (lambda: GELU("erf"), "GELU: approximate is 'erf': expected none or tanh"),
        (lambda: BatchNorm2d(0), "BatchNorm2d: num_features is 0"),
        (lambda: BatchNorm2d(1, eps=0), "BatchNorm2d: eps is 0: expected a number above 0"),
        (lambda: BatchNorm2d(1, eps=float("inf")), "BatchNorm2d: eps is inf"),
        (lambda: BatchNorm2d(1, momentum=1.5), "momentum is 1.5: expected a number from 0 to 1"),
        (lambda: InstanceNorm2d(1, affine=1), "InstanceNorm2d: affine is 1: expected true"),
        (lambda: InstanceNorm2d(1, track_running_stats=0), "track_running_stats is 0"),
        (lambda: Normalize(0), "Normalize: num_features is 0: expected a whole number"),
        (lambda: Normalize(1.0), "Normalize: num_features is 1.0"),
        (lambda: Dropout(1.5), "Dropout: p is 1.5: expected a number from 0 to 1"),
        (lambda: Dropout(float("nan")), "Dropout: p is nan"),
        (lambda: Dropout(True), "Dropout: p is True"),
        (lambda: Dropout(0.5, margin=-0.1), "Dropout: margin is -0.1"),
        (lambda: Dropout(0.5, rescale=2), "Dropout: rescale is 2"),
        (lambda: Dropout(0.5, counted=(0, 1)), "Dropout: counted is 0"),
        (lambda: Dropout(0.5, seed=-1), "Dropout: seed is -1: expected a whole number"),
    ],
)
def test_bad_configurations_are_refused(make: Callable[[], Layer], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "input_shape", "message"),
    [
        (
            Conv2d(1, 1, 3),
            (2, 5, 5),
            "got an input of shape (2, 5, 5): expected (1, height, width)",
        ),
        (Conv2d(1, 1, 3), (9,), "got an input of shape (9,)"),
        (Conv2d(1, 1, (5, 2), padding=(1, 0)), (1, 2, 9), "it is 4 x 9, smaller than the 5 x 2"),
        (MaxPool2d(2), (9,), "expected (channels, height, width)"),
        (BatchNorm2d(2), (3, 4, 4), "expected (2, height, width)"),
        (Normalize(3), (1, 4, 4), "expected (3, height, width)"),
        (Normalize(3), (3,), "expected (3, height, width)"),
        (InstanceNorm2d(2), (2,), "expected (2, height, width)"),
        (MaxPool2d(4, padding=1), (1, 1, 9), "expected planes at least as large as the window"),
        (Linear(9, 1), (8,), "expected (9,)"),
        (Linear(9, 1), (1, 3, 3), "put Flatten before it"),
        (Dropout(), (9, 9), "expected (channels, height, width) or (features,)"),
    ],
)
def test_bad_inputs_are_refused(layer: Layer, input_shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        layer.output_shape(input_shape)
    assert message in str(caught.value)
    assert str(layer) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_configurations_hold_plain_numbers_whatever_they_were_given() -> None:
    given: list[Layer] = [
        Conv2d(np.int64(1), np.int32(2), [3, np.int64(2)], stride=[1, 2], padding=[0, 1, 0, 0]),
        MaxPool2d(np.int64(2), stride=[np.int64(1), 2]),
        Linear(np.int64(3), np.int64(2)),
        Dropout(np.float64(0.25), margin=np.float64(0.001), counted=[np.int64(3), 4]),
    ]
    plain: list[Layer] = [
        Conv2d(1, 2, (3, 2), stride=(1, 2), padding=(0, 1, 0, 0)),
        MaxPool2d(2, stride=(1, 2)),
        Linear(3, 2),
        Dropout(0.25, margin=0.001, counted=(3, 4)),
    ]
    assert [repr(layer) for layer in given] == [repr(layer) for layer in plain]
    for layer in given:
        assert layer_from_config(json.loads(json.dumps(layer.config()))) == layer


def test_config_leaves_out_what_is_the_default() -> None:
    assert Flatten().config() == {"type": "Flatten"}
    assert Conv2d(1, 2, 3, stride=1, padding=(1, 0)).config() == {
        "type": "Conv2d",
        "in_channels": 1,
        "out_channels": 2,
        "kernel_size": 3,
        "padding": [1, 0],
    }

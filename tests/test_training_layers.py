"""Layers as training uses them: in float32, with statistics of the batch, with what moves them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_layers import EXAMPLES, numbers_apart, random_numbers

from sheetconv import BatchNorm2d, Dropout, InstanceNorm2d, Linear, ReLU
from sheetconv.errors import ShapeError
from sheetconv.layers import Example, Layer
from sheetconv.layers.base import Array, Cache, Params
from sheetconv.layers.normalizing import Normalization2d

#: PyTorch's own rounding of sums; theirs and ours are added in another order.
TOLERANCE = 1e-12

every_example = pytest.mark.parametrize("example", EXAMPLES)


# --- Types


def arrays_in(cache: Any) -> list[Array]:
    """The arrays of numbers that a cache holds; neither masks nor shapes."""
    parts = cache if isinstance(cache, tuple) else (cache,)
    return [part for part in parts if isinstance(part, np.ndarray) and part.dtype != np.bool_]


def results(layer: Layer, x: Array, params: dict[str, Array], dtype: Any) -> dict[str, Array]:
    """Everything that `forward` and `backward` give in a type, by name."""
    given = {name: value.astype(dtype) for name, value in params.items()}
    out, cache = layer.forward(x.astype(dtype), given)
    grad_output = np.random.default_rng(9).normal(size=out.shape).astype(dtype)
    grad_input, grads = layer.backward(grad_output, cache, given)
    kept = {f"cache {number}": array for number, array in enumerate(arrays_in(cache))}
    return {"out": out, "grad_input": grad_input, **grads, **kept}


def assert_keeps_types(layer: Layer, x: Array, params: dict[str, Array]) -> None:
    """In float32 everything is float32, and what it is in float64 but for rounding."""
    single, double = (results(layer, x, params, dtype) for dtype in (np.float32, np.float64))
    for name, value in single.items():
        assert value.dtype == np.float32, f"{name} is {value.dtype}"
        assert double[name].dtype == np.float64, name
        # The padding of max-pooling is minus infinity.
        size = np.abs(double[name][np.isfinite(double[name])]).max(initial=1.0)
        np.testing.assert_allclose(value, double[name], rtol=1e-5, atol=2e-5 * size, err_msg=name)


@every_example
def test_layers_keep_the_type_that_they_are_given(example: Example) -> None:
    x, params = random_numbers(example, 3)
    assert_keeps_types(example.layer, x, params)
    assert_keeps_types(example.layer.while_training(), x, params)


class Widening(Linear):
    """A dense layer that makes double precision of a gradient."""

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        grad_input, grads = super().backward(grad_output, cache, params)
        return grad_input, grads | {"bias": np.zeros(grads["bias"].shape) + grads["bias"]}


class Coarse(ReLU):
    """A rectifier that rounds more than float32 does."""

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        out, cache = super().forward(x, params)
        return (out.astype(np.float16).astype(x.dtype) if x.dtype == np.float32 else out), cache


@pytest.mark.parametrize(
    ("layer", "example", "message"),
    [
        (Widening(3, 2), Linear.examples()[0], "bias is float64"),
        (Coarse(), ReLU.examples()[0], "out"),
    ],
)
def test_a_layer_that_does_not_keep_its_type_is_found(
    layer: Layer, example: Example, message: str
) -> None:
    x, params = random_numbers(example, 2)
    with pytest.raises(AssertionError, match=message):
        assert_keeps_types(layer, x, params)


def test_noise_in_double_precision_makes_nothing_of_a_float32_batch_wider() -> None:
    layer, x = Dropout(0.5), np.ones((2, 1, 3, 3), np.float32)
    noise = layer.draw_noise((1, 3, 3), np.random.default_rng(0), 2)
    out, cache = layer.forward(x, noise)
    assert (noise["random"].dtype, out.dtype) == (np.float64, np.float32)
    assert layer.backward(x, cache, noise)[0].dtype == np.float32


def test_padding_that_is_given_keeps_the_type_of_the_batch() -> None:
    (example,) = (item for item in EXAMPLES if item.id == "Conv2d-5")
    layer, x = example.values[0].layer, example.values[0].x[np.newaxis].astype(np.float32)
    params = {name: value.astype(np.float32) for name, value in example.values[0].params.items()}
    border = layer.activations(x, params)["border"]
    out, _ = layer.forward(x, {**params, "border": border})
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, layer.forward(x, params)[0])


# --- The layer while it is trained, and its buffers

NORMS = [
    pytest.param(norm, affine, momentum, id=f"{norm.__name__}-{affine}-{momentum}")
    for norm in (BatchNorm2d, InstanceNorm2d)
    for affine in (True, False)
    for momentum in (0.1, 0.3, None)
]
Norm = type[BatchNorm2d] | type[InstanceNorm2d]


def norm_of(norm: Norm, affine: bool, momentum: float | None) -> Normalization2d:
    return norm(3, 1e-3, momentum, affine=affine, track_running_stats=True)


def in_training(layer: Normalization2d, params: dict[str, Array]) -> torch.nn.Module:
    """PyTorch's layer of the same name and configuration, in `train` mode."""
    module: torch.nn.Module = getattr(torch.nn, type(layer).__name__)(
        layer.num_features,
        layer.eps,
        layer.momentum,
        affine=layer.affine,
        track_running_stats=True,
    )
    module = module.double().train()
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        if name in params:
            with torch.no_grad():
                value.copy_(torch.from_numpy(params[name]))
    return module


def batches() -> list[Array]:
    """Batches of several sizes, the last of a single image."""
    rng = np.random.default_rng(3)
    scale, shift = rng.uniform(0.5, 2.0, (3, 1, 1)), rng.normal(size=(3, 1, 1))
    shapes = [(5, 3, 4, 3), (2, 3, 4, 3), (4, 3, 2, 5), (1, 3, 3, 3)]
    return [rng.normal(size=shape) * scale + shift for shape in shapes]


def numbers_of(layer: Normalization2d) -> dict[str, Array]:
    """Parameters and buffers that are no fresh ones."""
    rng = np.random.default_rng(4)
    params = {name: rng.normal(size=3) for name in layer.init_params(rng)}
    probed = layer.probe_settings(rng)
    return params | {name: probed[name] for name in layer.init_buffers()}


def assert_trains_as_pytorch(
    layer: Normalization2d, update: Callable[[Array, dict[str, Array], int], dict[str, Array]]
) -> None:
    """Several batches, one after the other: outputs, gradients and running statistics.

    Args:
        layer: with running statistics.
        update: gives the buffers after a batch.
    """
    params = numbers_of(layer)
    module = in_training(layer, params)
    for seen, x in enumerate(batches(), 1):
        if isinstance(layer, InstanceNorm2d) and layer.momentum is None:
            # PyTorch's InstanceNorm2d has no cumulative mean: this makes it one.
            module.momentum = 1 / seen  # type: ignore[assignment]
        theirs = torch.from_numpy(x.copy()).requires_grad_()
        expected = module(theirs)
        out, cache = layer.while_training().forward(x, params)
        grad_output = np.random.default_rng(seen).normal(size=out.shape)
        expected.backward(torch.from_numpy(grad_output))
        grad_input, grads = layer.while_training().backward(grad_output, cache, params)
        params = params | update(x, params, seen)
        pairs = {"out": (out, expected.detach()), "grad_input": (grad_input, theirs.grad)}
        for name, value in module.named_parameters():
            pairs[name] = (grads[name], value.grad)
            value.grad = None
        for name in layer.init_buffers():
            pairs[name] = (params[name], module.get_buffer(name))
        assert set(pairs) == {"out", "grad_input", *grads, "running_mean", "running_var"}
        for name, (ours, theirs_) in pairs.items():
            np.testing.assert_allclose(
                ours, theirs_, rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"{name}, batch {seen}"
            )


@pytest.mark.parametrize(("norm", "affine", "momentum"), NORMS)
def test_norms_train_as_in_pytorch(norm: Norm, affine: bool, momentum: float | None) -> None:
    layer = norm_of(norm, affine, momentum)
    assert_trains_as_pytorch(layer, layer.updated_buffers)


@pytest.mark.parametrize(("norm", "affine", "momentum"), NORMS)
def test_statistics_that_were_measured_elsewhere_move_the_buffers_alike(
    norm: Norm, affine: bool, momentum: float | None
) -> None:
    layer = norm_of(norm, affine, momentum)
    axes = (0, 2, 3) if norm is BatchNorm2d else (2, 3)

    def update(x: Array, params: dict[str, Array], seen: int) -> dict[str, Array]:
        mean, var = x.mean(axis=axes), x.var(axis=axes)
        return layer.moved_statistics(mean, var, x.size // mean.size, params, seen)

    assert_trains_as_pytorch(layer, update)


@pytest.mark.parametrize("norm", [BatchNorm2d, InstanceNorm2d])
@pytest.mark.parametrize(
    ("what", "momentum"), [("running_var", 0.1), ("running_mean", 0.1), ("running_mean", None)]
)
def test_a_wrong_update_is_found(norm: Norm, what: str, momentum: float | None) -> None:
    layer = norm_of(norm, True, momentum)

    def update(x: Array, params: dict[str, Array], seen: int) -> dict[str, Array]:
        buffers = layer.updated_buffers(x, params, seen if momentum else seen + 1)
        if what == "running_var":
            # The biased variance.
            count = x[0, 0].size * (len(x) if norm is BatchNorm2d else 1)
            return buffers | {
                what: params[what] * 0.9
                + (buffers[what] - params[what] * 0.9) / count * (count - 1)
            }
        return buffers | {"running_mean": buffers["running_mean"] + (1e-9 if momentum else 0)}

    with pytest.raises(AssertionError, match=f"{what}, batch 1"):
        assert_trains_as_pytorch(layer, update)


def test_a_layer_with_running_statistics_does_not_train_as_pytorch() -> None:
    class Stubborn(BatchNorm2d):
        def while_training(self) -> Normalization2d:
            return self

    Stubborn.__name__ = "BatchNorm2d"
    layer = Stubborn(3)
    with pytest.raises(AssertionError, match="out, batch 1"):
        assert_trains_as_pytorch(layer, BatchNorm2d(3).updated_buffers)


@every_example
def test_only_running_statistics_change_by_training(example: Example) -> None:
    layer, (x, params) = example.layer, random_numbers(example, 3)
    trained, buffers = layer.while_training(), layer.updated_buffers(x, params, 1)
    if isinstance(layer, Normalization2d) and layer.track_running_stats:
        assert trained.config() | {"track_running_stats": True} == (
            layer.config() | {"track_running_stats": True}
        )
        assert trained.init_buffers() == {} != buffers
        assert {name: value.shape for name, value in buffers.items()} == {
            name: value.shape for name, value in layer.init_buffers().items()
        }
    elif isinstance(layer, Dropout):
        # Every batch loses other units, whatever a workbook shows.
        assert trained == replace(layer, seed=None)
    else:
        assert trained == layer
        assert buffers == {}
    assert trained.while_training() == trained
    assert trained.updated_buffers(x, params, 1) == {}


@pytest.mark.parametrize("norm", [BatchNorm2d(2), InstanceNorm2d(2, track_running_stats=True)])
def test_an_update_leaves_what_it_reads_and_keeps_its_type(norm: Normalization2d) -> None:
    x = numbers_apart(np.random.default_rng(0), (3, 2, 4, 4)).astype(np.float32)
    params = {name: value.astype(np.float32) for name, value in norm.init_buffers().items()}
    buffers = norm.updated_buffers(x, params, 1)
    assert {value.dtype for value in buffers.values()} == {np.dtype(np.float32)}
    assert params["running_mean"].tolist() == [0, 0]
    assert params["running_var"].tolist() == [1, 1]


def test_statistics_of_a_norm_without_running_ones_move_nothing() -> None:
    norm = BatchNorm2d(1, track_running_stats=False)
    assert norm.moved_statistics(np.ones(1), np.ones(1), 4, {}, 1) == {}


@pytest.mark.parametrize("norm", [BatchNorm2d(2), InstanceNorm2d(2, track_running_stats=True)])
def test_a_single_number_in_each_channel_is_refused(norm: Normalization2d) -> None:
    with pytest.raises(ShapeError) as caught:
        norm.updated_buffers(np.ones((1, 2, 1, 1)), norm.init_buffers(), 1)
    assert str(caught.value) == (
        f"{type(norm).__name__}: a batch with a single number in each channel has no variance to "
        "learn: expected at least 2; use a larger batch or larger planes"
    )


@pytest.mark.parametrize("seen", [0, 1.5, None])
def test_batches_are_counted_from_1(seen: Any) -> None:
    norm = BatchNorm2d(1, momentum=None)
    with pytest.raises(ShapeError, match=r"BatchNorm2d: seen is .*: expected a whole number"):
        norm.updated_buffers(np.ones((2, 1, 1, 1)), norm.init_buffers(), seen)


# --- Dropout


def kept_gradient(layer: Dropout, x: Array, random: Array) -> Array:
    """The gradient of the sum of what PyTorch's arithmetic keeps of x."""
    theirs = torch.from_numpy(x.copy()).requires_grad_()
    kept = torch.from_numpy(random > layer.p)
    (theirs * kept / (1 - layer.p)).sum().backward()
    assert theirs.grad is not None
    return theirs.grad.numpy()


@pytest.mark.parametrize("shape", [(4, 2, 3, 5), (6, 7)])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_passes_the_gradient_of_what_it_kept(shape: tuple[int, ...], p: float) -> None:
    layer, rng = Dropout(p), np.random.default_rng(0)
    x = numbers_apart(rng, shape)
    noise = layer.draw_noise(shape[1:], rng, shape[0])
    out, cache = layer.forward(x, noise)
    grad_input, grads = layer.backward(np.ones(shape), cache, noise)
    expected = kept_gradient(layer, x, noise["random"])
    np.testing.assert_allclose(grad_input, expected, rtol=TOLERANCE)
    np.testing.assert_allclose(out, x * grad_input, rtol=TOLERANCE)
    assert grads == {}
    assert 0 < np.count_nonzero(grad_input) < x.size
    others = layer.draw_noise(shape[1:], rng, shape[0])
    assert (kept_gradient(layer, x, others["random"]) != grad_input).any()

"""The fast engine against its specification, `Sequential` in float64, and against PyTorch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_networks import Case, cases
from test_layers import EXAMPLES, kept, numbers_apart, random_numbers, trainable
from test_pytorch import network_in_pytorch
from threadpoolctl import ThreadpoolController

from sheetconv import (
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
    Sigmoid,
    Softmax,
    Tanh,
)
from sheetconv.errors import ShapeError, TrainingError
from sheetconv.layers import Example, Layer
from sheetconv.layers.base import Array
from sheetconv.template import load_template
from sheetconv.training import Data, Learner
from sheetconv.training import engine as engine_module
from sheetconv.training.activation_sums import ActivationSums, activation_statistics
from sheetconv.training.batches import shuffled_batches
from sheetconv.training.engine import Engine, Workers
from sheetconv.training.engine.any_layer import AnyLayerKernel
from sheetconv.training.engine.convolution import _Convolution
from sheetconv.training.engine.dense import _Dense
from sheetconv.training.engine.max_pooling import _MaxPooling
from sheetconv.training.engine.normalization import BatchNormKernel
from sheetconv.training.fields import Numbers
from sheetconv.training.losses import MSE, BCEWithLogits, CrossEntropy, Loss
from sheetconv.training.optimisers import OPTIMISERS, SGD, Adam, AdamW, Optimiser, RMSprop
from sheetconv.training.schedules import SCHEDULES, Constant, Cosine, OneCycle, Step

#: Sums are added in another order: relative to the largest number of a tensor.
TOLERANCE = 1e-12
SEED = 5

Grads = Mapping[str, Mapping[str, Numbers]]
Shape = tuple[int, ...]


@pytest.fixture(scope="module", autouse=True)
def one_thread_of_pytorch() -> Iterator[None]:
    """So small networks only make threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(2) as both:
        yield both


def engine_of(
    network: Sequential, shape: Shape, workers: Workers, dtype: Any = np.float64, *,
    size: int = 0, **options: Any,
) -> Engine:  # fmt: skip
    """An engine that cuts batches into chunks of `size` images, wherever it may cut them."""
    engine = Engine(network, shape, workers, dtype, seed=SEED, **options)
    if size:
        usual = engine.chunks

        def chunks(images: int, training: bool) -> list[slice]:
            whole = any(
                isinstance(kernel, AnyLayerKernel) and kernel.needs_whole_batch
                for kernel in engine._kernels[training]
            )
            if whole:
                return usual(images, training)
            return [slice(at, min(at + size, images)) for at in range(0, images, size)]

        engine.chunks = chunks  # type: ignore[method-assign]
    return engine


def targets_for(network: Sequential, shape: Shape, images: int) -> Array:
    *_, out = network.shapes(shape).values()
    return np.random.default_rng(8).normal(size=(images, int(np.prod(out))))


def in_training(network: Sequential, frozen: tuple[str, ...] = ()) -> Sequential:
    """The same numbers in the layers that training uses."""
    layers = [(name, own if name in frozen else own.while_training()) for name, own in network]
    training = Sequential(*layers)
    training.params, training.buffers = network.params, network.buffers
    return training


def noise_of(engine: Engine, images: int, number: int) -> dict[str, dict[str, Array]]:
    """The random numbers that the engine's chunks draw, put together."""
    noise: dict[str, dict[str, Array]] = {}
    for state in engine.states:
        layer = state.layer if state.frozen else state.layer.while_training()
        drawn = [
            layer.draw_noise(
                state.input_shape,
                np.random.default_rng((SEED, number, place, state.number)),
                piece.stop - piece.start,
            )
            for place, piece in enumerate(engine.chunks(images, True))
        ]
        noise[state.name] = {key: np.concatenate([one[key] for one in drawn]) for key in drawn[0]}
    return noise


def specified(
    network: Sequential, x: Array, targets: Array, loss: Loss, frozen: tuple[str, ...] = (),
    noise: dict[str, dict[str, Array]] | None = None,
) -> tuple[float, Grads]:  # fmt: skip
    """Loss and gradients as `Sequential` has them."""
    training = in_training(network, frozen)
    out, caches = training.forward(x, noise)
    scores = np.ascontiguousarray(out.reshape(len(x), -1).T)
    grad = np.empty_like(scores)
    value = loss.share(scores, targets, len(x), grad)
    return value, training.backward(grad.T.reshape(out.shape), caches)[1]


def close(got: Any, expected: Any, what: str, size: float = 1.0) -> None:
    """Equal but for rounding, relative to the largest number."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, what
    # Of nothing but zeros nothing is off.
    size = max(size, float(np.abs(expected).max(initial=0.0)), 1e-300)
    off = float(np.abs(got - expected).max(initial=0.0)) / size
    assert off <= TOLERANCE, f"{what} is off by {off:.1e} of {size:.3g}"


def assert_as_specified(
    engine: Engine, x: Array, loss: Loss | None = None, targets: Any = None, number: int = 0
) -> None:
    """One step of the engine in its network, and the answers of the network as it is."""
    network, shape = engine.network, x.shape[1:]
    frozen = tuple(state.name for state in engine.states if state.frozen)
    loss = loss or MSE()
    targets = targets_for(network, shape, len(x)) if targets is None else targets
    close(engine.scores(x), network(x).reshape(len(x), -1).T, "scores")
    noise = noise_of(engine, len(x), number)
    value, grads = specified(network, x, targets, loss, frozen, noise)
    close(engine.step(x, targets, loss, number=number), value, "loss")
    got = engine.parameters.views(engine.parameters.gradients)
    # Of a weight before a normalisation that undoes it only rounding is left.
    size = max(float(np.abs(g).max()) for own in grads.values() for g in own.values())
    for name, own in grads.items():
        for key, grad in own.items():
            expected = np.zeros_like(grad) if name in frozen else grad
            close(got[name][key], expected, f"{name}.{key}", size)


def around(example: Example) -> Sequential:
    """An example's layer behind one that learns, and before one."""
    shape = example.x.shape
    first: Layer = Conv2d(shape[0], shape[0], 1) if len(shape) == 3 else Linear(shape[0], shape[0])
    *_, out = Sequential(example.layer).shapes(shape).values()
    network = Sequential(
        ("first", first), ("it", example.layer), Flatten(), ("last", Linear(int(np.prod(out)), 3))
    )
    params = random_numbers(example, 1)[1]
    network.params["it"] = {name: params[name] for name in trainable(example)}
    network.buffers["it"] = {name: params[name] for name in kept(example)}
    return network


# --- Against `Sequential`


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_layer_trains_as_specified(example: Example, size: int, workers: Workers) -> None:
    x = numbers_apart(np.random.default_rng(size), (5, *example.x.shape))
    engine = engine_of(around(example), example.x.shape, workers, size=size)
    for number in range(2):
        assert_as_specified(engine, x, number=number)
        engine.store()


@given(case=cases(), images=st.integers(1, 7), size=st.integers(1, 4), freeze=st.integers(0, 4))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_random_networks_train_as_specified(
    case: Case, images: int, size: int, freeze: int
) -> None:
    network = case.network
    frozen = tuple(name for place, name in enumerate(network.layers) if place % 5 == freeze - 1)
    assume(any(own and name not in frozen for name, own in network.params.items()))
    x = np.random.default_rng(images).normal(size=(images, *case.input_shape))
    with Workers(2) as workers:
        engine = engine_of(network, case.input_shape, workers, size=size, frozen=frozen)
        try:
            assert_as_specified(engine, x)
        except ShapeError as error:
            # A batch of one number a channel has no variance.
            assume("single number" not in str(error))
            raise


CONVOLUTIONS = [
    Conv2d(4, 6, 3, groups=2),
    Conv2d(4, 8, (2, 3), groups=4, bias=False, stride=(2, 1), padding=1),
    Conv2d(4, 3, (3, 1), stride=(3, 2), padding=(0, 2, 3, 1)),
    Conv2d(4, 2, 2, dilation=(3, 2), padding=(1, 2)),
    Conv2d(4, 2, 1, stride=3),
    Conv2d(4, 2, 3, stride=4, padding=3, bias=False),
    Conv2d(4, 4, 3, padding=(0, 1, 0, 0), padding_mode="reflect"),
    Conv2d(4, 4, 3, padding=2, padding_mode="replicate", groups=2),
    Conv2d(4, 2, (5, 2), padding=(2, 1), padding_mode="circular", stride=2, dilation=(1, 3)),
]
POOLS = [
    MaxPool2d(2),
    MaxPool2d(3, stride=1),
    MaxPool2d(3, stride=2, padding=1),
    MaxPool2d((2, 3), stride=(3, 1), ceil_mode=True),
    MaxPool2d(2, stride=3, ceil_mode=True),
    MaxPool2d(4, stride=2, padding=2, ceil_mode=True),
    MaxPool2d(2, stride=1, dilation=(3, 2)),
    MaxPool2d(3, stride=5, padding=(1, 0), dilation=2),
    MaxPool2d(1, stride=2),
]


@pytest.mark.parametrize("layer", [*CONVOLUTIONS, *POOLS], ids=str)
def test_windows_of_every_kind_train_as_specified(layer: Layer, workers: Workers) -> None:
    """Of whole numbers, so that windows have several maxima: the first takes the gradient."""
    network = Sequential(Conv2d(4, 4, 1), layer, Sigmoid())
    rng = np.random.default_rng(1)
    network.params["conv1"] = {
        "weight": rng.integers(-1, 2, (4, 4, 1, 1)).astype(float),
        "bias": rng.integers(-1, 2, 4).astype(float),
    }
    x = rng.integers(-1, 2, (5, 4, 7, 8)).astype(float)
    engine = engine_of(network, x.shape[1:], workers, size=2)
    assert_as_specified(engine, x)
    # What the last batch left in the buffers changes nothing.
    assert_as_specified(engine, -x)


def test_the_first_of_several_maxima_takes_the_gradient(workers: Workers) -> None:
    network = Sequential(Conv2d(1, 1, 1, bias=False), MaxPool2d(2, stride=1))
    network.params["conv1"]["weight"][...] = 1.0
    x = np.array([[[[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]]])
    engine = engine_of(network, (1, 2, 3), workers)
    routes: list[Numbers] = []

    class Sum:
        def share(self, scores: Numbers, targets: Any, count: int, grad: Any = None) -> float:
            grad[...] = [[1.0], [10.0]]
            return float(scores.sum())

    assert engine.step(x, np.zeros((1, 2)), Sum()) == 2.0
    ((_, chain),) = [(piece, chain) for plan in engine._plans.values()
                     for piece, chain in zip(plan.pieces, plan.chains, strict=True)]  # fmt: skip
    routes.append(chain.operations[1].grad_in)  # type: ignore[arg-type]
    assert routes[0][0, :, :, 0].tolist() == [[1.0, 10.0, 0.0], [0.0, 0.0, 0.0]]


def deep_norms() -> Sequential:
    """Batch normalisation first, in the middle and after a rectifier, some of other settings."""
    network = Sequential(
        BatchNorm2d(2), Conv2d(2, 3, 3, bias=False), BatchNorm2d(3, 1e-3, None), ReLU(),
        Conv2d(3, 4, 2, padding=1), ReLU(), BatchNorm2d(4, momentum=0.3, affine=False),
        MaxPool2d(2), Conv2d(4, 3, 1), BatchNorm2d(3), Flatten(), Linear(12, 2),
    )  # fmt: skip
    rng = np.random.default_rng(2)
    for name, layer in network:
        if isinstance(layer, BatchNorm2d):
            for key, own in network.params[name].items():
                network.params[name][key] = rng.normal(size=own.shape)
    return network


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_batch_norms_at_several_depths_see_the_whole_batch(size: int, workers: Workers) -> None:
    x = np.random.default_rng(0).normal(3.0, 2.0, (7, 2, 5, 5))
    engine = engine_of(deep_norms(), (2, 5, 5), workers, size=size)
    for number in range(3):
        assert_as_specified(engine, x[number:], number=number)
        engine.store()


def test_a_small_variance_beside_a_large_mean_is_not_lost(workers: Workers) -> None:
    network = Sequential(BatchNorm2d(1), Conv2d(1, 1, 1))
    x = np.random.default_rng(0).normal(1e6, 1e-2, (6, 1, 4, 4))
    engine = engine_of(network, (1, 4, 4), workers, size=4)
    engine.step(x, targets_for(network, (1, 4, 4), 6), MSE())
    moved = engine.states[0].buffers["running_var"]
    np.testing.assert_allclose(moved, 0.9 + 0.1 * x.var(ddof=1), rtol=1e-9)


def test_random_layers_draw_other_noise_in_every_step_chunk_and_layer(workers: Workers) -> None:
    network = Sequential(
        ("a", Dropout(0.5)), ("learns", Conv2d(1, 1, 1)), ("b", Dropout(0.5)), Flatten()
    )
    x = np.ones((4, 1, 5, 5))
    engine = engine_of(network, (1, 5, 5), workers, size=2)
    seen: dict[tuple[str, int, int], bytes] = {}
    for number in range(2):
        assert_as_specified(engine, x, number=number)
        engine.step(
            x, targets_for(network, (1, 5, 5), 4), MSE(), number=number,
            observe=lambda layer, chunk, out, number=number: seen.__setitem__(  # type: ignore[misc]
                (layer, chunk, number), (out == 0).tobytes()
            ),
        )  # fmt: skip
    drawn = [mask for (layer, _, _), mask in seen.items() if layer in "ab"]
    assert len(drawn) == len(set(drawn)) == 8


def test_the_numbers_of_normalize_stay_and_count(workers: Workers) -> None:
    network = Sequential(Normalize(2), Conv2d(2, 2, 1))
    network.buffers["normalize1"] = {"mean": np.array([3.0, -1.0]), "std": np.array([2.0, 0.1])}
    before = {key: own.copy() for key, own in network.buffers["normalize1"].items()}
    engine = engine_of(network, (2, 3, 3), workers, size=2)
    assert_as_specified(engine, np.random.default_rng(0).normal(size=(3, 2, 3, 3)))
    engine.store()
    for key, own in before.items():
        np.testing.assert_array_equal(network.buffers["normalize1"][key], own)


def test_pixels_are_scaled_in_every_type(workers: Workers) -> None:
    network = Sequential(Flatten(), Linear(4, 2))
    pixels = np.array([[[[0, 51], [102, 255]]]], np.uint8)
    expected = network(pixels / 255).T
    for dtype, tolerance in ((np.float64, 1e-15), (np.float32, 1e-6)):
        engine = engine_of(network, (1, 2, 2), workers, dtype)
        for images in (pixels, pixels.astype(np.float32), pixels.astype(np.int64)):
            got = engine.scores(images, scale=1 / 255)
            assert got.dtype == dtype
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_the_loss_may_leave_the_last_layer_to_itself(workers: Workers) -> None:
    network = Sequential(Flatten(), Linear(4, 3), Softmax())
    x, labels = np.random.default_rng(0).normal(size=(5, 1, 2, 2)), np.array([0, 2, 1, 1, 0])
    engine = engine_of(network, (1, 2, 2), workers, size=2, layers=2)
    before = Sequential(*list(network)[:2])
    before.params = {name: network.params[name] for name in before.layers}
    value, grads = specified(before, x, labels, CrossEntropy())
    close(engine.step(x, labels, CrossEntropy()), value, "loss")
    close(
        engine.parameters.gradients,
        np.concatenate([grads["dense1"]["weight"].ravel(), grads["dense1"]["bias"]]),
        "gradients",
    )
    probabilities = CrossEntropy().probabilities(engine.scores(x)).T
    close(probabilities, network(x), "probabilities")


# --- Frozen layers


@pytest.mark.parametrize(
    "frozen",
    [
        ("batchnorm1", "batchnorm2", "batchnorm3", "batchnorm4"),
        ("conv2", "batchnorm2"),
        ("batchnorm1", "conv1", "batchnorm2", "conv2"),
        ("dense1",),
    ],
    ids=str,
)
def test_frozen_layers_stay_and_pass_gradients_on(
    frozen: tuple[str, ...], workers: Workers
) -> None:
    network = deep_norms()
    rng = np.random.default_rng(4)
    for name, layer in network:
        probed = layer.probe_settings(rng)
        network.buffers[name] = {key: probed[key] for key in network.buffers[name]}
    before = {key: own.copy() for key, own in network.state_dict().items()}
    engine = engine_of(network, (2, 5, 5), workers, size=3, frozen=frozen)
    x = np.random.default_rng(0).normal(size=(7, 2, 5, 5))
    for number in range(2):
        assert_as_specified(engine, x, number=number)
        engine.parameters.values -= 0.1 * engine.parameters.gradients
        engine.store()
    for key, own in network.state_dict().items():
        same, (layer, _, kind) = own.tobytes() == before[key].tobytes(), key.partition(".")
        # A bias that a normalisation takes off again has no gradient but rounding.
        if layer in frozen or kind != "bias":
            assert same == (layer in frozen), key


def test_an_instance_norm_that_is_frozen_uses_its_running_statistics(workers: Workers) -> None:
    norm = InstanceNorm2d(2, track_running_stats=True)
    network = Sequential(Conv2d(2, 2, 1), norm, Flatten(), Linear(18, 2))
    network.buffers["instancenorm1"] = {
        "running_mean": np.array([0.5, -2.0]), "running_var": np.array([2.0, 0.25]),
    }  # fmt: skip
    x = np.random.default_rng(0).normal(size=(4, 2, 3, 3))
    engine = engine_of(network, (2, 3, 3), workers, size=3, frozen=("instancenorm1",))
    assert len(engine.chunks(4, True)) == 2
    assert_as_specified(engine, x)
    close(engine.states[1].buffers["running_mean"], [0.5, -2.0], "running_mean")


# --- Types


def test_float32_stays_float32(workers: Workers) -> None:
    network = Sequential(*(layer for _, layer in deep_norms()), Dropout(0.3), Tanh())
    x = np.random.default_rng(0).normal(size=(7, 2, 5, 5))
    engine = engine_of(network, (2, 5, 5), workers, np.float32, size=3)
    targets = targets_for(network, (2, 5, 5), 7)
    value, grads = specified(network, x, targets, MSE(), noise=noise_of(engine, 7, 0))
    assert engine.step(x, targets, MSE()) == pytest.approx(value, rel=1e-5)
    got = engine.parameters.views(engine.parameters.gradients)
    size = max(float(np.abs(g).max()) for own in grads.values() for g in own.values())
    for name, own in grads.items():
        for key, grad in own.items():
            np.testing.assert_allclose(got[name][key], grad, rtol=1e-4, atol=1e-4 * size)
    assert engine.scores(x).dtype == np.float32
    things: list[Any] = [engine.parameters, *engine.states]
    for plan in engine._plans.values():
        for chain in plan.chains:
            things += [chain, *chain.operations, *engine._kernels[True], *engine._kernels[False]]
    for thing in things:
        for name, value_ in vars(thing).items():
            for array in value_.values() if isinstance(value_, dict) else [value_]:
                if isinstance(array, np.ndarray):
                    assert array.dtype in (np.float32, np.bool_), f"{type(thing)}.{name}"


# --- Threads and chunks


def trained_bytes(threads: int, dtype: Any = np.float32, steps: int = 4) -> bytes:
    """Weights, statistics and losses after some steps."""
    network = Sequential(*(layer for _, layer in deep_norms()), Dropout(0.2))
    rng, losses = np.random.default_rng(0), []
    with Workers(threads) as workers:
        engine = Engine(network, (2, 5, 5), workers, dtype, seed=SEED)
        state = SGD(momentum=0.9).init_state(engine.parameters.values.size, dtype)
        for number in range(1, steps + 1):
            x = rng.normal(size=(16 + number, 2, 5, 5))
            targets = rng.normal(size=(len(x), 2))
            losses.append(engine.step(x, targets, MSE(), number=number))
            SGD(momentum=0.9).step(
                engine.parameters.values, engine.parameters.gradients, state, lr=0.01, number=number
            )
        scores = engine.scores(x)
        parts = [*engine.state().values(), np.array(losses), scores]
    return b"".join(part.tobytes() for part in parts)


@pytest.fixture
def many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of the smallest network, as many as on a machine of four cores."""
    monkeypatch.setattr(engine_module, "_LEAST_WORK", 1)
    monkeypatch.setattr(engine_module.os, "cpu_count", lambda: 4)


@pytest.mark.usefixtures("many_chunks")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_have_the_same_bits_for_every_number_of_threads(dtype: Any) -> None:
    one = trained_bytes(1, dtype)
    for threads in (2, 3, 5, 2, 3):
        assert trained_bytes(threads, dtype) == one
    assert trained_bytes(1, dtype, steps=3) != one


@pytest.mark.usefixtures("many_chunks")
def test_results_have_the_same_bits_whatever_other_threads_do() -> None:
    """Threads that train, that allocate, and that use the matrix library with all its threads."""
    expected, over = trained_bytes(2), threading.Event()
    found: list[bytes] = []

    def noisy() -> None:
        rng = np.random.default_rng(threading.get_ident() % 1000)
        while not over.is_set():
            array = rng.normal(size=(int(rng.integers(100, 300)), 150))
            array @ array.T
            with Workers(2):
                pass

    def training() -> None:
        found.extend(trained_bytes(2) for _ in range(3))

    threads = [threading.Thread(target=target) for target in (noisy, noisy, training, training)]
    for thread in threads:
        thread.start()
    found.extend(trained_bytes(3) for _ in range(3))
    for thread in threads[2:]:
        thread.join()
    over.set()
    for thread in threads[:2]:
        thread.join()
    assert len(found) == 9
    assert set(found) == {expected}


def test_chunks_are_the_same_whatever_threads_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Sequential(Conv2d(1, 8, 3), Flatten(), Linear(8 * 26 * 26, 10))
    made = [Engine(network, (1, 28, 28), Workers(threads)) for threads in (1, 2, 7)]
    for images in (1, 63, 512, 4000):
        cuts = {str(engine.chunks(images, True)) for engine in made}
        assert len(cuts) == 1
        pieces = made[0].chunks(images, True)
        assert [n for piece in pieces for n in range(images)[piece]] == list(range(images))
    # A small network is not cut for the sake of threads.
    assert len(Engine(Sequential(Linear(4, 2)), (4,), Workers(2)).chunks(64, True)) == 1
    monkeypatch.setattr(engine_module, "_MOST_BYTES", 1)
    assert len(made[0].chunks(9, True)) == 9


def test_a_layer_that_mixes_images_sees_all_of_them(workers: Workers) -> None:
    class Mixing(Tanh):
        @property
        def mixes_images(self) -> bool:
            return True

    engine = engine_of(Sequential(Linear(3, 3), Mixing()), (3,), workers, size=1)
    assert engine.chunks(5, True) == [slice(0, 5)]


def test_buffers_of_other_batches_change_nothing_and_are_let_go(workers: Workers) -> None:
    network = Sequential(*(layer for _, layer in deep_norms()), Dropout(0.5))
    engine = engine_of(network, (2, 5, 5), workers, size=3)
    rng, start = np.random.default_rng(0), engine.state()
    for images in (7, 3, 7, 1, 12, 2, 3, 5, 4, 12, 7):
        x = rng.normal(size=(images, 2, 5, 5))
        targets = rng.normal(size=(images, 2))
        fresh = engine_of(network, (2, 5, 5), workers, size=3)
        results = []
        for one in (engine, fresh):
            one.load_state(start)
            results.append((one.scores(x).tobytes(), one.step(x, targets, MSE(), number=images)))
            results[-1] += (one.parameters.gradients.tobytes(),)
        assert results[0] == results[1]
        assert len(engine._plans) <= 4


# --- Workers


def test_an_error_of_any_thread_is_raised_when_all_have_come_to_rest() -> None:
    ended: list[int] = []

    def slow(number: int) -> None:
        time.sleep(0.02)
        ended.append(number)

    def failing() -> None:
        raise ZeroDivisionError("planted")

    with Workers(3) as workers:
        for place in range(3):
            ended.clear()
            tasks = [lambda n=n: slow(n) for n in range(3)]  # type: ignore[misc]
            tasks[place] = failing
            with pytest.raises(ZeroDivisionError, match="planted"):
                workers.run(tasks)
            assert sorted(ended) == [n for n in range(3) if n != place]
            # They go on afterwards.
            ended.clear()
            workers.run([lambda n=n: slow(n) for n in range(7)])  # type: ignore[misc]
            assert sorted(ended) == list(range(7))


def test_what_an_interrupted_block_left_undone_ends_no_later_run() -> None:
    workers, gate, ended = Workers(2), threading.Event(), []

    class Impatient:
        """A queue at which Ctrl-C is pressed."""

        def get(self) -> None:
            gate.set()
            raise KeyboardInterrupt

        def put(self, item: object) -> None:
            pass

    def late() -> None:
        gate.wait()
        time.sleep(0.02)
        ended.append("late")

    def interrupted() -> None:
        with workers:
            workers._done = Impatient()  # type: ignore[assignment]
            workers.run([lambda: None, late])

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ended == ["late"]
    assert not workers._threads
    with workers:
        workers.run([lambda: None, lambda: (time.sleep(0.02), ended.append("own"))[0]])
        assert ended == ["late", "own"]


def library_threads() -> list[int]:
    return [item["num_threads"] for item in ThreadpoolController().info()]


def test_a_block_within_a_block_changes_nothing() -> None:
    before, workers = library_threads(), Workers(2)
    with workers:
        held, threads = library_threads(), list(workers._threads)
        with workers:
            assert workers._threads == threads
        assert workers._threads == threads
        workers.run([lambda: None] * 5)
        other = Workers(3)
        with other:
            pass
        assert library_threads() == held
    assert library_threads() == before


def test_blocks_that_overlap_give_the_library_its_threads_back() -> None:
    before = library_threads()
    first, second = Workers(1), Workers(1)
    first.__enter__()
    held = library_threads()
    second.__enter__()
    first.__exit__(None, None, None)
    assert library_threads() == held
    second.__exit__(None, None, None)
    assert library_threads() == before


# --- State


def test_a_state_is_all_there_is(workers: Workers) -> None:
    network = deep_norms()
    engine = engine_of(network, (2, 5, 5), workers, size=3)
    x = np.random.default_rng(0).normal(size=(6, 2, 5, 5))
    targets = targets_for(network, (2, 5, 5), 6)
    engine.step(x, targets, MSE())
    engine.parameters.values -= engine.parameters.gradients
    kept_, other = engine.state(), engine_of(network, (2, 5, 5), workers, size=3)
    other.load_state(kept_)
    for one in (engine, other):
        one.step(x, targets, MSE(), number=1)
    for name, array in engine.state().items():
        assert other.state()[name].tobytes() == array.tobytes(), name
        # What was kept is a copy.
        assert (kept_[name].tobytes() == array.tobytes()) == (name == "values"), name


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: kept.pop("values"),
        lambda kept: kept.pop("batchnorm1.running_mean"),
        lambda kept: kept.__setitem__("seen", kept["seen"][:-1]),
        lambda kept: kept.__setitem__("values", kept["values"].astype(np.float32)),
    ],
)
def test_a_state_of_another_network_is_refused_and_nothing_is_set(
    spoil: Callable[[dict[str, Numbers]], object], workers: Workers
) -> None:
    engine = engine_of(deep_norms(), (2, 5, 5), workers)
    kept_ = {name: array + 1 for name, array in engine.state().items()}
    before = engine.state()
    spoil(kept_)
    with pytest.raises(TrainingError, match="do not fit the network"):
        engine.load_state(kept_)
    for name, array in engine.state().items():
        assert array.tobytes() == before[name].tobytes()


# --- Against PyTorch

Networks = dict[str, tuple[Sequential, Shape]]


@pytest.fixture(scope="module")
def networks() -> Networks:
    """The networks that the trainer is measured with, before their softmax."""
    example = Sequential(
        Conv2d(1, 2, 3, bias=False), ReLU(), Conv2d(2, 2, 3, padding=(0, 1, 0, 0), bias=False),
        ReLU(), MaxPool2d(2, ceil_mode=True), Flatten(), Linear(312, 10),
    )  # fmt: skip
    found: Networks = {"conv-example": (example, (1, 28, 28))}
    for name in ("digits", "digits-batchnorm", "simple-cnn-wide"):
        item = load_template(name).networks[0]
        network = Sequential(*list(item.network)[:-1])
        for own in (network.params, network.buffers):
            source = item.network.params if own is network.params else item.network.buffers
            own.update({layer: source[layer] for layer in network.layers})
        found[name] = (network, item.image.shape)
    return found


def data_for(shape: Shape, images: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(6)
    return rng.random((images, *shape)), rng.integers(0, 10, images)


@pytest.mark.parametrize("name", ["conv-example", "digits", "digits-batchnorm", "simple-cnn-wide"])
@pytest.mark.usefixtures("many_chunks")
def test_gradients_activations_and_statistics_are_those_of_pytorch(
    name: str, networks: Networks, workers: Workers
) -> None:
    network, shape = networks[name]
    x, labels = data_for(shape, 33)
    modules = torch.nn.Sequential(*network_in_pytorch(network)).train()
    theirs: dict[str, torch.Tensor] = {}
    out = torch.from_numpy(x)
    for module, layer in zip(modules, network.layers, strict=True):
        out = theirs[layer] = module(out)
    expected = torch.nn.functional.cross_entropy(out, torch.from_numpy(labels))
    expected.backward()  # type: ignore[no-untyped-call]
    engine = Engine(network, shape, workers, np.float64)
    parts: dict[str, dict[int, ActivationSums]] = {}
    own: dict[str, dict[int, Numbers]] = {}

    def observe(layer: str, chunk: int, activations: Numbers) -> None:
        parts.setdefault(layer, {})[chunk] = ActivationSums.of(activations)
        own.setdefault(layer, {})[chunk] = activations.copy()

    loss = engine.step(x, labels, CrossEntropy(), observe=observe)
    assert len(engine.chunks(33, True)) > 1
    close(loss, expected.item(), "loss")
    got = engine.parameters.views(engine.parameters.gradients)
    size = max(float(value.grad.abs().max()) for value in modules.parameters())
    for layer, module in zip(network.layers, modules, strict=True):
        for full, value in module.named_parameters():
            assert value.grad is not None
            close(got[layer][full.rpartition(".")[2]], value.grad.numpy(), f"{layer}.{full}", size)
        there = theirs[layer].detach().numpy()
        here = np.concatenate([own[layer][place] for place in sorted(own[layer])], axis=-1)
        close(np.moveaxis(here, -1, 0), there, layer)
        sums = ActivationSums.merged([parts[layer][place] for place in sorted(parts[layer])])
        tensor = theirs[layer].detach()
        close(sums.mean, tensor.mean().item(), f"mean of {layer}")
        close(sums.std, tensor.std().item(), f"deviation of {layer}")
        close(sums.near_zero, (tensor.abs() <= 0.05).double().mean().item(), f"near {layer}")
        counts = torch.histc(tensor, 80, -10, 10).numpy().astype(int)
        assert (sums.histogram == counts).all(), layer
        assert (sums.histogram == activation_statistics(there)[3]).all(), layer
    for state, module in zip(engine.states, modules, strict=True):
        for key, buffer in state.buffers.items():
            close(buffer, module.get_buffer(key).numpy(), f"{state.name}.{key}")


@pytest.mark.usefixtures("many_chunks")
def test_running_statistics_after_many_steps_are_those_of_pytorch(workers: Workers) -> None:
    network, rng = deep_norms(), np.random.default_rng(7)
    modules = torch.nn.Sequential(*network_in_pytorch(network)).train()
    optimiser = torch.optim.SGD(modules.parameters(), lr=0.02)
    engine = Engine(network, (2, 5, 5), workers, np.float64)
    for images in (9, 4, 9, 2, 16, 5, 9, 9):
        x, targets = rng.normal(1.0, 3.0, (images, 2, 5, 5)), rng.normal(size=(images, 2))
        optimiser.zero_grad()
        expected = torch.nn.functional.mse_loss(
            modules(torch.from_numpy(x)), torch.from_numpy(targets)
        )
        expected.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        assert engine.step(x, targets, MSE()) == pytest.approx(expected.item(), rel=1e-10)
        engine.parameters.values -= 0.02 * engine.parameters.gradients
    engine.store()
    for (name, _), module in zip(network, modules, strict=True):
        for key, value in (*module.named_parameters(), *module.named_buffers()):
            if key != "num_batches_tracked":
                ours = {**network.params[name], **network.buffers[name]}[key]
                np.testing.assert_allclose(ours, value.detach(), rtol=1e-10, atol=1e-10)
    x = rng.normal(size=(5, 2, 5, 5))
    modules.eval()
    close(engine.scores(x).T, modules(torch.from_numpy(x)).detach().numpy(), "scores")


SCHEDULED = {
    "constant": Constant(),
    "step": Step(7, 0.5),
    "cosine": Cosine(),
    "one-cycle": OneCycle(),
}
#: Ours and PyTorch's.
OPTIMISED: dict[str, tuple[Optimiser, Callable[..., torch.optim.Optimizer]]] = {
    "sgd": (
        SGD(0.02, 0.9, weight_decay=1e-3, nesterov=True),
        partial(torch.optim.SGD, momentum=0.9, weight_decay=1e-3, nesterov=True),
    ),
    "rmsprop": (RMSprop(0.002, momentum=0.5), partial(torch.optim.RMSprop, momentum=0.5)),
    "adam": (Adam(0.01, weight_decay=1e-2), partial(torch.optim.Adam, weight_decay=1e-2)),
    "adamw": (AdamW(0.01), torch.optim.AdamW),
}


def small_network(last: Layer) -> Sequential:
    return Sequential(
        Conv2d(1, 4, 3, bias=False), BatchNorm2d(4), ReLU(), MaxPool2d(2), Flatten(),
        Linear(16, 3), last, seed=1,
    )  # fmt: skip


def assert_learns_as_pytorch(
    optimiser: str, schedule: str, loss: Loss, lr: float | None = None
) -> None:
    """A hundred steps, in 25 epochs."""
    rng = np.random.default_rng(0)
    images = rng.random((60, 1, 6, 6))
    labels = (rng.random((60, 3)) > 0.5).astype(np.uint8) if loss.name == "bce" else None
    classes = images.mean((1, 2, 3)).argsort().argsort() // 20 if labels is None else labels
    data = Data.from_arrays(images, classes, ["a", "b", "c"], (images[:9], classes[:9]))
    ours, make = OPTIMISED[optimiser]
    network = small_network(Sigmoid() if loss.name == "bce" else Softmax())
    modules = torch.nn.Sequential(*network_in_pytorch(network)).train()
    theirs = make(modules.parameters(), lr=ours.lr)
    learner = Learner(network, data, loss, ours, batch=16, dtype="float64", seed=3)
    learner.fit(25, lr, SCHEDULED[schedule])
    losses = []
    for at in range(100):
        numbers = shuffled_batches(60, 16, 3, at // 4)[at % 4]
        hyper = SCHEDULED[schedule].at(at, 100, at // 4, ours.lr)
        for group in theirs.param_groups:
            group["lr"] = hyper.lr
            if hyper.momentum is not None and "betas" in group:
                group["betas"] = (hyper.momentum, group["betas"][1])
            elif hyper.momentum is not None:
                group["momentum"] = hyper.momentum
        theirs.zero_grad()
        targets = torch.from_numpy(data.train.labels[numbers])
        scores = modules[:-1](torch.from_numpy(images[numbers]))
        if loss.name == "cross-entropy":
            value = torch.nn.functional.cross_entropy(scores, targets)
        elif loss.name == "bce":
            value = torch.nn.functional.binary_cross_entropy_with_logits(scores, targets.double())
        else:
            hot = torch.nn.functional.one_hot(targets, 3).double()
            value = torch.nn.functional.mse_loss(scores.softmax(1), hot)
        value.backward()  # type: ignore[no-untyped-call]
        theirs.step()
        losses.append(value.item())
    np.testing.assert_allclose(learner.history.batches["loss"], losses, rtol=1e-10, atol=1e-10)
    for (name, _), module in zip(network, modules, strict=True):
        for key, tensor in (*module.named_parameters(), *module.named_buffers()):
            if key != "num_batches_tracked":
                own = {**network.params[name], **network.buffers[name]}[key]
                np.testing.assert_allclose(
                    own, tensor.detach(), rtol=1e-10, atol=1e-10, err_msg=f"{name}.{key}"
                )


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_hundred_steps_are_those_of_pytorch(optimiser: str, schedule: str) -> None:
    assert_learns_as_pytorch(optimiser, schedule, CrossEntropy())


@pytest.mark.parametrize(
    ("optimiser", "loss"), [("sgd", MSE()), ("adam", MSE()), ("adamw", BCEWithLogits())]
)
def test_a_hundred_steps_of_other_losses_are_those_of_pytorch(optimiser: str, loss: Loss) -> None:
    assert_learns_as_pytorch(optimiser, "one-cycle", loss)


def test_a_learning_rate_that_is_a_little_off_is_found() -> None:
    with pytest.raises(AssertionError):
        assert_learns_as_pytorch("sgd", "cosine", CrossEntropy(), 0.02 * (1 + 1e-7))


# --- What is planted is found


def scaled(kind: type, part: str) -> Callable[[Any], None]:
    """`kind.backward`, with one of its results a millionth of a thousandth too large."""
    usual = kind.backward  # type: ignore[attr-defined]

    def backward(self: Any) -> None:
        usual(self)
        array = self.grad_in if part == "grad_in" else self.grads[part]
        if array is not None:
            array *= 1 + 1e-9

    return backward


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (_Convolution, "grad_in"),
        (_Convolution, "weight"),
        (_Dense, "bias"),
        (_Dense, "grad_in"),
        (_MaxPooling, "grad_in"),
    ],
)
def test_a_wrong_gradient_is_found(
    kind: type, part: str, monkeypatch: pytest.MonkeyPatch, workers: Workers
) -> None:
    x = np.random.default_rng(0).normal(size=(4, 1, 6, 6))
    network = Sequential(
        Conv2d(1, 2, 3, bias=False), Tanh(), Conv2d(2, 2, 1, bias=False), MaxPool2d(2), Flatten(),
        Linear(8, 2), Tanh(), Linear(2, 2),
    )  # fmt: skip
    assert_as_specified(engine_of(network, (1, 6, 6), workers, size=3), x)
    monkeypatch.setattr(kind, "backward", scaled(kind, part))
    with pytest.raises(AssertionError, match="is off by"):
        assert_as_specified(engine_of(network, (1, 6, 6), workers, size=3), x)


def test_chunks_that_do_not_meet_are_found(
    monkeypatch: pytest.MonkeyPatch, workers: Workers
) -> None:
    usual = BatchNormKernel.merge

    def alone(self: BatchNormKernel, operations: Any) -> None:
        usual(self, operations[:1])
        for operation in operations[1:]:
            operation.off, operation.level = operations[0].off, operations[0].level

    monkeypatch.setattr(BatchNormKernel, "merge", alone)
    x = np.random.default_rng(0).normal(size=(5, 2, 5, 5))
    with pytest.raises(AssertionError, match="is off by"):
        assert_as_specified(engine_of(deep_norms(), (2, 5, 5), workers, size=3), x)


def test_other_noise_is_found(workers: Workers) -> None:
    network = Sequential(Linear(6, 6), Dropout(0.5))
    x = np.random.default_rng(0).normal(size=(4, 6))
    engine = engine_of(network, (6,), workers, size=2)
    engine.seed += 1
    with pytest.raises(AssertionError, match="loss is off by"):
        assert_as_specified(engine, x)

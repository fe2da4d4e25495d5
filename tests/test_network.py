"""The network: names, shapes, gradients end to end, parameters by name, and seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sheetconv import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from sheetconv.errors import ShapeError
from sheetconv.layers.base import Array, Cache, Params

SHAPE = (1, 8, 7)


def small_network(seed: int = 0) -> Sequential:
    """A convolution, a rectifier, a pool and a dense layer for images of `SHAPE`."""
    return Sequential(
        Conv2d(1, 2, 3, padding=1), ReLU(), MaxPool2d(2, ceil_mode=True), Flatten(),
        Linear(32, 3), seed=seed,
    )  # fmt: skip


def images(count: int = 4) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, *SHAPE))


# --- Names


def test_layers_are_named_after_their_kind() -> None:
    network = Sequential(
        Conv2d(1, 1, 1), ReLU(), ("second", Conv2d(1, 1, 1)), ReLU(), Conv2d(1, 1, 1),
        Dropout(), MaxPool2d(2), Flatten(), Linear(1, 1),
    )  # fmt: skip
    assert list(network.layers) == [
        "conv1", "relu1", "second", "relu2", "conv3", "dropout1", "maxpool1", "flatten1", "dense1",
    ]  # fmt: skip
    assert list(network.params) == list(network.layers)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sequential(), "Sequential got no layers"),
        (lambda: Sequential(("a", ReLU()), ("a", ReLU())), "two layers are named 'a'"),
        (lambda: Sequential(("relu2", ReLU()), ReLU()), "two layers are named 'relu2'"),
        (lambda: Sequential(("1st", ReLU())), "layer name '1st': use letters"),
        (lambda: Sequential(("a.b", ReLU())), "layer name 'a.b'"),
        (lambda: Sequential("ReLU"), "Sequential got 'ReLU': expected layers such as"),
        (lambda: Sequential(ReLU), "expected layers such as"),
        (lambda: Sequential(("a",)), "Sequential got ('a',)"),
        (lambda: Sequential((3, ReLU())), "Sequential got (3, ReLU())"),
        (lambda: Sequential(Conv2d(1, 10**11, 1000)), "more parameters than fit into memory"),
        (lambda: Sequential(Linear(10**11, 10**11)), "more parameters than fit into memory"),
    ],
)
def test_bad_layers_are_refused(make: Callable[[], Sequential], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_repr_is_the_call_that_makes_it() -> None:
    assert repr(Sequential(Conv2d(1, 2, 3), ReLU())) == (
        "Sequential(Conv2d(in_channels=1, out_channels=2, kernel_size=3, stride=1, padding=0, "
        "dilation=1, groups=1, bias=True, padding_mode='zeros'), ReLU())"
    )


# --- Shapes


def test_shapes_are_given_by_layer() -> None:
    assert small_network().shapes(SHAPE) == {
        "conv1": (2, 8, 7), "relu1": (2, 8, 7), "maxpool1": (2, 4, 4), "flatten1": (32,),
        "dense1": (3,),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("network", "input_shape", "message"),
    [
        (small_network(), (2, 8, 7), "layer conv1: Conv2d(in_channels=1,"),
        (small_network(), (1, 9, 9), "layer dense1: Linear(in_features=32,"),
        (Sequential(("wide", Conv2d(1, 1, 9))), (1, 5, 5), "layer wide: Conv2d("),
        (Sequential(Conv2d(1, 1, 3), Linear(9, 1)), (1, 5, 5), "put Flatten before it"),
        (small_network(), (1, 0, 7), "every length must be at least 1"),
        (small_network(), (), "every length must be at least 1"),
    ],
)
def test_shapes_that_do_not_fit_name_the_layer(
    network: Sequential, input_shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ShapeError) as caught:
        network.shapes(input_shape)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ShapeError):
        network(np.zeros((2, *input_shape)))


# --- Forward and backward


def test_a_batch_is_its_samples_one_by_one() -> None:
    network = small_network()
    batch = network(images())
    alone = np.concatenate([network(images()[b : b + 1]) for b in range(4)])
    np.testing.assert_allclose(batch, alone, rtol=1e-12)


def test_forward_is_its_layers_in_order() -> None:
    network = small_network()
    x = images()
    for name, layer in network:
        x = layer.forward_naive(x, network.params[name])
    np.testing.assert_allclose(network(images()), x, rtol=1e-12)


def test_forward_takes_integers() -> None:
    whole = np.arange(56).reshape(1, *SHAPE) % 5
    np.testing.assert_array_equal(small_network()(whole), small_network()(whole.astype(float)))


def slope(loss: Callable[[], float], array: np.ndarray, index: tuple[int, ...]) -> float:
    """The central difference of `loss` along one number of an array, which is put back."""
    before, step = array[index], 1e-6
    array[index] = before + step
    above = loss()
    array[index] = before - step
    below = loss()
    array[index] = before
    return (above - below) / (2 * step)


def largest_gradient_error(network: Sequential, x: np.ndarray) -> float:
    """How far `backward` lies from central differences, over the input and every parameter."""
    out, caches = network.forward(x)
    grad_output = np.random.default_rng(2).normal(size=out.shape)

    def loss() -> float:
        return float((network(x) * grad_output).sum())

    grad_input, grads = network.backward(grad_output, caches)
    assert {n: set(g) for n, g in grads.items()} == {n: set(p) for n, p in network.params.items()}
    pairs = [(x, grad_input)]
    pairs += [
        (network.params[name][key], grads[name][key]) for name in grads for key in grads[name]
    ]
    return max(
        abs(slope(loss, array, index) - grad[index])
        for array, grad in pairs
        for index in np.ndindex(array.shape)
    )


def test_backward_is_the_slope_of_forward() -> None:
    assert largest_gradient_error(small_network(), images(2)) < 1e-7


def test_a_wrong_gradient_is_found() -> None:
    class StraightThrough(ReLU):
        def backward(
            self, grad_output: Array, cache: Cache, params: Params
        ) -> tuple[Array, dict[str, Array]]:
            return grad_output, {}

    network = small_network()
    network.layers["relu1"] = StraightThrough()
    assert largest_gradient_error(network, images(2)) > 0.01


def test_backward_updates_nothing() -> None:
    network = small_network()
    before = {name: value.copy() for name, value in network.state_dict().items()}
    out, caches = network.forward(images())
    network.backward(np.ones(out.shape), caches)
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


# --- Parameters by name


def test_state_dict_names_every_parameter() -> None:
    assert {name: value.shape for name, value in small_network().state_dict().items()} == {
        "conv1.weight": (2, 1, 3, 3), "conv1.bias": (2,),
        "dense1.weight": (3, 32), "dense1.bias": (3,),
    }  # fmt: skip


def test_load_state_dict_is_the_inverse_of_state_dict() -> None:
    network, other = small_network(0), small_network(1)
    assert not np.array_equal(network(images()), other(images()))
    other.load_state_dict(network.state_dict())
    np.testing.assert_array_equal(network(images()), other(images()))


def test_load_state_dict_copies() -> None:
    network = Sequential(Linear(2, 1, bias=False))
    weight = np.array([[1.0, 2.0]])
    network.load_state_dict({"dense1.weight": weight})
    weight[:] = 9.0
    assert network.params["dense1"]["weight"].tolist() == [[1.0, 2.0]]


def test_load_state_dict_lists_every_problem_and_sets_nothing() -> None:
    network = small_network()
    before = {name: value.copy() for name, value in network.state_dict().items()}
    state = {
        "conv1.weight": np.zeros((2, 1, 3, 3)),
        "conv1.bias": [1.0, float("nan")],
        "dense1.weight": np.zeros((3, 31)),
        "dense2.bias": [0.0],
    }
    with pytest.raises(ShapeError) as caught:
        network.load_state_dict(state)
    assert str(caught.value) == (
        "parameters do not fit the network: conv1.bias holds NaN or infinity; dense1.bias is "
        "missing; dense1.weight has shape (3, 31), expected (3, 32); dense2.bias is unknown"
    )
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("value", ["many", [[1.0], [2.0, 3.0]], [None, 1.0j]])
def test_load_state_dict_takes_numbers_only(value: object) -> None:
    with pytest.raises(ShapeError, match=r"dense1\.weight is not an array of numbers"):
        Sequential(Linear(2, 1, bias=False)).load_state_dict({"dense1.weight": value})


# --- Seeds and noise


def test_a_seed_gives_the_same_parameters_again() -> None:
    first, again, other = (small_network(seed).state_dict() for seed in (3, 3, 4))
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
        assert not np.array_equal(value, other[name])


def test_initial_parameters_lie_within_pytorchs_bound() -> None:
    state = Sequential(Conv2d(2, 50, (3, 4)), seed=0).state_dict()
    bound = 1 / np.sqrt(2 * 3 * 4)
    for value in state.values():
        assert 0.8 * bound < np.abs(value).max() <= bound


def test_noise_is_drawn_for_the_layers_that_need_it() -> None:
    network = Sequential(Conv2d(1, 2, 3), Dropout(0.5), MaxPool2d(2))
    noise = network.draw_noise((1, 6, 5), seed=7)
    assert {name: {k: v.shape for k, v in drawn.items()} for name, drawn in noise.items()} == {
        "conv1": {}, "dropout1": {"random": (1, 2, 4, 3)}, "maxpool1": {},
    }  # fmt: skip
    again = network.draw_noise((1, 6, 5), seed=7)
    np.testing.assert_array_equal(noise["dropout1"]["random"], again["dropout1"]["random"])


def test_forward_drops_with_noise_only() -> None:
    network = Sequential(Dropout(0.5))
    x = np.ones((2, 1, 2, 2))
    np.testing.assert_array_equal(network(x), x)
    random = np.array([[[0.1, 0.9], [0.6, 0.2]]])
    dropped = network(x, {"dropout1": {"random": random}})
    assert dropped.tolist() == [[[[0.0, 2.0], [2.0, 0.0]]]] * 2

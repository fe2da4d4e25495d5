"""Weights are drawn from PyTorch's distributions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import sheetconv as sc
from sheetconv.errors import TrainingError
from sheetconv.training.initialisation import MODES, SCHEMES, gain_after, initialise

#: Activation, PyTorch's name of it, and its slope.
ACTIVATIONS = [
    (sc.ReLU(), "relu", None),
    (sc.LeakyReLU(0.3), "leaky_relu", 0.3),
    (sc.Tanh(), "tanh", None),
    (sc.Sigmoid(), "sigmoid", None),
    (sc.GELU(), "linear", None),
]


def network(activation: sc.Layer, groups: int = 1, seed: int = 0) -> sc.Sequential:
    return sc.Sequential(
        sc.Conv2d(12, 48, (3, 2), groups=groups),
        sc.BatchNorm2d(48),
        activation,
        sc.Flatten(),
        sc.Linear(48 * 6 * 7, 20),
        seed=seed,
    )


def expected(scheme: str, mode: str, gain: float, shape: tuple[int, ...]) -> torch.Tensor:
    """Weights that PyTorch draws; the gain is put on by hand."""
    torch.manual_seed(0)
    # Many times as many, which does not change the fans of a unit.
    draws = []
    for _ in range(max(1, 200_000 // math.prod(shape))):
        tensor = torch.empty(shape, dtype=torch.float64)
        if scheme == "default":
            torch.nn.init.kaiming_uniform_(tensor, a=math.sqrt(5))
        elif scheme == "kaiming-normal":
            torch.nn.init.kaiming_normal_(tensor, mode=mode, nonlinearity="linear")
        elif scheme == "kaiming-uniform":
            torch.nn.init.kaiming_uniform_(tensor, mode=mode, nonlinearity="linear")
        elif scheme == "xavier-normal":
            torch.nn.init.xavier_normal_(tensor)
        else:
            torch.nn.init.xavier_uniform_(tensor)
        draws.append(tensor * (gain if scheme.startswith("kaiming") else 1.0))
    return torch.stack(draws)


def drawn(net: sc.Sequential, name: str, scheme: str, mode: str) -> np.ndarray:
    draws = []
    for seed in range(max(1, 200_000 // net.params[name]["weight"].size)):
        initialise(net, scheme, seed, mode=mode)
        draws.append(net.params[name]["weight"])
    return np.stack(draws)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("groups", [1, 4])
def test_weights_are_drawn_as_pytorch_draws_them(scheme: str, mode: str, groups: int) -> None:
    net = network(sc.ReLU(), groups)
    gains = {"conv1": math.sqrt(2.0), "dense1": 1.0}
    for name, gain in gains.items():
        own = drawn(net, name, scheme, mode)
        judge = expected(scheme, mode, gain, own.shape[1:])
        # The deviation of a deviation of 200,000 numbers is below 0.2 %.
        assert own.std() == pytest.approx(float(judge.std()), rel=0.02)
        assert abs(own.mean()) < 0.02 * own.std()
        kurtosis = np.mean((own / own.std()) ** 4)
        assert kurtosis == pytest.approx(3.0 if scheme.endswith("normal") else 1.8, rel=0.03)
        if not scheme.endswith("normal"):
            assert np.abs(own).max() == pytest.approx(float(judge.abs().max()), rel=1e-3)
            assert own.min() == pytest.approx(-own.max(), rel=1e-3)
        bias = net.params[name]["bias"]
        assert bias.shape == (own.shape[1],)
        assert bias.any() == (scheme == "default")


def test_the_comparison_finds_the_other_fan() -> None:
    net = network(sc.ReLU())
    own = drawn(net, "conv1", "kaiming-normal", "fan_in")
    judge = expected("kaiming-normal", "fan_out", math.sqrt(2.0), own.shape[1:])
    assert own.std() != pytest.approx(float(judge.std()), rel=0.5)


def test_biases_are_pytorchs_by_default() -> None:
    net = sc.Sequential(sc.Linear(100, 50_000))
    initialise(net)
    module = torch.nn.Linear(100, 50_000)
    bias = net.params["dense1"]["bias"]
    assert np.abs(bias).max() == pytest.approx(float(module.bias.detach().abs().max()), rel=1e-3)
    assert bias.std() == pytest.approx(float(module.bias.detach().std()), rel=0.02)


@pytest.mark.parametrize(("activation", "name", "slope"), ACTIVATIONS)
def test_gains_are_pytorchs(activation: sc.Layer, name: Any, slope: float | None) -> None:
    net = network(activation)
    assert gain_after(net, "conv1") == pytest.approx(torch.nn.init.calculate_gain(name, slope))
    assert gain_after(net, "dense1") == 1.0


def test_a_gain_is_not_that_of_a_later_layer() -> None:
    net = sc.Sequential(sc.Conv2d(1, 2, 3), sc.Conv2d(2, 2, 3), sc.MaxPool2d(2), sc.ReLU())
    assert gain_after(net, "conv1") == 1.0
    assert gain_after(net, "conv2") == math.sqrt(2.0)


@pytest.mark.parametrize("scheme", SCHEMES[1:])
def test_a_gain_of_ones_own(scheme: str) -> None:
    one, three = network(sc.Tanh()), network(sc.Tanh())
    initialise(one, scheme, 5, gain=1.0)
    initialise(three, scheme, 5, gain=3.0)
    for name in ("conv1", "dense1"):
        np.testing.assert_allclose(
            three.params[name]["weight"], 3 * one.params[name]["weight"], atol=1e-15
        )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_normalisations_start_again(scheme: str) -> None:
    net = network(sc.ReLU())
    for arrays in (net.params["batchnorm1"], net.buffers["batchnorm1"]):
        for array in arrays.values():
            array += 7
    initialise(net, scheme)
    assert (net.params["batchnorm1"]["weight"] == 1).all()
    assert (net.params["batchnorm1"]["bias"] == 0).all()
    assert (net.buffers["batchnorm1"]["running_mean"] == 0).all()
    assert (net.buffers["batchnorm1"]["running_var"] == 1).all()


def test_what_a_training_set_measured_stays() -> None:
    net = sc.Sequential(sc.Normalize(1), sc.Conv2d(1, 2, 3))
    net.buffers["normalize1"]["mean"] += 0.13
    initialise(net, "kaiming-normal")
    assert net.buffers["normalize1"]["mean"] == 0.13


def test_default_is_what_a_new_network_has() -> None:
    net = network(sc.ReLU(), seed=4)
    new = net.state_dict()
    initialise(net, "kaiming-normal", 4)
    assert not np.array_equal(net.params["conv1"]["weight"], new["conv1.weight"])
    initialise(net, "default", 4)
    for name, array in net.state_dict().items():
        assert np.array_equal(array, new[name])


def test_seeds() -> None:
    weights = []
    for seed in (1, 1, 2, np.random.default_rng(1)):
        net = network(sc.ReLU())
        initialise(net, "xavier-uniform", seed)
        weights.append(net.params["dense1"]["weight"])
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])
    assert np.array_equal(weights[0], weights[3])


def test_layers_without_bias_get_none() -> None:
    net = sc.Sequential(sc.Conv2d(1, 2, 3, bias=False), sc.ReLU())
    initialise(net, "kaiming-uniform")
    assert list(net.params["conv1"]) == ["weight"]
    assert net.params["relu1"] == {}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda net: initialise(net, "kaiming"), "scheme is 'kaiming': expected default, kaiming-"),
        (lambda net: initialise(net, "xavier-norml"), "did you mean xavier-normal?"),
        (lambda net: initialise(net, mode="in"), "mode is 'in': expected fan_in or fan_out"),
        (lambda net: initialise(net, seed=-1), "seed is -1: expected a whole number"),
        (lambda net: initialise(net, gain=0.0), "gain is 0.0: expected a number above 0"),
    ],
)
def test_bad_arguments_are_refused(make: Callable[[Any], Any], said: str) -> None:
    net = network(sc.ReLU())
    before = net.state_dict()
    with pytest.raises(TrainingError) as caught:
        make(net)
    assert said in str(caught.value)
    assert all(net.state_dict()[name] is array for name, array in before.items())

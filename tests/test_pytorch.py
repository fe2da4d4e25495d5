"""PyTorch is the judge: every layer, and random networks, forward and backward in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_layout import Case, cases

from sheetconv import Conv2d, Dropout, InstanceNorm2d, Normalize, Sequential, Softmax
from sheetconv.layers import LAYERS, Example, Layer
from sheetconv.layers.base import Array

TOLERANCE = 1e-10

EXAMPLES = [
    pytest.param(example, id=f"{name}-{number}")
    for name, layer_class in LAYERS.items()
    for number, example in enumerate(layer_class.examples())
    # With random numbers of ours, dropout is another one than with PyTorch's.
    if "random" not in example.params
]


class Normalized(torch.nn.Module):
    """`Normalize`, of which PyTorch has no module: that of `torchvision.transforms`, in batches."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("std", torch.ones(num_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean[:, None, None]).div(self.std[:, None, None])


def in_pytorch(layer: Layer) -> torch.nn.Module:
    """PyTorch's layer of the same name and configuration, in `eval` mode."""
    config = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in layer.config().items()
    }
    name = config.pop("type")
    if isinstance(layer, Conv2d):
        padding = config.pop("padding", 0)
        if isinstance(padding, tuple) and len(padding) == 4:
            pad = {
                "zeros": torch.nn.ZeroPad2d,
                "reflect": torch.nn.ReflectionPad2d,
                "replicate": torch.nn.ReplicationPad2d,
                "circular": torch.nn.CircularPad2d,
            }[config.pop("padding_mode", "zeros")]
            convolution = torch.nn.Conv2d(**config)
            return torch.nn.Sequential(pad(padding), convolution).double().eval()
        config["padding"] = padding
    if isinstance(layer, Dropout):
        config = {"p": layer.p}
    if isinstance(layer, Softmax):
        config = {"dim": layer.dim}
    if isinstance(layer, Normalize):
        return Normalized(**config).double().eval()
    module: torch.nn.Module = getattr(torch.nn, name)(**config)
    return module.double().eval()


def loaded(module: torch.nn.Module, params: dict[str, Array]) -> torch.nn.Module:
    """The module with our parameters and buffers; every one of its own has to be there."""
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        # How many batches were seen says nothing of the output.
        if not name.endswith("num_batches_tracked"):
            with torch.no_grad():
                value.copy_(torch.from_numpy(params[name.rpartition(".")[2]]))
    return module


def assert_close(got: Array, expected: torch.Tensor | None, what: str) -> None:
    assert expected is not None
    np.testing.assert_allclose(
        got, expected.detach().numpy(), rtol=TOLERANCE, atol=TOLERANCE, err_msg=what
    )


def apart(shape: tuple[int, ...], seed: int) -> Array:
    """Random numbers without ties, none of them near zero."""
    size = int(np.prod(shape))
    order = np.random.default_rng(seed).permutation(size)
    return ((order - size // 2 + 0.5) * 0.17).reshape(shape)


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_layer_is_that_of_pytorch(example: Example) -> None:
    layer = example.layer
    x = apart((3, *example.x.shape), 0)
    rng = np.random.default_rng(1)
    params: dict[str, Array] = {
        name: rng.normal(size=value.shape) for name, value in layer.init_params(rng).items()
    }
    probed = layer.probe_settings(rng)
    params |= {name: probed[name] for name in layer.init_buffers()}
    module = loaded(in_pytorch(layer), params)
    theirs = torch.from_numpy(x.copy()).requires_grad_()
    expected = module(theirs)
    out, cache = layer.forward(x, params)
    assert_close(out, expected, "out")
    grad_output = rng.normal(size=out.shape)
    expected.backward(torch.from_numpy(grad_output))
    grad_input, grads = layer.backward(grad_output, cache, params)
    assert_close(grad_input, theirs.grad, "grad_input")
    for name, value in module.named_parameters():
        key = name.rpartition(".")[2]
        assert_close(grads[key], value.grad, key)


def test_a_wrong_layer_is_found() -> None:
    example = Conv2d.examples()[0]
    flipped = {name: value[..., ::-1, :] for name, value in example.params.items()}
    x = apart((1, *example.x.shape), 0)
    expected = loaded(in_pytorch(example.layer), example.params)(torch.from_numpy(x))
    with pytest.raises(AssertionError, match="out"):
        assert_close(example.layer.forward(x, flipped)[0], expected, "out")


def test_defaults_are_those_of_pytorch() -> None:
    given: dict[str, dict[str, Any]] = {
        "Conv2d": {"in_channels": 1, "out_channels": 1, "kernel_size": 1},
        "Linear": {"in_features": 1, "out_features": 1},
        "BatchNorm2d": {"num_features": 1},
        "InstanceNorm2d": {"num_features": 1},
        "MaxPool2d": {"kernel_size": 1},
        "AvgPool2d": {"kernel_size": 1},
        "AdaptiveAvgPool2d": {"output_size": 1},
        "AdaptiveMaxPool2d": {"output_size": 1},
    }
    for name, layer_class in LAYERS.items():
        # PyTorch has no module of that name.
        if layer_class is Normalize:
            continue
        ours = layer_class(**given.get(name, {}))
        theirs = getattr(torch.nn, name)(**given.get(name, {}))
        for key in (
            "stride", "padding", "dilation", "ceil_mode", "p", "negative_slope",
            "eps", "momentum", "affine", "track_running_stats", "approximate",
        ):  # fmt: skip
            if hasattr(ours, key) and getattr(ours, key) is not None:
                wanted = getattr(theirs, key)
                assert np.all(np.equal(getattr(ours, key), wanted)), f"{name}.{key}"
        if hasattr(ours, "bias"):
            assert ours.bias == (theirs.bias is not None)


def network_in_pytorch(network: Sequential) -> list[torch.nn.Module]:
    return [
        loaded(in_pytorch(layer), {**network.params[name], **network.buffers[name]})
        for name, layer in network
    ]


def taken_by_pytorch(case: Case) -> bool:
    """Whether every plane that is normalised by itself has more than the one unit it refuses."""
    before = [case.input_shape, *case.network.shapes(case.input_shape).values()]
    return not any(
        isinstance(layer, InstanceNorm2d) and not layer.track_running_stats and shape[1:] == (1, 1)
        for (_, layer), shape in zip(case.network, before, strict=False)
    )


@given(case=cases(), seed=st.integers(0, 99))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_random_networks_are_those_of_pytorch(case: Case, seed: int) -> None:
    network = case.network
    assume(taken_by_pytorch(case))
    x = apart((2, *case.input_shape), seed)
    out, caches = network.forward(x)
    modules = network_in_pytorch(network)
    theirs = torch.from_numpy(x.copy()).requires_grad_()
    expected = theirs
    for module in modules:
        expected = module(expected)
    assert_close(out, expected, "out")
    grad_output = np.random.default_rng(seed).normal(size=out.shape)
    expected.backward(torch.from_numpy(grad_output))
    grad_input, grads = network.backward(grad_output, caches)
    assert_close(grad_input, theirs.grad, "grad_input")
    for (name, _), module in zip(network, modules, strict=True):
        for key, value in module.named_parameters():
            key = key.rpartition(".")[2]
            assert_close(grads[name][key], value.grad, f"{name}.{key}")

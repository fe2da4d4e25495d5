"""The numbers that a network starts from, where they are to be drawn anew."""

from __future__ import annotations

import math
from math import prod

import numpy as np

from ..errors import TrainingError
from ..layers.base import Array, Elementwise, Layer
from ..layers.conv2d import Conv2d
from ..layers.leaky_relu import LeakyReLU
from ..layers.linear import Linear
from ..layers.normalizing import Normalization2d
from ..layers.relu import ReLU
from ..layers.tanh import Tanh
from ..layers.validation import shown
from ..network import Sequential
from ..spelling import meant, these
from .fields import real, whole

#: How weights can be drawn.
SCHEMES = ("default", "kaiming-normal", "kaiming-uniform", "xavier-normal", "xavier-uniform")
MODES = ("fan_in", "fan_out")


def initialise(
    network: Sequential,
    scheme: str = "default",
    seed: int | np.random.Generator = 0,
    *,
    mode: str = "fan_in",
    gain: float | None = None,
) -> None:
    """Draw all parameters of a network anew.

    ::

        default          uniform in +-1 / sqrt(fan_in), biases too, as a new network has them
        kaiming          standard deviation gain / sqrt(fan)
        xavier           standard deviation gain * sqrt(2 / (fan_in + fan_out))

    A uniform distribution of standard deviation s reaches from -s * sqrt(3) to s * sqrt(3).
    Weights of Conv2d and Linear are drawn; their biases become 0, except with `default`.
    Batch and instance normalisations start at 1 and 0 again, and so do their running
    statistics. fan_in is the number of products in one unit, fan_out that number with the
    output channels in place of the input's, as PyTorch counts them. The arrays in `params` and
    `buffers` are replaced.

    Args:
        network: whose parameters are set.
        scheme: one of `SCHEMES`. Default `default`.
        seed: a whole number, or a generator to draw from. Default 0.
        mode: for Kaiming, which fan: `fan_in` keeps the size of the activations, `fan_out`
            that of the gradients. Default `fan_in`.
        gain: the factor, above 0. Default: for Kaiming that of the activation that follows
            the layer, see `gain_after`; for Xavier 1.

    Raises:
        TrainingError: the scheme or the mode is unknown, or the seed or the gain is out of
            its range.

    Example:
        >>> from sheetconv import Conv2d, ReLU, Sequential
        >>> net = Sequential(Conv2d(8, 400, 3), ReLU())
        >>> initialise(net, "kaiming-normal")
        >>> round(float(net.params["conv1"]["weight"].std()) / math.sqrt(2 / 72), 1)
        1.0
    """
    for what, word, known in (("scheme", scheme, SCHEMES), ("mode", mode, MODES)):
        if word not in known:
            raise TrainingError(
                f"initialise: {what} is {shown(word)}: expected {these(known)}{meant(word, known)}"
            )
    factor = None if gain is None else real("initialise", "gain", gain, above=True)
    if not isinstance(seed, np.random.Generator):
        seed = np.random.default_rng(whole("initialise", "seed", seed, 0))
    for name, layer in network:
        if scheme != "default" and isinstance(layer, Conv2d | Linear):
            own = {key: np.zeros(old.shape) for key, old in network.params[name].items()}
            shape = own["weight"].shape
            usual = 1.0 if scheme.startswith("xavier") else gain_after(network, name)
            deviation = _deviation(shape, scheme, mode) * (usual if factor is None else factor)
            own["weight"] = _drawn(seed, shape, scheme, deviation)
            network.params[name] = own
        else:
            network.params[name] = layer.init_params(seed)
        # Others, as the mean of a training set, are measured and not learned.
        if isinstance(layer, Normalization2d):
            network.buffers[name] = layer.init_buffers()


def gain_after(network: Sequential, name: str) -> float:
    """How much larger the weights of a layer have to be for the activation that follows it.

    It is PyTorch's `calculate_gain`: sqrt(2) for ReLU, sqrt(2 / (1 + negative_slope**2)) for
    LeakyReLU, 5/3 for Tanh, 1 for others and for none. Layers between, such as normalisations
    and poolings, are passed over.

    Args:
        network: the layers.
        name: of a layer with weights.

    Example:
        >>> from sheetconv import Conv2d, MaxPool2d, Sequential, Tanh
        >>> round(gain_after(Sequential(Conv2d(1, 1, 3), MaxPool2d(2), Tanh()), "conv1"), 4)
        1.6667
    """
    names = list(network.layers)
    for follower in names[names.index(name) + 1 :]:
        layer = network.layers[follower]
        if isinstance(layer, Elementwise | Conv2d | Linear):
            return _gain(layer)
    return 1.0


def _gain(layer: Layer) -> float:
    if isinstance(layer, ReLU):
        return math.sqrt(2.0)
    if isinstance(layer, LeakyReLU):
        return math.sqrt(2.0 / (1.0 + layer.negative_slope**2))
    return 5.0 / 3.0 if isinstance(layer, Tanh) else 1.0


def _deviation(shape: tuple[int, ...], scheme: str, mode: str) -> float:
    """The standard deviation for a gain of 1."""
    area = prod(shape[2:])
    fan_in, fan_out = shape[1] * area, shape[0] * area
    if scheme.startswith("xavier"):
        return math.sqrt(2.0 / (fan_in + fan_out))
    return 1.0 / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def _drawn(
    rng: np.random.Generator, shape: tuple[int, ...], scheme: str, deviation: float
) -> Array:
    if scheme.endswith("normal"):
        return rng.normal(0.0, deviation, shape)
    bound = math.sqrt(3.0) * deviation
    return rng.uniform(-bound, bound, shape)

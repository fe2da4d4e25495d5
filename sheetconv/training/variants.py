"""What experiments compare: one network and its options, with one thing different in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ..errors import TrainingError
from ..formulas import Shape
from ..layers import Layer
from ..layers.base import Elementwise
from ..layers.batch_norm2d import BatchNorm2d
from ..layers.conv2d import Conv2d
from ..layers.instance_norm2d import InstanceNorm2d
from ..network import Sequential
from ..spelling import suggestion
from .options import TrainingOptions

Layers = list[tuple[str, Layer]]


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """One side of a comparison.

    Attributes:
        name: what tables, charts and worksheets call it.
        said: what sentences call it, which have it as their subject.
        network: with the numbers that it starts from.
        options: how it is trained.
        notes: what was done to the layers, in sentences. Default: nothing.
    """

    name: str
    said: str
    network: Sequential
    options: TrainingOptions
    notes: tuple[str, ...] = ()


Variants = Callable[[Sequential, Shape, TrainingOptions], tuple[Variant, ...]]


@dataclass(frozen=True, slots=True)
class Experiment:
    """A comparison that has a name.

    Attributes:
        name: on the command line.
        compares: what with what.
        title: above its results.
        variants: makes them from a network, the shape of an image and how it is to be trained.
        sets: the training option that it sets itself. Default: none.
    """

    name: str
    compares: str
    title: str
    variants: Variants
    sets: str = ""


def experiment_named(name: str) -> Experiment:
    """An experiment by its name.

    Raises:
        TrainingError: there is none.

    Example:
        >>> experiment_named("batchnrom")
        Traceback (most recent call last):
        sheetconv.errors.TrainingError: no experiment is named 'batchnrom': did you mean batchnorm?
        Known are batch-size, schedule, batchnorm, norm-position, norm-kind
    """
    if name not in EXPERIMENTS:
        raise TrainingError(
            f"no experiment is named {name!r}{suggestion(str(name), list(EXPERIMENTS))}"
        )
    return EXPERIMENTS[name]


def rebuilt(network: Sequential, layers: Sequence[tuple[str, Layer]]) -> Sequential:
    """A network of other layers, with the numbers of those that are the same.

    Args:
        network: whose numbers these are; they are copied.
        layers: the new ones. What one has that the layer of its name did not have is zero;
            layers of other names start as they do by themselves.

    Example:
        >>> from sheetconv import Conv2d
        >>> plain = Sequential(Conv2d(1, 2, 3, bias=False))
        >>> new = rebuilt(plain, [("conv1", Conv2d(1, 2, 3))])
        >>> bool((new.params["conv1"]["weight"] == plain.params["conv1"]["weight"]).all())
        True
        >>> new.params["conv1"]["bias"].tolist()
        [0.0, 0.0]
    """
    new = Sequential(*layers)
    for mine, theirs in ((new.params, network.params), (new.buffers, network.buffers)):
        for name in new.layers:
            for key, value in mine[name].items() if name in theirs else ():
                old = theirs[name].get(key, np.zeros(0))
                mine[name][key] = old.copy() if old.shape == value.shape else np.zeros(value.shape)
    return new


# --- Options


def _batch_sizes(
    network: Sequential, shape: Shape, options: TrainingOptions
) -> tuple[Variant, ...]:
    layers = list(network)
    return tuple(
        Variant(
            f"batch {size}",
            f"training in batches of {size}",
            rebuilt(network, layers),
            replace(options, batch=size),
        )
        for size in (64, 512)
    )


def _schedules(network: Sequential, shape: Shape, options: TrainingOptions) -> tuple[Variant, ...]:
    layers = list(network)
    # What another schedule is set to is nothing for these.
    plain = replace(options, step_size=None, gamma=None)
    return tuple(
        Variant(name, said, rebuilt(network, layers), replace(plain, schedule=name))
        for name, said in (
            ("constant", "the constant learning rate"),
            ("one-cycle", "the one-cycle schedule"),
        )
    )


# --- Layers


def _batchnorm(network: Sequential, shape: Shape, options: TrainingOptions) -> tuple[Variant, ...]:
    _require_norms(network, "batchnorm compares a network with and without it")
    layers, notes = _without(network, lambda name, layer: isinstance(layer, BatchNorm2d))
    return (
        Variant(
            "without batchnorm",
            "the network without batchnorm",
            rebuilt(network, layers),
            options,
            notes,
        ),
        Variant(
            "with batchnorm",
            "the network with batchnorm",
            rebuilt(network, list(network)),
            options,
        ),
    )


def _norm_position(
    network: Sequential, shape: Shape, options: TrainingOptions
) -> tuple[Variant, ...]:
    _require_norms(network, "norm-position moves it to the other side of the activation")
    before, moved = _swapped(network, norm_first=True)
    after, other = _swapped(network, norm_first=False)
    if not moved and not other:
        raise TrainingError(
            "no BatchNorm2d of the network stands beside an activation, and norm-position swaps "
            "the two: take a template where one does, such as simple-cnn-wide"
        )
    return (
        Variant(
            "norm before activation",
            "batchnorm before the activation",
            rebuilt(network, before),
            options,
            moved,
        ),
        Variant(
            "norm after activation",
            "batchnorm after the activation",
            rebuilt(network, after),
            options,
            other,
        ),
    )


def _norm_kind(network: Sequential, shape: Shape, options: TrainingOptions) -> tuple[Variant, ...]:
    _require_norms(network, "norm-kind puts InstanceNorm2d in its place")
    before = dict(zip(network.layers, [shape, *network.shapes(shape).values()], strict=False))
    single = {
        name
        for name, layer in network
        if isinstance(layer, BatchNorm2d) and prod(before[name][1:]) == 1
    }
    kept, notes = _without(network, lambda name, layer: name in single)
    if single:
        notes += ("A plane of one number has no variance, and so no InstanceNorm2d.",)
    layers: Layers = []
    for name, layer in kept:
        if isinstance(layer, BatchNorm2d):
            # Running statistics of single images would take the sense out of it.
            alike = InstanceNorm2d(layer.num_features, layer.eps, layer.momentum, affine=True)
            taken = {*network.layers, *(other for other, _ in layers)}
            layers.append((_free_name(alike.stem, taken), alike))
        else:
            layers.append((name, layer))
    return (
        Variant("batch norm", "batch normalisation", rebuilt(network, list(network)), options),
        Variant(
            "instance norm", "instance normalisation", rebuilt(network, layers), options, notes
        ),
    )


def _require_norms(network: Sequential, why: str) -> None:
    if not any(isinstance(layer, BatchNorm2d) for _, layer in network):
        raise TrainingError(
            f"the network has no BatchNorm2d, and {why}: take a template that has some, such as "
            "simple-cnn-wide"
        )


def _without(
    network: Sequential, dropped: Callable[[str, Layer], bool]
) -> tuple[Layers, tuple[str, ...]]:
    """The layers without some normalisations, and sentences that say so.

    A convolution in front that left its bias to the normalisation gets one, which is zero.
    """
    layers: Layers = []
    gone: list[str] = []
    biased: list[str] = []
    for name, layer in network:
        if not dropped(name, layer):
            layers.append((name, layer))
            continue
        gone.append(name)
        before, last = layers[-1] if layers else ("", layer)
        if isinstance(last, Conv2d) and not last.bias:
            layers[-1] = (before, replace(last, bias=True))
            biased.append(before)
    notes = [f"{_listed(gone)} left out."] if gone else []
    if biased:
        notes.append(f"{_listed(biased)} {'has' if len(biased) == 1 else 'have'} a bias instead.")
    return layers, tuple(notes)


def _swapped(network: Sequential, *, norm_first: bool) -> tuple[Layers, tuple[str, ...]]:
    """Each batch normalisation and the activation beside it in one order, and what changed.

    A last activation gives the network's answer, and stays the last.
    """
    layers = list(network)
    moved: list[str] = []
    at = 0
    while at + 1 < len(layers):
        one, other = layers[at][1], layers[at + 1][1]
        norm, activation = (other, one) if norm_first else (one, other)
        paired = isinstance(norm, BatchNorm2d) and isinstance(activation, Elementwise)
        if paired and (norm_first or at + 2 < len(layers)):
            moved.append(layers[at + 1 if norm_first else at][0])
            layers[at], layers[at + 1] = layers[at + 1], layers[at]
            at += 1
        at += 1
    where = "before" if norm_first else "behind"
    return layers, (f"{_listed(moved)} moved {where} the activation.",) if moved else ()


def _free_name(stem: str, taken: set[str]) -> str:
    number = 1
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


#: Name -> experiment, in the order in which fast.ai's book comes to them.
EXPERIMENTS: dict[str, Experiment] = {
    item.name: item
    for item in (
        Experiment(
            "batch-size",
            "batches of 64 images against batches of 512",
            "Small batches or large ones",
            _batch_sizes,
            "batch",
        ),
        Experiment(
            "schedule",
            "a constant learning rate against one-cycle",
            "A constant learning rate or one cycle",
            _schedules,
            "schedule",
        ),
        Experiment(
            "batchnorm",
            "the network without its batch normalisations against the network with them",
            "Without batch normalisation or with it",
            _batchnorm,
        ),
        Experiment(
            "norm-position",
            "batch normalisation before the activation against after it",
            "Batch normalisation before the activation or after it",
            _norm_position,
        ),
        Experiment(
            "norm-kind",
            "batch normalisation against instance normalisation",
            "Batch or instance normalisation",
            _norm_kind,
        ),
    )
}

"""Probes: numbers under which a wrong formula shows, whatever the workbook's own hide.

With the workbook's own numbers a wrong reference may hide among zeros, behind a rectifier
that lets nothing through, or beside the maximum of a window. A probe therefore tests
every stage by itself: the tensor that it reads is overwritten with random numbers, be it
made of formulas or not. As a stage that is overwritten cannot be tested, each probe runs
in two rounds, in which every other stage is.

The second probe is the first with the sign of every sum turned, so that each rectifier is
seen on both sides. Where a unit shows only the largest of what it reads, the units of its
window are the largest in turn, which takes more probes; the weights are then those of the
first again, as writing them takes longer than anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from ..description import Described
from ..formulas import Role, Shape
from ..layers.base import Array
from ..layout import Stage
from ..tensor_cells import given_roles

#: Of windows of more units than this, so many are the largest in turn, from first to last.
MOST_UNITS = 16


def needed(described: Described) -> int:
    """How many probes show every cell that the network's formulas read.

    One for each unit of the largest window of which only the largest unit shows, up to
    `MOST_UNITS`, twice as many where a rectifier is fused behind it; and two at least.
    """
    return max(_needed(described, stage) for stage in described.layout.stages)


def _needed(described: Described, stage: Stage) -> int:
    units = min(prod(_window(described, stage)), MOST_UNITS)
    return max(2, units * (2 if stage.fused else 1)) if units > 1 else 2


def tested(described: Described, turn: int) -> list[Stage]:
    """The stages that a round tests.

    Args:
        described: the network.
        turn: 0 or 1; the other stages' outputs are overwritten.
    """
    return list(described.layout.stages[turn::2])


def draw(
    described: Described, given: Mapping[str, Array], probe: int, turn: int
) -> dict[str, Array]:
    """The numbers of one round of a probe, by full tensor name.

    Args:
        described: the network.
        given: the workbook's own image, weights and settings.
        probe: its number, from 0; it seeds the random numbers.
        turn: 0 or 1, as for `tested`.
    """
    turned = probe == 1
    rng = np.random.default_rng(0)
    numbers = dict(given)
    for name in given_roles(described, Role.PARAM):
        # Scaled by their number for each output, so that sums stay near 1.
        shape = numbers[name].shape
        terms = max(1, prod(shape) // max(1, shape[0] if shape else 1))
        numbers[name] = _signed(rng, shape) / terms * (-1 if turned else 1)
    for name, layer in described.network:
        for key, value in layer.probe_settings(rng).items():
            numbers[f"{name}.{key}"] = value
    rng = np.random.default_rng(probe // 2)
    for stage in described.layout.stages:
        overwritten = stage.source != "input" and stage in tested(described, turn)
        if stage.source == "input" or overwritten:
            placed = described.layout.placed[stage.source]
            window = _window(described, stage)
            if prod(window) > 1:
                rounds = probe // min(prod(window), MOST_UNITS)
                below = bool(stage.fused) and rounds % 2 == 1
                is_vector = len(stage.input_shape) == 1
                largest = _in_turn(rng, placed.shape, window, probe, below, is_vector=is_vector)
                numbers[stage.source] = largest
            else:
                # Weights turn the sign of a sum; where there are none, the input does.
                sign = -1 if turned and not _has_weights(described, stage) else 1
                numbers[stage.source] = sign * _signed(rng, placed.shape)
    return numbers


def _window(described: Described, stage: Stage) -> tuple[int, int]:
    return described.network.layers[stage.name].probe_window(stage.input_shape)


def _has_weights(described: Described, stage: Stage) -> bool:
    params = given_roles(described, Role.PARAM)
    return any(name.startswith(f"{stage.name}.") for name in params)


def _signed(rng: np.random.Generator, shape: Shape) -> Array:
    """Random numbers of both signs, none of them near zero."""
    signed: Array = rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)
    return signed


def _in_turn(
    rng: np.random.Generator,
    shape: Shape,
    window: tuple[int, int],
    probe: int,
    below: bool,
    *,
    is_vector: bool,
) -> Array:
    """Random numbers of which, in every window, another unit is the largest in each probe.

    Whole numbers count the units of a window, and less than 1 is random. With `below` all
    are negative, for a rectifier behind the maximum. Of a vector, which may stand on
    planes, all units are one window.
    """
    height, width = window
    units = height * width
    turns = min(units, MOST_UNITS)
    largest = probe % turns * (units - 1) // max(1, turns - 1)
    # The batch comes first.
    one = shape[1:]
    if is_vector:
        number = np.arange(units).reshape(one)
    else:
        rows, columns = np.ogrid[: one[-2], : one[-1]]
        number = rows % height * width + columns % width
    rank = (number - largest - 1) % units
    values: Array = rank + rng.uniform(0.0, 0.9, shape)
    if below:
        values = values - (units + 1)
    return values

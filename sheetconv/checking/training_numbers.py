"""The numbers of a training that a person may change: whether they can be used, and others.

A step cannot be computed from a batch number beyond the data, a class that there is not, or an
optimiser's setting out of its range: a check says which cell it is instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..cell_training.places import Places, own_settings
from ..cells import Cell
from ..errors import TrainingError
from ..formulas import Placed
from ..layers.base import Array
from ..tensor_cells import cell_of
from ..values import Value
from .comparing import shown_value
from .results import NUMBERS, WrongCell

# What says how a step is repeated.
_DRIVING = ("0 run", "0 reset", "0 period")
# Steps beyond these are typed by mistake.
_MOST = 10**9


@dataclass(frozen=True, slots=True)
class Read:
    """What a workbook or an engine shows of a training.

    Attributes:
        numbers: name -> flat numbers, NaN where there is none.
        odd: name -> flat index -> what is no number.
    """

    numbers: dict[str, Array]
    odd: dict[str, dict[int, Value]]


def unusable(
    places: Places, placed: Mapping[str, Placed], given: Collection[str], read: Read
) -> Iterator[WrongCell]:
    """The cells of a person from whose numbers no step can be computed.

    Args:
        places: where everything stands.
        placed: name -> cells, of all that is given.
        given: names of the numbers of a person.
        read: what they are.
    """
    found = [
        wrong_kind(cell_of(placed[name], index), value, "a number")
        for name in given
        for index, value in read.odd[name].items()
    ]
    # Of what is no number nothing else can be said.
    yield from found or _out_of_range(places, placed, read)


def wrong_kind(cell: Cell, value: Value, expected: str) -> WrongCell:
    """A cell that holds the wrong kind of thing.

    Args:
        cell: where.
        value: what it holds.
        expected: what should stand there, in words.
    """
    reason = f"{shown_value(value)} stands where {expected} is expected"
    return WrongCell(cell, NUMBERS, "file", value, None, 0.0, reason)


def _out_of_range(places: Places, placed: Mapping[str, Placed], read: Read) -> Iterator[WrongCell]:
    training = places.training

    def value(name: str) -> float:
        return float(read.numbers[name][0])

    def wrong(name: str, index: int, expected: str) -> WrongCell:
        cell = cell_of(placed[name], index)
        return wrong_kind(cell, float(read.numbers[name][index]), expected)

    limits = {"0 number": (0, _MOST), "setting total": (1, _MOST)}
    limits["setting batches"] = (1, training.batches)
    if training.iterate:
        limits["0 first"] = limits["0 number"]
    for name, (least, most) in limits.items():
        if not least <= value(name) <= most or value(name) % 1:
            yield wrong(name, 0, f"a whole number from {least:,} to {most:,}")
    for name in own_settings(training.settings):
        try:
            training.optimiser.with_cells({name: value(f"setting {name}")})
        except TrainingError as error:
            yield wrong(f"setting {name}", 0, f"a number that the optimiser takes ({error})")
    try:
        training.schedule.at(0, 1, 0, value("setting lr"))
    except TrainingError as error:
        yield wrong("setting lr", 0, f"a number that the schedule takes ({error})")
    yield from _targets(places, placed, read)


def _targets(places: Places, placed: Mapping[str, Placed], read: Read) -> Iterator[WrongCell]:
    training, name = places.training, "data targets"
    numbers = read.numbers[name].reshape(placed[name].shape)
    if training.targets.ndim == 1:
        last = training.outputs - 1
        for row, number in enumerate(numbers[:, 0].tolist()):
            if number % 1 or not 0 <= number <= last:
                cell = cell_of(placed[name], row)
                yield wrong_kind(cell, number, f"the number of a class, 0 to {last},")
        return
    for index, number in enumerate(read.numbers[name].tolist()):
        try:
            training.loss.check_targets(np.full((1, training.outputs), number), training.outputs)
        except TrainingError as error:
            yield wrong_kind(cell_of(placed[name], index), number, f"a target ({error})")


def random_numbers(
    places: Places,
    placed: Mapping[str, Placed],
    given: Collection[str],
    read: Read,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Other numbers for all that a person may change, by name.

    A reference to a wrong cell cannot hide behind zeros, or cells that are alike.

    Args:
        places: where everything stands.
        placed: name -> cells, of all that is given.
        given: names of the numbers of a person.
        read: what they are.
        rng: of the numbers.
    """
    training = places.training
    # Where steps are repeated weights begin as others say.
    begins = ".start" if training.iterate else ""
    weights = {f"0 {layer}.{key}{begins}" for layer, key in training.learned}
    found = {}
    for name in given:
        shape, numbers = placed[name].shape, read.numbers[name]
        if name in ("0 number", "0 first"):
            found[name] = np.array(float(rng.integers(1, 5)))
        elif name in ("setting total", "setting batches", *_DRIVING):
            continue
        elif name == "data targets":
            found[name] = rng.random(shape)
            if training.targets.ndim == 1:
                found[name] = rng.integers(0, training.outputs, shape).astype(np.float64)
        elif name in weights or name.startswith(("data ", "line ")):
            # As large as they were: what diverges shows nothing.
            size = float(np.nan_to_num(numbers).std()) or 0.1
            found[name] = float(np.nan_to_num(numbers).mean()) + size * rng.normal(size=shape)
        elif name.endswith((".was", ".start")):
            # Means of squares cannot be negative, nor less than squares of means.
            found[name] = rng.uniform(1.0, 2.0, shape) if "sq" in name else rng.random(shape)
        else:
            # Settings and numbers of layers, which stay within their limits.
            found[name] = 0.9 * np.nan_to_num(numbers).reshape(shape) + 0.01
    return found

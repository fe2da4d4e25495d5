"""Which parts of the flat vector learn, and how fast."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..errors import TrainingError
from ..network import Sequential
from ..spelling import suggestion
from .engine import FlatParameters
from .fields import real


@dataclass(frozen=True, slots=True)
class Segment:
    """Neighbours in the flat vector that learn alike.

    Attributes:
        place: where they stand.
        factor: what the learning rate is multiplied by.
    """

    place: slice
    factor: float


def segments(
    parameters: FlatParameters, frozen: Collection[str], factors: Mapping[str, float]
) -> list[Segment]:
    """The parts of the flat vector that learn.

    Args:
        parameters: the vector.
        frozen: layers that do not.
        factors: layer -> factor of the learning rate. Default of the others: 1.

    Example:
        >>> import numpy as np
        >>> from sheetconv import Linear, Sequential
        >>> flat = FlatParameters(Sequential(Linear(3, 2), Linear(2, 1)), np.float32)
        >>> for part in segments(flat, (), {"dense2": 0.1}):
        ...     print(part.place.start, part.place.stop, part.factor)
        0 8 1.0
        8 11 0.1
    """
    found: list[Segment] = []
    for name in parameters.places:
        place, factor = parameters.place(name), float(factors.get(name, 1.0))
        if name in frozen or place.start == place.stop:
            continue
        if found and found[-1].place.stop == place.start and found[-1].factor == factor:
            place = slice(found.pop().place.start, place.stop)
        found.append(Segment(place, factor))
    return found


def layers_named(network: Sequential, names: Collection[str], what: str) -> tuple[str, ...]:
    """Layers by their names, or by the beginning that all of a kind have: `batchnorm`.

    Args:
        network: whose layers.
        names: names, or stems such as conv, batchnorm, dense.
        what: for the error: which option names them.

    Raises:
        TrainingError: a name is neither.

    Example:
        >>> from sheetconv import Conv2d, ReLU, Sequential
        >>> layers_named(Sequential(Conv2d(1, 1, 1), ReLU(), Conv2d(1, 1, 1)), ["conv"], "frozen")
        ('conv1', 'conv2')
    """
    stems = {name: layer.stem for name, layer in network}
    chosen: list[str] = []
    for name in names:
        own = [known for known, stem in stems.items() if name in (known, stem)]
        if not own:
            known = [*stems, *dict.fromkeys(stems.values())]
            raise TrainingError(f"{what}: no layer is named {name!r}{suggestion(name, known)}")
        chosen += own
    return tuple(dict.fromkeys(chosen))


def checked_factors(network: Sequential, factors: Mapping[str, float]) -> dict[str, float]:
    """Factors of the learning rate by layer.

    Args:
        network: whose layers.
        factors: name or stem -> factor, at least 0.

    Raises:
        TrainingError: a name is no layer's, or a factor is no number of at least 0.
    """
    checked: dict[str, float] = {}
    for name, factor in factors.items():
        value = real("learning rates", name, factor, low=0.0)
        checked |= dict.fromkeys(layers_named(network, [name], "learning rates"), value)
    return checked

"""The optimisers: how a step moves the parameters along their gradients."""

from __future__ import annotations

from typing import Any

from ..fields import named
from .adam import Adam, AdamW
from .base import Optimiser
from .rmsprop import RMSprop
from .sgd import SGD

#: Every optimiser by its name.
OPTIMISERS: dict[str, type[Optimiser]] = {kind.name: kind for kind in (SGD, RMSprop, Adam, AdamW)}


def optimiser_named(name: str, **given: Any) -> Optimiser:
    """An optimiser by its name.

    Args:
        name: one of `OPTIMISERS`.
        given: its fields; the others have their defaults.

    Raises:
        TrainingError: the name or a field is unknown, with a guess at what was meant, or a
            field is out of its range.

    Example:
        >>> optimiser_named("sgd", lr=0.1, momentum=0.9)
        SGD(lr=0.1, momentum=0.9, dampening=0.0, weight_decay=0.0, nesterov=False)
        >>> optimiser_named("adm")
        Traceback (most recent call last):
        sheetconv.errors.TrainingError: optimiser 'adm' is unknown: did you mean adam? Known are
        sgd, rmsprop, adam, adamw
    """
    return named("optimiser", OPTIMISERS, name, given)


__all__ = ["OPTIMISERS", "SGD", "Adam", "AdamW", "Optimiser", "RMSprop", "optimiser_named"]

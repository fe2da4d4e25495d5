"""The losses: how far the scores of a batch lie off, and which way they should go."""

from __future__ import annotations

from typing import Any

from ..fields import named
from .base import Loss, LossView, Targets
from .bce import BCEWithLogits
from .cross_entropy import CrossEntropy
from .mse import MSE

#: Every loss by its name.
LOSSES: dict[str, type[Loss]] = {kind.name: kind for kind in (CrossEntropy, BCEWithLogits, MSE)}


def loss_named(name: str, **given: Any) -> Loss:
    """A loss by its name.

    Args:
        name: one of `LOSSES`.
        given: its fields; the others have their defaults.

    Raises:
        TrainingError: the name or a field is unknown, with a guess at what was meant, or a
            field is out of its range.

    Example:
        >>> loss_named("cross-entropy", label_smoothing=0.1)
        CrossEntropy(label_smoothing=0.1)
    """
    return named("loss", LOSSES, name, given)


__all__ = [
    "LOSSES",
    "MSE",
    "BCEWithLogits",
    "CrossEntropy",
    "Loss",
    "LossView",
    "Targets",
    "loss_named",
]

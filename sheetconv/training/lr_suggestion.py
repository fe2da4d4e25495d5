"""What the learning-rate finder suggests, given how the loss went while the rate rose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import TrainingError
from ..layers.base import Array
from ..layers.validation import numbers, shown
from ..spelling import meant, these
from .fields import whole


def suggest_lr(
    lrs: Any, losses: Any, method: str = "valley", *, skip_start: int = 10, skip_end: int = 5
) -> float:
    """A learning rate to train with, as fast.ai's `lr_find` suggests it.

    ::

        valley     near the middle of the longest valley: of the longest run of points, not
                   necessarily neighbours, of which each loss is below all before it. The
                   valley ends with the run and has as many points as it, and a third and a
                   sixth of them, each rounded down, come before the one that is suggested.
        steep      where the loss falls most steeply against the logarithm of the rate
        minimum    a tenth of the rate of the lowest loss

    The first points, at which the mean of the losses is not yet settled, and the last, where
    the loss explodes, are left out; so is all that follows the first NaN or infinite loss.

    Args:
        lrs: (n,) the learning rates of the sweep, rising.
        losses: (n,) the loss of each batch, smoothed.
        method: `valley`, `steep` or `minimum`. Default `valley`.
        skip_start: how many points are left out at the start; fast.ai takes a tenth of the
            sweep. Default 10.
        skip_end: how many are left out at the end. Default 5.

    Raises:
        TrainingError: the loss never fell, too few points are left, or the method is unknown.

    Example:
        >>> lrs = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10]
        >>> losses = [2.3, 2.3, 2.2, 1.9, 1.2, 0.9, 4.0, 90.0]
        >>> [suggest_lr(lrs, losses, method, skip_start=0, skip_end=1) for method in SUGGESTIONS]
        [1e-05, 0.001, 0.01]
    """
    known = list(SUGGESTIONS)
    if method not in known:
        raise TrainingError(
            f"suggest_lr: method is {shown(method)}: expected {these(known)}{meant(method, known)}"
        )
    first = whole("suggest_lr", "skip_start", skip_start, 0)
    last = whole("suggest_lr", "skip_end", skip_end, 0)
    rates, course = _vector("lrs", lrs), _vector("losses", losses)
    if len(rates) != len(course):
        raise TrainingError(
            f"suggest_lr: there are {len(rates)} learning rates and {len(course)} losses: "
            "expected as many of each"
        )
    if not (rates > 0).all() or not (np.diff(rates) > 0).all():
        raise TrainingError("suggest_lr: lrs do not rise: expected numbers above 0, each higher")
    rates, course = rates[first : len(rates) - last], course[first : len(course) - last]
    broken = np.flatnonzero(~np.isfinite(course))
    if len(broken):
        rates, course = rates[: broken[0]], course[: broken[0]]
    if len(rates) < 2:
        raise TrainingError(
            f"suggest_lr: {len(rates)} points of the sweep can be used: expected at least 2; "
            "sweep over more batches, or from a lower learning rate"
        )
    if not (np.diff(course) < 0).any():
        raise TrainingError(
            f"suggest_lr: the loss never fell between the learning rates {rates[0]:.3g} and "
            f"{rates[-1]:.3g}: sweep from a lower one, or over more batches"
        )
    return SUGGESTIONS[method](rates, course)


def _vector(name: str, value: Any) -> Array:
    try:
        vector = numbers(value)
    except ValueError:
        vector = np.empty((0, 0))
    if vector.ndim != 1:
        raise TrainingError(f"suggest_lr: {name} are {shown(value)}: expected a list of numbers")
    return vector


def _valley(rates: Array, losses: Array) -> float:
    # How many points the longest falling run has that ends at each.
    lengths = np.ones(len(losses), int)
    for point in range(1, len(losses)):
        before = lengths[:point][losses[:point] > losses[point]]
        lengths[point] += before.max(initial=0)
    end = int(lengths.argmax())
    start = end - int(lengths[end])
    third = (end - start) / 3
    # A valley of the first two points begins a point before them.
    return float(rates[max(start + int(third) + int(third / 2), 0)])


def _steep(rates: Array, losses: Array) -> float:
    slopes = np.diff(losses) / np.diff(np.log(rates))
    return float(rates[slopes.argmin()])


def _minimum(rates: Array, losses: Array) -> float:
    return float(rates[losses.argmin()]) / 10


#: The ways to suggest a learning rate, by their names.
SUGGESTIONS: dict[str, Callable[[Array, Array], float]] = {
    "valley": _valley,
    "steep": _steep,
    "minimum": _minimum,
}

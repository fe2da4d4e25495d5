"""Checks of the fields of optimisers, schedules and losses: one clear TrainingError each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from ..layers.validation import shown
from ..spelling import suggestion

#: Arrays of the trainer: float32 or float64 throughout.
Numbers = NDArray[Any]

Chosen = TypeVar("Chosen")


def real(
    owner: str,
    field: str,
    value: Any,
    low: float = 0.0,
    high: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
) -> float:
    """A finite number within its limits, as Python's own float.

    Args:
        owner: whose field it is, for the error.
        field: its name, for the error.
        value: what was given.
        low: the least that it may be. Default 0.
        high: the most that it may be. Default: any number.
        above: refuse `low` itself, where there is no `high`. Default False.
        below: refuse `high` itself. Default False.

    Raises:
        TrainingError: it is none.

    Example:
        >>> real("SGD", "momentum", 0.5, high=1, below=True)
        0.5
        >>> real("SGD", "momentum", 1, high=1, below=True)
        Traceback (most recent call last):
        sheetconv.errors.TrainingError: SGD: momentum is 1: expected a number from 0 to below 1
    """
    result = math.nan
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        with suppress(OverflowError):
            result = float(value)
    fits = low < result if above else low <= result
    if not fits or not (result < high if below or high == math.inf else result <= high):
        limits = f"from {low:g} to {'below ' if below else ''}{high:g}"
        if high == math.inf:
            limits = f"above {low:g}" if above else f"of at least {low:g}"
        raise TrainingError(f"{owner}: {field} is {shown(value)}: expected a number {limits}")
    return result


def factors(owner: str, field: str, value: Any, count: int) -> tuple[float, ...]:
    """So many numbers from 0 to below 1: the factors of running means.

    Raises:
        TrainingError: one is out of that range, or they are not so many.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != count:
        raise TrainingError(
            f"{owner}: {field} is {shown(value)}: expected {count} numbers from 0 to below 1"
        )
    return tuple(real(owner, field, item, high=1, below=True) for item in value)


def whole(owner: str, field: str, value: Any, at_least: int) -> int:
    """A whole number, as Python's own.

    Raises:
        TrainingError: it is none, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < at_least:
        raise TrainingError(
            f"{owner}: {field} is {shown(value)}: expected a whole number of at least {at_least}"
        )
    return int(value)


def flag(owner: str, field: str, value: Any) -> bool:
    """What is true or false.

    Raises:
        TrainingError: it is something else.
    """
    if not isinstance(value, bool):
        raise TrainingError(f"{owner}: {field} is {shown(value)}: expected true or false")
    return value


def named(
    what: str, known: Mapping[str, type[Chosen]], name: Any, given: Mapping[str, Any]
) -> Chosen:
    """What goes by a name, with the fields that are given; the others have their defaults.

    Args:
        what: kind of thing, for the error.
        known: name -> class, a dataclass.
        name: the one that is wanted.
        given: field -> value; a list becomes a tuple.

    Raises:
        TrainingError: the name or a field is unknown, a field is missing, or it has a value
            that the class refuses.
    """
    if not isinstance(name, str) or name not in known:
        raise TrainingError(
            f"{what} {shown(name)} is unknown{suggestion(shown(name), list(known))}"
        )
    kind = known[name]
    own = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for field in given:
        if field not in own:
            those = suggestion(field, list(own)) if own else ": it has none, leave it out"
            raise TrainingError(f"{what} {name!r} has no field {shown(field)}{those}")
    for field, item in own.items():
        if item.default is MISSING and field not in given:
            raise TrainingError(f"{what} {name!r} needs the field {field!r}")
    values = {key: tuple(item) if isinstance(item, list) else item for key, item in given.items()}
    return kind(**values)


def store(item: Any, **values: Any) -> None:
    """Set fields of a frozen dataclass during its `__post_init__`."""
    for field, value in values.items():
        object.__setattr__(item, field, value)

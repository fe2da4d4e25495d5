"""Checks of the fields of layers: one clear ShapeError each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..spelling import meant, these

#: The largest whole number of a layer: beyond every limit of a worksheet, and one that the
#: workbook's description holds.
LARGEST = 10**12 - 1


def whole(layer: str, field: str, value: Any, at_least: int) -> int:
    """An integer field, checked.

    Raises:
        ShapeError: it is no integer, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < at_least:
        raise ShapeError(
            f"{layer}: {field} is {value!r}: expected a whole number of at least {at_least}"
        )
    if value > LARGEST:
        raise ShapeError(f"{layer}: {field} is beyond {LARGEST:,}, far more than a worksheet holds")
    return int(value)


def pair(layer: str, field: str, value: Any, at_least: int) -> tuple[int, int]:
    """A field that is an integer or a (height, width) pair, as a pair.

    Raises:
        ShapeError: it is neither, or too small.
    """
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else (value, value)
    if len(values) != 2:
        raise ShapeError(
            f"{layer}: {field} is {value!r}: expected a whole number or a pair (height, width)"
        )
    return (whole(layer, field, values[0], at_least), whole(layer, field, values[1], at_least))


def four_sides(layer: str, field: str, value: Any) -> tuple[int, int, int, int]:
    """A padding as (left, right, top, bottom), the order of PyTorch's `ZeroPad2d`.

    Args:
        layer: the layer's name, for the error.
        field: the field's name, for the error.
        value: an integer, a (height, width) pair, or the four sides.

    Raises:
        ShapeError: it is none of these.
    """
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 4:
        left, right, top, bottom = (whole(layer, field, v, 0) for v in value)
        return (left, right, top, bottom)
    try:
        height, width = pair(layer, field, value, 0)
    except ShapeError:
        raise ShapeError(
            f"{layer}: {field} is {value!r}: expected a whole number, a pair (height, width), "
            "or four sides (left, right, top, bottom)"
        ) from None
    return (width, width, height, height)


def flag(layer: str, field: str, value: Any) -> bool:
    """A field that is true or false, checked.

    Raises:
        ShapeError: it is something else.
    """
    if not isinstance(value, bool):
        raise ShapeError(f"{layer}: {field} is {value!r}: expected true or false")
    return value


def one_of(layer: str, field: str, value: Any, allowed: Sequence[str]) -> str:
    """A field that is one of a few words, checked.

    Raises:
        ShapeError: it is something else.
    """
    if value not in allowed:
        raise ShapeError(
            f"{layer}: {field} is {value!r}: expected {these(allowed)}{meant(value, allowed)}"
        )
    return str(value)

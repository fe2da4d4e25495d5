"""Checks of the fields of layers: one clear ShapeError each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeError
from ..spelling import meant, these

#: The largest whole number of a layer: beyond every limit of a worksheet, and one that the
#: workbook's description holds.
LARGEST = 10**12 - 1


#: Of a value that is refused, an error shows at most so many characters.
_MOST_SHOWN = 60


def shown(value: Any) -> str:
    """A value of any kind, for an error of one line.

    Example:
        >>> shown([1, "a"]), len(shown("x" * 1000))
        ("[1, 'a']", 60)
    """
    try:
        text = " ".join(repr(value).split())
    # Python writes no number of thousands of digits, and lists only so deep.
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def numbers(value: Any) -> NDArray[np.float64]:
    """An array of real numbers, as float64: what was given, or a copy.

    Raises:
        ValueError: it is not one.

    Example:
        >>> numbers([[1, True]])
        array([[1., 1.]])
    """
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biufO":
            raise ValueError(f"{array.dtype} is no kind of real numbers")
        # What is beyond a double becomes infinite.
        with np.errstate(over="ignore"):
            return array.astype(np.float64, copy=False)
    # A tensor of PyTorch that waits for its gradient gives a RuntimeError.
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise ValueError(f"not an array of numbers: {error}") from None


def whole(layer: str, field: str, value: Any, at_least: int) -> int:
    """An integer field, checked.

    Raises:
        ShapeError: it is no integer, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < at_least:
        raise ShapeError(
            f"{layer}: {field} is {shown(value)}: expected a whole number of at least {at_least}"
        )
    if value > LARGEST:
        raise ShapeError(f"{layer}: {field} is beyond {LARGEST:,}, far more than a worksheet holds")
    return int(value)


def pair(layer: str, field: str, value: Any, at_least: int) -> tuple[int, int]:
    """A field that is an integer or a (height, width) pair, as a pair.

    Raises:
        ShapeError: it is neither, or too small.
    """
    values = value if _is_list(value) else (value, value)
    if len(values) != 2:
        raise ShapeError(
            f"{layer}: {field} is {shown(value)}: expected a whole number or a pair (height, width)"
        )
    return (whole(layer, field, values[0], at_least), whole(layer, field, values[1], at_least))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def four_sides(layer: str, field: str, value: Any) -> tuple[int, int, int, int]:
    """A padding as (left, right, top, bottom), the order of PyTorch's `ZeroPad2d`.

    Args:
        layer: the layer's name, for the error.
        field: the field's name, for the error.
        value: an integer, a (height, width) pair, or the four sides.

    Raises:
        ShapeError: it is none of these.
    """
    if _is_list(value) and len(value) == 4:
        left, right, top, bottom = (whole(layer, field, v, 0) for v in value)
        return (left, right, top, bottom)
    try:
        height, width = pair(layer, field, value, 0)
    except ShapeError:
        raise ShapeError(
            f"{layer}: {field} is {shown(value)}: expected a whole number, a pair (height, width), "
            "or four sides (left, right, top, bottom)"
        ) from None
    return (width, width, height, height)


def flag(layer: str, field: str, value: Any) -> bool:
    """A field that is true or false, checked.

    Raises:
        ShapeError: it is something else.
    """
    if not isinstance(value, bool):
        raise ShapeError(f"{layer}: {field} is {shown(value)}: expected true or false")
    return value


def one_of(layer: str, field: str, value: Any, allowed: Sequence[str]) -> str:
    """A field that is one of a few words, checked.

    Raises:
        ShapeError: it is something else.
    """
    if not isinstance(value, str) or value not in allowed:
        raise ShapeError(
            f"{layer}: {field} is {shown(value)}: expected {these(allowed)}{meant(value, allowed)}"
        )
    return str(value)

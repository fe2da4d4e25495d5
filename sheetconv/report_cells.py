"""The columns of a frame as cells: what is a number, what a text, and how wide it is shown."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .layers.base import Array

if TYPE_CHECKING:
    import pandas as pd

#: Excel's numbers are doubles: whole ones beyond this are no longer told apart.
_LARGEST_WHOLE = 2**53
_WIDEST = 420
# Pixels of a character and of what surrounds a text, and the points of the usual font.
_CHARACTER, _AROUND, _POINTS = 7, 11, 11
# So many characters the program's own format has at most in a column of this package.
_MOST_GENERAL = 9
_DECIMALS = re.compile(r"\.(0+)")


@dataclass(frozen=True, slots=True)
class ColumnCells:
    """What the cells of a column hold.

    Attributes:
        numbers: (rows,); NaN where there is no number.
        texts: row -> text.
        is_numeric: whether all but blanks are numbers, infinity among them.
        width: that all are seen in, in pixels.
    """

    numbers: Array
    texts: dict[int, str]
    is_numeric: bool
    width: int


def column_cells(values: pd.Series[Any] | pd.Index[Any], number_format: str) -> ColumnCells:
    """A column of a frame as cells.

    Args:
        values: of the column.
        number_format: Excel's.

    Example:
        >>> import pandas as pd
        >>> cells = column_cells(pd.Series([0.5, float("inf"), None]), "0.00")
        >>> cells.numbers, cells.texts, cells.is_numeric
        (array([0.5, nan, nan]), {1: 'inf'}, True)
    """
    kind = getattr(values.dtype, "kind", "O") if isinstance(values.dtype, np.dtype) else "O"
    if kind in "iuf":
        array = values.to_numpy()
        numbers = array.astype(np.float64)
        # As whole numbers: the double nearest to one beyond may be within.
        beyond = (array > _LARGEST_WHOLE) | (array < -_LARGEST_WHOLE)
        odd = np.isinf(numbers) if kind == "f" else beyond
        texts = {i: str(array[i]) for i in np.flatnonzero(odd).tolist()}
        numbers[odd] = np.nan
        is_numeric = True
    else:
        found = [_cell(value) for value in values.tolist()]
        texts = {i: value for i, value in enumerate(found) if isinstance(value, str) and value}
        numbers = np.array([math.nan if isinstance(value, str) else value for value in found])
        is_numeric = bool(np.isfinite(numbers).any()) and all(
            text.lstrip("-") == "inf" for text in texts.values()
        )
    widths = [text_width(text) for text in texts.values()]
    widths += [text_width(text) for text in _longest(numbers, number_format)]
    return ColumnCells(numbers, texts, is_numeric, min(max(widths, default=0), _WIDEST))


def _cell(value: Any) -> float | str:
    """What a cell holds of a value; an empty text for nothing."""
    import pandas as pd

    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return float(value) if abs(int(value)) <= _LARGEST_WHOLE else str(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isinf(number):
            return str(number)
        return "" if math.isnan(number) else number
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    return str(value)


def text_width(text: str, points: float = _POINTS) -> int:
    """About how wide a text is shown in a cell, in pixels.

    Example:
        >>> text_width("train_loss"), text_width("train_loss", 8)
        (81, 62)
    """
    return max(math.ceil(len(text) * _CHARACTER * points / _POINTS) + _AROUND, 0)


def _longest(numbers: Array, number_format: str) -> list[str]:
    """The extremes of some numbers as they are shown."""
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return []
    extremes = [float(known.min()), float(known.max())]
    if number_format == "General":
        if (known == np.rint(known)).all():
            return [f"{value:.0f}" for value in extremes]
        return ["0" * _MOST_GENERAL]
    if "E+" in number_format:
        return [f"{value:.2E}" for value in extremes]
    match = _DECIMALS.search(number_format)
    decimals = len(match[1]) if match else 0
    scale = 100 if "%" in number_format else 1
    comma = "," if "," in number_format else ""
    return [
        f"{value * scale:{comma}.{decimals}f}%"[: None if scale > 1 else -1] for value in extremes
    ]

"""How the pages of a training run say things: number formats, counts, and what is left out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..report_numbers import Table

if TYPE_CHECKING:
    import pandas as pd

#: Number formats of losses and of parts of one.
LOSS, SHARE = "0.0000", "0.0%"
_RATE = "0.00E+00"
# Columns that are parts of one, by what their names contain.
_SHARES = ("accuracy", "error_rate", "precision", "recall", "f1", "probability", "near_zero")


def named_table(name: str, title: str, frame: pd.DataFrame, index_name: str = "") -> Table:
    """A table whose index is written where it has a name, or is no mere count and gets one."""
    import pandas as pd

    index = frame.index.names != [None]
    if not index and index_name and not isinstance(frame.index, pd.RangeIndex):
        index, frame = True, frame.rename_axis(index_name)
    return Table(name, frame, title, formats_of(frame), index=index)


def formats_of(frame: pd.DataFrame) -> dict[str, str]:
    """Number formats by what the columns are called."""
    found = {}
    for column in map(str, frame.columns):
        if is_share(column):
            found[column] = SHARE
        elif column.endswith("loss"):
            found[column] = LOSS
        elif column == "lr":
            found[column] = _RATE
        elif column in ("momentum", "seconds"):
            found[column] = "0.000" if column == "momentum" else "0.0"
    return found


def is_share(name: str) -> bool:
    """Whether a column holds parts of one, as its name says."""
    return any(part in name.lower() for part in _SHARES)


def is_number(value: object) -> bool:
    """Whether a value is a number, and no truth value."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def has_numbers(frame: pd.DataFrame, name: str) -> bool:
    """Whether a column is there and has any finite number."""
    if name not in frame.columns or frame[name].dtype.kind not in "iuf":
        return False
    return bool(np.isfinite(frame[name].to_numpy()).any())


def step_of(length: int, most: int) -> int:
    """Of how many one is kept."""
    return max(1, -(-(length - 1) // (most - 1)))


def kept_of(length: int, most: int) -> list[int]:
    """At most so many of a row, evenly, the first and the last among them.

    Example:
        >>> kept_of(10, 4), kept_of(3, 4)
        ([0, 3, 6, 9], [0, 1, 2])
    """
    kept = list(range(0, length, step_of(length, most)))
    return kept if not kept or kept[-1] == length - 1 else [*kept, length - 1]


def thinned(
    frame: pd.DataFrame, most: int, what: str, plural: str = ""
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """At most so many rows, and a sentence where some are missing."""
    step = step_of(len(frame), most)
    if step == 1:
        return frame, ()
    number = counted(len(frame), what, plural)
    note = f"Every {nth(step)} of {number}, and the last: all of them would be too many to draw."
    return frame.iloc[kept_of(len(frame), most)], (note,)


def counted(number: int, what: str, plural: str = "") -> str:
    """A number of things, as people say it.

    Example:
        >>> counted(1, "batch", "batches"), counted(2000, "epoch")
        ('1 batch', '2,000 epochs')
    """
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


def nth(number: int) -> str:
    """An ordinal number in short.

    Example:
        >>> nth(2), nth(3), nth(11), nth(21)
        ('2nd', '3rd', '11th', '21st')
    """
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number}{ending or 'th'}"


def duration(seconds: float) -> str:
    """A duration for people.

    Example:
        >>> duration(4.25), duration(125), duration(7260)
        ('4.2 s', '2 min 5 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def round_number(least: float) -> float:
    """The smallest of 1, 2, 5, 10 and so on that is not below a number."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= least * (1 - 1e-9))

"""Which cells the text of a formula names: the only reader of references in formulas.

One regular expression over the text: texts in quotes, sheet names, whole rows and columns,
names and calls. What it finds can be moved as a fill moves it, so that a shared formula is
read once for all its cells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from .cells import MAX_COLUMNS, MAX_ROWS, column_index

#: Functions whose result may change without a change of any cell that they name.
VOLATILE_FUNCTIONS = frozenset(
    {"RAND", "RANDBETWEEN", "RANDARRAY", "NOW", "TODAY", "OFFSET", "INDIRECT"}
)

_TOKEN = re.compile(
    r"""
    "(?:[^"]|"")*"                                              # a text
    | \[[0-9]+\][\w.]*![\w.$:]*                                 # in another workbook
    | (?:(?P<sheet>'(?:[^']|'')+'|[^\W\d][\w.]*(?::[^\W\d][\w.]*)?)!)?
      (?:
        (?P<c1>\$?[A-Za-z]{1,3})(?P<r1>\$?[0-9]+)(?::(?P<c2>\$?[A-Za-z]{1,3})(?P<r2>\$?[0-9]+))?
            (?![\w.(])
        | (?P<from>\$?[A-Za-z]{1,3}):(?P<to>\$?[A-Za-z]{1,3})(?![\w.(])
        | (?P<top>\$?[0-9]+):(?P<bottom>\$?[0-9]+)(?![\w.])
        | (?P<name>[\w.\\]+)(?P<call>\()?
      )
    """,
    re.VERBOSE,
)


class Area(NamedTuple):
    """A rectangle to which a formula refers: worksheet, then zero-based corners, inclusive.

    `moves` says of each corner, in the order of the fields, whether a fill moves it: where
    there is no dollar sign.
    """

    sheet: str
    top: int
    left: int
    bottom: int
    right: int
    moves: tuple[bool, bool, bool, bool] = (True, True, True, True)


@dataclass(slots=True)
class References:
    """What a formula reads: areas, names in lower case, and volatile functions that it calls."""

    areas: list[Area] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)


def references(formula: str, sheet: str) -> References:
    """What a formula on `sheet` refers to; a 3-D reference counts for its first and last sheet.

    Cells of other workbooks are left out.

    Example:
        >>> found = references("=SUM('a b'!$A1:B2)*RAND()+LOG10(p)", "s")
        >>> found.areas[0][:5], found.areas[0].moves
        (('a b', 0, 0, 1, 1), (True, False, True, True))
        >>> found.names, found.functions
        (['p'], {'RAND'})
    """
    found = References()
    for match in _TOKEN.finditer(formula):
        name = match["name"]
        if name is not None:
            if match["call"]:
                function = name.upper().removeprefix("_XLFN.").removeprefix("_XLWS.")
                if function in VOLATILE_FUNCTIONS:
                    found.functions.add(function)
            else:
                found.names.append(name.lower())
            continue
        if match["c1"]:
            rows = _line(match["r1"]), _line(match["r2"] or match["r1"])
            columns = _line(match["c1"]), _line(match["c2"] or match["c1"])
        elif match["from"]:
            rows = (0, False), (MAX_ROWS - 1, False)
            columns = _line(match["from"]), _line(match["to"])
        elif match["top"]:
            rows = _line(match["top"]), _line(match["bottom"])
            columns = (0, False), (MAX_COLUMNS - 1, False)
        else:
            continue
        (top, bottom), (left, right) = sorted(rows), sorted(columns)
        moves = (top[1], left[1], bottom[1], right[1])
        for on in _sheets(match["sheet"], sheet):
            found.areas.append(Area(on, top[0], left[0], bottom[0], right[0], moves))
    return found


def _line(text: str) -> tuple[int, bool]:
    """The zero-based row or column of its A1 text, and whether a fill moves it."""
    plain = text.lstrip("$")
    return int(plain) - 1 if plain.isdigit() else column_index(plain), plain == text


def _sheets(text: str | None, sheet: str) -> list[str]:
    if text is None:
        return [sheet]
    if text.startswith("'"):
        text = text[1:-1].replace("''", "'")
    return text.split(":")

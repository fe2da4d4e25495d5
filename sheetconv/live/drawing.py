"""Pictures of characters: curves of braille dots, planes of coloured half blocks, bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.style import Style
from rich.text import Text

from ..layers.base import Array
from ..palette import SIGNED

# A braille character is two dots wide and four high; its bits, by row and column.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BRAILLE = 0x2800
# The upper half of a character has the colour of the text, the lower that of its ground.
_HALF = "\u2580"
_EIGHTHS = " \u258f\u258e\u258d\u258c\u258b\u258a\u2589\u2588"

#: Two colours from zero on, or three with zero in the middle.
Colours = Sequence[str]


def means(values: Sequence[float] | Array, most: int) -> Array:
    """At most so many numbers: where there are more, means of those that stand together.

    Example:
        >>> means([1, 3, 5, 7], 2), means([1, 3], 2)
        (array([2., 6.]), array([1., 3.]))
    """
    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) <= most:
        return numbers
    edges = np.linspace(0, len(numbers), most + 1).astype(np.int64)
    found: Array = np.add.reduceat(numbers, edges[:-1]) / np.diff(edges)
    return found


def curve(values: Sequence[float] | Array, width: int, height: int) -> list[str]:
    """A curve of dots, from its first value at the left to its last at the right.

    Args:
        values: the numbers, at least one.
        width, height: in characters; of more values than two to a character, `means` are shown.

    Example:
        >>> for line in curve([3, 2, 1, 0], 2, 1):
        ...     print(line)
        ⠑⢄
    """
    columns = 2 * width
    numbers = means(values, columns)
    places = np.linspace(0, len(numbers) - 1, min(columns, 4 * len(numbers)))
    shown = np.interp(places, np.arange(len(numbers)), numbers)
    lowest, span = shown.min(), np.ptp(shown) or 1.0
    rows = np.rint((4 * height - 1) * (1 - (shown - lowest) / span)).astype(np.int64)
    cells = np.zeros((height, width), np.int64)
    last = rows[0]
    for column, row in enumerate(rows.tolist()):
        # A steep piece is drawn through, halfway from either side.
        for dot in {row, *range(min(row, last) + 1, max(row, last))}:
            cells[dot // 4, column // 2] |= _DOTS[dot % 4][column % 2]
        last = row
    return ["".join(chr(_BRAILLE + bits) for bits in line) for line in cells.tolist()]


def tints(plane: Array, colours: Colours, largest: float) -> NDArray[np.uint8]:
    """The colours of numbers: the shape of the plane, and red, green, blue.

    Args:
        plane: the numbers.
        colours: of zero and of `largest`; or of minus `largest`, zero and `largest`.
        largest: the number that has the strongest colour.

    Example:
        >>> tints(np.array([0.0, 2.0]), ("#FFFFFF", "#000000"), 2.0).tolist()
        [[255, 255, 255], [0, 0, 0]]
    """
    points = np.array([[int(text[k : k + 2], 16) for k in (1, 3, 5)] for text in colours])
    ends = np.linspace(0.0 if len(colours) == 2 else -1.0, 1.0, len(colours))
    shares = plane / (largest or 1.0)
    channels = [np.interp(shares, ends, points[:, k]) for k in range(3)]
    colours_of: NDArray[np.uint8] = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return colours_of


def planes(array: Array, colours: Colours = SIGNED, *, most: int = 10**6) -> Text:
    """Planes beside each other, a number being half a character high.

    Args:
        array: (planes, height, width).
        colours: as for `tints`, the strongest for the largest of all numbers.
        most: characters in a line; planes beyond are left out.

    Example:
        >>> planes(np.ones((2, 2, 3))).plain == "▀▀▀ ▀▀▀"
        True
    """
    count = max(1, (most + 1) // (array.shape[2] + 1))
    shown = array[:count, :, :most]
    found = tints(shown, colours, float(np.abs(shown).max(initial=0.0)))
    text, height = Text(), shown.shape[1]
    for row in range(0, height, 2):
        if row:
            text.append("\n")
        for number, plane in enumerate(found):
            if number:
                text.append(" ")
            upper = plane[row].tolist()
            lower = plane[row + 1].tolist() if row + 1 < height else [None] * len(upper)
            for above, below in zip(upper, lower, strict=True):
                text.append(_HALF, _style(above, below))
    return text


def _style(above: Sequence[int], below: Sequence[int] | None) -> Style:
    red, green, blue = above
    ground = None if below is None else f"rgb({below[0]},{below[1]},{below[2]})"
    return Style(color=f"rgb({red},{green},{blue})", bgcolor=ground)


def bar(share: float, width: int) -> str:
    """A bar of blocks, to an eighth of a character.

    Example:
        >>> bar(0.5, 3)
        '█▌ '
    """
    eighths = round(min(max(share, 0.0), 1.0) * 8 * width)
    whole, part = divmod(eighths, 8)
    return (_EIGHTHS[8] * whole + (_EIGHTHS[part] if part else "")).ljust(width)

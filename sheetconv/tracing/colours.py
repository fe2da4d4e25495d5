"""The colours and the short numbers of cells in a picture."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..palette import SIGNED

Colour = tuple[int, int, int]

PAPER: Colour = (255, 255, 255)


def extent(numbers: NDArray[np.float64]) -> tuple[float, float]:
    """The numbers that have the full blue and the full red: as far from zero on both sides."""
    known = numbers[np.isfinite(numbers)]
    farthest = float(np.abs(known).max(initial=0.0))
    return -farthest, farthest


def colour_of(value: float, extent: tuple[float, float]) -> Colour:
    """Zero white, more red, less blue, as the workbook's colour scales have it."""
    if math.isnan(value):
        return PAPER
    blue, white, red = (rgb(text) for text in SIGNED)
    if value < 0:
        return mixed(white, blue, value / extent[0])
    return mixed(white, red, value / extent[1] if extent[1] > 0 else 0.0)


def rgb(text: str) -> Colour:
    """A colour from its text, `#RRGGBB`."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two, `share` of the way to the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def short(value: float) -> str:
    """A number for a small cell.

    Example:
        >>> short(0.0), short(0.512), short(0.05), short(-1.0), short(258.7)
        ('0', '0.5', '.05', '-1', '259')
    """
    if abs(value) >= 99.5 or abs(value) < 0.005 or value == round(value):
        return f"{round(value) + 0.0:.0f}" if abs(value) < 1e5 else f"{value:.0e}"
    return f"{value:.1f}" if abs(value) >= 0.095 else f"{value:.2f}".replace("0.", ".")

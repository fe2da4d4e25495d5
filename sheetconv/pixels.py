"""What the pixels of a picture become: the numbers that a network was trained on."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import ImageError
from .layers.base import Array


@dataclass(frozen=True, slots=True)
class Pixels:
    """How the pixels of a picture become numbers.

    ::

        x = low + (high - low) * pixel / 255        pixel: 0 is black, 255 is white
        x = (x - mean) / std                        where they are given

    Args:
        low: what black becomes. Default 0.
        high: what white becomes. Default 1.
        mean: subtracted: one number, or one a channel. Default: nothing is.
        std: divided by: one number, or one a channel. Default: nothing is.
        invert: swap dark and light first, for dark ink on white paper where the network
            was trained on light strokes on black. Default False.

    Raises:
        ImageError: a field is not a finite number, low equals high, or std is not above 0.

    Example:
        >>> Pixels(low=-1, high=1, invert=True).scaled(np.array([[[0.0, 255.0]]]))
        array([[[ 1., -1.]]])
    """

    low: float = 0.0
    high: float = 1.0
    mean: float | Sequence[float] | None = None
    std: float | Sequence[float] | None = None
    invert: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high", "mean", "std"):
            value = getattr(self, name)
            several = name in ("mean", "std")
            if value is None and several:
                continue
            object.__setattr__(self, name, _checked(name, value, several))
        if self.low == self.high:
            raise ImageError(f"Pixels: low and high are both {self.low}: expected two numbers")
        if min(_numbers(self.std), default=1.0) <= 0:
            raise ImageError(f"Pixels: std is {self.std}: expected numbers above 0")
        if not isinstance(self.invert, bool):
            raise ImageError(f"Pixels: invert is {self.invert!r}: expected True or False")

    def check_channels(self, channels: int) -> None:
        """Refuse a mean or std for another number of channels.

        Raises:
            ImageError: there are neither one nor `channels` numbers.
        """
        for name, value in (("mean", self.mean), ("std", self.std)):
            count = len(_numbers(value))
            if count not in (0, 1, channels):
                raise ImageError(
                    f"Pixels: {name} has {count} numbers: expected one, or one for each channel "
                    f"({channels})"
                )

    def scaled(self, pixels: Array) -> Array:
        """The numbers for pixels from 0 to 255, of shape (channels, height, width).

        Raises:
            ImageError: mean or std are for another number of channels.
        """
        self.check_channels(len(pixels))
        if self.invert:
            pixels = 255.0 - pixels
        # Whole numbers stay whole where the range is 0 to 255.
        x = self.low + pixels * (self.high - self.low) / 255.0
        for value, step in ((self.mean, np.subtract), (self.std, np.divide)):
            if value is not None:
                x = step(x, np.reshape(_numbers(value), (-1, 1, 1)))
        return x


def _numbers(value: float | Sequence[float] | None) -> tuple[float, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, Sequence) else (value,)


def _checked(name: str, value: Any, several: bool) -> float | tuple[float, ...]:
    """The value as finite floats; a tuple of them where several are allowed and given."""
    if several and isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        numbers = tuple(value)
    else:
        numbers = (value,)
    try:
        floats = tuple(math.nan if isinstance(n, bool | str) else float(n) for n in numbers)
    except (TypeError, ValueError, OverflowError):
        floats = ()
    if not floats or not all(map(math.isfinite, floats)):
        expected = "a number, or one for each channel" if several else "a number"
        raise ImageError(f"Pixels: {name} is {reprlib.repr(value)}: expected {expected}")
    return floats if isinstance(value, Sequence | np.ndarray) else floats[0]

"""What errors say about words that are unknown: what can stand there, and what was meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any


def suggestion(word: str, known: list[str], others: Mapping[str, str] | None = None) -> str:
    """The end of an error about an unknown word: the likeliest one, and all there are.

    Args:
        word: what was given.
        known: what could be.
        others: other words -> those of `known` that they mean.

    Example:
        >>> suggestion("conv2D", ["Conv2d", "ReLU"])
        ': did you mean Conv2d? Known are Conv2d, ReLU'
        >>> suggestion("dense", ["Conv2d", "Linear"], {"Dense": "Linear"})
        ': did you mean Linear? Known are Conv2d, Linear'
    """
    by_lower = {other.lower(): name for other, name in (others or {}).items()}
    by_lower |= {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), by_lower, n=1)
    guess = f"did you mean {by_lower[close[0]]}? Known" if close else "known"
    return f": {guess} are {', '.join(dict.fromkeys(known))}"


def misspelt(word: str, given: Iterable[str]) -> str:
    """The end of an error about a missing word: which of those given may be meant for it.

    Example:
        >>> misspelt("format", ["fromat", "title"]), misspelt("format", ["title"])
        ("; 'fromat' is there: misspelt?", '')
    """
    close = get_close_matches(word.lower(), given, n=1, cutoff=0.7)
    return f"; {close[0]!r} is there: misspelt?" if close else ""


def these(allowed: Sequence[str]) -> str:
    """All the words that are allowed, for an error.

    Example:
        >>> these(["left", "center", "right"])
        'left, center or right'
    """
    return f"{', '.join(allowed[:-1])} or {allowed[-1]}"


def meant(value: Any, allowed: Sequence[str]) -> str:
    """The end of an error: which of the allowed words is likeliest, or nothing.

    Example:
        >>> meant("centre", ["left", "center", "right"]), meant("top", ["left", "right"])
        ('; did you mean center?', '')
    """
    close = get_close_matches(str(value).lower(), allowed, n=1)
    return f"; did you mean {close[0]}?" if close else ""

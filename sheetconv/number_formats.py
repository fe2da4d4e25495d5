"""Number formats that Excel takes: of any other it says that the workbook is damaged."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from .errors import LayoutError

#: How many characters one may have.
MAX_NUMBER_FORMAT = 255

# What has no digit among three decimals shows in the program's own format.
_TINY = 5e-4
# For positive numbers, negative ones, zero, and text.
_MOST_SECTIONS = 4
# A text in quotes; a sign with the one that it is about; what stands in brackets; any other.
_PART = re.compile(r'"[^"]*"|[\\_*].|\[[^\]]*\]|.')
_IN_BRACKETS = re.compile(
    r"black|blue|cyan|green|magenta|red|white|yellow|color ?([1-9]|[1-4][0-9]|5[0-6])"
    r"|(<=|>=|<>|<|>|=) ?[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[-+]?[0-9]+)?"
    r"|\$.*|h+|m+|s+|dbnum[1-4]",
    re.IGNORECASE,
)
_EXPECTED = "a colour such as Red, a condition such as >=100, [$...], or h, mm or ss"


def check_number_format(text: str) -> None:
    """Raise `LayoutError` unless a workbook can hold `text` as a number format.

    Quotes and brackets have to be closed, what stands in brackets has to mean something, and
    there are at most four sections.

    Example:
        >>> check_number_format('0.0%;[Red]-0.0%;"none"')
    """
    shown = ascii(text)[:40]
    if len(text) > MAX_NUMBER_FORMAT or not text.isprintable():
        raise LayoutError(
            f"number format {shown} has {len(text)} characters: use at most "
            f"{MAX_NUMBER_FORMAT}, and no control characters"
        )
    sections = 1
    for match in _PART.finditer(text):
        part = match[0]
        if part in ('"', "["):
            what, closing = ("quote", '"') if part == '"' else ("bracket", "]")
            raise LayoutError(
                f"number format {shown}: the {what} at character {match.start() + 1} is not "
                f"closed: close it with {closing}"
            )
        if part in ("\\", "_", "*"):
            raise LayoutError(f"number format {shown} ends with {part}: expected a character after")
        if part[0] == "[" and not _IN_BRACKETS.fullmatch(part[1:-1]):
            raise LayoutError(
                f"number format {shown} has {ascii(part)[1:-1]}: expected {_EXPECTED}"
            )
        sections += part == ";"
    if sections > _MOST_SECTIONS:
        raise LayoutError(
            f"number format {shown} has {sections} sections: expected at most {_MOST_SECTIONS}, "
            "for positive numbers; negative ones; zero; text"
        )


def fitting_format(values: NDArray[np.float64], *, is_weight: bool = False) -> str:
    """The number format in which a tensor's numbers are told apart and fit a narrow column.

    Whole numbers keep the program's own format, which shows decimals as soon as there are
    any. Else two decimals for weights; for others one, or two and three where all are small.
    What rounds to zero shows as 0.

    Args:
        values: of the tensor.
        is_weight: whether they are learned. Default False.

    Example:
        >>> fitting_format(np.array([0.0, 12.5])), fitting_format(np.array([3.0]))
        ('[>=0.05]0.0;[<=-0.05]-0.0;"0"', 'General')
        >>> fitting_format(np.array([0.25]), is_weight=True)
        '0.00'
    """
    largest = float(np.abs(values).max(initial=0.0))
    if largest < _TINY or (values == np.rint(values)).all():
        return "General"
    if largest >= 100:
        decimals = 0
    elif is_weight:
        decimals = 1 if largest >= 10 else 3 if largest < 0.05 else 2
    else:
        decimals = 1 if largest >= 0.5 else 2 if largest >= 0.05 else 3
    zero = f"{0:.{decimals}f}"
    if is_weight:
        return zero
    half = f"{0.5 / 10**decimals:.{decimals + 1}f}"
    # Where a condition holds for negative numbers alone, the second section, programs take off
    # their sign, and it is written out.
    return f'[>={half}]{zero};[<=-{half}]-{zero};"0"'

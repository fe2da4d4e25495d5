"""Colour scales as XlsxWriter takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .cells import Range
from .layout import ColourScale

# More ranges than these are one, with what lies between: a formula holds no more.
_MOST_RANGES = 30
# Where all numbers are zero, so that they are white.
_LEAST = "1E-9"


def add_colour_scale(sheet: Any, scale: ColourScale, largest: float | None = None) -> None:
    """Add a colour scale to a worksheet; zero is white wherever it has a meaning.

    Of three colours both ends are as far from zero, so that equal distances have equal
    strength, and a plane without negative numbers has no blue.

    Args:
        sheet: an XlsxWriter worksheet.
        scale: the cells and the colours.
        largest: the number that has the strongest colour. Default: the largest of the cells,
            also after these have changed.
    """
    first = scale.ranges[0]
    options: dict[str, Any] = {"multi_range": " ".join(area.a1 for area in scale.ranges)}
    areas = _areas(scale.ranges)
    most = ",".join(f"MAX({area})" for area in areas)
    if len(scale.colours) == 3:
        least = ",".join(f"-MIN({area})" for area in areas)
        farthest = f"MAX({most},{least},{_LEAST})" if largest is None else _number(largest)
        options |= {"type": "3_color_scale", "mid_type": "num", "mid_value": 0}
        options |= {"min_type": "formula", "min_value": f"=-{farthest}"}
        options |= {"max_type": "formula", "max_value": f"={farthest}"}
        names = ("min_color", "mid_color", "max_color")
        options |= dict(zip(names, scale.colours, strict=True))
    else:
        options |= {"type": "2_color_scale"}
        if scale.from_zero:
            options |= {"min_type": "num", "min_value": 0}
            highest = f"MAX({most},{_LEAST})" if largest is None else _number(largest)
            options |= {"max_type": "formula", "max_value": f"={highest}"}
        options |= dict(zip(("min_color", "max_color"), scale.colours, strict=True))
    sheet.conditional_format(first.row, first.column, first.last_row, first.last_column, options)


def _number(largest: float) -> str:
    return repr(max(float(largest), float(_LEAST)))


def _areas(ranges: Sequence[Range]) -> list[str]:
    """References to some ranges, or to all between the first and the last."""
    if len(ranges) <= _MOST_RANGES:
        return [area.absolute for area in ranges]
    top, left = min(area.row for area in ranges), min(area.column for area in ranges)
    bottom = max(area.last_row for area in ranges)
    right = max(area.last_column for area in ranges)
    return [Range(ranges[0].sheet, top, left, bottom - top + 1, right - left + 1).absolute]

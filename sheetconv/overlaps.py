"""That no two things of a workbook stand on the same cell, or in the way of a window."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping
from heapq import heappop, heappush

from .cells import MAX_COLUMNS, MAX_ROWS, Grid, Range, parse_range
from .errors import LayoutError
from .layers.base import Border
from .layout import Layout


def check_overlaps(layout: Layout, moats: Mapping[str, Border], framing: Collection[str]) -> None:
    """Raise unless every cell belongs to one thing, and nothing stands in a window's way.

    Args:
        layout: what stands where.
        moats: full tensor name -> what has to be free or zero around it.
        framing: full names of the tensors that stand on the padding of others.
    """
    texts = [
        (Range(text.cell.sheet, text.cell.row, text.cell.column), f"the text {text.text!r}")
        for looks in layout.sheets
        for text in looks.texts
    ]
    reached: list[tuple[Range, str]] = []
    bare: list[tuple[Range, str]] = []
    for name, placed in layout.placed.items():
        for grid in placed.grids:
            bare.append((grid.bounds, name))
            if name not in framing:
                reached.append((grown(grid, moats.get(name, Border()), past=True), name))
    bare += [(border.area, "drawn padding") for border in layout.borders]
    bare += [
        (parse_range(text, layout.drawing.worksheet), "a fill")
        for fill in layout.drawing.fills
        for text in fill.ranges.split()
    ]
    for areas in (reached + texts, bare + texts):
        by_sheet: dict[str, list[tuple[Range, str]]] = {}
        for area, name in areas:
            by_sheet.setdefault(area.sheet, []).append((area, name))
        for own in by_sheet.values():
            _refuse_overlaps(own)


def _refuse_overlaps(areas: list[tuple[Range, str]]) -> None:
    """Raise if two areas share a cell: a sweep downwards over the areas that are open.

    Open areas are disjoint in their columns, so that only neighbours need a look.
    """
    open_now: list[tuple[int, Range, str]] = []
    endings: list[tuple[int, int, Range, str]] = []
    for number, (area, name) in enumerate(sorted(areas, key=lambda item: item[0].row)):
        if area.row < 0 or area.column < 0:
            raise LayoutError(
                f"{name} stands too near the edge of the worksheet: its padding begins "
                f"{max(-area.row, 0)} rows above and {max(-area.column, 0)} columns left of A1"
            )
        if area.last_row >= MAX_ROWS or area.last_column >= MAX_COLUMNS:
            raise LayoutError(
                f"{name} with its padding ends in row {area.last_row + 1:,} and column "
                f"{area.last_column + 1:,}: a worksheet has {MAX_ROWS:,} and {MAX_COLUMNS:,}"
            )
        while endings and endings[0][0] < area.row:
            _, _, ended, ended_name = heappop(endings)
            del open_now[bisect_left(open_now, (ended.column, ended, ended_name))]
        entry = (area.column, area, name)
        place = bisect_left(open_now, entry)
        for _, other, other_name in open_now[max(place - 1, 0) : place + 1]:
            if area.overlaps(other):
                raise LayoutError(
                    f"{name} at {area.a1} overlaps {other_name} at {other.a1} (padding "
                    "included): move one of them"
                )
        open_now.insert(place, entry)
        heappush(endings, (area.last_row, number, area, name))


def grown(grid: Grid, moat: Border, *, past: bool) -> Range:
    """The bounds of a grid with its padding, and what windows reach past it."""
    bounds = grid.bounds
    left, top = moat.left * grid.column_step, moat.top * grid.row_step
    right = (moat.right + (moat.past_right if past else 0)) * grid.column_step
    bottom = (moat.bottom + (moat.past_bottom if past else 0)) * grid.row_step
    return Range(
        grid.sheet,
        bounds.row - top,
        bounds.column - left,
        bounds.height + top + bottom,
        bounds.width + left + right,
    )

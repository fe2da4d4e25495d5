"""How wide the columns of a page are, and what of it floats.

What stands below each other is a track, whose columns it shares. Heat maps and images say how
wide these are; a table above or below them goes over as many as each of its columns needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from .palette import DIGITS
from .report_cells import ColumnCells, column_cells, text_width
from .report_numbers import HeatMap, Images, Table
from .report_pages import CellBlock, Item, LineChart, Stack

#: Pixels of a column that nothing asks for, and of that left of everything.
COLUMN, MARGIN = 64, 21
# Pixels between two charts, of a character by which columns are measured, and of an indent.
_GUTTER, _PER_CHARACTER, _INDENT = 12, 7, 9
# Points of a usual font that is as wide as a bold one.
_BOLD = 12.3


class Width(NamedTuple):
    """A column's width in pixels, and whether it must not be wider."""

    pixels: int
    fixed: bool


def table_cells(table: Table) -> dict[str, ColumnCells]:
    """What the columns of a table hold, as wide as their headers, too.

    Example:
        >>> import pandas as pd
        >>> cells = table_cells(Table("t", pd.DataFrame({"probability": [1, 2]}), index=False))
        >>> cells["probability"].width
        98
    """
    found = {}
    for name, values in table.parts():
        own = column_cells(values, table.formats.get(name, "General"))
        width = max(own.width, text_width(name, _BOLD))
        if is_indented(table, name, own):
            width += _INDENT
        found[name] = replace(own, width=width)
    return found


def is_indented(table: Table, name: str, cells: ColumnCells) -> bool:
    """Whether a column begins a little further right: a text beside the numbers before it."""
    return (
        not cells.is_numeric
        and table.aligned.get(name, "left") == "left"
        and name != table.columns[0]
    )


def track_of(
    items: Sequence[Item], cells: Mapping[str, Mapping[str, ColumnCells]]
) -> tuple[list[Width], dict[str, list[tuple[int, int]]]]:
    """The columns that some items share, which stand below each other.

    Args:
        items: from top to bottom.
        cells: table -> what its columns hold.

    Returns:
        The columns; and for each table where its own begin, and over how many each goes.
    """
    blocks = [block for item in items for block in blocks_of(item)]
    track: list[Width] = []
    for block in blocks:
        needs = _needs(block)
        track += [Width(0, False)] * (len(needs) - len(track))
        for number, need in enumerate(needs):
            old = track[number]
            track[number] = Width(max(old.pixels, need.pixels), old.fixed or need.fixed)
    spans = {
        block.name: _fit_table(cells[block.name], track)
        for block in blocks
        if isinstance(block, Table)
    }
    floating = max((size_of(item)[0] for item in items if is_floating(item)), default=0)
    while sum(width.pixels for width in track) < floating:
        track.append(Width(COLUMN, False))
    return track, spans


def _fit_table(cells: Mapping[str, ColumnCells], track: list[Width]) -> list[tuple[int, int]]:
    """Make room for a table in a track: where each column begins, and over how many it goes."""
    spans = []
    at = 0
    for column in cells.values():
        if at >= len(track):
            track.append(Width(column.width, False))
        elif not track[at].fixed:
            track[at] = Width(max(track[at].pixels, column.width), False)
        across = 1
        while sum(width.pixels for width in track[at : at + across]) < column.width:
            if at + across >= len(track):
                track.append(Width(COLUMN, False))
            across += 1
        spans.append((at, across))
        at += across
    return spans


def blocks_of(item: Item) -> list[CellBlock]:
    """The blocks with cells that stand in one place."""
    blocks = item.blocks if isinstance(item, Stack) else [item]
    return [block for block in blocks if not isinstance(block, LineChart | Stack | None)]


def is_floating(item: Item) -> bool:
    """Whether an item has charts and no cells."""
    return isinstance(item, LineChart | Stack) and not blocks_of(item)


def charts_of(item: Item) -> Iterator[tuple[LineChart, int, int]]:
    """The charts of one place, and how far each lies from its corner."""
    blocks, across = (item.blocks, item.across) if isinstance(item, Stack) else ([item], 1)
    charts = [block for block in blocks if isinstance(block, LineChart)]
    y = 0
    for first in range(0, len(charts), across):
        x = 0
        row = charts[first : first + across]
        for chart in row:
            yield chart, x, y
            x += chart.width + _GUTTER
        y += max(chart.height for chart in row) + _GUTTER


def size_of(item: Item) -> tuple[int, int]:
    """Width and height of the charts of one place, in pixels."""
    corners = [(x + chart.width, y + chart.height) for chart, x, y in charts_of(item)]
    return max(x for x, _ in corners), max(y for _, y in corners)


def _needs(block: CellBlock) -> list[Width]:
    """The columns that a block insists on."""
    if isinstance(block, HeatMap):
        names = [text_width(text, DIGITS) for text in (*block.rows, block.row_title) if text]
        head = [Width(max(names, default=MARGIN), False)] if block.rows or block.row_title else []
        return head + [Width(block.cell[1], True)] * block.values.shape[1]
    if isinstance(block, Images):
        count, channels, _, width = block.values.shape
        step = channels * (width + 1) - 1 + block.gap
        return [Width(block.cell, True)] * (min(count, block.across) * step - block.gap)
    return []


def has_every_heading(block: HeatMap) -> bool:
    """Whether every column has a heading."""
    return all(block.columns)


def is_turned(block: HeatMap) -> bool:
    """Whether a heading of a heat map has no room before the next one."""
    named = [number for number, text in enumerate(block.columns) if text]
    ends = [*named[1:], len(block.columns)]
    return any(
        text_width(block.columns[number], DIGITS) > (end - number) * block.cell[1]
        for number, end in zip(named, ends, strict=False)
        if end < len(block.columns) or has_every_heading(block)
    )


def column_widths(widths: Sequence[int]) -> Iterator[tuple[int, int, float]]:
    """Adjacent columns of one width: first, last and width in characters."""
    first = 0
    for number, width in enumerate(widths, 1):
        if number == len(widths) or widths[number] != width:
            yield first, number - 1, width / _PER_CHARACTER
            first = number

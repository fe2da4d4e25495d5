"""The cells of one block of a page: what stands in them, and their looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from .cells import Cell, Grid, Range
from .drawing import Style
from .guides.base import HEADING, NOTE, GuideCell
from .layers.base import Array
from .layout import ColourScale
from .palette import DIGITS, HEAD, LABEL
from .report_cells import ColumnCells, text_width
from .report_numbers import HeatMap, Images, Table
from .report_pages import CellBlock, Lines
from .report_placed import PlacedPage, PlacedScale, PlacedTable, ReportStyle
from .report_tracks import has_every_heading, is_indented, is_turned

#: Pixels of a row, and of one with small digits.
ROW, SMALL_ROW = 20, 15
_CAPTION = Style(size=DIGITS)
_ABOVE = ReportStyle(colour=LABEL, size=DIGITS)
_UPWARDS = ReportStyle(colour=LABEL, size=DIGITS, align="center", rotation=90)
_NAME = ReportStyle(colour=LABEL, size=DIGITS, align="right", valign="vcenter")
_HEAD = ReportStyle(bold=True, fill=HEAD)


class PageCells:
    """Puts blocks on a page, each from a given cell on.

    Args:
        out: the page, to which cells and colour scales are added.
    """

    def __init__(self, out: PlacedPage) -> None:
        self.out = out
        self.sheet = out.page.name
        #: Row -> pixels, of those that were asked for.
        self.heights: dict[int, int] = {}

    def title(self, block: CellBlock, row: int, column: int, *, notes: bool = True) -> int:
        """What stands above a block; the first row below."""
        texts = [(block.title, HEADING)] if block.title else []
        if notes and not isinstance(block, Lines):
            texts += [(note, NOTE) for note in block.notes]
        return self._sentences(texts, row, column)

    def lines(self, block: Lines, row: int, column: int) -> int:
        """Sentences; the first row below."""
        return self._sentences([(text, Style()) for text in block.texts], row, column)

    def _sentences(self, texts: Sequence[tuple[str, Style]], row: int, column: int) -> int:
        for text, style in texts:
            self.text(row, column, text, style)
            row = self.row(row, ROW)
        return row

    def table(
        self,
        table: Table,
        cells: Mapping[str, ColumnCells],
        spans: Sequence[tuple[int, int]],
        row: int,
        column: int,
    ) -> PlacedTable:
        """A table.

        Args:
            table: what it shows.
            cells: what its columns hold.
            spans: for each of them, how far right of `column` it begins, and over how many it goes.
            row, column: of its first cell.
        """
        for (name, own), (offset, across) in zip(cells.items(), spans, strict=True):
            at = column + offset
            usual = "right" if own.is_numeric else "left"
            align, indent = table.aligned.get(name, usual), int(is_indented(table, name, own))
            head = replace(_HEAD, align=align, indent=indent)
            self.text(row, at, name, head, across)
            number_format = table.formats.get(name, "General")
            style = ReportStyle(number_format, align=align, valign="vcenter", indent=indent)
            if across == 1:
                self.numbers(row + 1, at, own.numbers[:, np.newaxis], style)
            else:
                for number in np.flatnonzero(np.isfinite(own.numbers)).tolist():
                    cell = Cell(self.sheet, row + 1 + number, at)
                    value = float(own.numbers[number])
                    item = GuideCell(cell, value, style=style, across=across)
                    self.out.content.cells.append(item)
            for number, text in own.texts.items():
                self.text(row + 1 + number, at, text, style, across)
        columns = {name: column + at for name, (at, _) in zip(cells, spans, strict=True)}
        for number in range(len(table.frame) + 1):
            self.row(row + number, ROW)
        return PlacedTable(self.sheet, row + 1, columns, dict(cells))

    def heat_map(self, block: HeatMap, row: int, column: int) -> int:
        """A matrix with its headings; the first row below."""
        height, width = block.values.shape
        left = column + bool(block.rows or block.row_title)
        if block.column_title:
            row = self.row(row, SMALL_ROW)
            self.text(row - 1, left, block.column_title, _ABOVE)
        if block.columns or block.row_title:
            turned = is_turned(block)
            row = self.row(row, _longest(block.columns) if turned else SMALL_ROW)
            if block.row_title:
                self.text(row - 1, column, block.row_title, _NAME)
            style = (
                _UPWARDS
                if turned
                else replace(_ABOVE, align="center" if has_every_heading(block) else None)
            )
            for number, text in enumerate(block.columns):
                self.text(row - 1, left + number, text, style)
        self._row_names(block, row, column)
        style = ReportStyle(block.number_format, align="center", size=DIGITS, valign="vcenter")
        self.numbers(row, left, block.values, style)
        for number in range(height):
            self.row(row + number, block.cell[0])
        area = Range(self.sheet, row, left, height, width)
        if block.diagonal:
            self.out.scales += _diagonal_scales(block, area)
        else:
            self.out.scales.append(PlacedScale(ColourScale((area,), block.colours)))
        return area.last_row + 1

    def _row_names(self, block: HeatMap, row: int, column: int) -> None:
        """Headings at the left, over as many low rows as they need."""
        named = [number for number, text in enumerate(block.rows) if text]
        for number, end in zip(named, [*named[1:], len(block.rows)], strict=False):
            rows = min(end - number, -(-SMALL_ROW // block.cell[0]))
            style = replace(_NAME, valign="top") if rows > 1 else _NAME
            self.text(row + number, column, block.rows[number], style)
            if rows > 1:
                self.out.merged.append(Range(self.sheet, row + number, column, rows))

    def images(self, block: Images, row: int, column: int) -> int:
        """Images with their captions; the first row below."""
        count, channels, height, width = block.values.shape
        lines = 1 + max((text.count("\n") for text in block.captions), default=-1)
        step = channels * (width + 1) - 1 + block.gap
        style = Style(block.number_format, size=DIGITS)
        areas: list[list[Range]] = [[] for _ in range(channels)]
        for first in range(0, count, block.across):
            if first:
                row = self.row(row, max(block.cell, SMALL_ROW))
            for number in range(lines):
                self.row(row + number, SMALL_ROW)
            for number in range(height):
                self.row(row + lines + number, block.cell)
            for number in range(first, min(first + block.across, count)):
                left = column + (number - first) * step
                for line, text in enumerate(block.captions[number].split("\n") if lines else ()):
                    self.text(row + line, left, text, _CAPTION)
                for channel, values in enumerate(block.values[number]):
                    at = left + channel * (width + 1)
                    self.numbers(row + lines, at, values, style)
                    areas[channel].append(Range(self.sheet, row + lines, at, height, width))
            row += lines + height
        shared = block.channel_colours
        if len(shared) == 1:
            # Between the images there are blank cells and texts, which have no colour.
            areas = [[_around([area for own in areas for area in own])]]
        for colours, own in zip(shared, areas, strict=True):
            self.out.scales.append(PlacedScale(ColourScale(tuple(own), colours), block.largest))
        return row

    def row(self, row: int, pixels: int) -> int:
        """Make a row at least so high; the number of the next one."""
        self.heights[row] = max(pixels, self.heights.get(row, 0))
        return row + 1

    def text(self, row: int, column: int, text: str, style: Style, across: int = 1) -> None:
        """A text, if it says anything, over so many columns."""
        if text:
            cell = Cell(self.sheet, row, column)
            self.out.content.cells.append(GuideCell(cell, text, style=style, across=across))

    def numbers(self, row: int, column: int, values: Array, style: Style) -> None:
        """Numbers on adjacent cells: NaN is blank, infinity a text."""
        planes, known = self.out.content.planes, np.isfinite(values)
        if not values.size:
            return
        if known.all():
            planes.append((Grid(self.sheet, row, column, *values.shape), values, style))
            return
        for j in range(values.shape[1]):
            edges = np.flatnonzero(np.diff(np.r_[False, known[:, j], False])).tolist()
            for first, end in zip(edges[::2], edges[1::2], strict=True):
                grid = Grid(self.sheet, row + first, column + j, end - first, 1)
                planes.append((grid, values[first:end, j : j + 1], style))
        for i, j in np.argwhere(np.isinf(values)).tolist():
            self.text(row + i, column + j, str(values[i, j]), style)


def _longest(texts: Sequence[str]) -> int:
    return max(text_width(text, DIGITS) for text in texts)


def _diagonal_scales(block: HeatMap, area: Range) -> Iterator[PlacedScale]:
    """One scale for the diagonal of a matrix, one for what is beside it."""
    values = np.where(np.isfinite(block.values), np.abs(block.values), 0.0)
    sheet, row, column = area.sheet, area.row, area.column
    length = min(area.height, area.width)
    own = tuple(Range(sheet, row + i, column + i) for i in range(length))
    beside = []
    for i in range(area.height):
        sides = [(0, area.width)] if i >= length else [(0, i), (i + 1, area.width)]
        beside += [
            Range(sheet, row + i, column + first, 1, end - first)
            for first, end in sides
            if end > first
        ]
    on = np.eye(*values.shape, dtype=np.bool_)
    yield PlacedScale(ColourScale(own, block.diagonal), float(values[on].max()))
    if beside:
        yield PlacedScale(ColourScale(tuple(beside), block.colours), float(values[~on].max()))


def _around(areas: Sequence[Range]) -> Range:
    """The smallest range that holds all."""
    top, left = min(area.row for area in areas), min(area.column for area in areas)
    height = max(area.last_row for area in areas) - top + 1
    width = max(area.last_column for area in areas) - left + 1
    return Range(areas[0].sheet, top, left, height, width)

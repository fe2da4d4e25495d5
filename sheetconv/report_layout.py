"""From pages to cells: which block stands where, and how high rows are.

Blocks that stand below each other share columns, those beside each other rows. Charts float:
rows and columns are only counted under them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .cells import MAX_COLUMNS, MAX_ROWS, Cell
from .drawing import Style
from .errors import LayoutError
from .guides.base import NOTE, TITLE, TITLE_HEIGHT, TITLE_ROW, GuideCell, GuidePage
from .palette import LINK
from .report_blocks import ROW, PageCells
from .report_cells import ColumnCells
from .report_numbers import HeatMap, Table
from .report_pages import Item, Lines, ReportPage
from .report_placed import PlacedChart, PlacedPage, PlacedTable, resolved
from .report_tracks import (
    MARGIN,
    blocks_of,
    charts_of,
    column_widths,
    is_floating,
    size_of,
    table_cells,
    track_of,
)

_BETWEEN = 28  # pixels between two tracks of columns
_PER_POINT = 4 / 3
_BACK = "\u25c4"
#: Table -> what its columns hold; and where each begins, and over how many it goes.
_Cells = dict[str, dict[str, ColumnCells]]
_Spans = dict[str, list[tuple[int, int]]]


def place_pages(pages: Sequence[ReportPage], cover: str = "") -> list[PlacedPage]:
    """Choose a cell for everything on some pages.

    Args:
        pages: of one workbook; their charts may read tables of any of them.
        cover: the worksheet to which each has a link. Default: none, and no link.

    Raises:
        LayoutError: a page does not fit a worksheet, two tables have one name, or a chart
            reads a column that there is not.

    Example:
        >>> import pandas as pd
        >>> from sheetconv.report_numbers import HeatMap, Table
        >>> from sheetconv.report_pages import ReportPage
        >>> marks = Table("marks", pd.DataFrame({"name": ["Ada"], "mark": [5]}), index=False)
        >>> page = ReportPage("school", blocks=[(marks, HeatMap([[1, 2]]))])
        >>> placed, = place_pages([page])
        >>> [(cell.cell.a1, cell.value) for cell in placed.content.cells]
        [('B1', 'school'), ('B3', 'name'), ('B4', 'Ada'), ('C3', 'mark')]
        >>> [grid.bounds.a1 for grid, _, _ in placed.content.planes]
        ['C4', 'E3:F3']
    """
    tables: dict[str, PlacedTable] = {}
    placed = [_placed(page, cover, tables) for page in pages]
    for item in placed:
        item.charts = [
            replace(chart, series=tuple(resolved(chart.chart, tables))) for chart in item.charts
        ]
    return placed


def _placed(page: ReportPage, cover: str, tables: dict[str, PlacedTable]) -> PlacedPage:
    """One page; its tables are added to those of the others."""
    names = [block.name for block in page.each() if isinstance(block, Table)]
    for number, name in enumerate(names):
        if name in tables or name in names[:number]:
            raise LayoutError(f"two tables are named {name!r}: give each a name of its own")
    cells: _Cells = {
        block.name: table_cells(block) for block in page.each() if isinstance(block, Table)
    }
    bands, spans = page.bands(), _Spans()
    left = 0 if page.bare else 1
    starts, widths = [], [MARGIN] * left
    for number in range(max(map(len, bands), default=0)):
        track, own = track_of([band[number] for band in bands if number < len(band)], cells)
        spans |= own
        starts.append(len(widths))
        widths += [*(width.pixels for width in track), _BETWEEN]
    out = PlacedPage(GuidePage(page.name))
    put = PageCells(out)
    row = 0 if page.bare else _head(put, page, cover)
    for band in bands:
        row = _band(put, page, row, list(zip(band, starts, strict=False)), cells, spans, tables) + 1
    if row > MAX_ROWS or len(widths) > MAX_COLUMNS:
        raise LayoutError(
            f"page {page.name!r} needs {row:,} rows and {len(widths):,} columns, and a worksheet "
            f"has {MAX_ROWS:,} and {MAX_COLUMNS:,}: give less"
        )
    freeze = (1, 0)
    if page.bare:
        (table,) = page.each()
        assert isinstance(table, Table)
        freeze = (1, table.frame.index.nlevels if table.index else 0)
        back = f"{_BACK} {cover}" if cover else ""
        said = (page.title or page.name, page.about, *page.lines, *table.notes, back)
        out.box, out.box_column = "\n".join(text for text in said if text), len(widths)
    heights = tuple(_heights(put, page))
    out.page = GuidePage(page.name, tuple(column_widths(widths)), freeze, heights=heights)
    return out


def _head(put: PageCells, page: ReportPage, cover: str) -> int:
    """Title, sentences and the link to the cover; the first row below them."""
    if cover:
        link, place = Cell(cover, 0, 0), Cell(page.name, 0, 0)
        back = GuideCell(place, _BACK, style=Style(colour=LINK), link=link)
        put.out.content.cells.append(back)
    put.text(TITLE_ROW, 1, page.title or page.name, TITLE)
    row = 1
    for text, style in ((page.about, NOTE), *((line, Style()) for line in page.lines)):
        if text:
            put.text(row, 1, text, style)
            row += 1
    return row + 1


def _band(
    put: PageCells,
    page: ReportPage,
    row: int,
    band: Sequence[tuple[Item, int]],
    cells: _Cells,
    spans: _Spans,
    tables: dict[str, PlacedTable],
) -> int:
    """Place what stands side by side, each from a column on; the first row below it."""
    last = row
    for item, column in band:
        below = row
        for number, block in enumerate(blocks_of(item)):
            below = put.title(block, below + bool(number), column, notes=not page.bare)
            if isinstance(block, Table):
                own = put.table(block, cells[block.name], spans[block.name], below, column)
                tables[block.name] = own
                below += 1 + len(block.frame)
            elif isinstance(block, Lines):
                below = put.lines(block, below, column)
            elif isinstance(block, HeatMap):
                below = put.heat_map(block, below, column)
            else:
                below = put.images(block, below, column)
        last = max(last, below)
    # How high rows are is known once those with cells are placed.
    for item, column in band:
        if is_floating(item):
            for chart, x, y in charts_of(item):
                put.out.charts.append(PlacedChart(chart, row, column, x, y))
            end, left = row, size_of(item)[1]
            while left > 0:
                left -= put.heights.get(end, ROW)
                end += 1
            last = max(last, end)
    return last


def _heights(put: PageCells, page: ReportPage) -> Iterator[tuple[int, float]]:
    """The heights of rows that are not as high as any other, in points."""
    if not page.bare:
        yield TITLE_ROW, TITLE_HEIGHT
    for row, pixels in sorted(put.heights.items()):
        if pixels != ROW:
            yield row, pixels / _PER_POINT
            # A row of which the file says anything has a cell.
            put.out.content.cells.append(GuideCell(Cell(page.name, row, 0), None))

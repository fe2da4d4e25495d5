"""Pages whose blocks have their cells, and which cells a chart reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .cells import Range
from .drawing import Style
from .errors import LayoutError
from .guides.base import GuidePage
from .guides.contents import GuideContent
from .layers.base import Array
from .layout import ColourScale
from .report_cells import ColumnCells
from .report_pages import LineChart, Series, TableColumn
from .spelling import suggestion


@dataclass(frozen=True, slots=True)
class ReportStyle(Style):
    """The looks of a cell of a page.

    Attributes:
        rotation: of the text, in degrees. Default 0.
        valign: `top` or `vcenter`. Default: the program's own, the bottom.
        indent: from the left, in steps of some 9 pixels. Default 0.
    """

    rotation: int = 0
    valign: str | None = None
    indent: int = 0


class PlacedScale(NamedTuple):
    """A colour scale, and the number of its strongest colour; None for the largest there is."""

    scale: ColourScale
    largest: float | None = None


class PlacedSeries(NamedTuple):
    """A line of a chart with its cells, and what these hold; NaN where they hold no number."""

    series: Series
    x: Range
    y: Range
    x_values: Array
    y_values: Array


@dataclass(frozen=True, slots=True)
class PlacedChart:
    """A chart, and where its left upper corner lies.

    Attributes:
        chart: what it shows.
        row, column: of a cell.
        x, y: from that cell's corner, in pixels.
        series: its lines.
    """

    chart: LineChart
    row: int
    column: int
    x: int
    y: int
    series: tuple[PlacedSeries, ...] = ()


@dataclass(slots=True)
class PlacedPage:
    """A worksheet before it is written.

    Attributes:
        page: its name, widths, heights and what does not scroll.
        content: its cells.
        merged: cells that are one.
        scales: its colour scales.
        charts: its charts.
        box: what a box beside the cells says; empty for no box.
        box_column: where the box stands.
    """

    page: GuidePage
    content: GuideContent = field(default_factory=GuideContent)
    merged: list[Range] = field(default_factory=list)
    scales: list[PlacedScale] = field(default_factory=list)
    charts: list[PlacedChart] = field(default_factory=list)
    box: str = ""
    box_column: int = 0


class PlacedTable(NamedTuple):
    """Where a table's numbers stand."""

    sheet: str
    row: int
    columns: dict[str, int]
    cells: dict[str, ColumnCells]


def resolved(chart: LineChart, tables: Mapping[str, PlacedTable]) -> Iterator[PlacedSeries]:
    """The lines of a chart with their cells.

    Args:
        chart: what it shows.
        tables: name -> where each table of the workbook stands.

    Raises:
        LayoutError: a column is none of theirs, or its rows are not those of the x axis.
    """
    where = f"chart {chart.title!r}"
    for series in chart.series:
        x, x_values = _cells_of(where, series.x, tables)
        y, y_values = _cells_of(where, series.y, tables)
        if x.height != y.height:
            raise LayoutError(
                f"{where}: series {series.name!r} has {y.height} numbers for {x.height} of the x "
                "axis: give as many"
            )
        yield PlacedSeries(series, x, y, x_values, y_values)


def _cells_of(
    where: str, column: TableColumn, tables: Mapping[str, PlacedTable]
) -> tuple[Range, Array]:
    if column.table not in tables:
        raise LayoutError(
            f"{where}: no table {column.table!r}{suggestion(column.table, [*tables])}"
        )
    table = tables[column.table]
    if column.column not in table.columns:
        raise LayoutError(
            f"{where}: table {column.table!r} has no column {column.column!r}"
            f"{suggestion(column.column, [*table.columns])}"
        )
    values = table.cells[column.column].numbers
    count = len(values) - column.first if column.count is None else column.count
    if column.first < 0 or count < 1 or column.first + count > len(values):
        raise LayoutError(
            f"{where}: rows {column.first} to {column.first + count - 1} of table "
            f"{column.table!r}: it has {len(values)}"
        )
    area = Range(table.sheet, table.row + column.first, table.columns[column.column], count)
    return area, values[column.first : column.first + count]

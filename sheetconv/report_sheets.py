"""Pages on worksheets: their cells, native charts and boxes, as XlsxWriter takes them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .cells import Cell, Range
from .colour_scales import add_colour_scale
from .guide_sheets import write_page
from .layers.base import Array
from .palette import AXIS, DEPTH, GRID, INK, LINES, SOFT
from .report_pages import LineChart
from .report_placed import PlacedChart, PlacedPage, PlacedSeries

_LINES_OFF = {"visible": False}
_MOST_TICKS = 10
# Pixels of a chart: above the lines, of an axis's numbers at the side, of its title, and of
# what is left free; of a legend, of each row of it after the first, and of a character there.
_HEADING, _NUMBERS, _TITLE_OF_AXIS, _AROUND = 38, 46, 20, 16
_LEGEND, _LEGEND_ROW, _CHARACTER = 36, 16, 7
#: Move with the cells, and keep the size.
_MOVES = 2
_BOX_WIDTH, _BOX_LINE, _BOX_CHARACTERS = 440, 18, 62
_LOOKS_LIKE_A_REFERENCE = re.compile(r"!(?=\$?[A-Z])")


def write_report(book: Any, placed: PlacedPage, looks: Any, cover: str = "") -> None:
    """Add a page's worksheet.

    Args:
        book: an XlsxWriter workbook.
        placed: the page.
        looks: the workbook's cell formats.
        cover: the worksheet to which a box leads. Default: none.
    """
    sheet = write_page(book, placed.page, placed.content, looks)
    for area in placed.merged:
        sheet.merge.append([area.row, area.column, area.last_row, area.last_column])
    for scale, largest in placed.scales:
        add_colour_scale(sheet, scale, largest)
    for item in placed.charts:
        names = ", ".join(series.name for series in item.chart.series)
        sheet.insert_chart(
            item.row,
            item.column,
            _chart(book, item),
            {
                "x_offset": item.x,
                "y_offset": item.y,
                "object_position": _MOVES,
                "description": f"{item.chart.title}: {names}",
            },
        )
    if placed.box:
        _add_box(sheet, placed, cover)


def _add_box(sheet: Any, placed: PlacedPage, cover: str) -> None:
    """A box of text below the header, beside the cells."""
    lines = sum(math.ceil(max(len(line), 1) / _BOX_CHARACTERS) for line in placed.box.split("\n"))
    link = {"url": f"internal:{Cell(cover, 0, 0)}"} if cover else {}
    sheet.insert_textbox(
        1,
        placed.box_column,
        placed.box,
        {
            "width": _BOX_WIDTH,
            "height": (lines + 1) * _BOX_LINE,
            "object_position": _MOVES,
            "font": {"size": 10, "color": INK},
            "line": {"color": AXIS},
            **link,
        },
    )


def _chart(book: Any, item: PlacedChart) -> Any:
    chart, about = book.add_chart({"type": "scatter", "subtype": "straight"}), item.chart
    colours = _colours(len(item.series))
    for placed, colour in zip(item.series, colours, strict=True):
        chart.add_series(_series(placed, colour))
    chart.set_size({"width": about.width, "height": about.height})
    chart.set_title(
        {"name": _plain(about.title), "name_font": {"size": 12, "bold": True, "color": INK}}
    )
    if len(item.series) > 1:
        chart.set_legend({"position": "bottom", "font": {"size": 9, "color": SOFT}})
    else:
        chart.set_legend({"none": True})
    x_axis = _x_axis(about, item.series)
    chart.set_x_axis(
        {**_axis(about.x_title), **x_axis, "label_position": "low", "major_gridlines": _LINES_OFF}
    )
    low, high = about.y_range
    chart.set_y_axis(
        {**_axis(about.y_title, about.y_format), "min": low, "max": high, "label_position": "low"}
    )
    if any(placed.series.secondary for placed in item.series):
        # The axis that is not shown has to begin and end as the one that is.
        chart.set_x2_axis({**x_axis, "visible": False})
        chart.set_y2_axis(
            {
                **_axis(about.secondary_title, about.secondary_format),
                "major_gridlines": _LINES_OFF,
                "label_position": "high",
            }
        )
    chart.set_chartarea({"border": {"color": GRID}})
    chart.set_plotarea({"layout": _plot_area(about, item.series)})
    return chart


def _plot_area(about: LineChart, series: Sequence[PlacedSeries]) -> dict[str, float]:
    """Where the lines are drawn, so that every program leaves them as much room."""
    left = _NUMBERS + (_TITLE_OF_AXIS if about.y_title else 0)
    secondary = any(item.series.secondary for item in series)
    right = _NUMBERS + _TITLE_OF_AXIS if secondary else _AROUND
    below = _TITLE_OF_AXIS * (1 + bool(about.x_title)) + _legend_height(about)
    return {
        "x": left / about.width,
        "y": _HEADING / about.height,
        "width": (about.width - left - right) / about.width,
        "height": (about.height - _HEADING - below) / about.height,
    }


def _legend_height(about: LineChart) -> int:
    """About how much of a chart the names of its lines take."""
    if len(about.series) == 1:
        return _AROUND
    longest = max(len(item.name) for item in about.series)
    in_a_row = max(1, (about.width - 2 * _AROUND) // (_LEGEND + longest * _CHARACTER))
    rows = math.ceil(len(about.series) / in_a_row)
    return _LEGEND + (rows - 1) * _LEGEND_ROW


def _series(placed: PlacedSeries, colour: str) -> dict[str, Any]:
    series = placed.series
    line = {"color": series.colour or colour, "width": series.width}
    options: dict[str, Any] = {
        "name": _plain(series.name),
        "categories": _reference(placed.x),
        "values": _reference(placed.y),
        "categories_data": _cached(placed.x_values),
        "values_data": _cached(placed.y_values),
        "line": {**line, "dash_type": "dash"} if series.dashed else line,
        "smooth": series.smooth,
        "y2_axis": series.secondary,
    }
    if series.markers:
        fill = {"color": line["color"]}
        options["marker"] = {"type": "circle", "size": 5, "fill": fill, "border": fill}
    return options


def _reference(area: Range) -> list[str | int]:
    return [area.sheet, area.row, area.column, area.last_row, area.last_column]


def _cached(values: Array) -> list[str | None]:
    """The numbers that a chart shows before its cells are read: none needs more digits."""
    return [f"{value:.7g}" if math.isfinite(value) else None for value in values.tolist()]


def _plain(text: str) -> str:
    """A text that XlsxWriter does not take for a reference to a cell, as it would `a!B1`."""
    return _LOOKS_LIKE_A_REFERENCE.sub("! ", text)


def _axis(title: str, number_format: str = "General") -> dict[str, Any]:
    return {
        "name": _plain(title),
        "name_font": {"size": 9, "bold": False, "color": SOFT},
        "num_font": {"size": 9, "color": SOFT},
        "num_format": number_format,
        "line": {"color": AXIS},
        "major_gridlines": {"visible": True, "line": {"color": GRID, "width": 0.75}},
        "major_tick_mark": "none",
        "minor_tick_mark": "none",
    }


def _x_axis(about: LineChart, series: Sequence[PlacedSeries]) -> dict[str, Any]:
    """Where the x axis begins and ends, and how far apart its numbers are."""
    points = np.concatenate([item.x_values for item in series])
    points = points[np.isfinite(points)]
    if about.log_x:
        points = points[points > 0]
    low, high = about.x_range or (None, None)
    if about.x_range is None and len(points) and points.min() < points.max():
        low, high = float(points.min()), float(points.max())
        if about.log_x:
            low, high = 10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high))
    options: dict[str, Any] = {"min": low, "max": high}
    if about.log_x:
        options["log_base"] = 10
    elif low is not None and high is not None and (points == np.rint(points)).all():
        step = _step(high - low)
        options |= {"min": low // step * step, "major_unit": step, "num_format": "#,##0"}
    return options


def _step(length: float) -> int:
    """A round whole number of which an axis has at most ten.

    Example:
        >>> _step(7), _step(2345)
        (1, 500)
    """
    step = 1
    while length / step > _MOST_TICKS:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return step


def _colours(count: int) -> list[str]:
    """A colour for each line of a chart."""
    if count <= len(LINES):
        return list(LINES[:count])
    # Layers: neighbours are alike.
    between = [bytes.fromhex(colour[1:]) for colour in DEPTH]
    places = np.linspace(0, len(between) - 1, count)
    channels = [
        np.interp(places, range(len(between)), channel) for channel in zip(*between, strict=True)
    ]
    return [
        "#{:02X}{:02X}{:02X}".format(*map(round, colour)) for colour in zip(*channels, strict=True)
    ]

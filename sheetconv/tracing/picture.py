"""A picture of a trace: the planes in their colours, what was reached lit, and blue arrows.

Arrows are drawn as spreadsheet programs draw them: from the first cell of a range that a
formula names to the cell that holds the formula.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import TraceError
from ..palette import GREY
from .asking import shown
from .book import Positions
from .colours import PAPER, colour_of, extent, mixed, rgb, short
from .panels import Panel, panels_of
from .precedents import Reach
from .result import Trace
from .tracer import Tracer

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

#: What the picture is meant to be wide and high, and the most of a cell, in pixels.
_WIDTH, _HEIGHT = 2400, 1800
_MOST = 44
#: Numbers are written into cells of at least this size.
_WITH_NUMBERS = 17
#: Cells of at least this size have an edge.
_WITH_EDGES = 4
_MARGIN = 28
_BETWEEN = 3.0  # panels, in cells
#: A formula's arrows are all drawn where there are few, else those of corners of planes.
_MOST_ARROWS = 120
_INK, _SOFT = (33, 37, 41), (110, 118, 128)
_UNLIT = (238, 240, 243)
_BLUE, _ROOT = (28, 78, 216), (214, 51, 132)

Point = tuple[float, float]


@dataclass(slots=True)
class _Canvas:
    """The picture as it grows, and where every panel stands."""

    image: Image.Image
    pen: ImageDraw.ImageDraw
    size: int
    panels: list[Panel]
    lefts: list[float]
    top: float

    def corner(self, sheet: str, row: int, column: int) -> Point | None:
        """The top left corner of a cell; None if it is not shown."""
        for panel, left in zip(self.panels, self.lefts, strict=True):
            if panel.sheet == sheet:
                x, y = panel.columns.at(column), panel.rows.at(row)
                if x is not None and y is not None:
                    return left + x * self.size, self.top + y * self.size
        return None

    def centre(self, sheet: str, row: int, column: int) -> Point | None:
        """The middle of a cell; None if it is not shown."""
        corner = self.corner(sheet, row, column)
        return corner and (corner[0] + self.size / 2, corner[1] + self.size / 2)


def draw(tracer: Tracer, trace: Trace, reach: Reach) -> Image.Image:
    """The picture of a trace.

    Raises:
        TraceError: it reaches more rows or columns than a picture has pixels.
    """
    from PIL import Image, ImageDraw

    panels = panels_of(tracer, reach)
    across = sum(panel.columns.length for panel in panels) + _BETWEEN * (len(panels) - 1)
    down = max(panel.rows.length for panel in panels)
    fitting = min((_WIDTH - 2 * _MARGIN) / across, _HEIGHT / down)
    if fitting < 1:
        raise TraceError(
            f"{trace.cell} reaches {across:,.0f} columns and {down:,.0f} rows of planes, more than "
            "a picture holds: go back fewer steps (--depth), or trace a cell of an earlier layer"
        )
    size = int(min(fitting, _MOST))
    text = max(15, min(26, size + 4))
    width = max(math.ceil(across * size) + 2 * _MARGIN, 900)
    # Below the two lines of the caption: the worksheets' names, and three lines of titles.
    top = _MARGIN + 2.6 * text + (4.6 if len(panels) > 1 else 3.2) * _title_size(size)
    height = math.ceil(top + (down + 1) * size + 1.8 * text + _MARGIN)
    image = Image.new("RGB", (width, height), PAPER)
    lefts, left = [], (width - across * size) / 2
    for panel in panels:
        lefts.append(left)
        left += (panel.columns.length + _BETWEEN) * size
    canvas = _Canvas(image, ImageDraw.Draw(image), size, panels, lefts, top)
    for number, panel in enumerate(panels):
        _draw_panel(canvas, tracer, reach, panel, lefts[number], named=len(panels) > 1)
    _draw_outlines(canvas, trace)
    _draw_arrows(canvas, tracer, reach)
    _draw_root(canvas, trace)
    _draw_captions(canvas, trace, text)
    return image


def _draw_panel(
    canvas: _Canvas, tracer: Tracer, reach: Reach, panel: Panel, left: float, *, named: bool
) -> None:
    size, pen = canvas.size, canvas.pen
    numbers = tracer.cells.numbers[panel.positions]
    _, rows, columns = tracer.cells.places(panel.positions)
    lit = reach.steps[panel.positions] >= 0
    font = _font(size * 0.42)
    scales = {number: extent(numbers[panel.scale == number]) for number in np.unique(panel.scale)}
    xs = left + panel.columns.offsets[np.searchsorted(panel.columns.numbers, columns)] * size
    ys = canvas.top + panel.rows.offsets[np.searchsorted(panel.rows.numbers, rows)] * size
    for index in range(panel.positions.size):
        value, x, y = float(numbers[index]), float(xs[index]), float(ys[index])
        if panel.is_padding[index]:
            colour = rgb(GREY)
        else:
            colour = colour_of(value, scales[panel.scale[index]])
        if not lit[index]:
            colour = mixed(_UNLIT, mixed(colour, _UNLIT, 0.35), 0.75)
        edge = (214, 219, 226) if lit[index] else (228, 231, 236)
        if size < _WITH_EDGES:
            edge = colour
        pen.rectangle((x, y, x + size, y + size), fill=colour, outline=edge)
        if size >= _WITH_NUMBERS and not math.isnan(value):
            ink = _INK if lit[index] else (160, 166, 174)
            middle = (x + size / 2 + 0.5, y + size / 2 + 0.5)
            pen.text(middle, short(value), fill=ink, font=font, anchor="mm")
    _draw_titles(canvas, panel, left, named=named)


def _title_size(size: int) -> float:
    """The height of titles beside cells of some size, in pixels."""
    return max(13.0, min(22.0, size * 0.8))


def _draw_titles(canvas: _Canvas, panel: Panel, left: float, *, named: bool) -> None:
    """Titles above planes and their padding; where they would collide, a line or two higher."""
    height = _title_size(canvas.size)
    font = _font(height)
    padding = {(row, column) for row, column in panel.padding}
    taken: list[tuple[float, float, float, float]] = []
    for row, column, text in sorted(panel.titles, key=lambda title: (title[1], title[0])):
        while (row - 1, column) in padding:
            row -= 1
        x, y = canvas.corner(panel.sheet, row, column) or (0.0, 0.0)
        x = min(x, canvas.image.width - 6 - font.getlength(text))
        for lift in range(3):
            place = (x, y - 4 - 1.1 * lift * height)
            box = canvas.pen.textbbox(place, text, font=font, anchor="ls")
            if not any(_collide(box, other) for other in taken):
                canvas.pen.text(place, text, _INK, font, "ls", stroke_width=2, stroke_fill=PAPER)
                taken.append(box)
                break
    if named:
        place = (left, canvas.top - 3.5 * height)
        canvas.pen.text(place, panel.sheet, fill=_SOFT, font=_font(height), anchor="ls")


def _collide(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    across = one[0] < other[2] + 4 and other[0] < one[2] + 4
    return across and one[1] < other[3] and other[1] < one[3]


def _draw_outlines(canvas: _Canvas, trace: Trace) -> None:
    for item in trace.walk():
        if item.name.startswith("padding of "):
            continue
        width = max(1, round(canvas.size / (9 if item.step == 1 else 13)))
        for area in item.areas:
            first = canvas.corner(area.sheet, area.row, area.column)
            bounds = area.bounds
            last = canvas.corner(area.sheet, bounds.last_row, bounds.last_column)
            if first and last:
                box = (first[0], first[1], last[0] + canvas.size, last[1] + canvas.size)
                canvas.pen.rectangle(box, outline=_BLUE, width=width)


def _draw_arrows(canvas: _Canvas, tracer: Tracer, reach: Reach) -> None:
    from PIL import Image, ImageDraw

    # Arrows further back are fainter. They are drawn twice as large, and smooth when they shrink.
    for first, alpha in ((2, 100), (1, 150), (0, 255)):
        sheer = Image.new("L", (canvas.image.width * 2, canvas.image.height * 2), 0)
        pen = ImageDraw.Draw(sheer)
        width = max(4, canvas.size // 5) if first == 0 else max(2, canvas.size // 9)
        for start, target in _arrows(canvas, tracer, _readers(tracer, reach, first)):
            _arrow(pen, start, target, width, canvas.size, alpha)
        smooth = sheer.resize(canvas.image.size, Image.Resampling.BOX)
        canvas.image.paste(_BLUE, (0, 0), smooth)


def _readers(tracer: Tracer, reach: Reach, first: int) -> Positions:
    """The formulas of the steps from `first` on whose arrows are drawn; from 2 on of all."""
    steps, is_formula = reach.steps, tracer.cells.is_formula
    last = int(steps.max()) if first == 2 else first
    found = [np.empty(0, dtype=np.intp)]
    for step in range(first, last + 1):
        readers = np.flatnonzero((steps == step) & is_formula)
        if readers.size and readers.size * _names(tracer, readers[0]) > _MOST_ARROWS:
            readers = _corners(tracer, readers)
        found.append(readers)
    return np.concatenate(found)


def _names(tracer: Tracer, position: int) -> int:
    """How many areas a formula names."""
    return len(tracer.precedents.named_by(np.array([position]))[0])


def _arrows(canvas: _Canvas, tracer: Tracer, readers: Positions) -> Iterator[tuple[Point, Point]]:
    """From the first cell of each area that a formula names to the formula's cell."""
    if not readers.size:
        return
    names = tracer.cells.sheets
    index, sheets, corners = tracer.precedents.named_by(readers)
    on, rows, columns = tracer.cells.places(readers)
    for owner, sheet, corner in zip(index, sheets, corners, strict=True):
        target = canvas.centre(names[on[owner]], int(rows[owner]), int(columns[owner]))
        top, left = int(min(corner[0], corner[2])), int(min(corner[1], corner[3]))
        start = canvas.centre(names[sheet], top, left)
        if start and target and start != target:
            yield start, target


def _corners(tracer: Tracer, positions: Positions) -> Positions:
    """Of many cells, the first that is reached of each region or worksheet."""
    sheets = tracer.cells.places(positions)[0]
    owners = tracer.owner[positions]
    kinds = np.where(owners >= 0, owners, len(tracer.regions) + sheets)
    _, firsts = np.unique(kinds, return_index=True)
    return positions[firsts]


def _arrow(
    pen: ImageDraw.ImageDraw,
    start: Point,
    end: Point,
    width: int,
    size: int,
    colour: int,
) -> None:
    """An arrow, its points given in pixels of the picture, drawn twice as large."""
    start, end, size = (start[0] * 2, start[1] * 2), (end[0] * 2, end[1] * 2), size * 2
    length = math.dist(start, end)
    x, y = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    head = min(max(14.0, size * 0.5), length)
    base = (end[0] - x * head, end[1] - y * head)
    pen.line((*start, *base), fill=colour, width=width)
    half = head * 0.38
    wings = [(base[0] - y * half, base[1] + x * half), (base[0] + y * half, base[1] - x * half)]
    pen.polygon([end, *wings], fill=colour)
    dot = max(4.0, size * 0.13)
    pen.ellipse((start[0] - dot, start[1] - dot, start[0] + dot, start[1] + dot), fill=colour)


def _draw_root(canvas: _Canvas, trace: Trace) -> None:
    corner = canvas.corner(trace.cell.sheet, trace.cell.row, trace.cell.column)
    if corner:
        more = max(2, canvas.size // 8)
        box = (corner[0] - 1, corner[1] - 1)
        canvas.pen.rectangle(
            (*box, box[0] + canvas.size + 2, box[1] + canvas.size + 2), outline=_ROOT, width=more
        )


def _draw_captions(canvas: _Canvas, trace: Trace, text: int) -> None:
    pen, width = canvas.pen, canvas.image.width - 2 * _MARGIN
    unit = f"    {trace.unit}" if trace.unit else ""
    head = f"{trace.cell} = {shown(trace.value)}{unit}"
    pen.text(
        (_MARGIN, _MARGIN), _cut(head, text * 1.15, width), fill=_ROOT, font=_font(text * 1.15)
    )
    place = (_MARGIN, _MARGIN + 1.45 * text)
    pen.text(place, _cut(trace.formula, text * 0.8, width), fill=_SOFT, font=_font(text * 0.8))
    if trace.pixels is not None:
        foot = (_MARGIN, canvas.image.height - _MARGIN)
        last = _cut(trace.pixel_line(), text * 0.9, width)
        pen.text(foot, last, fill=_INK, font=_font(text * 0.9), anchor="ls")


def _cut(text: str, size: float, width: float) -> str:
    """A text as far as it fits."""
    font = _font(size)
    if font.getlength(text) <= width:
        return text
    share = width / font.getlength(text)
    return f"{text[: max(int(len(text) * share) - 4, 1)]}..."


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(max(6.0, size))

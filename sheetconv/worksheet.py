"""The worksheets of a network: layout and values, as bands of cells with their looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np

from .arranging import lay_out
from .batches import as_batch
from .cells import Grid, Range, check_text, parse_cell, parse_range
from .drawing import Drawing, Style
from .errors import LayoutError, ShapeError
from .evaluate import evaluate, known_tensors
from .formulas import can_share
from .layers.base import Array
from .layout import (
    ColourScale,
    Layout,
    SheetLooks,
    border_style,
    column_span,
    stage_formulas,
)
from .network import Sequential
from .number_formats import check_number_format
from .sheet_writer import (
    Band,
    BlankBand,
    CellWorksheet,
    ColumnWidth,
    FormulaBand,
    NumberBand,
    SheetContent,
    TextBand,
)


@dataclass(frozen=True, slots=True)
class NetworkSheet:
    """One network to be drawn on worksheets of its own.

    Attributes:
        network: the layers and their parameters.
        image: (height, width) for one channel, (channels, height, width), (features,), or
            several: (images, channels, height, width) or (images, features).
        drawing: how. Default: `Drawing()`.
    """

    network: Sequential
    image: Array
    drawing: Drawing = field(default_factory=Drawing)


class PreparedSheet:
    """A sheet whose layout and values are known, so that only writing can still fail."""

    def __init__(self, sheet: NetworkSheet, seed: int) -> None:
        self.sheet = sheet
        image = as_batch(sheet.network, sheet.image)
        batch, shape = len(image), image.shape[1:]
        signed = bool((image < 0).any())
        self.layout = lay_out(sheet.network, shape, sheet.drawing, batch=batch, signed_input=signed)
        tensors = known_tensors(sheet.network, self.layout, image, seed)
        self._check(tensors)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                self.values = tensors | evaluate(sheet.network, self.layout, tensors)
        except MemoryError:
            raise ShapeError(
                "the network computes more numbers at once than fit into memory: use smaller "
                "images, kernels or batches"
            ) from None
        self._check(self.values)
        self.formulas = [
            (stage, item)
            for stage in self.layout.stages
            for item in stage_formulas(
                sheet.network, stage, self.layout.placed, self.layout.drawing
            )
        ]

    def _check(self, values: Mapping[str, Array]) -> None:
        for name, placed in self.layout.placed.items():
            if name not in values:
                continue
            value = values[name]
            if value.shape != placed.shape:
                raise ShapeError(
                    f"{name} has shape {value.shape}: the network draws {placed.shape}"
                )
            if not np.isfinite(value).all():
                raise ShapeError(
                    f"{name} holds NaN or infinity, which no cell can hold: scale the image "
                    "or the weights"
                )

    def count(self, *, formulas: bool) -> int:
        return sum(
            placed.size
            for placed in self.layout.placed.values()
            if placed.role.is_formula == formulas
        )


class Looks:
    """Cell formats by style, made once each."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._index: dict[Style, int] = {Style(): 0}
        # Format 0 has to exist before any other.
        book.add_format()._get_xf_index()

    def index(self, style: Style) -> int:
        if style not in self._index:
            properties: dict[str, Any] = {}
            for key, value in asdict(style).items():
                name = {"colour": "font_color", "fill": "bg_color", "number_format": "num_format"}
                if key == "number_format" and value is not None:
                    check_number_format(value)
                if value not in (None, False, "General"):
                    properties[name.get(key, key)] = value
            self._index[style] = self._book.add_format(properties)._get_xf_index()
        return self._index[style]


def write_sheets(book: Any, item: PreparedSheet, looks: Looks, progress: Any) -> None:
    """Add the worksheets of a network to an XlsxWriter workbook.

    Args:
        book: the workbook.
        item: what to write.
        looks: the workbook's cell formats.
        progress: called with the number of cells after each row, or None.

    Raises:
        LayoutError: texts, widths or merges of the drawing collide.
    """
    layout, drawing = item.layout, item.layout.drawing
    bands: dict[str, list[Band]] = {sheet.name: [] for sheet in layout.sheets}
    for band in (
        *_numbers(item, looks),
        *_formulas(item, looks),
        *_borders(layout, looks),
    ):
        bands[band.grid.sheet].append(band)
    for sheet_looks in layout.sheets:
        content = SheetContent(
            bands=bands[sheet_looks.name],
            default_width=sheet_looks.default_width,
            row_height=drawing.row_height,
            progress=progress,
        )
        _write_sheet(book, layout, sheet_looks, content, looks)


def _write_sheet(
    book: Any, layout: Layout, sheet_looks: SheetLooks, content: SheetContent, looks: Looks
) -> None:
    drawing = layout.drawing
    sheet = book.add_worksheet(sheet_looks.name, worksheet_class=CellWorksheet)
    for text in sheet_looks.texts:
        cell = text.cell
        check_text(text.text, f"the text at {cell.a1}")
        grid = Grid(cell.sheet, cell.row, cell.column, 1, 1)
        index = sheet.str_table._get_shared_string_index(text.text)
        content.bands.append(TextBand(grid, text.text, looks.index(text.style), index))
        if text.link is not None:
            sheet.write_url(cell.row, cell.column, f"internal:{text.link}", string=text.text)
    for fill in drawing.fills:
        for text_range in fill.ranges.split():
            content.bands.append(
                BlankBand(
                    _as_grid(parse_range(text_range, drawing.worksheet)), looks.index(fill.style)
                )
            )
    for columns in sheet_looks.columns:
        first, last = column_span(columns)
        if any(other.first <= last and first <= other.last for other in content.columns):
            raise LayoutError(f"columns {columns.columns} are given two widths: give one")
        content.columns.append(
            ColumnWidth(
                first, last, columns.width, columns.hidden, columns.outline, columns.collapsed
            )
        )
    for scale in layout.colour_scales:
        if scale.ranges[0].sheet == sheet_looks.name:
            _add_colour_scale(sheet, scale)
    merged: list[Range] = []
    for text_range in drawing.merges:
        area = parse_range(text_range, drawing.worksheet)
        if area.height * area.width == 1 or any(area.overlaps(other) for other in merged):
            raise LayoutError(
                f"{text_range} cannot be merged: it is one cell, or part of another merged range"
            )
        merged.append(area)
        sheet.merge.append([area.row, area.column, area.last_row, area.last_column])
    if drawing.freeze is not None:
        cell = parse_cell(drawing.freeze, drawing.worksheet)
        sheet.freeze_panes(cell.row, cell.column)
    sheet.set_zoom(drawing.zoom)
    # On paper, one page wide.
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.prepare(content)


def _as_grid(area: Range) -> Grid:
    return Grid(area.sheet, area.row, area.column, area.height, area.width)


def _numbers(item: PreparedSheet, looks: Looks) -> Iterator[Band]:
    for name, placed in item.layout.placed.items():
        if placed.role.is_formula:
            continue
        style = looks.index(item.layout.styles[name])
        for grid, values in _side_by_side(_by_grid(item.values[name], placed.grids)):
            yield NumberBand(grid, values, style)


def _side_by_side(planes: Iterable[tuple[Grid, Array]]) -> Iterator[tuple[Grid, Array]]:
    """Planes of adjacent columns as one: a row of many dense weights is one text."""
    for _, group in groupby(planes, key=lambda plane: plane[0].compact and _rows_of(plane[0])):
        run: list[tuple[Grid, Array]] = []
        for grid, values in group:
            if run and (not grid.compact or grid.column != run[-1][0].bounds.last_column + 1):
                yield _joined(run)
                run = []
            run.append((grid, values))
        yield _joined(run)


def _rows_of(grid: Grid) -> tuple[str, int, int]:
    return (grid.sheet, grid.row, grid.height)


def _joined(run: list[tuple[Grid, Array]]) -> tuple[Grid, Array]:
    if len(run) == 1:
        return run[0]
    width = sum(grid.width for grid, _ in run)
    first = replace(run[0][0], width=width, row_step=1, column_step=1)
    return first, np.concatenate([values for _, values in run], axis=1)


def _by_grid(values: Array, grids: Sequence[Grid]) -> list[tuple[Grid, Array]]:
    flat = values.reshape(-1)
    out, start = [], 0
    for grid in grids:
        out.append((grid, flat[start : start + grid.size].reshape(grid.height, grid.width)))
        start += grid.size
    return out


def _formulas(item: PreparedSheet, looks: Looks) -> Iterator[Band]:
    sharing = item.layout.drawing.formulas == "sumproduct"
    # A worksheet numbers its shared formulas.
    shared: dict[str, int] = {}
    for stage, cells in item.formulas:
        name = f"{stage.name}.{cells.tensor}"
        grid = cells.grid
        flat = item.values[name].reshape(-1)
        values = flat[cells.start : cells.start + grid.size].reshape(grid.height, grid.width)
        style = looks.index(item.layout.styles[name])
        number = None
        if sharing and can_share(cells):
            number = shared.get(grid.sheet, 0)
            shared[grid.sheet] = number + 1
        yield FormulaBand(cells, values, style, number)


def _borders(layout: Layout, looks: Looks) -> Iterator[Band]:
    style = looks.index(border_style())
    for border in layout.borders:
        grid = _as_grid(border.area)
        if border.zeros:
            yield NumberBand(grid, np.zeros((grid.height, grid.width)), style)
        else:
            yield BlankBand(grid, style)


def _add_colour_scale(sheet: Any, scale: ColourScale) -> None:
    first = scale.ranges[0]
    names = ("min_color", "mid_color", "max_color")
    options: dict[str, Any] = {"multi_range": " ".join(area.a1 for area in scale.ranges)}
    if len(scale.colours) == 3:
        options |= {"type": "3_color_scale", "mid_type": "num", "mid_value": 0}
        options |= dict(zip(names, scale.colours, strict=True))
    else:
        options |= {"type": "2_color_scale"}
        if scale.from_zero:
            options |= {"min_type": "num", "min_value": 0}
        options |= dict(zip((names[0], names[2]), scale.colours, strict=True))
    sheet.conditional_format(first.row, first.column, first.last_row, first.last_column, options)

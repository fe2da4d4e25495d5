"""The worksheets of a network: layout and values, as bands of cells with their looks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from typing import Any

import numpy as np

from .arranging import lay_out
from .batches import as_batch
from .cells import Grid, Range, check_text, parse_cell, parse_range
from .colour_scales import add_colour_scale
from .drawing import Style
from .errors import LayoutError, ShapeError
from .evaluate import evaluate, known_tensors
from .formulas import CellFormulas, Role, can_share
from .guide_sheets import add_rules, bands_of, quiet, write_page
from .guides import TITLE_HEIGHT, TITLE_ROW, Guide, plan, with_head
from .guides.contents import GuideContent, contents
from .layers.base import Array
from .layout import (
    Layout,
    SheetLooks,
    border_style,
    column_span,
    stage_formulas,
)
from .network_sheet import NetworkSheet
from .number_formats import check_number_format, fitting_format
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

#: Fields of a style by XlsxWriter's other names.
_PROPERTIES = {
    "colour": "font_color",
    "fill": "bg_color",
    "number_format": "num_format",
    "frame": "border_color",
    "size": "font_size",
}
_THIN = 1


class PreparedSheet:
    """A sheet whose layout and values are known, so that only writing can still fail."""

    def __init__(self, sheet: NetworkSheet, seed: int) -> None:
        self.sheet = sheet
        #: What explains the network, and what it puts on which worksheet; see `add_guides`.
        self.guides: list[Guide] = []
        self.guided: dict[str, GuideContent] = {}
        image = as_batch(sheet.network, sheet.image)
        batch, shape = len(image), image.shape[1:]
        signed = bool((image < 0).any())
        self.layout = lay_out(sheet.network, shape, sheet.drawing, batch=batch, signed_input=signed)
        if self.has_guides:
            self.layout = with_head(self.layout)
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
        self.layout = replace(self.layout, styles=self._styles())
        self.formulas = [
            (stage, item)
            for stage in self.layout.stages
            for item in stage_formulas(
                sheet.network, stage, self.layout.placed, self.layout.drawing
            )
        ]

    @property
    def has_guides(self) -> bool:
        """Whether anything explains the network."""
        return self.sheet.has_guides

    def add_guides(self, taken: Collection[str], title: str, cover: str, prefix: str) -> None:
        """Choose the guides; see `guides.plan`."""
        assert self.sheet.guides is not None
        try:
            self.guides, self.layout = plan(
                self.sheet.network,
                self.layout,
                self.values,
                self.sheet.guides,
                taken=taken,
                title=title,
                cover=cover,
                prefix=prefix,
            )
        except (LayoutError, ShapeError) as error:
            where = f"worksheet {self.sheet.drawing.worksheet!r}: guides"
            raise type(error)(f"{where}: {error}") from None
        self.guided = contents(self.guides, self.values)

    @property
    def fed(self) -> dict[str, list[CellFormulas]]:
        """The formulas in the cells of given tensors, by full name."""
        return {name: items for guide in self.guides for name, items in guide.feeds().items()}

    def _styles(self) -> dict[str, Style]:
        """The looks of every tensor, each number format fitting its numbers."""
        styles = dict(self.layout.styles)
        for name in self.layout.unformatted:
            is_weight = self.layout.placed[name].role in (Role.PARAM, Role.BUFFER)
            shown = fitting_format(self.values[name], is_weight=is_weight)
            styles[name] = replace(styles[name], number_format=shown)
        return styles

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
        """Cells of the network that hold a formula, or a number."""
        fed = self.fed
        return sum(
            placed.size
            for name, placed in self.layout.placed.items()
            if (placed.role.is_formula or name in fed) == formulas
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
                if key == "number_format" and value is not None:
                    check_number_format(value)
                if value not in (None, False, "General"):
                    properties[_PROPERTIES.get(key, key)] = value
            if style.frame is not None:
                properties["border"] = _THIN
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
            heights={TITLE_ROW: TITLE_HEIGHT} if sheet_looks.head else {},
            progress=progress,
        )
        own = item.guided.get(sheet_looks.name, GuideContent())
        _write_sheet(book, layout, sheet_looks, content, looks, own)


def write_guides(book: Any, item: PreparedSheet, looks: Looks) -> None:
    """Add the worksheets of a network's guides."""
    for guide in item.guides:
        if guide.page is not None:
            write_page(book, guide.page, item.guided[guide.sheet], looks)


def _write_sheet(
    book: Any,
    layout: Layout,
    sheet_looks: SheetLooks,
    content: SheetContent,
    looks: Looks,
    guided: GuideContent,
) -> None:
    drawing = layout.drawing
    sheet = book.add_worksheet(sheet_looks.name, worksheet_class=CellWorksheet)
    content.bands += bands_of(sheet, guided, looks)
    add_rules(book, sheet, guided)
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
            add_colour_scale(sheet, scale)
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
        sheet.freeze_panes(cell.row + sheet_looks.head, cell.column)
    sheet.set_zoom(drawing.zoom)
    if not drawing.is_pinned:
        quiet(sheet)
    # On paper, one page wide.
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.prepare(content)


def _as_grid(area: Range) -> Grid:
    return Grid(area.sheet, area.row, area.column, area.height, area.width)


def _numbers(item: PreparedSheet, looks: Looks) -> Iterator[Band]:
    fed = item.fed
    for name, placed in item.layout.placed.items():
        if placed.role.is_formula or name in fed:
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
    fed = [(name, cells) for name, items in item.fed.items() for cells in items]
    made = [(f"{stage.name}.{cells.tensor}", cells) for stage, cells in item.formulas]
    for name, cells in (*fed, *made):
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
    style = looks.index(border_style(layout.drawing))
    for border in layout.borders:
        grid = _as_grid(border.area)
        if border.zeros:
            yield NumberBand(grid, np.zeros((grid.height, grid.width)), style)
        else:
            yield BlankBand(grid, style)

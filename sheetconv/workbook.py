"""From layouts to an .xlsx file: formulas with their cached values, looks, and description.

The only module that makes XlsxWriter workbooks.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import xlsxwriter
from xlsxwriter.exceptions import XlsxWriterException

from . import description
from .arranging import lay_out
from .cells import MAX_TEXT, Grid, Range, parse_cell, parse_range
from .drawing import Drawing, Style
from .errors import LayoutError, ShapeError, WorkbookError
from .evaluate import evaluate
from .files import check_target, written_whole
from .formulas import can_share
from .layers.base import Array
from .layout import (
    ColourScale,
    SheetLayout,
    border_style,
    cell_count,
    column_span,
    stage_formulas,
)
from .network import Sequential
from .sheet_writer import (
    BlankBand,
    CellWorksheet,
    ColumnWidth,
    FormulaBand,
    NumberBand,
    SheetContent,
    TextBand,
)
from .version import __version__

# A progress bar is not worth loading for what is written within a second.
_CELLS_WORTH_A_BAR = 100_000


@dataclass(frozen=True, slots=True)
class NetworkSheet:
    """One network to be drawn on a worksheet of its own.

    Attributes:
        network: the layers and their parameters.
        image: (height, width) for one channel, or (channels, height, width).
        drawing: how. Default: `Drawing()`.
    """

    network: Sequential
    image: Array
    drawing: Drawing = field(default_factory=Drawing)


@dataclass(frozen=True, slots=True)
class BuiltWorkbook:
    """What was written.

    Attributes:
        path: the file.
        layouts: one for each worksheet, in order.
        formula_cells: cells that hold a formula.
        number_cells: cells that hold an input, a parameter or a setting.
        file_size: in bytes.
    """

    path: Path
    layouts: tuple[SheetLayout, ...]
    formula_cells: int
    number_cells: int
    file_size: int


def build(
    network: Sequential,
    path: str | Path,
    *,
    image: Any,
    drawing: Drawing | None = None,
    force: bool = False,
    seed: int = 0,
) -> BuiltWorkbook:
    """Write a network as a workbook of live formulas.

    Args:
        network: the layers and their parameters.
        path: the .xlsx file to write.
        image: (height, width) for one channel, or (channels, height, width).
        drawing: how to draw it. Default: `Drawing()`.
        force: replace an existing file. Default False.
        seed: of the random numbers that dropout's RAND() cells show until a spreadsheet
            calculates them anew. Default 0.

    Raises:
        ShapeError: the image does not fit the network, or a value is not finite.
        LayoutError: the network does not fit a worksheet.
        WorkbookError: the file cannot be written.

    Example:
        >>> import tempfile, numpy as np, sheetconv as sc
        >>> net = sc.Sequential(sc.Conv2d(1, 2, 3), sc.ReLU(), sc.MaxPool2d(2),
        ...                     sc.Flatten(), sc.Linear(18, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     built = sc.build(net, f"{folder}/tiny.xlsx", image=np.eye(8))
        >>> built.formula_cells                       # 2*6*6 + 2*3*3 + 2
        92
    """
    sheet = NetworkSheet(network, np.asarray(image), drawing or Drawing())
    return build_workbook([sheet], path, force=force, seed=seed)


def build_workbook(
    sheets: Sequence[NetworkSheet],
    path: str | Path,
    *,
    title: str = "",
    force: bool = False,
    seed: int = 0,
) -> BuiltWorkbook:
    """Write several networks as one workbook, a worksheet each.

    Args:
        sheets: the networks, in the order of their worksheets.
        path: the .xlsx file to write.
        title: the document's title. Default: none.
        force: replace an existing file. Default False.
        seed: as for `build`.

    Raises:
        ShapeError, LayoutError, WorkbookError: as for `build`; nothing is left half-written.
    """
    target = Path(path)
    if target.suffix.lower() != ".xlsx":
        raise WorkbookError(f"{target}: the name of a workbook ends in .xlsx")
    check_target(target, force=force)
    if not sheets:
        raise LayoutError("a workbook without a network: give at least one NetworkSheet")
    prepared = [_Prepared(sheet, seed) for sheet in sheets]
    _check_names([item.layout.drawing.worksheet for item in prepared])
    with written_whole(target, force=force) as temporary, ExitStack() as stack:
        # XlsxWriter's own temporary files go away with this folder, however the build ends.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sheetconv-"))
        # Of a build that failed XlsxWriter leaves its files open, which Windows cannot remove
        # and a full disk makes noisy: the archive, which is small, is made in memory, and the
        # worksheets are closed below.
        archive = BytesIO()
        book = xlsxwriter.Workbook(archive, {"tmpdir": folder})
        # A fixed date: the same network gives the same bytes.
        book.set_properties(
            {"title": title, "comments": "made by sheetconv", "created": datetime(2000, 1, 1)}
        )
        total = sum(cell_count(item.layout) for item in prepared)
        progress = _progress(stack, total)
        looks = _Looks(book)
        for item in prepared:
            _write_sheet(book, item, looks, progress)
        hidden = book.add_worksheet(description.SHEET)
        hidden.very_hidden()
        rows = description.to_rows(
            [(item.sheet.network, item.layout) for item in prepared], __version__
        )
        for number, text in enumerate(rows):
            hidden.write_string(number, 0, text)
        try:
            book.close()
        except XlsxWriterException as error:
            raise WorkbookError(f"cannot write {target}: {error}") from None
        finally:
            for sheet in book.worksheets():
                if sheet.fh is not None:
                    sheet.fh.close()
        temporary.write_bytes(archive.getbuffer())
    return BuiltWorkbook(
        target,
        tuple(item.layout for item in prepared),
        sum(item.count(formulas=True) for item in prepared),
        sum(item.count(formulas=False) for item in prepared),
        target.stat().st_size,
    )


class _Prepared:
    """A sheet whose layout and values are known, so that only writing can still fail."""

    def __init__(self, sheet: NetworkSheet, seed: int) -> None:
        self.sheet = sheet
        image = _as_image(sheet.image)
        signed = bool((image < 0).any())
        self.layout = lay_out(sheet.network, image.shape, sheet.drawing, signed_input=signed)
        tensors = {"input": image, **sheet.network.state_dict()}
        for name, noise in sheet.network.draw_noise(image.shape, seed).items():
            tensors |= {f"{name}.{key}": value for key, value in noise.items()}
        for name, layer in sheet.network:
            tensors |= {f"{name}.{key}": value for key, value in layer.settings().items()}
        self._check(tensors)
        with np.errstate(over="ignore", invalid="ignore"):
            self.values = tensors | evaluate(sheet.network, self.layout, tensors)
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


def _as_image(image: Array) -> Array:
    try:
        array = np.asarray(image, dtype=np.float64)
    except (TypeError, ValueError):
        raise ShapeError("the image is not an array of numbers") from None
    if array.ndim == 2:
        array = array[np.newaxis]
    if array.ndim not in (1, 3) or array.size == 0:
        raise ShapeError(
            f"the image has shape {array.shape}: expected (height, width) or "
            "(channels, height, width)"
        )
    return array


def _check_names(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise LayoutError(f"two worksheets are named {name!r}: give each a name of its own")
        if name.lower() == description.SHEET:
            raise LayoutError(f"a worksheet is named {name!r}: sheetconv keeps that name to itself")
        seen.add(name.lower())


def _progress(stack: ExitStack, total: int) -> Any:
    if total < _CELLS_WORTH_A_BAR or not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    bar = stack.enter_context(
        tqdm(total=total, delay=1.0, unit=" cells", unit_scale=True, desc="writing", leave=False)
    )
    return bar.update


class _Looks:
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
                if value not in (None, False, "General"):
                    properties[name.get(key, key)] = value
            self._index[style] = self._book.add_format(properties)._get_xf_index()
        return self._index[style]


def _write_sheet(book: Any, item: _Prepared, looks: _Looks, progress: Any) -> None:
    layout, drawing = item.layout, item.layout.drawing
    sheet = book.add_worksheet(drawing.worksheet, worksheet_class=CellWorksheet)
    content = SheetContent(
        default_width=drawing.default_width, row_height=drawing.row_height, progress=progress
    )
    _add_numbers(content, item, looks)
    _add_formulas(content, item, looks)
    _add_borders(content, layout, looks)
    for text in drawing.texts or ():
        cell = parse_cell(text.cell, drawing.worksheet)
        if len(text.text) > MAX_TEXT:
            raise LayoutError(
                f"the text at {text.cell} has {len(text.text):,} characters, and a cell takes "
                f"{MAX_TEXT:,}: shorten it"
            )
        grid = Grid(cell.sheet, cell.row, cell.column, 1, 1)
        index = sheet.str_table._get_shared_string_index(text.text)
        content.bands.append(TextBand(grid, text.text, looks.index(text.style), index))
    for fill in drawing.fills:
        for text_range in fill.ranges.split():
            content.bands.append(
                BlankBand(
                    _as_grid(parse_range(text_range, drawing.worksheet)), looks.index(fill.style)
                )
            )
    for columns in drawing.columns or ():
        first, last = column_span(columns)
        if any(other.first <= last and first <= other.last for other in content.columns):
            raise LayoutError(f"columns {columns.columns} are given two widths: give one")
        content.columns.append(
            ColumnWidth(
                first, last, columns.width, columns.hidden, columns.outline, columns.collapsed
            )
        )
    for scale in layout.colour_scales:
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


def _add_numbers(content: SheetContent, item: _Prepared, looks: _Looks) -> None:
    for name, placed in item.layout.placed.items():
        if placed.role.is_formula:
            continue
        style = looks.index(item.layout.styles[name])
        for grid, values in _by_grid(item.values[name], placed.grids):
            content.bands.append(NumberBand(grid, values, style))


def _by_grid(values: Array, grids: Sequence[Grid]) -> list[tuple[Grid, Array]]:
    flat = values.reshape(-1)
    out, start = [], 0
    for grid in grids:
        out.append((grid, flat[start : start + grid.size].reshape(grid.height, grid.width)))
        start += grid.size
    return out


def _add_formulas(content: SheetContent, item: _Prepared, looks: _Looks) -> None:
    sharing = item.layout.drawing.formulas == "sumproduct"
    shared = 0
    for stage, cells in item.formulas:
        name = f"{stage.name}.{cells.tensor}"
        grid = cells.grid
        flat = item.values[name].reshape(-1)
        values = flat[cells.start : cells.start + grid.size].reshape(grid.height, grid.width)
        style = looks.index(item.layout.styles[name])
        number = None
        if sharing and can_share(cells):
            number, shared = shared, shared + 1
        content.bands.append(FormulaBand(cells, values, style, number))


def _add_borders(content: SheetContent, layout: SheetLayout, looks: _Looks) -> None:
    style = looks.index(border_style(layout.drawing))
    for border in layout.borders:
        grid = _as_grid(border.area)
        if border.zeros:
            content.bands.append(NumberBand(grid, np.zeros((grid.height, grid.width)), style))
        else:
            content.bands.append(BlankBand(grid, style))


def _add_colour_scale(sheet: Any, scale: ColourScale) -> None:
    first = scale.ranges[0]
    names = ("min_color", "mid_color", "max_color")
    options: dict[str, Any] = {"multi_range": " ".join(area.a1 for area in scale.ranges)}
    if len(scale.colours) == 3:
        options |= {"type": "3_color_scale", "mid_type": "num", "mid_value": 0}
        options |= dict(zip(names, scale.colours, strict=True))
    else:
        options |= {"type": "2_color_scale"}
        options |= dict(zip((names[0], names[2]), scale.colours, strict=True))
    sheet.conditional_format(first.row, first.column, first.last_row, first.last_column, options)

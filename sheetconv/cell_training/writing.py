"""A workbook that trains: its worksheets, as XlsxWriter takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import description
from ..cells import Cell, Grid, check_text
from ..colour_scales import add_colour_scale
from ..drawing import Style
from ..errors import WorkbookError
from ..files import check_target
from ..formulas import Placed, can_share
from ..guide_sheets import add_rules, quiet, write_page
from ..guides.base import CHOSEN, GuidePage
from ..guides.contents import GuideContent
from ..layers.base import Array, Border
from ..layout import ColourScale
from ..number_formats import fitting_format
from ..palette import DIGITS, FRAME, GRADIENT, GREY, LABEL, LINES, PIXELS, SIGNED
from ..sheet_writer import (
    Band,
    BlankBand,
    CellWorksheet,
    ColumnWidth,
    FormulaBand,
    NumberBand,
    SheetContent,
    TextBand,
)
from ..version import __version__
from ..workbook_file import add_description, calculate_circles, new_workbook
from ..worksheet import Looks
from .beside import given_tensors, panels_of
from .block import FIRST
from .description import to_config
from .home import (
    LIVE,
    LIVE_COLUMN,
    TABLE_ROW,
    data_cells,
    data_planes,
    home_cells,
    home_page,
    live_series,
    live_table,
    loss_series,
)
from .iteration import notes, period_of, switch_rules
from .line import Line, add_line_chart
from .panels import Panel
from .places import TITLES, Places
from .program import CellTraining
from .reckoning import all_steps
from .registers import CONTROLS, LARGEST_CHANGE, SWITCHES, values_at_start
from .spelling import all_formulas, step_formulas

_WIDTH, _LABEL_WIDTH = 5.0, 10.0
_NOTE_COLUMN, _NOTE_SIZE = 3, 9
_ROW = 13.0
_FEW_STEPS = 10
_WHOLE = {"number", "batch", "epoch", "picture", *CONTROLS, *FIRST}


@dataclass(frozen=True, slots=True)
class BuiltTraining:
    """A workbook that trains.

    Attributes:
        path: the file.
        formula_cells: cells that hold a formula.
        steps: how many steps it takes.
        losses: of every step.
        worksheets: their names, in order.
        file_size: in bytes.
        period: recalculations of a step that is repeated, else 0.
    """

    path: Path
    formula_cells: int
    steps: int
    losses: tuple[float, ...]
    worksheets: tuple[str, ...]
    file_size: int
    period: int = 0


def build_training(
    training: CellTraining, path: str | Path, *, title: str = "", force: bool = False
) -> BuiltTraining:
    """Write a workbook whose cells take training steps.

    Args:
        training: what is trained.
        path: the .xlsx file.
        title: for people. Default: the file's name.
        force: replace an existing file. Default False.

    Raises:
        LayoutError: no workbook holds it.
        TrainingError: training diverges.
        WorkbookError: the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() != ".xlsx":
        raise WorkbookError(f"{target}: the name of a workbook ends in .xlsx")
    check_text(title, "the title")
    check_target(target, force=force)
    places = Places(training)
    places.check()
    values = all_steps(training, places.setting_values)
    period = 0
    if training.iterate:
        period = period_of(places, step_formulas(places, 0))
        values = [values[0] | values_at_start(training, values[0], period)]
    names = places.names
    shown = title or target.stem
    panels = panels_of(places)
    with new_workbook(target, title=shown, force=force) as book:
        looks = Looks(book)
        home = GuideContent(list(home_cells(places, shown, values)))
        if training.iterate:
            calculate_circles(book, LARGEST_CHANGE)
            write_page(book, home_page(places), home, looks)
        else:
            sheet = write_page(book, home_page(places), home, looks, _live_bands(places, looks))
            _add_chart(book, sheet, places)
            _add_live_chart(book, sheet, places)
        count = home.formulas + _write_steps(book, places, values, looks)
        for panel in panels:
            count += _write_panel(book, panel, values, looks)
        data = GuideContent(list(data_cells(places)), data_planes(places))
        page = GuidePage(names.data, ((0, 1, 10.0),), (places.labels.row, 2), default_width=_WIDTH)
        write_page(book, page, data, looks)
        add_description(book, description.to_rows([], __version__, [to_config(places)]))
    return BuiltTraining(
        target,
        count,
        training.steps,
        tuple(float(item["loss"]) for item in values),
        (names.home, names.steps, *(panel.page.name for panel in panels), names.data),
        target.stat().st_size,
        period,
    )


def _write_panel(
    book: Any, panel: Panel, steps: Sequence[Mapping[str, Array]], looks: Looks
) -> int:
    """A worksheet beside the steps; how many formulas it has."""
    values = panel.first_values(steps)
    content = GuideContent(list(panel.words()), validations=panel.validations())
    bands: list[Band] = []
    for name, numbers in panel.given.items():
        style = CHOSEN if numbers.ndim == 0 else Style("0.0###", size=DIGITS)
        bands += _planes(panel.placed[name], numbers, looks.index(style))
    count = 0
    for name, item in panel.formulas():
        flat = values[name].reshape(-1)[item.start : item.start + item.grid.size]
        style = panel.style(name, values[name])
        own = flat.reshape(item.grid.height, item.grid.width)
        bands.append(FormulaBand(item, own, looks.index(style)))
        count += item.grid.size
    for grid, moat in panel.borders():
        bands += _border(grid, moat, looks)
    sheet = write_page(book, panel.page, content, looks, bands)
    for names, colours in panel.scales():
        largest = max(float(np.abs(values[name]).max(initial=0.0)) for name in names)
        ranges = tuple(grid.bounds for name in names for grid in panel.placed[name].grids)
        add_colour_scale(sheet, ColourScale(ranges, colours), largest)
    if isinstance(panel, Line):
        add_line_chart(book, sheet, panel)
    return count


def _add_chart(book: Any, sheet: Any, places: Places) -> None:
    """The loss of every step, as a native chart that follows the cells."""
    x, y = loss_series(places)
    chart = book.add_chart({"type": "scatter", "subtype": "straight_with_markers"})
    name = f"'{places.names.home}'"
    chart.add_series(
        {
            "name": "loss",
            "categories": f"={name}!{x.absolute}",
            "values": f"={name}!{y.absolute}",
            "line": {"color": LINES[0], "width": 1.75},
            "marker": {"type": "circle", "size": 4, "fill": {"color": LINES[0]}},
        }
    )
    chart.set_title({"name": "Loss of every step", "name_font": {"size": 12}})
    axis: dict[str, Any] = {"name": "step", "min": 0, "major_gridlines": {"visible": False}}
    if places.training.steps <= _FEW_STEPS:
        # There is no half a step.
        axis["major_unit"] = 1
    chart.set_x_axis(axis)
    chart.set_y_axis({"num_format": "0.00"})
    chart.set_legend({"none": True})
    chart.set_size({"width": 620, "height": 340})
    sheet.insert_chart(3, 8, chart, {"object_position": 2})


def _add_live_chart(book: Any, sheet: Any, places: Places) -> None:
    """The loss of a live run, as a native chart that grows with it."""
    x, y = live_series(places)
    chart = book.add_chart({"type": "scatter", "subtype": "straight"})
    name = f"'{places.names.home}'"
    chart.add_series(
        {
            "name": "loss",
            "categories": f"={name}!{x.absolute}",
            "values": f"={name}!{y.absolute}",
            "line": {"color": LINES[0], "width": 1.75},
        }
    )
    chart.set_title({"name": "Loss of the live run", "name_font": {"size": 12}})
    chart.set_x_axis({"name": "step", "major_gridlines": {"visible": False}})
    chart.set_y_axis({"num_format": "0.00"})
    chart.set_legend({"none": True})
    chart.set_size({"width": 620, "height": 340})
    sheet.insert_chart(TABLE_ROW, LIVE_COLUMN + len(LIVE) + 1, chart, {"object_position": 2})


def _live_bands(places: Places, looks: Looks) -> list[Band]:
    """The blank cells of a live run, with the number formats of what it writes there."""
    table = live_table(places)
    formats = {"step": "0", "loss": "0.0000", "learning rate": "0.0000"}
    return [
        BlankBand(
            Grid(table.sheet, table.row, table.column + k, table.height, 1),
            looks.index(Style(formats[heading])),
        )
        for k, heading in enumerate(LIVE)
    ]


def _write_steps(
    book: Any, places: Places, values: Sequence[Mapping[str, Array]], looks: Looks
) -> int:
    """The worksheet of all steps; how many formulas it has."""
    sheet = book.add_worksheet(places.names.steps, worksheet_class=CellWorksheet)
    styles = _styles(places, values)
    bands: list[Band] = []
    count = shared = 0
    indices = {name: looks.index(style) for name, style in styles.items()}
    for number, (shown, formulas) in enumerate(zip(values, all_formulas(places), strict=True)):
        placed = places.step(number)
        flat = {name: np.asarray(shown[name], np.float64).reshape(-1) for name in placed}
        for name, item in formulas:
            grid, first = item.grid, item.start
            own = flat[name][first : first + grid.size].reshape(grid.height, grid.width)
            index = None
            if can_share(item):
                index, shared = shared, shared + 1
            bands.append(FormulaBand(item, own, indices[name], index))
            count += grid.size
        if not number:
            bands += _given(places, placed, shown, styles, looks)
        bands += _borders(places, number, looks)
        bands += _words(sheet, places, number, looks)
    bands += _titles(sheet, places, looks)
    for scale, largest in _scales(places, values):
        add_colour_scale(sheet, scale, largest)
    if places.training.iterate:
        bands += _notes(sheet, places, values, looks)
        add_rules(book, sheet, GuideContent([], validations=switch_rules(places)))
    sheet.freeze_panes(places.title_row + TITLES, 2)
    sheet.hide_gridlines(2)
    quiet(sheet)
    labels = [ColumnWidth(0, 0, _LABEL_WIDTH)]
    sheet.prepare(SheetContent(bands, labels, default_width=_WIDTH, row_height=_ROW))
    return count


def _given(
    places: Places,
    placed: Mapping[str, Placed],
    shown: Mapping[str, Array],
    styles: Mapping[str, Style],
    looks: Looks,
) -> Iterator[Band]:
    """The numbers of the first step: weights and settings, which a person may change."""
    for name in given_tensors(places.training):
        yield from _planes(placed[name], shown[name], looks.index(styles[name]))


def _planes(placed: Placed, values: Array, style: int) -> Iterator[Band]:
    flat, start = np.asarray(values, dtype=np.float64).reshape(-1), 0
    for grid in placed.grids:
        plane = flat[start : start + grid.size].reshape(grid.height, grid.width)
        start += grid.size
        yield NumberBand(grid, plane, style)


def _styles(places: Places, values: Sequence[Mapping[str, Array]]) -> dict[str, Style]:
    """The looks of every tensor, each number format fitting its numbers over all steps."""
    weights = {f"{layer}.{key}" for layer, key in places.training.learned}
    found = {}
    for name in places.block.placed:
        numbers = np.concatenate([np.asarray(item[name]).reshape(-1) for item in values])
        stem = name.removesuffix(".new").removesuffix(".start").removesuffix(".shadow")
        is_weight = name in weights or stem in weights
        format_ = fitting_format(numbers, is_weight=is_weight or "grad" in name)
        if name in ("lr", "momentum", "loss"):
            format_ = "0.0000"
        elif name in _WHOLE:
            format_ = "0"
        frame = FRAME if is_weight else None
        found[name] = CHOSEN if name in SWITCHES else Style(format_, size=DIGITS, frame=frame)
    return found


def _scales(
    places: Places, values: Sequence[Mapping[str, Array]]
) -> Iterator[tuple[ColourScale, float]]:
    """One rule for each tensor over all steps: the same number has the same colour in each."""
    plain = {"lr", "momentum", "loss", "target", *_WHOLE}
    for name in places.block.placed:
        if name in plain:
            continue
        largest = max(float(np.abs(item[name]).max(initial=0.0)) for item in values)
        ranges = tuple(
            grid.bounds
            for number in range(places.training.steps)
            for grid in places.step(number)[name].grids
        )
        least = min(float(np.min(item[name], initial=0.0)) for item in values)
        colours: tuple[str, ...] = GRADIENT if name in places.block.gradients else SIGNED
        if name == "input" and least >= 0:
            colours = PIXELS
        yield ColourScale(ranges, colours), largest


def _borders(places: Places, number: int, looks: Looks) -> Iterator[Band]:
    """What stands around planes: zeros where the layer's formulas count them, else blanks."""
    for grid, moat in places.block.borders:
        yield from _border(replace(grid, row=grid.row + places.first_row(number)), moat, looks)


def _border(grid: Grid, moat: Border, looks: Looks) -> Iterator[Band]:
    style = looks.index(Style("0", fill=GREY, colour=LABEL, size=DIGITS))
    area = grid.bounds
    top, left, across = area.row, area.column, moat.left + area.width + moat.right
    for part in (
        Grid(area.sheet, top - moat.top, left - moat.left, moat.top, across),
        Grid(area.sheet, top, left - moat.left, area.height, moat.left),
        Grid(area.sheet, top, left + area.width, area.height, moat.right),
        Grid(area.sheet, top + area.height, left - moat.left, moat.bottom, across),
    ):
        if not part.size:
            continue
        if moat.counts and moat.zeros:
            yield NumberBand(part, np.zeros((part.height, part.width)), style)
        else:
            yield BlankBand(part, style)


def _words(sheet: Any, places: Places, number: int, looks: Looks) -> Iterator[Band]:
    row = places.first_row(number)
    small = looks.index(Style(colour=LABEL, size=DIGITS))
    bold = looks.index(Style(bold=True))
    if not places.training.iterate:
        yield _text(sheet, Cell(places.names.steps, row + 1, 0), f"Step {number}", bold)
    for cell, text in places.block.words:
        yield _text(sheet, Cell(cell.sheet, cell.row + row, cell.column), text, small)


def _notes(
    sheet: Any, places: Places, values: Sequence[Mapping[str, Array]], looks: Looks
) -> Iterator[Band]:
    small = looks.index(Style(colour=LABEL, size=_NOTE_SIZE))
    for row, text in enumerate(notes(int(values[0]["period"]))):
        yield _text(sheet, Cell(places.names.steps, row, _NOTE_COLUMN), text, small)


def _titles(sheet: Any, places: Places, looks: Looks) -> Iterator[Band]:
    """The titles and shapes of all columns, which stay in sight."""
    bold, small = looks.index(Style(bold=True)), looks.index(Style(colour=LABEL, size=DIGITS))
    for column, title, shape in places.block.titles:
        yield _text(sheet, Cell(places.names.steps, places.title_row, column), title, bold)
        if shape:
            row = places.title_row + 1
            yield _text(sheet, Cell(places.names.steps, row, column), shape, small)


def _text(sheet: Any, cell: Cell, text: str, style: int) -> TextBand:
    index = sheet.str_table._get_shared_string_index(text)
    return TextBand(Grid(cell.sheet, cell.row, cell.column, 1, 1), text, style, index)

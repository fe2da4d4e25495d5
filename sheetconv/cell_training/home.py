"""The worksheets around the steps: settings with the loss of every step, and the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..cells import Cell, Grid, Range
from ..drawing import Style
from ..formulas import CellFormulas, Placed, Role, formula_text
from ..guides.base import (
    CHOSEN,
    HEADING,
    NOTE,
    NUMBER_HEAD,
    PLAIN,
    TABLE_HEAD,
    TITLE,
    GuideCell,
    GuidePage,
    ref,
)
from ..layers.base import Array
from .places import Places

#: Columns of the table of steps, and what stands in them: heading -> name of the number.
TABLE = {"step": "number", "epoch": "epoch", "learning rate": "lr", "loss": "loss"}
TABLE_COLUMN, TABLE_ROW = 3, 3
#: The table of a live run, right of the chart: its headings, first column and rows at most.
LIVE = ("step", "loss", "learning rate")
LIVE_COLUMN, LIVE_ROWS = 19, 1000
_LABELS = {
    "beta1": "beta 1",
    "beta2": "beta 2",
    "lr": "learning rate",
    "total": "batches of the schedule",
    "batches": "batches of the data",
    "weight_decay": "weight decay",
    "momentum": "momentum",
}
_FOLLOWS = "Change a yellow number, and every step follows: the curve is drawn anew. "
_REPEATED = "Recalculations take one training step after the other, once Run there is 1. "
_DIGITS = Style("0.0###", size=8)


def home_cells(
    places: Places, title: str, values: Sequence[Mapping[str, Array]]
) -> Iterator[GuideCell]:
    """The first worksheet: what to do, the settings, and the loss of every step.

    Args:
        places: where everything stands.
        title: of the workbook.
        values: the numbers of every step.
    """
    training, home = places.training, places.names.home
    yield GuideCell(Cell(home, 0, 0), f"{title}: trained in cells", style=TITLE)
    yield GuideCell(
        Cell(home, 1, 0),
        (_REPEATED if training.iterate else _FOLLOWS)
        + f"The worksheet {places.names.steps} shows how: click a new weight there, and trace it.",
        style=NOTE,
    )
    yield GuideCell(
        Cell(home, 2, 0), f"{training.optimiser.title}, {training.loss.title}", style=HEADING
    )
    for name, cell in places.settings.items():
        label = _LABELS.get(name, name)
        yield GuideCell(Cell(home, cell.row, 0), label, style=PLAIN)
        fixed = name == "batches"
        yield GuideCell(cell, places.setting_values[name], style=PLAIN if fixed else CHOSEN)
    for k, heading in enumerate(TABLE):
        style = NUMBER_HEAD
        yield GuideCell(Cell(home, TABLE_ROW, TABLE_COLUMN + k), heading, style=style)
    if not training.iterate:
        yield GuideCell(Cell(home, TABLE_ROW - 1, LIVE_COLUMN), "Live", style=HEADING)
    for k, heading in enumerate(() if training.iterate else LIVE):
        yield GuideCell(Cell(home, TABLE_ROW, LIVE_COLUMN + k), heading, style=NUMBER_HEAD)
    for number, shown in enumerate(values):
        formulas = (item for _, item in table_formulas(places, number))
        for name, item in zip(TABLE.values(), formulas, strict=True):
            style = Style("0.0000" if name in ("loss", "lr") else "0")
            cell, text = item.grid.cell(0, 0), formula_text(item.formula)
            yield GuideCell(cell, float(shown[name]), text, style)


def home_page(places: Places) -> GuidePage:
    """The first worksheet's widths."""
    table = (TABLE_COLUMN, TABLE_COLUMN + len(TABLE) - 1, 12.0)
    live = (LIVE_COLUMN, LIVE_COLUMN + len(LIVE) - 1, 12.0)
    columns = ((0, 0, 24.0), (1, 1, 10.0), table, live)
    return GuidePage(places.names.home, columns, (TABLE_ROW + 1, 0))


def table_placed(places: Places, number: int) -> dict[str, Placed]:
    """Where the table repeats a step's numbers, as `table K name`."""
    row = TABLE_ROW + 1 + number
    return {
        f"table {number} {name}": Placed(
            (), Role.STEP, (Grid(places.names.home, row, TABLE_COLUMN + k, 1, 1),)
        )
        for k, name in enumerate(TABLE.values())
    }


def table_formulas(places: Places, number: int) -> Iterator[tuple[str, CellFormulas]]:
    """The references of the table to a step's numbers, by the names of `table_placed`."""
    step = places.step(number)
    for (full, placed), name in zip(
        table_placed(places, number).items(), TABLE.values(), strict=True
    ):
        source = ref(step[name].grids[0].cell(0, 0), places.names.home, absolute=False)
        yield full, CellFormulas(full, 0, placed.grids[0], (source,))


def loss_series(places: Places) -> tuple[Range, Range]:
    """The cells of the steps and of their losses, for the chart."""
    rows = places.training.steps
    names = list(TABLE.values())
    x = Range(places.names.home, TABLE_ROW + 1, TABLE_COLUMN + names.index("number"), rows)
    y = Range(places.names.home, TABLE_ROW + 1, TABLE_COLUMN + names.index("loss"), rows)
    return x, y


def live_table(places: Places) -> Range:
    """The cells in which a live run writes its steps, losses and learning rates."""
    return Range(places.names.home, TABLE_ROW + 1, LIVE_COLUMN, LIVE_ROWS, len(LIVE))


def live_series(places: Places) -> tuple[Range, Range]:
    """The cells of a live run's steps and of their losses, for the chart."""
    table = live_table(places)
    x, y = (
        Range(table.sheet, table.row, table.column + k, table.height)
        for k in (LIVE.index("step"), LIVE.index("loss"))
    )
    return x, y


def data_cells(places: Places) -> Iterator[GuideCell]:
    """The labels of the data, and the headings."""
    sheet = places.names.data
    yield GuideCell(Cell(sheet, 0, 0), "Data", style=TITLE)
    yield GuideCell(
        Cell(sheet, 1, 0),
        f"Batches of {places.training.batch} in this order, again and again: a row is an image, "
        "its pixels row by row.",
        style=NOTE,
    )
    row = places.labels.row - 1
    headings = ["image", "label", *(["target"] * places.target_count), "pixels"]
    for k, heading in enumerate(headings):
        yield GuideCell(Cell(sheet, row, k), heading, style=TABLE_HEAD)
    for n, label in enumerate(places.training.labels):
        yield GuideCell(Cell(sheet, places.labels.row + n, 0), float(n + 1), style=Style("0"))
        yield GuideCell(places.labels.cell(n, 0), label, style=PLAIN)


def data_planes(places: Places) -> list[tuple[Grid, Array, Style]]:
    """The targets and pixels, as numbers."""
    training = places.training
    targets = training.targets.reshape(len(training.targets), -1).astype(np.float64)
    pixels = training.images.reshape(len(training.images), -1)
    return [
        (places.targets, targets, Style("General")),
        (places.pixels, pixels, _DIGITS),
    ]

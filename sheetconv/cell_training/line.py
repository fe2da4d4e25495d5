"""The classic introduction: y = a x + b fitted by four optimisers side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..cells import Cell, Grid
from ..errors import TrainingError
from ..formulas import CellFormulas, Placed, Role
from ..guides.base import (
    HEADING,
    NOTE,
    NUMBER_HEAD,
    PLAIN,
    TITLE,
    GuideCell,
    GuidePage,
    ref,
)
from ..layers.base import Array
from ..palette import LINES
from ..training.optimisers import SGD, Adam, Optimiser, RMSprop
from .block import KEPT
from .panels import Panel, Shown
from .places import Places, own_settings

#: Steps of each table.
STEPS = 40
#: What is tried, with learning rates at which each shows what it is like.
OPTIMISERS: dict[str, Optimiser] = {
    "SGD": SGD(lr=0.3),
    "momentum": SGD(lr=0.1, momentum=0.9),
    "RMSprop": RMSprop(lr=0.1),
    "Adam": Adam(lr=0.3),
}
# y is about 2 x + 1.
_POINTS = np.array(
    [[-1.0, -0.9], [-0.7, -0.5], [-0.4, 0.3], [-0.1, 0.7], [0.2, 1.5], [0.5, 1.9], [0.8, 2.7],
     [1.0, 2.9]]
)  # fmt: skip
_SETTINGS = {"lr": "rate", "weight_decay": "decay", "beta1": "beta 1", "beta2": "beta 2"}
_POINTS_ROW, _SETTINGS_ROW, _TABLE_ROW = 4, 4, 12
_FIRST_COLUMN, _GAP = 9, 1


class Line(Panel):
    """A table for each optimiser: a row a step."""

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.sheet = places.names.line
        for k, name in enumerate(("x", "y")):
            grid = Grid(self.sheet, _POINTS_ROW, k, len(_POINTS), 1)
            self.placed[f"line {name}"] = Placed((len(_POINTS),), Role.INPUT, (grid,))
            self.given[f"line {name}"] = _POINTS[:, k]
        #: Optimiser -> first column of its table.
        self.columns: dict[str, int] = {}
        column = _FIRST_COLUMN
        for title, optimiser in OPTIMISERS.items():
            self.columns[title] = column
            for n, heading in enumerate(headings(optimiser)):
                grid = Grid(self.sheet, _TABLE_ROW, column + n, STEPS, 1)
                self.placed[f"{title} {heading}"] = Placed((STEPS,), Role.STEP, (grid,))
            for n, (name, value) in enumerate(optimiser.cells().items()):
                grid = Grid(self.sheet, _SETTINGS_ROW + n, column + 1, 1, 1)
                self.placed[f"{title} setting {name}"] = Placed((), Role.SETTING, (grid,))
                self.given[f"{title} setting {name}"] = np.array(value)
            column += len(headings(optimiser)) + _GAP

    @property
    def page(self) -> GuidePage:
        return GuidePage(self.sheet, default_width=10.5)

    def losses(self) -> dict[str, tuple[Grid, Grid]]:
        """The steps and losses of each optimiser, for the chart."""
        return {
            title: (
                self.placed[f"{title} step"].grids[0],
                self.placed[f"{title} loss"].grids[0],
            )
            for title in OPTIMISERS
        }

    def words(self) -> Iterator[GuideCell]:
        sheet = self.sheet
        yield GuideCell(Cell(sheet, 0, 0), "y = a x + b, found by gradient descent", style=TITLE)
        yield GuideCell(
            Cell(sheet, 1, 0),
            "Change a learning rate or a point: every row is a step, and the curves follow.",
            style=NOTE,
        )
        for k, name in enumerate(("x", "y")):
            yield GuideCell(Cell(sheet, _POINTS_ROW - 1, k), name, style=NUMBER_HEAD)
        for title, column in self.columns.items():
            optimiser = OPTIMISERS[title]
            yield GuideCell(Cell(sheet, _SETTINGS_ROW - 1, column), title, style=HEADING)
            for n, name in enumerate(optimiser.cells()):
                words = _SETTINGS.get(name, name)
                yield GuideCell(Cell(sheet, _SETTINGS_ROW + n, column), words, style=PLAIN)
            for n, heading in enumerate(headings(optimiser)):
                kept, _, parameter = heading.partition(" ")
                words = f"{KEPT.get(kept, kept)} {parameter}".strip()
                cell = Cell(sheet, _TABLE_ROW - 1, column + n)
                yield GuideCell(cell, words, style=NUMBER_HEAD)

    def formulas(self) -> Iterator[tuple[str, CellFormulas]]:
        x, y = (ref_of(self.placed[f"line {name}"].grids[0]) for name in ("x", "y"))
        count = len(_POINTS)
        for title, optimiser in OPTIMISERS.items():
            cells = {
                name: ref(self._cell(f"{title} setting {name}", 0), self.sheet)
                for name in optimiser.cells()
            }
            for step in range(STEPS):
                at = {name: self._at(title, name, step) for name in headings(optimiser)}
                yield self._of(title, "step", step, str(step))
                for name in ("a", "b"):
                    yield from self._parameter(title, optimiser, name, step, cells)
                off = f"({at['a']}*{x}+{at['b']}-{y})"
                yield self._of(title, "loss", step, f"SUMPRODUCT({off}^2)/{count}")
                yield self._of(title, "slope a", step, f"2*SUMPRODUCT({off},{x})/{count}")
                yield self._of(title, "slope b", step, f"2*SUMPRODUCT({off})/{count}")

    def _parameter(
        self, title: str, optimiser: Optimiser, name: str, step: int, cells: Mapping[str, str]
    ) -> Iterator[tuple[str, CellFormulas]]:
        """A parameter from the row above, and what is kept after this row's gradient."""
        spelled = self._spelled(title, optimiser, name, step, cells)
        for kept in optimiser.kept:
            yield self._of(title, f"{kept} {name}", step, spelled[kept])
        if not step:
            yield self._of(title, name, step, "0")
            return
        above = self._spelled(title, optimiser, name, step - 1, cells)
        yield self._of(title, name, step, above["value"])

    def _spelled(
        self, title: str, optimiser: Optimiser, name: str, step: int, cells: Mapping[str, str]
    ) -> dict[str, str]:
        before = {
            kept: (self._at(title, f"{kept} {name}", step - 1) if step else "0",)
            for kept in optimiser.kept
        }
        after = {kept: (self._at(title, f"{kept} {name}", step),) for kept in optimiser.kept}
        value = (self._at(title, name, step),)
        slope = (self._at(title, f"slope {name}", step),)
        number = f"({self._at(title, 'step', step)}+1)"
        found = optimiser.formulas(value, slope, before, after, cells, number)
        return {key: "".join(map(str, formula)) for key, formula in found.items()}

    def _cell(self, full: str, row: int) -> Cell:
        return self.placed[full].grids[0].cell(row, 0)

    def _at(self, title: str, name: str, step: int) -> str:
        return self._cell(f"{title} {name}", step).a1

    def _of(self, title: str, name: str, step: int, text: str) -> tuple[str, CellFormulas]:
        full = f"{title} {name}"
        return full, CellFormulas(full, step, self.placed[full].grids[0].unit(step), (text,))

    def unusable(self, shown: Shown) -> Iterator[tuple[str, str]]:
        for title, optimiser in OPTIMISERS.items():
            for name in own_settings(optimiser.cells()):
                full = f"{title} setting {name}"
                try:
                    optimiser.with_cells({name: float(shown(full))})
                except TrainingError as error:
                    yield full, f"that the optimiser takes ({error})"

    def expected(self, shown: Shown) -> Mapping[str, Array]:
        """By the trainer's own optimisers, each row from what the one above shows."""
        return {
            f"{title} {name}": column
            for title, optimiser in OPTIMISERS.items()
            for name, column in self._columns(title, optimiser, shown).items()
        }

    def _columns(self, title: str, optimiser: Optimiser, shown: Shown) -> dict[str, Array]:
        x, y = shown("line x"), shown("line y")
        cells = {name: float(shown(f"{title} setting {name}")) for name in optimiser.cells()}
        own = optimiser.with_cells({name: cells[name] for name in own_settings(cells)})
        columns = {name: np.zeros(STEPS) for name in headings(own)}
        seen = {name: shown(full) for name in columns if (full := f"{title} {name}") in shown}

        def row(step: int, name: str, pair: Array) -> Array:
            """Note what a row's numbers of a and b should be; what they are, where known."""
            names = [f"{name} {parameter}".strip() for parameter in ("a", "b")]
            for own_name, value in zip(names, pair.tolist(), strict=True):
                columns[own_name][step] = value
            return np.array([seen.get(own_name, columns[own_name])[step] for own_name in names])

        values, state = np.zeros(2), own.init_state(2, np.float64)
        for step in range(STEPS):
            values = row(step, "", values)
            off = values[0] * x + values[1] - y
            slopes = row(step, "slope", np.array([2 * (off * x).mean(), 2 * off.mean()]))
            columns["step"][step] = step
            columns["loss"][step] = (off**2).mean()
            own.step(
                *(values, slopes, state),
                lr=cells["lr"],
                momentum=cells.get("momentum", cells.get("beta1")),
                number=step + 1,
                weight_decay=cells["weight_decay"],
            )
            state = {name: row(step, name, pair) for name, pair in state.items()}
        return columns


def add_line_chart(book: Any, sheet: Any, line: Line) -> None:
    """The losses of the four, as a native chart.

    Args:
        book: an XlsxWriter workbook.
        sheet: the line's worksheet.
        line: where everything stands.
    """
    chart = book.add_chart({"type": "scatter", "subtype": "straight"})
    for (title, (x, y)), colour in zip(line.losses().items(), LINES, strict=False):
        chart.add_series(
            {
                "name": title,
                "categories": f"='{line.sheet}'!{x.bounds.absolute}",
                "values": f"='{line.sheet}'!{y.bounds.absolute}",
                "line": {"color": colour, "width": 1.75},
            }
        )
    chart.set_title({"name": "Loss of every step", "name_font": {"size": 12}})
    chart.set_x_axis(
        {"name": "step", "min": 0, "max": STEPS, "major_gridlines": {"visible": False}}
    )
    chart.set_y_axis({"num_format": "0.00", "min": 0})
    chart.set_legend({"position": "bottom"})
    chart.set_size({"width": 540, "height": 340})
    sheet.insert_chart(_POINTS_ROW + len(_POINTS) + 1, 0, chart, {"object_position": 2})


def headings(optimiser: Optimiser) -> list[str]:
    """The columns of an optimiser's table."""
    kept = [f"{name} {parameter}" for name in optimiser.kept for parameter in ("a", "b")]
    return ["step", "a", "b", "loss", "slope a", "slope b", *kept]


def ref_of(grid: Grid) -> str:
    """A column of numbers as a reference that stays where it is."""
    return grid.bounds.absolute

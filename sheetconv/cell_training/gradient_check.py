"""The gradient check: a weight is moved a little, and the loss says what its gradient is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from ..cells import Cell, Grid, Range
from ..drawing import Style
from ..formulas import CellFormulas, Placed, Role
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
    Validation,
    ref,
    table_ref,
)
from ..layers.base import Array, Border
from ..number_formats import fitting_format
from ..palette import DIGITS, FRAME, GRADIENT, LABEL, PIXELS, SIGNED
from .block import Block, lay_block, moved
from .panels import Panel, Shown
from .places import Places
from .reckoning import forward_values, roughness
from .spelling import copied, forward_formulas

#: Of a network with more parameters nobody wants a list.
MOST_PARAMETERS = 3000

_LIST_ROW, _LIST_COLUMN = 4, 3
_BLOCK_COLUMN = _LIST_COLUMN + 5
_EPSILON = 1e-4
# Name of a number -> its label, in the order of their rows.
_NUMBERS = {
    "epsilon": "epsilon",
    "chosen": "its place in the list",
    "up": "loss with the weight + epsilon",
    "down": "loss with the weight - epsilon",
    "slope": "(up - down) / (2 epsilon)",
    "formula": "gradient by the formulas",
    "difference": "difference",
}
_FIRST_NUMBER = 5
_FORMATS = {f"gradient check {name}": "0.0000000000" for name in _NUMBERS}
_FORMATS |= {"gradient check chosen": "0", "gradient check difference": "0.0E+00"}


class GradientCheck(Panel):
    """Two more forward passes of the first step, in which one weight is a little off."""

    @staticmethod
    def fits(places: Places) -> bool:
        """Whether there are few enough parameters to choose from."""
        params = places.training.network.params
        count = sum(params[layer][key].size for layer, key in places.training.learned)
        return count <= MOST_PARAMETERS

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.sheet = places.names.gradient
        self.block: Block = lay_block(places.training, self.sheet, back=False)
        self.names = parameter_names(places)
        #: The passes with a weight moved up and down, by full name.
        self.passes = {}
        for way, row in zip(("up", "down"), self._rows, strict=True):
            self.passes[way] = {
                name: moved(where, row, _BLOCK_COLUMN) for name, where in self._drawn(self.block)
            }
            self.placed |= {f"{way} {name}": where for name, where in self.passes[way].items()}
        count = len(self.names)
        for k, name in enumerate(("list value", "list gradient")):
            grid = Grid(self.sheet, _LIST_ROW, _LIST_COLUMN + 1 + k, count, 1)
            self.placed[name] = Placed((count,), Role.STEP, (grid,))
        for row, name in enumerate(_NUMBERS, _FIRST_NUMBER):
            grid = Grid(self.sheet, row, 1, 1, 1)
            self.placed[f"gradient check {name}"] = Placed((), Role.STEP, (grid,))
        self.given["gradient check epsilon"] = np.array(_EPSILON)
        choice = Grid(self.sheet, self._choice.row, self._choice.column, 1, 1)
        self.placed["gradient check weight"] = Placed((), Role.SETTING, (choice,))
        self.texts["gradient check weight"] = self.names[0]

    @property
    def _rows(self) -> tuple[int, int]:
        """The first rows of the passes."""
        return (_LIST_ROW - 2, _LIST_ROW - 2 + self.block.height)

    def _drawn(self, block: Block) -> list[tuple[str, Placed]]:
        """What a pass needs: not the number of the step and what follows from it."""
        left_out = {"number", "batch", "epoch", "lr", "momentum", "picture"}
        return [(name, where) for name, where in block.placed.items() if name not in left_out]

    @property
    def page(self) -> GuidePage:
        return GuidePage(
            self.sheet,
            (
                (0, 0, 30.0),
                (1, 1, 22.0),
                (_LIST_COLUMN, _LIST_COLUMN, 22.0),
                (_LIST_COLUMN + 1, _LIST_COLUMN + 2, 9.0),
            ),
            default_width=6.0,
        )

    @property
    def _choice(self) -> Cell:
        return Cell(self.sheet, _FIRST_NUMBER - 1, 1)

    def _number(self, name: str) -> str:
        return ref(self.placed[f"gradient check {name}"].grids[0].cell(0, 0), self.sheet)

    @property
    def _names_area(self) -> Range:
        return Range(self.sheet, _LIST_ROW, _LIST_COLUMN, len(self.names))

    def words(self) -> Iterator[GuideCell]:
        sheet = self.sheet
        yield GuideCell(Cell(sheet, 0, 0), "Gradient check", style=TITLE)
        yield GuideCell(
            Cell(sheet, 1, 0),
            "Choose a weight: the first step's loss with it a little larger and a little smaller, "
            "beside the gradient that the formulas give.",
            style=NOTE,
        )
        yield GuideCell(Cell(sheet, _FIRST_NUMBER - 1, 0), "weight", style=HEADING)
        yield GuideCell(self._choice, self.names[0], style=CHOSEN)
        for row, label in enumerate(_NUMBERS.values(), _FIRST_NUMBER):
            yield GuideCell(Cell(sheet, row, 0), label, style=PLAIN)
        for k, heading in enumerate(("parameter", "value", "gradient")):
            style = NUMBER_HEAD if k else TABLE_HEAD
            yield GuideCell(Cell(sheet, _LIST_ROW - 1, _LIST_COLUMN + k), heading, style=style)
        for n, name in enumerate(self.names):
            yield GuideCell(Cell(sheet, _LIST_ROW + n, _LIST_COLUMN), name, style=PLAIN)
        for way, row in zip(("weight + epsilon", "weight - epsilon"), self._rows, strict=True):
            yield GuideCell(Cell(sheet, row, _BLOCK_COLUMN), way, style=HEADING)
            for column, title, _ in self.block.titles:
                if column > 2:
                    yield GuideCell(Cell(sheet, row, column + _BLOCK_COLUMN), title, style=HEADING)
            for cell, word in self.block.words:
                if word in ("target", "loss"):
                    place = Cell(sheet, cell.row + row, cell.column + _BLOCK_COLUMN)
                    yield GuideCell(place, word, style=Style(colour=LABEL, size=DIGITS))

    def validations(self) -> list[Validation]:
        area = Range(self.sheet, self._choice.row, self._choice.column)
        message = "Choose one of the parameters in the list."
        return [Validation(area, "list", message, self._names_area)]

    def turns(self) -> list[tuple[Range, str]]:
        area = Range(self.sheet, self._choice.row, self._choice.column)
        last = len(self.names) - 1
        return [(area, self.names[k]) for k in dict.fromkeys((last // 3, last))]

    def formulas(self) -> Iterator[tuple[str, CellFormulas]]:
        training, sheet = self.places.training, self.sheet
        step = self.places.step(0)
        chosen, epsilon = self._number("chosen"), self._number("epsilon")
        for way, placed in self.passes.items():
            sign = "+" if way == "up" else "-"
            for name in ("input", "target", *training.fixed):
                yield from copied(f"{way} {name}", placed[name], step[name])
            ordinal = 1
            for layer, key in training.learned:
                full, start = f"{layer}.{key}", 0
                for own, source in zip(placed[full].grids, step[full].grids, strict=True):
                    for cell, unit in zip(source.cells(), _units(own), strict=True):
                        text = f"{ref(cell, sheet)}{sign}IF({chosen}={ordinal},{epsilon},0)"
                        yield f"{way} {full}", CellFormulas(full, start, unit, (text,))
                        start += 1
                        ordinal += 1
            for name, item in forward_formulas(training, placed):
                yield f"{way} {name}", item
            loss = ref(placed["loss"].grids[0].cell(0, 0), sheet, absolute=False)
            yield self._of(way, loss)
        yield from self._list(step)
        names = table_ref(self._names_area, sheet)
        yield self._of("chosen", f"MATCH({ref(self._choice, sheet)},{names},0)")
        up, down = self._number("up"), self._number("down")
        yield self._of("slope", f"({up}-{down})/(2*{epsilon})")
        area = table_ref(self.placed["list gradient"].grids[0].bounds, sheet)
        yield self._of("formula", f"INDEX({area},{chosen})")
        yield self._of("difference", f"{self._number('slope')}-{self._number('formula')}")

    def _of(self, name: str, text: str) -> tuple[str, CellFormulas]:
        full = f"gradient check {name}"
        return full, CellFormulas(full, 0, self.placed[full].grids[0], (text,))

    def _list(self, step: Mapping[str, Placed]) -> Iterator[tuple[str, CellFormulas]]:
        start = 0
        for layer, key in self.places.training.learned:
            full = f"{layer}.{key}"
            for suffix, name in (("", "list value"), (".grad", "list gradient")):
                grids = step[f"{full}{suffix}"].grids
                for n, cell in enumerate(cell for grid in grids for cell in grid.cells()):
                    unit = self.placed[name].grids[0].unit(start + n)
                    yield name, CellFormulas(name, start + n, unit, (ref(cell, self.sheet),))
            start += step[full].size

    def expected(self, shown: Shown) -> Mapping[str, Array]:
        """As the cells show the first step and the choice; no numbers where the choice is none."""
        training = self.places.training
        learned = [f"{layer}.{key}" for layer, key in training.learned]
        weights = {full: shown(f"0 {full}") for full in learned}
        flat = np.concatenate([weights[full].reshape(-1) for full in learned])
        gradient = np.concatenate([shown(f"0 {full}.grad").reshape(-1) for full in learned])
        epsilon, text = shown("gradient check epsilon"), shown.texts["gradient check weight"]
        found: dict[str, Array] = {"list value": flat, "list gradient": gradient}
        # As MATCH, which knows no capital letters.
        names = [name.lower() for name in self.names]
        place = names.index(text.lower()) if text.lower() in names else None
        found["gradient check chosen"] = np.array(np.nan if place is None else place + 1.0)
        for way, sign in (("up", 1.0), ("down", -1.0)):
            off = flat.copy() if place is not None else np.full(flat.shape, np.nan)
            if place is not None:
                off[place] += sign * float(epsilon)
            copies = ("input", "target", *training.fixed)
            values: dict[str, Array] = {name: shown(f"0 {name}") for name in copies}
            start = 0
            for full in learned:
                size = weights[full].size
                values[full] = off[start : start + size].reshape(weights[full].shape)
                start += size
            own = self._shown(way, shown)
            values |= forward_values(training, {**values, **own})
            found |= {f"{way} {name}": values[name] for name in self.passes[way]}
            found[f"gradient check {way}"] = own.get("loss", values["loss"])
        # From what the losses show: their difference has few digits.
        up, down = shown("gradient check up"), shown("gradient check down")
        slope = (up - down) / (2 * epsilon)
        found["gradient check slope"] = slope
        listed = shown("list gradient")
        found["gradient check formula"] = np.array(np.nan if place is None else listed[place])
        formula = shown("gradient check formula")
        found["gradient check difference"] = shown("gradient check slope") - formula
        return found

    def _shown(self, way: str, shown: Shown) -> dict[str, Array]:
        """What the cells of a pass show, as far as it is known."""
        names = [name for name in self.passes[way] if f"{way} {name}" in shown]
        return {name: shown(f"{way} {name}") for name in names}

    def roughness(self, shown: Shown) -> Mapping[str, Array]:
        # What programs save has fifteen digits, most of which the two losses have in common.
        digits = 1e-14 * (np.abs(shown("gradient check up")) + np.abs(shown("gradient check down")))
        slope = digits / np.abs(2 * shown("gradient check epsilon"))
        return {"gradient check slope": slope} | {
            f"{way} {name}": value
            for way in self.passes
            for name, value in roughness(self.places.training, self._shown(way, shown)).items()
        }

    def borders(self) -> list[tuple[Grid, Border]]:
        return [
            (replace(grid, row=grid.row + row, column=grid.column + _BLOCK_COLUMN), moat)
            for row in self._rows
            for grid, moat in self.block.borders
        ]

    def style(self, name: str, numbers: Array) -> Style:
        kind, _, own = name.partition(" ")
        if kind not in self.passes:
            special = _FORMATS.get(name)
            return Style(special) if special else super().style(name, numbers)
        if own in ("loss", "target"):
            return Style("0.0000" if own == "loss" else "General", size=DIGITS)
        learned = [f"{layer}.{key}" for layer, key in self.places.training.learned]
        frame = FRAME if own in learned else None
        shown = fitting_format(numbers, is_weight=own in learned)
        return Style(shown, size=DIGITS, frame=frame)

    def scales(self) -> list[tuple[list[str], tuple[str, ...]]]:
        names = [name for name in self.passes["up"] if name not in ("target", "loss")]
        pixels = PIXELS if self.places.training.images.min() >= 0 else SIGNED
        alike = [
            ([f"{way} {name}" for way in self.passes], pixels if name == "input" else SIGNED)
            for name in names
        ]
        return [*alike, (["list gradient"], GRADIENT)]


def _units(grid: Grid) -> list[Grid]:
    return [grid.unit(k) for k in range(grid.size)]


def parameter_names(places: Places) -> list[str]:
    """What every parameter is called, counted from 1: `conv1.weight 1,1,2,3`."""
    names = []
    for layer, key in places.training.learned:
        shape = places.training.network.params[layer][key].shape
        for index in np.ndindex(shape):
            names.append(f"{layer}.{key} {','.join(str(k + 1) for k in index)}")
    return names

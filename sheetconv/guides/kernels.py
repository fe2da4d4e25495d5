"""Kernels by name: a drop-down list above each filter of the first layer chooses its numbers.

The kernels stand one below the other on a worksheet of their own; each cell of a filter is
`=INDEX(column, start)`, as the pixels of chosen pictures are. The last ones are the user's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from ..cells import Cell, Grid, Range
from ..drawing import Style
from ..formulas import CellFormulas, Moving
from ..layers.base import Array
from ..layers.conv2d import Conv2d
from ..layout import ColourScale, Layout
from ..network import Sequential
from ..palette import DIGITS, FRAME, SIGNED
from ..values import Value
from .base import (
    HEADING,
    NUMBER_HEAD,
    TABLE_HEAD,
    TITLE,
    Given,
    Guide,
    GuideCell,
    GuidePage,
    Shown,
    Trouble,
    Validation,
    area_ref,
    as_text,
    ref,
)
from .pictures import folded, pixel_shown

#: Kernels of 3 x 3 by name, row by row, and what they find. The edges and the diagonals are
#: those of chapter 13 of "Deep Learning for Coders with fastai and PyTorch" by Jeremy Howard
#: and Sylvain Gugger; the others are those of every image editor.
KERNELS: dict[str, tuple[tuple[float, ...], str]] = {
    "top edge": ((-1, -1, -1, 0, 0, 0, 1, 1, 1), "dark above bright"),
    "bottom edge": ((1, 1, 1, 0, 0, 0, -1, -1, -1), "bright above dark"),
    "left edge": ((-1, 1, 0, -1, 1, 0, -1, 1, 0), "dark left of bright"),
    "right edge": ((0, 1, -1, 0, 1, -1, 0, 1, -1), "bright left of dark"),
    "diagonal 1": ((0, -1, 1, -1, 1, 0, 1, 0, 0), "edges like /, dark above"),
    "diagonal 2": ((1, -1, 0, 0, 1, -1, 0, 0, 1), "edges like \\, dark above"),
    "Sobel x": ((-1, 0, 1, -2, 0, 2, -1, 0, 1), "how fast it gets brighter to the right"),
    "Sobel y": ((-1, -2, -1, 0, 0, 0, 1, 2, 1), "how fast it gets brighter downwards"),
    "outline": ((-1, -1, -1, -1, 8, -1, -1, -1, -1), "what differs from all around it"),
    "sharpen": ((0, -1, 0, -1, 5, -1, 0, -1, 0), "the picture, its edges stronger"),
    "emboss": ((-2, -1, 0, -1, 1, 1, 0, 1, 2), "light from the upper left"),
    "box blur": ((1 / 9,) * 9, "the mean of nine pixels"),
    "Gaussian blur": (
        tuple(n / 16 for n in (1, 2, 1, 2, 4, 2, 1, 2, 1)),
        "their mean, near ones counted more",
    ),
    "identity": ((0, 0, 0, 0, 1, 0, 0, 0, 0), "the picture itself"),
}

_SIZE = 3
_PITCH = _SIZE + 2  # the kernel's name stands above it
_NAME, _FINDS, _CELLS = 1, 2, 4
_FIRST = 7  # row of the first name, and of the first kernel
_FILTERS = 9  # column of the table of filters


class Kernels(Guide):
    """The kernels, a list for each filter, and the formulas of the first layer's weights.

    Args:
        network, layout, sheet: as for every guide.
        weight: (filters, 1, 3, 3), the network's own; what of it has no name is `custom`.
    """

    kind: ClassVar[str] = "kernels"
    invitation: ClassVar[str] = (
        "Choose another kernel from the list above a filter: edges, blurs, sharpening. *custom* "
        "is yours: type its numbers on this worksheet."
    )

    def __init__(
        self, network: Sequential, layout: Layout, sheet: str, weight: Array | None = None
    ) -> None:
        super().__init__(network, layout, sheet)
        self._layer = layout.stages[0].name
        self._filters = len(layout.placed[self._tensor].grids)
        given = np.zeros((self._filters, 1, _SIZE, _SIZE)) if weight is None else weight
        self._weight = given.reshape(self._filters, _SIZE * _SIZE)
        self.kernels = [*KERNELS, *(f"custom {k + 1}" for k in range(self._filters))]

    @staticmethod
    def fits(network: Sequential, layout: Layout) -> bool:
        """Whether the first layer is a convolution of one plane with kernels of 3 x 3."""
        first = layout.stages[0]
        layer = network.layers[first.name]
        if not isinstance(layer, Conv2d) or first.source != "input":
            return False
        grids = layout.placed[f"{first.name}.weight"].grids
        return layer.in_channels == 1 and all(
            (grid.height, grid.width) == (_SIZE, _SIZE) and grid.compact for grid in grids
        )

    @property
    def _tensor(self) -> str:
        return f"{self._layer}.weight"

    @property
    def page(self) -> GuidePage:
        columns = (
            (0, 0, 2.0),
            (_NAME, _NAME, 16.0),
            (_FINDS, _FINDS, 36.0),
            (3, 3, 2.0),
            (_CELLS, _CELLS + _SIZE - 1, 5.6),
            (_CELLS + _SIZE, _FILTERS - 1, 2.0),
            (_FILTERS, _FILTERS + 3, 16.0),
        )
        return GuidePage(self.sheet, columns, (3, 0))

    def config(self) -> dict[str, Any]:
        return {}

    def choice(self, number: int) -> Cell:
        """The cell above a filter that holds the name of its kernel."""
        grid = self.layout.placed[self._tensor].grids[number]
        return Cell(grid.sheet, grid.row - 1, grid.column)

    def _numbers(self, name: str) -> tuple[float, ...]:
        if name in KERNELS:
            return tuple(map(float, KERNELS[name][0]))
        own = int(name.removeprefix("custom ")) - 1
        if self._first_name(own) in KERNELS:
            return (0.0,) * _SIZE * _SIZE
        return tuple(self._weight[own].tolist())

    def _grid(self, number: int) -> Grid:
        return Grid(self.sheet, _FIRST + number * _PITCH, _CELLS, _SIZE, _SIZE)

    def given(self) -> dict[str, Given]:
        names = Given(
            Grid(self.sheet, _FIRST, _NAME, len(self.kernels), 1), tuple(self.kernels), Style()
        )
        found = {"kernel names": names}
        style = Style("General", size=DIGITS, frame=FRAME)
        for number, name in enumerate(self.kernels):
            found[f"kernel {name}"] = Given(self._grid(number), self._numbers(name), style)
        for number in range(self._filters):
            cell = self.choice(number)
            grid = Grid(cell.sheet, cell.row, cell.column, 1, 1)
            found[f"filter {number + 1}"] = Given(grid, (self._first_name(number),), across=_SIZE)
        return found

    def _first_name(self, number: int) -> str:
        own = tuple(self._weight[number].tolist())
        named = (
            name for name, (numbers, _) in KERNELS.items() if tuple(map(float, numbers)) == own
        )
        return next(named, f"custom {number + 1}")

    def _names(self) -> Range:
        return Range(self.sheet, _FIRST, _NAME, len(self.kernels), 1)

    def validations(self) -> list[Validation]:
        rules = []
        for number in range(self._filters):
            cell = self.choice(number)
            message = f"Choose a kernel; they stand on the worksheet {self.sheet}."
            area = Range(cell.sheet, cell.row, cell.column)
            rules.append(Validation(area, "list", message, self._names()))
        return [
            *rules,
            *(
                Validation(self._grid(k).bounds, "number", "A weight is a number.")
                for k in range(len(self.kernels))
            ),
        ]

    def scales(self) -> list[ColourScale]:
        return [ColourScale((self._grid(k).bounds,), SIGNED) for k in range(len(self.kernels))]

    def _start(self, number: int) -> Cell:
        return self.at(_FIRST + number, _FILTERS + 3)

    def feeds(self) -> dict[str, list[CellFormulas]]:
        formulas, bank = [], self._grid(0)
        last = (len(self.kernels) - 1) * _PITCH + 1
        for number, grid in enumerate(self.layout.placed[self._tensor].grids):
            column = Moving(self.sheet, bank.row, bank.column, last, 1, 1, 1)
            start = ref(self._start(number), grid.sheet)
            formula = ("INDEX(", column, f",{start})")
            formulas.append(CellFormulas(self._tensor, number * grid.size, grid, formula))
        return {self._tensor: formulas}

    def _chosen(self, shown: Shown, number: int) -> int | None:
        name = folded(shown.given[f"filter {number + 1}"][0])
        names = [folded(kernel) for kernel in shown.given["kernel names"]]
        return names.index(name) if name is not None and name in names else None

    def _used(self, shown: Shown, number: int) -> int:
        """The kernel that a filter has: its own custom one where no name is chosen."""
        chosen = self._chosen(shown, number)
        return len(KERNELS) + number if chosen is None else chosen

    def fed(self, shown: Shown) -> dict[str, Array]:
        numbers = [
            [
                pixel_shown(value)
                for value in shown.given[f"kernel {self.kernels[self._used(shown, number)]}"]
            ]
            for number in range(self._filters)
        ]
        return {self._tensor: np.array(numbers).reshape(self.layout.placed[self._tensor].shape)}

    def turns(self, given: Mapping[str, tuple[Value, ...]]) -> list[dict[str, tuple[Value, ...]]]:
        # Every filter has every kernel once, and no two filters the same at a time.
        names = [*given["kernel names"], "no such kernel"]
        return [
            {
                f"filter {number + 1}": (names[(turn + number) % len(names)],)
                for number in range(self._filters)
            }
            for turn in range(len(names))
        ]

    def text_turns(
        self, given: Mapping[str, tuple[Value, ...]]
    ) -> list[dict[str, tuple[Value, ...]]]:
        custom = self.kernels[len(KERNELS)]
        text = ("text", *given[f"kernel {custom}"][1:])
        return [{"filter 1": given["kernel names"][len(KERNELS) :][:1], f"kernel {custom}": text}]

    def troubles(self) -> list[Trouble]:
        def unknown(number: int) -> Trouble:
            choice = ref(self.choice(number), self.home)
            return Trouble(
                f"ISNA(MATCH({choice},{area_ref(self._names(), self.home)},0))",
                f"There is no kernel of the name above filter {number + 1}: choose one of the "
                f"list. Until then it is custom {number + 1}.",
                lambda shown: self._chosen(shown, number) is None,
            )

        return [unknown(number) for number in range(self._filters)]

    def cells(self, shown: Shown) -> Iterator[GuideCell]:
        yield self.text(0, 1, f"Kernels for {self.layer_label}", TITLE)
        yield self.text(
            1,
            1,
            f"Choose one above each filter of {self._layer}. Their numbers may be changed, above "
            "all those of the custom ones.",
        )
        for column, head in ((_NAME, "name"), (_FINDS, "what it finds")):
            yield self.text(_FIRST - 1, column, head, TABLE_HEAD)
        for offset, head in enumerate(("filter", "kernel", "number", "first row")):
            style = NUMBER_HEAD if offset > 1 else TABLE_HEAD
            yield self.text(_FIRST - 1, _FILTERS + offset, head, style)
        for number, name in enumerate(self.kernels):
            finds = KERNELS[name][1] if name in KERNELS else "your own"
            yield self.text(_FIRST + number, _FINDS, finds)
            called = as_text(shown.given["kernel names"][number])
            formula = f'{self.at(_FIRST + number, _NAME).a1}&""'
            place = self.at(_FIRST - 1 + number * _PITCH, _CELLS)
            yield GuideCell(place, called, formula, style=HEADING)
        for number in range(self._filters):
            row = _FIRST + number
            choice = ref(self.choice(number), self.sheet)
            used = self._used(shown, number)
            yield self.text(row, _FILTERS, f"filter {number + 1}")
            typed = as_text(shown.given[f"filter {number + 1}"][0])
            yield GuideCell(self.at(row, _FILTERS + 1), typed, f'{choice}&""')
            formula = (
                f"IFERROR(MATCH({choice},{self._names().absolute},0),{len(KERNELS) + number + 1})"
            )
            yield GuideCell(self.at(row, _FILTERS + 2), float(used + 1), formula)
            formula = f"({self.at(row, _FILTERS + 2).a1}-1)*{_PITCH}+1"
            yield GuideCell(self._start(number), float(used * _PITCH + 1), formula)

    @property
    def layer_label(self) -> str:
        """The layer whose filters are chosen."""
        return f"{self._layer} of {self.home}"

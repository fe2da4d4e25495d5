"""A bank of pictures, and a drop-down list that chooses which one feeds the network.

The pictures stand one below the other. Each cell of the input is `=INDEX(column, start)`,
where the column moves with the cell and `start` is where the chosen picture begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, ClassVar

import numpy as np

from ..cells import Cell, Grid, Range
from ..drawing import Style
from ..formulas import CellFormulas, Moving, Shape
from ..layers.base import Array
from ..layout import ColourScale, Layout
from ..network import Sequential
from ..number_formats import fitting_format
from ..palette import DIGITS, PIXELS, SIGNED, TINTS
from ..values import Value
from .base import (
    ANSWER_ROW,
    CHOSEN,
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

#: So many pictures fit into a list that people look through.
MOST_PICTURES = 200

_CHOICE = (ANSWER_ROW, 4)
_CHOICE_ACROSS = 5
_LABEL_COLUMN = 10
_NAME, _LABEL, _CHOSEN, _PIXELS = 1, 2, 3, 5  # columns
_CHOSEN_ROW, _START_ROW = 3, 4
_FIRST = 7  # row of the first name, and of the first picture's first pixels
# A look-up takes texts of 255 letters, and a list shows fewer.
_MOST_LETTERS = 60
_NO_PICTURE = "There is no picture of this name: choose one of the list."


def bank_size(count: int, shape: Shape) -> tuple[int, int]:
    """Rows and columns that some pictures take on their worksheet.

    Example:
        >>> bank_size(2, (3, 28, 28))
        (66, 91)
    """
    channels, height, width = shape if len(shape) == 3 else (1, prod(shape), 1)
    return _FIRST + count * (height + 2) - 1, _PIXELS + channels * (width + 1) - 1


class Pictures(Guide):
    """The bank, the list, and the formulas of the input.

    Args:
        network, layout, sheet: as for every guide.
        pictures: (count, channels, height, width) or (count, features).
        names: of the pictures, none twice.
        labels: what each one shows; empty where that is not known.
        chosen: the number of the one that is chosen at first.
        labelled: whether labels are shown. Default: where any is known.
    """

    kind: ClassVar[str] = "pictures"
    invitation: ClassVar[str] = (
        "Choose another picture from the list in the yellow cell beside *picture*, and the whole "
        "network answers. The last one is empty: draw in it, on this worksheet."
    )

    def __init__(
        self,
        network: Sequential,
        layout: Layout,
        sheet: str,
        pictures: Array,
        names: Sequence[str],
        labels: Sequence[str],
        chosen: int = 0,
        labelled: bool | None = None,
    ) -> None:
        super().__init__(network, layout, sheet)
        self._pictures, self._names, self._labels = pictures, tuple(names), tuple(labels)
        self._chosen = chosen
        #: Whether the head says what the chosen one shows.
        self.is_labelled = any(labels) if labelled is None else labelled

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return len(self._pictures)

    @property
    def _planes(self) -> tuple[int, int, int]:
        """Channels, rows and columns of one picture; a vector stands in one column."""
        shape = self.layout.input_shape
        return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (1, prod(shape), 1)

    @property
    def _pitch(self) -> int:
        """Rows from one picture to the next: its name stands above it."""
        return self._planes[1] + 2

    @property
    def label(self) -> Cell:
        """The cell that shows the chosen picture's label."""
        return Cell(self.home, ANSWER_ROW, _LABEL_COLUMN)

    @property
    def page(self) -> GuidePage:
        columns = (
            (0, 0, 2.0),
            (_NAME, _NAME, 28.0),
            (_LABEL, _LABEL, 28.0),
            (_CHOSEN, _CHOSEN, 8.0),
            (_CHOSEN + 1, _CHOSEN + 1, 2.0),
        )
        return GuidePage(self.sheet, columns, (3, 0), default_width=3.4)

    def config(self) -> dict[str, Any]:
        return {"count": self.count, "labelled": self.is_labelled}

    @classmethod
    def restored(
        cls, network: Sequential, layout: Layout, sheet: str, count: int, *, labelled: bool
    ) -> Pictures:
        """The guide as a description has it: what its cells hold is read from them."""
        blank = [""] * count
        return cls(
            network,
            layout,
            sheet,
            np.zeros((count, *layout.input_shape)),
            blank,
            blank,
            0,
            labelled,
        )

    def _grids(self, number: int) -> list[Grid]:
        """Where a picture's planes stand, side by side."""
        channels, height, width = self._planes
        row = _FIRST + number * self._pitch
        return [
            Grid(self.sheet, row, _PIXELS + c * (width + 1), height, width) for c in range(channels)
        ]

    def given(self) -> dict[str, Given]:
        cell = Cell(self.home, *_CHOICE)
        choice = Grid(cell.sheet, cell.row, cell.column, 1, 1)
        names = Grid(self.sheet, _FIRST, _NAME, self.count, 1)
        labels = Grid(self.sheet, _FIRST, _LABEL, self.count, 1)
        plain = Style()
        found = {
            "picture": Given(
                choice, (self._names[self._chosen],), replace(CHOSEN, align="left"), _CHOICE_ACROSS
            ),
            "picture names": Given(names, self._names, plain),
            "picture labels": Given(labels, tuple(label or None for label in self._labels), plain),
        }
        style = Style(fitting_format(self._pictures), size=DIGITS)
        planes = self._pictures.reshape(self.count, self._planes[0], -1)
        for number in range(self.count):
            for channel, grid in enumerate(self._grids(number)):
                pixels = tuple(map(float, planes[number, channel]))
                found[f"pixels {number + 1}, {channel + 1}"] = Given(grid, pixels, style)
        return found

    def validations(self) -> list[Validation]:
        names = Range(self.sheet, _FIRST, _NAME, self.count, 1)
        message = f"Choose a picture; they stand on the worksheet {self.sheet}."
        rules = [Validation(Range(self.home, *_CHOICE), "list", message, names)]
        number = "A pixel is a number."
        rules += [
            Validation(grid.bounds, "number", number)
            for picture in range(self.count)
            for grid in self._grids(picture)
        ]
        return rules

    def scales(self) -> list[ColourScale]:
        channels = self._planes[0]
        tints = list(TINTS.values()) if channels == len(TINTS) else [PIXELS] * channels
        if (self._pictures < 0).any():
            tints = [SIGNED] * channels  # type: ignore[list-item]
        return [
            ColourScale(tuple(self._grids(k)[c].bounds for k in range(self.count)), tints[c])
            for c in range(channels)
        ]

    def feeds(self) -> dict[str, list[CellFormulas]]:
        start = ref(self.at(_START_ROW, _LABEL), self.home)
        last = (self.count - 1) * self._pitch + 1
        formulas, first = [], 0
        for bank, grid in zip(self._grids(0), self.layout.placed["input"].grids, strict=True):
            column = Moving(self.sheet, bank.row, bank.column, last, 1, 1, 1)
            formulas.append(CellFormulas("input", first, grid, ("INDEX(", column, f",{start})")))
            first += grid.size
        return {"input": formulas}

    def _number(self, shown: Shown) -> int | None:
        """The number of the chosen picture, from 0; None where no name is chosen."""
        choice = folded(self._choice(shown))
        names = [folded(name) for name in shown.given["picture names"]]
        return names.index(choice) if choice in names else None

    @staticmethod
    def _choice(shown: Shown) -> Value:
        return shown.given["picture"][0]

    @property
    def _chosen_area(self) -> Range:
        """The column with a 1 beside the chosen picture."""
        return Range(self.sheet, _FIRST, _CHOSEN, self.count, 1)

    def shown_label(self, shown: Shown) -> str:
        """The label of the chosen picture; empty where no name is chosen."""
        number = self._number(shown)
        return "" if number is None else as_text(shown.given["picture labels"][number])

    def fed(self, shown: Shown) -> dict[str, Array]:
        number = self._number(shown) or 0
        planes = [
            [pixel_shown(value) for value in shown.given[key]]
            for key in (f"pixels {number + 1}, {c + 1}" for c in range(self._planes[0]))
        ]
        return {"input": np.array(planes).reshape(self.layout.placed["input"].shape)}

    def turns(self, given: Mapping[str, tuple[Value, ...]]) -> list[dict[str, tuple[Value, ...]]]:
        names = [name for name in given["picture names"] if isinstance(name, str)]
        return [{"picture": (name,)} for name in (*names, "no such picture")]

    def text_turns(
        self, given: Mapping[str, tuple[Value, ...]]
    ) -> list[dict[str, tuple[Value, ...]]]:
        text = ("text", *given["pixels 1, 1"][1:])
        return [{"picture": given["picture names"][:1], "pixels 1, 1": text}]

    def troubles(self) -> list[Trouble]:
        chosen = area_ref(self._chosen_area, self.home)
        return [
            Trouble(
                f"SUM({chosen})=0",
                _NO_PICTURE,
                lambda shown: self._number(shown) is None,
            )
        ]

    def cells(self, shown: Shown) -> Iterator[GuideCell]:
        number = self._number(shown)
        yield GuideCell(Cell(self.home, ANSWER_ROW, 1), "picture", style=HEADING)
        if self.is_labelled:
            yield from self._label_cells(shown)
        yield self.text(0, 1, f"Pictures for {self.home}", TITLE)
        yield self.text(
            1,
            1,
            "Choose one on the network's worksheet. Names, labels and pixels may be changed; the "
            "last one is empty, to draw in: type numbers such as 1.",
        )
        yield self.text(_CHOSEN_ROW, _NAME, "the chosen one's number")
        formula = f"IFERROR(MATCH(1,{self._chosen_area.absolute},0),1)"
        yield GuideCell(self.at(_CHOSEN_ROW, _LABEL), float((number or 0) + 1), formula)
        yield self.text(_START_ROW, _NAME, "its first row below")
        formula = f"({self.at(_CHOSEN_ROW, _LABEL).a1}-1)*{self._pitch}+1"
        start = float((number or 0) * self._pitch + 1)
        yield GuideCell(self.at(_START_ROW, _LABEL), start, formula)
        yield self.text(_FIRST - 1, _NAME, "name", TABLE_HEAD)
        yield self.text(_FIRST - 1, _LABEL, "label", TABLE_HEAD)
        yield self.text(_FIRST - 1, _CHOSEN, "chosen", NUMBER_HEAD)
        choice, wanted = ref(Cell(self.home, *_CHOICE), self.sheet), folded(self._choice(shown))
        for k, name in enumerate(shown.given["picture names"]):
            # Equal, and not looked up: in a look-up an asterisk stands for any text.
            formula = f"IF({self.at(_FIRST + k, _NAME).a1}={choice},1,0)"
            is_chosen = float(folded(name) == wanted)
            yield GuideCell(self.at(_FIRST + k, _CHOSEN), is_chosen, formula)
        for k in range(self.count):
            name = as_text(shown.given["picture names"][k])
            formula = f'{self.at(_FIRST + k, _NAME).a1}&""'
            yield GuideCell(
                self.at(_FIRST - 1 + k * self._pitch, _PIXELS), name, formula, style=HEADING
            )

    def _label_cells(self, shown: Shown) -> Iterator[GuideCell]:
        labels = area_ref(Range(self.sheet, _FIRST, _LABEL, self.count, 1), self.home)
        chosen = ref(self.at(_CHOSEN_ROW, _LABEL), self.home)
        beside = area_ref(self._chosen_area, self.home)
        before = Cell(self.home, ANSWER_ROW, _LABEL_COLUMN - 1)
        yield GuideCell(before, "is", style=Style(align="center"))
        yield GuideCell(
            self.label,
            self.shown_label(shown),
            f'IF(SUM({beside})=0,"",INDEX({labels},{chosen})&"")',
            style=Style(bold=True, align="left"),
            across=4,
        )


def folded(value: Value) -> Value:
    """A value as `=` compares it, which tells no capital letters from small ones."""
    return value.lower() if isinstance(value, str) else value


def pixel_shown(value: Value) -> float:
    """The number that a formula shows that refers to a cell; NaN for none.

    Example:
        >>> pixel_shown(0.5), pixel_shown(None), pixel_shown(True)
        (0.5, 0.0, nan)
    """
    if value is None:
        return 0.0
    return value if isinstance(value, float) else float("nan")


def bank_names(labels: Sequence[str]) -> list[str]:
    """A name for each picture that no program takes for a number or a date.

    Example:
        >>> bank_names(["7", "", "cat"])
        ['no. 1 (7)', 'no. 2', 'no. 3 (cat)']
    """
    plain = [
        "".join(c if c.isprintable() else "_" for c in label)[:_MOST_LETTERS] for label in labels
    ]
    return [f"no. {k} ({text})" if text else f"no. {k}" for k, text in enumerate(plain, 1)]

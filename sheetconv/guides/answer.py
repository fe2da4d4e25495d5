"""The network's answer in words, beside the picture: the class, how sure it is, right or wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np

from ..cells import Cell, Grid, Range
from ..drawing import Style
from ..layers.base import Array
from ..layers.sigmoid import Sigmoid
from ..layers.softmax import Softmax
from ..layout import Layout
from ..network import Sequential
from ..palette import RIGHT, RIGHT_DIGITS, WRONG, WRONG_DIGITS
from ..values import Value
from .base import ANSWER_ROW, HEADING, Given, Guide, GuideCell, Highlight, Shown, area_ref, as_text
from .pictures import Pictures

#: A formula that joins the names of more labels would be too long.
MOST_LABELS = 60

_NOTHING = "none"


class Answer(Guide):
    """What the network says.

    Args:
        network, layout: as for every guide.
        classes: names of the outputs, which stand beside them; empty for their numbers.
        pictures: the bank, whose label the answer is held against; None without one.
    """

    kind: ClassVar[str] = "answer"

    def __init__(
        self,
        network: Sequential,
        layout: Layout,
        classes: tuple[str, ...] = (),
        pictures: Pictures | None = None,
    ) -> None:
        super().__init__(network, layout, "")
        self._classes = classes
        self._pictures = pictures if pictures is not None and pictures.is_labelled else None
        self._left = 15 if self._pictures else 10 if pictures is not None else 1

    @staticmethod
    def fits(network: Sequential, layout: Layout) -> bool:
        """Whether there is one answer: of one image, one vector of two outputs or more,
        or of questions that each have their own.
        """
        out = layout.placed[layout.stages[-1].out]
        is_vector = layout.batch == 1 and len(out.shape) == 2
        if _kind(network, layout) == "labels":
            return is_vector and out.size <= MOST_LABELS
        return is_vector and out.size > 1

    def config(self) -> dict[str, Any]:
        return {"classes": len(self._classes)}

    @property
    def _out(self) -> Grid:
        return self.layout.placed[self.layout.stages[-1].out].grids[0]

    @property
    def _class_grid(self) -> Grid:
        out = self._out
        return Grid(out.sheet, out.row, out.column + 1, out.height, 1)

    @property
    def said(self) -> Cell:
        """The cell with the class."""
        return Cell(self.home, ANSWER_ROW, self._left + 5)

    @property
    def _across(self) -> int:
        """Columns of the answer: several labels need the place of the probability, too."""
        return 7 if _kind(self.network, self.layout) == "labels" else 4

    @property
    def sure(self) -> Cell:
        """The cell with the probability, or the score."""
        return Cell(self.home, ANSWER_ROW, self._left + 10)

    @property
    def verdict(self) -> Cell:
        """The cell that says right or wrong."""
        return Cell(self.home, ANSWER_ROW, self._left + 13)

    def given(self) -> dict[str, Given]:
        if not self._classes:
            return {}
        return {"classes": Given(self._class_grid, self._classes, own=False)}

    def highlights(self) -> list[Highlight]:
        if self._pictures is None:
            return []
        areas = (
            Range(self.home, ANSWER_ROW, self.said.column, 1, self._across),
            Range(self.home, ANSWER_ROW, self.verdict.column, 1, 3),
        )
        verdict = Range(self.home, self.verdict.row, self.verdict.column).absolute
        right = Style(fill=RIGHT, colour=RIGHT_DIGITS, bold=True)
        wrong = Style(fill=WRONG, colour=WRONG_DIGITS, bold=True)
        return [
            Highlight(areas, f'{verdict}="right"', right),
            Highlight(areas, f'{verdict}="wrong"', wrong),
        ]

    def _names(self, shown: Shown) -> list[str]:
        if self._classes:
            return [as_text(name) for name in shown.given["classes"]]
        return [str(number) for number in range(self._out.height)]

    def _answer(self, shown: Shown) -> tuple[Value, Value]:
        """The class or classes, and the probability or score."""
        out: Array = shown.tensors[self.layout.stages[-1].out].reshape(-1)
        if not np.isfinite(out).all():
            return None, None
        names = self._names(shown)
        if _kind(self.network, self.layout) == "labels":
            found = [name for name, p in zip(names, out, strict=True) if p > 0.5]
            return ", ".join(found) or _NOTHING, ""
        return names[int(out.argmax())], float(out.max())

    def _formulas(self) -> tuple[str, str]:
        out = area_ref(self._out.bounds, self.home)
        kind = _kind(self.network, self.layout)
        if kind == "labels":
            parts = []
            for k in range(self._out.height):
                unit = area_ref(_one(self._out, k), self.home)
                name = f'"{k}"'
                if self._classes:
                    name = area_ref(_one(self._class_grid, k), self.home)
                parts.append(f'IF({unit}>0.5,", "&{name},"")')
            joined = f"MID({'&'.join(parts)},3,32767)"
            return f'IF(SUMPRODUCT(({out}>0.5)*1)=0,"{_NOTHING}",{joined})', ""
        best = f"MATCH(MAX({out}),{out},0)"
        names = area_ref(self._class_grid.bounds, self.home)
        name = f'INDEX({names},{best})&""' if self._classes else f'({best}-1)&""'
        return name, f"MAX({out})"

    def cells(self, shown: Shown) -> Iterator[GuideCell]:
        yield GuideCell(Cell(self.home, ANSWER_ROW, self._left), "the network says", style=HEADING)
        answer, sure = self._answer(shown)
        name, number = self._formulas()
        centred = Style(bold=True, align="center")
        yield GuideCell(self.said, answer, name, style=centred, across=self._across)
        if number:
            is_probability = _kind(self.network, self.layout) == "probability"
            style = Style("0.0%" if is_probability else "0.00", bold=True, align="center")
            yield GuideCell(self.sure, sure, number, style=style, across=2)
        if self._pictures is None:
            return
        label_cell = self._pictures.label
        label = Range(self.home, label_cell.row, label_cell.column).absolute
        said = Range(self.home, self.said.row, self.said.column).absolute
        # An equals sign takes capital and small letters for the same.
        formula = f'IF({label}="","",IF(EXACT({label},{said}),"right","wrong"))'
        shown_label = self._pictures.shown_label(shown)
        verdict: Value = None
        if answer is not None:
            verdict = "right" if shown_label == str(answer) else "wrong"
        if not shown_label:
            verdict = ""
        yield GuideCell(self.verdict, verdict, formula, style=centred, across=3)


def _kind(network: Sequential, layout: Layout) -> Literal["probability", "labels", "score"]:
    """What the outputs are: parts of one whole, questions of their own, or scores."""
    stage = layout.stages[-1]
    last = network.layers[stage.fused[-1] if stage.fused else stage.name]
    if isinstance(last, Softmax):
        return "probability"
    return "labels" if isinstance(last, Sigmoid) else "score"


def _one(grid: Grid, k: int) -> Range:
    cell = grid.cell(k, 0)
    return Range(cell.sheet, cell.row, cell.column)

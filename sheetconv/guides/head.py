"""The head of a network's first worksheet: its title, and what cannot be used, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

from ..cells import Cell
from ..drawing import Style
from ..formulas import Role
from ..layout import Layout
from ..network import Sequential
from ..palette import LINK
from .base import (
    SAID,
    TITLE,
    TITLE_ROW,
    TROUBLE_ROW,
    Guide,
    GuideCell,
    Shown,
    Trouble,
    Validation,
    area_ref,
    quoted_text,
)

#: Tensors of more planes are left out: a formula holds no more, and nobody types there.
_MOST_PLANES = 40
# Excel takes 64 functions within each other, and 8,192 characters.
_MOST_TROUBLES = 50
_MOST_CHARACTERS = 7_000


class Head(Guide):
    """Title and troubles.

    Args:
        network, layout: as for every guide.
        guides: the network's others, whose troubles it says.
        title: what the worksheet is called. Default: its name.
        cover: name of the cover's worksheet, to which a link leads.
    """

    kind: ClassVar[str] = "head"

    def __init__(
        self,
        network: Sequential,
        layout: Layout,
        guides: Sequence[Guide] = (),
        title: str = "",
        cover: str = "",
    ) -> None:
        super().__init__(network, layout, "")
        self._guides = tuple(guides)
        self._title = title or self.home
        self._cover = cover

    @property
    def cover(self) -> str:
        """The name of the cover's worksheet; empty for none."""
        return self._cover

    def config(self) -> dict[str, Any]:
        return {"cover": self._cover}

    def _edited(self) -> list[str]:
        """The tensors whose numbers a person may type over, by full name."""
        return [
            name
            for name, placed in self.layout.placed.items()
            if not placed.role.is_formula and len(placed.grids) <= _MOST_PLANES
        ]

    def validations(self) -> list[Validation]:
        fed = {name for guide in self._guides for name in guide.feeds()}
        return [
            Validation(grid.bounds, "number", "A number.")
            for name in self._edited()
            if name not in fed
            for grid in self.layout.placed[name].grids
        ]

    def troubles(self) -> list[Trouble]:
        """The other guides', and numbers that are none, as many as a formula has room for."""
        found = [trouble for guide in self._guides for trouble in guide.troubles()]
        for name in self._edited():
            placed = self.layout.placed[name]
            areas = [area_ref(grid.bounds, self.home) for grid in placed.grids]
            counts = [f"COUNTA({area})-COUNT({area})" for area in areas]
            what = "the picture" if placed.role is Role.INPUT else name
            found.append(
                Trouble(
                    f"{'+'.join(counts)}>0",
                    f"A cell of {what} holds no number: type one there.",
                    lambda shown, name=name: bool(np.isnan(shown.tensors[name]).any()),  # type: ignore[misc]
                )
            )
        lengths = accumulate(len(item.test) + len(item.words) + len('IF(,"",)') for item in found)
        fit = sum(length <= _MOST_CHARACTERS for length in lengths)
        return found[: min(fit, _MOST_TROUBLES)]

    def cells(self, shown: Shown) -> Iterator[GuideCell]:
        if self._cover:
            yield GuideCell(
                Cell(self.home, TITLE_ROW, 0),
                "\u25c4",
                style=Style(colour=LINK),
                link=Cell(self._cover, 0, 0),
            )
        yield GuideCell(Cell(self.home, TITLE_ROW, 1), self._title, style=TITLE)
        formula, said = '""', ""
        for trouble in reversed(self.troubles()):
            formula = f"IF({trouble.test},{quoted_text(trouble.words)},{formula})"
            if trouble.is_so(shown):
                said = trouble.words
        if formula != '""':
            yield GuideCell(Cell(self.home, TROUBLE_ROW, 1), said, formula, style=SAID)

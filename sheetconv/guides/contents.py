"""What the guides of a network put on which worksheet, before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..cells import Grid
from ..drawing import Style
from ..layers.base import Array
from ..layout import ColourScale
from ..values import Value
from .base import Given, Guide, GuideCell, Highlight, Shown, Validation


@dataclass(slots=True)
class GuideContent:
    """What guides put on one worksheet.

    Attributes:
        cells: what stands there.
        planes: numbers of a person, such as pixels, with their looks.
        validations, highlights, scales: its rules.
    """

    cells: list[GuideCell] = field(default_factory=list)
    planes: list[tuple[Grid, Array, Style]] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)
    highlights: list[Highlight] = field(default_factory=list)
    scales: list[ColourScale] = field(default_factory=list)

    @property
    def formulas(self) -> int:
        """How many cells hold a formula."""
        return sum(bool(cell.formula) for cell in self.cells)


def first_given(guides: Iterable[Guide]) -> dict[str, tuple[Value, ...]]:
    """What the cells of a person hold at first, by name, of all guides of a network."""
    return {name: item.values for guide in guides for name, item in guide.given().items()}


def given_cells(given: Given) -> Iterable[GuideCell]:
    """The cells of a person as any others."""
    for cell, value in zip(given.grid.cells(), given.values, strict=True):
        yield GuideCell(cell, value, style=given.style, across=given.across)


def contents(guides: Sequence[Guide], values: Mapping[str, Array]) -> dict[str, GuideContent]:
    """What a network's guides put where, by worksheet.

    Args:
        guides: of one network.
        values: of its tensors, by full name.
    """
    found: dict[str, GuideContent] = {}

    def of(sheet: str) -> GuideContent:
        return found.setdefault(sheet, GuideContent())

    shown = Shown(values, first_given(guides))
    for guide in guides:
        for item in guide.given().values():
            if item.own and item.is_numbers:
                values_of_grid = np.array(item.values).reshape(item.grid.height, item.grid.width)
                of(item.grid.sheet).planes.append((item.grid, values_of_grid, item.style))
            elif item.own:
                of(item.grid.sheet).cells += given_cells(item)
        for cell in guide.cells(shown):
            of(cell.cell.sheet).cells.append(cell)
        for rule in guide.validations():
            of(rule.area.sheet).validations.append(rule)
        for highlight in guide.highlights():
            of(highlight.areas[0].sheet).highlights.append(highlight)
        for scale in guide.scales():
            of(scale.ranges[0].sheet).scales.append(scale)
    return found

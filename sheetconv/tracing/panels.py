"""Which cells a picture of a trace shows, and where: one panel for each worksheet.

Rows and columns between the planes are left out, so that the planes are large.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cells import Grid
from ..formulas import Role
from .book import Keys, Mask, Positions
from .precedents import Reach
from .regions import Region
from .tracer import Tracer

#: Cells that are drawn of one tensor, of one of weights, and of a worksheet of no network.
MOST_OF_REGION = 8_000
MOST_OF_WEIGHTS = 1_200
MOST_OF_SHEET = 8_000
#: Planes of a tensor that are drawn whether or not they were reached.
_ALL_PLANES = 4
#: Cells left and right of what was reached, where a worksheet has too many to show.
_AROUND = 3
#: Room for rows and columns that are left out, in cells.
_GAP = 1.5


@dataclass(frozen=True, slots=True)
class Axis:
    """The rows or the columns of a panel, those that are shown.

    Attributes:
        numbers: of the rows or columns, sorted.
        offsets: where each begins, in cells from the panel's edge.
        length: of the panel, in cells.
    """

    numbers: Keys
    offsets: NDArray[np.float64]
    length: float

    def at(self, number: int) -> float | None:
        """Where a row or column begins; None if it is not shown."""
        index = int(np.searchsorted(self.numbers, number))
        shown = index < self.numbers.size and self.numbers[index] == number
        return float(self.offsets[index]) if shown else None


def axis_of(numbers: Keys) -> Axis:
    """Rows or columns side by side, with a gap for each break.

    Example:
        >>> axis_of(np.array([3, 4, 9, 4])).offsets.tolist()
        [0.0, 1.0, 3.5]
    """
    unique = np.unique(numbers)
    breaks = np.diff(unique, prepend=unique[:1] - 1) > 1
    offsets = np.arange(unique.size) + _GAP * np.cumsum(breaks)
    return Axis(unique, offsets, float(offsets[-1]) + 1)


@dataclass(frozen=True, slots=True)
class Panel:
    """One worksheet in the picture.

    Attributes:
        sheet: its name.
        rows, columns: which are shown.
        positions: of the cells to draw.
        is_padding: which of them are padding.
        padding: rows and columns of those.
        scale: a number for each cell: those with one number share a colour scale.
        titles: what stands above planes: row and column of the first cell, and the text.
    """

    sheet: str
    rows: Axis
    columns: Axis
    positions: Positions
    is_padding: Mask
    padding: tuple[tuple[int, int], ...]
    scale: Positions
    titles: tuple[tuple[int, int, str], ...]


def panels_of(tracer: Tracer, reach: Reach) -> list[Panel]:
    """The worksheets on which something was reached, the input's first."""
    cells = tracer.cells
    reached = reach.steps >= 0
    drawn: list[Positions] = []
    titles: list[tuple[int, str]] = []
    for index, region in enumerate(tracer.regions):
        own = (tracer.owner == index) & reached
        if own.any():
            positions, all_shown = _shown(tracer, region, own)
            drawn.append(positions)
            if region.role is not None:
                titles.append((int(positions[0]), _title(region, positions, all_shown)))
    loose = np.flatnonzero(reached & (tracer.owner < 0))
    if loose.size:
        drawn.append(_around(tracer, loose, bool(tracer.regions)))
    positions = np.unique(np.concatenate(drawn))
    sheets = cells.places(positions)[0]
    panels = []
    for number in np.unique(sheets).tolist():
        own_positions = positions[sheets == number]
        _, rows, columns = cells.places(own_positions)
        across = axis_of(columns)
        owners = tracer.owner[own_positions]
        is_padding = np.array(
            [owner >= 0 and tracer.regions[owner].role is None for owner in owners.tolist()],
            dtype=np.bool_,
        )
        # Cells of no tensor share the scale of their neighbours across.
        breaks = np.cumsum(np.diff(across.numbers, prepend=across.numbers[:1]) > 1)
        block = breaks[np.searchsorted(across.numbers, columns)]
        panels.append(
            Panel(
                cells.sheets[number],
                axis_of(rows),
                across,
                own_positions,
                is_padding,
                tuple(zip(rows[is_padding].tolist(), columns[is_padding].tolist(), strict=True)),
                np.where(owners >= 0, owners, len(tracer.regions) + block),
                tuple(_titles(tracer, titles, number)),
            )
        )
    return panels


def _titles(
    tracer: Tracer, titles: list[tuple[int, str]], sheet: int
) -> Iterator[tuple[int, int, str]]:
    for position, text in titles:
        on, row, column = (int(part[0]) for part in tracer.cells.places(np.array([position])))
        if on == sheet:
            yield row, column, text


def _title(region: Region, positions: Positions, all_shown: bool) -> str:
    if all_shown:
        return region.label
    size = sum(grid.size for grid in region.grids)
    return f"{region.label}: {positions.size:,} of {size:,}"


def _shown(tracer: Tracer, region: Region, reached: Mask) -> tuple[Positions, bool]:
    """The cells of a region that are drawn, whole planes, and whether they are all that matter."""

    def touched(grid: Grid) -> bool:
        return bool(reached[tracer.cells.of_grids([grid])].any())

    is_weight = region.role is Role.PARAM
    few = len(region.grids) <= _ALL_PLANES and not is_weight
    most = MOST_OF_WEIGHTS if is_weight else MOST_OF_REGION
    own: list[Grid] = []
    count = 0
    for grid in region.grids:
        if not few and not touched(grid):
            continue
        if own and count + grid.size > most:
            return tracer.cells.of_grids(own), False
        own.append(grid)
        count += grid.size
    return tracer.cells.of_grids(own), True


def _around(tracer: Tracer, loose: Positions, has_network: bool) -> Positions:
    """What is drawn of cells of no tensor: all of their worksheet, or those nearby."""
    if has_network:
        return loose[:MOST_OF_REGION]
    sheets, rows, columns = tracer.cells.places(np.arange(tracer.cells.keys.size))
    keep = np.zeros(sheets.size, dtype=np.bool_)
    for sheet in np.unique(sheets[loose]).tolist():
        own = sheets == sheet
        if own.sum() > MOST_OF_SHEET:
            here = loose[sheets[loose] == sheet]
            for numbers in (rows, columns):
                low, high = numbers[here].min() - _AROUND, numbers[here].max() + _AROUND
                own &= (numbers >= low) & (numbers <= high)
        keep |= own & ~np.isnan(tracer.cells.numbers)
    keep[loose] = True
    return np.flatnonzero(keep)

"""The frame around a plane: the cells of its padding, as drawn zeros or as formulas."""

from __future__ import annotations

from .cells import Grid, Range
from .layers.base import Border
from .layout import BorderCells
from .overlaps import grown


def border_cells(grid: Grid, moat: Border) -> list[BorderCells]:
    """The four sides of a plane's padding; the corners belong to top and bottom."""
    bounds, (rows, columns) = grid.bounds, (grid.row_step, grid.column_step)
    outer = grown(grid, moat, past=False)
    height, left = bounds.height, moat.left * columns
    below = bounds.last_row + 1
    sides = [
        Range(grid.sheet, outer.row, outer.column, moat.top * rows, outer.width),
        Range(grid.sheet, bounds.row, outer.column, height, left),
        Range(grid.sheet, bounds.row, bounds.last_column + 1, height, moat.right * columns),
        Range(grid.sheet, below, outer.column, moat.bottom * rows, outer.width),
    ]
    return [BorderCells(side, moat.zeros) for side in sides if side.height and side.width]


def frame_grids(plane: Grid, moat: Border) -> list[Grid]:
    """The up to eight parts of a plane's padding: corners and sides, row by row.

    Each has the steps of the plane, and one rule for the cells that it mirrors.

    Example:
        >>> parts = frame_grids(Grid("s", 5, 5, 3, 4), Border(1, 1, 2, 2))
        >>> [part.bounds.a1 for part in parts][:4]
        ['E4:E5', 'F4:I5', 'J4:J5', 'E6:E8']
    """
    steps = (plane.row_step, plane.column_step)
    rows = [(-moat.top, moat.top), (0, plane.height), (plane.height, moat.bottom)]
    columns = [(-moat.left, moat.left), (0, plane.width), (plane.width, moat.right)]
    return [
        Grid(plane.sheet, plane.row + i * steps[0], plane.column + j * steps[1], h, w, *steps)
        for a, (i, h) in enumerate(rows)
        for b, (j, w) in enumerate(columns)
        if h and w and (a, b) != (1, 1)
    ]

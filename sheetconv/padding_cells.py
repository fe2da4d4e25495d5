"""The cells around a tensor's planes that windows read as padding: zeros, or blank.

They belong to no tensor, and a number typed into one of them changes what every window
that meets it gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .cells import Cell, Grid, Range
from .layers.base import Border
from .overlaps import grown
from .values import CellError, Value
from .xlsx import SheetCell


@dataclass(frozen=True, slots=True)
class Stray:
    """What stands on padding and does not belong there.

    Attributes:
        cell: where.
        value: what it holds; a formula as text.
        is_zero: whether a zero is expected; otherwise the cell has to be blank.
        plane: the number of the plane that the padding surrounds, among the tensor's grids.
        row, column: the place in units of that plane; negative above and left of it.
    """

    cell: Cell
    value: Value
    is_zero: bool
    plane: int
    row: int
    column: int


@dataclass(slots=True)
class Moat:
    """The padding around one plane while the worksheet's rows stream by.

    Attributes:
        grid: the plane.
        plane: its number among the tensor's grids.
        border: what the layer that reads it expects around it.
        strays: where the findings go.
    """

    grid: Grid
    plane: int
    border: Border
    strays: list[Stray]
    first_row: int = field(init=False)
    last_row: int = field(init=False)
    _bounds: Range = field(init=False)
    _padding: Range = field(init=False)
    _columns: Sequence[int] = field(init=False)
    _beside: Sequence[int] = field(init=False)
    _waiting: set[int] = field(init=False)

    def __post_init__(self) -> None:
        area = grown(self.grid, self.border, past=True)
        self._bounds = bounds = self.grid.bounds
        self._padding = padding = grown(self.grid, self.border, past=False)
        self.first_row, self.last_row = area.row, area.last_row
        self._columns = range(area.column, area.last_column + 1)
        self._beside = (
            *range(area.column, bounds.column),
            *range(bounds.last_column + 1, area.last_column + 1),
        )
        # A row that the file leaves out is blank, which differs from zeros that count.
        rows = range(padding.row, padding.last_row + 1) if self.border.counts else ()
        self._waiting = set(rows)

    def take(self, row: int, by_column: Mapping[int, SheetCell]) -> None:
        """Look at the cells of one row of the worksheet."""
        self._waiting.discard(row)
        columns = self._columns
        if self._bounds.row <= row <= self._bounds.last_row:
            columns = self._beside
        padding = self._padding
        is_padding = self.border.zeros and padding.row <= row <= padding.last_row
        for column in columns:
            is_zero = is_padding and padding.column <= column <= padding.last_column
            cell = by_column.get(column)
            if not self._is_right(cell, is_zero):
                self._add(row, column, cell, is_zero)

    def finish(self) -> None:
        """Look at the rows that never came."""
        for row in sorted(self._waiting):
            self.take(row, {})

    def _is_right(self, cell: SheetCell | None, is_zero: bool) -> bool:
        if cell is None or (cell.value is None and cell.formula is None):
            return not (is_zero and self.border.counts)
        if is_zero:
            # What a formula shows may be stale, and may change.
            return cell.formula is None and isinstance(cell.value, float) and cell.value == 0
        # MAX and AVERAGE skip texts and truth values, as they skip blanks.
        return isinstance(cell.value, str | bool) and not isinstance(cell.value, CellError)

    def _add(self, row: int, column: int, cell: SheetCell | None, is_zero: bool) -> None:
        value = cell.value if cell else None
        if cell and cell.formula:
            value = f"={cell.formula}"
        grid = self.grid
        self.strays.append(
            Stray(
                Cell(grid.sheet, row, column),
                value,
                is_zero,
                self.plane,
                (row - grid.row) // grid.row_step,
                (column - grid.column) // grid.column_step,
            )
        )

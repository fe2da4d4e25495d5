"""The table in which a workbook keeps the losses of its live runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ..calculators import OpenBook
from ..cell_training.home import LIVE, LIVE_ROWS, live_table
from ..cell_training.places import Places
from ..cells import Range
from ..values import Value


class Row(NamedTuple):
    """A step, as the table has it: the order of `home.LIVE`."""

    step: float
    loss: float
    lr: float


class History:
    """Steps and their losses, at most as many as the table has rows.

    When it is full, every second row goes, and from then on half as many steps are kept.

    Args:
        rows: what the table holds already.
        most: rows of the table. Default 1,000.

    Example:
        >>> history = History(most=4)
        >>> for step in range(7):
        ...     history.add(step, 1.0, 0.1)
        >>> [int(row.step) for row in history.rows]
        [0, 2, 4, 6]
    """

    def __init__(self, rows: Sequence[Row] = (), most: int = LIVE_ROWS) -> None:
        self.rows = list(rows)
        self._most = most
        # Of so many steps one is kept.
        self._every = min((round(b.step - a.step) for a, b in pairwise(rows)), default=1)
        self._first = list(rows), self._every
        # Rows that the program has filled, and how many of them are as they are here.
        self._filled = self._same = len(self.rows)

    def add(self, step: int, loss: float, lr: float) -> None:
        """Append a step, unless the last one that is kept is too near.

        Rows of that step or later ones, from before weights were reset, go.
        """
        while self.rows and self.rows[-1].step >= step:
            self.rows.pop()
        self._same = min(self._same, len(self.rows))
        if self.rows and step - self.rows[-1].step < self._every:
            return
        if len(self.rows) == self._most:
            del self.rows[1::2]
            self._every *= 2
            self._same = 1
            if step - self.rows[-1].step < self._every:
                return
        self.rows.append(Row(float(step), loss, lr))

    def reset(self) -> None:
        """Back to what the table held at first."""
        rows, self._every = self._first
        self.rows, self._same = list(rows), 0

    def show(self, book: OpenBook, places: Places) -> None:
        """Write what is new into the table of an open workbook."""
        table, first = live_table(places), self._same
        last = max(len(self.rows), self._filled)
        if first == last:
            return
        area = Range(table.sheet, table.row + first, table.column, last - first, table.width)
        rows: list[list[Value]] = [list(row) for row in self.rows[first:]]
        blanks: list[list[Value]] = [[None] * table.width] * (last - len(self.rows))
        book.set_many([area], [[*rows, *blanks]])
        self._filled = self._same = len(self.rows)

    def cells(self, places: Places) -> dict[tuple[int, int], Value]:
        """Every cell of the table: (row, column) -> value, None for a blank."""
        table = live_table(places)
        found: dict[tuple[int, int], Value] = {}
        for number in range(table.height):
            values: Sequence[Value] = (
                self.rows[number] if number < len(self.rows) else [None] * len(LIVE)
            )
            for k, value in enumerate(values):
                found[table.row + number, table.column + k] = value
        return found


def read_history(book: OpenBook, places: Places) -> History:
    """The table of an open workbook, as far as it holds numbers.

    Args:
        book: the workbook.
        places: where everything stands.
    """
    rows: list[Row] = []
    for values in book.get_many([live_table(places)])[0]:
        if not all(isinstance(value, float) for value in values):
            break
        row = Row(*values)  # type: ignore[arg-type]
        if rows and row.step <= rows[-1].step:
            break
        rows.append(row)
    return History(rows)

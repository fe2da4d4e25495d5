"""From cells to the cells that their formulas name, and on: whole waves of cells at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cells import MAX_COLUMNS, MAX_ROWS
from ..references import Area, references
from .book import BookCells, Keys, Mask, Positions

#: Functions that read cells which their formulas do not name.
HIDDEN_READS = frozenset({"OFFSET", "INDIRECT"})

#: Stretches of rows that are looked up at once, for the sake of memory.
_MOST_STRETCHES = 4_000_000


@dataclass(frozen=True, slots=True)
class Reach:
    """What a cell depends on.

    Attributes:
        root: position of the cell.
        steps: of every cell of the workbook, how many steps back it is read first; 0 for the
            root, -1 for cells on which it does not depend.
        crossing: whether a formula is read again after the step at which it was read first,
            without which there is no circle.
    """

    root: int
    steps: NDArray[np.int32]
    crossing: bool


class Precedents:
    """The references of all formulas of a workbook, read when they are first asked for.

    Args:
        cells: the workbook.
        names: what its defined names stand for, in lower case.
    """

    def __init__(self, cells: BookCells, names: Mapping[str, str]) -> None:
        self._cells = cells
        self._names = names
        self._is_formula = cells.is_formula
        self._sheets = {name.lower(): number for number, name in enumerate(cells.sheets)}
        self._lines = np.unique(cells.keys // MAX_COLUMNS)
        count = len(cells.formulas)
        self._first = np.full(count, -1, dtype=np.intp)
        self._count = np.zeros(count, dtype=np.intp)
        # Worksheet, top, left, bottom, right; then for each of the last four 1 if a fill
        # moves it.
        self._areas = np.empty((0, 9), dtype=np.int64)
        #: Formulas that call a function which reads cells that they do not name.
        self.hidden: dict[int, str] = {}

    def read_by(self, positions: Positions) -> Mask:
        """Which cells the formulas of some cells name.

        Args:
            positions: of cells with formulas.
        """
        first, last = self._runs(positions)
        sheets, lines, columns = self._named_by_runs(positions[first], positions[last])
        lines = sheets[:, None] * MAX_ROWS + lines
        # Kernels are named by every unit. (`np.unique` of pairs takes ten times as long.)
        order = np.lexsort((*columns.T, *lines.T))
        lines, columns = lines[order], columns[order]
        new = np.ones(order.size, dtype=np.bool_)
        new[1:] = ((np.diff(lines, axis=0) != 0) | (np.diff(columns, axis=0) != 0)).any(axis=1)
        return np.asarray(self._covering(lines[new], columns[new]) > 0)

    def _named_by_runs(self, first: Positions, last: Positions) -> tuple[Keys, Keys, Keys]:
        """The areas that runs of cells name: worksheets, first and last rows, and columns."""
        _, sheets, corners = self.named_by(first)
        ends = self.named_by(last)[2]
        # What the cells of a run name in turn overlaps or adjoins: together it is one area.
        low, high = np.minimum(corners, ends), np.maximum(corners, ends)
        rows = np.stack((low[:, ::2].min(axis=1), high[:, ::2].max(axis=1)), axis=1)
        columns = np.stack((low[:, 1::2].min(axis=1), high[:, 1::2].max(axis=1)), axis=1)
        return sheets, np.clip(rows, 0, MAX_ROWS - 1), np.clip(columns, 0, MAX_COLUMNS - 1)

    def _runs(self, positions: Positions) -> tuple[Positions, Positions]:
        """The first and last of each run of neighbours in a row that one formula fills."""
        cells = self._cells
        sources, shift = cells.formula[positions], cells.shift[positions]
        goes_on = (np.diff(sources) == 0) & (np.diff(cells.keys[positions]) == 1)
        goes_on &= (np.diff(shift, axis=0) == (0, 1)).all(axis=1)
        breaks = np.flatnonzero(~goes_on)
        last = np.append(breaks, positions.size - 1)
        return np.concatenate(([0], breaks + 1)), last

    def named_by(self, positions: Positions) -> tuple[Positions, Keys, Keys]:
        """The areas that the formulas of some cells name.

        Returns:
            Of each area: the index in `positions` of the cell that names it; the number of its
            worksheet; and its top, left, bottom and right, which a fill may have turned around.
        """
        cells = self._cells
        sources = cells.formula[positions]
        self._parse(sources)
        counts = self._count[sources]
        owners = np.repeat(np.arange(positions.size), counts)
        ordinal = np.arange(owners.size) - np.repeat(np.cumsum(counts) - counts, counts)
        areas = self._areas[self._first[sources][owners] + ordinal]
        shift = cells.shift[positions][owners]
        corners = areas[:, 1:5] + areas[:, 5:9] * np.concatenate((shift, shift), axis=1)
        return owners, areas[:, 0], corners

    def reach(self, root: int, depth: int | None = None) -> Reach:
        """All that a cell depends on.

        Args:
            root: position of a cell with a formula.
            depth: how many steps to go back. Default: all.
        """
        steps = np.full(self._cells.keys.size, -1, dtype=np.int32)
        steps[root] = 0
        wave = np.array([root], dtype=np.intp)
        step, crossing = 0, False
        while wave.size and step != depth:
            step += 1
            hit = self.read_by(wave)
            known = steps >= 0
            crossing = crossing or bool((hit & known & self._is_formula).any())
            hit &= ~known
            steps[hit] = step
            wave = np.flatnonzero(hit & self._is_formula)
        return Reach(root, steps, crossing)

    def circle(self, reach: Reach) -> list[int]:
        """The positions of some cells that depend on each other in a circle, or none.

        Cells that no other reads are left out again and again; what remains is read by
        itself.
        """
        if not reach.crossing:
            return []
        left = self._without_unread_runs((reach.steps >= 0) & self._is_formula)
        while left.any():
            inner = left & self.read_by(np.flatnonzero(left))
            if inner.sum() == left.sum():
                return self._walk(left)
            left = inner
        return []

    def _without_unread_runs(self, cells: Mask) -> Mask:
        """Some cells without those runs of them that no other reads, left out again and again.

        Each run is looked at when it is left out, and not once for each step of a long chain. Runs
        that read each other may stay, though none of their cells depends on itself.
        """
        positions = np.flatnonzero(cells)
        first, last = self._runs(positions)
        readers = self._readers(positions[first], positions[last])
        there = np.ones(first.size, dtype=np.bool_)
        while there.any():
            read = np.add.reduceat(readers[positions] > 0, first, dtype=np.intp) > 0
            unread = np.flatnonzero(there & ~read)
            if not unread.size:
                break
            there[unread] = False
            readers -= self._readers(positions[first[unread]], positions[last[unread]])
        left = np.zeros(cells.size, dtype=np.bool_)
        left[positions[np.repeat(there, last - first + 1)]] = True
        return left

    def _readers(self, first: Positions, last: Positions) -> Positions:
        """How many areas that runs of cells name cover each cell."""
        sheets, rows, columns = self._named_by_runs(first, last)
        return self._covering(sheets[:, None] * MAX_ROWS + rows, columns)

    def _walk(self, among: Mask) -> list[int]:
        """One circle, by depth first search."""
        done: set[int] = set()
        for start in np.flatnonzero(among).tolist():
            path = [start]
            waiting = [self._next(start, among)]
            while path:
                if not waiting[-1]:
                    done.add(path.pop())
                    waiting.pop()
                    continue
                position = waiting[-1].pop()
                if position in path:
                    return path[path.index(position) :]
                if position not in done:
                    path.append(position)
                    waiting.append(self._next(position, among))
        return []

    def _next(self, position: int, among: Mask) -> list[int]:
        found: list[int] = np.flatnonzero(self.read_by(np.array([position])) & among).tolist()
        return found

    def _parse(self, sources: Positions) -> None:
        """Read the references of formulas that were not asked for before."""
        fresh: list[tuple[int, ...]] = []
        known = len(self._areas)
        for source in np.unique(sources[self._first[sources] < 0]).tolist():
            own = self._cells.formulas[source]
            found = references(own.text, self._cells.sheets[own.sheet])
            if hidden := sorted(found.functions & HIDDEN_READS):
                self.hidden[source] = hidden[0]
            areas = {row for area in found.areas if (row := self._row(area, fixed=False))}
            areas |= self._named(found.names, set())
            self._first[source] = known + len(fresh)
            self._count[source] = len(areas)
            fresh += areas
        if fresh:
            self._areas = np.concatenate((self._areas, np.array(fresh, dtype=np.int64)))

    def _named(self, names: list[str], seen: set[str]) -> set[tuple[int, ...]]:
        """The areas of defined names, through the names that they use."""
        areas: set[tuple[int, ...]] = set()
        for name in names:
            if name in self._names and name not in seen:
                seen.add(name)
                found = references(self._names[name], "")
                areas |= {row for area in found.areas if (row := self._row(area, fixed=True))}
                areas |= self._named(found.names, seen)
        return areas

    def _row(self, area: Area, *, fixed: bool) -> tuple[int, ...] | None:
        """A row of the table of areas; None for a worksheet that is not there."""
        sheet = self._sheets.get(area.sheet.lower())
        moves = (0, 0, 0, 0) if fixed else tuple(map(int, area.moves))
        return None if sheet is None else (sheet, *area[1:5], *moves)

    def _covering(self, lines: Keys, columns: Keys) -> Positions:
        """How many of some areas each cell lies in, given their first and last line and column."""
        begin = np.searchsorted(self._lines, lines[:, 0], "left")
        counts = np.searchsorted(self._lines, lines[:, 1], "right") - begin
        keys = self._cells.keys
        balance = np.zeros(keys.size + 1, dtype=np.int64)
        total = np.cumsum(counts)
        first = 0
        while first < counts.size:
            before = total[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(total, before + _MOST_STRETCHES, "right")))
            part = slice(first, last)
            owners = np.repeat(np.arange(first, last), counts[part])
            ordinal = np.arange(owners.size) - (total[owners] - counts[owners] - before)
            starts = self._lines[begin[owners] + ordinal] * MAX_COLUMNS
            left = np.searchsorted(keys, starts + columns[owners, 0], "left")
            right = np.searchsorted(keys, starts + columns[owners, 1], "right")
            balance += np.bincount(left, minlength=balance.size)
            balance -= np.bincount(right, minlength=balance.size)
            first = last
        return np.cumsum(balance[:-1])

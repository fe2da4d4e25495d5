"""Tracing the cells of one workbook: it is read once, for as many cells as are asked for."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from .. import description
from ..cells import Cell, Grid
from ..errors import LayoutError, TraceError
from ..formulas import Role
from ..tensor_cells import read_descriptions
from ..values import Value
from ..xlsx import check_package, defined_names, sheet_parts, sheet_states
from .asking import asked_cell, shown
from .book import Mask, Positions, read_book, rectangles
from .precedents import Precedents, Reach
from .regions import Region, regions_of
from .result import Reads, Trace

#: Steps that cells of no network are told apart by.
MOST_STEPS = 30


class Tracer:
    """A workbook whose cells can be traced.

    Args:
        path: the .xlsx file; of sheetconv or not.

    Raises:
        WorkbookError: the file cannot be read as a workbook.
        CheckError: sheetconv made it, and its description is damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        check_package(path)
        states = sheet_states(path)
        made_here = description.SHEET in sheet_parts(path)
        described = read_descriptions(self.path) if made_here else []
        #: Padding and tensors; later ones count where they share cells.
        self.regions = [region for item in described for region in regions_of(item)]
        self.cells = read_book(path, [grid for region in self.regions for grid in region.grids])
        self.precedents = Precedents(self.cells, defined_names(path))
        #: The index of each cell's region, -1 for none, and its flat index there.
        self.owner = np.full(self.cells.keys.size, -1, dtype=np.intp)
        self.unit = np.zeros(self.cells.keys.size, dtype=np.intp)
        for index, region in enumerate(self.regions):
            positions = self.cells.of_grids(region.grids)
            self.owner[positions] = index
            self.unit[positions] = np.arange(positions.size)
        drawn = {name for item in described for name in item.layout.worksheets}
        self._visible = [
            name
            for name in self.cells.sheets
            if states[name] == "visible" and (name in drawn or not drawn)
        ]

    def trace(self, cell: str | Cell, depth: int | None = None) -> Trace:
        """The precedents of a cell: see `sheetconv.trace`."""
        found, reach = self.reach(cell, depth)
        region = self.region(reach.root)
        hidden = {
            self.precedents.hidden[source]
            for source in np.unique(self.cells.formula[reach.steps >= 0]).tolist()
            if source in self.precedents.hidden
        }
        return Trace(
            found,
            region.unit(int(self.unit[reach.root])) if region else "",
            self.cells.value(reach.root),
            self.formula(reach.root),
            self._tree(reach),
            self._pixels(reach),
            tuple(
                f"{name} reads cells that its formula does not name: they are missing here"
                for name in sorted(hidden)
            ),
            depth,
        )

    def reach(self, cell: str | Cell, depth: int | None = None) -> tuple[Cell, Reach]:
        """The cell that is meant, and which cells it depends on.

        Raises:
            TraceError: there is no such cell, it holds no formula, or depends on itself.
        """
        found = asked_cell(str(cell), self.cells.sheets, self._visible, str(self.path))
        root = self.cells.find(found)
        if root is None or self.cells.formula[root] < 0:
            raise TraceError(f"{self.path}: {self._no_formula(found, root)}")
        reach = self.precedents.reach(root, depth)
        if circle := self.precedents.circle(reach):
            names = [str(self.cells.cell(position)) for position in [*circle[:4], circle[0]]]
            more = f" -> ... ({len(circle) - 4:,} more)" if len(circle) > 4 else ""
            raise TraceError(
                f"{self.path}: {found} depends on a circular reference, "
                f"{' -> '.join(names[:-1])}{more} -> {names[-1]}: change one of these formulas"
            )
        return found, reach

    def pixels(self, cell: str | Cell, depth: int | None = None) -> Mask | None:
        """Only the pixels of `trace`, at a fraction of its cost.

        Raises:
            TraceError: as `reach`.
        """
        return self._pixels(self.reach(cell, depth)[1])

    def region(self, position: int) -> Region | None:
        """What a cell is part of."""
        owner = int(self.owner[position])
        return self.regions[owner] if owner >= 0 else None

    def formula(self, position: int) -> str:
        """The text of a cell's formula, as its spreadsheet program shows it."""
        source = self.cells.formulas[self.cells.formula[position]]
        text = f"={source.text}"
        if self.cells.shift[position].any():
            text = _filled(text, Cell("", source.row, source.column), self.cells.cell(position))
        return f"{{{text}}}" if source.array else text

    def _no_formula(self, cell: Cell, position: int | None) -> str:
        value: Value = None if position is None else self.cells.value(position)
        region = None if position is None else self.region(position)
        if value is None:
            said = f"{cell} is an empty cell"
        elif isinstance(value, float):
            said = f"{cell} holds {shown(value)}, a number and no formula"
        else:
            said = f"{cell} holds {shown(value)} and no formula"
        if region is None or position is None:
            example = self._example(cell.sheet)
            return f"{said}: trace a cell with a formula{f', such as {example}' if example else ''}"
        what = region.unit(int(self.unit[position])) if region.role else region.label
        readers = [other for other in self.regions if self._is_output(other, region)]
        if not readers:
            return f"{said}; it is {what}: trace a cell with a formula"
        return (
            f"{said}; it is {what}, which {region.reader} reads: trace a cell of "
            f"{region.reader}, such as {readers[0].grids[0].cell(0, 0)}"
        )

    @staticmethod
    def _is_output(other: Region, read: Region) -> bool:
        return (
            other.network == read.network
            and other.label == read.reader
            and other.role is Role.OUTPUT
        )

    def _example(self, sheet: str) -> str:
        """A formula of a worksheet, of the last layer where there is one."""
        for region in reversed(self.regions):
            if region.role is Role.OUTPUT and region.grids[0].sheet == sheet:
                return str(region.grids[0].cell(0, 0))
        number = self.cells.sheets.index(sheet)
        on_sheet = self.cells.places(np.arange(self.cells.keys.size))[0] == number
        positions = np.flatnonzero(on_sheet & self.cells.is_formula)
        return str(self.cells.cell(int(positions[-1]))) if positions.size else ""

    def _pixels(self, reach: Reach) -> Mask | None:
        """Which pixels of the network's input were reached."""
        root = self.region(reach.root)
        for index, region in enumerate(self.regions):
            if root and region.name == "input" and region.network == root.network:
                return self._mask(index, np.flatnonzero(reach.steps > 0))
        return None

    def _mask(self, index: int, positions: Positions) -> Mask:
        """Which units of a region some cells are, in its shape."""
        region = self.regions[index]
        mask = np.zeros(region.shape, dtype=np.bool_)
        mask.reshape(-1)[self.unit[positions[self.owner[positions] == index]]] = True
        return mask

    def _groups(self, reach: Reach) -> tuple[Positions, Positions]:
        """The cells that were reached, and the number of the group that each belongs to.

        Cells of one region are a group. Others belong together where they are on one
        worksheet, are read at one step (the last ones at any), and are all formulas or none.
        """
        positions = np.flatnonzero(reach.steps > 0)
        owners = self.owner[positions]
        sheets = self.cells.places(positions)[0]
        kind = self.cells.is_formula[positions].astype(np.intp)
        steps = np.minimum(reach.steps[positions], MOST_STEPS).astype(np.intp)
        loose = (steps * len(self.cells.sheets) + sheets) * 2 + kind
        return positions, np.where(owners >= 0, owners, len(self.regions) + loose)

    def _tree(self, reach: Reach) -> tuple[Reads, ...]:
        positions, groups = self._groups(reach)
        members = {int(group): positions[groups == group] for group in np.unique(groups)}
        first = {group: int(reach.steps[own].min()) for group, own in members.items()}
        group_of = np.full(self.cells.keys.size, -1, dtype=np.intp)
        group_of[positions] = groups
        children: dict[int, list[int]] = {-1: []}
        placed: list[int] = []
        parents = {-1: np.array([reach.root])}
        step = 0
        while parents:
            step += 1
            # What the last layers read comes first, so that a tensor stands below the layer
            # that reads it.
            for parent in sorted(parents, reverse=True):
                hit = np.unique(group_of[self.precedents.read_by(parents[parent])])
                for group in hit.tolist():
                    if group >= 0 and group not in placed and first[group] == step:
                        placed.append(group)
                        children.setdefault(parent, []).append(group)
            parents = {}
            for group, own in members.items():
                here = own[(reach.steps[own] == step) & self.cells.is_formula[own]]
                if here.size:
                    parents[group] = here

        def order(group: int) -> tuple[bool, bool, int]:
            is_input = group < len(self.regions) and self.regions[group].name == "input"
            return group in children, is_input, group

        # From the far end, so that a long chain needs no deep recursion.
        built: dict[int, Reads] = {}
        for parent in [*reversed(placed), -1]:
            own = sorted(children.get(parent, ()), key=order)
            reads = tuple(built.pop(group) for group in own)
            if parent == -1:
                return reads
            built[parent] = self._reads(parent, members[parent], first[parent], reads)
        raise AssertionError

    def _reads(
        self, group: int, positions: Positions, step: int, reads: tuple[Reads, ...]
    ) -> Reads:
        numbers = self.cells.numbers[positions]
        others = int(np.isnan(numbers).sum())
        mask = None
        if group < len(self.regions):
            region = self.regions[group]
            name, label = region.name, region.label
            positions = positions[np.argsort(self.unit[positions], kind="stable")]
            numbers = self.cells.numbers[positions]
            if region.role is None:
                areas = self._areas(np.sort(positions))
            else:
                areas = _areas_of_region(region, self.unit[positions])
                mask = self._mask(group, positions)
        else:
            if self.cells.is_formula[positions[0]]:
                name = "formulas"
            else:
                name = "constants" if others else "numbers"
            label = f"{name} further back" if step >= MOST_STEPS else name
            areas = self._areas(positions)
        kept = numbers[~np.isnan(numbers)]
        return Reads(name, label, step, areas, positions.size, kept, others, mask, reads)

    def _areas(self, positions: Positions) -> tuple[Grid, ...]:
        """Cells of one worksheet as few rectangles."""
        sheets, rows, columns = self.cells.places(positions)
        sheet = self.cells.sheets[int(sheets[0])]
        return tuple(Grid(sheet, *item) for item in rectangles(rows, columns))


def _areas_of_region(region: Region, units: Positions) -> tuple[Grid, ...]:
    """Units of a region as few areas: rectangles of units, with the grid's steps."""
    areas: list[Grid] = []
    start = 0
    for grid in region.grids:
        first, last = np.searchsorted(units, (start, start + grid.size))
        if first < last:
            rows, columns = np.divmod(units[first:last] - start, grid.width)
            areas += (
                Grid(
                    grid.sheet,
                    grid.row + row * grid.row_step,
                    grid.column + column * grid.column_step,
                    height,
                    width,
                    grid.row_step,
                    grid.column_step,
                )
                for row, column, height, width in rectangles(rows, columns)
            )
        start += grid.size
    return tuple(areas)


def _filled(text: str, origin: Cell, target: Cell) -> str:
    """A formula as a fill moves it."""
    # openpyxl takes a third of a second to import, and only fills need it.
    from openpyxl.formula.tokenizer import TokenizerError
    from openpyxl.formula.translate import Translator, TranslatorError

    try:
        return str(Translator(text, origin.a1).translate_formula(target.a1))
    except (TokenizerError, TranslatorError, LayoutError):
        return f"{text} (filled from {origin.a1})"

"""Defined names: every tensor of a network by its own, in the Name Box and in formulas."""

from __future__ import annotations

from collections.abc import Sequence

from .cells import Range, quote_sheet
from .guides import Guide
from .layout import Layout


def defined_names(layout: Layout) -> dict[str, Range]:
    """A name for each tensor, and the cells from its first to its last.

    What lies between planes is inside: labels, which a sum passes over.

    Example:
        >>> from sheetconv import Conv2d, Sequential
        >>> from sheetconv.arranging import lay_out
        >>> names = defined_names(lay_out(Sequential(Conv2d(1, 1, 3)), (1, 5, 5)))
        >>> {name: area.a1 for name, area in names.items()}
        {'input': 'B4:F8', 'conv1_weight': 'I5:K7', 'conv1_bias': 'I10', 'conv1_out': 'N4:P6'}
    """
    names: dict[str, Range] = {}
    seen: set[str] = set()
    for full, placed in layout.placed.items():
        name = full.replace(".", "_")
        # Excel tells no capital letters from small ones, as layers' names do.
        while name.lower() in seen:
            name += "_"
        seen.add(name.lower())
        bounds = [grid.bounds for grid in placed.grids]
        top, left = min(area.row for area in bounds), min(area.column for area in bounds)
        names[name] = Range(
            bounds[0].sheet,
            top,
            left,
            max(area.last_row for area in bounds) - top + 1,
            max(area.last_column for area in bounds) - left + 1,
        )
    return names


def name_entries(networks: Sequence[tuple[Layout, Sequence[Guide]]]) -> list[tuple[str, str]]:
    """The names of a workbook as XlsxWriter takes them: name and reference.

    Those of several networks would meet: each is then known on its own worksheet only, and
    those that guides use on each of the network's worksheets.
    """
    entries = []
    for layout, guides in networks:
        scoped: list[tuple[str, Range, tuple[str, ...]]] = []
        scoped += [(name, area, (area.sheet,)) for name, area in defined_names(layout).items()]
        scoped += [
            (name, area, layout.worksheets)
            for guide in guides
            for name, area in guide.names().items()
        ]
        for name, area, sheets in scoped:
            reference = f"={quote_sheet(area.sheet)}!{area.absolute}"
            if len(networks) == 1:
                entries.append((name, reference))
                continue
            # XlsxWriter takes off the quotes of the scope, and no doubled ones within.
            entries += [(f"'{sheet}'!{name}", reference) for sheet in sheets]
    return entries

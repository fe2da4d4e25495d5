"""One score by its number: INDEX through the planes on which the scores of an image stand.

It owns the arithmetic from a unit's number, which a cell holds, to its row and column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...cells import Grid
from ...formulas import View


def unit_numbered(view: View, grids: Sequence[Grid], number: str) -> str:
    """The expression of the unit whose number stands in a cell.

    One INDEX where there is one plane, or several alike at equal distances, one below the
    other; else a sum in which all units but one count nothing.

    Args:
        view: the worksheet.
        grids: the planes, through which the units run one by one.
        number: the reference to the number, from 0.

    Example:
        >>> from sheetconv.formulas import Placed, Role
        >>> planes = [Grid("s", row, 7, 2, 3) for row in (3, 8)]
        >>> view = View("s", Placed((12,), Role.OUTPUT, tuple(planes)), {})
        >>> unit_numbered(view, planes, "$B$1")
        'INDEX(H4:J10,INT($B$1/6)*5+INT(MOD($B$1,6)/3)+1,MOD($B$1,3)+1)'
        >>> unit_numbered(view, [planes[0].unit(4), planes[1].unit(0)], "$B$1")
        '(($B$1=0)*I5+($B$1=1)*H9)'
    """
    first, planes = grids[0], len(grids)
    distance = grids[1].row - first.row if planes > 1 else 0
    alike = [replace(first, row=first.row + plane * distance) for plane in range(planes)]
    if planes == first.size == 1:
        return view.relative(first)
    if distance < 0 or list(grids) != alike:
        units = [view.relative(grid.unit(k)) for grid in grids for k in range(grid.size)]
        return f"({'+'.join(f'({number}={k})*{unit}' for k, unit in enumerate(units))})"
    down, across, within = [], [], number
    if planes > 1:
        down.append(_times(_quotient(number, first.size), distance))
        within = f"MOD({number},{first.size})"
    if first.height > 1:
        down.append(_times(_quotient(within, first.width), first.row_step))
        within = f"MOD({number},{first.width})"
    if first.width > 1:
        across.append(_times(within, first.column_step))
    area = replace(first.bounds, height=alike[-1].bounds.last_row - first.row + 1)
    place = ",".join("+".join([*terms, "1"]) for terms in (down, across) if terms or terms is down)
    return f"INDEX({view.prefix(area.sheet)}{area.a1},{place})"


def _quotient(number: str, size: int) -> str:
    return number if size == 1 else f"INT({number}/{size})"


def _times(number: str, factor: int) -> str:
    return number if factor == 1 else f"{number}*{factor}"

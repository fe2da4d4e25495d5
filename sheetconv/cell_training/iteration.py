"""A workbook that trains by itself: one drawn step that recalculations repeat.

Its registers refer to themselves, and so do its counters: circular references that are meant,
and that a program calculates only where iterations are switched on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..formulas import CellFormulas, Formula, Placed, View, formula_text
from ..guides.base import Validation, ref
from ..references import references
from .places import Places
from .registers import BEFORE_END, LARGEST_CHANGE, LAST, SWITCHES, least_period, registers_of


def register_formulas(
    places: Places, placed: Mapping[str, Placed]
) -> Iterator[tuple[str, CellFormulas]]:
    """The formulas of counters and registers, with the full names of their tensors.

    Args:
        places: where everything stands.
        placed: the cells of the step.
    """
    sheet = places.names.steps
    at = {name: ref(where.grids[0].cell(0, 0), sheet) for name, where in placed.items()}
    run, reset, period, tick, phase = (
        at[name] for name in ("run", "reset", "period", "tick", "phase")
    )
    # What adds nothing ties the counters to the step: a program that takes circles one by one
    # would turn them at another rate.
    tied = f"+0*{at['loss']}"
    yield _single(placed, "tick", f"IF({reset}=1,0,{tick}+IF({run}=1,1,0)){tied}")
    yield _single(placed, "phase", f"MOD({tick},{period}){tied}")
    begins = f"{phase}>={period}-{BEFORE_END}"
    taking = f"AND({run}=1,{begins},{phase}<={period}-{BEFORE_END - LAST})"
    changing = f"AND({run}=1,{phase}<={LAST})"
    for item in registers_of(places.training):
        for own, when, source in (
            (item.shadow, taking, item.next),
            (item.state, changing, item.shadow),
        ):
            start = 0
            for k, grid in enumerate(placed[own].grids):
                view = View(sheet, placed[own], {})
                itself = view.window(grid)
                begin = view.window(placed[item.start].grids[k])
                follows: Formula = (
                    (view.window(placed[source].grids[k]),)
                    if source
                    else (view.window(placed[item.state].grids[k]), "+1")
                )
                head = (f"IF({reset}=1,", begin, f",IF({when},")
                formula: Formula = (*head, *follows, ",", itself, "))")
                yield own, CellFormulas(own, start, grid, formula)
                start += grid.size


def _single(placed: Mapping[str, Placed], name: str, text: str) -> tuple[str, CellFormulas]:
    return name, CellFormulas(name, 0, placed[name].grids[0], (text,))


def period_of(places: Places, formulas: Iterator[tuple[str, CellFormulas]]) -> int:
    """How many recalculations take one step, in whatever order a program calculates.

    Args:
        places: where everything stands.
        formulas: those of the step, its registers among them.
    """
    placed, sheet = places.step(0), places.names.steps
    owner = {
        (cell.row, cell.column): name
        for name, where in placed.items()
        for grid in where.grids
        for cell in grid.cells()
    }
    registers = registers_of(places.training)
    kept = {name for item in registers for name in (item.state, item.shadow)}
    kept |= {"tick", "phase"}
    reads: dict[str, set[str]] = {}
    for name, item in formulas:
        if name in kept:
            continue
        # A fill reads the same tensors everywhere, if not their padding.
        for text in {
            formula_text(item.formula),
            formula_text(item.formula, item.grid.height - 1, item.grid.width - 1),
        }:
            for area in references(text, sheet).areas:
                if area.sheet == sheet:
                    reads.setdefault(name, set()).update(
                        owner[cell]
                        for cell in _cells(area.top, area.left, area.bottom, area.right)
                        if cell in owner
                    )
    return least_period(_longest(reads))


def _cells(top: int, left: int, bottom: int, right: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(top, bottom + 1) for j in range(left, right + 1))


def _longest(reads: Mapping[str, set[str]]) -> int:
    """The length of the longest chain of names that read one another."""
    depths: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in reads:
            return 0
        if name not in depths:
            depths[name] = 1 + max(map(depth, reads[name]), default=0)
        return depths[name]

    return max(map(depth, reads))


def switch_rules(places: Places) -> list[Validation]:
    """What may be typed into Run and Reset.

    Args:
        places: where they stand.
    """
    message = "Type 1 or 0."
    return [
        Validation(places.step(0)[name].grids[0].bounds, "whole", message, limits=(0, 1))
        for name in SWITCHES
    ]


def notes(period: int) -> list[str]:
    """What a person must know, line by line.

    Args:
        period: recalculations of a step.
    """
    taken = period - BEFORE_END
    return [
        "Type 1 into Run, and recalculate: in LibreOffice with Ctrl+Shift+F9, in Excel with F9 or "
        f"Ctrl+Alt+F9. Each time tick counts one on, and {period} times are one training step.",
        "Run 0 stops where it is. Reset 1 brings back the start, until it is 0 again. Settings may "
        f"be changed in the phases 0 to {LAST}: later, the step under way may mix old and new.",
        f"A shadow takes the new weight in phase {taken}, and the weight takes its shadow in phase "
        f"0. From phase {taken} to {period - 1} weights, loss and gradients belong together; "
        "before, some cells may still show the step before.",
        "These cells refer to themselves on purpose, which the file switches on: iterations, 1 of "
        f"them, minimum change {LARGEST_CHANGE:.0f}. In LibreOffice that is Tools, Options, Calc, "
        "Calculate; in Excel, File, Options, Formulas: open this workbook there before any other.",
        "Tried with LibreOffice 7.4, where F9 alone does nothing. Never tried with Excel.",
    ]

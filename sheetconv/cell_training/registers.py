"""What a training that repeats its one step keeps: registers, and the cells that drive them.

A number that goes from step to step stands in two registers. The *shadow* takes the next value
when everything before it has settled; a little later the *state*, from which the step computes,
takes what the shadow holds. No cell ever reads a mixture of old weights and new ones, in whatever
order a program calculates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..layers.base import Array
from .program import CellTraining

#: LibreOffice gives up where a number changes by more in one recalculation.
LARGEST_CHANGE = 1e9
#: The cells that drive the registers, from the top: name -> label.
CONTROLS = {"run": "Run", "reset": "Reset", "period": "K", "tick": "tick", "phase": "phase"}
#: Those of them that a person changes.
SWITCHES = ("run", "reset")
# A register that is calculated before `phase`, and that before `tick`, sees a phase two
# recalculations late; and the next one at once, where the order changes. So a register takes its
# number in each of three phases, which it cannot all miss.
#: States take their shadows in the phases from 0 to this one.
LAST = 2
#: Shadows take the next values in as many, from this phase on, counted back from the end: two
#: recalculations late they still are done before any state changes.
BEFORE_END = 5
# All states have changed in recalculation 2 of a step. Then what follows from them settles, one
# cell a recalculation, and is read in the one after at the latest: BEFORE_END before the end.
_SPARE = 8


@dataclass(frozen=True, slots=True)
class Register:
    """The names of the tensors in which one number, or many, go from step to step.

    Attributes:
        state: from which a step computes.
        start: what it is at first.
        shadow: holds the next value until all states change.
        next: where the step makes it; empty for the number of the step.
    """

    state: str
    start: str
    shadow: str
    next: str


def registers_of(training: CellTraining) -> list[Register]:
    """The step's number, every weight, and whatever the optimiser keeps of it.

    Args:
        training: what is trained.
    """
    found = [Register("number", "first", "following", "")]
    for layer, key in training.learned:
        full = f"{layer}.{key}"
        found.append(Register(full, f"{full}.start", f"{full}.shadow", f"{full}.new"))
        for name in training.optimiser.kept:
            own = f"{full}.{name}"
            found.append(Register(f"{own}.was", f"{own}.start", f"{own}.shadow", own))
    return found


def given_controls(training: CellTraining) -> list[str]:
    """The names of the numbers that stand beside registers: switches, K, and every start."""
    return [*SWITCHES, "period", *(item.start for item in registers_of(training))]


def least_period(depth: int) -> int:
    """How many recalculations a step takes at least.

    Args:
        depth: cells, one after the other, from a state to the next value of another.

    Example:
        >>> least_period(18)
        26
    """
    return depth + _SPARE


def is_settled(tick: float, period: float) -> bool:
    """Whether every cell of a step has followed its states, in whatever order is calculated.

    Args:
        tick: recalculations so far.
        period: those of a step.

    Example:
        >>> [is_settled(tick, 26) for tick in (0, 20, 21, 25, 26)]
        [True, False, True, True, False]
    """
    return tick == 0 or tick % period >= period - BEFORE_END


def values_at_start(
    training: CellTraining, values: Mapping[str, Array], period: int
) -> dict[str, Array]:
    """What registers and controls hold before the first recalculation.

    Args:
        training: what is trained.
        values: the numbers of the first step.
        period: recalculations of a step.
    """
    found = {name: np.array(0.0) for name in CONTROLS} | {"period": np.array(float(period))}
    for item in registers_of(training):
        found |= {item.start: values[item.state], item.shadow: values[item.state]}
    return found


def values_shown(training: CellTraining, shown: Mapping[str, Array]) -> dict[str, Array]:
    """What counters and registers should hold, as far as one look at them tells.

    How often was recalculated nobody knows. But nothing has moved at tick 0, a shadow holds either
    its state or the next value, and the phase follows from the tick.

    Args:
        training: what is trained.
        shown: what the cells of the step show, by the names of their tensors.
    """
    tick = shown["tick"]
    found = {name: shown[name] for name in [*given_controls(training), "tick"]}
    found["phase"] = np.mod(tick, shown["period"])
    for item in registers_of(training):
        state = shown[item.start] if tick == 0 else shown[item.state]
        following = shown[item.next] if item.next else state + 1
        shadow = shown[item.shadow]
        taken = tick > 0 and np.abs(shadow - following).sum() < np.abs(shadow - state).sum()
        found |= {item.state: state, item.shadow: following if taken else state}
    return found

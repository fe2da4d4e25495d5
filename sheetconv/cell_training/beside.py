"""Which worksheets stand beside the steps, and which cells of these are a person's numbers."""

from __future__ import annotations

from .gradient_check import GradientCheck
from .line import Line
from .panels import Panel
from .places import Places
from .program import CellTraining
from .registers import given_controls


def panels_of(places: Places) -> list[Panel]:
    """The worksheets beside the steps.

    Args:
        places: where the steps stand.
    """
    if places.training.iterate:
        # Every recalculation would calculate them, too.
        return []
    found: list[Panel] = [GradientCheck(places)] if GradientCheck.fits(places) else []
    return [*found, Line(places)]


def given_tensors(training: CellTraining) -> list[str]:
    """Tensors of the first step that are numbers: its number, weights, and settings."""
    if training.iterate:
        return [*given_controls(training), *setting_tensors(training)]
    learned = [f"{layer}.{key}" for layer, key in training.learned]
    kept = [f"{full}.{name}.was" for full in learned for name in training.optimiser.kept]
    return ["number", *learned, *kept, *setting_tensors(training)]


def setting_tensors(training: CellTraining) -> list[str]:
    """Those of them that no step changes: buffers and settings of layers."""
    return list(training.fixed)

"""The cell-by-cell check of a workbook against the NumPy engine."""

from .comparing import POISON
from .recalculation import PROBES, check
from .results import NUMBERS, CheckResult, LayerResult, TensorResult, WrongCell

__all__ = [
    "NUMBERS",
    "POISON",
    "PROBES",
    "CheckResult",
    "LayerResult",
    "TensorResult",
    "WrongCell",
    "check",
]

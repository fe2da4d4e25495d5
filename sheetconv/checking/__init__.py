"""The cell-by-cell check of a workbook against the NumPy engine."""

from .comparing import POISON
from .recalculation import check
from .results import NUMBERS, CheckResult, LayerResult, TensorResult, WrongCell

__all__ = [
    "NUMBERS",
    "POISON",
    "CheckResult",
    "LayerResult",
    "TensorResult",
    "WrongCell",
    "check",
]

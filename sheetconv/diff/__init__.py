"""Two workbooks compared by sheet and cell: the proof that one reproduces the other."""

from .comparison import diff
from .report import Difference, WorkbookDiff

__all__ = ["Difference", "WorkbookDiff", "diff"]

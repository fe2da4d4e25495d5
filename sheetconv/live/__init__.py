"""Training steps that the real program takes, one recalculation each, while a person watches.

The workbook is one of `sheetconv.cell_training`; a live step copies the weights that its first
step made onto those with which it began, and lets the program recalculate.
"""

from .loop import LiveResult, run_live

__all__ = ["LiveResult", "run_live"]

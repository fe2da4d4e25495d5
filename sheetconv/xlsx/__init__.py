"""The .xlsx file as it lies on disk: is it safe and whole, which sheets, which cells.

It reads cells as a stream, without a model of the workbook, so that a million cells cost
seconds and no memory. It knows nothing of networks.
"""

from .archive import check_package, check_parts, defined_names, sheet_parts, sheet_states
from .poisoning import poison
from .reading import read_cells
from .sheet_cells import SheetCell

__all__ = [
    "SheetCell",
    "check_package",
    "check_parts",
    "defined_names",
    "poison",
    "read_cells",
    "sheet_parts",
    "sheet_states",
]

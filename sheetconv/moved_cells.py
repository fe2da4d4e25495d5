"""Whether a person moved the cells of a network away from where they were built."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .tensor_cells import TensorCells

#: What to ask then.
QUESTION = "were rows or columns inserted or deleted, or blocks moved? Undo that"

# A few typed-over cells in a workbook of rewritten formulas are no sign of it.
_FEWEST = 4


def look_moved(tensors: Mapping[str, TensorCells]) -> bool:
    """Whether the cells of a network seem to stand elsewhere than they were built.

    Then most formulas are not those that belong there, and at the edges of the blocks
    blanks, texts and numbers stand for formulas, and texts for numbers.
    """
    cells = other_kind = changed = 0
    for tensor in tensors.values():
        if tensor.placed.role.is_formula:
            cells += tensor.placed.size
            other_kind += int(np.count_nonzero(~tensor.is_formula))
            changed += len(tensor.changed)
        else:
            other_kind += sum(isinstance(value, str) for value in tensor.odd.values())
    return other_kind >= _FEWEST and 2 * (other_kind + changed) > cells

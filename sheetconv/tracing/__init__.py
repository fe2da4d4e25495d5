"""Trace Precedents for a whole network: which cells a cell depends on, down to the pixels.

Everything is read from the formulas as they stand in the file, and nothing from the geometry
of the layers; the workbook's description only says what the cells are called.
"""

from __future__ import annotations

from pathlib import Path

from ..cells import Cell
from .result import Reads, Trace
from .tracer import Tracer

__all__ = ["Reads", "Trace", "Tracer", "trace"]


def trace(path: str | Path, cell: str | Cell, depth: int | None = None) -> Trace:
    """The precedents of a cell of a workbook, layer by layer, and the input pixels reached.

    Args:
        path: the .xlsx file: one that sheetconv made, edited or not, or any other.
        cell: `"conv_2!D41"`; without a worksheet where the file has only one.
        depth: how many steps to go back. Default: all.

    Returns:
        The tree; its `pixels` are a mask of the input.

    Raises:
        WorkbookError: the file cannot be read as a workbook.
        CheckError: sheetconv made it, and its description is damaged.
        TraceError: there is no such cell, it holds no formula, or depends on itself.

    Example:
        >>> import tempfile, numpy as np, sheetconv as sc
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     built = sc.build(sc.Sequential(sc.MaxPool2d(2)), f"{folder}/p.xlsx",
        ...                      image=np.eye(4))
        ...     print("\\n".join(sc.trace(built.path, "I5").lines()))
    """
    return Tracer(path).trace(cell, depth)

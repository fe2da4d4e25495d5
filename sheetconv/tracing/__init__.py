"""Trace Precedents for a whole network: which cells a cell depends on, down to the pixels.

Everything is read from the formulas as they stand in the file, and nothing from the geometry
of the layers; the workbook's description only says what the cells are called.
"""

from __future__ import annotations

from pathlib import Path

from ..cells import Cell
from ..errors import TraceError
from ..files import check_target, written_whole
from .result import Reads, Trace
from .tracer import Tracer

__all__ = ["Reads", "Trace", "Tracer", "trace"]


def trace(
    path: str | Path,
    cell: str | Cell,
    depth: int | None = None,
    *,
    png: str | Path | None = None,
    force: bool = False,
) -> Trace:
    """The precedents of a cell of a workbook, layer by layer, and the input pixels reached.

    Args:
        path: the .xlsx file: one that sheetconv made, edited or not, or any other.
        cell: `"conv_2!D41"`; without a worksheet where the file has only one.
        depth: how many steps to go back. Default: all.
        png: a picture to write: the worksheet with arrows. Default: none.
        force: replace an existing picture. Default False.

    Returns:
        The tree; its `pixels` are a mask of the input.

    Raises:
        WorkbookError: the file cannot be read as a workbook, or the picture not be written.
        CheckError: sheetconv made it, and its description is damaged.
        TraceError: there is no such cell, it holds no formula, or depends on itself; or the
            picture is no .png.

    Example:
        >>> import tempfile, numpy as np, sheetconv as sc
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     built = sc.build(sc.Sequential(sc.MaxPool2d(2)), f"{folder}/p.xlsx",
        ...                      image=np.eye(4))
        ...     found = sc.trace(built.path, "I5")
        >>> for line in found.lines():
        ...     print(line)
        network!I5 = 1  (maxpool1: channel 1, row 2, column 2)
          =MAX(D6:E7)
        └─ input  4 cells  D6:E7  1 0; 0 1
        input pixels reached: 4 (rows 3-4, columns 3-4 of channel 1): network!D6:E7
    """
    target = None if png is None else Path(png)
    if target is not None:
        if target.suffix.lower() != ".png":
            raise TraceError(f"the picture {target} would be no PNG: give it a name with .png")
        check_target(target, force=force)
    tracer = Tracer(path)
    found = tracer.trace(cell, depth)
    if target is not None:
        from .picture import draw

        image = draw(tracer, found, tracer.reach(found.cell, depth)[1])
        with written_whole(target, force=force) as temporary:
            image.save(temporary, "PNG")
    return found

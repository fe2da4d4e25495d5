"""sheetconv's LibreOffice server, which answers for a cell's precedents, too.

Run by LibreOffice's Python in place of `_uno_server.py`, with the same arguments.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

SERVER = Path(__file__).parents[1] / "sheetconv" / "calculators" / "_uno_server.py"


def precedents(self: Any, sheet: str, column: int, row: int) -> list[list[int]]:
    """First and last row, first and last column of the ranges that a cell depends on."""
    cell = self.document.Sheets.getByName(sheet).getCellByPosition(column, row)
    return [
        [found.StartRow, found.EndRow, found.StartColumn, found.EndColumn]
        for found in cell.queryPrecedents(True).RangeAddresses
    ]


if __name__ == "__main__":
    spec = importlib.util.spec_from_file_location("_uno_server", SERVER)
    assert spec is not None
    assert spec.loader is not None
    server = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(server)
    server.Server.precedents = precedents
    server.main()

"""sheetconv's LibreOffice server, which answers for a cell's validation, too.

Run by LibreOffice's Python in place of `_uno_server.py`, with the same arguments.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

SERVER = Path(__file__).parents[1] / "sheetconv" / "calculators" / "_uno_server.py"


def validation(self: Any, sheet: str, column: int, row: int) -> list[object]:
    """Kind, both formulas, and whether anything else is refused."""
    cell = self.document.Sheets.getByName(sheet).getCellByPosition(column, row)
    rule = cell.Validation
    kind = rule.Type.value
    return [kind, rule.getFormula1(), rule.getFormula2(), kind != "ANY" and rule.ShowErrorMessage]


if __name__ == "__main__":
    spec = importlib.util.spec_from_file_location("_uno_server", SERVER)
    assert spec is not None
    assert spec.loader is not None
    server = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(server)
    server.Server.validation = validation
    server.main()

"""What a check found, for people and for programs: lines for the terminal, rows for pandas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..cells import Cell
from ..errors import WorkbookError
from ..files import written_whole
from ..tensor_cells import cells_of
from .results import CheckResult, LayerResult

if TYPE_CHECKING:
    import pandas as pd

_MOST_WRONG = 10
# What an engine shows besides the workbook as it is.
_EXTRA = {
    ", choice": "of pictures, kernels, units and patches, one after the other",
    ", probe": "with random numbers in every layer",
}


def lines(result: CheckResult, versions: dict[str, str]) -> list[str]:
    """The report for the terminal.

    Args:
        result: what the check found.
        versions: engine name -> version, for the headings.
    """
    sheets = len({layer.worksheet for layer in result.layers})
    cells, on = _count(result.formula_cells, "formula cell"), _count(sheets, "worksheet")
    out = [f"{result.path}: {cells} on {on}"]
    for source in result.sources:
        if not is_own(source):
            continue
        layers = [layer for layer in result.layers if layer.source == source]
        heading = f"recalculated by {source} {versions[source]}" if source in versions else source
        out += ["", f"{heading}, against NumPy:", *_table(layers)]
        for kind, what in _EXTRA.items():
            extra = [layer for layer in result.layers if layer.source.startswith(f"{source}{kind}")]
            if not extra:
                continue
            number = len({layer.source for layer in extra})
            worst = max(layer.largest_error for layer in extra)
            bad = sum(len(layer.wrong) for layer in extra)
            found = f"{_count(bad, 'wrong cell')}" if bad else f"largest error {_number(worst)}"
            out.append(f"  and {_count(number, kind.removeprefix(', '))} {what}: {found}")
    out += ["", *(f"note: {note}" for note in result.notes)]
    if result.changed:
        first = ", ".join(str(cell) for cell in result.changed[:3])
        more = ", ..." if len(result.changed) > 3 else ""
        out.append(
            f"note: {_count(len(result.changed), 'formula')} not as sheetconv writes them, "
            f"whatever they give: {first}{more}"
        )
    return [*out, *_verdict(result)]


def is_own(source: str) -> bool:
    """Whether a source shows the workbook's own numbers, as none of `_EXTRA` does."""
    return not any(kind in source for kind in _EXTRA)


def _verdict(result: CheckResult) -> list[str]:
    wrong = result.wrong
    seconds = f"({result.seconds:.1f} s)"
    if result.ok:
        largest = max((layer.largest_error for layer in result.layers), default=0.0)
        return [
            f"OK: {_count(result.formula_cells, 'formula cell')} agree with NumPy within rounding; "
            f"largest error {_number(largest)} {seconds}"
        ]
    out = [*result.moved, *(str(item) for item in wrong[:_MOST_WRONG])]
    if len(wrong) > _MOST_WRONG:
        out.append(f"... and {len(wrong) - _MOST_WRONG:,} more")
    follows = (
        f"; {_count(result.follows, 'cell')} after them are off because of them"
        if result.follows
        else ""
    )
    cells = _count(result.formula_cells, "formula cell")
    return [*out, f"WRONG: {_count(len(wrong), 'cell')}{follows}; {cells} checked {seconds}"]


def _table(layers: list[LayerResult]) -> list[str]:
    rows = [("worksheet", "layer", "cells", "wrong", "largest error", "worst cell")]
    for layer in layers:
        rows.append(
            (
                layer.worksheet,
                layer.label,
                f"{layer.cells:,}",
                f"{len(layer.wrong):,}",
                _number(layer.largest_error),
                _worst(layer),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = (2, 3, 4)
    return [
        "  "
        + "  ".join(
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _worst(layer: LayerResult) -> str:
    if layer.wrong:
        return f"{_place(layer.wrong[0].cell, layer)}: {layer.wrong[0].reason}"
    if layer.worst is None or layer.largest_error == 0:
        return ""
    cell, got, expected = layer.worst
    return f"{_place(cell, layer)}: got {got!r}, expected {expected!r}"


def _place(cell: Cell, layer: LayerResult) -> str:
    """A cell's name; padding stands on the worksheet of the layer before."""
    return cell.a1 if cell.sheet == layer.worksheet else str(cell)


def _number(value: float) -> str:
    return "0" if value == 0 else f"{value:.1e}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def frame(result: CheckResult) -> pd.DataFrame:
    """One row for each formula cell.

    Columns: worksheet, cell, layer, tensor, unit (flat index), verdict (`ok`, `wrong`, or
    `follows` for what is off only because of cells before it), and for each source but the
    probes its value, NumPy's end to end, their distance, and the bound in place. Probes
    count in the verdict.
    """
    import pandas as pd

    parts: dict[tuple[str, str], pd.DataFrame] = {}
    for layer in result.layers:
        for tensor in layer.tensors:
            key = (layer.worksheet, tensor.name)
            if key not in parts:
                cells = list(cells_of(tensor.placed))
                parts[key] = pd.DataFrame(
                    {
                        "worksheet": [cell.sheet for cell in cells],
                        "cell": [cell.a1 for cell in cells],
                        "layer": layer.label,
                        "tensor": tensor.name,
                        "unit": np.arange(tensor.got.size),
                        "verdict": "ok",
                    }
                )
            part = parts[key]
            part.loc[tensor.follows & (part["verdict"] == "ok"), "verdict"] = "follows"
            part.loc[tensor.wrong, "verdict"] = "wrong"
            if is_own(layer.source):
                part[layer.source] = tensor.got
                part[f"{layer.source}: numpy"] = tensor.from_image
                part[f"{layer.source}: error"] = tensor.errors
                part[f"{layer.source}: bound"] = tensor.bound
    table = pd.concat(list(parts.values()), ignore_index=True)
    structural = {(item.cell.sheet, item.cell.a1) for item in result.structure}
    if structural:
        at = [pair in structural for pair in zip(table["worksheet"], table["cell"], strict=True)]
        table.loc[at, "verdict"] = "wrong"
    return table


def require_report_name(path: Path) -> None:
    """Refuse a report that is neither .csv nor .json, before anything is calculated.

    Raises:
        WorkbookError: it is neither.
    """
    if path.suffix.lower() not in (".csv", ".json"):
        raise WorkbookError(f"{path}: the name of a report ends in .csv or .json")


def write_report(results: list[CheckResult], path: Path, *, force: bool = False) -> None:
    """Write one row for each formula cell as .csv or .json (a list of records).

    Raises:
        WorkbookError: the ending is another, or the file cannot be written.
    """
    import pandas as pd

    require_report_name(path)
    tables = [frame(result) for result in results]
    if len(results) > 1:
        for result, table in zip(results, tables, strict=True):
            table.insert(0, "file", str(result.path))
    table = pd.concat(tables, ignore_index=True)
    with written_whole(path, force=force) as temporary:
        if path.suffix.lower() == ".csv":
            table.to_csv(temporary, index=False)
        else:
            rows = table.astype(object).where(table.notna(), None).to_dict("records")
            temporary.write_text(json.dumps(rows, indent=1), encoding="utf-8")

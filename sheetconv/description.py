"""The workbook's own account of itself: its networks, and which cells hold which tensor.

It is JSON on a very hidden worksheet named `sheetconv`, so that it survives being saved
by Excel, LibreOffice and openpyxl. Cell A1 says what the sheet is; the JSON runs down
column A from A2, in pieces that each fit in a cell.

::

    {"format": 1, "sheetconv": "0.1.0", "networks": [
      {"worksheet": "conv-example", "formulas": "array", "fuse": true,
       "input_shape": [1, 28, 28],
       "layers": [{"name": "conv1", "type": "Conv2d", "in_channels": 1, ...}, ...],
       "tensors": {"conv1.out": {"shape": [2, 26, 26], "role": "output",
                                 "grids": [["AH3", 26, 26, 1, 1], ["AH32", 26, 26, 1, 1]]}}}]}

A grid is its first cell, height and width in units, and rows and columns from one unit
to the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .cells import Grid, parse_cell
from .drawing import Drawing
from .errors import CheckError, SheetconvError
from .formulas import Placed, Role
from .layers import layer_from_config
from .layout import SheetLayout, stages_of
from .network import Sequential

SHEET = "sheetconv"
HEADING = "The networks of this workbook, for `sheetconv check`. Do not edit."
FORMAT = 1

# Excel takes 32,767 characters in a cell.
_PIECE = 30_000


@dataclass(frozen=True, slots=True)
class Described:
    """One network of a workbook: its layers, and where its tensors stand.

    The network's parameters are not part of the description: they stand in the cells.
    """

    network: Sequential
    layout: SheetLayout

    @property
    def worksheet(self) -> str:
        """The name of its worksheet."""
        return self.layout.drawing.worksheet


def to_rows(networks: Iterable[tuple[Sequential, SheetLayout]], version: str) -> list[str]:
    """The texts of column A of the hidden worksheet, from A1 downwards."""
    content = {
        "format": FORMAT,
        "sheetconv": version,
        "networks": [_network_to_json(network, layout) for network, layout in networks],
    }
    text = json.dumps(content, separators=(",", ":"))
    return [HEADING, *(text[i : i + _PIECE] for i in range(0, len(text), _PIECE))]


def _network_to_json(network: Sequential, layout: SheetLayout) -> dict[str, Any]:
    return {
        "worksheet": layout.drawing.worksheet,
        "formulas": layout.drawing.formulas,
        "fuse": layout.drawing.fuse,
        "input_shape": list(layout.input_shape),
        "layers": [{"name": name, **layer.config()} for name, layer in network],
        "tensors": {
            name: {
                "shape": list(placed.shape),
                "role": placed.role.value,
                "grids": [
                    [grid.cell(0, 0).a1, grid.height, grid.width, grid.row_step, grid.column_step]
                    for grid in placed.grids
                ],
            }
            for name, placed in layout.placed.items()
        },
    }


def from_rows(rows: Sequence[str], where: str) -> list[Described]:
    """The networks that the hidden worksheet describes.

    Args:
        rows: the texts of its column A.
        where: the file, for errors.

    Raises:
        CheckError: the description is damaged, or from a newer sheetconv.
    """
    damaged = f"{where}: the description on the hidden worksheet {SHEET!r} is damaged"
    try:
        content = json.loads("".join(rows[1:]))
        version = content["format"]
        if version != FORMAT:
            raise CheckError(
                f"{where}: its description has format {version}, this sheetconv reads format "
                f"{FORMAT}: use the sheetconv that made it ({content.get('sheetconv', '?')})"
            )
        return [_network_from_json(item) for item in content["networks"]]
    except CheckError:
        raise
    except SheetconvError as error:
        raise CheckError(f"{damaged}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckError(f"{damaged}: build the workbook again") from None


def _network_from_json(item: dict[str, Any]) -> Described:
    sheet = item["worksheet"]
    layers = [
        (config["name"], layer_from_config({k: v for k, v in config.items() if k != "name"}))
        for config in item["layers"]
    ]
    network = Sequential(*layers)
    input_shape = tuple(item["input_shape"])
    drawing = Drawing(worksheet=sheet, formulas=item["formulas"], fuse=item["fuse"])
    placed = {}
    for name, tensor in item["tensors"].items():
        grids = []
        for first, height, width, row_step, column_step in tensor["grids"]:
            cell = parse_cell(first, sheet)
            grids.append(Grid(sheet, cell.row, cell.column, height, width, row_step, column_step))
        placed[name] = Placed(tuple(tensor["shape"]), Role(tensor["role"]), tuple(grids))
    stages = stages_of(network, input_shape, drawing.fuse)
    drawn = {"input"} | {
        f"{stage.name}.{tensor.name}"
        for stage in stages
        for tensor in network.layers[stage.name].tensors(stage.input_shape)
    }
    if drawn != set(placed):
        raise CheckError(f"worksheet {sheet!r}: its tensors are not those of its layers")
    return Described(network, SheetLayout(drawing, input_shape, stages, placed, {}, (), ()))

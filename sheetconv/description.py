"""The workbook's own account of itself: its networks, and which cells hold which tensor.

It is JSON on a very hidden worksheet named `sheetconv`, so that it survives being saved
by Excel, LibreOffice and openpyxl. Cell A1 says what the sheet is; the JSON runs down
column A from A2, in pieces that each fit in a cell.

::

    {"format": 2, "sheetconv": "0.1.0", "networks": [
      {"worksheet": "conv-example", "formulas": "array", "fuse": true,
       "input_shape": [1, 28, 28], "batch": 1,
       "layers": [{"name": "conv1", "type": "Conv2d", "in_channels": 1, ...}, ...],
       "tensors": {"conv1.out": {"shape": [1, 2, 26, 26], "role": "output",
                                 "grids": [["AH3", 26, 26, 1, 1], ["AH32", 26, 26, 1, 1]]}},
       "guides": [{"kind": "matrix", "sheet": "matrix", "layer": "conv1"}, ...]}]}

A grid is its first cell, with the worksheet's name where it is another than the network's;
height and width in units; and rows and columns from one unit to the next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

from .cells import MAX_COLUMNS, MAX_ROWS, MOST_CELLS, OWN_SHEET, Grid, parse_cell
from .drawing import WORDS, Drawing
from .errors import CheckError, LayoutError, SheetconvError
from .formulas import Placed, Role, Shape
from .frames import frame_grids
from .guides import Guide, from_config, to_config
from .layers import Layer, layer_from_config
from .layers.base import Arrangement, Border, Tensor
from .layers.validation import LARGEST
from .layout import Layout, drawn_tensors, stages_of
from .network import Sequential

SHEET = OWN_SHEET
HEADING = "The networks of this workbook, for `sheetconv check`. Do not edit."
FORMAT = 2

T = TypeVar("T")

# Excel takes 32,767 characters in a cell.
_PIECE = 30_000
# Fused layers, which have no cells, are counted, too.
_MOST_UNITS = 4 * MOST_CELLS


@dataclass(frozen=True, slots=True)
class Described:
    """One network of a workbook: its layers, and where its tensors stand.

    The network's parameters are not part of the description: they stand in the cells.

    Attributes:
        network: the layers.
        layout: where their tensors stand.
        guides: what else stands around them.
        gone: worksheets of guides that the workbook has no longer.
    """

    network: Sequential
    layout: Layout
    guides: tuple[Guide, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def worksheet(self) -> str:
        """The name of its first worksheet."""
        return self.layout.drawing.worksheet


def to_rows(
    networks: Iterable[tuple[Sequential, Layout, Sequence[Guide]]],
    version: str,
    trainings: Sequence[dict[str, Any]] = (),
) -> list[str]:
    """The texts of column A of the hidden worksheet, from A1 downwards.

    Args:
        networks: what the workbook holds.
        version: of sheetconv.
        trainings: what is trained in its cells, as `cell_training.description` has it.
    """
    content = {
        "format": FORMAT,
        "sheetconv": version,
        "networks": [_network_to_json(*item) for item in networks],
        **({"trainings": list(trainings)} if trainings else {}),
    }
    text = json.dumps(content, separators=(",", ":"))
    return [HEADING, *(text[i : i + _PIECE] for i in range(0, len(text), _PIECE))]


def _network_to_json(
    network: Sequential, layout: Layout, guides: Sequence[Guide]
) -> dict[str, Any]:
    explained = {"guides": to_config(guides)} if guides else {}
    return {
        "worksheet": layout.drawing.worksheet,
        "formulas": layout.drawing.formulas,
        "fuse": layout.drawing.fuse,
        "input_shape": list(layout.input_shape),
        "batch": layout.batch,
        "layers": [{"name": name, **layer.config()} for name, layer in network],
        "tensors": {
            name: {
                "shape": list(placed.shape),
                "role": placed.role.value,
                "grids": [
                    [
                        _first(grid, layout.drawing.worksheet),
                        grid.height,
                        grid.width,
                        grid.row_step,
                        grid.column_step,
                    ]
                    for grid in placed.grids
                ],
            }
            for name, placed in layout.placed.items()
        },
        **explained,
    }


def _first(grid: Grid, worksheet: str) -> str:
    cell = grid.cell(0, 0)
    return cell.a1 if cell.sheet == worksheet else str(cell)


def from_rows(rows: Sequence[str], where: str) -> list[Described]:
    """The networks that the hidden worksheet describes.

    Args:
        rows: the texts of its column A.
        where: the file, for errors.

    Raises:
        CheckError: the description is damaged, or from a newer sheetconv.
    """

    def described(content: dict[str, Any]) -> list[Described]:
        found = [_network_from_json(item) for item in content["networks"]]
        if len({item.worksheet for item in found}) < len(found):
            raise LayoutError("two networks begin on one worksheet")
        return found

    return parsed(rows, where, described)


def parsed(rows: Sequence[str], where: str, read: Callable[[dict[str, Any]], T]) -> T:
    """What somebody reads from the description.

    Args:
        rows: the texts of column A of the hidden worksheet.
        where: the file, for errors.
        read: gets the JSON; whatever it raises means that the description is damaged.

    Raises:
        CheckError: it is damaged, or from a newer sheetconv.
    """
    damaged = f"{where}: the description on the hidden worksheet {SHEET!r} is damaged"
    try:
        content = json.loads("".join(rows[1:]), parse_int=_whole, parse_constant=_no_constant)
        version, networks = content["format"], content["networks"]
        if version == FORMAT and (networks or content.get("trainings")):
            return read(content)
    except SheetconvError as error:
        raise CheckError(f"{damaged}: {error}; build the workbook again") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckError(f"{damaged}: build the workbook again") from None
    if version == FORMAT:
        raise CheckError(f"{damaged}: it describes no network; build the workbook again")
    raise CheckError(
        f"{where}: its description has format {version!r}, this sheetconv reads format {FORMAT}: "
        f"use the sheetconv that made it ({content.get('sheetconv', '?')})"
    )


def _whole(text: str) -> int:
    if len(text) > len(str(LARGEST)):
        raise ValueError(f"{text} is beyond every limit of a worksheet")
    return int(text)


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _network_from_json(item: dict[str, Any]) -> Described:
    sheet, formulas, fuse = item["worksheet"], item["formulas"], item["fuse"]
    if not isinstance(sheet, str) or formulas not in WORDS["formulas"]:
        raise ValueError
    layers = [
        (config["name"], layer_from_config({k: v for k, v in config.items() if k != "name"}))
        for config in item["layers"]
    ]
    input_shape = _counts(item["input_shape"])
    (batch,) = _counts([item["batch"]])
    _check_size(layers, input_shape, batch)
    network = Sequential(*layers)
    drawing = Drawing(worksheet=sheet, formulas=formulas, fuse=bool(fuse))
    placed = {name: _placed(tensor, sheet) for name, tensor in item["tensors"].items()}
    stages = stages_of(network, input_shape, drawing.fuse)
    layout = Layout(drawing, input_shape, batch, stages, placed, {})
    _check_placed(network, layout)
    return Described(network, layout, tuple(from_config(network, layout, item.get("guides", ()))))


def _counts(values: Iterable[Any]) -> tuple[int, ...]:
    counts = tuple(values)
    if not all(type(count) is int and count > 0 for count in counts):
        raise ValueError
    return counts


def _placed(tensor: dict[str, Any], sheet: str) -> Placed:
    grids = []
    for first, *numbers in tensor["grids"]:
        cell = parse_cell(first)
        height, width, row_step, column_step = _counts(numbers)
        grid = Grid(
            cell.sheet or sheet, cell.row, cell.column, height, width, row_step, column_step
        )
        if grid.bounds.last_row >= MAX_ROWS or grid.bounds.last_column >= MAX_COLUMNS:
            raise LayoutError(f"the cells from {first} on lie outside a worksheet")
        grids.append(grid)
    return Placed(_counts(tensor["shape"]), Role(tensor["role"]), tuple(grids))


def _check_size(layers: Iterable[tuple[str, Layer]], input_shape: Shape, batch: int) -> None:
    """Refuse what no workbook can hold, before arrays of such sizes are made."""
    shape, units = input_shape, batch * prod(input_shape)
    for _, layer in layers:
        border = layer.border(shape)
        padding = (border.left + border.right, border.top + border.bottom)
        units += sum(
            prod(tensor.shape) * (batch if tensor.batched else 1) for tensor in layer.tensors(shape)
        )
        if units > _MOST_UNITS or max(padding) > MAX_COLUMNS:
            raise LayoutError(f"the layers have more than {_MOST_UNITS:,} units, or vast padding")
        shape = layer.output_shape(shape)


def _check_placed(network: Sequential, layout: Layout) -> None:
    """Raise `LayoutError` unless the layers' tensors, and no others, have fitting cells."""
    image: Arrangement = "planes" if len(layout.input_shape) == 3 else "vector"
    expected = {"input": (Tensor("input", layout.input_shape, Role.INPUT, image), "", Border())}
    for stage, tensor in drawn_tensors(network, layout.stages):
        border = network.layers[stage.name].border(stage.input_shape)
        expected[f"{stage.name}.{tensor.name}"] = (tensor, stage.source, border)
    if expected.keys() != layout.placed.keys():
        raise LayoutError("its tensors are not those of its layers")
    for name, (tensor, source, border) in expected.items():
        placed = layout.placed[name]
        inputs = layout.placed[source].image(0).grids if source else ()
        grids = [(grid.height, grid.width) for grid in placed.grids]
        shape, copies = tensor.shape, 1
        if tensor.batched:
            shape, copies = (layout.batch, *shape), layout.batch
        wanted = _grids(tensor, inputs, border) * copies
        if (placed.shape, placed.role) != (shape, tensor.role) or grids != wanted:
            raise LayoutError(f"the cells of {name} do not fit its layer")


def _grids(tensor: Tensor, inputs: Sequence[Grid], border: Border) -> list[tuple[int, int]]:
    """Height and width of each grid of one image of a tensor, as the layout makes them."""
    shape = tensor.shape
    if tensor.arrangement == "planes":
        return [(shape[1], shape[2])] * shape[0]
    if tensor.arrangement == "kernels":
        return [(shape[2], shape[3])] * (shape[0] * shape[1])
    if tensor.arrangement == "dense":
        return [(grid.height, grid.width) for grid in inputs] * shape[0]
    if tensor.arrangement == "vector":
        return [(shape[0], 1)]
    if tensor.arrangement == "border":
        parts = [part for plane in inputs for part in frame_grids(plane, border)]
        return [(part.height, part.width) for part in parts]
    return [(1, 1)] * prod(shape)

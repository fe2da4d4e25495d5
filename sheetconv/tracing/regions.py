"""What the cells of a worksheet are to its network: units of tensors, or drawn padding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..cells import MAX_COLUMNS, MAX_ROWS, Grid
from ..description import Described
from ..formulas import Role, Shape
from ..frames import frame_grids
from ..layers.base import Border


@dataclass(frozen=True, slots=True)
class Region:
    """One tensor of a network, or the padding that one of its layers reads.

    Attributes:
        network: the network's first worksheet.
        name: full name of the tensor, `conv1.weight`, or `padding of conv1`.
        label: what people read: `conv1 + relu1` for the activations of both.
        shape: of the tensor; the batch first where `batched`.
        grids: where its units stand, in flat order.
        role: of the tensor; None for padding.
        reader: label of the layers that read it; empty for the last.
        batched: whether each image has its own.
    """

    network: str
    name: str
    label: str
    shape: Shape
    grids: tuple[Grid, ...]
    role: Role | None
    reader: str
    batched: bool

    def unit(self, index: int) -> str:
        """What people call one unit, by its flat index; counted from 1.

        Example:
            >>> grid = Grid("s", 0, 0, 2, 2)
            >>> out = Region("s", "conv1.out", "conv1", (1, 2, 2, 2), (grid, grid),
            ...     Role.OUTPUT, "", True)
            >>> out.unit(5)
            'conv1: channel 2, row 1, column 2'
        """
        place = []
        for length in reversed(self.shape):
            index, off = divmod(index, length)
            place.append(off + 1)
        place.reverse()
        if not self.batched:
            return f"{self.label}[{', '.join(str(number - 1) for number in place)}]"
        image, *rest = place
        words = ("channel", "row", "column") if len(rest) == 3 else ("unit",)
        if len(rest) != len(words):
            return f"{self.label}[{', '.join(str(number - 1) for number in place)}]"
        parts = [f"{word} {number}" for word, number in zip(words, rest, strict=True)]
        if self.shape[0] > 1:
            parts.insert(0, f"image {image}")
        return f"{self.label}: {', '.join(parts)}"


def regions_of(described: Described) -> list[Region]:
    """The tensors of a network in the order of their layers; padding first.

    What stands on padding besides (a tensor of mirrored cells) comes later, and counts.
    """
    layout, sheet = described.layout, described.worksheet
    labels = {"input": "input"} | {stage.out: stage.label for stage in layout.stages}
    owners = {stage.name: stage for stage in layout.stages}
    readers = {stage.source: stage.label for stage in layout.stages}
    padding, tensors = [], []
    for stage in layout.stages:
        border = described.network.layers[stage.name].border(stage.input_shape)
        parts = [
            part for grid in layout.placed[stage.source].grids for part in _padding(grid, border)
        ]
        if parts and not border.filled:
            name = f"padding of {stage.name}"
            size = sum(part.size for part in parts)
            padding.append(
                Region(sheet, name, name, (size,), tuple(parts), None, stage.label, False)
            )
    for name, placed in layout.placed.items():
        if name == "input":
            reader, batched = readers.get(name, ""), True
        else:
            stage = owners[name.rpartition(".")[0]]
            tensor = name.rpartition(".")[2]
            own = described.network.layers[stage.name].tensors(stage.input_shape)
            batched = any(item.name == tensor and bool(item.batched) for item in own)
            reader = readers.get(name, "") if name == stage.out else stage.label
        tensors.append(
            Region(
                sheet,
                name,
                labels.get(name, name),
                placed.shape,
                placed.grids,
                placed.role,
                reader,
                batched,
            )
        )
    return padding + tensors


def _padding(plane: Grid, border: Border) -> Iterator[Grid]:
    """The parts of a plane's padding, with what windows reach past it."""
    outer = replace(
        border,
        right=border.right + border.past_right,
        bottom=border.bottom + border.past_bottom,
    )
    for part in frame_grids(plane, outer):
        bounds = part.bounds
        inside = bounds.last_row < MAX_ROWS and bounds.last_column < MAX_COLUMNS
        if part.row >= 0 and part.column >= 0 and inside:
            yield part

"""Which units of every tensor a unit depends on, found by asking each whether it is read.

It is the expectation that the formulas of the receptive field are held against, which
compute first and last of them from each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from ..cells import Grid
from ..formulas import Shape
from ..layers.base import Array, Layer
from ..layout import Layout, Stage
from ..network import Sequential
from .address import is_same_sheet, taken_apart

#: Images, channels, rows, columns.
AXES = 4


@dataclass(frozen=True, slots=True)
class Step:
    """One tensor of the chain from the input to the output.

    Attributes:
        name: full, of the tensor.
        label: what people call it.
        shape: channels, rows and columns; a vector is one channel of one column.
        grids: where its planes stand, the first image's first.
        reader: the layers that read it, or None for the last.
    """

    name: str
    label: str
    shape: tuple[int, int, int]
    grids: tuple[Grid, ...]
    reader: Stage | None


class UnitChain:
    """The tensors of a network from the input to the output, and what their units see.

    Args:
        network: the layers.
        layout: where their tensors stand.
    """

    def __init__(self, network: Sequential, layout: Layout) -> None:
        self.network = network
        self.layout = layout
        self.batch = layout.batch
        self.home = layout.drawing.worksheet

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The tensors from the input to the output."""
        stages = self.layout.stages
        names = [("input", "input"), *((stage.out, stage.label) for stage in stages)]
        steps = []
        for number, (name, label) in enumerate(names):
            placed = self.layout.placed[name]
            reader = stages[number] if number < len(stages) else None
            steps.append(Step(name, label, _as_planes(placed.shape[1:]), placed.grids, reader))
        return tuple(steps)

    @cached_property
    def planes(self) -> list[tuple[int, int, int, Grid]]:
        """Tensor, image and channel, from 0, and grid of every plane."""
        found = []
        for number, step in enumerate(self.steps):
            count = len(step.grids) // self.batch
            for index, grid in enumerate(step.grids):
                found.append((number, *divmod(index, count), grid))
        return found

    def plane_of(self, typed: str) -> int | None:
        """The number of the plane that holds the unit."""
        sheet, row, column = taken_apart(typed, self.home)
        for number, (_, _, _, grid) in enumerate(self.planes):
            i, j = row - 1 - grid.row, column - 1 - grid.column
            on_grid = i % grid.row_step == 0 and j % grid.column_step == 0
            inside = 0 <= i < grid.bounds.height and 0 <= j < grid.bounds.width
            if inside and on_grid and is_same_sheet(grid.sheet, sheet):
                return number
        return None

    def unit(self, typed: str) -> tuple[int, int, int, int, int] | None:
        """Tensor, image, channel, row and column of the unit, counted from 0."""
        plane = self.plane_of(typed)
        if plane is None:
            return None
        tensor, image, channel, grid = self.planes[plane]
        _, row, column = taken_apart(typed, self.home)
        i = (row - 1 - grid.row) // grid.row_step
        j = (column - 1 - grid.column) // grid.column_step
        return tensor, image, channel, i, j

    def spans(self, typed: str) -> list[tuple[int, ...]]:
        """For each tensor first and last of images, channels, rows and columns, from 1.

        Found by asking of every unit whether a lit one reads it.
        """
        unit = self.unit(typed)
        spans: list[tuple[int, ...]] = [(0,) * 2 * AXES] * len(self.steps)
        if unit is None:
            return spans
        tensor, image, channel, i, j = unit
        images, channels, rows, columns = {image}, {channel}, {i}, {j}
        spans[tensor] = _ends(images, channels, rows, columns)
        for number in range(tensor - 1, -1, -1):
            step = self.steps[number]
            layer, shape = self.reader(step)
            if layer.mixes_images:
                images = set(range(self.batch))
            outputs = self.steps[number + 1].shape[0]
            groups = groups_of(layer, shape)
            lit_groups = {c * groups // outputs for c in channels}
            channels = {
                c for c in range(step.shape[0]) if c * groups // step.shape[0] in lit_groups
            }
            reach = layer.reach(shape)
            if reach is None:
                rows, columns = (
                    set(range(step.shape[1 + axis])) if lit else set()
                    for axis, lit in enumerate((rows, columns))
                )
            else:
                rows, columns = (
                    {
                        at
                        for at in range(step.shape[1 + axis])
                        if any(
                            0
                            <= at + reach.padding[axis] - u * reach.stride[axis]
                            < reach.size[axis]
                            for u in lit
                        )
                    }
                    for axis, lit in enumerate((rows, columns))
                )
            # What strides leave out between the first and the last counts as seen.
            rows, columns = _filled(rows), _filled(columns)
            spans[number] = _ends(images, channels, rows, columns)
        return spans

    def mask(self, typed: str) -> Array:
        """Which pixels light up: 1 or 0, in the input's shape, the batch first."""
        mask = np.zeros((self.batch, *self.steps[0].shape))
        n, c, h, w = (
            slice(first - 1, last) if first else slice(0)
            for first, last in zip(*[iter(self.spans(typed)[0])] * 2, strict=True)
        )
        mask[n, c, h, w] = 1
        return mask

    def reader(self, step: Step) -> tuple[Layer, Shape]:
        assert step.reader is not None
        return self.network.layers[step.reader.name], step.reader.input_shape


def _as_planes(shape: Shape) -> tuple[int, int, int]:
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (1, prod(shape), 1)


def groups_of(layer: Layer, shape: Shape) -> int:
    """Into how many parts the channels of planes fall; a vector is one channel."""
    return layer.channel_groups(shape) if len(shape) == 3 else 1


def _filled(part: set[int]) -> set[int]:
    return set(range(min(part), max(part) + 1)) if part else part


def _ends(*parts: set[int]) -> tuple[int, ...]:
    ends: list[int] = []
    for part in parts:
        ends += (min(part) + 1, max(part) + 1) if part else (0, 0)
    return tuple(ends)

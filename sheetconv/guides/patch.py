"""A patch of a convolution's input, the units that it makes, and the matrix that makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np

from ..formulas import Placed, Shape
from ..layers.base import Array
from ..layers.conv2d import Conv2d
from ..layout import Layout, Stage
from ..network import Sequential

#: Of more entries the matrix would be slow, and no one could see it whole.
MOST_ENTRIES = 6_000
#: The planes of a patch stand side by side.
MOST_CHANNELS = 256
#: Units along each side, at most.
MOST_UNITS = 4


class ConvolutionPatch:
    """As much of a convolution as fits into a matrix that people can look at: its first filter.

    Args:
        network: the layers.
        layout: where their tensors stand.
        stage: the convolution.
        units: rows and columns of units.
    """

    def __init__(
        self, network: Sequential, layout: Layout, stage: Stage, units: tuple[int, int]
    ) -> None:
        self.network = network
        self.layout = layout
        self.stage = stage
        self.units = units

    @cached_property
    def layer(self) -> Conv2d:
        layer = self.network.layers[self.stage.name]
        assert isinstance(layer, Conv2d)
        return layer

    @cached_property
    def placed(self) -> dict[str, Placed]:
        own = {
            name: self.layout.placed[f"{self.stage.name}.{name}"]
            for name in ("weight", "bias", "out")
            if f"{self.stage.name}.{name}" in self.layout.placed
        }
        return {"x": self.layout.placed[self.stage.source], **own}

    @cached_property
    def window(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Kernel, dilation, stride and padding (top, left)."""
        _, _, height, width = self.placed["weight"].shape
        reach = self.layer.reach(self.stage.input_shape)
        dilation = self.layer.dilation
        dilations = (dilation, dilation) if isinstance(dilation, int) else dilation
        return (height, width), dilations, reach.stride, reach.padding

    @cached_property
    def channels(self) -> int:
        """Planes that the first filter reads."""
        return self.placed["weight"].shape[1]

    @cached_property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the patch."""
        return _patch_size(self.layer, self.stage.input_shape, self.units)

    @cached_property
    def last(self) -> tuple[int, int]:
        """The last row and column, from 1, at which the patch's units can begin."""
        _, height, width = self.placed["out"].shape[1:]
        return height - self.units[0] + 1, width - self.units[1] + 1

    def values(self, tensors: Mapping[str, Array], first: tuple[int, int]) -> Array:
        """The patch as (channels, rows, columns), zeros where it lies in the padding.

        Args:
            tensors: full name -> array, as the workbook shows them.
            first: row and column of its first unit, from 1.
        """
        _, _, stride, padding = self.window
        x = tensors[self.stage.source].reshape(-1, *self.stage.input_shape)[0]
        x = _counted(x[: self.channels])
        height, width = self.size
        top, left = (
            (begin - 1) * step - pad
            for begin, step, pad in zip(first, stride, padding, strict=True)
        )
        patch = np.zeros((self.channels, height, width))
        for a in range(height):
            for b in range(width):
                if 0 <= top + a < x.shape[1] and 0 <= left + b < x.shape[2]:
                    patch[:, a, b] = x[:, top + a, left + b]
        return patch

    def weights(self, tensors: Mapping[str, Array]) -> Array:
        """The first filter: (channels, kernel_h, kernel_w)."""
        return _counted(tensors[f"{self.stage.name}.weight"][0])

    def matrix(self, tensors: Mapping[str, Array]) -> Array:
        """The big matrix, (units, cells): what the layer makes of a patch with one 1 in it."""
        height, width = self.size
        (kernel, dilation, stride, _), cells = self.window, self.channels * height * width
        bare = Conv2d(self.channels, 1, kernel, stride, dilation=dilation, bias=False)
        ones = np.eye(cells).reshape(cells, self.channels, height, width)
        made, _ = bare.forward(ones, {"weight": self.weights(tensors)[np.newaxis]})
        matrix: Array = made.reshape(cells, -1).T
        return matrix

    def place_in_kernel(self, unit: int, cell: int) -> tuple[int, int, int] | None:
        """Channel, row and column of the weight with which a unit meets a cell."""
        (kh, kw), dilation, stride, _ = self.window
        height, width = self.size
        c, rest = divmod(cell, height * width)
        spots = []
        for at, out, count, step, apart in zip(
            divmod(rest, width), divmod(unit, self.units[1]), (kh, kw), stride, dilation,
            strict=True,
        ):  # fmt: skip
            spot, off = divmod(at - out * step, apart)
            if off or not 0 <= spot < count:
                return None
            spots.append(spot)
        return c, spots[0], spots[1]


def patches(
    network: Sequential, layout: Layout, layer: str | None = None
) -> Iterator[ConvolutionPatch]:
    """A patch of each convolution that has a matrix small enough, in order.

    Args:
        network: the layers.
        layout: where their tensors stand.
        layer: name of the only one that is wanted. Default: all.
    """
    for stage in layout.stages:
        if layer in (None, stage.name):
            units = _units(network, layout, stage)
            if units is not None:
                yield ConvolutionPatch(network, layout, stage, units)


def _counted(values: Array) -> Array:
    """Numbers as a sum counts them: what is none is 0."""
    return np.where(np.isnan(values), 0.0, values)


def _patch_size(layer: Conv2d, shape: Shape, units: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns that some units read together."""
    reach = layer.reach(shape)
    height, width = (
        (count - 1) * step + size
        for count, step, size in zip(units, reach.stride, reach.size, strict=True)
    )
    return height, width


def _units(network: Sequential, layout: Layout, stage: Stage) -> tuple[int, int] | None:
    """Rows and columns of units in the patch; None where the layer has no such matrix."""
    layer = network.layers[stage.name]
    if not isinstance(layer, Conv2d) or layer.border(stage.input_shape).filled:
        return None
    _, height, width = layer.output_shape(stage.input_shape)
    channels = layout.placed[f"{stage.name}.weight"].shape[1]
    for count in range(MOST_UNITS, 0, -1):
        units = (min(count, height), min(count, width))
        rows, columns = _patch_size(layer, stage.input_shape, units)
        entries = units[0] * units[1] * channels * rows * columns
        if entries <= MOST_ENTRIES and channels <= MOST_CHANNELS:
            return units
    return None

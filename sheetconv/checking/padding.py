"""Padding that holds what it should not: the cells themselves, and those that read them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..description import Described
from ..layout import Stage
from ..tensor_cells import TensorCells
from .comparing import shown_value
from .results import WrongCell


def wrong_padding(described: Described, tensors: Mapping[str, TensorCells]) -> list[WrongCell]:
    """The cells of the padding that are neither the zeros nor the blanks that are expected."""
    found = []
    for stage in described.layout.stages:
        for stray in sorted(tensors[stage.source].strays, key=lambda stray: stray.cell):
            wanted = "the padding's 0" if stray.is_zero else "a blank cell"
            reason = f"{shown_value(stray.value)} stands where {wanted} is expected"
            zero = 0.0 if stray.is_zero else None
            found.append(WrongCell(stray.cell, stage.label, "file", stray.value, zero, 0.0, reason))
    return found


def readers_of_wrong_padding(
    described: Described, tensors: Mapping[str, TensorCells]
) -> dict[str, NDArray[np.bool_]]:
    """Which units have a window that meets such a cell: stage name -> flat mask of its output.

    A window of a convolution spans the channels of its group, a pool's only its own.
    """
    return {
        stage.name: _readers(described, stage, tensors[stage.source])
        for stage in described.layout.stages
        if tensors[stage.source].strays
    }


def _readers(described: Described, stage: Stage, source: TensorCells) -> NDArray[np.bool_]:
    layer = described.network.layers[stage.name]
    batch, shape = described.layout.batch, layer.output_shape(stage.input_shape)
    readers = np.zeros((batch, *shape), dtype=np.bool_)
    reach = layer.reach(stage.input_shape)
    channels = len(source.placed.grids) // batch
    groups = layer.channel_groups(stage.input_shape)
    outputs = shape[0] // groups
    for stray in source.strays:
        image, channel = divmod(stray.plane, channels)
        group = channel * groups // channels
        own = slice(group * outputs, (group + 1) * outputs)
        if reach is None:
            readers[image, own] = True
            continue
        inside = []
        for axis, at in enumerate((stray.row, stray.column)):
            first = np.arange(shape[1 + axis]) * reach.stride[axis] - reach.padding[axis]
            inside.append((first <= at) & (at < first + reach.size[axis]))
        readers[image, own] |= np.outer(*inside)
    return readers.reshape(-1)

"""How far apart planes and kernels stand, so that all that goes around them has room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from .cells import Grid
from .drawing import Drawing
from .layers.base import Border, Tensor
from .layout import Stage
from .network import Sequential

#: First row of planes: below title, shape, and a row of labels.
TOP = 3
_MOST_KERNELS_DOWN = 16  # of one output, one below the other
_MOST_KERNELS_ACROSS = 4  # where they need not be more


@dataclass(frozen=True, slots=True)
class Spacing:
    """The room that a stage's tensors need, given what has been placed before it.

    Attributes:
        network: the layers.
        drawing: which of them are aligned.
        moats: full tensor name -> what the layer that reads it needs around its planes.
        grids: full tensor name -> where its planes stand, as far as they do.
        per_layer: whether a stage's input stands on another worksheet.
    """

    network: Sequential
    drawing: Drawing
    moats: Mapping[str, Border]
    grids: Mapping[str, Sequence[Grid]]
    per_layer: bool

    def tensors(self, stage: Stage) -> tuple[Tensor, ...]:
        """What the stage draws, left to right; the last is its output."""
        return self.network.layers[stage.name].tensors(stage.input_shape)

    def steps(self, stage: Stage) -> tuple[int, int]:
        """Rows and columns between units of a stage's output."""
        aligned = stage.name in self.drawing.aligned
        return self.network.layers[stage.name].steps() if aligned else (1, 1)

    def spread(self, stage: Stage, kernels: Tensor) -> tuple[int, int]:
        """Rows and columns between the cells of a kernel: as between those that it meets."""
        plane = self.grids[stage.source][0]
        return (kernels.spread[0] * plane.row_step, kernels.spread[1] * plane.column_step)

    def kernels_down(self, stage: Stage, kernels: Tensor) -> int:
        """How many kernels of one output stand one below the other: as many as its plane is high.

        More, where they would run far to the right.
        """
        _, inputs, height, _ = kernels.shape
        apart = (height - 1) * self.spread(stage, kernels)[0] + 2
        fit = self._plane_height(stage) // apart
        return min(inputs, _MOST_KERNELS_DOWN, max(fit, ceil(inputs / _MOST_KERNELS_ACROSS)))

    def rows(self, stage: Stage, planes: Tensor) -> tuple[int, ...]:
        """First rows of a stage's planes: beside its input's where these leave room."""
        if planes.arrangement == "vector":
            return (TOP,)
        pitch = self._pitch(stage)
        top = TOP + self.moats[stage.out].top * self.steps(stage)[0]
        source = [grid.row for grid in self.grids[stage.source]]
        apart = min((b - a for a, b in pairwise(source)), default=pitch)
        if len(source) == planes.shape[0] and apart >= pitch and not self.per_layer:
            down = max(0, top - source[0])
            return tuple(row + down for row in source)
        return tuple(top + c * pitch for c in range(planes.shape[0]))

    def _pitch(self, stage: Stage) -> int:
        """Rows that one output plane needs with all that stands around it."""
        tensors = self.tensors(stage)
        moat, step = self.moats[stage.out], self.steps(stage)[0]
        plane = self._plane_height(stage)
        plane += (moat.top + moat.bottom + moat.past_bottom) * step
        has_kernels = any(tensor.arrangement == "kernels" for tensor in tensors)
        beside = below = 0
        for tensor in tensors:
            if tensor.arrangement == "kernels":
                height = (tensor.shape[2] - 1) * self.spread(stage, tensor)[0] + 1
                beside += 1 + self.kernels_down(stage, tensor) * (height + 1)
            elif tensor.arrangement == "scalars":
                beside += 3 if has_kernels else 1
            elif tensor.arrangement == "below":
                below += 1
        return max(plane + below, beside) + 2

    def _plane_height(self, stage: Stage) -> int:
        """Rows of one output plane without its padding."""
        out = self.tensors(stage)[-1].shape
        return (out[1] - 1) * self.steps(stage)[0] + 1

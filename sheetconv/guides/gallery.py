"""The first layer's kernels and what each makes of the picture, as small heat maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from ..cells import Grid
from ..drawing import Style
from ..formulas import Placed
from ..layers.base import Array
from ..layers.conv2d import Conv2d
from ..layout import ColourScale, Layout, Stage
from ..network import Sequential
from ..palette import ACTIVATIONS, FRAME, PIXELS, SIGNED, TINTS
from .base import HEADING, NOTE, TITLE, Guide, GuideCell, GuidePage, Shown, ref

#: More cells than these load slowly, and their pictures are no longer seen at once.
MOST_CELLS = 20_000
MOST_FILTERS = 32

#: Numbers are not shown: only their colours.
_SILENT = ";;;"
_TOP = 4
_ACROSS = 90  # columns that fit on a screen


class Gallery(Guide):
    """One block a filter: its kernels, and its plane.

    Args:
        network, layout, sheet: as for every guide.
    """

    kind: ClassVar[str] = "gallery"
    invitation: ClassVar[str] = (
        "The kernels of the first layer and what each finds, side by side, as small pictures."
    )

    @classmethod
    def fits(cls, network: Sequential, layout: Layout) -> bool:
        """Whether there is a convolution, and room for some of its filters."""
        stage = _first_convolution(network, layout)
        if stage is None:
            return False
        guide = cls(network, layout, "gallery")
        return guide.filters > 0

    def config(self) -> dict[str, Any]:
        return {}

    @property
    def _stage(self) -> Stage:
        stage = _first_convolution(self.network, self.layout)
        assert stage is not None
        return stage

    def _of(self, tensor: str) -> Placed:
        return self.layout.placed[f"{self._stage.name}.{tensor}"]

    @property
    def _inputs(self) -> int:
        """Kernels of one filter."""
        return self._of("weight").shape[1]

    @property
    def filters(self) -> int:
        """How many filters are shown: as many as there is room for."""
        plane, kernel = self._of("out").grids[0], self._of("weight").grids[0]
        each = plane.size + self._inputs * kernel.size
        pictures = sum(grid.size for grid in self._pictures)
        room = (MOST_CELLS - pictures) // each
        return max(0, min(self._of("weight").shape[0], MOST_FILTERS, room))

    @property
    def _pictures(self) -> tuple[Grid, ...]:
        placed = self.layout.placed["input"]
        return placed.image(0).grids if self._stage.source == "input" else ()

    @property
    def page(self) -> GuidePage:
        return GuidePage(self.sheet, ((0, 0, 2.0),), (2, 0), row_height=11.0, default_width=1.7)

    def _blocks(self) -> Iterator[tuple[int, int, int]]:
        """Number, first row and first column of each filter's block."""
        plane, kernel = self._of("out").grids[0], self._of("weight").grids[0]
        width = kernel.width + 2 + plane.width + 3
        height = max(plane.height, self._inputs * (kernel.height + 1)) + 3
        left = 1
        if self._pictures:
            left += self._pictures[0].width + 4
        across = max(1, (_ACROSS - left) // width)
        for number in range(self.filters):
            down, right = divmod(number, across)
            yield number, _TOP + down * height, left + right * width

    def _copies(self) -> Iterator[tuple[Grid, Grid, str, int]]:
        """Where each small picture stands, whose copy it is, and its place in the tensor."""
        for c, grid in enumerate(self._pictures):
            row = _TOP + 1 + c * (grid.height + 1)
            yield Grid(self.sheet, row, 1, grid.height, grid.width), grid, "input", c
        weights, planes = self._of("weight"), self._of("out").image(0).grids
        for number, row, column in self._blocks():
            for c in range(self._inputs):
                kernel = weights.grids[number * self._inputs + c]
                at = row + 1 + c * (kernel.height + 1)
                copy = Grid(self.sheet, at, column, kernel.height, kernel.width)
                yield copy, kernel, "weight", number * self._inputs + c
            plane = planes[number]
            left = column + weights.grids[0].width + 2
            copy = Grid(self.sheet, row + 1, left, plane.height, plane.width)
            yield copy, plane, "out", number

    def _values(self, shown: Shown, tensor: str, plane: int) -> Array:
        name = "input" if tensor == "input" else f"{self._stage.name}.{tensor}"
        grids = self.layout.placed[name].grids
        # Batched tensors begin with the first image's planes.
        values: Array = shown.tensors[name].reshape(len(grids), -1)[plane]
        return values

    def cells(self, shown: Shown) -> Iterator[GuideCell]:
        stage = self._stage
        yield self.text(0, 1, f"{stage.label} of {self.home}: kernels and planes", TITLE)
        total = self._of("weight").shape[0]
        some = "" if self.filters == total else f" The first {self.filters} of {total} filters."
        yield self.text(
            1, 1, f"Blue is below zero, red above. Every cell is a reference.{some}", NOTE
        )
        if self._pictures:
            yield self.text(_TOP, 1, "picture", HEADING)
        for number, row, column in self._blocks():
            yield self.text(row, column, f"filter {number + 1}", HEADING)
        for copy, source, tensor, plane in self._copies():
            values = self._values(shown, tensor, plane)
            style = Style(_SILENT, frame=FRAME if tensor == "weight" else None)
            for index, (cell, original) in enumerate(
                zip(copy.cells(), source.cells(), strict=True)
            ):
                value = float(values[index])
                formula = ref(original, self.sheet, absolute=False)
                yield GuideCell(cell, value if value == value else None, formula, style=style)

    def scales(self) -> list[ColourScale]:
        scales = []
        signed = not self._is_rectified()
        for copy, _, tensor, plane in self._copies():
            colours: tuple[str, ...] = SIGNED
            if tensor == "input":
                rgb = len(self._pictures) == len(TINTS)
                colours = list(TINTS.values())[plane] if rgb else PIXELS
            elif tensor == "out" and not signed:
                colours = ACTIVATIONS
            scales.append(ColourScale((copy.bounds,), colours))
        return scales

    def _is_rectified(self) -> bool:
        nonnegative = False
        for name in (self._stage.name, *self._stage.fused):
            nonnegative = self.network.layers[name].nonnegative(nonnegative)
        return nonnegative


def _first_convolution(network: Sequential, layout: Layout) -> Stage | None:
    stages = layout.stages
    return next((s for s in stages if isinstance(network.layers[s.name], Conv2d)), None)

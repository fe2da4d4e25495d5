"""The sizes of every layer as live formulas: shapes, parameters, multiplications, fields.

What follows from what can be traced: a layer's height from the height before it and from
kernel, stride and padding; its multiplications from its windows and weights. Expected is
what `sheetconv.summary` computes from the layers themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from ..cells import Cell, Range
from ..drawing import Style
from ..formulas import Shape
from ..layers.arithmetic import SETTINGS
from ..layers.base import Layer
from ..summary import LayerSummary, summarize
from .base import HEADING, NUMBER_HEAD, TABLE_HEAD, TITLE, Guide, GuideCell, GuidePage, Shown

_FIRST = 6  # row of the input
_LAYER, _TYPE = 1, 2
_SHAPE = 3  # N, channels, height, width
_SETTINGS = 8
_COUNTS = _SETTINGS + len(SETTINGS) + 1
_FIELD = _COUNTS + 6
_HEADS = {
    _LAYER: ("", "layer"),
    _TYPE: ("", "type"),
    _SHAPE: ("output shape", "N"),
    _SHAPE + 1: ("", "C"),
    _SHAPE + 2: ("", "H"),
    _SHAPE + 3: ("", "W"),
    _SETTINGS: ("kernel", "H"),
    _SETTINGS + 1: ("", "W"),
    _SETTINGS + 2: ("stride", "H"),
    _SETTINGS + 3: ("", "W"),
    _SETTINGS + 4: ("padding", "top"),
    _SETTINGS + 5: ("", "bottom"),
    _SETTINGS + 6: ("", "left"),
    _SETTINGS + 7: ("", "right"),
    _SETTINGS + 8: ("dilation", "H"),
    _SETTINGS + 9: ("", "W"),
    _SETTINGS + 10: ("", "outputs"),
    _SETTINGS + 11: ("", "groups"),
    _SETTINGS + 12: ("", "bias"),
    _COUNTS: ("", "parameters"),
    _COUNTS + 1: ("", "buffers"),
    _COUNTS + 2: ("", "multiplications"),
    _COUNTS + 3: ("", "activations"),
    _COUNTS + 4: ("memory", "bytes"),
    _FIELD: ("receptive field", "H"),
    _FIELD + 1: ("", "W"),
    _FIELD + 2: ("step", "H"),
    _FIELD + 3: ("", "W"),
    _FIELD + 4: ("first at", "row"),
    _FIELD + 5: ("", "column"),
}
_COUNT = Style("#,##0")
#: Bytes of a number in single precision, as networks are usually kept.
_BYTES = 4


class Sizes(Guide):
    """A table of the network's layers."""

    kind: ClassVar[str] = "summary"
    invitation: ClassVar[str] = (
        "Sizes of every layer as formulas: output shape (n + 2p - k)/s + 1, parameters, "
        "multiplications, receptive field. Click one and trace its precedents."
    )

    @property
    def page(self) -> GuidePage:
        columns = (
            (0, 0, 2.0),
            (_LAYER, _TYPE, 21.0),
            (_SHAPE, _SHAPE + 3, 6.5),
            (_SHAPE + 4, _SHAPE + 4, 2.0),
            (_SETTINGS, _SETTINGS + len(SETTINGS) - 1, 9.0),
            (_COUNTS - 1, _COUNTS - 1, 2.0),
            (_COUNTS, _COUNTS + 4, 17.0),
            (_FIELD - 1, _FIELD - 1, 2.0),
            (_FIELD, _FIELD + 5, 9.0),
        )
        return GuidePage(self.sheet, columns, (_FIRST, _TYPE + 1))

    def config(self) -> dict[str, Any]:
        return {}

    def cells(self, shown: Shown) -> Iterator[GuideCell]:
        yield self.text(0, 1, f"Sizes of {self.home}", TITLE)
        yield self.text(
            1, 1, "Every number but those of kernel, stride and padding is a formula of others."
        )
        yield self.text(
            2,
            1,
            "Multiplications: windows x weights, as in 7*7*(1168-16); biases are added. Memory: "
            f"{_BYTES} bytes for each parameter, buffer and activation. Step: pixels from the "
            "field of one unit to the next; a field may reach over the edge, into padding.",
        )
        for column in range(_LAYER, _FIELD + 6):
            above, head = _HEADS.get(column, ("", ""))
            if column in _HEADS:
                yield self.text(_FIRST - 2, column, above, HEADING)
                style = NUMBER_HEAD if column >= _SHAPE else TABLE_HEAD
                yield self.text(_FIRST - 1, column, head, style)
        # Of one image: a batch of vectors could be taken for a plane.
        summary = summarize(self.network, self.layout.input_shape)
        yield self.text(_FIRST, _LAYER, "input", HEADING)
        for offset, length in enumerate((self.layout.batch, *self.layout.input_shape)):
            yield GuideCell(self.at(_FIRST, _SHAPE + offset), float(length), style=_COUNT)
        for offset in range(6):
            begin = 0.0 if offset > 3 else 1.0
            yield GuideCell(self.at(_FIRST, _FIELD + offset), begin, style=_COUNT)
        before: Shape = self.layout.input_shape
        planes = _FIRST  # the last row with planes, which units behind Flatten still see
        for row, item in enumerate(summary.layers, _FIRST + 1):
            if len(before) == 3:
                planes = row - 1
            yield from self._row(row, item, before, planes)
            before = item.output_shape[1:]
        yield from self._totals(_FIRST + len(summary.layers) + 1, summary.layers)

    def _row(self, row: int, item: LayerSummary, before: Shape, planes: int) -> Iterator[GuideCell]:
        layer = self.network.layers[item.name]
        link = next(
            (stage.out for stage in self.layout.stages if item.name in (stage.name, *stage.fused)),
            "input",
        )
        yield GuideCell(
            self.at(row, _LAYER),
            item.name,
            style=HEADING,
            link=self.layout.placed[link].grids[0].cell(0, 0),
        )
        yield self.text(row, _TYPE, item.type)
        sums = layer.arithmetic(before)
        places = self._places(row)
        for name in SETTINGS:
            if name in sums.settings:
                yield GuideCell(Cell(self.sheet, *places[name]), float(sums.settings[name]))
        images = self.at(row - 1, _SHAPE).a1
        yield self._sum(row, _SHAPE, images, self.layout.batch)
        lengths = item.output_shape[1:]
        for offset, formula in enumerate((sums.channels, sums.height, sums.width)[: len(lengths)]):
            yield self._sum(row, _SHAPE + 1 + offset, self._spelled(formula, row), lengths[offset])
        counts = (
            (sums.parameters, item.parameters),
            (sums.buffers, item.buffers),
            (sums.multiplications, item.multiplications),
        )
        for offset, (formula, count) in enumerate(counts):
            yield self._sum(row, _COUNTS + offset, self._spelled(formula, row), count)
        units = "0"
        if item.activations:
            product = ("{channels}", "{height}", "{width}")[: len(lengths)]
            units = self._spelled("*".join(product), row)
        yield self._sum(row, _COUNTS + 3, units, item.activations)
        a1 = [self.at(row, _COUNTS + offset).a1 for offset in (0, 1, 3)]
        kept = item.parameters + item.buffers + item.activations
        yield self._sum(row, _COUNTS + 4, f"{_BYTES}*({'+'.join(a1)})", _BYTES * kept)
        yield from self._field(row, item, layer, before, planes)

    def _field(
        self, row: int, item: LayerSummary, layer: Layer, before: Shape, planes: int
    ) -> Iterator[GuideCell]:
        """The receptive field of a row, from the row above and the layer's window."""
        reach = layer.reach(before)
        settings = layer.arithmetic(before).settings
        expected = (*item.field.size, *item.field.step, *item.field.start)
        for axis, (name, side) in enumerate((("height", "top"), ("width", "left"))):
            size, step, start = (
                self.at(row - 1, _FIELD + offset + axis).a1 for offset in (0, 2, 4)
            )
            places = {key: Cell(self.sheet, *place).a1 for key, place in self._places(row).items()}
            if reach is None and len(self.layout.input_shape) == 3:
                length = self.at(planes, _SHAPE + 2 + axis).a1
                sums = (f"{size}+({length}-1)*{step}", "0", start)
            elif reach is None:
                # A vector stands in one column.
                length = self.at(row - 1, _SHAPE + 1).a1 if axis == 0 else "1"
                sums = (f"{size}+({length}-1)*{step}", "0", start)
            elif f"kernel_{name}" in settings:
                window = f"{places[f'dilation_{name}']}*({places[f'kernel_{name}']}-1)"
                sums = (
                    f"{size}+{window}*{step}",
                    f"{step}*{places[f'stride_{name}']}",
                    f"{start}-{places[side]}*{step}",
                )
            else:
                sums = (size, step, start)
            for offset, formula in zip((0, 2, 4), sums, strict=True):
                value = expected[offset + axis]
                yield self._sum(row, _FIELD + offset + axis, formula, value)

    def _totals(self, row: int, layers: tuple[LayerSummary, ...]) -> Iterator[GuideCell]:
        yield self.text(row, _LAYER, "total", TABLE_HEAD)
        totals = (
            sum(item.parameters for item in layers),
            sum(item.buffers for item in layers),
            sum(item.multiplications for item in layers),
            sum(item.activations for item in layers),
        )
        kept = totals[0] + totals[1] + totals[3]
        for offset, total in enumerate((*totals, _BYTES * kept)):
            area = Range(self.sheet, _FIRST + 1, _COUNTS + offset, row - _FIRST - 1).a1
            style = Style(_COUNT.number_format, bold=True, fill=TABLE_HEAD.fill)
            yield GuideCell(
                self.at(row, _COUNTS + offset), float(total), f"SUM({area})", style=style
            )

    def _sum(self, row: int, column: int, formula: str, value: int) -> GuideCell:
        cell = self.at(row, column)
        if re.fullmatch(r"-?\d+", formula):
            return GuideCell(cell, float(value), style=_COUNT)
        return GuideCell(cell, float(value), formula, style=_COUNT)

    def _places(self, row: int) -> dict[str, tuple[int, int]]:
        """Row and column of everything that a formula of a row can name."""
        lengths = ("channels", "height", "width")
        places = {name: (row, _SETTINGS + number) for number, name in enumerate(SETTINGS)}
        places |= {name: (row, _SHAPE + 1 + number) for number, name in enumerate(lengths)}
        places |= {
            f"{name}_in": (row - 1, _SHAPE + 1 + number) for number, name in enumerate(lengths)
        }
        return places | {"parameters": (row, _COUNTS)}

    def _spelled(self, formula: str, row: int) -> str:
        places = {key: self.at(*place).a1 for key, place in self._places(row).items()}
        return formula.format(**places)

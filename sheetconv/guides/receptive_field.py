"""What a unit sees: type its cell, and its pixels light up, and every unit in between.

The cell's address is taken apart by plain functions of text, so that nonsense gives words and
no error, and no volatile function is needed. Then one row a tensor says which channels, rows
and columns of it the unit depends on, each from the row of the layer that reads it: the
windows of rows a to b begin at a*stride - padding and end at b*stride - padding + size. Rules
of conditional formatting light these cells up.

What strides and dilations leave out between the first and the last cell is lit, too, and of
padding that copies cells nothing is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from ..cells import Cell, Grid, Range
from ..drawing import Style
from ..layers.base import Array
from ..layout import Layout
from ..network import Sequential
from ..palette import LIT
from ..values import Value
from .address import COLUMN_STEP, ROW_STEP, STEPS, plain_sheet, steps
from .base import (
    HEADING,
    NUMBER_HEAD,
    SAID,
    TABLE_HEAD,
    TITLE,
    UNIT_ROW,
    Given,
    Guide,
    GuideCell,
    GuidePage,
    Highlight,
    Shown,
    Validation,
    as_text,
    quoted_text,
    ref,
    table_ref,
)
from .unit_chain import Step, UnitChain, groups_of

#: Of more planes than these the table would be longer than anybody reads.
MOST_PLANES = 500

# So many units a check tries in the middles of planes, and at their corners.
_MOST_TRIED = 8
_CHOICE = (UNIT_ROW, 4)
_CHOICE_ACROSS = 5
_ANSWER_COLUMN = 10

_PARSED = 4  # row of the first step of taking the address apart
_NO_UNIT = "This is the cell of no unit"
_NOTHING = ", sees nothing of the picture"
_LIT = ("images from", "to", "channels from", "to", "rows from", "to", "columns from", "to")
# Columns of the table of tensors.
_NAME, _IMAGES, _SIZE, _WINDOW, _FOUND, _SPANS = 1, 2, 3, 6, 14, 19
_WORDS = _SPANS + len(_LIT) + 1
# Columns of the table of planes, which stands below.
_PLANE = 1
_PLANE_HEADS = (
    "tensor", "image", "channel", "worksheet", "first row", "first column", "rows", "columns",
    "row step", "column step", "holds the unit",
)  # fmt: skip
_HIT = _PLANE + len(_PLANE_HEADS) - 1


class ReceptiveFieldGuide(Guide):
    """The table of what a chosen unit sees, and the rules that light it up.

    Args:
        network, layout, sheet: as for every guide.
        values: full tensor name -> array, so that a unit is chosen at first which found much.
            Default: not known.
    """

    kind: ClassVar[str] = "field"
    invitation: ClassVar[str] = (
        "Type the cell of a unit, such as {unit}, into the yellow cell beside *unit*: what it "
        "sees is framed, from layer to layer, down to the pixels."
    )

    def __init__(
        self,
        network: Sequential,
        layout: Layout,
        sheet: str,
        values: Mapping[str, Array] | None = None,
    ) -> None:
        super().__init__(network, layout, sheet)
        self.chain = UnitChain(network, layout)
        self._values = values or {}

    # --- What there is

    def mask(self, typed: str) -> Array:
        """Which pixels light up: 1 or 0, in the input's shape, the batch first."""
        return self.chain.mask(typed)

    @property
    def _top(self) -> int:
        """The row of the first tensor, below its table's head."""
        return _PARSED + max(STEPS, len(self.suggestions)) + 4

    @property
    def _first_plane_row(self) -> int:
        return self._top + len(self.chain.steps) + 4

    @property
    def _several_sheets(self) -> bool:
        return len(self.layout.worksheets) > 1

    def _address(self, cell: Cell) -> str:
        """A cell as a person types it."""
        return str(cell) if self._several_sheets else cell.a1

    @cached_property
    def suggestions(self) -> list[str]:
        """A unit of each layer: the middle one of its first plane."""
        cells = []
        for step in self.chain.steps[1:]:
            grid = step.grids[0]
            cells.append(self._address(grid.cell(grid.height // 2, grid.width // 2)))
        return cells

    def _strongest(self, step: Step) -> str:
        """The unit of a tensor's first plane that shows the most."""
        grid = step.grids[0]
        values = self._values[step.name].reshape(-1)[: grid.size]
        return self._address(grid.cell(*divmod(int(values.argmax()), grid.width)))

    @cached_property
    def favourite(self) -> str:
        """The deepest unit that sees at most a third of the picture; else the first layer's."""
        units = self.suggestions
        if self._values:
            units = [self._strongest(step) for step in self.chain.steps[1:]]
        best = units[0]
        height, width = self.chain.steps[0].shape[1:]
        for address in units:
            spans = self.chain.spans(address)
            rows, columns = spans[0][4:6], spans[0][6:8]
            area = (rows[1] - rows[0] + 1) * (columns[1] - columns[0] + 1)
            if area * 3 <= height * width:
                best = address
        return best

    # --- The contract

    @property
    def page(self) -> GuidePage:
        columns = (
            (0, 0, 2.0),
            (1, 1, 20.0),
            (2, _PLANE + 2, 15.0),
            (_PLANE + 3, _PLANE + 3, 20.0),
            (_PLANE + 4, _SPANS + len(_LIT), 15.0),
        )
        return GuidePage(self.sheet, columns, (3, 0))

    def config(self) -> dict[str, Any]:
        return {}

    def given(self) -> dict[str, Given]:
        cell = Cell(self.home, *_CHOICE)
        grid = Grid(cell.sheet, cell.row, cell.column, 1, 1)
        return {"unit": Given(grid, (self.favourite,), across=_CHOICE_ACROSS)}

    def validations(self) -> list[Validation]:
        area = Range(self.home, *_CHOICE)
        source = Range(self.sheet, _PARSED, 8, len(self.suggestions), 1)
        message = f"The cell of a unit, such as {self.suggestions[0]}; or one of the list."
        return [Validation(area, "list", message, source, strict=False)]

    def names(self) -> dict[str, Range]:
        return {
            f"lit_{number}": Range(self.sheet, self._top + number, _SPANS, 1, len(_LIT))
            for number in range(len(self.chain.steps))
        }

    def highlights(self) -> list[Highlight]:
        # Black digits are read on every colour below.
        style = Style(frame=LIT, bold=True)
        rules = []
        for name, step in zip(self.names(), self.chain.steps, strict=True):
            count = len(step.grids) // self.layout.batch
            for channel in range(count):
                # Of all images at once, as their colour scale: programs that find two rules on
                # cells of different ranges draw one of them only.
                grids = step.grids[channel::count]
                areas = tuple(grid.bounds for grid in grids)
                rules.append(Highlight(areas, _is_lit(name, channel, grids), style))
        answer = Range(self.home, self._answer.row, self._answer.column)
        is_none = f'LEFT({answer.absolute},{len(_NO_UNIT)})="{_NO_UNIT}"'
        return [*rules, Highlight((answer,), is_none, SAID)]

    def turns(self, given: Mapping[str, tuple[Value, ...]]) -> list[dict[str, tuple[Value, ...]]]:
        corners = [
            self._address(step.grids[-1].cell(step.grids[-1].height - 1, step.grids[-1].width - 1))
            for step in self.chain.steps
        ]
        # In small letters, with dollar signs and blanks, as people type; and what is no unit.
        odd = [f" ${self.suggestions[-1].lower()} ".replace("$'", "'"), "XFD1048576", "unit", None]
        units = [*_spread(self.suggestions), *_spread(corners), *odd]
        return [{"unit": (text,)} for text in units]

    def cells(self, shown: Shown) -> Iterator[GuideCell]:
        typed = as_text(shown.given["unit"][0])
        yield from self._head(typed)
        yield self.text(0, 1, f"What a unit of {self.home} sees", TITLE)
        yield self.text(
            1,
            1,
            f"The unit is chosen on {self.home}. Each row of the table below says which cells of a "
            "tensor it depends on, from the row of the layer that reads it: first row * stride - "
            "padding, last row * stride - padding + size.",
        )
        yield from self._address_cells(typed)
        yield from self._tensor_table(typed)
        yield from self._plane_table(typed)

    # --- The tables

    def _address_cells(self, typed: str) -> Iterator[GuideCell]:
        yield self.text(_PARSED - 1, 1, "the address, taken apart", HEADING)
        source = ref(Cell(self.home, *_CHOICE), self.sheet)
        yield from steps(typed, self.home, source, self.at(_PARSED, 2))
        yield self.text(_PARSED - 1, 8, "a unit of each layer", HEADING)
        for k, address in enumerate(self.suggestions):
            yield GuideCell(self.at(_PARSED + k, 8), address)
            yield self.text(_PARSED + k, 10, self.chain.steps[k + 1].label)

    def _tensor_table(self, typed: str) -> Iterator[GuideCell]:
        top = self._top - 1
        heads = {
            _NAME: "tensor",
            _IMAGES: "images",
            _SIZE: "channels",
            _SIZE + 1: "rows",
            _SIZE + 2: "columns",
            _WINDOW: "groups",
            _WINDOW + 1: "window",
            _WINDOW + 2: "",
            _WINDOW + 3: "stride",
            _WINDOW + 4: "",
            _WINDOW + 5: "padding",
            _WINDOW + 6: "",
            _FOUND: "holds it",
            _FOUND + 1: "image",
            _FOUND + 2: "channel",
            _FOUND + 3: "row",
            _FOUND + 4: "column",
            **{_SPANS + k: text for k, text in enumerate(_LIT)},
        }
        yield self.text(top - 1, _NAME, "tensors", HEADING)
        yield self.text(top - 1, _WINDOW, "how the next layer reads it", HEADING)
        yield self.text(top - 1, _FOUND, "the unit", HEADING)
        yield self.text(top - 1, _SPANS, "what it sees", HEADING)
        yield self.text(top, _WORDS, "in words", TABLE_HEAD)
        for column, head in heads.items():
            yield self.text(top, column, head, NUMBER_HEAD if column > _NAME else TABLE_HEAD)
        unit, spans = self.chain.unit(typed), self.chain.spans(typed)
        for number, step in enumerate(self.chain.steps):
            row = self._top + number
            yield self.text(row, _NAME, step.label, HEADING)
            for column, value in ((_IMAGES, self.layout.batch), *enumerate(step.shape, _SIZE)):
                yield GuideCell(self.at(row, column), float(value))
            own = unit if unit is not None and unit[0] == number else None
            yield from self._found_cells(number, own)
            if step.reader is not None:
                yield from self._window_cells(row, step)
            yield from self._span_cells(number, spans[number])
            words, formula = self._words(number, typed)
            yield GuideCell(self.at(row, _WORDS), words, formula)

    def _window_cells(self, row: int, step: Step) -> Iterator[GuideCell]:
        layer, shape = self.chain.reader(step)
        reach = layer.reach(shape)
        numbers = [float(groups_of(layer, shape))]
        if reach is not None:
            numbers += map(float, (*reach.size, *reach.stride, *reach.padding))
        for offset, number in enumerate(numbers):
            yield GuideCell(self.at(row, _WINDOW + offset), number)
        if reach is None:
            yield self.text(row, _WINDOW + 1, "all of it")

    def _found_cells(
        self, number: int, own: tuple[int, int, int, int, int] | None
    ) -> Iterator[GuideCell]:
        """Whether the tensor holds the unit, and which of its units it is."""
        row = self._top + number
        mine = [k for k, plane in enumerate(self.chain.planes) if plane[0] == number]
        first, last = (self._first_plane_row + mine[end] for end in (0, -1))

        def column(offset: int) -> str:
            area = Range(self.sheet, first, _PLANE + offset, last - first + 1, 1)
            return area.absolute

        hits = column(_HIT - _PLANE)
        held = self.at(row, _FOUND).a1
        yield GuideCell(self.at(row, _FOUND), float(own is not None), f"SUM({hits})")
        places = own[1:] if own else (-1,) * 4
        for offset, source in ((1, 1), (2, 2)):
            formula = f"SUMPRODUCT({hits},{column(source)})"
            yield GuideCell(self.at(row, _FOUND + offset), float(places[offset - 1] + 1), formula)
        for offset, source, parsed in ((3, 4, ROW_STEP), (4, 5, COLUMN_STEP)):
            at = Range(self.sheet, _PARSED + parsed, 2).absolute
            begin, step = (f"SUMPRODUCT({hits},{column(k)})" for k in (source, source + 4))
            formula = f"IF({held}=1,({at}-{begin})/{step}+1,0)"
            yield GuideCell(self.at(row, _FOUND + offset), float(places[offset - 1] + 1), formula)

    def _span_cells(self, number: int, spans: tuple[int, ...]) -> Iterator[GuideCell]:
        """First and last of images, channels, rows and columns that the unit depends on."""
        row, step = self._top + number, self.chain.steps[number]
        held = self.at(row, _FOUND).a1
        for axis in range(4):
            own = self.at(row, _FOUND + 1 + axis).a1
            read = ("0", "0")
            if step.reader is not None:
                lit = self.at(row + 1, _SPANS + 2 * axis).a1
                read = tuple(  # type: ignore[assignment]
                    f"IF({lit}=0,0,{formula})" for formula in self._read(row, axis)
                )
            for end in (0, 1):
                place = self.at(row, _SPANS + 2 * axis + end)
                value = float(spans[2 * axis + end])
                yield GuideCell(place, value, f"IF({held}=1,{own},{read[end]})")

    def _read(self, row: int, axis: int) -> tuple[str, str]:
        """First and last of what the lit units of the next layer read of a tensor."""
        step = self.chain.steps[row - self._top]
        layer, shape = self.chain.reader(step)
        first, last = (self.at(row + 1, _SPANS + 2 * axis + end).a1 for end in (0, 1))
        if axis == 0:
            return ("1", self.at(row, _IMAGES).a1) if layer.mixes_images else (first, last)
        if axis == 1:
            inputs, groups = self.at(row, _SIZE).a1, self.at(row, _WINDOW).a1
            outputs = self.at(row + 1, _SIZE).a1
            begin, end = (f"INT(({at}-1)*{groups}/{outputs})" for at in (first, last))
            return f"{begin}*{inputs}/{groups}+1", f"({end}+1)*{inputs}/{groups}"
        length = self.at(row, _SIZE + axis - 1).a1
        if layer.reach(shape) is None:
            return "1", length
        size, stride, padding = (
            self.at(row, _WINDOW + offset + axis - 1).a1 for offset in (0, 2, 4)
        )
        # Windows that lie in the padding altogether read nothing: the first and the last that do.
        reads = f"MAX({first},1-INT(({size}-1-{padding})/{stride}))"
        until = f"MIN({last},INT(({length}-1+{padding})/{stride})+1)"
        begin = f"MAX(1,({reads}-1)*{stride}-{padding}+1)"
        end = f"MIN({length},({until}-1)*{stride}-{padding}+{size})"
        return f"IF({reads}>{until},0,{begin})", f"IF({reads}>{until},0,{end})"

    def _plane_table(self, typed: str) -> Iterator[GuideCell]:
        first = self._first_plane_row
        yield self.text(first - 2, _PLANE, "planes: the one that holds the unit has a 1", HEADING)
        for offset, head in enumerate(_PLANE_HEADS):
            is_text = head in ("tensor", "worksheet")
            style = TABLE_HEAD if is_text else NUMBER_HEAD
            yield self.text(first - 1, _PLANE + offset, head, style)
        hit = self.chain.plane_of(typed)
        sheet, row, column = (Range(self.sheet, _PARSED + k, 2).absolute for k in (3, 10, 11))
        for number, (tensor, image, channel, grid) in enumerate(self.chain.planes):
            at = first + number
            yield self.text(at, _PLANE, self.chain.steps[tensor].label)
            yield GuideCell(self.at(at, _PLANE + 3), plain_sheet(grid.sheet))
            places = (
                (1, image + 1), (2, channel + 1), (4, grid.row + 1), (5, grid.column + 1),
                (6, grid.height), (7, grid.width), (8, grid.row_step), (9, grid.column_step),
            )  # fmt: skip
            for offset, value in places:
                yield GuideCell(self.at(at, _PLANE + offset), float(value))
            a1 = [self.at(at, _PLANE + offset).a1 for offset in range(len(_PLANE_HEADS))]
            tests = [f"{sheet}={a1[3]}"]
            for place, begin, count, step in ((row, 4, 6, 8), (column, 5, 7, 9)):
                tests += [
                    f"{place}>={a1[begin]}",
                    f"{place}<={a1[begin]}+({a1[count]}-1)*{a1[step]}",
                    f"MOD({place}-{a1[begin]},{a1[step]})=0",
                ]
            formula = f"IF(AND({','.join(tests)}),1,0)"
            yield GuideCell(self.at(at, _HIT), float(hit == number), formula)

    # --- The head of the network's worksheet

    def _words(self, number: int, typed: str) -> tuple[str, str]:
        """What is said of a unit of a tensor, and its formula, on the guide's own worksheet."""
        row, label = self._top + number, self.chain.steps[number].label
        what, words = [quoted_text(f"{label}: ")], f"{label}: "
        unit, spans = self.chain.unit(typed), self.chain.spans(typed)[0]
        places = [0, 0, 0, 0]
        if unit is not None and unit[0] == number:
            places = [place + 1 for place in unit[1:]]
        if self.layout.batch > 1:
            what += ['"image "', self.at(row, _FOUND + 1).a1, '", "']
            words += f"image {places[0]}, "
        for offset, word in ((2, "channel "), (3, ", row "), (4, ", column ")):
            what += [quoted_text(word), self.at(row, _FOUND + offset).a1]
            words += f"{word}{places[offset - 1]}"
        if not number:
            return words, "&".join(what)
        first = [self.at(self._top, _SPANS + offset).a1 for offset in range(len(_LIT))]
        seen = [
            '", sees rows "', first[4], '" to "', first[5],
            '", columns "', first[6], '" to "', first[7], '" of the picture"',
        ]  # fmt: skip
        what.append(f'IF(OR({first[4]}=0,{first[6]}=0),"{_NOTHING}",{"&".join(seen)})')
        rows, columns = spans[4:6], spans[6:8]
        sees = (
            f", sees rows {rows[0]} to {rows[1]}, columns {columns[0]} to {columns[1]} of the "
            "picture"
        )
        return words + (sees if rows[0] and columns[0] else _NOTHING), "&".join(what)

    @property
    def _no_unit(self) -> str:
        return f"{_NO_UNIT}: type one such as {self.suggestions[0]}, or choose one."

    def _head(self, typed: str) -> Iterator[GuideCell]:
        """The label of the yellow cell, and in words what is chosen there."""
        yield GuideCell(Cell(self.home, UNIT_ROW, 1), "unit", style=HEADING)
        count = len(self.chain.steps)
        held = Range(self.sheet, self._top, _FOUND, count, 1)
        words = Range(self.sheet, self._top, _WORDS, count, 1)
        found, said = (table_ref(area, self.home) for area in (held, words))
        formula = (
            f"IF(SUM({found})=0,{quoted_text(self._no_unit)},INDEX({said},MATCH(1,{found},0)))"
        )
        unit = self.chain.unit(typed)
        value = self._no_unit if unit is None else self._words(unit[0], typed)[0]
        style = Style(bold=True, colour=LIT)
        yield GuideCell(self._answer, value, formula, style=style)

    @property
    def _answer(self) -> Cell:
        return Cell(self.home, UNIT_ROW, _ANSWER_COLUMN)


def _spread(units: list[str]) -> list[str]:
    """Some units of deep networks, from the first layer to the last."""
    step = -(-len(units) // _MOST_TRIED)
    return [*units[:-1:step], units[-1]]


def _is_lit(name: str, channel: int, grids: Sequence[Grid]) -> str:
    """Whether a unit of some images' planes is among those of a defined name, as a formula.

    Args:
        name: of first and last of images, channels, rows and columns.
        channel: which one the planes are, from 0.
        grids: the plane of each image, at equal distances.
    """
    first = grids[0]
    image, row = "1", f"ROW()-{first.row + 1}"
    if len(grids) > 1:
        pitch = grids[1].row - first.row
        image, row = f"INT(({row})/{pitch})+1", f"MOD({row},{pitch})"
    column = f"COLUMN()-{first.column + 1}"
    places = (
        image, str(channel + 1), _counted(row, first.row_step), _counted(column, first.column_step)
    )  # fmt: skip
    tests = [
        f"{place}{sign}INDEX({name},1,{2 * axis + end + 1})"
        for axis, place in enumerate(places)
        for end, sign in enumerate((">=", "<="))
    ]
    steps = ((row, first.row_step), (column, first.column_step))
    tests += [f"MOD({offset},{step})=0" for offset, step in steps if step > 1]
    return f"AND({','.join(tests)})"


def _counted(offset: str, step: int) -> str:
    """The number of a unit, from 1, by its distance from the first one."""
    return f"{offset}+1" if step == 1 else f"({offset})/{step}+1"

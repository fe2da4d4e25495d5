"""From a network and a drawing to a layout: every tensor gets its cells.

Planes run left to right in the order of the layers, and channels downwards; a kernel
stands beside the plane that it makes.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from .cells import (
    MAX_COLUMNS,
    MAX_ROWS,
    Cell,
    Grid,
    Range,
    check_sheet_name,
    column_name,
    parse_cell,
    parse_range,
)
from .drawing import BLUE_WHITE_RED, WHITE_TO_RED, Columns, Drawing, Style, Text
from .errors import LayoutError
from .formulas import Placed, Role, Shape
from .layers.base import Arrangement, Border, Layer, Tensor
from .layout import BorderCells, ColourScale, SheetLayout, Stage, stages_of
from .network import Sequential
from .overlaps import check_overlaps, grown

_TOP = 3  # first row of planes: below title, shape, and a row of labels
_GAP = 2  # blank columns between blocks
_PLANE_WIDTH, _WEIGHT_WIDTH = 4.9, 5.6  # characters: -12.3 and -0.12
# One decimal where it fits a narrow column, none where it would not. Programs take off the
# sign of a section whose condition holds for negative numbers alone: it is written out.
_ACTIVATION_FORMAT = "[>=100]0;[<0]-0.0;0.0"
_WEIGHT_FORMAT = "0.00"


def lay_out(
    network: Sequential,
    input_shape: Shape,
    drawing: Drawing | None = None,
    *,
    signed_input: bool = False,
) -> SheetLayout:
    """Give every tensor of a network its cells.

    Args:
        network: the layers.
        input_shape: (channels, height, width) of one image.
        drawing: what to pin and how to draw. Default: `Drawing()`.
        signed_input: whether the image has negative numbers, which are then blue. Default
            False.

    Raises:
        ShapeError: the layers do not fit each other or the input.
        LayoutError: the network does not fit a worksheet, or things overlap.

    Example:
        >>> from sheetconv import Conv2d, Sequential
        >>> layout = lay_out(Sequential(Conv2d(1, 1, 3)), (1, 5, 5))
        >>> layout.placed["conv1.out"].grids[0].bounds.a1
        'N4:P6'
    """
    drawing = drawing or Drawing()
    check_sheet_name(drawing.worksheet)
    flow = _Flow(network, input_shape, drawing, signed_input)
    flow.run()
    layout = flow.finished()
    _check_limits(layout)
    check_overlaps(layout, flow.moats)
    return layout


class _Flow:
    """The state of laying out one sheet: a cursor that moves right."""

    def __init__(
        self, network: Sequential, input_shape: Shape, drawing: Drawing, signed_input: bool
    ) -> None:
        self.network = network
        self.input_shape = input_shape
        self.drawing = drawing
        self.stages = stages_of(network, input_shape, drawing.fuse)
        self.placed: dict[str, Placed] = {}
        self.styles: dict[str, Style] = {}
        self.moats: dict[str, Border] = {}
        self.wide: list[tuple[int, int]] = []
        self.texts: list[Text] = []
        self.scales: list[ColourScale] = []
        self.column = 1
        #: Tensors that may hold negative numbers.
        self.signed = {"input"} if signed_input else set[str]()
        self._check_names()

    def _check_names(self) -> None:
        known = {"input"}
        for stage in self.stages:
            tensors = self.network.layers[stage.name].tensors(stage.input_shape)
            known |= {f"{stage.name}.{tensor.name}" for tensor in tensors}
        given = {*self.drawing.anchors, *self.drawing.number_formats, *self.drawing.styles}
        if unknown := sorted(given - known):
            raise LayoutError(
                f"the drawing names a tensor {unknown[0]!r} that the network does not draw: "
                f"it draws {', '.join(sorted(known))}"
            )
        if unknown := sorted(self.drawing.aligned - {stage.name for stage in self.stages}):
            raise LayoutError(
                f"the drawing aligns a layer {unknown[0]!r} that is not drawn: "
                f"drawn are {', '.join(stage.name for stage in self.stages)}"
            )

    def run(self) -> None:
        shape = self.input_shape
        arrangement: Arrangement = "planes" if len(shape) == 3 else "vector"
        if len(shape) not in (1, 3):
            raise LayoutError(
                f"the input has shape {shape}: expected (channels, height, width) or (features,)"
            )
        image = Tensor("input", shape, Role.INPUT, arrangement)
        self.moats["input"] = self._moat(0)
        self._planes("input", image, (1, 1), "Input", ())
        for number, stage in enumerate(self.stages):
            self.moats[stage.out] = self._moat(number + 1)
            self._find_sign(stage)
            self._stage(stage)

    def _find_sign(self, stage: Stage) -> None:
        nonnegative = stage.source not in self.signed
        for name in (stage.name, *stage.fused):
            nonnegative = self.network.layers[name].nonnegative(nonnegative)
        if not nonnegative:
            self.signed.add(stage.out)

    def _moat(self, number: int) -> Border:
        """What the stage of that number needs around its input."""
        if number == len(self.stages):
            return Border()
        stage = self.stages[number]
        return self.network.layers[stage.name].border(stage.input_shape)

    def _stage(self, stage: Stage) -> None:
        layer = self.network.layers[stage.name]
        for tensor in layer.tensors(stage.input_shape):
            full = f"{stage.name}.{tensor.name}"
            if tensor.arrangement in ("planes", "vector"):
                title = self._title(stage, layer) if tensor.name == "out" else tensor.label
                rows = self._rows(stage, layer, tensor)
                self._planes(full, tensor, self._steps(stage), title, rows)
            elif tensor.arrangement == "kernels":
                out = layer.tensors(stage.input_shape)[-1]
                rows = self._rows(stage, layer, out)
                self._kernels(full, tensor, rows, self._spread(stage, tensor))
            elif tensor.arrangement == "dense":
                self._dense(full, tensor, stage)
            elif tensor.arrangement == "scalars":
                self._scalars(full, tensor, stage, layer)
            elif tensor.arrangement == "below":
                self._below(full, tensor, stage)
            else:
                self._single(full, tensor)

    def _title(self, stage: Stage, layer: Layer) -> str:
        number = stage.name.removeprefix(layer.stem)
        own = f"{layer.title}{number}" if number.isdigit() else stage.name
        return " + ".join((own, *(self.network.layers[name].title for name in stage.fused)))

    def _steps(self, stage: Stage) -> tuple[int, int]:
        """Rows and columns between units of a stage's output."""
        aligned = stage.name in self.drawing.aligned
        return self.network.layers[stage.name].steps() if aligned else (1, 1)

    def _pitch(self, stage: Stage, layer: Layer) -> int:
        """Rows that one output plane needs with all that stands around it."""
        tensors = layer.tensors(stage.input_shape)
        out, moat, step = tensors[-1].shape, self.moats[stage.out], self._steps(stage)[0]
        plane = (out[1] - 1) * step + 1 + (moat.top + moat.bottom + moat.past_bottom) * step
        beside = below = 0
        for tensor in tensors:
            if tensor.arrangement == "kernels":
                height = (tensor.shape[2] - 1) * self._spread(stage, tensor)[0] + 1
                beside += 1 + tensor.shape[1] * (height + 1)
            elif tensor.arrangement == "scalars":
                beside += 3
            elif tensor.arrangement == "below":
                below += 1
        return max(plane + below, beside) + 2

    def _rows(self, stage: Stage, layer: Layer, tensor: Tensor) -> tuple[int, ...]:
        """First rows of a layer's planes: beside its input's where these leave room."""
        if tensor.arrangement == "vector":
            return (_TOP,)
        pitch = self._pitch(stage, layer)
        top = _TOP + self.moats[stage.out].top * self._steps(stage)[0]
        source = [grid.row for grid in self.placed[stage.source].grids]
        apart = min((b - a for a, b in pairwise(source)), default=pitch)
        if len(source) == tensor.shape[0] and apart >= pitch:
            down = max(0, top - source[0])
            return tuple(row + down for row in source)
        return tuple(top + c * pitch for c in range(tensor.shape[0]))

    def _anchor(self, full: str, chosen: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Rows and columns of a tensor's grids: the template's where it gives them."""
        given = self.drawing.anchors.get(full)
        if given is None:
            return chosen
        if len(given) != len(chosen):
            raise LayoutError(
                f"{full} has {len(given)} anchors: expected {len(chosen)}, the first cell of "
                "each of its planes"
            )
        cells = [parse_cell(text, self.drawing.worksheet) for text in given]
        return [(cell.row, cell.column) for cell in cells]

    def _text(self, row: int, column: int, text: str, bold: bool = False) -> None:
        style = Style(bold=bold) if bold else Style(colour="#7F7F7F")
        self.texts.append(Text(Cell("", row, column).a1, text, style))

    def _place(self, full: str, tensor: Tensor, grids: list[Grid], default_format: str) -> None:
        self.placed[full] = Placed(tensor.shape, tensor.role, tuple(grids))
        number_format = tensor.number_format or default_format
        if number_format == _WEIGHT_FORMAT:
            self.wide += [(grid.column, grid.bounds.last_column) for grid in grids]
        style = self.drawing.styles.get(full, Style(number_format))
        if full in self.drawing.number_formats:
            style = replace(style, number_format=self.drawing.number_formats[full])
        self.styles[full] = style

    def _planes(
        self, full: str, tensor: Tensor, steps: tuple[int, int], title: str, rows: tuple[int, ...]
    ) -> None:
        if tensor.arrangement == "vector":
            count, height, width = 1, tensor.shape[0], 1
            steps = (1, 1)
        else:
            count, height, width = tensor.shape
        moat = self.moats.get(full, Border())
        column = self.column + moat.left * steps[1]
        if not rows:
            pitch = height + moat.top + moat.bottom + moat.past_bottom + 2
            rows = tuple(_TOP + moat.top + c * pitch for c in range(count))
        anchors = self._anchor(full, [(row, column) for row in rows])
        sheet = self.drawing.worksheet
        grids = [Grid(sheet, row, col, height, width, *steps) for row, col in anchors]
        param = tensor.role is Role.PARAM
        self._place(full, tensor, grids, _WEIGHT_FORMAT if param else _ACTIVATION_FORMAT)
        self._text(0, self.column, title, bold=True)
        self._text(1, self.column, " x ".join(map(str, tensor.shape)))
        colours = BLUE_WHITE_RED if param or full in self.signed else WHITE_TO_RED
        self.scales += [ColourScale((grid.bounds,), colours) for grid in grids]
        past = moat.right + moat.past_right
        self.column = max(grid.bounds.last_column for grid in grids) + past * steps[1] + 1 + _GAP

    def _spread(self, stage: Stage, tensor: Tensor) -> tuple[int, int]:
        """Rows and columns between the cells of a kernel: as between those that it meets."""
        plane = self.placed[stage.source].grids[0]
        return (tensor.spread[0] * plane.row_step, tensor.spread[1] * plane.column_step)

    def _kernels(
        self, full: str, tensor: Tensor, rows: tuple[int, ...], spread: tuple[int, int]
    ) -> None:
        _, in_channels, height, width = tensor.shape
        apart = (height - 1) * spread[0] + 2
        chosen = []
        for o, top in enumerate(rows):
            self._text(top, self.column, f"{tensor.label} {o + 1}")
            chosen += [(top + 1 + c * apart, self.column) for c in range(in_channels)]
        grids = [
            Grid(self.drawing.worksheet, row, column, height, width, *spread)
            for row, column in self._anchor(full, chosen)
        ]
        self._place(full, tensor, grids, _WEIGHT_FORMAT)
        self.scales.append(ColourScale(tuple(grid.bounds for grid in grids), BLUE_WHITE_RED))
        self.column = max(grid.bounds.last_column for grid in grids) + 1 + _GAP

    def _scalars(self, full: str, tensor: Tensor, stage: Stage, layer: Layer) -> None:
        """One cell a channel: below its kernels, left of its plane."""
        kernels = self.placed[f"{stage.name}.weight"]
        depth = kernels.shape[1]
        chosen = []
        for o in range(tensor.shape[0]):
            last = kernels.grids[(o + 1) * depth - 1].bounds
            self._text(last.last_row + 2, last.column, tensor.label)
            chosen.append((last.last_row + 3, last.column))
        self._cells(full, tensor, chosen)

    def _below(self, full: str, tensor: Tensor, stage: Stage) -> None:
        """One cell a channel, below the last planes drawn: a list with labels."""
        *_, planes = (
            p for k, p in self.placed.items() if k.startswith(f"{stage.name}.") and p.shape[1:]
        )
        already = sum(
            len(p.shape) == 1 for k, p in self.placed.items() if k.startswith(f"{stage.name}.")
        )
        chosen = []
        for grid in planes.grids:
            row = grid.bounds.last_row + 1 + already
            chosen.append((row, grid.column + 4))
            self._text(row, grid.column, tensor.label)
        self._cells(full, tensor, chosen)
        last = max(grid.column for grid in self.placed[full].grids)
        self.column = max(self.column, last + 1 + _GAP)

    def _single(self, full: str, tensor: Tensor) -> None:
        self._text(_TOP, self.column, tensor.label)
        self._cells(full, tensor, [(_TOP + 1, self.column)])
        self.column = self.placed[full].grids[0].column + 1 + _GAP

    def _cells(self, full: str, tensor: Tensor, chosen: list[tuple[int, int]]) -> None:
        anchors = self._anchor(full, chosen)
        sheet = self.drawing.worksheet
        grids = [Grid(sheet, row, column, 1, 1) for row, column in anchors]
        self._place(full, tensor, grids, _WEIGHT_FORMAT)

    def _dense(self, full: str, tensor: Tensor, stage: Stage) -> None:
        """For each output a copy of the input's arrangement, one beside the other."""
        source = self.placed[stage.source].grids
        left = min(grid.column for grid in source)
        span = max(grid.bounds.last_column for grid in source) - left + 1
        apart = span + (1 if span > 1 else 0)
        outputs = tensor.shape[0]
        chosen = [
            (grid.row, self.column + k * apart + grid.column - left)
            for k in range(outputs)
            for grid in source
        ]
        grids = [
            replace(grid, sheet=self.drawing.worksheet, row=row, column=column)
            for (row, column), grid in zip(
                self._anchor(full, chosen), source * outputs, strict=True
            )
        ]
        self._place(full, tensor, grids, _WEIGHT_FORMAT)
        self._text(
            0, self.column, f"{self._title(stage, self.network.layers[stage.name])} weights", True
        )
        self._text(1, self.column, " x ".join(map(str, tensor.shape)))
        if outputs > 1:
            for k in range(outputs):
                self._text(2, self.column + k * apart, str(k))
        self.scales.append(ColourScale(tuple(grid.bounds for grid in grids), BLUE_WHITE_RED))
        self.column = max(grid.bounds.last_column for grid in grids) + 1 + _GAP

    def _free_texts(self) -> list[Text]:
        """The titles and labels, without those whose place a pinned tensor took."""
        if not self.drawing.anchors:
            return self.texts
        taken = [
            grown(grid, self.moats.get(name, Border()), past=True)
            for name, placed in self.placed.items()
            for grid in placed.grids
        ]
        sheet = self.drawing.worksheet
        return [
            text
            for text in self.texts
            if not any(parse_range(text.cell, sheet).overlaps(area) for area in taken)
        ]

    def finished(self) -> SheetLayout:
        drawing = self.drawing
        if drawing.texts is None:
            drawing = replace(drawing, texts=tuple(self._free_texts()))
        if drawing.default_width is None and drawing.columns is None:
            columns = tuple(
                Columns(f"{column_name(first)}:{column_name(last)}", _WEIGHT_WIDTH)
                for first, last in _merged(self.wide)
            )
            drawing = replace(drawing, default_width=_PLANE_WIDTH, columns=columns)
        scales = tuple(self.scales)
        if drawing.colour_scales is not None:
            scales = tuple(
                ColourScale(
                    tuple(parse_range(text, drawing.worksheet) for text in ranges.split()),
                    WHITE_TO_RED,
                )
                for ranges in drawing.colour_scales
            )
        return SheetLayout(
            drawing,
            self.input_shape,
            self.stages,
            self.placed,
            self.styles,
            tuple(self._borders()),
            scales,
        )

    def _borders(self) -> list[BorderCells]:
        borders = []
        for full, moat in self.moats.items():
            if not (moat.left or moat.right or moat.top or moat.bottom):
                continue
            if self.drawing.border == "blank" and not moat.counts:
                continue
            for grid in self.placed[full].grids:
                bounds, (rows, columns) = grid.bounds, (grid.row_step, grid.column_step)
                outer = grown(grid, moat, past=False)
                height, width = bounds.height, moat.left * columns
                sides = [
                    Range(grid.sheet, outer.row, outer.column, moat.top * rows, outer.width),
                    Range(grid.sheet, bounds.row, outer.column, height, width),
                    Range(
                        grid.sheet, bounds.row, bounds.last_column + 1, height, moat.right * columns
                    ),
                    Range(
                        grid.sheet,
                        bounds.last_row + 1,
                        outer.column,
                        moat.bottom * rows,
                        outer.width,
                    ),
                ]
                borders += [BorderCells(s, moat.zeros) for s in sides if s.height and s.width]
        return borders


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of columns, sorted, those that touch or overlap made one."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(set(spans)):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _check_limits(layout: SheetLayout) -> None:
    rows = columns = 0
    for placed in layout.placed.values():
        for grid in placed.grids:
            rows = max(rows, grid.bounds.last_row + 1)
            columns = max(columns, grid.bounds.last_column + 1)
    if rows > MAX_ROWS or columns > MAX_COLUMNS:
        units = sum(placed.size for placed in layout.placed.values())
        raise LayoutError(
            f"the network needs {rows:,} rows and {columns:,} columns for its {units:,} cells, "
            f"and a worksheet has {MAX_ROWS:,} and {MAX_COLUMNS:,}: use smaller images, fewer "
            "channels or fewer outputs"
        )

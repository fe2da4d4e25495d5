"""Where planes go: left to right in the order of the layers, channels downwards.

A kernel stands beside the plane that it makes. The images of a batch are blocks, one
below the other; what they share stands beside the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil

from .cells import MAX_COLUMNS, Cell, Grid, Range, parse_cell
from .drawing import Drawing, Style
from .errors import LayoutError
from .formulas import Role, Shape
from .frames import frame_grids
from .layers.base import Arrangement, Border, Tensor
from .layout import (
    ColourScale,
    SheetText,
    Stage,
    border_style,
    drawn_tensors,
    stages_of,
)
from .network import Sequential
from .pages import page_names
from .palette import ACTIVATIONS, FRAME, LABEL, PIXELS, SIGNED, TINTS
from .spacing import TOP, Spacing
from .spelling import suggestion

GAP = 2  # blank columns between blocks
_TITLE_LETTERS = 4.0  # bold ones that a column of a plane is wide
FIRST_IMAGE = "image 1"  # the copies below have numbers of their own
_LEARNED = (Role.PARAM, Role.BUFFER)


@dataclass(slots=True)
class Page:
    """A worksheet that fills up.

    Attributes:
        name: the worksheet's.
        texts, scales: what it shows, and whether each image of the batch has its own.
        wide: first and last columns of tensors whose numbers need room.
    """

    name: str
    texts: list[tuple[SheetText, bool]] = field(default_factory=list)
    scales: list[tuple[ColourScale, bool]] = field(default_factory=list)
    wide: list[tuple[int, int]] = field(default_factory=list)


class Flow:
    """The state of laying out one network: a cursor that moves right, and to the next page.

    While it runs, grids are those of the first image; `blocks` repeats them.

    Args:
        network: the layers.
        input_shape: of one image.
        drawing: what to pin and how to draw.
        batch: how many images.
        signed_input: whether the image has negative numbers.
        per_layer: whether each stage has a worksheet of its own.

    Raises:
        LayoutError: the drawing names what there is not, or the network cannot be drawn.
    """

    def __init__(
        self,
        network: Sequential,
        input_shape: Shape,
        drawing: Drawing,
        batch: int,
        signed_input: bool,
        per_layer: bool,
    ) -> None:
        self.network = network
        self.input_shape = input_shape
        self.drawing = drawing
        self.batch = batch
        self.per_layer = per_layer
        self.stages = stages_of(network, input_shape, drawing.fuse)
        self.tensors: dict[str, Tensor] = {}
        self.grids: dict[str, list[Grid]] = {}
        self.styles: dict[str, Style] = {}
        #: Tensors whose number format follows from their numbers.
        self.unformatted: set[str] = set()
        #: Full name of a tensor -> what the layer that reads it needs around its planes.
        self.moats: dict[str, Border] = {}
        #: Tensors that stand on the padding of others.
        self.framing: set[str] = set()
        self.spacing = Spacing(network, drawing, self.moats, self.grids, per_layer)
        self.pages = [Page(drawing.worksheet)]
        self.column = 1
        #: Tensors that may hold negative numbers.
        self.signed = {"input"} if signed_input else set[str]()
        self._check_names()
        self._run()

    @property
    def page(self) -> Page:
        return self.pages[-1]

    def _check_names(self) -> None:
        tensors = drawn_tensors(self.network, self.stages)
        known = {"input", *(f"{stage.name}.{tensor.name}" for stage, tensor in tensors)}
        given = {*self.drawing.anchors, *self.drawing.number_formats, *self.drawing.styles}
        if unknown := sorted(given - known):
            raise LayoutError(
                f"the drawing names a tensor {unknown[0]!r} that the network does not draw"
                f"{suggestion(unknown[0], sorted(known))}"
            )
        drawn = [stage.name for stage in self.stages]
        if unknown := sorted(self.drawing.aligned - set(drawn)):
            raise LayoutError(
                f"the drawing aligns a layer {unknown[0]!r} that is not drawn"
                f"{suggestion(unknown[0], drawn)}"
            )

    def _run(self) -> None:
        shape = self.input_shape
        arrangement: Arrangement = "planes" if len(shape) == 3 else "vector"
        if len(shape) not in (1, 3):
            raise LayoutError(
                f"the input has shape {shape}: expected (channels, height, width) or (features,)"
            )
        self.moats["input"] = self._moat(0)
        self._planes("input", Tensor("input", shape, Role.INPUT, arrangement), (1, 1), "Input", ())
        self._name_images()
        names = self._names_of_pages()
        for number, stage in enumerate(self.stages, 1):
            self.moats[stage.out] = self._moat(number)
            self._find_sign(stage)
            if self.per_layer:
                self.pages.append(Page(names[number]))
                self.column = 1
            self._stage(stage)
            if self.per_layer and self.batch > 1:
                first, moat = self.grids[stage.out][0], self.moats[stage.out]
                row = first.row - moat.top * first.row_step - 1
                column = first.column - moat.left * first.column_step
                self._text(row, column, FIRST_IMAGE, batched=True)
        if self.drawing.classes:
            self._name_classes(self.stages[-1].out)

    def _names_of_pages(self) -> list[str]:
        layers = [stage.name for stage in self.stages] if self.per_layer else []
        return page_names(self.drawing.worksheet, layers)

    def _name_images(self) -> None:
        first = self.grids["input"][0]
        top = first.row - self.moats["input"].top - 1
        column = first.column - self.moats["input"].left
        if self.batch > 1:
            self._text(top, column, FIRST_IMAGE, batched=True)
        if len(self.grids["input"]) == len(TINTS):
            for grid, name in zip(self.grids["input"], TINTS, strict=True):
                row = grid.row - self.moats["input"].top - 1
                after = 2 if self.batch > 1 and row == top else 0
                self._text(row, grid.column + after, name, batched=True)

    def _name_classes(self, full: str) -> None:
        """The names of the classes, right of the outputs."""
        names, shape, (*_, grid) = self.drawing.classes, self.tensors[full].shape, self.grids[full]
        if shape != (len(names),):
            raise LayoutError(
                f"classes has {len(names)} names, and the network's output the shape {shape}: "
                "expected one name for each output of a dense layer or a softmax"
            )
        for k, name in enumerate(names):
            cell = grid.cell(k, 0)
            self._text(cell.row, cell.column + 1, name, batched=True)

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
        for tensor in self.spacing.tensors(stage):
            full = f"{stage.name}.{tensor.name}"
            self.tensors[full] = tensor
            if tensor.arrangement in ("planes", "vector"):
                title = self._title(stage) if tensor.name == "out" else tensor.label
                rows = self.spacing.rows(stage, tensor)
                self._planes(full, tensor, self.spacing.steps(stage), title, rows)
            elif tensor.arrangement == "kernels":
                self._kernels(full, tensor, stage)
            elif tensor.arrangement == "dense":
                self._dense(full, tensor, stage)
            elif tensor.arrangement == "scalars":
                self._scalars(full, tensor, stage)
            elif tensor.arrangement == "below":
                self._below(full, tensor, stage)
            elif tensor.arrangement == "border":
                self._border(full, tensor, stage)
            else:
                self._single(full, tensor)

    def _title(self, stage: Stage) -> str:
        fused = (self.network.layers[name].title for name in stage.fused)
        return " + ".join((self._own_title(stage), *fused))

    def _own_title(self, stage: Stage) -> str:
        layer = self.network.layers[stage.name]
        number = stage.name.removeprefix(layer.stem)
        return f"{layer.title}{number}" if number.isdigit() else stage.name

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

    def _text(
        self,
        row: int,
        column: int,
        text: str,
        *,
        bold: bool = False,
        small: bool = False,
        batched: bool = False,
    ) -> None:
        style = (
            Style(bold=bold)
            if bold
            else Style(colour=LABEL, size=self.drawing.digits if small else None)
        )
        cell = Cell(self.page.name, row, column)
        self.page.texts.append((SheetText(cell, text, style), batched))

    def _place(self, full: str, tensor: Tensor, grids: list[Grid]) -> None:
        self.tensors[full], self.grids[full] = tensor, grids
        if tensor.arrangement not in ("planes", "kernels", "dense"):
            self.page.wide += [(grid.column, grid.bounds.last_column) for grid in grids]
        is_given = full in self.drawing.styles or full in self.drawing.number_formats
        if tensor.number_format is None and not is_given:
            self.unformatted.add(full)
        framed = tensor.role in _LEARNED and tensor.arrangement in ("kernels", "scalars")
        style = Style(
            tensor.number_format or "General",
            size=self.drawing.digits,
            frame=FRAME if framed and not self.drawing.is_pinned else None,
        )
        self.styles[full] = self._style(full, style)

    def _style(self, full: str, default: Style) -> Style:
        """A tensor's looks: the drawing's, where it gives them."""
        style = self.drawing.styles.get(full, default)
        if full in self.drawing.number_formats:
            style = replace(style, number_format=self.drawing.number_formats[full])
        return style

    def _colour(self, ranges: list[Range], colours: tuple[str, ...], batched: bool) -> None:
        self.page.scales.append((ColourScale(tuple(ranges), colours), batched))

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
            rows = tuple(TOP + moat.top + c * pitch for c in range(count))
        anchors = self._anchor(full, [(row, column) for row in rows])
        grids = [Grid(self.page.name, row, col, height, width, *steps) for row, col in anchors]
        self._place(full, tensor, grids)
        free = self._titled(title, tensor)
        colours: tuple[str, ...] = PIXELS if full == "input" else ACTIVATIONS
        if tensor.role in _LEARNED or full in self.signed:
            colours = SIGNED
        tints = list(TINTS.values()) if full == "input" and count == len(TINTS) else []
        for number, grid in enumerate(grids):
            tinted = tints[number] if tints and full not in self.signed else colours
            self._colour([grid.bounds], tinted, tensor.batched)
        past = moat.right + moat.past_right
        last = max(grid.bounds.last_column for grid in grids) + past * steps[1]
        self.column = max(last + 1 + GAP, free)

    def _titled(self, title: str, tensor: Tensor) -> int:
        """Write title and shape at the cursor; the first column that the title leaves free."""
        self._text(0, self.column, title, bold=True)
        self._text(1, self.column, " x ".join(map(str, tensor.shape)))
        return self.column + ceil(len(title) / _TITLE_LETTERS) + 1

    def _kernels(self, full: str, tensor: Tensor, stage: Stage) -> None:
        """Beside the planes that they make, those of one output below each other."""
        _, in_channels, height, width = tensor.shape
        spread = self.spacing.spread(stage, tensor)
        downwards = self.spacing.kernels_down(stage, tensor)
        apart, across = (height - 1) * spread[0] + 2, (width - 1) * spread[1] + 2
        is_rgb = stage.source == "input" and in_channels == len(TINTS) == self.input_shape[0]
        colours = list(TINTS) if is_rgb else []
        chosen = []
        for o, top in enumerate(self.spacing.rows(stage, self.spacing.tensors(stage)[-1])):
            first = f", {colours[0]}" if colours else ""
            self._text(top, self.column, f"{tensor.label} {o + 1}{first}")
            for c in range(in_channels):
                right, below = divmod(c, downwards)
                chosen.append((top + 1 + below * apart, self.column + right * across))
                if c:
                    words = colours[c] if colours else f"ch {c + 1}"
                    self._text(chosen[-1][0] - 1, chosen[-1][1], words, small=True)
        grids = [
            Grid(self.page.name, row, column, height, width, *spread)
            for row, column in self._anchor(full, chosen)
        ]
        self._place(full, tensor, grids)
        self._colour([grid.bounds for grid in grids], SIGNED, False)
        self.column = max(grid.bounds.last_column for grid in grids) + 1 + GAP

    def _scalars(self, full: str, tensor: Tensor, stage: Stage) -> None:
        """One cell a channel, left of its plane: below its kernels, or in a list with labels."""
        kernels = self.grids.get(f"{stage.name}.weight", [])
        if kernels and self.tensors[f"{stage.name}.weight"].arrangement == "kernels":
            depth = len(kernels) // tensor.shape[0]
            chosen = []
            for o in range(tensor.shape[0]):
                own = [grid.bounds for grid in kernels[o * depth : (o + 1) * depth]]
                row = max(area.last_row for area in own) + 2
                self._text(row, own[0].column, tensor.label)
                chosen.append((row + 1, own[0].column))
            self._cells(full, tensor, chosen)
            return
        tensors = self.spacing.tensors(stage)
        listed = [item.name for item in tensors if item.arrangement == "scalars"]
        number = listed.index(tensor.name)
        rows = self.spacing.rows(stage, tensors[-1])
        for row in rows:
            self._text(row + number, self.column, tensor.label, batched=tensor.batched)
        self._cells(full, tensor, [(row + number, self.column + 2) for row in rows])
        if number == len(listed) - 1:
            self.column += 3 + GAP

    def _below(self, full: str, tensor: Tensor, stage: Stage) -> None:
        """One cell a channel, below the last planes drawn: a list with labels."""
        own = [name for name in self.grids if name.startswith(f"{stage.name}.")]
        drawn = [n for n in own if self.tensors[n].arrangement in ("planes", "vector")]
        already = sum(self.tensors[name].arrangement == "below" for name in own)
        chosen = []
        for grid in self.grids[drawn[-1]]:
            row = grid.bounds.last_row + 1 + already
            chosen.append((row, grid.column + 4))
            self._text(row, grid.column, tensor.label, batched=tensor.batched)
        self._cells(full, tensor, chosen)
        last = max(grid.column for grid in self.grids[full])
        self.column = max(self.column, last + 1 + GAP)

    def _single(self, full: str, tensor: Tensor) -> None:
        self._text(TOP, self.column, tensor.label, batched=tensor.batched)
        self._cells(full, tensor, [(TOP + 1, self.column)])
        self.column = self.grids[full][0].column + 1 + GAP

    def _cells(self, full: str, tensor: Tensor, chosen: list[tuple[int, int]]) -> None:
        anchors = self._anchor(full, chosen)
        grids = [Grid(self.page.name, row, column, 1, 1) for row, column in anchors]
        self._place(full, tensor, grids)

    def _border(self, full: str, tensor: Tensor, stage: Stage) -> None:
        """On the padding around the input's planes, wherever these stand."""
        if full in self.drawing.anchors:
            raise LayoutError(
                f"{full} stands on the padding around {stage.source} and has no place of its own: "
                f"anchor {stage.source}"
            )
        moat = self.moats[stage.source]
        grids = [cells for plane in self.grids[stage.source] for cells in frame_grids(plane, moat)]
        self.framing.add(full)
        self.tensors[full], self.grids[full] = tensor, grids
        source = self.styles[stage.source]
        like_planes = replace(
            border_style(self.drawing), number_format=source.number_format, size=source.size
        )
        self.styles[full] = self._style(full, like_planes)
        if stage.source in self.unformatted and full not in self.drawing.number_formats:
            self.unformatted.add(full)

    def _dense(self, full: str, tensor: Tensor, stage: Stage) -> None:
        """For each output a copy of the input's arrangement, one beside the other.

        On a worksheet of its own they begin again below where the columns end.
        """
        source = self.grids[stage.source]
        left = min(grid.column for grid in source)
        span = max(grid.bounds.last_column for grid in source) - left + 1
        apart = span + (1 if span > 1 else 0)
        outputs = tensor.shape[0]
        across = max(1, (MAX_COLUMNS - 64) // apart) if self.per_layer else outputs
        tall = max(grid.bounds.last_row for grid in source) - TOP + 3
        chosen = [
            (
                grid.row + k // across * tall,
                self.column + k % across * apart + grid.column - left,
            )
            for k in range(outputs)
            for grid in source
        ]
        grids = [
            replace(grid, sheet=self.page.name, row=row, column=column)
            for (row, column), grid in zip(
                self._anchor(full, chosen), source * outputs, strict=True
            )
        ]
        self._place(full, tensor, grids)
        free = self._titled(f"{self._own_title(stage)} weights", tensor)
        if outputs > 1:
            for k in range(outputs):
                self._text(2 + k // across * tall, self.column + k % across * apart, str(k))
        self._colour([grid.bounds for grid in grids], SIGNED, False)
        self.column = max(max(grid.bounds.last_column for grid in grids) + 1 + GAP, free)

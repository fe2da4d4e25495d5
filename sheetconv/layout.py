"""Which cells hold which tensor, as pure data, and the formulas that follow from it.

Nothing here writes a file, and nothing here chooses a place: that is `arranging`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

from .cells import MAX_COLUMNS, MAX_FORMULA, Cell, Range, column_index
from .drawing import Columns, Drawing, Style
from .errors import LayoutError
from .formulas import CellFormulas, Moving, Placed, Shape, View, formula_text
from .layers.base import Elementwise, Tensor
from .network import Sequential
from .palette import GREY, GREY_DIGITS


@dataclass(frozen=True, slots=True)
class Stage:
    """Layers that are drawn together: one, and the elementwise ones fused into it.

    Attributes:
        name: the layer's name in the network.
        fused: names of the layers written into its formula, in order.
        source: full name of the tensor that it reads: `input` or `conv1.out`.
        input_shape: the shape that the layer gets, without the batch.
    """

    name: str
    fused: tuple[str, ...]
    source: str
    input_shape: Shape

    @property
    def out(self) -> str:
        """Full name of the tensor of its activations."""
        return f"{self.name}.out"

    @property
    def label(self) -> str:
        """What reports call it: `conv1 + relu1`."""
        return " + ".join((self.name, *self.fused))


@dataclass(frozen=True, slots=True)
class ColourScale:
    """One colour-scale rule over some ranges: two colours, or three around zero.

    Attributes:
        ranges: the cells.
        colours: of the least and the greatest number, or of least, zero and greatest.
        from_zero: whether the first of two colours is that of zero, not of the least number.
    """

    ranges: tuple[Range, ...]
    colours: tuple[str, ...]
    from_zero: bool = True


@dataclass(frozen=True, slots=True)
class BorderCells:
    """Drawn padding: a grey frame of zeros, or of blanks."""

    area: Range
    zeros: bool


@dataclass(frozen=True, slots=True)
class SheetText:
    """A text in a cell.

    Attributes:
        cell: where.
        text: what it says; never read as a formula.
        style: its looks.
        link: the cell to which a click leads, or None.
    """

    cell: Cell
    text: str
    style: Style
    link: Cell | None = None


@dataclass(frozen=True, slots=True)
class SheetLooks:
    """What a worksheet shows besides tensors.

    Attributes:
        name: the worksheet's.
        texts: titles, shapes, labels and links.
        columns: the widths of its columns.
        default_width: width of the columns not named, in characters; None for the program's.
        head: rows above the titles that are for something else.
    """

    name: str
    texts: tuple[SheetText, ...]
    columns: tuple[Columns, ...]
    default_width: float | None
    head: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of one network stands.

    Attributes:
        drawing: what was asked for.
        input_shape: of one image.
        batch: how many images.
        stages: the layers as they are drawn.
        placed: full tensor name -> its cells: `input`, `conv1.weight`, `conv1.out`.
        styles: full tensor name -> its looks.
        borders: the drawn padding.
        colour_scales: the rules.
        sheets: its worksheets, in order.
        reason: why it has one worksheet, or one a layer, in a few words.
        unformatted: tensors whose number format follows from their numbers, by full name.
    """

    drawing: Drawing
    input_shape: Shape
    batch: int
    stages: tuple[Stage, ...]
    placed: Mapping[str, Placed]
    styles: Mapping[str, Style]
    borders: tuple[BorderCells, ...] = ()
    colour_scales: tuple[ColourScale, ...] = ()
    sheets: tuple[SheetLooks, ...] = ()
    reason: str = ""
    unformatted: frozenset[str] = frozenset()

    @property
    def worksheets(self) -> tuple[str, ...]:
        """The names of the worksheets that hold tensors, the input's first."""
        names = (grid.sheet for placed in self.placed.values() for grid in placed.grids)
        return tuple(dict.fromkeys(names))


def stages_of(network: Sequential, input_shape: Shape, fuse: bool) -> tuple[Stage, ...]:
    """The layers as they are drawn; views such as Flatten are no stage.

    Raises:
        ShapeError: the layers do not fit each other or the input.
        LayoutError: no layer is drawn.

    Example:
        >>> from sheetconv import Conv2d, ReLU, Sequential
        >>> net = Sequential(Conv2d(1, 2, 3), ReLU())
        >>> [stage.label for stage in stages_of(net, (1, 8, 8), fuse=True)]
        ['conv1 + relu1']
    """
    shapes = network.shapes(input_shape)
    stages: list[Stage] = []
    source, shape, drawn = "input", input_shape, input_shape
    for name, layer in network:
        if isinstance(layer, Elementwise) and layer.is_fusable and fuse and stages:
            stages[-1] = replace(stages[-1], fused=(*stages[-1].fused, name))
        elif not layer.is_view:
            stages.append(Stage(name, (), source, drawn if layer.is_unitwise else shape))
            source = stages[-1].out
            drawn = drawn if layer.is_unitwise else shapes[name]
        shape = shapes[name]
    if not stages:
        raise LayoutError("the network has nothing to draw: give it a layer besides Flatten")
    return tuple(stages)


def drawn_tensors(network: Sequential, stages: Iterable[Stage]) -> Iterator[tuple[Stage, Tensor]]:
    """Every tensor that some stages draw, in order."""
    for stage in stages:
        for tensor in network.layers[stage.name].tensors(stage.input_shape):
            yield stage, tensor


def count_cells(
    network: Sequential, input_shape: Shape, drawing: Drawing, batch: int = 1
) -> tuple[int, int]:
    """How many formula cells and number cells a network takes, exactly, before it is laid out.

    Args:
        network: the layers.
        input_shape: of one image.
        drawing: how it is drawn.
        batch: how many images. Default 1.

    Raises:
        ShapeError, LayoutError: as for `stages_of`.

    Example:
        >>> from sheetconv import MaxPool2d, Sequential
        >>> count_cells(Sequential(MaxPool2d(2)), (1, 8, 8), Drawing())
        (16, 64)
    """
    formulas, numbers = 0, batch * prod(input_shape)
    for _, tensor in drawn_tensors(network, stages_of(network, input_shape, drawing.fuse)):
        cells = prod(tensor.shape) * (batch if tensor.batched else 1)
        if tensor.role.is_formula:
            formulas += cells
        else:
            numbers += cells
    return formulas, numbers


def stage_formulas(
    network: Sequential, stage: Stage, placed: Mapping[str, Placed], drawing: Drawing
) -> list[CellFormulas]:
    """The formulas of a stage, the fused layers wrapped around its output.

    Raises:
        LayoutError: a formula is longer than Excel takes, refers to a cell outside the
            worksheet, or cannot be written; the layer is named.
    """
    try:
        formulas = _layer_formulas(network, stage, placed, drawing)
    except LayoutError as error:
        raise LayoutError(f"layer {stage.name}: {error}") from None
    return [_finished(network, stage, item) for item in formulas]


def _layer_formulas(
    network: Sequential, stage: Stage, placed: Mapping[str, Placed], drawing: Drawing
) -> list[CellFormulas]:
    """What the layer itself spells, for every image of the batch."""
    layer = network.layers[stage.name]
    array = drawing.formulas == "array"
    source = placed[stage.source]
    tensors = {tensor.name: tensor for tensor in layer.tensors(stage.input_shape)}
    own = {name: placed[f"{stage.name}.{name}"] for name in tensors}
    sheet = placed[stage.out].grids[0].sheet
    formulas = layer.batch_formulas(View(sheet, source, own, array))
    for number in range(source.shape[0]):
        of_image = {
            name: where.image(number) if tensors[name].batched else where
            for name, where in own.items()
        }
        for item in layer.formulas(View(sheet, source.image(number), of_image, array)):
            before = number * of_image[item.tensor].size
            formulas.append(replace(item, start=before + item.start))
    return formulas


def _finished(network: Sequential, stage: Stage, item: CellFormulas) -> CellFormulas:
    """A formula with the fused layers around it, checked."""
    if item.tensor == "out":
        for name in stage.fused:
            fused = network.layers[name]
            assert isinstance(fused, Elementwise)
            # Each leaky rectifier doubles it: no formula that Excel takes has as many pieces.
            if len(item.formula) < MAX_FORMULA:
                item = replace(item, formula=fused.wrap(item.formula))
    _check_formula(stage, item)
    return item


def _check_formula(stage: Stage, item: CellFormulas) -> None:
    for piece in item.formula:
        if isinstance(piece, Moving) and (piece.row < 0 or piece.column < 0):
            raise LayoutError(
                f"layer {stage.name}: the window of {item.grid.cell(0, 0)} begins outside the "
                "worksheet: leave room for the padding above and left of the plane"
            )
    last = formula_text(item.formula, item.grid.height - 1, item.grid.width - 1)
    if len(last) + 1 > MAX_FORMULA:
        raise LayoutError(
            f"layer {stage.name}: the formula of {item.grid.cell(0, 0)} needs {len(last) + 1:,} "
            f"characters, and Excel takes {MAX_FORMULA:,}: use fewer input channels, or draw what "
            "is fused into it on planes of its own (fuse = false)"
        )


def column_span(columns: Columns) -> tuple[int, int]:
    """The zero-based first and last column that a width is for.

    Raises:
        LayoutError: the letters are no columns.

    Example:
        >>> column_span(Columns("A:AB", 3.2))
        (0, 27)
    """
    first, _, last = columns.columns.partition(":")
    names = (first, last or first)
    if not all(name.isascii() and name.isalpha() and len(name) <= 3 for name in names):
        raise LayoutError(f"columns {columns.columns!r}: write them like A:AB")
    span = (column_index(names[0]), column_index(names[1]))
    if span[0] > span[1] or span[1] >= MAX_COLUMNS:
        raise LayoutError(
            f"columns {columns.columns!r}: the first lies behind the last, or past XFD"
        )
    return span


def border_style(drawing: Drawing) -> Style:
    """The looks of drawn padding."""
    return Style("0", fill=GREY, colour=GREY_DIGITS, size=drawing.digits)


def cell_count(layout: Layout) -> int:
    """How many cells of tensors a layout has."""
    return sum(prod(placed.shape) for placed in layout.placed.values())

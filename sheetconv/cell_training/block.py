"""One training step as cells: where forward pass, loss, gradients and new weights stand.

Left to right: the step's numbers, the images of the batch below each other, then for every
layer its weights, their gradients, what the optimiser keeps and the new weights beside each
other, its planes, and the planes of their gradients beside these.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from operator import itemgetter

from ..cells import Cell, Grid
from ..formulas import Placed, Role, Shape
from ..layers.base import Border, Tensor
from ..layout import Stage
from .program import CellTraining
from .registers import CONTROLS

#: Rows above a block's first plane: the number of the step, and titles.
HEAD = 3
#: The numbers of a step, in their order: name -> label. Not every optimiser has a momentum.
NUMBERS = {
    "number": "step",
    "batch": "batch",
    "epoch": "epoch",
    "lr": "learning rate",
    "momentum": "momentum",
    "loss": "loss",
}
#: And of a step that is repeated: the first one's number, and the one that follows.
FIRST = {"first": "start", "following": "shadow"}
#: What people read for what optimisers keep: short, as some stand above a single column.
KEPT = {
    "momentum_buffer": "velocity",
    "square_avg": "squares",
    "grad_avg": "mean",
    "exp_avg": "mean",
    "exp_avg_sq": "squares",
}
_LABELS, _VALUES = 0, 1
_GAP = 1
# Rows from one image's planes to the next one's, besides the planes.
_BETWEEN = 2


@dataclass(slots=True)
class Block:
    """The cells of a step, its first row being row 0.

    Attributes:
        sheet: the worksheet's name.
        placed: full name -> cells: `conv1.weight`, `conv1.weight.grad`, `conv1.weight.new`,
            `conv1.out`, `conv1.out.grad`, `loss.exp`, `number`, ...
        titles: (column, title, shape) of every group.
        words: small labels.
        borders: blank or zero cells around planes: the plane, what is around it.
        height: rows, the gap to the next block included.
        gradients: names of the tensors that are gradients.
    """

    sheet: str
    placed: dict[str, Placed] = field(default_factory=dict)
    titles: list[tuple[int, str, str]] = field(default_factory=list)
    words: list[tuple[Cell, str]] = field(default_factory=list)
    borders: list[tuple[Grid, Border]] = field(default_factory=list)
    height: int = 0
    gradients: set[str] = field(default_factory=set)

    def down(self, rows: int) -> dict[str, Placed]:
        """The same cells, so many rows further down."""
        return {name: moved(placed, rows) for name, placed in self.placed.items()}


def moved(placed: Placed, rows: int, columns: int = 0) -> Placed:
    """The same cells, so many rows further down and columns further right."""
    grids = [
        replace(grid, row=grid.row + rows, column=grid.column + columns) for grid in placed.grids
    ]
    return replace(placed, grids=tuple(grids))


def lay_block(training: CellTraining, sheet: str, *, back: bool = True) -> Block:
    """Give every tensor of a step its cells.

    Args:
        training: what is trained.
        sheet: the worksheet's name.
        back: whether there are gradients and new weights, or the loss alone. Default True.
    """
    return _Laying(training, sheet, back).block


class _Laying:
    def __init__(self, training: CellTraining, sheet: str, back: bool) -> None:
        self.training, self.back, self.sheet = training, back, sheet
        self.network, self.stages = training.network, training.stages
        self.block = Block(sheet)
        self.column = _VALUES + 1 + _GAP
        self.head = HEAD
        if training.iterate:
            self.head += len(CONTROLS) + 1
        self.low = self.head
        self.image_height = self._image_height()
        self._numbers()
        self._input()
        for stage in self.stages:
            self._stage(stage)
        self._loss()
        images = training.batch * self.image_height
        self.block.height = max(self.low, self.head + images) + 1

    # --- Heights

    def _forward_moat(self, number: int) -> Border:
        """What the stage of that number needs around its input."""
        if number == len(self.stages):
            return Border()
        stage = self.stages[number]
        return self.network.layers[stage.name].border(stage.input_shape)

    def _around(self, stage: Stage) -> Border:
        """The blank cells around a stage's gradient, where its input's is asked for."""
        if stage.source == "input" or not self.back:
            return Border()
        return self.network.layers[stage.name].gradient_border(stage.input_shape)

    def _image_height(self) -> int:
        """Rows of the tallest planes of one image, with what is around them."""
        shape = self.training.input_shape
        tallest = _tall(shape, self._forward_moat(0), 1)
        for number, stage in enumerate(self.stages, 1):
            layer = self.network.layers[stage.name]
            moat = self._forward_moat(number)
            for tensor in layer.tensors(stage.input_shape):
                if tensor.batched and tensor.arrangement in ("planes", "vector"):
                    own = moat if tensor.name == "out" else Border()
                    tallest = max(tallest, _tall(tensor.shape, own, 1))
            out = layer.output_shape(stage.input_shape)
            around, (down, _) = self._around(stage), layer.gradient_steps()
            tallest = max(tallest, _tall(out, around, down))
        return max(tallest, self.training.outputs, 4) + _BETWEEN

    # --- Places

    def _title(self, title: str, shape: Shape) -> None:
        self.block.titles.append((self.column, title, " x ".join(map(str, shape))))

    def _put(self, full: str, shape: Shape, role: Role, grids: list[Grid]) -> None:
        self.block.placed[full] = Placed(shape, role, tuple(grids))
        self.low = max(self.low, max(grid.bounds.last_row for grid in grids) + 2)

    def _word(self, row: int, column: int, text: str) -> None:
        self.block.words.append((Cell(self.sheet, row, column), text))

    def _numbers(self) -> None:
        driven = self.training.momentum
        labels = NUMBERS | {"momentum": "beta 1" if driven == "beta1" else driven}
        if self.training.iterate:
            labels |= FIRST
            for row, (name, label) in enumerate(CONTROLS.items()):
                self._number(row, name, label)
        for row, (name, label) in enumerate(filter(itemgetter(1), labels.items()), self.head):
            self._number(row, name, label)

    def _number(self, row: int, name: str, label: str) -> None:
        self._word(row, _LABELS, label)
        self._put(name, (), Role.STEP, [Grid(self.sheet, row, _VALUES, 1, 1)])

    def _input(self) -> None:
        """The images of the batch, each with its number in the data and its target."""
        training, top = self.training, self.head
        wide = training.targets.ndim == 2
        count = training.targets.shape[1] if wide else 1
        pictures, targets = [], []
        for b in range(training.batch):
            row = top + b * self.image_height
            self._word(row, self.column, "image")
            pictures.append(Grid(self.sheet, row + 1, self.column, 1, 1))
            self._word(row + 2, self.column, "target")
            targets.append(Grid(self.sheet, row + 3, self.column, count, 1))
        self._put("picture", (training.batch,), Role.STEP, pictures)
        shape = (training.batch, count) if wide else (training.batch,)
        self._put("target", shape, Role.STEP, targets)
        self._title("batch", (training.batch,))
        self.column += 2 + _GAP
        self._per_image("input", training.input_shape, Role.STEP, self._forward_moat(0), (1, 1))
        self._title_of_last("Input", training.input_shape)

    def _title_of_last(self, title: str, shape: Shape) -> None:
        first = self.block.placed[list(self.block.placed)[-1]].grids[0]
        self.block.titles.append((first.column, title, " x ".join(map(str, shape))))

    def _per_image(
        self, full: str, shape: Shape, role: Role, moat: Border, steps: tuple[int, int]
    ) -> None:
        """Planes, or a column, of every image, at the cursor, which moves right."""
        height, width = (shape[1], shape[2]) if len(shape) == 3 else (prod(shape), 1)
        planes = shape[0] if len(shape) == 3 else 1
        left, top = self.column + moat.left, self.head + moat.top
        pitch = _span(height, steps[0]) + moat.top + moat.bottom + moat.past_bottom + 1
        grids = [
            Grid(self.sheet, top + b * self.image_height + c * pitch, left, height, width, *steps)
            for b in range(self.training.batch)
            for c in range(planes)
        ]
        self._put(full, (self.training.batch, *shape), role, grids)
        if moat != Border(zeros=moat.zeros, counts=moat.counts):
            self.block.borders += [(grid, moat) for grid in grids]
        self.column = left + _span(width, steps[1]) + moat.right + moat.past_right + _GAP
        # Room for a title.
        self.column = max(self.column, left + 3)

    def _stage(self, stage: Stage) -> None:
        layer = self.network.layers[stage.name]
        number = self.stages.index(stage) + 1
        for tensor in layer.tensors(stage.input_shape):
            full = f"{stage.name}.{tensor.name}"
            if tensor.role is Role.PARAM:
                self._learned(stage, tensor)
            elif tensor.arrangement in ("planes", "vector") and tensor.batched:
                moat = self._forward_moat(number) if tensor.name == "out" else Border()
                self._per_image(full, tensor.shape, tensor.role, moat, (1, 1))
                title = stage.name if tensor.name == "out" else f"{stage.name} {tensor.label}"
                self._title_of_last(title, tensor.shape)
            else:
                self._others(full, stage, tensor)
        if not self.back:
            return
        around, steps = self._around(stage), layer.gradient_steps()
        # Nobody asks for the gradient of the images.
        asked = () if stage.source == "input" else layer.gradient_tensors(stage.input_shape)
        for tensor in asked:
            own = f"{stage.name}.{tensor.name}"
            if tensor.batched:
                self._others(own, stage, tensor)
            else:
                self._shared(own, stage, tensor, tensor.label)
            self.block.gradients.add(own)
        full = f"{stage.out}.grad"
        shape = layer.output_shape(stage.input_shape)
        self._per_image(full, shape, Role.STEP, around, steps)
        self._title_of_last("gradient", shape)
        self.block.gradients.add(full)

    def _learned(self, stage: Stage, tensor: Tensor) -> None:
        """A parameter, its gradient, what the optimiser keeps, and the new parameter."""
        full = f"{stage.name}.{tensor.name}"
        self._shared(full, stage, tensor, f"{stage.name} {tensor.label}")
        if not self.back:
            return
        self._shared(f"{full}.grad", stage, tensor, "gradient")
        self.block.gradients.add(f"{full}.grad")
        for name in self.training.optimiser.kept:
            self._shared(f"{full}.{name}.was", stage, tensor, KEPT[name])
            self._shared(f"{full}.{name}", stage, tensor, f"new {KEPT[name]}")
            self._registers(f"{full}.{name}", stage, tensor)
        self._shared(f"{full}.new", stage, tensor, f"new {tensor.label}")
        self._registers(full, stage, tensor)

    def _registers(self, full: str, stage: Stage, tensor: Tensor) -> None:
        """What a repeated step keeps besides: the shadow of a next value, and the first one."""
        if self.training.iterate:
            self._shared(f"{full}.shadow", stage, tensor, "shadow")
            self._shared(f"{full}.start", stage, tensor, "start")

    def _others(self, full: str, stage: Stage, tensor: Tensor) -> None:
        """Settings, statistics and other single cells."""
        if not tensor.batched:
            self._shared(full, stage, tensor, tensor.label)
            return
        count = prod(tensor.shape)
        grids = [
            Grid(self.sheet, self.head + b * self.image_height + k, self.column, 1, 1)
            for b in range(self.training.batch)
            for k in range(count)
        ]
        self._put(full, (self.training.batch, *tensor.shape), tensor.role, grids)
        self._title_of_last(tensor.label or tensor.name, tensor.shape)
        self.column += 2 + _GAP

    def _shared(self, full: str, stage: Stage, tensor: Tensor, title: str) -> None:
        """A tensor that all images share, at the cursor."""
        self._title(title, tensor.shape)
        if tensor.arrangement == "kernels":
            grids = self._kernels(tensor)
        elif tensor.arrangement == "dense":
            grids = self._dense(stage, tensor)
        else:
            # One number a channel, or an output.
            if tensor.arrangement == "vector":
                grids = [Grid(self.sheet, self.head, self.column, prod(tensor.shape), 1)]
            else:
                apart = self._rows_of_channels(stage)
                grids = [
                    Grid(self.sheet, self.head + k * apart, self.column, 1, 1)
                    for k in range(prod(tensor.shape))
                ]
        self._put(full, tensor.shape, tensor.role, grids)
        last = max(grid.bounds.last_column for grid in grids)
        self.column = max(last + 1 + _GAP, self.column + 3)

    def _rows_of_channels(self, stage: Stage) -> int:
        """Rows from one channel's numbers to the next: those of its kernels, if it has any."""
        layer = self.network.layers[stage.name]
        for tensor in layer.tensors(stage.input_shape):
            if tensor.arrangement == "kernels":
                return _span(tensor.shape[2], tensor.spread[0]) + 1
        return 1

    def _kernels(self, tensor: Tensor) -> list[Grid]:
        outputs, inputs, height, width = tensor.shape
        down, right = tensor.spread
        apart, across = _span(height, down) + 1, _span(width, right) + 1
        return [
            Grid(
                self.sheet,
                self.head + o * apart,
                self.column + c * across,
                height,
                width,
                down,
                right,
            )
            for o in range(outputs)
            for c in range(inputs)
        ]

    def _dense(self, stage: Stage, tensor: Tensor) -> list[Grid]:
        """For each output a copy of the first image's input."""
        source = self.block.placed[stage.source].image(0).grids
        left = min(grid.column for grid in source)
        span = max(grid.bounds.last_column for grid in source) - left + 1
        apart = span + (1 if span > 1 else 0)
        return [
            replace(grid, column=self.column + k * apart + grid.column - left)
            for k in range(tensor.shape[0])
            for grid in source
        ]

    def _loss(self) -> None:
        """What every image's loss is made of."""
        for tensor in self.training.loss.tensors(self.training.outputs):
            full = f"loss.{tensor.name}"
            self._per_image(full, tensor.shape, Role.STEP, Border(), (1, 1))
            self._title_of_last(tensor.label or tensor.name, tensor.shape)
            if tensor.name == "grad":
                self.block.gradients.add(full)


def _span(count: int, step: int) -> int:
    return (count - 1) * step + 1


def _tall(shape: Shape, moat: Border, step: int) -> int:
    if len(shape) != 3:
        return prod(shape)
    around = moat.top + moat.bottom + moat.past_bottom
    return shape[0] * (_span(shape[1], step) + around + 1)

"""The formulas of a training step: forward pass, loss, gradients, new weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..cells import MAX_FORMULA, Cell, Grid, Range
from ..drawing import Drawing
from ..errors import LayoutError
from ..formulas import (
    BackView,
    CellFormulas,
    Formula,
    Moving,
    Placed,
    View,
    called,
    formula_text,
)
from ..guides.base import ref
from ..layout import Stage, stage_formulas
from ..training.losses.base import LossView
from .iteration import register_formulas
from .places import Places
from .program import CellTraining

#: Formulas by the full name of their tensor.
Spelled = Iterator[tuple[str, CellFormulas]]


def step_formulas(places: Places, number: int) -> Spelled:
    """Every formula of a step, with the full name of its tensor.

    Args:
        places: where everything stands.
        number: of the step, from 0. The weights of step 0 are numbers, the others' are those
            that the step before made.
    """
    placed = places.step(number)
    before = places.step(number - 1) if number else {}
    if places.training.iterate:
        yield from register_formulas(places, placed)
    yield from _numbers(places, placed, before)
    yield from batch_formulas(places, placed)
    if number:
        yield from _weights(places.training, placed, before)
    yield from forward_formulas(places.training, placed)
    yield from _gradients(places.training, placed)
    yield from _updates(places, placed)


def all_formulas(places: Places) -> Iterator[list[tuple[str, CellFormulas]]]:
    """The formulas of every step, as `step_formulas` spells them.

    From the third step on they are those of the second, so many rows further down.

    Args:
        places: where everything stands.
    """
    second: list[tuple[str, CellFormulas]] = []
    lower = _Lowering()
    for number in range(places.training.steps):
        if number < 2:
            second = list(step_formulas(places, number))
            yield second
        else:
            rows = (number - 1) * places.block.height
            yield [(name, lower(item, rows)) for name, item in second]


class _Lowering:
    """Moves formulas down, with all their references to their own worksheet."""

    # A reference, which may be to another worksheet.
    _reference = re.compile(
        r"((?:'[^']*'|[A-Za-z_][A-Za-z0-9_]*)!)?(?<![A-Za-z0-9_.$])"
        r"(\$?[A-Z]{1,3}\$?)([0-9]+)(?::(\$?[A-Z]{1,3}\$?)([0-9]+))?(?![A-Za-z0-9_(])"
    )

    def __init__(self) -> None:
        # Text -> what stands between the rows of its own references, and these rows.
        self._parts: dict[str, tuple[list[str], list[int]]] = {}

    def __call__(self, item: CellFormulas, rows: int) -> CellFormulas:
        grid = item.grid
        lower = Grid(
            *(grid.sheet, grid.row + rows, grid.column, grid.height, grid.width),
            *(grid.row_step, grid.column_step),
        )
        formula = tuple(self._piece(piece, rows) for piece in item.formula)
        return CellFormulas(item.tensor, item.start, lower, formula, item.array)

    def _piece(self, piece: str | Moving, rows: int) -> str | Moving:
        if isinstance(piece, Moving):
            if piece.sheet:
                return piece
            # Quicker than `replace`, for tens of thousands.
            return Moving(
                *("", piece.row + rows, piece.column, piece.height, piece.width),
                *(piece.row_step, piece.column_step),
            )
        if piece not in self._parts:
            self._parts[piece] = self._split(piece)
        texts, numbers = self._parts[piece]
        if not numbers:
            return piece
        moved = [f"{text}{number + rows}" for text, number in zip(texts, numbers, strict=False)]
        return "".join([*moved, texts[-1]])

    def _split(self, text: str) -> tuple[list[str], list[int]]:
        texts, numbers, start = list[str](), list[int](), 0
        for match in self._reference.finditer(text):
            if match[1]:
                continue
            for group in (3, 5):
                if match[group]:
                    texts.append(text[start : match.start(group)])
                    numbers.append(int(match[group]))
                    start = match.end(group)
        return [*texts, text[start:]], numbers


def _cell(placed: Placed) -> Cell:
    return placed.grids[0].cell(0, 0)


def _single(placed: Placed, name: str, text: str) -> tuple[str, CellFormulas]:
    return name, CellFormulas(name, 0, placed.grids[0], (text,))


def _numbers(places: Places, placed: Mapping[str, Placed], before: Mapping[str, Placed]) -> Spelled:
    """The number of the step, and what follows from it."""
    sheet = places.names.steps
    setting = {name: ref(cell, sheet) for name, cell in places.settings.items()}
    number = ref(_cell(placed["number"]), sheet, absolute=False)
    if before:
        last = ref(_cell(before["number"]), sheet, absolute=False)
        yield _single(placed["number"], "number", f"{last}+1")
    yield _single(placed["batch"], "batch", f"MOD({number},{setting['batches']})")
    yield _single(placed["epoch"], "epoch", f"INT({number}/{setting['batches']})")
    epoch = ref(_cell(placed["epoch"]), sheet, absolute=False)
    own = setting.get(places.training.momentum, "0")
    lr, momentum = places.training.schedule.formulas(
        number, setting["total"], epoch, setting["lr"], own
    )
    yield _single(placed["lr"], "lr", lr)
    if "momentum" in placed:
        yield _single(placed["momentum"], "momentum", momentum)


def batch_formulas(places: Places, placed: Mapping[str, Placed]) -> Spelled:
    """The images of the batch, looked up in the data.

    Args:
        places: where the data stand.
        placed: the cells of a step.
    """
    training, sheet = places.training, placed["picture"].grids[0].sheet
    batch = ref(_cell(placed["batch"]), sheet)
    units = list(placed["input"].image(0).grids)
    size = sum(grid.size for grid in units)
    for b, grid in enumerate(placed["picture"].grids):
        text = f"{batch}*{training.batch}+{b + 1}"
        yield "picture", CellFormulas("picture", b, grid, (text,))
        row = ref(grid.cell(0, 0), sheet)
        for k in range(places.target_count):
            column = _column(places.targets, k, sheet)
            unit = placed["target"].grids[b].unit(k)
            start = b * places.target_count + k
            text = f"INDEX({column},{row})"
            yield "target", CellFormulas("target", start, unit, (text,))
        index = 0
        for plane in placed["input"].image(b).grids:
            for k in range(plane.size):
                text = f"INDEX({_column(places.pixels, index, sheet)},{row})"
                yield "input", CellFormulas("input", b * size + index, plane.unit(k), (text,))
                index += 1


def _column(grid: Grid, number: int, sheet: str) -> str:
    """A column of the data, as INDEX takes it: with a colon even to one cell."""
    area = Range(grid.sheet, grid.row, grid.column + number, grid.height, 1)
    first = ref(area.first, sheet)
    last = Cell("", area.last_row, area.column)
    return f"{first}:{Range('', last.row, last.column).absolute}"


def _weights(
    training: CellTraining, placed: Mapping[str, Placed], before: Mapping[str, Placed]
) -> Spelled:
    """The weights of a step, and what its optimiser keeps: those that the one before made.

    And the other numbers of layers, which stay as they are.
    """
    pairs = [(name, name) for name in training.fixed]
    for layer, key in training.learned:
        full = f"{layer}.{key}"
        pairs.append((full, f"{full}.new"))
        pairs += [(f"{full}.{name}.was", f"{full}.{name}") for name in training.optimiser.kept]
    for own, source in pairs:
        yield from copied(own, placed[own], before[source])


def copied(name: str, own: Placed, source: Placed) -> Spelled:
    """References to cells that are arranged alike.

    Args:
        name: of the tensor that is to show them, on whatever worksheet.
        own: its cells.
        source: the others.
    """
    view, start = _view(own), 0
    for grid, there in zip(own.grids, source.grids, strict=True):
        yield name, CellFormulas(name, start, grid, (view.window(there),))
        start += grid.size


def _view(placed: Placed) -> View:
    return View(placed.grids[0].sheet, placed, {})


def forward_formulas(training: CellTraining, placed: Mapping[str, Placed]) -> Spelled:
    """The forward pass, every image's loss, and that of the batch.

    Args:
        training: what is trained.
        placed: the cells of a step.
    """
    drawing = Drawing(fuse=False)
    for stage in training.stages:
        for item in stage_formulas(training.network, stage, placed, drawing):
            yield f"{stage.name}.{item.tensor}", item
    yield from _loss(training, placed)
    losses = placed["loss.loss"].grids
    total = called("SUM", [(grid.bounds.a1,) for grid in losses])
    mean = CellFormulas("loss", 0, placed["loss"].grids[0], (*total, f"/{len(losses)}"))
    if (length := len(formula_text(mean.formula)) + 1) > MAX_FORMULA:
        raise LayoutError(
            f"the mean loss of {len(losses)} images needs {length:,} characters, and Excel takes "
            f"{MAX_FORMULA:,}: use smaller batches"
        )
    yield "loss", mean


def _loss(training: CellTraining, placed: Mapping[str, Placed]) -> Spelled:
    names = [name for name in placed if name.startswith("loss.")]
    scores = placed[training.stages[-1].out]
    sheet = scores.grids[0].sheet
    for b in range(training.batch):
        own = {name.removeprefix("loss."): placed[name].image(b) for name in names}
        score = scores.image(b)
        flat = Placed((score.size,), score.role, score.grids)
        target = placed["target"].image(b)
        view = LossView(sheet, flat, target, own, str(training.batch))
        for item in training.loss.formulas(view):
            if item.tensor in own:
                start = b * own[item.tensor].size + item.start
                yield f"loss.{item.tensor}", replace(item, start=start)


def _gradients(training: CellTraining, placed: Mapping[str, Placed]) -> Spelled:
    """The gradients, from the loss back to the first layer."""
    last = f"{training.stages[-1].out}.grad"
    view = _view(placed[last])
    for b in range(training.batch):
        (source,) = placed["loss.grad"].image(b).grids
        own, start = placed[last].image(b), b * placed[last].image(b).size
        for k, cell in enumerate(cell for grid in own.grids for cell in grid.cells()):
            unit = Grid(cell.sheet, cell.row, cell.column, 1, 1)
            yield last, CellFormulas(last, start + k, unit, (view.window(source.unit(k)),))
    for stage in reversed(training.stages):
        for item in _stage_gradients(training, stage, placed):
            tensor = item.tensor
            full = f"{stage.source}.grad" if tensor == "input.grad" else f"{stage.name}.{tensor}"
            yield full, item


def _stage_gradients(
    training: CellTraining, stage: Stage, placed: Mapping[str, Placed]
) -> Iterator[CellFormulas]:
    layer = training.network.layers[stage.name]
    sheet, prefix = placed[stage.out].grids[0].sheet, f"{stage.name}."
    batched = {t.name for t in layer.tensors(stage.input_shape) if t.batched}
    own = {
        name.removeprefix(prefix): where
        for name, where in placed.items()
        if name.startswith(prefix)
    }
    batched |= {t.name for t in layer.gradient_tensors(stage.input_shape) if t.batched}
    source, grad_output = placed[stage.source], placed[f"{stage.out}.grad"]
    grad_input = placed.get(f"{stage.source}.grad")
    whole = BackView(sheet, source, own, False, grad_output, grad_input)
    # What only the gradient of the images would need is not drawn.
    yield from (item for item in layer.parameter_gradients(whole) if item.tensor in own)
    if grad_input is None:
        return
    for b in range(training.batch):
        of_image = {n: where.image(b) if n in batched else where for n, where in own.items()}
        into = grad_input.image(b)
        view = BackView(sheet, source.image(b), of_image, False, grad_output.image(b), into)
        for item in layer.input_gradient(view):
            yield replace(item, start=b * into.size + item.start)


def _updates(places: Places, placed: Mapping[str, Placed]) -> Spelled:
    """What the optimiser keeps, and the new weights."""
    training, sheet = places.training, places.names.steps
    optimiser = training.optimiser
    cells = {name: ref(places.settings[name], sheet) for name in training.settings}
    # The schedule has the last word.
    cells["lr"] = ref(_cell(placed["lr"]), sheet)
    if training.momentum:
        cells[training.momentum] = ref(_cell(placed["momentum"]), sheet)
    number = f"({ref(_cell(placed['number']), sheet)}+1)"
    for layer, key in training.learned:
        full, start = f"{layer}.{key}", 0
        view = _view(placed[full])
        for k, grid in enumerate(placed[full].grids):
            was: dict[str, Formula] = {
                name: (view.window(placed[f"{full}.{name}.was"].grids[k]),)
                for name in optimiser.kept
            }
            after: dict[str, Formula] = {
                name: (view.window(placed[f"{full}.{name}"].grids[k]),) for name in optimiser.kept
            }
            value: Formula = (view.window(grid),)
            gradient: Formula = (view.window(placed[f"{full}.grad"].grids[k]),)
            spelled = optimiser.formulas(value, gradient, was, after, cells, number)
            for name, formula in spelled.items():
                target = f"{full}.{'new' if name == 'value' else name}"
                yield target, CellFormulas(target, start, placed[target].grids[k], formula)
            start += grid.size

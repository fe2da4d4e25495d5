"""Gradients in cells: every layer's formulas, recalculated, against its `backward`.

A layer stands on a worksheet as in a workbook that trains: its tensors there and back, with
the blank cells that it asks for. Around these stand large numbers, so that a formula that
reads beyond them is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import ironcalc
import numpy as np
import openpyxl
import pytest
import torch
from test_pytorch import in_pytorch

from sheetconv import (
    GELU,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    InstanceNorm2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from sheetconv.calculators import Engine
from sheetconv.cells import Cell, Grid
from sheetconv.errors import LayoutError, ShapeError
from sheetconv.formulas import (
    MOST_ARGUMENTS,
    BackView,
    CellFormulas,
    Formula,
    Placed,
    Role,
    Shape,
    View,
    formula_text,
)
from sheetconv.layers import LAYERS, Layer
from sheetconv.layers.base import Array, Border, Elementwise, Tensor
from sheetconv.layers.normalizing import Normalization2d

TOLERANCE = 1e-12
#: What IronCalc's NORMSDIST is off by.
TAIL = 2e-10
#: What stands where no formula may read.
FAR = 1e9

# --- A layer and its numbers


@dataclass
class Case:
    """A layer and a batch, and all that its gradients follow from.

    Attributes:
        layer: as it computes in training.
        x: the batch as it is drawn: on planes, where Flatten stands before the layer.
        grad_output: the gradient of the output.
        params: parameters, buffers, settings and noise.
        steps: rows and columns between units of the input's gradient.
        zeros: whether padding is drawn as zeros where blanks would do.
        array: whether sums of products are array formulas.
    """

    layer: Layer
    x: Array
    grad_output: Array
    params: dict[str, Array]
    steps: tuple[int, int] = (1, 1)
    zeros: bool = True
    array: bool = False

    @property
    def source(self) -> Array:
        """The batch as the layer takes it."""
        flat = isinstance(self.layer, Linear | Softmax)
        return self.x.reshape(len(self.x), -1) if flat else self.x

    @property
    def expected(self) -> dict[str, Array]:
        """Every gradient, and what the way back draws besides."""
        grad_input, grads = self._backward(self.source, self.params, self.grad_output)
        return {
            "input.grad": grad_input.reshape(self.x.shape),
            **{f"{name}.grad": grad for name, grad in grads.items()},
            **self.layer.gradient_values(self.source, self.params, self.grad_output),
        }

    def _backward(
        self, x: Array, params: dict[str, Array], grad_output: Array
    ) -> tuple[Array, dict[str, Array]]:
        out, cache = self.layer.forward(x, params)
        return self.layer.backward(grad_output.reshape(out.shape), cache, params)

    @property
    def magnitudes(self) -> dict[str, Array]:
        """Of each gradient the sum of the absolute values of what is added up."""
        layer, x, params, grad = self.layer, self.source, self.params, np.abs(self.grad_output)
        if isinstance(layer, Normalization2d):
            return self._magnitudes_of_norm(layer)
        if isinstance(layer, Softmax):
            out = layer.forward(x, params)[0]
            inner = (grad * out).sum(axis=1, keepdims=True)
            return {"input.grad": out * (grad + inner)}
        if isinstance(layer, Elementwise):
            return {"input.grad": grad}
        if isinstance(layer, Conv2d | Linear):
            x, params = np.abs(x), {name: np.abs(value) for name, value in params.items()}
        grad_input, grads = self._backward(x, params, grad)
        found = {f"{name}.grad": value for name, value in grads.items()}
        found |= self.layer.gradient_values(x, params, grad)
        return {"input.grad": np.abs(grad_input), **found}

    def _magnitudes_of_norm(self, layer: Normalization2d) -> dict[str, Array]:
        grad, across = np.abs(self.grad_output), (1, -1, 1, 1)
        _, _, mean, var = layer._statistics(self.x, self.params)
        deviation = np.sqrt(var + layer.eps)
        # Both x and its mean are rounded before one is taken off the other.
        normal = (np.abs(self.x) + np.abs(mean)) / deviation
        scale = np.abs(self.params["weight"].reshape(across)) if layer.affine else 1.0
        found = {"weight.grad": (grad * normal).sum(axis=(0, 2, 3))} if layer.affine else {}
        found |= {"bias.grad": grad.sum(axis=(0, 2, 3))} if layer.affine else {}
        if not layer.track_running_stats:
            level, along = layer._averaged(grad), layer._averaged(grad * normal)
            found["grad.mean"] = layer._flat(level)
            found["grad.slope"] = layer._flat(along / deviation)
            grad = grad + level + normal * along
        return {"input.grad": scale * grad / deviation, **found}


def case_of(
    layer: Layer,
    shape: Shape,
    batch: int = 2,
    seed: int = 0,
    *,
    x: Array | None = None,
    params: dict[str, Array] | None = None,
    planes: Shape | None = None,
    **drawn: Any,
) -> Case:
    """A layer with random numbers.

    Args:
        layer: which, not yet as it computes in training.
        shape: of one image.
        batch: how many images.
        seed: of the numbers.
        x: the batch. Default: random.
        params: those that are not random.
        planes: the shape in which the images are drawn. Default: theirs.
        drawn: the last fields of the case.
    """
    rng, layer = np.random.default_rng(seed), layer.while_training()
    x = rng.normal(size=(batch, *shape)) if x is None else x
    x = x.reshape(batch, *(planes or shape))
    given = {name: rng.normal(size=value.shape) for name, value in layer.init_params(rng).items()}
    probed = layer.probe_settings(rng)
    given |= layer.settings() | {name: probed[name] for name in layer.init_buffers()}
    given |= layer.draw_noise(planes or shape, rng, batch) | (params or {})
    out = (planes or shape) if layer.is_unitwise else layer.output_shape(shape)
    return Case(layer, x, rng.normal(size=(batch, *out)), given, **drawn)


# --- Its worksheet


@dataclass
class Sheet:
    """A worksheet that fills up from left to right.

    Attributes:
        name: the worksheet's.
        cells: numbers, and formulas as texts.
        blank: cells that stay blank unless something is written into them.
        column: the first free one.
    """

    name: str
    cells: dict[Cell, float | str] = field(default_factory=dict)
    blank: set[Cell] = field(default_factory=set)
    column: int = 1

    def stack(
        self,
        sizes: Iterable[tuple[int, ...]],
        steps: tuple[int, int] = (1, 1),
        moat: Border | None = None,
        zeros: bool = False,
    ) -> list[Grid]:
        """Planes below each other, with what is around them, counted in cells.

        Args:
            sizes: height and width of each.
            steps: rows and columns from one unit to the next.
            moat: what is around each of them.
            zeros: whether padding is zeros; what lies beyond it is blank.
        """
        moat, grids, row = moat or Border(), [], 1
        for height, width in sizes:
            grid = Grid(self.name, row + moat.top, self.column + moat.left, height, width, *steps)
            area = grid.bounds
            last, end = area.last_row + moat.bottom, area.last_column + moat.right
            for i in range(row, last + moat.past_bottom + 1):
                for j in range(self.column, end + moat.past_right + 1):
                    cell = Cell(self.name, i, j)
                    self.blank.add(cell)
                    inside = area.row <= i <= area.last_row and area.column <= j <= area.last_column
                    if zeros and not inside and i <= last and j <= end:
                        self.cells[cell] = 0.0
            grids.append(grid)
            row = last + moat.past_bottom + 2
        self.column = max(grid.bounds.last_column for grid in grids) + moat.right
        self.column += moat.past_right + 2
        return grids

    @property
    def surrounded(self) -> dict[Cell, float | str]:
        """What is written, and large numbers around that and around what is blank."""
        taken = self.cells.keys() | self.blank
        around = {
            Cell(self.name, cell.row + i, cell.column + j)
            for cell in taken
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
        }
        return {**dict.fromkeys(around - taken, FAR), **self.cells}


class Laid:
    """A case on a worksheet, or its gradients on another.

    Args:
        case: what is laid out.
        name: of the worksheet.
        back: of that of the gradients. Default: the same.

    Attributes:
        sheets: the worksheets by name.
        tensors: the layer's own, and `input`, `input.grad` and `grad_output`.
        placed: where each of them stands.
    """

    def __init__(self, case: Case, name: str = "s", back: str | None = None) -> None:
        self.case, self.name, self.back = case, name, back or name
        self.sheets = {n: Sheet(n) for n in (self.name, self.back)}
        self.tensors: dict[str, Tensor] = {}
        self.placed: dict[str, Placed] = {}
        self._place()
        self._write()

    def _place(self) -> None:
        case, layer, shape = self.case, self.case.layer, self.case.source.shape[1:]
        moat = layer.border(shape)
        image = Tensor("input", case.x.shape[1:], Role.INPUT, "planes")
        self._add(self.name, image, moat=moat, zeros=moat.zeros and (case.zeros or moat.counts))
        drawn = layer.tensors(case.x.shape[1:] if layer.is_unitwise else shape)
        for tensor in drawn:
            self._add(self.name, tensor)
        for tensor in drawn:
            if tensor.role is Role.PARAM:
                self._add(self.back, replace(tensor, name=f"{tensor.name}.grad"))
        for tensor in layer.gradient_tensors(shape):
            self._add(self.back, tensor)
        out = Tensor("grad_output", case.grad_output.shape[1:], Role.INPUT, "planes")
        self._add(self.back, out, layer.gradient_steps(), layer.gradient_border(shape))
        self._add(self.back, replace(image, name="input.grad"), case.steps)

    def _add(
        self,
        name: str,
        tensor: Tensor,
        steps: tuple[int, int] = (1, 1),
        moat: Border | None = None,
        zeros: bool = False,
    ) -> None:
        sheet, shape = self.sheets[name], tensor.shape
        images = len(self.case.x) if tensor.batched else 1
        if tensor.arrangement == "kernels":
            grids = sheet.stack([shape[2:]] * prod(shape[:2]), tensor.spread)
        elif tensor.arrangement == "dense":
            source = self.placed["input"].image(0).grids
            grids = sheet.stack([(grid.height, grid.width) for grid in source] * shape[0])
        elif tensor.arrangement in ("planes", "vector"):
            sizes = [shape[1:]] * shape[0] if len(shape) == 3 else [(shape[0], 1)]
            grids = sheet.stack(sizes * images, steps, moat, zeros)
        else:
            grids = sheet.stack([(1, 1)] * (prod(shape) * images))
        whole = (images, *shape) if tensor.batched else shape
        self.tensors[tensor.name] = tensor
        self.placed[tensor.name] = Placed(whole, tensor.role, tuple(grids))

    def _write(self) -> None:
        case = self.case
        numbers = {"input": case.x, "grad_output": case.grad_output, **case.params}
        for name, values in numbers.items():
            cells = cells_of(self.placed[name])
            for cell, value in zip(cells, values.reshape(-1).tolist(), strict=True):
                self.sheets[cell.sheet].cells[cell] = value
        for item in self.formulas():
            if item.tensor not in numbers:
                self._fill(item)
        for placed in self.placed.values():
            assert all(cell in self.sheets[cell.sheet].cells for cell in cells_of(placed))

    def _fill(self, item: CellFormulas) -> None:
        own = list(item.grid.cells())
        assert own == cells_of(self.placed[item.tensor])[item.start : item.start + len(own)], item
        if len(own) > 1:
            # In a fill, a reference in plain text would stay where it is.
            texts = [piece for piece in item.formula if isinstance(piece, str)]
            assert not any(re.search(r"(?<![$A-Z])[A-Z]{1,3}[0-9]", text) for text in texts), item
        for k, cell in enumerate(own):
            cells = self.sheets[cell.sheet].cells
            assert cell not in cells, item
            text = formula_text(item.formula, *divmod(k, item.grid.width))
            cells[cell] = f"{{={text}}}" if item.array else f"={text}"

    def formulas(self) -> Iterator[CellFormulas]:
        """All that the layer spells, there and back."""
        layer, array, placed = self.case.layer, self.case.array, self.placed
        outside = ("input", "input.grad", "grad_output")
        own = {name: where for name, where in placed.items() if name not in outside}
        source, out, into = (placed[name] for name in ("input", "grad_output", "input.grad"))
        yield from layer.batch_formulas(View(self.name, source, own, array))
        yield from layer.parameter_gradients(BackView(self.back, source, own, array, out, into))
        for number in range(len(self.case.x)):
            image = {
                name: where.image(number) if self.tensors[name].batched else where
                for name, where in placed.items()
            }
            own = {name: image[name] for name in own}
            source, out, into = (image[n] for n in ("input", "grad_output", "input.grad"))
            back = BackView(self.back, source, own, array, out, into)
            for item in (
                *layer.formulas(View(self.name, source, own, array)),
                *layer.input_gradient(back),
            ):
                yield replace(item, start=number * image[item.tensor].size + item.start)

    def disagreements(self, shown: dict[Cell, Any], tolerance: float) -> dict[str, list[int]]:
        """By tensor, the flat indices of gradients that differ from those of `backward`."""
        found, magnitudes = {}, self.case.magnitudes
        for name, values in self.case.expected.items():
            limits = tolerance * magnitudes[name].reshape(-1) + 1e-300
            got = [shown[cell] for cell in cells_of(self.placed[name])]
            wrong = [
                index
                for index, (value, limit) in enumerate(zip(values.reshape(-1), limits, strict=True))
                if not isinstance(got[index], int | float) or not abs(got[index] - value) <= limit
            ]
            if wrong:
                found[name] = wrong
        assert {name for name in self.placed if name.endswith(".grad")} <= magnitudes.keys()
        return found


def cells_of(placed: Placed) -> list[Cell]:
    return [cell for grid in placed.grids for cell in grid.cells()]


# --- The engines


def recalculated(laid: Laid) -> dict[Cell, Any]:
    """What IronCalc shows of a case's worksheets."""
    model = ironcalc.create("gradients", "en", "UTC", "en")
    model.rename_sheet(0, laid.name)
    for name in list(laid.sheets)[1:]:
        model.add_sheet(name)
    shown: dict[Cell, Any] = {}
    for number, sheet in enumerate(laid.sheets.values()):
        for cell, content in sheet.surrounded.items():
            place = (number, cell.row + 1, cell.column + 1)
            if isinstance(content, float):
                model.update_cell_with_number(*place, content)
            elif content.startswith("{"):
                model.set_user_array_formula(*place, 1, 1, content[1:-1])
            else:
                model.update_cell_with_formula(*place, content)
    model.evaluate()
    for number, sheet in enumerate(laid.sheets.values()):
        for cell in sheet.cells:
            shown[cell] = model.get_cell_value(number, cell.row + 1, cell.column + 1)
    return shown


def disagreements(case: Case, **names: str) -> dict[str, list[int]]:
    """By tensor, where a case's gradients in IronCalc differ from those of `backward`."""
    is_normal = isinstance(case.layer, GELU) and case.layer.approximate == "none"
    laid = Laid(case, **names)
    return laid.disagreements(recalculated(laid), TAIL if is_normal else TOLERANCE)


def gradients(case: Case) -> dict[str, Array]:
    """What IronCalc shows of a case's gradients."""
    laid = Laid(case)
    shown = recalculated(laid)
    return {
        name: np.array([shown[cell] for cell in cells_of(laid.placed[name])]).reshape(values.shape)
        for name, values in case.expected.items()
    }


# --- The matrix

EXAMPLES = [
    pytest.param(example, id=f"{name}-{number}")
    for name, layer_class in LAYERS.items()
    for number, example in enumerate(layer_class.examples())
    if example.layer.has_gradients
]
STEPS = [(1, 1), (2, 3)]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example(example: Any, steps: tuple[int, int]) -> None:
    batch = 3 if steps == (1, 1) else 2
    case = case_of(example.layer, example.x.shape, batch, steps=steps, zeros=steps == (1, 1))
    assert disagreements(case) == {}


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_numbers_of_every_example_with_their_kinks_and_ties(example: Any) -> None:
    learned = {
        name: example.params[name] for name in example.layer.init_params(np.random.default_rng(0))
    }
    x = np.stack([example.x, -example.x, np.zeros(example.x.shape)])
    assert disagreements(case_of(example.layer, example.x.shape, 3, x=x, params=learned)) == {}


@pytest.mark.parametrize("example", EXAMPLES)
def test_gradients_on_a_worksheet_of_their_own(example: Any) -> None:
    case = case_of(example.layer, example.x.shape)
    assert disagreements(case, name="it's", back="way back") == {}


def test_every_layer_has_gradients_or_says_why_not() -> None:
    without = set()
    for layer_class in LAYERS.values():
        for example in layer_class.examples():
            layer = example.layer.while_training()
            if layer.has_gradients or layer.is_view:
                continue
            without.add(layer)
            view = BackView("s", Placed((0,), Role.INPUT, ()), {})
            for spelled in (layer.input_gradient, layer.parameter_gradients):
                with pytest.raises(LayoutError, match=r"cannot be trained in cells: .*: use "):
                    spelled(view)
    assert {(type(layer), layer.padding_mode) for layer in without} == {
        (Conv2d, mode) for mode in ("reflect", "replicate", "circular")
    }


# --- Configurations

CONVOLUTIONS = [
    pytest.param(layer, shape, id=f"{number}-{words}")
    for number, (layer, shape, words) in enumerate(
        [
            (Conv2d(2, 3, 3), (2, 6, 5), "plain"),
            (Conv2d(1, 2, 2, stride=3), (1, 8, 9), "stride past the kernel, and a rest"),
            (Conv2d(1, 2, 3, stride=2, padding=1), (1, 7, 6), "stride"),
            (Conv2d(2, 2, (2, 3), stride=(3, 2), padding=(2, 0, 1, 3)), (2, 5, 6), "sides"),
            (Conv2d(1, 1, 2, padding=4), (1, 3, 3), "padding past the kernel"),
            (Conv2d(1, 2, 1, stride=2, padding=3), (1, 4, 5), "padding past a single cell"),
            (Conv2d(1, 1, 3, stride=2, padding=5), (1, 2, 2), "padding, and stride"),
            (Conv2d(2, 1, 2, dilation=(3, 2)), (2, 6, 5), "dilation"),
            (Conv2d(1, 2, 3, stride=2, padding=3, dilation=2), (1, 6, 5), "dilation and stride"),
            (Conv2d(1, 2, 2, stride=3, padding=2, dilation=2), (1, 7, 8), "common factors"),
            (Conv2d(4, 6, 3, padding=1, groups=2, bias=False), (4, 4, 4), "groups"),
            (Conv2d(3, 6, 2, groups=3), (3, 4, 3), "depthwise"),
            (Conv2d(2, 3, (4, 5)), (2, 4, 5), "kernel as large as the plane"),
            (Conv2d(2, 3, 1), (2, 1, 1), "single cells"),
            (Conv2d(42, 1, 2), (42, 2, 3), "partial sums"),
        ]
    )
]


@pytest.mark.parametrize("steps", [(1, 1), (3, 2)])
@pytest.mark.parametrize(("layer", "shape"), CONVOLUTIONS)
def test_convolutions(layer: Conv2d, shape: Shape, steps: tuple[int, int]) -> None:
    assert disagreements(case_of(layer, shape, 2, steps=steps)) == {}
    case = case_of(layer, shape, 2, 1, steps=steps, zeros=False, array=True)
    assert disagreements(case) == {}


def pair_of(rng: np.random.Generator, least: int, most: int) -> tuple[int, int]:
    return int(rng.integers(least, most + 1)), int(rng.integers(least, most + 1))


def random_convolution(seed: int) -> Case:
    """A small convolution of any kind, and a batch that it takes."""
    rng = np.random.default_rng(seed)
    while True:
        groups = int(rng.choice([1, 1, 2, 3]))
        inputs, outputs = (groups * size for size in pair_of(rng, 1, 2))
        layer = Conv2d(
            inputs,
            outputs,
            pair_of(rng, 1, 4),
            pair_of(rng, 1, 4),
            pair_of(rng, 0, 4) + pair_of(rng, 0, 4),
            pair_of(rng, 1, 3),
            groups,
            bool(rng.integers(2)),
        )
        shape = (inputs, *pair_of(rng, 1, 8))
        try:
            layer.output_shape(shape)
        except ShapeError:
            continue
        steps, batch = pair_of(rng, 1, 3), int(rng.integers(1, 4))
        return case_of(layer, shape, batch, seed, steps=steps, zeros=bool(rng.integers(2)))


def random_pool(seed: int) -> Case:
    """A small pool of any kind over planes with many ties, and with few."""
    rng = np.random.default_rng(seed)
    while True:
        kernel = pair_of(rng, 1, 4)
        stride = None if rng.integers(4) == 0 else pair_of(rng, 1, 5)
        padding = tuple(int(rng.integers(0, size // 2 + 1)) for size in kernel)
        ceil_mode, shape = bool(rng.integers(2)), (int(rng.integers(1, 3)), *pair_of(rng, 1, 9))
        layer: Layer
        if rng.integers(2):
            layer = MaxPool2d(kernel, stride, padding, pair_of(rng, 1, 3), ceil_mode)
        else:
            layer = AvgPool2d(kernel, stride, padding, ceil_mode, bool(rng.integers(2)))
        try:
            layer.output_shape(shape)
        except ShapeError:
            continue
        batch, steps = int(rng.integers(1, 4)), pair_of(rng, 1, 3)
        x = rng.integers(-2, 3, (batch, *shape)) * 0.7 - rng.integers(2)
        return case_of(layer, shape, batch, seed, x=x, steps=steps)


@pytest.mark.parametrize("seed", range(60))
def test_random_convolutions(seed: int) -> None:
    assert disagreements(random_convolution(seed)) == {}


@pytest.mark.parametrize("seed", range(80))
def test_random_pools(seed: int) -> None:
    assert disagreements(random_pool(seed)) == {}


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(
    ("layer", "planes"),
    [
        (Linear(12, 3), (2, 3, 2)),
        (Linear(12, 1, bias=False), (12, 1, 1)),
        (Softmax(), (2, 3, 2)),
        (ReLU(), (2, 3, 2)),
        (GELU("tanh"), (1, 3, 4)),
        (Dropout(0.3), (3, 2, 2)),
    ],
)
def test_layers_behind_flatten(layer: Layer, planes: Shape, steps: tuple[int, int]) -> None:
    case = case_of(layer, (prod(planes),), 3, planes=planes, steps=steps)
    assert disagreements(case) == {}


@pytest.mark.parametrize("norm", [BatchNorm2d, InstanceNorm2d])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
def test_normalisations(norm: Any, affine: bool, batch: int) -> None:
    for steps, x in ((1, 1), None), ((2, 2), np.full((batch, 3, 2, 2), 7.0)):
        case = case_of(norm(3, affine=affine), (3, 2, 2), batch, x=x, steps=steps)
        assert disagreements(case) == {}


def test_normalisations_whose_statistics_do_not_move() -> None:
    class Frozen(BatchNorm2d):
        def while_training(self) -> Layer:
            return self

    layer = Frozen(2)
    assert layer.gradient_tensors((2, 3, 3)) == ()
    assert disagreements(case_of(layer, (2, 3, 3), 3)) == {}


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("rescale", [True, False])
def test_dropout_passes_what_it_kept(p: float, rescale: bool) -> None:
    case = case_of(Dropout(p, rescale, margin=0.05), (2, 3, 4))
    assert disagreements(case) == {}
    kept = case.params["random"] > p + 0.05
    assert (gradients(case)["input.grad"] != 0).tolist() == kept.tolist()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "layer",
    [ReLU(), LeakyReLU(0.2), Sigmoid(), Tanh(), GELU(), GELU("tanh")],
    ids=lambda layer: str(layer.config()),
)
def test_elementwise_layers_of_small_and_large_numbers(layer: Layer, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, 2, 4, 4)) * 10.0 ** rng.integers(-12, 3, (2, 2, 4, 4))
    x[0, 0, 0] = (0.0, -0.0, 30.0, -30.0)
    assert disagreements(case_of(layer, (2, 4, 4), x=x)) == {}


# --- PyTorch is the judge at kinks and ties

KINKED = [
    (ReLU(), (1, 4, 4)),
    (LeakyReLU(0.3), (1, 4, 4)),
    (MaxPool2d(2), (2, 4, 4)),
    (MaxPool2d(3, 1, 1), (1, 4, 5)),
    (MaxPool2d((2, 3), (1, 2), (1, 1), ceil_mode=True), (1, 5, 6)),
    (MaxPool2d(2, 1, 1, dilation=2), (1, 5, 5)),
    (AdaptiveMaxPool2d(1), (2, 3, 3)),
]


@pytest.mark.parametrize(("layer", "shape"), KINKED, ids=lambda value: str(value)[:60])
def test_kinks_and_ties_are_those_of_pytorch(layer: Layer, shape: Shape) -> None:
    for seed in range(4):
        x = np.random.default_rng(seed).integers(-1, 2, (2, *shape)).astype(np.float64)
        case = case_of(layer, shape, x=x, seed=seed)
        theirs = torch.from_numpy(x).requires_grad_()
        in_pytorch(layer)(theirs).backward(torch.from_numpy(case.grad_output))
        assert theirs.grad is not None
        got = gradients(case)["input.grad"]
        np.testing.assert_allclose(got, theirs.grad.numpy(), rtol=TOLERANCE, atol=TOLERANCE)


# --- Differences that nearly vanish


def test_softmax_loses_nothing_of_gradients_that_are_nearly_alike() -> None:
    """The steps between the gradients are powers of two: their differences are exact."""
    x = np.array([[40.0, 0.0, -3.0]])
    case = replace(
        case_of(Softmax(), (3,), 1, x=x), grad_output=np.array([[1e8, 1e8 - 4, 1e8 + 2]])
    )
    p = np.exp(x[0] - 40.0)
    p /= p.sum()
    apart = case.grad_output.T - case.grad_output
    exact = p * (p * apart).sum(axis=1)
    np.testing.assert_allclose(gradients(case)["input.grad"][0], exact, rtol=1e-13)
    # As it is computed otherwise, nothing is left of the first.
    assert abs(case.expected["input.grad"][0, 0] / exact[0] - 1) > 0.1


def test_tanh_loses_nothing_of_outputs_near_one() -> None:
    x = np.array([[17.0, -17.0, 15.0]])
    case = case_of(Tanh(), (3,), 1, x=x)
    out = np.tanh(x)
    exact = case.grad_output * np.where(x < 0, 1 + out, 1 - out) * (1 + np.abs(out))
    np.testing.assert_allclose(gradients(case)["input.grad"], exact, rtol=1e-13)


@pytest.mark.parametrize("norm", [BatchNorm2d, InstanceNorm2d])
def test_normalisations_lose_nothing_far_from_zero(norm: Any) -> None:
    x = np.random.default_rng(0).integers(-8, 8, (2, 1, 4, 4)).astype(np.float64)
    near, far = (
        gradients(case_of(norm(1, affine=True), (1, 4, 4), x=x + shift)) for shift in (0.0, 2.0**30)
    )
    for name, values in near.items():
        np.testing.assert_allclose(far[name], values, rtol=1e-9, atol=1e-9, err_msg=name)


# --- Formulas, as they are read


def spelled(case: Case, tensor: str) -> list[str]:
    """Every formula of a tensor of the case, unit by unit."""
    laid = Laid(case)
    return [str(laid.sheets["s"].cells[cell]) for cell in cells_of(laid.placed[tensor])]


def test_a_pool_without_overlap_compares_with_its_window_alone() -> None:
    first, second, third, fourth = spelled(case_of(MaxPool2d(2), (1, 2, 2), 1), "input.grad")
    assert first == "=IF(B2=E2,G2,0)"
    assert second == "=IF(AND(C2=E2,MAX(B2)<E2),G2,0)"
    assert third == "=IF(AND(B3=E2,MAX(B2:C2)<E2),G2,0)"
    assert fourth == "=IF(AND(C3=E2,MAX(B2:C2,B3)<E2),G2,0)"


def test_what_no_window_reads_has_the_gradient_zero() -> None:
    for pool in (MaxPool2d(1, 2), AvgPool2d(1, 2)):
        assert spelled(case_of(pool, (1, 1, 2), 1), "input.grad")[1] == "=0"


def test_windows_that_count_alike_are_added_up_before_they_are_divided() -> None:
    case = case_of(AvgPool2d(2, 1), (1, 3, 3), 1)
    assert spelled(case, "input.grad")[4] == "=SUM(I2:J3)/4"


def test_the_turned_kernel_refers_to_the_opposite_cells() -> None:
    laid = Laid(case_of(Conv2d(1, 1, (2, 3), dilation=2, bias=False), (1, 4, 5), 1))
    kernel = [cell.a1 for cell in cells_of(laid.placed["weight"])]
    cells = laid.sheets["s"].cells
    turned = [cells[cell] for cell in cells_of(laid.placed["weight.turned"])]
    assert turned == [f"={cell}" for cell in reversed(kernel)]


def test_single_cells_that_may_be_blank_are_multiplied() -> None:
    """Gnumeric's SUMPRODUCT takes no single blank cell."""
    case = case_of(Conv2d(1, 2, 1, stride=2, padding=1), (1, 2, 2), 1)
    assert all(text.count("*") == 2 for text in spelled(case, "input.grad"))
    case = case_of(Conv2d(1, 1, 2, stride=3, padding=1), (1, 2, 2), 1)
    assert not any("SUM" in text for text in spelled(case, "weight.grad"))


def test_docstrings_show_the_gradient() -> None:
    for layer_class in LAYERS.values():
        assert layer_class.is_view or "grad_input" in (layer_class.__doc__ or "")


def test_tensors_that_nobody_placed_are_left_out() -> None:
    case = case_of(Conv2d(1, 1, 2), (1, 3, 3), 1)
    laid = Laid(case)
    own = {name: where for name, where in laid.placed.items() if name != "weight.turned"}
    view = BackView("s", laid.placed["input"], own, False, laid.placed["grad_output"])
    spelled = {item.tensor for item in case.layer.parameter_gradients(view)}
    assert spelled == {"weight.grad", "bias.grad"}
    assert list(view.targets) == []


# --- Limits


def test_more_images_than_a_sum_has_arguments() -> None:
    case = case_of(Linear(1, 1), (1,), MOST_ARGUMENTS + 45)
    assert spelled(case, "bias.grad")[0].count("SUM(") == 3
    assert disagreements(case) == {}


def test_a_window_of_more_units_than_a_maximum_has_arguments() -> None:
    x = np.zeros((1, 1, 2 * MOST_ARGUMENTS + 1, 1))
    case = case_of(MaxPool2d((MOST_ARGUMENTS + 1, 1), dilation=(2, 1)), x.shape[1:], 1, x=x)
    shown = gradients(case)["input.grad"]
    assert np.flatnonzero(shown).tolist() == [0]


@pytest.mark.parametrize(
    ("layer", "shape", "batch", "message"),
    [
        (Conv2d(1, 1, 2), (1, 3, 3), 300, r"the formula of weight.grad needs .* smaller batches"),
        (Conv2d(1, 300, 2), (1, 2, 2), 1, r"the formula of input.grad needs .* output channels"),
        (Linear(1, 1), (1,), 900, r"the formula of weight.grad needs .* use smaller batches"),
        (Linear(1, 900), (1,), 1, r"the formula of input.grad needs .* use fewer outputs"),
        (
            MaxPool2d((200, 1), 1),
            (1, 399, 1),
            1,
            r"the formula of input.grad needs .* larger stride",
        ),
        (InstanceNorm2d(1, affine=True), (1, 1, 1), 250, r"weight.grad needs .* smaller batches"),
    ],
)
def test_a_formula_that_is_too_long_is_refused(
    layer: Layer, shape: Shape, batch: int, message: str
) -> None:
    with pytest.raises(LayoutError, match=message) as caught:
        Laid(case_of(layer, shape, batch))
    assert str(caught.value).startswith(str(layer.while_training()))
    assert "and Excel takes 8,192: " in str(caught.value)


# --- Negative controls


class Unturned(Conv2d):
    """A convolution whose kernels go back as they are."""

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        own = {**view.own, "weight.turned": view.own["weight"]}
        return super().input_gradient(replace(view, own=own))


class WithoutBorder(Conv2d):
    """A convolution that asks for no blanks around its gradient."""

    def gradient_border(self, input_shape: Shape) -> Border:
        return Border()


class WithoutSteps(Conv2d):
    """A convolution whose gradient's units stand beside each other."""

    def gradient_steps(self) -> tuple[int, int]:
        return (1, 1)


class FirstImage(Linear):
    """A dense layer that learns from the first image alone."""

    def parameter_gradients(self, view: BackView) -> list[CellFormulas]:
        first = [Placed((1, *p.shape[1:]), p.role, p.image(0).grids)
                 for p in (view.input, view.grad_output)]  # fmt: skip
        return super().parameter_gradients(replace(view, input=first[0], grad_output=first[1]))


def respelled(items: list[CellFormulas], pattern: str, text: str) -> list[CellFormulas]:
    """Formulas without moving references, something in them put otherwise."""
    return [replace(i, formula=(re.sub(pattern, text, str(*i.formula)),)) for i in items]


class EveryLargest(MaxPool2d):
    """A pool that gives the gradient to every maximum of a window."""

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        return respelled(super().input_gradient(view), r"AND\((\w+=\w+),MAX\([^)]*\)<\w+\)", r"\1")


class EqualShares(AvgPool2d):
    """A pool that counts the padding though it should not."""

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        return AvgPool2d(
            self.kernel_size, self.stride, self.padding, self.ceil_mode
        ).input_gradient(view)


class Reaching(MaxPool2d):
    """A pool that compares with the blanks around the plane, too."""

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        first = view.input.grids[0]
        blank = Cell("s", first.row - 1, first.column - 1).a1
        return respelled(
            super().input_gradient(view), r"IF\((\w+)=(\w+),", rf"IF(AND(\1=\2,MAX({blank})<\2),"
        )


class LevelNorm(BatchNorm2d):
    """A normalisation that takes off the gradient's mean in place of its slope."""

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        own = {**view.own, "grad.slope": view.own["grad.mean"]}
        return super().input_gradient(replace(view, own=own))


class UnscaledDropout(Dropout):
    """A dropout that passes the gradient as it is."""

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        return Dropout(self.p, rescale=False).input_gradient(view)


class SteepAtZero(ReLU):
    """A rectifier with the slope 1 at zero."""

    def slope(self, x: Formula, out: Formula, grad: Formula) -> Formula:
        return ("IF(", *x, ">=0,", *grad, ",0)")


TIES = np.array([[[[2.0, 2.0], [0.0, 2.0]]]])
WRONG = [
    (case_of(Unturned(1, 1, 2), (1, 3, 3), 1), {"input.grad"}),
    (case_of(WithoutBorder(1, 1, 2), (1, 3, 3), 1), {"input.grad"}),
    (case_of(WithoutSteps(1, 1, 2, stride=2), (1, 4, 4), 1), {"input.grad", "weight.grad"}),
    (case_of(FirstImage(3, 2), (3,)), {"weight.grad", "bias.grad"}),
    (case_of(EveryLargest(2), (1, 2, 2), 1, x=TIES), {"input.grad"}),
    (case_of(EqualShares(2, None, 1, False, False), (1, 4, 4)), {"input.grad"}),
    (case_of(Reaching(2, padding=1), (1, 2, 2), 1, x=-1 - TIES), {"input.grad"}),
    (case_of(LevelNorm(2), (2, 3, 3)), {"input.grad"}),
    (case_of(UnscaledDropout(0.4), (1, 3, 3)), {"input.grad"}),
    (case_of(SteepAtZero(), (1, 2, 2), 1, x=TIES), {"input.grad"}),
]


@pytest.mark.parametrize(("case", "tensors"), WRONG, ids=lambda value: type(value).__name__)
def test_a_wrong_gradient_is_found(case: Case, tensors: set[str]) -> None:
    assert set(disagreements(case)) == tensors


def test_a_wrong_gradient_is_found_where_it_stands() -> None:
    assert disagreements(WRONG[4][0]) == {"input.grad": [1, 3]}
    assert disagreements(WRONG[-1][0]) == {"input.grad": [2]}


def test_a_layer_without_a_slope_says_so() -> None:
    class Odd(ReLU):
        slope = Elementwise.slope

    assert not Odd().has_gradients
    with pytest.raises(LayoutError, match="cannot be trained in cells: its gradient has no form"):
        Laid(case_of(Odd(), (1, 2, 2)))


# --- LibreOffice


def sampled() -> list[Case]:
    """A few cases of every layer."""
    cases = [
        case_of(example.layer, example.x.shape, 2, steps=steps)
        for layer_class in LAYERS.values()
        for example, steps in zip(layer_class.examples(), [(1, 1), (2, 3), (3, 2)], strict=False)
        if example.layer.has_gradients
    ]
    cases += [case_of(param.values[0], param.values[1]) for param in CONVOLUTIONS]
    return cases + [random_pool(seed) for seed in range(12)]


def test_gradients_in_libreoffice(libreoffice: Engine, tmp_path: Path) -> None:
    near = 1.0 + np.arange(9.0).reshape(1, 1, 3, 3) * 2.0**-52
    cases = [*sampled(), case_of(MaxPool2d(3), (1, 3, 3), 1, x=near), WRONG[0][0]]
    laid = [Laid(case, f"case_{number}") for number, case in enumerate(cases)]
    book = openpyxl.Workbook()
    for item in laid:
        worksheet = book.create_sheet(item.name)
        for cell, content in item.sheets[item.name].surrounded.items():
            worksheet.cell(cell.row + 1, cell.column + 1, content)
    path = tmp_path / "gradients.xlsx"
    book.save(path)
    differ, shown = {}, {}
    with libreoffice.open(path) as opened:
        opened.recalculate()
        for item in laid:
            names = item.case.expected
            for grid in (grid for name in names for grid in item.placed[name].grids):
                rows = opened.get_values(grid.bounds)
                for cell in grid.cells():
                    shown[cell] = rows[cell.row - grid.row][cell.column - grid.column]
            if found := item.disagreements(shown, TOLERANCE):
                differ[item.name] = set(found)
    *_, tied, wrong = laid
    # Numbers that differ in the last digit only are equal there: one of them takes it all.
    taken = [shown[cell] for cell in cells_of(tied.placed["input.grad"])]
    assert sorted(map(abs, taken))[-2:] == [0.0, abs(tied.case.grad_output.item())]
    differ.pop(tied.name, None)
    assert differ == {wrong.name: {"input.grad"}}

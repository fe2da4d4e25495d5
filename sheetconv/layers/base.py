"""The contract of a layer: what one file under `layers/` has to say.

A layer is a frozen dataclass with PyTorch's names and defaults. It holds its
configuration only; parameters and caches are passed in. Arrays are float64, with
the batch first: NCHW for images, (N, features) for vectors. `forward` and `backward` compute
in the type that they are given, as training does with float32.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..cells import MAX_FORMULA
from ..errors import LayoutError, ShapeError
from ..formulas import BackView, CellFormulas, Formula, Role, Shape, View, formula_text
from .arithmetic import Arithmetic

Array = NDArray[np.float64]
Params = Mapping[str, Array]
Cache = Any

#: The unit roundoff of a double: the relative error of one correctly rounded operation.
ROUNDOFF = 2.0**-53

#: The most numbers of one tensor of weights: 1 GiB, more than those of large networks.
MOST_NUMBERS = 2**27

#: LibreOffice and Excel show a sum or difference as 0 where it is less than this part of
#: its operands.
SNAP = 2.0**-48

#: How the cells of a tensor are arranged.
#:
#: planes: one plane a channel, downwards; vector: one column;
#: kernels: a kernel for each pair of output and input channel, beside the output's plane;
#: dense: for each output a copy of the input's own arrangement;
#: scalars: one labelled cell a channel, beside its plane, below the kernels if there are any;
#: below: one labelled cell a channel (or vector), below its plane;
#: single: one labelled cell above the planes;
#: border: the cells around each plane of the input, as far as the layer's `border` says.
Arrangement = Literal[
    "planes", "vector", "kernels", "dense", "scalars", "below", "single", "border"
]


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor that a layer draws.

    Attributes:
        name: within its layer, as in PyTorch: `weight`, `bias`; `out` for the activations.
        shape: without the batch.
        role: numbers or formulas, and which.
        arrangement: how its cells stand.
        label: what people read beside it.
        number_format: Excel's number format; None for the workbook's own.
        spread: rows and columns from one unit of a kernel to the next, in units of the
            input's plane.
        per_image: whether each image of a batch has its own, as activations do. Default:
            whether it holds formulas or the image.
    """

    name: str
    shape: Shape
    role: Role
    arrangement: Arrangement
    label: str = ""
    number_format: str | None = None
    spread: tuple[int, int] = (1, 1)
    per_image: bool | None = None

    @property
    def batched(self) -> bool:
        """Whether arrays have the batch first, though `shape` has not."""
        if self.per_image is None:
            return self.role.is_formula or self.role is Role.INPUT
        return self.per_image


@dataclass(frozen=True, slots=True)
class Border:
    """The rows and columns around a layer's input that its windows reach.

    Attributes:
        left, right, top, bottom: the padding, in units.
        past_right, past_bottom: what windows reach beyond the padding (`ceil_mode`);
            always blank.
        zeros: whether padding is zeros; otherwise blank, which MAX and AVERAGE skip.
        counts: whether a zero differs from a blank to the formula, so that it has to be
            drawn whatever the drawing says.
        filled: whether a tensor of the layer, its arrangement `border`, stands on the padding.
    """

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0
    past_right: int = 0
    past_bottom: int = 0
    zeros: bool = True
    counts: bool = False
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Reach:
    """Which rows and columns of its input one unit of a layer reads, each as (height, width).

    Attributes:
        size: of the window, what a dilation leaves out included.
        stride: from the window of one unit to that of the next.
        padding: rows above and columns left of the input where the first window begins.
    """

    size: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Example:
    """A configuration with an input and one output unit worked out by hand.

    Attributes:
        layer: the layer.
        x: the input of one sample, without the batch.
        params: every parameter and setting that `forward` reads.
        index: which unit of the output, without the batch.
        value: what it is, worked out by hand.
    """

    layer: Layer
    x: Array
    params: dict[str, Array]
    index: tuple[int, ...]
    value: float


@dataclass(frozen=True)
class Layer(ABC):
    """One layer of a network."""

    #: What people read: "Conv", "Dense"; and the stem of automatic names: conv1, dense1.
    title: ClassVar[str] = ""
    stem: ClassVar[str] = ""
    #: Whether the layer draws nothing: its output stands on its input's cells.
    is_view: ClassVar[bool] = False
    #: Whether each unit belongs to the one input unit in its place, so that behind Flatten
    #: the layer stands on planes like those that it reads.
    is_unitwise: ClassVar[bool] = False

    @abstractmethod
    def output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the output, without the batch.

        Raises:
            ShapeError: the layer cannot take this input.
        """

    def init_params(self, rng: np.random.Generator) -> dict[str, Array]:
        """New parameters, drawn as PyTorch draws them; none by default."""
        return {}

    def init_buffers(self) -> dict[str, Array]:
        """The numbers that are kept but not learned, as PyTorch starts them; none by default.

        `forward` finds them among the parameters.
        """
        return {}

    def settings(self) -> dict[str, Array]:
        """The numbers of the configuration that stand in a cell of their own, by tensor name.

        Each is a field of that name, so that an edited cell makes another layer.
        """
        return {}

    def probe_settings(self, rng: np.random.Generator) -> dict[str, Array]:
        """Settings and buffers for a recalculation with random numbers; others stay."""
        return {}

    def probe_window(self, input_shape: Shape) -> tuple[int, int]:
        """Height and width of the window of which a unit shows only the largest.

        A check makes each unit of it the largest in turn. (1, 1) for layers that show all
        that they read at once.
        """
        return (1, 1)

    def draw_noise(
        self, input_shape: Shape, rng: np.random.Generator, batch: int = 1
    ) -> dict[str, Array]:
        """The random tensors that `forward` reads, the batch first; none by default."""
        return {}

    @abstractmethod
    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        """The output of a batch, and what `backward` needs."""

    @abstractmethod
    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        """The gradients of the input and of each trainable parameter, summed over the batch."""

    def while_training(self) -> Layer:
        """The layer as it computes while it is trained; by default itself.

        Its parameters are those of this layer.
        """
        return self

    def updated_buffers(self, x: Array, params: Params, seen: int) -> dict[str, Array]:
        """The buffers after one batch of training; none by default.

        Args:
            x: the input of the batch.
            params: the buffers before it, among others.
            seen: how many batches training has seen, this one included.
        """
        return {}

    @abstractmethod
    def forward_naive(self, x: Array, params: Params) -> Array:
        """The output of a batch, one unit at a time: the layer's formula, in Python."""

    def activations(self, x: Array, params: Params) -> dict[str, Array]:
        """The value of every formula tensor except noise: the batch first where it is batched.

        A step that `params` holds is what a workbook shows: what reads it is computed from
        that, so that a wrong step is told from those that follow it.
        """
        return {"out": self.forward(x, params)[0]}

    @abstractmethod
    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """How far each unit of `activations` may lie from a spreadsheet's result.

        Args:
            x: the input of a batch.
            error: how far each unit of the input may lie off.
            params: as for `forward`.
        """

    def tensors(self, input_shape: Shape) -> tuple[Tensor, ...]:
        """The tensors that the layer draws, left to right; the last is `out`."""
        return (Tensor("out", self.output_shape(input_shape), Role.OUTPUT, "planes"),)

    def border(self, input_shape: Shape) -> Border:
        """What has to be free or zero around the input's planes."""
        return Border()

    def steps(self) -> tuple[int, int]:
        """Rows and columns between units of an *aligned* output: the stride."""
        return (1, 1)

    def reach(self, input_shape: Shape) -> Reach | None:
        """Which part of its input each unit reads, for the receptive field.

        None where every unit reads all of it. Default: the one unit in its place.
        """
        return Reach()

    def channel_groups(self, input_shape: Shape) -> int:
        """Into how many parts the channels fall, of which a unit reads one.

        1 where each unit reads every channel. Default: each its own.
        """
        return input_shape[0] if len(input_shape) == 3 else 1

    @property
    def mixes_images(self) -> bool:
        """Whether a unit depends on the other images of the batch. Default False."""
        return False

    def arithmetic(self, input_shape: Shape) -> Arithmetic:
        """How its sizes follow from its input's. Default: they are the same."""
        return Arithmetic()

    def multiplications(self, input_shape: Shape) -> int:
        """How many products with weights one image takes; biases are added. Default 0."""
        return 0

    def nonnegative(self, input_nonnegative: bool) -> bool:
        """Whether no output can be negative, given whether no input can: for the colours."""
        return False

    @abstractmethod
    def formulas(self, view: View) -> list[CellFormulas]:
        """The formula of every batched formula tensor, for one image of the batch.

        It must not be derived from `forward`: the check holds the two against each other.
        """

    def batch_formulas(self, view: View) -> list[CellFormulas]:
        """The formulas of the tensors that all images share; none by default."""
        return []

    # --- The way back, in cells

    @property
    def has_gradients(self) -> bool:
        """Whether the layer spells the formulas of its gradients. Default: where it does."""
        return type(self).input_gradient is not Layer.input_gradient

    def gradient_tensors(self, input_shape: Shape) -> tuple[Tensor, ...]:
        """What the way back draws besides the gradients of input and parameters.

        Such as kernels that are turned by 180 degrees. None by default.
        """
        return ()

    def gradient_values(self, x: Array, params: Params, grad_output: Array) -> dict[str, Array]:
        """The value of each of `gradient_tensors`; none by default.

        Args:
            x: the input of a batch.
            params: as for `activations`.
            grad_output: the gradient of the output.
        """
        return {}

    def gradient_steps(self) -> tuple[int, int]:
        """Rows and columns from one unit of the output's gradient to the next.

        Others than one where blank cells have to stand between them. Default (1, 1).
        """
        return (1, 1)

    def gradient_border(self, input_shape: Shape) -> Border:
        """The blank cells that have to stand around the output's gradient. Default: none.

        They are counted in cells, whatever `gradient_steps` says.
        """
        return Border()

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        """The gradient with respect to the input, for one image, as tensor `input.grad`.

        It stands in `view.grad_input`. It must not be derived from `backward`, against which
        the check holds it.

        Raises:
            LayoutError: the layer does not spell it.
        """
        raise LayoutError(f"{self} cannot be trained in cells: its gradient has no formula")

    def parameter_gradients(self, view: BackView) -> list[CellFormulas]:
        """The gradients of the parameters, `weight.grad` and so on, and `gradient_tensors`.

        The view is that of the whole batch, over which gradients are summed. Those of
        `gradient_tensors` that it does not have are left out. None by default.

        Raises:
            LayoutError: so large a batch does not fit a formula.
        """
        return []

    def fitting(self, formulas: list[CellFormulas], advice: str) -> list[CellFormulas]:
        """The formulas, if Excel takes each of them.

        Args:
            formulas: of gradients.
            advice: what makes them shorter, for the error.

        Raises:
            LayoutError: one is longer.
        """
        for item in formulas:
            last = formula_text(item.formula, item.grid.height - 1, item.grid.width - 1)
            if len(last) + 1 > MAX_FORMULA:
                raise LayoutError(
                    f"{self}: the formula of {item.tensor} needs {len(last) + 1:,} characters, and "
                    f"Excel takes {MAX_FORMULA:,}: {advice}"
                )
        return formulas

    @classmethod
    @abstractmethod
    def examples(cls) -> list[Example]:
        """Configurations with one output worked out by hand, for the tests."""

    def config(self) -> dict[str, Any]:
        """The fields that differ from their defaults, as a template would give them."""
        out: dict[str, Any] = {"type": type(self).__name__}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.default is MISSING or value != item.default:
                out[item.name] = list(value) if isinstance(value, tuple) else value
        return out

    def refuse_input(self, input_shape: Shape, expected: str) -> ShapeError:
        """The error for an input of the wrong shape."""
        return ShapeError(f"{self} got an input of shape {input_shape}: expected {expected}")

    def set(self, name: str, value: Any) -> None:
        """Store a normalised field during `__post_init__` of the frozen dataclass."""
        object.__setattr__(self, name, value)

    def store_plain(self, *names: str) -> None:
        """Store checked whole numbers and lists of them as Python's own, which JSON takes."""
        for name in names:
            value = getattr(self, name)
            if isinstance(value, Sequence):
                self.set(name, tuple(int(item) for item in value))
            elif value is not None:
                self.set(name, int(value))


class Elementwise(Layer):
    """A layer whose units each read the one input unit in their place.

    It may stand on planes of its own, or be fused into the formula of the layer before.
    """

    is_unitwise: ClassVar[bool] = True
    #: Whether it may be fused: not where its formula holds the expression many times.
    is_fusable: ClassVar[bool] = True

    @abstractmethod
    def wrap(self, expression: Formula) -> Formula:
        """The formula for an expression in place of the input."""

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def tensors(self, input_shape: Shape) -> tuple[Tensor, ...]:
        arrangement: Arrangement = "planes" if len(input_shape) == 3 else "vector"
        return (Tensor("out", input_shape, Role.OUTPUT, arrangement),)

    def formulas(self, view: View) -> list[CellFormulas]:
        return [
            CellFormulas("out", start, grid, self.wrap((view.window(view.input.grids[number]),)))
            for number, start, grid in view.planes("out")
        ]

    @property
    def has_gradients(self) -> bool:
        return type(self).slope is not Elementwise.slope

    def slope(self, x: Formula, out: Formula, grad: Formula) -> Formula:
        """The formula of one unit of the input's gradient.

        Args:
            x: the reference to the unit of the input.
            out: to that of the output.
            grad: to that of the output's gradient.

        Raises:
            LayoutError: the layer does not spell it.
        """
        raise LayoutError(f"{self} cannot be trained in cells: its gradient has no formula")

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        planes = (view.input.grids, view.own["out"].grids, view.grad_output.grids)
        return [
            CellFormulas(
                "input.grad",
                start,
                grid,
                self.slope(*((view.window(grids[number]),) for grids in planes)),
            )
            for number, start, grid in view.targets
        ]


def kaiming_uniform(rng: np.random.Generator, shape: Shape, fan_in: int) -> Array:
    """PyTorch's default initialisation, uniform in +-1/sqrt(fan_in).

    Raises:
        MemoryError: there are more than `MOST_NUMBERS`. Where a system promises more memory
            than it has, drawing them would stop it.
    """
    if math.prod(shape) > MOST_NUMBERS:
        raise MemoryError(f"{math.prod(shape):,} numbers")
    bound = 1.0 / math.sqrt(max(fan_in, 1))
    return rng.uniform(-bound, bound, shape)

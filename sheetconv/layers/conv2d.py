"""The convolution: every unit is the sum of a window of the input times a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import ceil, prod
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..cells import Grid
from ..errors import LayoutError, ShapeError
from ..formulas import (
    MOST_TERMS,
    BackView,
    CellFormulas,
    Formula,
    Moving,
    Role,
    Shape,
    View,
    called,
    joined,
)
from .arithmetic import Arithmetic, window_settings, windows_along
from .base import (
    ROUNDOFF,
    SNAP,
    Array,
    Border,
    Cache,
    Example,
    Layer,
    Params,
    Reach,
    Tensor,
    kaiming_uniform,
)
from .padding import (
    MODES,
    check_fits,
    frame,
    frame_formulas,
    frame_size,
    padded,
    source_index,
    unpadded_gradient,
    with_frame,
)
from .validation import flag, four_sides, one_of, pair, whole


@dataclass(frozen=True)
class Conv2d(Layer):
    """A 2-d convolution (cross-correlation, as in PyTorch).

    ::

        out[o, i, j] = bias[o] + sum over c, u, v of
                       weight[o, c, u, v]
                       * x[c, i*stride + u*dilation - top, j*stride + v*dilation - left]

        =SUMPRODUCT(A2:C4,$AD$11:$AF$13)+...+$AD$15          one term an input channel

    Shapes: x (N, in_channels, H, W), weight
    (out_channels, in_channels / groups, kernel_h, kernel_w), bias (out_channels,), out
    (N, out_channels, H', W') with
    H' = (H + top + bottom - dilation_h * (kernel_h - 1) - 1) // stride_h + 1.

    A dilated kernel is drawn with holes: its cells stand as far apart as the cells that
    they meet, and SUMPRODUCT reads the blanks between as zeros. With more than 40 input
    channels the sum is split: `partial1`, `partial2`, ... are planes of their own.

    The way back, with p = y + top - u*dilation and q = x + left - v*dilation, of which only
    those count that the stride divides::

        grad_input[c, y, x] = sum over o, u, v of
                              weight[o, c, u, v] * grad_output[o, p/stride, q/stride]
        weight.grad[o, c, u, v] = sum over i, j of grad_output[o, i, j]
                              * x[c, i*stride + u*dilation - top, j*stride + v*dilation - left]
        bias.grad[o] = sum over i, j of grad_output[o, i, j]

        =SUMPRODUCT(CA1:CC3,$BW$11:$BY$13)+...          one term an output channel
        =SUMPRODUCT(A2:Z27,$CC$3:$DB$28)+...            one term an image
        =SUM($CC$3:$DB$28,...)                          one area an image

    The gradient's units stand as far apart as the windows: between them and around them are
    blanks, and the kernel is turned by 180 degrees: `weight.turned`.

    Args:
        in_channels: planes of the input.
        out_channels: planes of the output, one kernel each.
        kernel_size: height and width, or one number for both.
        stride: rows and columns between windows. Default 1.
        padding: zeros around the input: one number, a pair (height, width), or the four
            sides (left, right, top, bottom) in the order of PyTorch's `ZeroPad2d`. Default 0.
        dilation: rows and columns from one cell under the kernel to the next. Default 1.
        groups: parts into which channels are cut, each convolved by itself; with
            `groups=in_channels` each plane alone (depthwise). Default 1.
        bias: whether a number is added to each plane. Default True.
        padding_mode: what stands in the padding: `zeros`, or references to the plane's own
            units: `reflect` (mirrored, without the edge), `replicate` (the edge again and
            again), `circular` (from the other side). Default `zeros`.

    Raises:
        ShapeError: a field is out of its range.

    Example:
        >>> Conv2d(1, 2, 3, padding=(0, 1, 0, 0)).output_shape((1, 26, 26))
        (2, 24, 25)
    """

    in_channels: int
    out_channels: int
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] | tuple[int, int, int, int] = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    bias: bool = True
    padding_mode: str = "zeros"

    title: ClassVar[str] = "Conv"
    stem: ClassVar[str] = "conv"

    def __post_init__(self) -> None:
        whole("Conv2d", "in_channels", self.in_channels, 1)
        whole("Conv2d", "out_channels", self.out_channels, 1)
        pair("Conv2d", "kernel_size", self.kernel_size, 1)
        pair("Conv2d", "stride", self.stride, 1)
        four_sides("Conv2d", "padding", self.padding)
        pair("Conv2d", "dilation", self.dilation, 1)
        groups = whole("Conv2d", "groups", self.groups, 1)
        for field in ("in_channels", "out_channels"):
            if getattr(self, field) % groups:
                raise ShapeError(
                    f"Conv2d: groups is {groups}: expected a divisor of {field}, which is "
                    f"{getattr(self, field)}"
                )
        flag("Conv2d", "bias", self.bias)
        one_of("Conv2d", "padding_mode", self.padding_mode, MODES)
        self.store_plain("in_channels", "out_channels", "kernel_size", "stride", "padding")
        self.store_plain("dilation", "groups")

    @property
    def _kernel(self) -> tuple[int, int]:
        return pair("Conv2d", "kernel_size", self.kernel_size, 1)

    @property
    def _stride(self) -> tuple[int, int]:
        return pair("Conv2d", "stride", self.stride, 1)

    @property
    def _dilation(self) -> tuple[int, int]:
        return pair("Conv2d", "dilation", self.dilation, 1)

    @property
    def _span(self) -> tuple[int, int]:
        """Height and width of a window, in units of the input."""
        (kh, kw), (dh, dw) = self._kernel, self._dilation
        return ((kh - 1) * dh + 1, (kw - 1) * dw + 1)

    @property
    def _weight_shape(self) -> tuple[int, int, int, int]:
        return (self.out_channels, self.in_channels // self.groups, *self._kernel)

    @property
    def _sides(self) -> tuple[int, int, int, int]:
        return four_sides("Conv2d", "padding", self.padding)

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3 or input_shape[0] != self.in_channels:
            raise self.refuse_input(input_shape, f"({self.in_channels}, height, width)")
        (kh, kw), (sh, sw) = self._span, self._stride
        left, right, top, bottom = self._sides
        check_fits("Conv2d", self.padding_mode, self._sides, *input_shape[1:])
        height, width = input_shape[1] + top + bottom, input_shape[2] + left + right
        if height < kh or width < kw:
            raise ShapeError(
                f"{self} got an input of shape {input_shape}: with its padding it is "
                f"{height} x {width}, smaller than the {kh} x {kw} window"
            )
        return (self.out_channels, (height - kh) // sh + 1, (width - kw) // sw + 1)

    def init_params(self, rng: np.random.Generator) -> dict[str, Array]:
        fan_in = prod(self._weight_shape[1:])
        params = {"weight": kaiming_uniform(rng, self._weight_shape, fan_in)}
        if self.bias:
            params["bias"] = kaiming_uniform(rng, (self.out_channels,), fan_in)
        return params

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        windows = self._windows(x, params)
        # For each group (N, C, H', W', kh, kw) x (O, C, kh, kw) -> (N, H', W', O)
        parts = [
            np.tensordot(windows[:, c], params["weight"][o], axes=((1, 4, 5), (1, 2, 3)))
            for c, o in self._groups()
        ]
        out = np.concatenate(parts, axis=-1)
        if self.bias:
            out = out + params["bias"]
        return np.moveaxis(out, -1, 1), (x.shape, windows)

    def _windows(self, x: Array, params: Params) -> Array:
        """Every window of a batch: (N, C, H', W', kernel_h, kernel_w)."""
        (sh, sw), (dh, dw) = self._stride, self._dilation
        if "border" in params:
            whole = with_frame(x, params["border"], self._sides)
        else:
            whole = padded(x, self._sides, self.padding_mode)
        windows = sliding_window_view(whole, self._span, axis=(2, 3))
        return windows[:, :, ::sh, ::sw, ::dh, ::dw]

    @property
    def _chunks(self) -> list[slice]:
        """The input channels of each partial sum, within a group; none without partial sums."""
        inputs, _ = self._per_group
        if inputs <= MOST_TERMS:
            return []
        # As even as can be.
        size = ceil(inputs / ceil(inputs / MOST_TERMS))
        return [slice(first, min(first + size, inputs)) for first in range(0, inputs, size)]

    @property
    def _has_border(self) -> bool:
        return self.padding_mode != "zeros" and any(self._sides)

    @property
    def _per_group(self) -> tuple[int, int]:
        """How many input and output channels a group has."""
        return self.in_channels // self.groups, self.out_channels // self.groups

    def _groups(self) -> list[tuple[slice, slice]]:
        """Input and output channels of each group."""
        inputs, outputs = self._per_group
        return [
            (slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs))
            for g in range(self.groups)
        ]

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        (n, c, h, w), windows = cache
        (kh, kw), (sh, sw), (dh, dw) = self._kernel, self._stride, self._dilation
        left, right, top, bottom = self._sides
        grads = {
            "weight": np.concatenate(
                [
                    np.tensordot(grad_output[:, o], windows[:, c], axes=((0, 2, 3), (0, 2, 3)))
                    for c, o in self._groups()
                ]
            )
        }
        if self.bias:
            grads["bias"] = grad_output.sum(axis=(0, 2, 3))
        grad = np.zeros((n, c, h + top + bottom, w + left + right), grad_output.dtype)
        rows, columns = grad_output.shape[2] * sh, grad_output.shape[3] * sw
        for (channels, o), u, v in product(self._groups(), range(kh), range(kw)):
            # (N, O, H', W') x (O, C) -> (N, H', W', C)
            share = np.tensordot(grad_output[:, o], params["weight"][o, :, u, v], axes=(1, 0))
            i, j = slice(u * dh, u * dh + rows, sh), slice(v * dw, v * dw + columns, sw)
            grad[:, channels, i, j] += np.moveaxis(share, -1, 1)
        return unpadded_gradient(grad, self._sides, self.padding_mode), grads

    def forward_naive(self, x: Array, params: Params) -> Array:
        (sh, sw), (dh, dw) = self._stride, self._dilation
        left, _, top, _ = self._sides
        n, _, height, width = x.shape
        inputs, outputs = self._per_group
        out = np.zeros((n, *self.output_shape(x.shape[1:])))
        for b, o, i, j in np.ndindex(out.shape):
            total = float(params["bias"][o]) if self.bias else 0.0
            for c, u, v in np.ndindex(inputs, *self._kernel):
                row = source_index(i * sh + u * dh - top, height, self.padding_mode)
                column = source_index(j * sw + v * dw - left, width, self.padding_mode)
                if row is not None and column is not None:
                    plane = x[b, o // outputs * inputs + c]
                    total += plane[row, column] * params["weight"][o, c, u, v]
            out[b, o, i, j] = total
        return out

    def activations(self, x: Array, params: Params) -> dict[str, Array]:
        values = {}
        if self._has_border:
            values["border"] = frame(padded(x, self._sides, self.padding_mode), self._sides)
        partial = self._partial_sums(x, params)
        values |= partial
        if partial:
            shown = [params.get(name, value) for name, value in partial.items()]
            out = np.sum(np.broadcast_arrays(*shown), axis=0)
            bias = params["bias"][:, np.newaxis, np.newaxis] if self.bias else 0.0
            return {**values, "out": out + bias}
        return {**values, "out": self.forward(x, params)[0]}

    def _partial_sums(self, x: Array, params: Params) -> dict[str, Array]:
        """What the input channels of each chunk give, without the bias."""
        if not self._chunks:
            return {}
        windows, sums = self._windows(x, params), {}
        for number, chunk in enumerate(self._chunks, 1):
            parts = [
                np.tensordot(
                    windows[:, c][:, chunk], params["weight"][o, chunk], axes=((1, 4, 5), (1, 2, 3))
                )
                for c, o in self._groups()
            ]
            sums[f"partial{number}"] = np.moveaxis(np.concatenate(parts, axis=-1), -1, 1)
        return sums

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """Twice (n + 2) roundoffs of the sum of the n absolute products, bias included.

        And where terms are joined by a plus sign, what a program may take for zero.
        """
        magnitude = {name: np.abs(value) for name, value in params.items()}
        terms = prod(self._weight_shape[1:]) + 1
        joined_terms = self.bias or self.in_channels > self.groups
        part = 2 * (terms + 1) * ROUNDOFF + (SNAP if joined_terms else 0.0)
        total = self.activations(np.abs(x), magnitude)
        drift = {name: value for name, value in magnitude.items() if name == "weight"}
        drift["bias"] = np.zeros(self.out_channels)
        moved = self.activations(error, drift)
        # Copies are exact.
        return {
            name: moved[name] if name == "border" else part * value + moved[name]
            for name, value in total.items()
        }

    def tensors(self, input_shape: Shape) -> tuple[Tensor, ...]:
        weight = self._weight_shape
        drawn = [Tensor("weight", weight, Role.PARAM, "kernels", "filter", spread=self._dilation)]
        if self.bias:
            drawn.append(Tensor("bias", (self.out_channels,), Role.PARAM, "scalars", "bias"))
        if self._has_border:
            units = (self.in_channels, frame_size(self._sides, *input_shape[1:]))
            drawn.insert(0, Tensor("border", units, Role.STEP, "border"))
        shape = self.output_shape(input_shape)
        for number, chunk in enumerate(self._chunks, 1):
            label = f"channels {chunk.start + 1}-{chunk.stop}"
            drawn.append(Tensor(f"partial{number}", shape, Role.STEP, "planes", label))
        return (*drawn, Tensor("out", shape, Role.OUTPUT, "planes"))

    def border(self, input_shape: Shape) -> Border:
        left, right, top, bottom = self._sides
        return Border(left, right, top, bottom, filled=self._has_border)

    def steps(self) -> tuple[int, int]:
        return self._stride

    def reach(self, input_shape: Shape) -> Reach:
        left, _, top, _ = self._sides
        return Reach(self._span, self._stride, (top, left))

    def channel_groups(self, input_shape: Shape) -> int:
        return self.groups

    def arithmetic(self, input_shape: Shape) -> Arithmetic:
        window = window_settings(self._kernel, self._stride, self._sides, self._dilation)
        own = {"outputs": self.out_channels, "groups": self.groups, "bias": int(self.bias)}
        weights = "{channels_in}/{groups}*{kernel_height}*{kernel_width}"
        return Arithmetic(
            window | own,
            channels="{outputs}",
            height=windows_along("height", "top", "bottom"),
            width=windows_along("width", "left", "right"),
            parameters=f"{{outputs}}*({weights}+{{bias}})",
            multiplications="{height}*{width}*({parameters}-{channels}*{bias})",
        )

    def multiplications(self, input_shape: Shape) -> int:
        """Every weight once for each window; the zeros of the padding are multiplied, too."""
        _, height, width = self.output_shape(input_shape)
        return height * width * prod(self._weight_shape)

    def formulas(self, view: View) -> list[CellFormulas]:
        left, _, top, _ = self._sides
        kernels = view.own["weight"].grids
        inputs, outputs = self._per_group
        # Once for each plane, and not again for each kernel.
        windows = [
            view.window(plane, self._span, self._stride, (top, left)) for plane in view.input.grids
        ]
        chunks = self._chunks
        formulas = []
        if self._has_border:
            formulas += frame_formulas(view, "border", self.padding_mode)
        for o, start, grid in view.planes("out"):
            terms: list[Formula] = []
            first = o // outputs * inputs
            for c, window in enumerate(windows[first : first + inputs]):
                kernel = view.absolute(kernels[o * inputs + c])
                terms.append(view.sum_of_products((window,), (kernel,)))
            sums: list[Formula] = []
            for number, chunk in enumerate(chunks, 1):
                name = f"partial{number}"
                plane = view.own[name].grids[o]
                total = joined("+", terms[chunk])
                formulas.append(CellFormulas(name, start, plane, total, view.array))
                sums.append((view.window(plane),))
            terms = sums or terms
            if self.bias:
                terms.append((view.absolute(view.own["bias"].grids[o]),))
            is_array = view.array and not sums
            formulas.append(CellFormulas("out", start, grid, joined("+", terms), is_array))
        return formulas

    @property
    def has_gradients(self) -> bool:
        return not self._has_border

    def _check_gradients(self) -> None:
        if self._has_border:
            raise LayoutError(
                f"{self} cannot be trained in cells: its padding repeats units of the plane, which "
                "gather the gradients of all their copies: use padding_mode 'zeros'"
            )

    def gradient_tensors(self, input_shape: Shape) -> tuple[Tensor, ...]:
        weight = self._weight_shape
        turned = Tensor(
            "weight.turned", weight, Role.STEP, "kernels", "turned", None, self._dilation, False
        )
        return (turned,)

    def gradient_values(self, x: Array, params: Params, grad_output: Array) -> dict[str, Array]:
        return {"weight.turned": params["weight"][:, :, ::-1, ::-1]}

    def gradient_steps(self) -> tuple[int, int]:
        return self._stride

    def gradient_border(self, input_shape: Shape) -> Border:
        (kh, kw), (sh, sw) = self._span, self._stride
        left, _, top, _ = self._sides
        (_, height, width), (_, rows, columns) = input_shape, self.output_shape(input_shape)
        # The window of the input's last unit ends at it, counted from the padding.
        return Border(
            left=max(0, kw - 1 - left),
            right=max(0, width - 1 + left - (columns - 1) * sw),
            top=max(0, kh - 1 - top),
            bottom=max(0, height - 1 + top - (rows - 1) * sh),
            zeros=False,
        )

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        self._check_gradients()
        (kh, kw), (inputs, outputs) = self._span, self._per_group
        left, _, top, _ = self._sides
        kernels = view.own["weight.turned"].grids
        windows = []
        for plane in view.grad_output.grids:
            sheet = "" if plane.sheet == view.sheet else plane.sheet
            row, column = plane.row + top - kh + 1, plane.column + left - kw + 1
            # Cell by cell, though the plane's units stand apart.
            windows.append(Moving(sheet, row, column, kh, kw, 1, 1))
        formulas = []
        for channel, start, grid in view.targets:
            group, c = divmod(channel, inputs)
            terms = [
                _product(view, windows[o], kernels[o * inputs + c])
                for o in range(group * outputs, (group + 1) * outputs)
            ]
            total = joined("+", terms)
            formulas.append(CellFormulas("input.grad", start, grid, total, view.array))
        return self.fitting(formulas, "use fewer output channels, or more groups")

    def parameter_gradients(self, view: BackView) -> list[CellFormulas]:
        self._check_gradients()
        formulas = [*self._weight_gradients(view)]
        grads = view.grad_output.grids
        for o, start, grid in view.planes("bias.grad") if self.bias else ():
            planes: list[Formula] = [(view.absolute(g),) for g in grads[o :: self.out_channels]]
            formulas.append(CellFormulas("bias.grad", start, grid, called("SUM", planes)))
        if "weight.turned" in view.own:
            for number, start, grid in view.planes("weight.turned"):
                kernel = view.own["weight"].grids[number]
                last = view.window(kernel.unit(kernel.size - 1))
                back = replace(last, row_step=-kernel.row_step, column_step=-kernel.column_step)
                formulas.append(CellFormulas("weight.turned", start, grid, (back,)))
        return self.fitting(formulas, "use smaller batches")

    def _weight_gradients(self, view: BackView) -> Iterator[CellFormulas]:
        """Each cell of a kernel: all that it meets, times the gradient of what it made."""
        inputs, outputs = self._per_group
        left, _, top, _ = self._sides
        for number, start, grid in view.planes("weight.grad"):
            o, c = divmod(number, inputs)
            planes = view.input.grids[o // outputs * inputs + c :: self.in_channels]
            terms = []
            for plane, grad in zip(
                planes, view.grad_output.grids[o :: self.out_channels], strict=True
            ):
                # As large as the gradient with its blanks.
                size = (grad.bounds.height, grad.bounds.width)
                met = view.window(plane, size, self._dilation, (top, left))
                terms.append(_product(view, met, grad))
            yield CellFormulas("weight.grad", start, grid, joined("+", terms), view.array)

    @classmethod
    def examples(cls) -> list[Example]:
        ramp = np.arange(16.0).reshape(1, 4, 4)
        two = np.stack([ramp[0], 15.0 - ramp[0]])
        top_edge = np.array([[[[-1.0, -1, -1], [0, 0, 0], [1, 1, 1]]]])
        return [
            # Every row of the ramp is 4 more than the one above: 3 * (8 - 0).
            Example(cls(1, 1, 3, bias=False), ramp, {"weight": top_edge}, (0, 1, 0), 24.0),
            # The corner window sees 0, 1, 4, 5 under the kernel's lower right: 4 + 5 + bias.
            Example(
                cls(1, 1, 3, stride=2, padding=1),
                ramp,
                {"weight": top_edge, "bias": np.array([0.5])},
                (0, 0, 0),
                9.5,
            ),
            # The right padding is zero: 2 + 6 of column 2 and 3 + 7 of column 3, doubled.
            Example(
                cls(1, 2, (2, 3), padding=(0, 1, 0, 0), bias=False),
                ramp,
                {"weight": np.stack([np.ones((1, 2, 3)), np.full((1, 2, 3), 2.0)])},
                (1, 0, 2),
                36.0,
            ),
            # 1x1 kernels mix channels: 3 * 6 - 2 * (15 - 6) + 1.
            Example(
                cls(2, 1, 1, stride=(1, 2)),
                two,
                {"weight": np.array([[[[3.0]], [[-2.0]]]]), "bias": np.array([1.0])},
                (0, 1, 1),
                1.0,
            ),
            # Dilated by 3 and 2 the kernel meets 0, 2, 12 and 14: -0 - 2 + 12 + 14.
            Example(
                cls(1, 1, 2, dilation=(3, 2), bias=False),
                ramp,
                {"weight": np.array([[[[-1.0, -1], [1, 1]]]])},
                (0, 0, 0),
                24.0,
            ),
            # Reflected, the row above the first is the second: 4 + 0 + 4, no zeros.
            Example(
                cls(1, 1, (3, 1), padding=(1, 0), bias=False, padding_mode="reflect"),
                ramp,
                {"weight": np.ones((1, 1, 3, 1))},
                (0, 0, 0),
                8.0,
            ),
            # The row above repeats the first, 0 and 1: 2 * 1 + 8 * 1.
            Example(
                cls(1, 1, 2, padding=(1, 0, 1, 0), bias=False, padding_mode="replicate"),
                ramp,
                {"weight": np.array([[[[1.0, 2], [4, 8]]]])},
                (0, 0, 1),
                10.0,
            ),
            # Left of the first column stands the last: 10 * 3 + 0.
            Example(
                cls(1, 1, (1, 2), padding=(1, 2, 0, 0), bias=False, padding_mode="circular"),
                ramp,
                {"weight": np.array([[[[10.0, 1]]]])},
                (0, 0, 0),
                30.0,
            ),
            # Depthwise: the second output sees the second plane alone, 10 * (15 - 9).
            Example(
                cls(2, 2, 1, groups=2, bias=False),
                two,
                {"weight": np.array([[[[1.0]]], [[[10.0]]]])},
                (1, 2, 1),
                60.0,
            ),
        ]


def _product(view: BackView, window: Moving, grid: Grid) -> Formula:
    """The sum of a window of cells, some of which are blank, times those of a grid."""
    if window.height == window.width == 1:
        # To Gnumeric's SUMPRODUCT a single blank cell is no zero.
        return (window, f"*{view.absolute(grid)}")
    return view.sum_of_products((window,), (view.absolute(grid),))

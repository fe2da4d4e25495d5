"""Convolutions: one matrix product for each chunk."""

from __future__ import annotations

from math import prod
from typing import cast

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...layers.conv2d import Conv2d
from ...layers.validation import pair
from ..fields import Numbers
from .operations import Chunk, Kernel, LayerState, Operation, empty
from .windows import taps


class ConvolutionKernel(Kernel):
    """The kernels of a convolution, with the bias as one more column.

    ::

        columns  (groups, channels * kernel_h * kernel_w + 1, H' * W' * images)
                 every window of every image; the last row is all ones
        out    = [weight | bias] @ columns
    """

    def __init__(self, state: LayerState, training: bool) -> None:
        super().__init__(state, training)
        self.layer = cast(Conv2d, state.layer)
        self.dilation = pair("Conv2d", "dilation", self.layer.dilation, 1)
        weight, groups = state.params["weight"], self.layer.groups
        # (groups, outputs of each, channels * kernel_h * kernel_w)
        self.weight = weight.reshape(groups, len(weight) // groups, prod(weight.shape[1:]))
        self.bias = None
        self.extended = self.weight
        if self.layer.bias:
            self.bias = state.params["bias"].reshape(groups, -1)
            self.extended = np.empty(
                (*self.weight.shape[:2], prod(weight.shape[1:]) + 1), state.dtype
            )

    @staticmethod
    def takes(state: LayerState) -> bool:
        """Whether it can do a layer: any convolution whose padding, if any, is zeros."""
        layer = state.layer
        return isinstance(layer, Conv2d) and not layer.border(state.input_shape).filled

    def prepare(self) -> None:
        if self.bias is not None:
            self.extended[:, :, :-1] = self.weight
            self.extended[:, :, -1] = self.bias

    def bind(self, x: Numbers, overwritable: bool, chunk: Chunk) -> Operation:
        return _Convolution(self, x, chunk)


class _Convolution(Operation):
    overwritable = True

    def __init__(self, kernel: ConvolutionKernel, x: Numbers, chunk: Chunk) -> None:
        self.kernel, self.x = kernel, x
        self.grads = chunk.grads.get(kernel.state.name, {})
        layer, groups = kernel.layer, kernel.layer.groups
        channels, height, width, images = x.shape
        shape = layer.output_shape(x.shape[:3])
        _, self.height, self.width = shape
        border = layer.border(x.shape[:3])
        self.inside, whole = None, x
        if border.left or border.right or border.top or border.bottom:
            rows, columns = height + border.top + border.bottom, width + border.left + border.right
            whole = np.zeros((channels, rows, columns, images), x.dtype)
            self.inside = whole[
                :, border.top : border.top + height, border.left : border.left + width
            ]
        kh, kw = kernel.state.params["weight"].shape[2:]
        (sh, sw), (dh, dw), s = layer.steps(), kernel.dilation, whole.strides
        self.windows = as_strided(
            whole,
            (groups, channels // groups, kh, kw, self.height, self.width, images),
            (s[0] * channels // groups, s[0], s[1] * dh, s[2] * dw, s[1] * sh, s[2] * sw, s[3]),
        )
        inner, length = channels // groups * kh * kw, self.height * self.width * images
        self.columns = np.ones((groups, inner + (kernel.bias is not None), length), x.dtype)
        # The rows without that of ones, and what they are.
        self.rows = self.columns[:, :inner]
        self.patches = as_strided(
            self.columns,
            self.windows.shape,
            (self.columns.strides[0], *_compact(self.windows.shape[1:], x.itemsize)),
        )
        self.out = empty(shape, images, x.dtype)
        self.flat_out = self.out.reshape(groups, -1, length)

    def forward(self) -> None:
        if self.inside is not None:
            np.copyto(self.inside, self.x)
        np.copyto(self.patches, self.windows)
        np.matmul(self.kernel.extended, self.columns, out=self.flat_out)

    def connect(self, grad_out: Numbers, needs_input: bool, needs_params: bool) -> None:
        kernel, layer = self.kernel, self.kernel.layer
        self.flat_grad = grad_out.reshape(self.flat_out.shape)
        self.needs_params = needs_params
        self.grad_turned = self.flat_grad.transpose(0, 2, 1)
        self.weight_turned = kernel.weight.transpose(0, 2, 1)
        if needs_params:
            groups, outputs, rows = kernel.extended.shape
            # Turned: the matrix library is quicker with the long matrix on the left.
            turned = np.empty((groups, rows, outputs), self.x.dtype)
            self.extended_grad, whole = turned, turned.transpose(0, 2, 1)
            self.parts = [(self.grads["weight"].reshape(kernel.weight.shape), whole)]
            if kernel.bias is not None:
                self.parts = [
                    (self.parts[0][0], whole[:, :, :-1]),
                    (self.grads["bias"].reshape(kernel.bias.shape), whole[:, :, -1]),
                ]
        self.scatter: list[tuple[Numbers, Numbers]] = []
        if not needs_input:
            return
        self.grad_in = np.empty_like(self.x)
        # In the groups of `patches`.
        into = self.grad_in.reshape(layer.groups, -1, *self.x.shape[1:])
        padding = layer.reach(self.x.shape[:3]).padding
        for tap in taps(
            self.x.shape[1:3],
            (self.height, self.width),
            self.windows.shape[2:4],
            layer.steps(),
            padding,
            kernel.dilation,
        ):
            u, v = tap.at
            self.scatter.append(
                (into[:, :, *tap.inputs], self.patches[:, :, u, v][:, :, *tap.outputs])
            )

    def backward(self) -> None:
        if self.needs_params:
            np.matmul(self.columns, self.grad_turned, out=self.extended_grad)
            for into, part in self.parts:
                np.copyto(into, part)
        if self.grad_in is not None:
            # The columns have served; their place takes the gradients of each window.
            np.matmul(self.weight_turned, self.flat_grad, out=self.rows)
            self.grad_in.fill(0)
            for into, share in self.scatter:
                np.add(into, share, out=into)


def _compact(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The strides of a contiguous array."""
    strides = [itemsize]
    for length in shape[:0:-1]:
        strides.append(strides[-1] * length)
    return tuple(reversed(strides))

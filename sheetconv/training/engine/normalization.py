"""Batch normalisation, whose chunks meet to know the statistics of the whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from ...layers.batch_norm2d import BatchNorm2d
from ..fields import Numbers
from .operations import Chunk, Kernel, LayerState, Operation


class BatchNormKernel(Kernel):
    """Statistics of the batch, brought together from those of the chunks.

    ::

        mean = sum of counts * means / sum of counts
        var  = (sum of squares about each chunk's own mean + counts * (means - mean)^2) / count

    so that no small variance is lost in the difference of two large numbers (Chan and others).
    """

    is_shared = True

    def __init__(self, state: LayerState, training: bool) -> None:
        super().__init__(state, training)
        self.layer = cast(BatchNorm2d, state.layer)
        self.weight, self.bias = state.params.get("weight"), state.params.get("bias")

    def bind(self, x: Numbers, overwritable: bool, chunk: Chunk) -> Operation:
        return _BatchNorm(self, x, overwritable, chunk)

    def merge(self, operations: Sequence[Operation]) -> None:
        parts = cast(Sequence[_BatchNorm], operations)
        self.count = sum(part.length for part in parts)
        mean, squares = parts[0].mean, parts[0].squares
        if len(parts) > 1:
            counts = np.array([part.length for part in parts], mean.dtype)[:, np.newaxis]
            means = np.array([part.mean for part in parts])
            mean = np.add.reduce(means * counts) / mean.dtype.type(self.count)
            apart = means - mean
            squares = np.add.reduce([part.squares for part in parts])
            squares = squares + np.add.reduce(counts * apart * apart)
        var = squares / mean.dtype.type(self.count)
        self.inverse = 1 / np.sqrt(var + mean.dtype.type(self.layer.eps))
        self.slope = self.inverse if self.weight is None else self.inverse * self.weight
        for part in parts:
            # Of x less the chunk's own mean.
            part.off = part.mean - mean
            level = part.off * self.slope
            part.level = (level if self.bias is None else level + self.bias)[:, np.newaxis]
        self.column = self.slope[:, np.newaxis]
        if self.training and self.layer.track_running_stats:
            state = self.state
            state.seen += 1
            moved = self.layer.moved_statistics(mean, var, self.count, state.buffers, state.seen)
            for name, value in moved.items():
                state.buffers[name][...] = value

    def merge_back(self, operations: Sequence[Operation]) -> None:
        parts = cast(Sequence[_BatchNorm], operations)
        total, along = parts[0].total, parts[0].along
        if len(parts) > 1:
            total = np.add.reduce([part.total for part in parts])
            along = np.add.reduce([part.along for part in parts])
        count = total.dtype.type(self.count)
        slope = -self.slope * self.inverse * self.inverse * along / count
        shift = self.slope * total / count
        for part in parts:
            part.slope = slope[:, np.newaxis]
            part.shift = (slope * part.off - shift)[:, np.newaxis]


class _BatchNorm(Operation):
    overwritable = True

    def __init__(
        self, kernel: BatchNormKernel, x: Numbers, overwritable: bool, chunk: Chunk
    ) -> None:
        self.kernel = kernel
        self.grads = chunk.grads.get(kernel.state.name, {})
        self.out = np.empty_like(x)
        self.flat_x = x.reshape(len(x), -1)
        self.flat_out = self.out.reshape(len(x), -1)
        self.length = self.flat_x.shape[1]
        # x less the chunk's own mean.
        self.apart = self.flat_x if overwritable else np.empty_like(self.flat_x)
        # A product with ones is a sum that the matrix library takes, three times as fast.
        self.ones = np.ones(self.length, x.dtype)
        self.mean = np.empty(len(x), x.dtype)
        self.squares = np.empty(len(x), x.dtype)
        self.count = x.dtype.type(self.length)

    def measure(self) -> None:
        np.matmul(self.flat_x, self.ones, out=self.mean)
        np.divide(self.mean, self.count, out=self.mean)
        np.subtract(self.flat_x, self.mean[:, np.newaxis], out=self.apart)
        np.vecdot(self.apart, self.apart, out=self.squares)

    def forward(self) -> None:
        np.multiply(self.apart, self.kernel.column, out=self.flat_out)
        np.add(self.flat_out, self.level, out=self.flat_out)

    def connect(self, grad_out: Numbers, needs_input: bool, needs_params: bool) -> None:
        self.grad_in = grad_out
        self.flat_grad = grad_out.reshape(self.flat_out.shape)
        self.needs_params = needs_params and bool(self.grads)
        self.total, self.along = np.empty_like(self.mean), np.empty_like(self.mean)
        self.level = self.shift = self.slope = self.mean[:, np.newaxis]
        self.off = self.mean

    def measure_back(self) -> None:
        np.matmul(self.flat_grad, self.ones, out=self.total)
        np.vecdot(self.flat_grad, self.apart, out=self.along)
        # Times x less the mean of all.
        self.along += self.total * self.off
        if self.needs_params:
            self.grads["bias"][...] = self.total
            np.multiply(self.along, self.kernel.inverse, out=self.grads["weight"])

    def backward(self) -> None:
        # slope * (gradient - its mean - normal * mean of gradient * normal)
        np.multiply(self.flat_grad, self.kernel.column, out=self.flat_grad)
        np.multiply(self.apart, self.slope, out=self.apart)
        np.add(self.flat_grad, self.apart, out=self.flat_grad)
        np.add(self.flat_grad, self.shift, out=self.flat_grad)


class RunningNormKernel(Kernel):
    """Running statistics: one factor and one addend for each channel."""

    def prepare(self) -> None:
        layer, buffers, params = (
            cast(BatchNorm2d, self.state.layer),
            self.state.buffers,
            self.state.params,
        )
        variance = buffers["running_var"] + np.asarray(layer.eps, buffers["running_var"].dtype)
        slope = 1 / np.sqrt(variance)
        if "weight" in params:
            slope = slope * params["weight"]
        level = -buffers["running_mean"] * slope
        if "bias" in params:
            level = level + params["bias"]
        self.slope, self.level = slope[:, np.newaxis], level[:, np.newaxis]

    def bind(self, x: Numbers, overwritable: bool, chunk: Chunk) -> Operation:
        return _RunningNorm(self, x, overwritable)


class _RunningNorm(Operation):
    overwritable = True

    def __init__(self, kernel: RunningNormKernel, x: Numbers, overwritable: bool) -> None:
        self.kernel = kernel
        self.out = x if overwritable else np.empty_like(x)
        self.flat_x, self.flat_out = x.reshape(len(x), -1), self.out.reshape(len(x), -1)

    def forward(self) -> None:
        np.multiply(self.flat_x, self.kernel.slope, out=self.flat_out)
        np.add(self.flat_out, self.kernel.level, out=self.flat_out)

    def connect(self, grad_out: Numbers, needs_input: bool, needs_params: bool) -> None:
        self.grad_in = grad_out if needs_input else None
        self.flat_grad = grad_out.reshape(self.flat_out.shape)

    def backward(self) -> None:
        if self.grad_in is not None:
            np.multiply(self.flat_grad, self.kernel.slope, out=self.flat_grad)

"""Max-pools: the maximum of shifted planes; on the way back the first maximum takes all."""

from __future__ import annotations

from typing import cast

import numpy as np

from ...layers.max_pool2d import MaxPool2d
from ...layers.validation import pair
from ..fields import Numbers
from .operations import Chunk, Kernel, LayerState, Operation, empty
from .windows import taps


class MaxPoolingKernel(Kernel):
    """out = the largest of each window."""

    def __init__(self, state: LayerState, training: bool) -> None:
        super().__init__(state, training)
        self.layer = cast(MaxPool2d, state.layer)
        _, *size = state.input_shape
        reach = self.layer.reach(state.input_shape)
        self.output_shape = self.layer.output_shape(state.input_shape)
        kernel = pair("MaxPool2d", "kernel_size", self.layer.kernel_size, 1)
        dilation = pair("MaxPool2d", "dilation", self.layer.dilation, 1)
        self.taps = list(
            taps(
                tuple(size),
                self.output_shape[1:],
                kernel,
                reach.stride,
                reach.padding,
                dilation,
            )
        )
        self.overlap = reach.stride[0] < reach.size[0] or reach.stride[1] < reach.size[1]
        met = sum(
            len(range(*r.indices(10**9))) * len(range(*c.indices(10**9)))
            for r, c in (tap.inputs for tap in self.taps)
        )
        self.covers = not self.overlap and met == size[0] * size[1]

    def bind(self, x: Numbers, overwritable: bool, chunk: Chunk) -> Operation:
        return _MaxPooling(self, x)


class _MaxPooling(Operation):
    def __init__(self, kernel: MaxPoolingKernel, x: Numbers) -> None:
        self.kernel, self.x = kernel, x
        self.out = empty(kernel.output_shape, x.shape[-1], x.dtype)
        # What each tap meets, and the units whose windows those are.
        self.met = [
            (x[:, *tap.inputs], self.out[:, *tap.outputs], tap.is_whole) for tap in kernel.taps
        ]

    def forward(self) -> None:
        (first, out, whole), *others = self.met
        if whole:
            if others and others[0][2]:
                np.maximum(first, others.pop(0)[0], out=out)
            else:
                np.copyto(out, first)
        else:
            self.out.fill(-np.inf)
            others = self.met
        for x, out, _ in others:
            np.maximum(out, x, out=out)

    def connect(self, grad_out: Numbers, needs_input: bool, needs_params: bool) -> None:
        if not needs_input:
            return
        self.grad_in = np.empty_like(self.x)
        self.free, self.here = np.empty(self.out.shape, bool), np.empty(self.out.shape, bool)
        self.share = np.empty_like(self.out) if self.kernel.overlap else None
        self.routes = []
        for (x, out, _), tap in zip(self.met, self.kernel.taps, strict=True):
            o = (slice(None), *tap.outputs)
            share = None if self.share is None else self.share[o]
            into = self.grad_in[:, *tap.inputs]
            self.routes.append((x, out, self.free[o], self.here[o], grad_out[o], share, into))

    def backward(self) -> None:
        if self.grad_in is None:
            return
        if not self.kernel.covers:
            self.grad_in.fill(0)
        self.free.fill(True)
        for x, out, free, here, grad, share, into in self.routes:
            np.equal(x, out, out=here)
            np.logical_and(here, free, out=here)
            np.logical_xor(free, here, out=free)
            if share is None:
                np.multiply(grad, here, out=into)
            else:
                np.multiply(grad, here, out=share)
                np.add(into, share, out=into)

"""Any layer by its own `forward` and `backward`: the way of those without a faster one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers.base import Layer
from ..fields import Numbers
from .operations import Chunk, Kernel, LayerState, Operation, empty


class AnyLayerKernel(Kernel):
    """What the layer's own file says, images first."""

    def __init__(self, state: LayerState, training: bool) -> None:
        super().__init__(state, training)
        trains = training and not state.frozen
        self.layer = state.layer.while_training() if trains else state.layer
        self.draws = training
        moves = type(state.layer).updated_buffers is not Layer.updated_buffers
        self.updates = trains and moves and bool(state.buffers)

    @property
    def needs_whole_batch(self) -> bool:
        """Whether the layer has to see all images at once."""
        return self.layer.mixes_images or self.updates

    def bind(self, x: Numbers, overwritable: bool, chunk: Chunk) -> Operation:
        return _AnyLayer(self, x, chunk)

    def arrays(self) -> dict[str, Numbers]:
        """Parameters and buffers by name."""
        return {**self.state.params, **self.state.buffers}


class _AnyLayer(Operation):
    def __init__(self, kernel: AnyLayerKernel, x: Numbers, chunk: Chunk) -> None:
        self.kernel, self.chunk = kernel, chunk
        self.x = np.moveaxis(x, -1, 0)
        shape = kernel.layer.output_shape(x.shape[:-1])
        self.out = empty(shape, x.shape[-1], x.dtype)
        self.images_out = np.moveaxis(self.out, -1, 0)
        self.grads = chunk.grads.get(kernel.state.name, {})
        self.cache: Any = None
        self.arrays: dict[str, Numbers] = {}

    def forward(self) -> None:
        kernel, state = self.kernel, self.kernel.state
        self.arrays = kernel.arrays()
        if kernel.draws:
            rng = np.random.default_rng((*self.chunk.noise, state.number))
            drawn = kernel.layer.draw_noise(state.input_shape, rng, len(self.x))
            self.arrays |= {name: noise.astype(self.x.dtype) for name, noise in drawn.items()}
        out, self.cache = kernel.layer.forward(self.x, self.arrays)
        np.copyto(self.images_out, out)
        if kernel.updates:
            state.seen += 1
            moved = state.layer.updated_buffers(self.x, self.arrays, state.seen)
            for name, value in moved.items():
                state.buffers[name][...] = value

    def connect(self, grad_out: Numbers, needs_input: bool, needs_params: bool) -> None:
        self.images_grad = np.moveaxis(grad_out, -1, 0)
        self.needs_params = needs_params
        if needs_input:
            self.grad_in = np.empty((*self.x.shape[1:], len(self.x)), self.x.dtype)

    def backward(self) -> None:
        grad, grads = self.kernel.layer.backward(self.images_grad, self.cache, self.arrays)
        if self.grad_in is not None:
            np.copyto(np.moveaxis(self.grad_in, -1, 0), grad)
        if self.needs_params:
            for name, value in grads.items():
                self.grads[name][...] = value

"""Dense layers, and flattening, which moves nothing where images stand last."""

from __future__ import annotations

import numpy as np

from ..fields import Numbers
from .operations import Chunk, Kernel, LayerState, Operation, empty


class DenseKernel(Kernel):
    """out = weight @ x + bias, with x (in_features, images)."""

    def __init__(self, state: LayerState, training: bool) -> None:
        super().__init__(state, training)
        self.weight = state.params["weight"]
        bias = state.params.get("bias")
        self.bias = None if bias is None else bias[:, np.newaxis]

    def bind(self, x: Numbers, overwritable: bool, chunk: Chunk) -> Operation:
        return _Dense(self, x, chunk)


class _Dense(Operation):
    overwritable = True

    def __init__(self, kernel: DenseKernel, x: Numbers, chunk: Chunk) -> None:
        self.kernel, self.x = kernel, x
        self.grads = chunk.grads.get(kernel.state.name, {})
        self.out = empty((len(kernel.weight),), chunk.images, x.dtype)

    def forward(self) -> None:
        np.matmul(self.kernel.weight, self.x, out=self.out)
        if self.kernel.bias is not None:
            np.add(self.out, self.kernel.bias, out=self.out)

    def connect(self, grad_out: Numbers, needs_input: bool, needs_params: bool) -> None:
        self.grad_out, self.needs_params = grad_out, needs_params
        if needs_input:
            self.grad_in = np.empty_like(self.x)

    def backward(self) -> None:
        if self.needs_params:
            np.matmul(self.grad_out, self.x.T, out=self.grads["weight"])
            if self.kernel.bias is not None:
                np.add.reduce(self.grad_out, axis=1, out=self.grads["bias"])
        if self.grad_in is not None:
            np.matmul(self.kernel.weight.T, self.grad_out, out=self.grad_in)


class FlattenKernel(Kernel):
    """The same numbers as a column for each image."""

    def bind(self, x: Numbers, overwritable: bool, chunk: Chunk) -> Operation:
        return _Flatten(x, overwritable)


class _Flatten(Operation):
    def __init__(self, x: Numbers, overwritable: bool) -> None:
        self.shape, self.overwritable = x.shape, overwritable
        self.out = x.reshape(-1, x.shape[-1])

    def forward(self) -> None:
        pass

    def connect(self, grad_out: Numbers, needs_input: bool, needs_params: bool) -> None:
        self.grad_in = grad_out.reshape(self.shape)

    def backward(self) -> None:
        pass

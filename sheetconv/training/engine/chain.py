"""The operations of all layers on one chunk, each reading the buffer of the one before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...formulas import Shape
from ..fields import Numbers
from .operations import Chunk, Kernel, Operation
from .parameters import FlatParameters


@dataclass(frozen=True, slots=True)
class Move:
    """One call in the work on a chunk.

    Attributes:
        run: the call.
        layer: the layer whose activations are there afterwards; empty for none.
        out: those activations.
    """

    run: Callable[[], None]
    layer: str = ""
    out: Numbers | None = None


class Chain:
    """A chunk's buffers, and what is done with them.

    Args:
        kernels: one for each layer.
        input_shape: without images.
        images: how many the chunk has.
        parameters: the flat vectors, for where each gradient stands.
        training: whether there is a way back.

    Attributes:
        x: the buffer of the images: (*input_shape, images).
        scores: (outputs, images), after the way forward.
        grad: (outputs, images), the gradient of the scores, from which the way back starts.
        gradients: the chunk's share of the flat vector, after the way back.
        forward, backward: the calls, cut where all chunks meet.
    """

    def __init__(
        self,
        kernels: Sequence[Kernel],
        input_shape: Shape,
        images: int,
        parameters: FlatParameters,
        training: bool,
    ) -> None:
        dtype = parameters.values.dtype
        self.x = np.empty((*input_shape, images), dtype)
        self.gradients = np.zeros(parameters.values.size if training else 0, dtype)
        grads = parameters.views(self.gradients) if training else {}
        self.chunk = Chunk(images, grads)
        self.operations: list[Operation] = []
        out, overwritable = self.x, True
        for kernel in kernels:
            operation = kernel.bind(out, overwritable, self.chunk)
            self.operations.append(operation)
            out, overwritable = operation.out, operation.overwritable
        self.scores = out.reshape(-1, images)
        self.forward: list[list[Move]] = [[]]
        for kernel, operation in zip(kernels, self.operations, strict=True):
            if kernel.is_shared:
                self.forward[-1].append(Move(operation.measure))
                self.forward.append([])
            self.forward[-1].append(Move(operation.forward, kernel.state.name, operation.out))
        self.backward: list[list[Move]] = [[]]
        if training:
            self._connect(kernels)

    def _connect(self, kernels: Sequence[Kernel]) -> None:
        self.grad = np.empty_like(self.scores)
        learns = [bool(kernel.state.params) and not kernel.state.frozen for kernel in kernels]
        first = learns.index(True)
        grad = self.grad.reshape(self.operations[-1].out.shape)
        for number in range(len(kernels) - 1, first - 1, -1):
            kernel, operation = kernels[number], self.operations[number]
            operation.connect(grad, number > first, learns[number])
            if operation.grad_in is not None:
                grad = operation.grad_in
            if kernel.is_shared:
                self.backward[-1].append(Move(operation.measure_back))
                self.backward.append([])
            self.backward[-1].append(Move(operation.backward))

"""What a layer is to the fast trainer: a kernel, bound to the buffers of each chunk.

A batch is cut into chunks of a few images each, which threads work through; how it is cut
depends on the network and the batch alone, so that the sums do not depend on the number of
threads. Arrays stand *features first, images last*: (channels, height, width, images). Then
every row of numbers that NumPy walks along is contiguous, a convolution is one product of a
matrix with a matrix, and flattening moves nothing.

All buffers of a chunk are allocated once, with the views that each call needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import DTypeLike

from ...formulas import Shape
from ...layers.base import Layer
from ..fields import Numbers


@dataclass
class LayerState:
    """One layer of a network in training, as all chunks share it.

    Attributes:
        name: of the layer.
        number: which layer of the network it is, from 0.
        layer: its configuration.
        input_shape: without images.
        params: parameter name -> view of the flat vector.
        buffers: buffer name -> array.
        dtype: float32 or float64.
        frozen: whether its parameters stay as they are; batch normalisation then uses its
            running statistics.
        seen: how many batches it was trained on.
    """

    name: str
    number: int
    layer: Layer
    input_shape: Shape
    params: Mapping[str, Numbers]
    buffers: dict[str, Numbers]
    dtype: DTypeLike
    frozen: bool = False
    seen: int = 0


@dataclass
class Chunk:
    """Some images of a batch.

    Attributes:
        images: how many.
        grads: layer name -> parameter name -> where this chunk's part of the gradient goes.
        noise: whole numbers from which random layers draw: seed, step, number of the chunk.
    """

    images: int
    grads: Mapping[str, Mapping[str, Numbers]] = field(default_factory=dict)
    noise: tuple[int, ...] = ()


class Kernel(ABC):
    """A layer at work; its chunks are bound to it.

    Args:
        state: the layer.
        training: whether batches are learned from, or only judged.
    """

    #: Whether all chunks meet in the middle of the layer, as those of batch statistics do.
    is_shared = False

    def __init__(self, state: LayerState, training: bool) -> None:
        self.state = state
        self.training = training

    def prepare(self) -> None:  # noqa: B027 - most have nothing to do
        """What is done once before each batch."""

    @abstractmethod
    def bind(self, x: Numbers, overwritable: bool, chunk: Chunk) -> Operation:
        """The layer's work on one chunk.

        Args:
            x: the buffer that its input will stand in: (*input_shape, images).
            overwritable: whether nobody needs that input afterwards.
            chunk: the images.
        """

    def merge(self, operations: Sequence[Operation]) -> None:  # noqa: B027
        """Of a shared layer: bring together what the chunks measured, forward."""

    def merge_back(self, operations: Sequence[Operation]) -> None:  # noqa: B027
        """Of a shared layer: bring together what the chunks measured, backward."""


class Operation(ABC):
    """A layer's work on one chunk.

    Attributes:
        out: the buffer of its output: (*output_shape, images).
        overwritable: whether the next layer may write on `out`.
        grad_in: the gradient of its input, after `backward`; None where nobody needs it.
    """

    out: Numbers
    overwritable: bool = False
    grad_in: Numbers | None = None

    @abstractmethod
    def connect(self, grad_out: Numbers, needs_input: bool, needs_params: bool) -> None:
        """Allocate what `backward` needs.

        Args:
            grad_out: the buffer that the gradient of the output will stand in, contiguous;
                it may be overwritten.
            needs_input: whether `grad_in` is needed.
            needs_params: whether the gradients of the parameters are.
        """

    def measure(self) -> None:  # noqa: B027
        """Of a shared layer: what comes before the chunks meet."""

    @abstractmethod
    def forward(self) -> None:
        """Compute `out`."""

    def measure_back(self) -> None:  # noqa: B027
        """Of a shared layer: what comes before the chunks meet on the way back."""

    @abstractmethod
    def backward(self) -> None:
        """Compute `grad_in` and the chunk's gradients of the parameters."""


def empty(shape: Shape, images: int, dtype: DTypeLike) -> Numbers:
    """A buffer for some images."""
    return np.empty((*shape, images), dtype)

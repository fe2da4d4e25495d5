"""The fast engine of the trainer: the same network as `Sequential`, batch by batch.

`Sequential.forward` and `backward` in float64 are its specification, against which the tests
hold it. What makes it fast: buffers that are allocated once, images in chunks that fit a core's
cache, and threads that share the chunks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import prod
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...errors import TrainingError
from ...formulas import Shape
from ...layers.batch_norm2d import BatchNorm2d
from ...layers.conv2d import Conv2d
from ...layers.flatten import Flatten
from ...layers.linear import Linear
from ...layers.max_pool2d import MaxPool2d
from ...layers.relu import ReLU
from ...network import Sequential
from ..fields import Numbers
from .any_layer import AnyLayerKernel
from .chain import Chain
from .convolution import ConvolutionKernel
from .dense import DenseKernel, FlattenKernel
from .max_pooling import MaxPoolingKernel
from .normalization import BatchNormKernel, RunningNormKernel
from .operations import Kernel, LayerState
from .parameters import FlatParameters
from .rectifier import RectifierKernel
from .workers import Workers

__all__ = ["Engine", "FlatParameters", "Numbers", "Workers"]

# A chunk has so many multiplications at least, below which threads wait for each other longer
# than they work; so many bytes at most, which a processor's caches hold, or a machine's memory
# where chunks have to meet, which costs more than a cache saves; and there are no more than this
# many chunks for the sake of threads alone.
_LEAST_WORK = 10_000_000
_MOST_BYTES, _MOST_BYTES_MEETING = 2**23, 2**28
_MOST_THREADS = 4
# The buffers of so many sizes of batches are kept: full ones and the last, learned from and judged.
_MOST_SIZES = 4

#: Told of a layer, a number of a chunk and its activations, images last.
Observer = Callable[[str, int, Numbers], None]


class LossOfChunk(Protocol):
    """What the engine asks of a loss."""

    def share(
        self, scores: Numbers, targets: NDArray[np.generic], count: int, grad: Numbers | None = None
    ) -> float:
        """A chunk's share of the mean loss of `count` images; its gradient into `grad`."""
        ...


class Engine:
    """A network in training.

    Args:
        network: whose parameters and buffers are copied; `store` copies them back.
        input_shape: (channels, height, width) or (features,).
        workers: the threads.
        dtype: float32 or float64. Default float32.
        layers: how many layers the scores come from, of which the loss is taken: one less
            than all where the last is a softmax that the loss contains. Default: all.
        frozen: names of layers that do not learn.
        seed: of the noise of random layers.

    Attributes:
        parameters: the flat vectors of values and gradients.

    Example:
        >>> from sheetconv import Linear, Sequential
        >>> from sheetconv.training.losses import MSE
        >>> network = Sequential(Linear(2, 1))
        >>> with Workers(1) as workers:
        ...     engine = Engine(network, (2,), workers, np.float64)
        ...     loss = engine.step(np.eye(2), np.zeros((2, 1)), MSE())
        >>> bool(np.isclose(loss, (network(np.eye(2)) ** 2).mean()))
        True
    """

    def __init__(
        self,
        network: Sequential,
        input_shape: Shape,
        workers: Workers,
        dtype: DTypeLike = np.float32,
        *,
        layers: int | None = None,
        frozen: Collection[str] = (),
        seed: int = 0,
    ) -> None:
        self.network, self.input_shape, self.workers = network, tuple(input_shape), workers
        self.dtype, self.seed = np.dtype(dtype), seed
        self.parameters = FlatParameters(network, dtype)
        views = self.parameters.views(self.parameters.values)
        shapes = [self.input_shape, *network.shapes(self.input_shape).values()]
        count = len(network.layers) if layers is None else layers
        self.states = [
            LayerState(
                name,
                number,
                layer,
                shape,
                views[name],
                {key: np.array(value, dtype) for key, value in network.buffers[name].items()},
                dtype,
                name in frozen,
            )
            for number, ((name, layer), shape) in enumerate(zip(network, shapes, strict=False))
        ][:count]
        self.outputs = prod(shapes[count])
        self._kernels = {mode: self._make_kernels(mode) for mode in (True, False)}
        # By how many images a batch has, and whether they are learned from; the latest stands last.
        self._plans: dict[tuple[int, bool], _Plan] = {}
        self._partial: Numbers = np.empty((0, self.parameters.values.size), dtype)

    def _make_kernels(self, training: bool) -> list[Kernel]:
        return [_kernel(state, training) for state in self.states]

    def chunks(self, images: int, training: bool) -> list[slice]:
        """How a batch is cut: the same way whatever the number of threads."""
        if any(
            isinstance(kernel, AnyLayerKernel) and kernel.needs_whole_batch
            for kernel in self._kernels[training]
        ):
            return [slice(0, images)]
        work = images * sum(state.layer.multiplications(state.input_shape) for state in self.states)
        # The cores of the machine, not those that are to be used: the sums are the same.
        threads = min(os.cpu_count() or 1, _MOST_THREADS, work // _LEAST_WORK)
        meet = any(kernel.is_shared for kernel in self._kernels[training])
        most = _MOST_BYTES_MEETING if meet else _MOST_BYTES
        count = max(threads, -(-images * self._bytes_of_image // most), 1)
        size = -(-images // min(count, images))
        return [slice(first, min(first + size, images)) for first in range(0, images, size)]

    @cached_property
    def _bytes_of_image(self) -> int:
        """What an image takes in the buffers, about."""
        numbers = prod(self.input_shape)
        for state in self.states:
            out = state.layer.output_shape(state.input_shape)
            numbers += prod(out)
            if type(state.layer) is Conv2d:
                numbers += (
                    prod(out[1:]) * state.input_shape[0] * prod(state.params["weight"].shape[2:])
                )
        return numbers * self.dtype.itemsize

    def step(
        self,
        images: NDArray[np.generic],
        targets: NDArray[np.generic],
        loss: LossOfChunk,
        *,
        scale: float = 1.0,
        number: int = 0,
        observe: Observer | None = None,
    ) -> float:
        """The mean loss of a batch, and its gradient in `parameters.gradients`.

        Nothing is updated but the running statistics of normalisations.

        Args:
            images: (N, *input_shape), of any type of numbers.
            targets: as the loss takes them, N first.
            loss: from which the gradient comes.
            scale: what the images are multiplied by. Default 1.
            number: of the step: random layers draw other noise in each.
            observe: told of the activations of every layer. Default: nobody.
        """
        batch = _Batch(images, targets, loss, scale, (self.seed, number), observe)
        plan = self._prepared(len(images), True)
        count = len(plan.pieces)
        batch.losses = [0.0] * count
        if len(self._partial) < count:
            self._partial = np.empty((count, self.parameters.values.size), self.dtype)
        self._run(batch, plan, len(plan.chains[0].forward) + len(plan.chains[0].backward) - 1)
        with np.errstate(all="ignore"):
            np.add.reduce(self._partial[:count], axis=0, out=self.parameters.gradients)
        return sum(batch.losses)

    def scores(self, images: NDArray[np.generic], *, scale: float = 1.0) -> Numbers:
        """What a batch is given, with running statistics and without noise.

        Args:
            images: (N, *input_shape), of any type of numbers.
            scale: what they are multiplied by. Default 1.

        Returns:
            (outputs, N).
        """
        batch = _Batch(images, scale=scale)
        plan = self._prepared(len(images), False)
        batch.scores = np.empty((self.outputs, len(images)), self.dtype)
        self._run(batch, plan, len(plan.chains[0].forward))
        return batch.scores

    def _prepared(self, images: int, training: bool) -> _Plan:
        """All that a batch of so many images needs."""
        with np.errstate(all="ignore"):
            for kernel in self._kernels[training]:
                kernel.prepare()
        plan = self._plans.pop((images, training), None)
        if plan is None:
            while len(self._plans) >= _MOST_SIZES:
                del self._plans[next(iter(self._plans))]
            plan = self._plan(images, training)
        self._plans[images, training] = plan
        return plan

    def _plan(self, images: int, training: bool) -> _Plan:
        """The chain of each piece; those that the same thread works through one after the other
        share one, unless all have to meet.
        """
        kernels, pieces = self._kernels[training], self.chunks(images, training)
        meet = any(kernel.is_shared for kernel in kernels)
        made: dict[tuple[int, int], Chain] = {}
        chains = []
        for place, piece in enumerate(pieces):
            key = (place if meet else place % self.workers.count, piece.stop - piece.start)
            if key not in made:
                made[key] = Chain(kernels, self.input_shape, key[1], self.parameters, training)
            chains.append(made[key])
        return _Plan(pieces, chains)

    def _run(self, batch: _Batch, plan: _Plan, segments: int) -> None:
        """Work on all pieces, from one meeting to the next."""
        pairs = list(zip(plan.chains, plan.pieces, strict=True))
        for segment in range(segments):
            self.workers.run(
                [
                    partial(self._work, batch, chain, segment, place, piece)
                    for place, (chain, piece) in enumerate(pairs)
                ]
            )
            with np.errstate(all="ignore"):
                self._meet(plan.chains, segment, segments)

    def _work(self, batch: _Batch, chain: Chain, segment: int, place: int, piece: slice) -> None:
        """One chunk's calls between two meetings."""
        # What overflows shows in the loss; warnings of threads would show nowhere.
        with np.errstate(all="ignore"):
            self._work_quietly(batch, chain, segment, place, piece)

    def _work_quietly(
        self, batch: _Batch, chain: Chain, segment: int, place: int, piece: slice
    ) -> None:
        if not segment:
            chain.chunk.noise = (*batch.noise, place)
            # A number of the same type: Python's own would make doubles of bytes.
            scale = np.asarray(batch.scale, self.dtype)
            np.multiply(np.moveaxis(batch.images[piece], 0, -1), scale, out=chain.x)
        turn = len(chain.forward) - 1
        if segment <= turn:
            for move in chain.forward[segment]:
                move.run()
                if batch.observe is not None and move.out is not None:
                    batch.observe(move.layer, place, move.out)
        if batch.loss is None:
            if segment == turn:
                batch.scores[:, piece] = chain.scores
            return
        if segment == turn:
            batch.losses[place] = batch.loss.share(
                chain.scores, batch.targets[piece], len(batch.images), chain.grad
            )
        if segment >= turn:
            for move in chain.backward[segment - turn]:
                move.run()
            if segment - turn == len(chain.backward) - 1:
                np.copyto(self._partial[place], chain.gradients)

    def _meet(self, chains: Sequence[Chain], segment: int, segments: int) -> None:
        """Bring together what the chunks of a shared layer measured."""
        if segment == segments - 1:
            return
        training = chains[0].gradients.size > 0
        shared = [n for n, kernel in enumerate(self._kernels[training]) if kernel.is_shared]
        ahead = segment < len(chains[0].forward) - 1
        layer = shared[segment] if ahead else shared[len(shared) - 1 - (segment - len(shared))]
        kernel = self._kernels[training][layer]
        operations = [chain.operations[layer] for chain in chains]
        if ahead:
            kernel.merge(operations)
        else:
            kernel.merge_back(operations)

    def load(self) -> None:
        """Copy the network's parameters and buffers, as they are."""
        self.parameters.load(self.network)
        for state in self.states:
            for name, buffer in state.buffers.items():
                buffer[...] = self.network.buffers[state.name][name]

    def state(self) -> dict[str, Numbers]:
        """Copies of all that changes in training, by name."""
        kept = {"values": self.parameters.values.copy()}
        for state in self.states:
            kept |= {f"{state.name}.{name}": own.copy() for name, own in state.buffers.items()}
        return kept | {"seen": np.array([state.seen for state in self.states])}

    def load_state(self, kept: Mapping[str, Numbers]) -> None:
        """Set all that `state` gives.

        Raises:
            TrainingError: it is of another network or another type of numbers.
        """
        own = self.state()
        for name, array in own.items():
            if (
                name not in kept
                or kept[name].shape != array.shape
                or kept[name].dtype != array.dtype
            ):
                raise TrainingError(
                    f"the numbers do not fit the network: {name} is not as expected"
                )
        self.parameters.values[...] = kept["values"]
        for state, seen in zip(self.states, kept["seen"].tolist(), strict=True):
            state.seen = seen
            for name, buffer in state.buffers.items():
                buffer[...] = kept[f"{state.name}.{name}"]

    def store(self) -> None:
        """Copy parameters and buffers into the network, whose arrays stay float64."""
        frozen = {state.name for state in self.states if state.frozen}
        self.parameters.store(self.network, frozen)
        for state in self.states:
            if state.frozen:
                continue
            self.network.buffers[state.name] = {
                name: value.astype(np.float64) for name, value in state.buffers.items()
            }


@dataclass(frozen=True, slots=True)
class _Plan:
    """How batches of some size are worked on.

    Attributes:
        pieces: which images each chunk has.
        chains: its buffers.
    """

    pieces: list[slice]
    chains: list[Chain]


@dataclass
class _Batch:
    """What all chunks of a batch share."""

    images: NDArray[np.generic]
    targets: NDArray[np.generic] = field(default_factory=lambda: np.empty(0))
    loss: LossOfChunk | None = None
    scale: float = 1.0
    noise: tuple[int, ...] = (0, 0)
    observe: Observer | None = None
    losses: list[float] = field(default_factory=list)
    scores: Numbers = field(default_factory=lambda: np.empty(0))


def _kernel(state: LayerState, training: bool) -> Kernel:
    """The fastest way of a layer."""
    kind = type(state.layer)
    if kind is Conv2d and ConvolutionKernel.takes(state):
        return ConvolutionKernel(state, training)
    if kind is BatchNorm2d:
        own = training and not state.frozen
        if own or not state.buffers:
            return BatchNormKernel(state, training)
        return RunningNormKernel(state, training)
    return _KERNELS.get(kind, AnyLayerKernel)(state, training)


_KERNELS: dict[type, type[Kernel]] = {
    Flatten: FlattenKernel,
    Linear: DenseKernel,
    MaxPool2d: MaxPoolingKernel,
    ReLU: RectifierKernel,
}

"""What is trained in cells: a network, its data, a loss, an optimiser, a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import LayoutError, TrainingError
from ..formulas import Role, Shape
from ..layers.base import Array, Layer
from ..layout import Stage, stages_of
from ..network import Sequential
from ..training.fields import whole
from ..training.losses import Loss
from ..training.optimisers import Optimiser
from ..training.schedules import Schedule
from ..training.scores import layers_of_scores

#: Images from which the batches are taken, at most: more make a data sheet that nobody reads.
MOST_IMAGES = 2000


@dataclass(frozen=True, eq=False)
class CellTraining:
    """A network that is trained in cells.

    Attributes:
        network: the layers as they compute in training, up to the scores of which the loss is
            taken, with the weights from which training begins.
        input_shape: of one image.
        loss, optimiser, schedule: as the trainer has them.
        images: (N, *input_shape), from which the batches are taken in turn.
        targets: (N,) numbers of classes, or (N, outputs).
        labels: (N,) what each image shows, for people.
        batch: images of a step.
        steps: how many are drawn.
        total: batches of the whole run, on which a schedule depends.
        iterate: whether the one step that is drawn is repeated by recalculations. Default False.

    Raises:
        TrainingError: there are fewer images than a batch has, targets that the loss does not
            take, or nothing that learns; or several steps are to be repeated.
        LayoutError: a layer has no formula for its gradient, or draws random numbers.
    """

    network: Sequential
    input_shape: Shape
    loss: Loss
    optimiser: Optimiser
    schedule: Schedule
    images: Array
    targets: Array
    labels: tuple[str, ...]
    batch: int
    steps: int
    total: int
    iterate: bool = False

    def __post_init__(self) -> None:
        whole("training in cells", "batch", self.batch, 1)
        whole("training in cells", "steps", self.steps, 1)
        whole("training in cells", "total", self.total, 1)
        if self.iterate and self.steps != 1:
            raise TrainingError(
                f"training in cells: {self.steps} steps are drawn: recalculations repeat one step, "
                "as often as you like: draw one, as in --steps 1"
            )
        if len(self.images) < self.batch:
            raise TrainingError(
                f"training in cells: {len(self.images)} images for batches of {self.batch}: give "
                "more images, or a smaller batch"
            )
        if self.images.shape != (len(self.targets), *self.input_shape):
            raise TrainingError(
                f"training in cells: the images have shape {self.images.shape}: expected "
                f"{(len(self.targets), *self.input_shape)}, one for each target"
            )
        self.loss.check_targets(self.targets, self.outputs)
        for stage in self.stages:
            layer = self.network.layers[stage.name]
            lacking = "" if layer.has_gradients else "its gradient has no formula"
            if layer.draw_noise(stage.input_shape, np.random.default_rng(0)):
                lacking = "it draws other random numbers in every step, and a cell keeps none"
            if lacking:
                raise LayoutError(
                    f"layer {stage.name}: {layer} cannot be trained in cells: {lacking}; leave it "
                    "out, or put another in its place"
                )
        # Refuses a learning rate that it does not take.
        _ = self.settings
        if not self.learned:
            raise TrainingError(
                "training in cells: the network has no weights to learn: give it a layer that "
                "has some, such as Linear"
            )

    @property
    def outputs(self) -> int:
        """How many scores an image has."""
        *_, last = self.network.shapes(self.input_shape).values()
        return int(np.prod(last))

    @property
    def batches(self) -> int:
        """How many batches the images make; what is left over is never used."""
        return len(self.images) // self.batch

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The layers as they are drawn: each on planes of its own."""
        return stages_of(self.network, self.input_shape, fuse=False)

    @cached_property
    def learned(self) -> list[tuple[str, str]]:
        """Layer and name of every parameter."""
        return [
            (stage.name, tensor.name)
            for stage in self.stages
            for tensor in self.network.layers[stage.name].tensors(stage.input_shape)
            if tensor.role is Role.PARAM
        ]

    @cached_property
    def fixed(self) -> dict[str, Array]:
        """The numbers of layers that are drawn and not learned, by full name: `normalize1.mean`."""
        found = {}
        for stage in self.stages:
            layer = self.network.layers[stage.name]
            known = {**layer.settings(), **self.network.buffers[stage.name]}
            for tensor in layer.tensors(stage.input_shape):
                if not tensor.role.is_formula and (stage.name, tensor.name) not in self.learned:
                    found[f"{stage.name}.{tensor.name}"] = known[tensor.name]
        return found

    @property
    def momentum(self) -> str:
        """The optimiser's number that a schedule may drive besides `lr`; empty if it has none."""
        own = self.optimiser.cells()
        return next((name for name in ("momentum", "beta1") if name in own), "")

    @cached_property
    def settings(self) -> tuple[str, ...]:
        """The optimiser's numbers that a person may change: not what the schedule gives."""
        hyper = self.schedule.at(0, self.total, 0, self.optimiser.lr)
        driven = "" if hyper.momentum is None else self.momentum
        return tuple(name for name in self.optimiser.cells() if name != driven)


def trained_form(network: Sequential, loss: Loss) -> Sequential:
    """The network as it computes in training, up to the scores of which a loss is taken.

    A last Softmax (or Sigmoid) is left to the loss that contains it; normalisations use the
    batch's own statistics.

    Args:
        network: the layers and their parameters, which are copied.
        loss: the loss.

    Example:
        >>> from sheetconv import BatchNorm2d, Flatten, Linear, Softmax
        >>> from sheetconv.training.losses import CrossEntropy
        >>> whole = Sequential(BatchNorm2d(1), Flatten(), Linear(4, 2), Softmax())
        >>> form = trained_form(whole, CrossEntropy())
        >>> list(form.layers), form.layers["batchnorm1"].track_running_stats
        (['batchnorm1', 'flatten1', 'dense1'], False)
    """
    layers: list[tuple[str, Layer]] = list(network.layers.items())
    layers = layers[: layers_of_scores(network, loss)]
    form = Sequential(*((name, layer.while_training()) for name, layer in layers))
    for name, own in form.params.items():
        for key in own:
            own[key] = network.params[name][key].copy()
    for name, own in form.buffers.items():
        for key in own:
            own[key] = network.buffers[name][key].copy()
    return form

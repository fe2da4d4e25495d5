"""From a template and a few words to a training in cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..batches import batch_of
from ..errors import TrainingError
from ..layers.normalize import Normalize
from ..network import Sequential
from ..template import Template
from ..training.datasets import Dataset, load_data
from ..training.fields import whole
from ..training.initialisation import initialise
from ..training.losses import CrossEntropy, Loss, loss_named
from ..training.options import KEEP, TrainingOptions
from ..training.reporting import label_of
from ..training.scores import check_last
from .program import MOST_IMAGES, CellTraining, trained_form

#: What differs from `sheetconv train`: a worksheet shows a step of few images, and at first the
#: plainest of optimisers.
DEFAULTS: dict[str, Any] = {
    "optimiser": "sgd",
    "schedule": "constant",
    "batch": 4,
    "momentum": None,
    "weight_decay": None,
    "lr": None,
}
_STEPS, _IMAGES, _SGD_LR = 10, 8, 0.2
# How long a schedule lasts that repeated steps follow, unless a person changes the cell.
_REPEATED = 100


def cell_training_of(template: Template, given: Mapping[str, Any]) -> CellTraining:
    """A template's network with its data, ready to be trained in cells.

    Args:
        template: of one network.
        given: options as `TrainingOptions` has them, None for the defaults; besides `steps`,
            `count` (of images), `data_dir`, `label` and `iterate`.

    Raises:
        TrainingError: no data are named, or an option is none of those known.
        DataError: the data cannot be used.
        LayoutError: a layer cannot be trained in cells.
    """
    (item,) = template.networks
    taken = ("data", "loss", "label_smoothing", "init", "seed")
    own = {name: value for name, value in item.training.items() if name in taken}
    beside = ("steps", "count", "data_dir", "label", "iterate")
    options = TrainingOptions().changed({**DEFAULTS, **own})
    options = options.changed({k: v for k, v in given.items() if k not in beside})
    if options.lr is None and options.optimiser == "sgd":
        options = options.changed({"lr": _SGD_LR})
    if not options.data:
        raise TrainingError(
            f"the template {template.name} names no data to train on: give some, as in "
            "--data digits"
        )
    steps, count = given.get("steps"), given.get("count")
    iterate = bool(given.get("iterate"))
    drawn = 1 if iterate else _STEPS
    steps = whole("build --train", "steps", drawn if steps is None else steps, 1)
    total = _REPEATED if iterate else steps
    batch = whole("build --train", "batch", options.batch, 1)
    count = whole("build --train", "images", max(_IMAGES, batch) if count is None else count, 1)
    if count > MOST_IMAGES:
        raise TrainingError(
            f"build --train: {count:,} images: at most {MOST_IMAGES:,} fit on a data sheet that "
            "people read"
        )
    # Of which a schedule by steps takes its part.
    options = options.changed({"epochs": -(-total // max(1, count // batch))})
    _, shape = batch_of(item.network, item.image.shape)
    data = load_data(
        options.data,
        data_dir=given.get("data_dir"),
        seed=options.seed,
        image_shape=shape,
        label=given.get("label") or "label",
    )
    if options.init != KEEP:
        initialise(item.network, options.init, options.seed)
    loss = _loss(options, data.train.is_multi_label)
    if loss.name != "mse":
        check_last(item.network, loss)
    _measure(item.network, data.train)
    chosen = data.train.subset(slice(0, min(count, len(data.train))))
    return CellTraining(
        trained_form(item.network, loss),
        shape,
        loss,
        options.make_optimiser(),
        options.make_schedule(),
        chosen.numbers(slice(None)),
        chosen.labels,
        tuple(label_of(chosen, n) for n in range(len(chosen))),
        batch,
        steps,
        total,
        iterate,
    )


def _measure(network: Sequential, images: Dataset) -> None:
    """Give a first Normalize the images' mean and deviation, if it has none, as a trainer does."""
    name, first = next(iter(network))
    buffers = network.buffers[name]
    if type(first) is Normalize and (buffers["mean"] == 0).all() and (buffers["std"] == 1).all():
        mean, std = images.statistics()
        buffers |= {"mean": mean, "std": np.where(std > 0, std, 1.0)}


def _loss(options: TrainingOptions, many: bool) -> Loss:
    if options.label_smoothing and options.loss in (None, "cross-entropy"):
        return CrossEntropy(options.label_smoothing)
    return loss_named(options.loss or ("bce" if many else "cross-entropy"))

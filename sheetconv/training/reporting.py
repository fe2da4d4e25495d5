"""A trained network as a workbook: its pictures to choose from, and the pages of its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from ..guides import Guides
from ..guides.planning import MOST_PIXELS
from ..layers.base import Array
from .datasets import Dataset
from .evaluation import Evaluation
from .first_kernels import first_kernels
from .learner import Learner
from .page_report import TrainingReport

# How many pictures a workbook lets one choose from, and how many of them are wrong ones at most.
_MOST_PICTURES, _MOST_WRONG = 30, 10
_WORST = 24
_CONFUSED = 12


def training_report(
    learner: Learner,
    judged: Evaluation,
    settings: Mapping[str, object],
) -> TrainingReport:
    """All that the pages of a run show.

    Args:
        learner: after its fits.
        judged: what it says of the validation images.
        settings: name -> value, for the table of settings.
    """
    history, valid = learner.history, learner.data.valid
    layers = history.layers
    worst = judged.worst(min(_WORST, len(valid)))
    planes = len(valid.image_shape) == 3
    one_label = not valid.is_multi_label
    before, after = learner.kernels_before, first_kernels(learner.network)
    return TrainingReport(
        settings=settings,
        batches=history.batches,
        epochs=history.epochs,
        activations=history.activations if layers else None,
        colour_dimensions={name: history.colour_dimension(name).to_numpy() for name in layers},
        bin_edges=_edges(learner) if layers else None,
        confusion=judged.confusion if one_label else None,
        per_class=judged.per_class,
        most_confused=judged.most_confused(1).head(_CONFUSED) if one_label else None,
        kernels=None if before is None or after is None else (before, after),
        worst=worst.rename(columns={"label_probability": "probability_of_label"}),
        worst_images=valid.numbers(worst.index.to_numpy()) if planes else None,
    )


def _edges(learner: Learner) -> Array:
    history = learner.history
    bins = len(history.histogram(history.layers[0]))
    return np.linspace(*history.limits, bins + 1)


def chosen_pictures(dataset: Dataset, judged: Evaluation) -> np.ndarray:
    """Which validation images a workbook offers: right and wrong ones.

    Of each class in turn the first that the network knows; then those of whose wrong answer it
    is surest.

    Args:
        dataset: the images.
        judged: what the network says of them.

    Returns:
        Their numbers, at least one.

    Example:
        >>> data = Dataset(np.zeros((3, 1, 1, 1)), np.array([0, 1, 1]), ("a", "b"))
        >>> answers = Evaluation([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]], [0.1, 1.2, 0.2],
        ...                      [0, 1, 1], ["a", "b"])
        >>> chosen_pictures(data, answers).tolist()
        [0, 2, 1]
    """
    most = max(1, min(_MOST_PICTURES, MOST_PIXELS // prod(dataset.image_shape)))
    right = judged.right if judged.right.ndim == 1 else judged.right.all(axis=1)
    wrong = np.flatnonzero(~right)
    wrong = wrong[np.argsort(-judged.losses[wrong], kind="stable")][: min(_MOST_WRONG, most // 3)]
    kinds = dataset.labels if dataset.labels.ndim == 1 else dataset.labels.argmax(axis=1)
    known = np.flatnonzero(right)
    # The first of each class, then the second of each, and so on.
    turn = np.zeros(len(known), np.int64)
    for kind in np.unique(kinds[known]):
        own = kinds[known] == kind
        turn[own] = np.arange(own.sum())
    known = known[np.lexsort((kinds[known], turn))][: most - len(wrong)]
    chosen: np.ndarray = np.concatenate([known, wrong])
    return chosen if len(chosen) else np.arange(1)


def picture_guides(guides: Guides, dataset: Dataset, chosen: np.ndarray) -> Guides:
    """What explains the network, with pictures of the validation set to choose from.

    Args:
        guides: what is wanted besides.
        dataset: the images.
        chosen: the numbers of those that are offered.
    """
    labels = [label_of(dataset, number) for number in chosen]
    # The list puts them in brackets.
    names = [f"{label}, image {number}" for label, number in zip(labels, chosen, strict=True)]
    return replace(
        guides,
        pictures=dataset.numbers(chosen),
        labels=tuple(labels),
        names=tuple(names),
        image_name="",
    )


def label_of(dataset: Dataset, number: int) -> str:
    """What an image shows, as a workbook says it.

    Args:
        dataset: the images.
        number: which one.

    Example:
        >>> data = Dataset(np.zeros((1, 2)), np.eye(1, 3, dtype=np.uint8), ("bar", "dot", "line"))
        >>> label_of(data, 0)
        'bar'
    """
    label = dataset.labels[number]
    if np.ndim(label) == 0:
        return dataset.classes[int(label)]
    own = [name for name, here in zip(dataset.classes, label, strict=True) if here]
    return ", ".join(own) or "none"

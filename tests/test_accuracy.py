"""What the trainer reaches on real data: the digits that come along."""

from __future__ import annotations

import numpy as np

from sheetconv import load_template
from sheetconv.training.options import TrainingOptions
from sheetconv.training.training_run import TrainingRun


def accuracy_of(seed: int, **options: object) -> float:
    loaded = load_template("digits-batchnorm")
    (item,) = loaded.networks
    given = TrainingOptions().changed(dict(item.training)).changed({"seed": seed, **options})
    run = TrainingRun(loaded, item, given)
    run.train(None, {})
    return run.learner.evaluate().accuracy


def test_five_seeds_know_985_of_1000_digits() -> None:
    accuracies = [accuracy_of(seed) for seed in range(5)]
    # Of other splits, with other weights: they are no copies of one run.
    assert len(set(accuracies)) > 1
    assert np.mean(accuracies) >= 0.985


def test_without_training_it_guesses() -> None:
    # The negative control: a learning rate that moves nothing.
    assert accuracy_of(0, lr=1e-12, epochs=1) < 0.3

"""An epoch of the smallest network, taken in three ways, knows the same digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import sheetconv as sc
from sheetconv.calculators import find_engine
from sheetconv.cell_training.places import Places
from sheetconv.cell_training.program import CellTraining, trained_form
from sheetconv.cell_training.writing import build_training
from sheetconv.layers.base import Array
from sheetconv.live import run_live
from sheetconv.tensor_cells import calculated
from sheetconv.training.engine import Engine, Workers
from sheetconv.training.initialisation import initialise
from sheetconv.training.losses import CrossEntropy
from sheetconv.training.optimisers import Adam
from sheetconv.training.schedules import Constant
from sheetconv.xlsx import poison

BATCH, BATCHES, LR = 16, 12, 0.06


def training_of(steps: int) -> CellTraining:
    """An epoch of digits: batch after batch, in their order."""
    (item,) = sc.load_template("two-filters").networks
    initialise(item.network, "kaiming-normal", 1)
    loss = CrossEntropy()
    chosen = sc.load_data("digits").train.subset(slice(0, BATCH * BATCHES))
    return CellTraining(
        trained_form(item.network, loss), (1, 8, 8), loss, Adam(lr=LR), Constant(),
        chosen.numbers(slice(None)), chosen.labels, tuple(map(str, chosen.labels.tolist())),
        BATCH, steps, steps,
    )  # fmt: skip


def accuracy(training: CellTraining, weights: dict[str, Array]) -> float:
    """Of digits that were not trained on."""
    valid = sc.load_data("digits").valid
    network = training.network
    network.load_state_dict({**network.state_dict(), **weights})
    return float((network(valid.numbers(slice(None))).argmax(1) == valid.labels).mean())


def with_numpy() -> dict[str, Array]:
    """The trainer's own engine, on the same batches."""
    training = training_of(1)
    with Workers(2) as workers:
        engine = Engine(training.network, (1, 8, 8), workers, np.float64)
        parameters = engine.parameters
        state = training.optimiser.init_state(parameters.values.size, np.float64)
        for step in range(BATCHES):
            rows = slice(step * BATCH, (step + 1) * BATCH)
            engine.step(training.images[rows], training.targets[rows], training.loss)
            training.optimiser.step(
                parameters.values, parameters.gradients, state, lr=LR, number=step + 1
            )
        engine.store()
    return training.network.state_dict()


def unrolled(folder: Path) -> dict[str, Array]:
    """All steps drawn, and recalculated from the first weights on."""
    training = training_of(BATCHES)
    built = build_training(training, folder / "unrolled.xlsx")
    copy = folder / "copy.xlsx"
    poison(built.path, copy, 777.0078125)
    last = Places(training).step(BATCHES - 1)
    with find_engine("ironcalc").open(copy) as book:
        book.recalculate()
        return {
            name: calculated(book, last[f"{name}.new"])[0].reshape(value.shape)
            for name, value in training.network.state_dict().items()
        }


def live(folder: Path) -> dict[str, Array]:
    """One step drawn, and taken again and again."""
    built = build_training(training_of(1), folder / "live.xlsx")
    return dict(run_live(built.path, "ironcalc", BATCHES).weights)


def test_three_ways_lead_to_the_same_network(tmp_path: Path) -> None:
    fresh = training_of(1)
    found = {"numpy": with_numpy(), "unrolled": unrolled(tmp_path), "live": live(tmp_path)}
    for way, weights in found.items():
        assert weights.keys() == found["numpy"].keys()
        for name, value in weights.items():
            np.testing.assert_allclose(value, found["numpy"][name], rtol=0, atol=1e-12, err_msg=way)
    accuracies = {way: accuracy(fresh, weights) for way, weights in found.items()}
    assert len(set(accuracies.values())) == 1
    # It has learned something, and it was not there before.
    before = accuracy(fresh, training_of(1).network.state_dict())
    assert accuracies["live"] > 0.5 > before + 0.2

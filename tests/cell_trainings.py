"""Small networks that are trained in cells, and a trainer to hold them against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import sheetconv as sc
from sheetconv.calculators import Engine, find_engine
from sheetconv.cell_training.places import Places
from sheetconv.cell_training.program import CellTraining, trained_form
from sheetconv.cell_training.writing import panels_of
from sheetconv.cells import Cell, Range
from sheetconv.checking.trainings import all_placed, bounding, taken
from sheetconv.formulas import Placed, Shape
from sheetconv.layers.base import Array, Layer
from sheetconv.tensor_cells import cells_of
from sheetconv.training.losses import CrossEntropy, Loss
from sheetconv.training.optimisers import SGD, Optimiser
from sheetconv.training.schedules import Constant, Schedule
from sheetconv.xlsx import poison

POISON = 777.0078125
#: Two filters, a pool and a dense layer, for images of 6 x 6.
SMALL: tuple[Layer, ...] = (
    sc.Conv2d(1, 2, 3), sc.ReLU(), sc.MaxPool2d(2), sc.Flatten(), sc.Linear(8, 3)
)  # fmt: skip


def cell_training(
    layers: Sequence[Layer] = SMALL,
    shape: Shape = (1, 6, 6),
    *,
    loss: Loss | None = None,
    optimiser: Optimiser | None = None,
    schedule: Schedule | None = None,
    images: Array | None = None,
    targets: Any = None,
    batch: int = 2,
    steps: int = 3,
    buffers: dict[str, Any] | None = None,
) -> CellTraining:
    """A training of random weights, on four random images unless others are given."""
    rng = np.random.default_rng(5)
    network, loss = sc.Sequential(*layers), loss or CrossEntropy()
    for own in network.params.values():
        own |= {key: 0.5 * rng.normal(size=value.shape) for key, value in own.items()}
    for name, own in (buffers or {}).items():
        network.buffers[name] |= own
    form = trained_form(network, loss)
    *_, last = form.shapes(shape).values()
    images = rng.random((4, *shape)) if images is None else images
    if targets is None:
        targets = rng.integers(0, int(np.prod(last)), len(images))
    return CellTraining(
        form, shape, loss, optimiser or SGD(0.1), schedule or Constant(), images,
        np.asarray(targets), tuple(map(str, range(len(images)))), batch, steps, steps,
    )  # fmt: skip


def many_layers(optimiser: Optimiser, schedule: Schedule, steps: int = 2) -> CellTraining:
    """A training with numbers of every kind: settings of layers, means, several kinds of pools."""
    layers = [
        *(sc.Normalize(1), sc.Conv2d(1, 2, 3, padding=1), sc.BatchNorm2d(2), sc.ReLU()),
        *(sc.MaxPool2d(2), sc.AvgPool2d(2, 1, 1), sc.Flatten(), sc.Linear(18, 3)),
    ]
    return cell_training(
        layers,
        (1, 4, 4),
        buffers={"normalize1": {"mean": np.array([0.5]), "std": np.array([0.3])}},
        optimiser=optimiser,
        schedule=schedule,
        steps=steps,
    )


def batches_of(training: CellTraining) -> Iterable[tuple[int, Array, Array]]:
    """Step, images and targets, batch after batch, again and again."""
    for step in range(training.steps):
        first = step * training.batch % (len(training.images) // training.batch * training.batch)
        rows = slice(first, first + training.batch)
        yield step, training.images[rows], training.targets[rows]


def trained(training: CellTraining) -> list[dict[str, Array]]:
    """Loss, weights, gradients and new weights of every step, by `Sequential` and optimiser."""
    network = sc.Sequential(*training.network)
    network.load_state_dict(training.network.state_dict())
    state: dict[str, dict[str, Any]] = {}
    steps, per_epoch = [], len(training.images) // training.batch
    for step, images, targets in batches_of(training):
        scores, caches = network.forward(images)
        flat = np.ascontiguousarray(scores.reshape(len(images), -1).T)
        slopes = np.empty_like(flat)
        loss = training.loss.share(flat, targets, len(images), slopes)
        _, grads = network.backward(slopes.T.reshape(scores.shape), caches)
        hyper = training.schedule.at(step, training.total, step // per_epoch, training.optimiser.lr)
        shown = {"loss": np.array(loss), "lr": np.array(hyper.lr)}
        for layer, own in network.params.items():
            for key, value in own.items():
                full, new = f"{layer}.{key}", value.ravel().copy()
                kept = state.setdefault(full, training.optimiser.init_state(new.size, float))
                shown |= {full: value, f"{full}.grad": grads[layer][key]}
                training.optimiser.step(
                    *(new, grads[layer][key].ravel().copy(), kept),
                    lr=hyper.lr, momentum=hyper.momentum, number=step + 1,
                )  # fmt: skip
                own[key] = shown[f"{full}.new"] = new.reshape(value.shape)
        steps.append(shown)
    return steps


class Book:
    """A workbook that trains, open in an engine; every cached value is poisoned before.

    Args:
        path: the workbook.
        training: what it trains.
        opened: by an engine.
    """

    def __init__(self, path: Path, training: CellTraining, opened: Any) -> None:
        from sheetconv.cell_training.beside import panels_of

        self.places, self.opened = Places(training), opened
        self.placed = all_placed(self.places)
        for panel in panels_of(self.places):
            self.placed |= panel.placed
        self._known: dict[str, Array] = {}
        opened.recalculate()

    def __getitem__(self, name: str) -> Array:
        """What a tensor shows, in its shape."""
        if name in self._known:
            return self._known[name]
        placed = self.placed[name]
        area = bounding(grid.bounds for grid in placed.grids)
        numbers, odd = taken(self.opened.get_values(area), placed, area)
        assert not odd, (name, odd)
        assert POISON not in numbers
        self._known[name] = numbers.reshape(placed.shape)
        return self._known[name]

    def put(self, name: str, value: float | str, index: int = 0) -> None:
        """Type something into a cell, and recalculate."""
        cell = [*cells_of(self.placed[name])][index]
        self.opened.set_values(Range(cell.sheet, cell.row, cell.column), [[value]])
        self.opened.recalculate()
        self._known.clear()


def placed_by_name(training: CellTraining) -> dict[str, Placed]:
    """Where every tensor of a workbook stands."""
    places = Places(training)
    return all_placed(places) | {
        name: where for panel in panels_of(places) for name, where in panel.placed.items()
    }


def tensor_cell(training: CellTraining, name: str, index: int = -1) -> Cell:
    """The cell of a tensor's unit, by default its last, from which no formula is shared."""
    return [*cells_of(placed_by_name(training)[name])][index]


@contextmanager
def opened(path: Path, training: CellTraining, engine: Engine | None = None) -> Any:
    """The recalculated workbook."""
    copy = path.with_name(f"poisoned-{path.name}")
    poison(path, copy, POISON)
    with (engine or find_engine("ironcalc")).open(copy) as book:
        yield Book(path, training, book)


def worst(training: CellTraining, book: Book) -> tuple[float, str]:
    """How far weights, gradients and losses of all steps lie off, of their size, and where."""
    found = (0.0, "")
    for step, expected in enumerate(trained(training)):
        for name, values in expected.items():
            scale = max(1.0, float(np.abs(values).max()))
            off = float(np.abs(book[f"{step} {name}"] - values).max()) / scale
            found = max(found, (off, f"{step} {name}"))
    return found

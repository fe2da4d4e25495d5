"""Training in cells: every step that spreadsheets take is the step that the trainer takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cell_trainings import SMALL, Book, batches_of, cell_training, opened, trained, worst

import sheetconv as sc
from sheetconv.calculators import Engine
from sheetconv.cell_training.gradient_check import parameter_names
from sheetconv.cell_training.line import OPTIMISERS, STEPS
from sheetconv.cell_training.places import Places
from sheetconv.cell_training.program import CellTraining
from sheetconv.cell_training.writing import BuiltTraining, build_training
from sheetconv.checking.trainings import read_trainings
from sheetconv.errors import LayoutError, SheetconvError, TrainingError
from sheetconv.layers.base import Layer
from sheetconv.training.engine import Engine as FastEngine
from sheetconv.training.engine import Workers
from sheetconv.training.losses import MSE, BCEWithLogits, CrossEntropy
from sheetconv.training.optimisers import SGD, Adam, AdamW, Optimiser, RMSprop
from sheetconv.training.schedules import Constant, Cosine, OneCycle, Schedule, Step

EXACT = 1e-12

# --- Optimisers and schedules

COURSES: list[tuple[Optimiser, Schedule]] = [
    (SGD(0.1), Constant()),
    (SGD(0.1, weight_decay=0.01), Step(4, 0.5)),
    (SGD(0.05, momentum=0.9), Cosine()),
    (SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01), OneCycle()),
    (RMSprop(0.01, weight_decay=0.01), Step(6)),
    (RMSprop(0.003, momentum=0.9, centered=True), OneCycle(moms=(0.9, 0.0, 0.8))),
    (Adam(0.02), OneCycle()),
    (Adam(0.02, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1), Constant()),
    (AdamW(0.02, weight_decay=0.2), Cosine()),
]


def engine_course(training: CellTraining) -> list[dict[str, Any]]:
    """The same by the fast engine, in float64."""
    found, state, per_epoch = [], None, len(training.images) // training.batch
    with Workers(1) as workers:
        engine = FastEngine(training.network, training.input_shape, workers, np.float64)
        flat = engine.parameters
        state = training.optimiser.init_state(flat.values.size, float)
        for step, images, targets in batches_of(training):
            loss = engine.step(images, targets, training.loss, number=step)
            shown = {"loss": np.array(loss)}
            for suffix, vector in (("", flat.values), (".grad", flat.gradients)):
                for layer, own in flat.views(vector).items():
                    shown |= {f"{layer}.{key}{suffix}": own[key].copy() for key in own}
            hyper = training.schedule.at(
                step, training.total, step // per_epoch, training.optimiser.lr
            )
            training.optimiser.step(
                *(flat.values, flat.gradients, state),
                lr=hyper.lr, momentum=hyper.momentum, number=step + 1,
            )  # fmt: skip
            found.append(shown)
    return found


@pytest.mark.parametrize(("optimiser", "schedule"), COURSES, ids=repr)
def test_fifty_steps_from_end_to_end(
    optimiser: Optimiser, schedule: Schedule, tmp_path: Path
) -> None:
    training = cell_training(optimiser=optimiser, schedule=schedule, steps=50)
    built = build_training(training, tmp_path / "a.xlsx")
    with opened(built.path, training) as book:
        off, where = worst(training, book)
        assert off < EXACT, where
        for step, expected in enumerate(engine_course(training)):
            for name, values in expected.items():
                np.testing.assert_allclose(book[f"{step} {name}"], values, EXACT, EXACT)
            assert float(book[f"{step} number"]) == step
        for layer, own in training.network.params.items():
            for key, first in own.items():
                assert (np.abs(book[f"49 {layer}.{key}.new"] - first) > 1e-5).mean() > 0.6
        assert np.ptp([float(book[f"table {step} loss"]) for step in range(50)]) > 0.1


def test_the_comparison_finds_a_small_difference(tmp_path: Path) -> None:
    training = cell_training()
    built = build_training(training, tmp_path / "a.xlsx")
    with opened(built.path, training) as book:
        weight = float(book["0 conv1.weight"].ravel()[4])
        book.put("0 conv1.weight", weight * (1 + 1e-9), 4)
        assert worst(training, book)[0] > EXACT


def test_libreoffice_takes_the_same_steps(libreoffice: Engine, tmp_path: Path) -> None:
    training = cell_training(optimiser=COURSES[5][0], schedule=COURSES[5][1], steps=20)
    built = build_training(training, tmp_path / "a.xlsx")
    with opened(built.path, training, libreoffice) as book:
        off, where = worst(training, book)
        assert off < EXACT, where


# --- Networks

RNG = np.random.default_rng(3)
NETWORKS: dict[str, dict[str, Any]] = {
    "padding": {"layers": [sc.Conv2d(1, 2, 3, padding=(1, 0, 2, 1)), sc.ReLU(), sc.Flatten(),
                           sc.Linear(70, 3)]},
    "padding twice": {"layers": [sc.Conv2d(1, 2, 3, padding=1), sc.ReLU(),
                                 sc.Conv2d(2, 2, 3, padding=2), sc.Flatten(), sc.Linear(128, 2)]},
    "strides": {"layers": [sc.Conv2d(1, 2, 3, stride=2, padding=1), sc.ReLU(),
                           sc.Conv2d(2, 3, 2, stride=(2, 1)), sc.Flatten(), sc.Linear(6, 3)]},
    "dilation": {"layers": [sc.Conv2d(1, 2, 2, dilation=2), sc.Conv2d(2, 2, 2, dilation=(1, 3)),
                            sc.Flatten(), sc.Linear(6, 3)]},
    "groups": {"layers": [sc.Conv2d(2, 4, 3, groups=2, padding=1), sc.ReLU(),
                          sc.Conv2d(4, 2, 3, groups=2, bias=False), sc.Flatten(),
                          sc.Linear(32, 3)], "shape": (2, 6, 6)},
    "ties of zeros": {"layers": SMALL, "images": np.zeros((4, 1, 6, 6))},
    "ties": {"layers": SMALL, "images": np.full((4, 1, 6, 6), 0.25)},
    "ties in windows that overlap": {
        "layers": [sc.Conv2d(1, 2, 3, padding=1), sc.ReLU(), sc.MaxPool2d(3, 1, 1), sc.Flatten(),
                   sc.Linear(72, 3)], "images": np.full((4, 1, 6, 6), 0.25)},
    "overlapping, dilated and partial windows": {
        "layers": [sc.MaxPool2d(3, 2, 1), sc.Conv2d(1, 2, 2, padding=1),
                   sc.MaxPool2d(2, 1, dilation=2), sc.MaxPool2d(2, ceil_mode=True), sc.Flatten(),
                   sc.Linear(2, 3)]},
    "averages": {"layers": [sc.Conv2d(1, 2, 3, padding=1), sc.ReLU(), sc.AvgPool2d(2),
                            sc.AvgPool2d(3, 1, 1), sc.Flatten(), sc.Linear(18, 3)]},
    "averages of planes": {"layers": [sc.Conv2d(1, 3, 3), sc.ReLU(), sc.AdaptiveAvgPool2d(1),
                                      sc.Flatten()]},
    "largest of planes": {"layers": [sc.Conv2d(1, 3, 3), sc.AdaptiveMaxPool2d(1), sc.Flatten(),
                                     sc.Linear(3, 3)]},
    "batch normalisation": {"layers": [sc.BatchNorm2d(1), sc.Conv2d(1, 2, 3), sc.BatchNorm2d(2),
                                       sc.ReLU(), sc.MaxPool2d(2), sc.Flatten(),
                                       sc.Linear(8, 3)]},
    "instance normalisation": {"layers": [sc.Conv2d(1, 2, 3, bias=False),
                                          sc.InstanceNorm2d(2, affine=True), sc.ReLU(),
                                          sc.Flatten(), sc.Linear(32, 3)]},
    "activations": {"layers": [sc.Conv2d(1, 2, 3), sc.LeakyReLU(0.2), sc.Conv2d(2, 2, 2),
                               sc.Sigmoid(), sc.Flatten(), sc.Linear(18, 6), sc.Tanh(),
                               sc.Linear(6, 5), sc.GELU("tanh"), sc.Linear(5, 3)]},
    "scores on planes": {"layers": [sc.Conv2d(1, 2, 3), sc.ReLU(), sc.Conv2d(2, 3, 3),
                                    sc.Flatten(), sc.Softmax()]},
    "scores without Flatten": {"layers": [sc.Conv2d(1, 2, 3, stride=2, padding=1), sc.ReLU(),
                                          sc.Conv2d(2, 3, 3)]},
    "vectors": {"layers": [sc.Linear(5, 4), sc.ReLU(), sc.Linear(4, 3)], "shape": (5,)},
    "many labels": {"layers": [*SMALL, sc.Sigmoid()], "loss": BCEWithLogits(),
                    "targets": RNG.integers(0, 2, (4, 3)).astype(np.uint8)},
    "one label": {"layers": [*SMALL[:-1], sc.Linear(8, 1)], "loss": BCEWithLogits(),
                  "targets": [[0], [1], [1], [0]]},
    "squares of classes": {"layers": [*SMALL, sc.Softmax()], "loss": MSE()},
    "squares of numbers": {"layers": SMALL, "loss": MSE(), "targets": RNG.normal(size=(4, 3))},
    "smoothed": {"layers": [*SMALL, sc.Softmax()], "loss": CrossEntropy(0.1)},
    "normalised": {"layers": [sc.Normalize(2), sc.Conv2d(2, 2, 3), sc.ReLU(), sc.Flatten(),
                              sc.Linear(32, 3)], "shape": (2, 6, 6),
                   "buffers": {"normalize1": {"mean": np.array([0.4, 0.3]),
                                              "std": np.array([0.2, 3.0])}}},
    "one pixel": {"layers": [sc.Conv2d(1, 2, 1), sc.Flatten(), sc.Linear(2, 2)],
                  "shape": (1, 1, 1)},
}  # fmt: skip


def agrees(built: BuiltTraining, book: Book, engine: str) -> None:
    """Every cell is as a check expects it, and has the formula that it expects."""
    (cells,) = read_trainings(built.path)
    results = cells.compare(cells.from_engine(book.opened), engine)
    assert sum(layer.cells for layer in results) == built.formula_cells
    assert not [item for layer in results for item in layer.wrong]
    assert not [*cells.structure(), *cells.changed()]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, tmp_path: Path) -> None:
    training = cell_training(**NETWORKS[name], optimiser=SGD(0.1, momentum=0.5), steps=2)
    built = build_training(training, tmp_path / "a.xlsx")
    with opened(built.path, training) as book:
        off, where = worst(training, book)
        assert off < EXACT, where
        agrees(built, book, "ironcalc")
    losses = [float(step["loss"]) for step in trained(training)]
    assert built.losses == pytest.approx(losses, abs=EXACT)


@pytest.mark.parametrize("name", ["batch normalisation", "many labels", "normalised"])
def test_random_numbers_make_no_difference(name: str, tmp_path: Path) -> None:
    training = cell_training(**NETWORKS[name], optimiser=Adam(0.01))
    built = build_training(training, tmp_path / "a.xlsx")
    result = sc.check(built.path, ["ironcalc"])
    assert result.ok, result.wrong[:3]
    assert result.formula_cells == built.formula_cells


def test_dead_rectifiers_learn_nothing(tmp_path: Path) -> None:
    training = cell_training()
    training.network.params["conv1"]["bias"][:] = -100.0
    built = build_training(training, tmp_path / "a.xlsx")
    with opened(built.path, training) as book:
        assert worst(training, book)[0] < EXACT
        assert not book["0 conv1.weight.grad"].any()
        assert book["0 dense1.bias.grad"].all()


def test_a_function_that_is_not_exact_is_allowed_for(tmp_path: Path) -> None:
    """IronCalc's NORMSDIST has ten digits."""
    layers = [sc.Conv2d(1, 2, 3), sc.GELU(), sc.Flatten(), sc.Linear(32, 4), sc.GELU()]
    training = cell_training(layers)
    built = build_training(training, tmp_path / "a.xlsx")
    with opened(built.path, training) as book:
        assert worst(training, book)[0] < 1e-9
    assert sc.check(built.path, ["ironcalc"]).ok


def test_many_layers_in_libreoffice(libreoffice: Engine, tmp_path: Path) -> None:
    layers = [
        *(sc.Normalize(2), sc.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), sc.BatchNorm2d(4)),
        *(sc.LeakyReLU(0.1), sc.MaxPool2d(3, 2, 1), sc.Conv2d(4, 2, 2, padding=1, dilation=2)),
        *(sc.InstanceNorm2d(2), sc.GELU(), sc.AvgPool2d(2, 1, 1), sc.Flatten(), sc.Linear(32, 4)),
        *(sc.Tanh(), sc.Linear(4, 3), sc.Softmax()),
    ]
    buffers = {"normalize1": {"mean": np.array([0.4, 0.3]), "std": np.array([0.2, 3.0])}}
    given: dict[str, Any] = {"optimiser": SGD(0.1, 0.9), "steps": 2}
    training = cell_training(layers, (2, 10, 10), buffers=buffers, **given)
    built = build_training(training, tmp_path / "a.xlsx")
    with opened(built.path, training, libreoffice) as book:
        off, where = worst(training, book)
        assert off < EXACT, where
        agrees(built, book, "libreoffice")


REFUSED: dict[str, tuple[dict[str, Any], type[SheetconvError], str]] = {
    "random": ({"layers": [sc.Conv2d(1, 2, 3), sc.Dropout(0.5), sc.Flatten(), sc.Linear(32, 3)]},
               LayoutError, "layer dropout1: .* draws other random numbers in every step"),
    "mirrored": ({"layers": [sc.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), sc.Flatten(),
                             sc.Linear(72, 3)]}, LayoutError, "layer conv1: .* has no formula"),
    "nothing to learn": ({"layers": [sc.ReLU(), sc.Flatten()]}, TrainingError, "no weights"),
    "nothing to draw": ({"layers": [sc.Flatten()]}, LayoutError, "nothing to draw"),
    "batch": ({"batch": 5}, TrainingError, "4 images for batches of 5"),
    "class": ({"targets": [0, 1, 2, 3]}, TrainingError, "image 3 is of class 3"),
    "targets": ({"targets": [0, 1, 2]}, TrainingError, "expected .3, 1, 6, 6., one for each"),
    "kind of targets": ({"loss": BCEWithLogits()}, TrainingError, "bce: the targets have shape"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_trained_in_cells(name: str) -> None:
    given, kind, said = REFUSED[name]
    with pytest.raises(kind, match=said) as caught:
        cell_training(**given)
    assert "\n" not in str(caught.value)


def test_what_no_workbook_holds(tmp_path: Path) -> None:
    target = tmp_path / "a.xlsx"
    wide: list[Layer] = [sc.Flatten(), sc.Linear(36, 1000)]
    refused = {
        "100,000 steps need": {"steps": 100_000},
        "a training step needs": {"layers": wide},
        "use smaller batches": {"images": np.ones((1400, 1, 6, 6)), "batch": 1400, "steps": 1},
    }
    for said, given in refused.items():
        with pytest.raises(LayoutError, match=said):
            build_training(cell_training(**given), target)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_batches_of_more_images_than_a_function_takes(tmp_path: Path) -> None:
    layers = [sc.Linear(1, 2)]
    images = np.random.default_rng(1).normal(size=(260, 1))
    training = cell_training(layers, (1,), images=images, batch=260, steps=1)
    built = build_training(training, tmp_path / "a.xlsx")
    with opened(built.path, training) as book:
        assert worst(training, book)[0] < EXACT


# --- The worksheets beside the steps


def test_slopes_are_gradients(tmp_path: Path) -> None:
    """Of weights of every layer, each chosen by its name."""
    layers = [sc.Conv2d(1, 2, 3, padding=1), sc.BatchNorm2d(2), sc.Tanh(), sc.AvgPool2d(3, 1, 1),
              sc.Flatten(), sc.Linear(72, 4), sc.Sigmoid(), sc.Linear(4, 3)]  # fmt: skip
    training = cell_training(layers)
    built = build_training(training, tmp_path / "a.xlsx")
    names, slopes = parameter_names(Places(training)), []
    tensors = dict.fromkeys(name.split()[0] for name in names)
    chosen = [[name for name in names if name.startswith(f"{t} ")] for t in tensors]
    assert len(chosen) == 8
    with opened(built.path, training) as book:
        gradients = {t: book[f"0 {t}.grad"].ravel() for t in tensors}
        for tensor, own in zip(tensors, chosen, strict=True):
            for index in dict.fromkeys((0, len(own) // 2, len(own) - 1)):
                book.put("gradient check weight", own[index])
                slope = float(book["gradient check slope"])
                formula = float(book["gradient check formula"])
                assert formula == gradients[tensor][index]
                assert slope == pytest.approx(formula, rel=1e-6, abs=1e-9)
                slopes.append(formula)
    assert np.ptp(slopes) > 0.01


def test_the_list_of_weights_is_libreoffice_s_own(
    libreoffice: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sheetconv.calculators import office

    built = build_training(cell_training(steps=1), tmp_path / "a.xlsx")
    server = Path(__file__).with_name("uno_validations.py")
    monkeypatch.setattr(office, "_SERVER", server)
    with libreoffice.open(built.path) as book:
        rule = book._call("ask", "validation", "gradient check", 1, 4)  # type: ignore[attr-defined]
    assert rule == ["LIST", "$'gradient check'.$D$5:$D$51", "0", True]


def test_the_line_s_optimisers_are_pytorch_s(tmp_path: Path) -> None:
    training = cell_training(steps=1)
    built = build_training(training, tmp_path / "a.xlsx")
    with opened(built.path, training) as book:
        x, y = (torch.tensor(book[f"line {name}"]) for name in ("x", "y"))
        makers = {"SGD": torch.optim.SGD, "momentum": torch.optim.SGD,
                  "RMSprop": torch.optim.RMSprop, "Adam": torch.optim.Adam}  # fmt: skip
        assert makers.keys() == OPTIMISERS.keys()
        for title, maker in makers.items():
            a, b = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(2))
            given: dict[str, Any] = {"lr": float(book[f"{title} setting lr"])}
            if title == "momentum":
                given["momentum"] = float(book["momentum setting momentum"])
            optimiser = maker([a, b], **given)
            for step in range(STEPS):
                loss = ((a * x + b - y) ** 2).mean()
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                shown = {"a": a, "b": b, "slope a": a.grad, "slope b": b.grad, "loss": loss}
                for name, value in shown.items():
                    assert value is not None
                    got = float(book[f"{title} {name}"][step])
                    assert got == pytest.approx(value.item(), abs=EXACT), (title, step, name)
                optimiser.step()
            assert loss.item() < 0.1

"""The training loop: what it learns, that it repeats and goes on bit for bit, what it refuses."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sheetconv import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Normalize,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
)
from sheetconv.errors import CheckpointError, ShapeError, SheetconvError, TrainingError
from sheetconv.layers.base import Array
from sheetconv.template import load_template
from sheetconv.training import Data, Dataset, Learner, load_data
from sheetconv.training import learner as learner_module
from sheetconv.training.batches import shuffled_batches
from sheetconv.training.fields import Numbers
from sheetconv.training.initialisation import initialise
from sheetconv.training.losses import CrossEntropy
from sheetconv.training.optimisers import SGD, Adam, AdamW, RMSprop
from sheetconv.training.progress import Progress, Silence

CLASSES = ("low", "middle", "high")


def images_of(count: int, seed: int = 0) -> tuple[Array, np.ndarray]:
    """Pictures of three brightnesses, and which each has."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    images = 0.3 * labels[:, None, None, None] + rng.random((count, 1, 6, 6))
    return images, labels


def data_of(train: int = 51, valid: int = 20) -> Data:
    images, labels = images_of(train + valid)
    rest = (images[train:], labels[train:])
    return Data.from_arrays(images[:train], labels[:train], CLASSES, rest)


DATA = data_of()


def plain(seed: int = 0) -> Sequential:
    return Sequential(Flatten(), Linear(36, 3), Softmax(), seed=seed)


def rich(seed: int = 0) -> Sequential:
    """Whatever has a state of its own: statistics, noise, numbers of the data."""
    return Sequential(
        Normalize(1), Conv2d(1, 4, 3, bias=False), BatchNorm2d(4), ReLU(), MaxPool2d(2),
        Dropout(0.3), Flatten(), Linear(16, 3), Softmax(), seed=seed,
    )  # fmt: skip


def numbers_in(learner: Learner) -> dict[str, bytes]:
    """Everything that a run comes to, bit for bit, but for how long it took."""
    found = {name: own.tobytes() for name, own in learner.network.state_dict().items()}
    found |= {f"kept {name}": own.tobytes() for name, own in learner._state.items()}
    found |= {f"engine {name}": own.tobytes() for name, own in learner._engine.state().items()}
    # Two of the loss, one of the seconds.
    record = learner.history.state()
    train, valid, _ = record.pop("epoch_values").T
    record |= {"train": train, "valid": valid, "smooth": np.array([learner.history.smooth_loss])}
    return found | {f"record {name}": own.tobytes() for name, own in record.items()}


class Watching(Silence):
    """Does something after a batch, counted over the run from 1."""

    def __init__(self, at: int, do: Callable[[], object]) -> None:
        self.at, self.do, self.seen = at, do, 0

    def batch(self, loss: float) -> None:
        self.seen += 1
        if self.seen == self.at:
            self.do()


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


# --- Learning


def test_the_digits_are_learned() -> None:
    item = load_template("digits-batchnorm").networks[0]
    initialise(item.network, "kaiming-normal", 0)
    learner = Learner(item.network, load_data("digits"), optimiser="adamw")
    before = learner.evaluate()
    learner.fit_one_cycle(3, 0.02)
    epochs = learner.history.epochs
    assert epochs["train_loss"].is_monotonic_decreasing
    assert before.accuracy < 0.3
    assert epochs["accuracy"].iloc[-1] > 0.95
    assert learner.evaluate().accuracy == epochs["accuracy"].iloc[-1]
    assert learner.evaluate().loss == epochs["valid_loss"].iloc[-1]
    assert not learner.interrupted


@pytest.mark.parametrize("make", [plain, rich])
@pytest.mark.parametrize("optimiser", [SGD(0.1, 0.9), RMSprop(), Adam(0.01), AdamW(0.01)])
def test_the_loss_falls(make: Callable[[], Sequential], optimiser: Any) -> None:
    learner = Learner(make(), DATA, optimiser=optimiser, batch=16)
    learner.fit(12)
    losses = learner.history.epochs["train_loss"]
    assert losses.iloc[-1] < 0.8 * losses.iloc[0]


def test_a_seed_repeats_and_another_does_not() -> None:
    def trained(seed: int, threads: int = 1, **options: Any) -> dict[str, bytes]:
        learner = Learner(
            rich(), DATA, batch=16, seed=seed, threads=threads, activations=1, **options
        )
        learner.fit_one_cycle(2, 0.05)
        return numbers_in(learner)

    first = trained(0)
    assert trained(0) == trained(0, 2) == trained(0, 3) == first
    other = trained(1)
    same = {name for name, own in other.items() if own == first[name]}
    assert not {"conv1.weight", "batchnorm1.running_var", "kept exp_avg", "record loss"} & same
    assert {"normalize1.mean", "record hyper"} <= same


def test_every_image_is_seen_once_in_every_epoch() -> None:
    for epoch in range(3):
        batches = shuffled_batches(51, 16, 7, epoch)
        assert [len(numbers) for numbers in batches] == [16, 16, 16, 3]
        assert sorted(np.concatenate(batches).tolist()) == list(range(51))
    assert not (shuffled_batches(51, 16, 7, 0)[0] == shuffled_batches(51, 16, 7, 1)[0]).all()
    assert not (shuffled_batches(51, 16, 7, 0)[0] == shuffled_batches(51, 16, 8, 0)[0]).all()


def test_a_second_fit_goes_on_with_numbers_and_epochs() -> None:
    learner = Learner(plain(), DATA, optimiser=Adam(), batch=16, activations=1)
    learner.fit(2, 0.01)
    learner.fit_one_cycle(1, 0.02)
    assert list(learner.history.epochs.index) == [1, 2, 3]
    assert list(learner.history.batches["epoch"]) == [1] * 4 + [2] * 4 + [3] * 4
    assert learner.history.batches["lr"].iloc[:8].eq(0.01).all()
    assert learner.history.batches["lr"].iloc[8] == pytest.approx(0.02 / 25)
    # Its orders, too, and Adam's correction of its start are those of a run of three epochs.
    once = Learner(plain(), DATA, optimiser=Adam(), batch=16)
    once.fit(3, 0.01)
    twice = Learner(plain(), DATA, optimiser=Adam(), batch=16)
    twice.fit(2, 0.01)
    twice.fit(1, 0.01)
    assert once.history.batches.equals(twice.history.batches)


def test_weights_that_were_set_between_fits_are_used() -> None:
    learner = Learner(plain(), DATA)
    learner.fit(1)
    learner.network.load_state_dict(plain(5).state_dict())
    assert learner.evaluate().loss == Learner(plain(5), DATA).evaluate().loss


@pytest.mark.parametrize("images", [17, 33])
def test_a_last_batch_of_one_image_is_left_out_with_batch_norm(images: int) -> None:
    flat = Sequential(Conv2d(1, 2, 6), BatchNorm2d(2), Flatten(), Linear(2, 3))
    # Of one image at a time no variance can be learned, and the layer says so.
    with pytest.raises(ShapeError, match="a single number in each channel"):
        Learner(flat, data_of(images), batch=1).fit(1)
    learner = Learner(flat, data_of(images), batch=16)
    learner.fit(2)
    assert len(learner.history) == 2 * (images // 16)
    whole = Learner(plain(), data_of(images), batch=16)
    whole.fit(2)
    assert len(whole.history) == 2 * (images // 16 + 1)


def test_activations_are_recorded_of_every_layer_every_so_many_batches() -> None:
    learner = Learner(rich(), DATA, batch=16, activations=3)
    learner.fit(2)
    views = {name for name, layer in learner.network if layer.is_view}
    scores = [name for name in learner.network.layers if name not in views][:-1]
    assert learner.history.layers == scores
    frame = learner.history.activations
    assert list(frame.loc[scores[0]].index) == [0, 3, 6]
    # Of what rectifies, all that is not above 0 is near it.
    assert (frame.loc["relu1", "near_zero"] > 0.2).all()
    assert not Learner(rich(), DATA).history.layers


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_bar_and_a_file_a_line_for_each_epoch(tmp_path: Path) -> None:
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        Learner(plain(), DATA, batch=16, progress=Progress(stream)).fit(2)
    lines = file.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "training loss 1." in lines[0]
    assert "%" in lines[0]
    shown = terminal.getvalue()
    assert "training:" in shown
    assert "images" in shown
    # The bar makes way for the lines, and leaves nothing.
    assert [line.split("  ")[0] for line in lines] == re.findall(r"epoch \d/\d", shown)
    assert shown.endswith("\r")


# --- Judging


@pytest.mark.parametrize("make", [plain, rich])
def test_answers_are_those_of_the_network(make: Callable[[], Sequential]) -> None:
    images, labels = images_of(600, 3)
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        learner = Learner(make(), DATA, batch=16, dtype=dtype)
        learner.fit(2, 0.01)
        expected = learner.network(images)
        got = learner.predict(images)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)
        judged = learner.evaluate(Dataset(images, labels.astype(np.int64), CLASSES))
        np.testing.assert_allclose(judged.probabilities, expected, rtol=0, atol=tolerance)
        own = -np.log(expected[np.arange(600), labels])
        np.testing.assert_allclose(judged.losses, own, rtol=100 * tolerance, atol=tolerance)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(learner.predict(images), expected, rtol=0, atol=1e-12)


def test_a_network_without_softmax_gives_probabilities_all_the_same() -> None:
    network = Sequential(Flatten(), Linear(36, 3))
    learner = Learner(network, DATA, dtype="float64")
    scores = network(DATA.valid.images)
    expected = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(learner.predict(DATA.valid.images), expected, rtol=1e-12)


def test_where_images_are_mixed_all_of_them_are_one_batch() -> None:
    network = Sequential(
        Conv2d(1, 2, 3), BatchNorm2d(2, track_running_stats=False), Flatten(), Linear(32, 3),
        Softmax(),
    )  # fmt: skip
    images, _ = images_of(1100, 4)
    learner = Learner(network, DATA, dtype="float64")
    np.testing.assert_allclose(learner.predict(images), network(images), rtol=1e-12)


def test_bytes_are_judged_with_their_scale() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 1, 6, 6)).astype(np.uint8)
    data = Data.from_arrays(pixels, pixels.mean((1, 2, 3)) > 127, CLASSES[:2])
    network = Sequential(Flatten(), Linear(36, 2), Softmax())
    learner = Learner(network, data, dtype="float64")
    expected = network(data.valid.images / 255)
    np.testing.assert_allclose(learner.evaluate().probabilities, expected, rtol=1e-12)
    got = learner.predict(data.valid.images, data.valid.scale)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_whoever_shows_the_progress_may_ask_for_answers() -> None:
    """The answers are those of the moment, and the run is as without them."""
    asked: list[tuple[float, float]] = []

    class Curious(Silence):
        def epoch(self, epoch: int, epochs: int, train: float, valid: float, *more: Any) -> None:
            learner.predict(DATA.valid.images[:epoch])
            asked.append((valid, learner.evaluate().loss))

    learner = Learner(rich(), DATA, batch=16, progress=Curious())
    learner.fit(3, 0.05)
    quiet = Learner(rich(), DATA, batch=16)
    quiet.fit(3, 0.05)
    assert numbers_in(learner) == numbers_in(quiet)
    assert [own for own, _ in asked] == [seen for _, seen in asked]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 1, 5, 6)), "shape (2, 1, 5, 6): expected (images, 1, 6, 6), at least one"),
        (np.zeros((1, 6, 6)), "shape (1, 6, 6): expected (images, 1, 6, 6)"),
        # NumPy would make one of the other.
        (np.zeros((2, 1, 1, 1)), "shape (2, 1, 1, 1): expected"),
        (np.zeros((0, 1, 6, 6)), "shape (0, 1, 6, 6): expected"),
        ("pictures", "the images are not an array of numbers"),
        (np.full((1, 1, 6, 6), "x"), "the images are not an array of numbers"),
    ],
)
def test_images_that_cannot_be_judged_are_refused(images: Any, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Learner(plain(), DATA).predict(images)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lists_of_numbers_are_judged() -> None:
    learner = Learner(plain(), DATA)
    images = DATA.valid.images[:2]
    np.testing.assert_array_equal(learner.predict(images.tolist()), learner.predict(images))


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Dataset(np.zeros((2, 1, 5, 5)), np.array([0, 1]), CLASSES), "expected (1, 6, 6), as the"),
        (Dataset(np.zeros((1, 1, 6, 6)), np.array([1]), CLASSES[:2]), "3 outputs, and the data"),
        (
            Dataset(np.zeros((1, 1, 6, 6)), np.array([[1, 0, 1]], np.uint8), CLASSES),
            "take the loss bce",
        ),
    ],
)
def test_a_data_set_of_another_kind_is_refused(dataset: Dataset, message: str) -> None:
    with pytest.raises(SheetconvError) as caught:
        Learner(plain(), DATA).evaluate(dataset)
    assert message in str(caught.value)


# --- Losses


def test_several_labels_are_learned() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (120, 2)).astype(np.uint8)
    images = rng.random((120, 1, 2, 2)) * 0.2
    images[:, 0, 0] += labels
    data = Data.from_arrays(images, labels, ["left", "right"])
    network = Sequential(Flatten(), Linear(4, 2), Sigmoid())
    learner = Learner(network, data, batch=16, metrics=("exact", "f1", "accuracy"))
    assert learner.loss.name == "bce"
    learner.fit(20, 0.1)
    assert learner.history.epochs["exact"].iloc[-1] > 0.95
    np.testing.assert_allclose(
        learner.predict(data.valid.images), network(data.valid.images), atol=1e-5
    )
    assert learner.evaluate().is_multi_label


@pytest.mark.parametrize("last", [Softmax(), Sigmoid()])
def test_the_squared_error_is_learned(last: Any) -> None:
    network = Sequential(Flatten(), Linear(36, 3), last)
    learner = Learner(network, DATA, "mse", batch=16, dtype="float64")
    learner.fit(30, 0.02)
    losses = learner.history.epochs["train_loss"]
    assert losses.iloc[-1] < 0.7 * losses.iloc[0]
    out = network(DATA.valid.images)
    np.testing.assert_allclose(learner.evaluate().probabilities, out, rtol=1e-12)
    wanted = np.eye(3)[DATA.valid.labels]
    np.testing.assert_allclose(learner.evaluate().loss, ((out - wanted) ** 2).mean(), rtol=1e-12)


def test_smoothed_labels_are_a_setting_of_the_loss() -> None:
    learner = Learner(plain(), DATA, CrossEntropy(0.1))
    assert learner.evaluate().loss != Learner(plain(), DATA).evaluate().loss
    assert learner.about()["loss"] == {"name": "cross-entropy", "label_smoothing": 0.1}


# --- The numbers of the training set


def test_a_first_normalize_gets_mean_and_deviation_of_the_training_images() -> None:
    images, labels = images_of(60)
    flat = np.concatenate([images, np.full(images.shape, 0.7)], axis=1)
    data = Data.from_arrays(flat, labels, CLASSES)
    make = lambda: Sequential(Normalize(2), Flatten(), Linear(72, 3))  # noqa: E731
    learner = Learner(make(), data)
    own = learner.network.buffers["normalize1"]
    train = data.train.images
    np.testing.assert_allclose(own["mean"], train.mean((0, 2, 3)), rtol=1e-12)
    # The second channel is the same everywhere.
    np.testing.assert_allclose(own["std"], [train[:, 0].std(), 1.0], rtol=1e-12)
    before = {key: value.copy() for key, value in own.items()}
    learner.fit(2)
    for key, value in learner.network.buffers["normalize1"].items():
        np.testing.assert_allclose(value, before[key], rtol=1e-6)
    # One that was measured before stays, and so does one that shall not be.
    other = make()
    other.buffers["normalize1"]["mean"][...] = 5.0
    Learner(other, data)
    assert (other.buffers["normalize1"]["mean"] == 5.0).all()
    third = make()
    Learner(third, data, normalise=False)
    assert (third.buffers["normalize1"]["mean"] == 0.0).all()


# --- What learns, and how fast


def test_frozen_layers_keep_their_bits() -> None:
    for frozen, stay in (
        (("conv1", "batchnorm"), {"conv1", "batchnorm1"}),
        (("dense",), {"dense1"}),
        (("batchnorm1",), {"batchnorm1"}),
    ):
        learner = Learner(rich(), DATA, batch=16, dtype="float64", frozen=frozen)
        before = {name: own.tobytes() for name, own in learner.network.state_dict().items()}
        learner.fit(2, 0.05)
        for name, own in learner.network.state_dict().items():
            layer = name.partition(".")[0]
            same = layer in stay or layer == "normalize1"
            assert (own.tobytes() == before[name]) == same, name


def test_factors_of_the_learning_rate_are_a_layer_s_or_a_kind_s() -> None:
    def moved(**options: Any) -> dict[str, Array]:
        learner = Learner(rich(), DATA, optimiser=SGD(), batch=51, dtype="float64", **options)
        before = {name: own.copy() for name, own in learner.network.state_dict().items()}
        learner.fit(1, 0.1)
        return {name: own - before[name] for name, own in learner.network.state_dict().items()}

    usual = moved()
    own = moved(lr_factors={"conv": 0.5, "dense1": 0.0, "batchnorm1": 3})
    for name, factor in (("conv1.weight", 0.5), ("dense1.weight", 0.0), ("batchnorm1.bias", 3.0)):
        np.testing.assert_allclose(own[name], factor * usual[name], rtol=1e-9, atol=1e-15)
    assert usual["dense1.weight"].any()


@pytest.mark.parametrize(
    ("clip", "reference"),
    [
        ({"clip_norm": 0.05}, lambda own: torch.nn.utils.clip_grad_norm_(own, 0.05)),
        ({"clip_value": 0.01}, lambda own: torch.nn.utils.clip_grad_value_(own, 0.01)),
        ({"clip_norm": 1e6}, lambda own: None),
    ],
    ids=["norm", "value", "neither"],
)
def test_gradients_are_clipped_as_by_pytorch(
    clip: dict[str, float], reference: Callable[[list[torch.Tensor]], object]
) -> None:
    network = Sequential(Flatten(), Linear(36, 3))
    before = network.params["dense1"]
    learner = Learner(network, DATA, optimiser=SGD(), batch=51, dtype="float64", **clip)
    learner.fit(1, 0.5)
    theirs = torch.nn.Linear(36, 3).double()
    own = list(theirs.parameters())
    with torch.no_grad():
        own[0].copy_(torch.from_numpy(before["weight"]))
        own[1].copy_(torch.from_numpy(before["bias"]))
    images = torch.from_numpy(DATA.train.images).flatten(1)
    loss = torch.nn.functional.cross_entropy(theirs(images), torch.from_numpy(DATA.train.labels))
    loss.backward()  # type: ignore[no-untyped-call]
    norm = float(torch.stack([value.grad.square().sum() for value in own]).sum().sqrt())
    reference(own)
    after = network.params["dense1"]
    for key, value in zip(("weight", "bias"), own, strict=True):
        step = before[key] - after[key]
        np.testing.assert_allclose(step, 0.5 * value.grad.numpy(), rtol=1e-9, atol=1e-14)
    if "clip_norm" in clip:
        recorded = learner.history.batches["gradient_norm"]
        np.testing.assert_allclose(recorded, norm, rtol=1e-12)
        # Otherwise this would show nothing.
        assert norm > 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimiser": "adm"}, "optimiser 'adm' is unknown: did you mean adam?"),
        ({"loss": "croos-entropy"}, "did you mean cross-entropy?"),
        ({"batch": 0}, "batch is 0: expected a whole number of at least 1"),
        ({"batch": 2.0}, "batch is 2.0"),
        ({"dtype": "float16"}, "dtype is 'float16': expected float32 or float64"),
        ({"metrics": ("acuracy",)}, "did you mean accuracy?"),
        ({"metrics": ("top-5",)}, "top-5 of 3 classes would always be right"),
        ({"frozen": ("con1",)}, "frozen: no layer is named 'con1': did you mean conv1?"),
        ({"frozen": ("conv", "batchnorm", "dense")}, "no layer learns: all that have parameters"),
        ({"lr_factors": {"densel": 1}}, "learning rates: no layer is named 'densel': did you mean"),
        ({"lr_factors": {"conv1": -1}}, "conv1 is -1: expected"),
        ({"lr_factors": {"conv1": float("nan")}}, "conv1 is nan: expected"),
        ({"clip_norm": 0}, "clip_norm is 0: expected a number above 0"),
        ({"clip_value": "x"}, "clip_value is 'x': expected a number above 0"),
        ({"activations": -1}, "activations is -1: expected a whole number of at least 0"),
        ({"threads": 0}, "threads is 0: expected a whole number of at least 1"),
        ({"seed": -1}, "seed is -1: expected a whole number of at least 0"),
        ({"loss": "bce"}, "bce: the targets have shape (51,)"),
    ],
    ids=str,
)
def test_settings_that_are_none_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError) as caught:
        Learner(rich(), DATA, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layers", "loss", "message"),
    [
        ([Linear(36, 10)], None, "the network has 10 outputs, and the data have 3 classes"),
        ([Linear(36, 2)], None, "the network has 2 outputs, and the data have 3 classes"),
        ([Linear(36, 1)], None, "the network has 1 output, and the data have 3 classes"),
        ([Linear(36, 3), Sigmoid()], None, "contains a Softmax, and the network ends with Sigmoid"),
        ([Linear(36, 3)], "mse", "mse: the network does not end with Softmax or Sigmoid"),
        ([Linear(36, 3), ReLU()], "mse", "mse: the network does not end with Softmax or Sigmoid"),
        ([Softmax()], None, "36 outputs, and the data have 3 classes"),
    ],
    ids=str,
)
def test_a_network_that_does_not_fit_data_and_loss_is_refused_before_it_is_trained(
    layers: list[Any], loss: str | None, message: str
) -> None:
    with pytest.raises(TrainingError) as caught:
        Learner(Sequential(Flatten(), *layers), DATA, loss)
    assert message in str(caught.value)


def test_a_sigmoid_that_is_not_last_is_not_left_to_the_loss() -> None:
    labels = np.eye(3, dtype=np.uint8)[DATA.train.labels]
    data = Data.from_arrays(DATA.train.images, labels, CLASSES)
    ends = Sequential(Conv2d(1, 3, 6), Sigmoid(), Flatten())
    with pytest.raises(TrainingError, match="put Sigmoid last"):
        Learner(ends, data)
    Learner(Sequential(Conv2d(1, 3, 6), Flatten(), Sigmoid()), data).fit(1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "epochs is 0: expected"),
        ({"epochs": 1, "lr": 0.0}, "lr is 0.0: expected a number above 0"),
        ({"epochs": 1, "schedule": "cosin"}, "did you mean cosine?"),
        ({"epochs": 1, "patience": 0}, "patience is 0: expected"),
    ],
    ids=str,
)
def test_a_fit_that_is_none_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError) as caught:
        Learner(plain(), DATA).fit(**given)
    assert message in str(caught.value)


# --- Early stopping


def noisy_data() -> Data:
    """Labels that have nothing to do with the images: whatever is learned is wrong soon."""
    rng = np.random.default_rng(1)
    images, labels = rng.random((40, 1, 6, 6)), rng.integers(0, 3, 40)
    return Data.from_arrays(images, labels, CLASSES, (rng.random((40, 1, 6, 6)), labels[::-1]))


def test_early_stopping_gives_back_the_best_weights() -> None:
    learner = Learner(rich(), noisy_data(), batch=8, dtype="float64")
    learner.fit(50, 0.05, patience=3)
    epochs = learner.history.epochs
    best = int(epochs["valid_loss"].idxmin())
    assert len(epochs) == best + 3 < 50
    assert learner.evaluate().loss == epochs["valid_loss"].min()
    shorter = Learner(rich(), noisy_data(), batch=8, dtype="float64")
    shorter.fit(best, 0.05)
    for name, own in shorter.network.state_dict().items():
        assert own.tobytes() == learner.network.state_dict()[name].tobytes(), name
    # Another fit counts on.
    learner.fit(1)
    assert list(learner.history.epochs.index)[-1] == best + 4


def test_a_run_that_ends_before_it_waited_long_enough_has_the_best_weights_too() -> None:
    learner = Learner(rich(), noisy_data(), batch=8, dtype="float64")
    learner.fit(12, 0.05, patience=12)
    epochs = learner.history.epochs
    assert len(epochs) == 12
    assert learner.evaluate().loss == epochs["valid_loss"].min() < epochs["valid_loss"].iloc[-1]


# --- The learning rate finder


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("end", [10.0, 1e30])
def test_finding_a_learning_rate_leaves_everything_as_it_was(dtype: str, end: float) -> None:
    learner = Learner(rich(), DATA, batch=16, dtype=dtype, activations=1)
    learner.fit(1, 0.01)
    # Numbers of more digits than float32 has.
    learner.network.params["dense1"]["weight"] += 1e-12
    learner._engine.load()
    before, standing = numbers_in(learner), learner._standing
    found = learner.find_lr(end=end)
    assert numbers_in(learner) == before
    assert learner._standing is standing
    frame = found.history.batches
    assert found.suggestion in frame["lr"].to_numpy()
    assert 1e-7 <= found.suggestion < end
    assert frame["lr"].iloc[0] == pytest.approx(1e-7)
    assert frame["lr"].is_monotonic_increasing
    # It ended where the loss had grown without end, and is no part of the record.
    assert len(frame) < 100 if end > 10 else len(frame) == 100
    assert len(learner.history) == 4
    other = Learner(rich(), DATA, batch=16, dtype=dtype, activations=1)
    other.fit(1, 0.01)
    other.network.params["dense1"]["weight"] += 1e-12
    for one in (learner, other):
        one.fit(1, 0.01)
    assert numbers_in(learner) == numbers_in(other)


def test_a_sweep_that_is_interrupted_leaves_everything_as_it_was() -> None:
    learner = Learner(rich(), DATA, batch=16)
    before, usual, steps = numbers_in(learner), learner._step, 0

    def interrupted(*given: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == 7:
            raise KeyboardInterrupt
        usual(*given)

    learner._step = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        learner.find_lr()
    assert numbers_in(learner) == before


def test_every_way_to_suggest_is_within_the_sweep() -> None:
    learner = Learner(plain(), DATA, batch=16, optimiser=SGD())
    for method in ("valley", "steep", "minimum"):
        found = learner.find_lr(1e-4, 50.0, 60, method)
        assert 1e-5 <= found.suggestion < 50.0
    for given, message in (
        ({"steps": 5}, "steps is 5"),
        ({"method": "valey"}, "did you mean valley"),
        ({"start": 1.0, "end": 0.5}, "end_lr is 0.5"),
    ):
        with pytest.raises(TrainingError, match=message):
            learner.find_lr(**given)  # type: ignore[arg-type]


# --- What goes astray


def diverging(learner: Learner, lr: float, **options: Any) -> str:
    with pytest.raises(TrainingError) as caught:
        learner.fit(30, lr, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("lr", "message"),
    [
        (1e30, "in batch 2 of epoch 1: layer dense1 is the first whose activations are not finite"),
        (1e4, "e+04, having begun at 1."),
        (1e4, "the largest activations, up to "),
        (1e4, "are those of layer dense1"),
        (1e4, "try a smaller learning rate (sheetconv train --find-lr, in Python Learner.find_lr"),
    ],
)
def test_a_learning_rate_that_is_too_large_is_named(lr: float, message: str) -> None:
    learner = Learner(plain(), DATA, optimiser=SGD(momentum=0.9), batch=16)
    said = diverging(learner, 1e39 if lr == 1e30 else lr)
    assert message in said
    assert " in batch " in said


@pytest.mark.parametrize(
    ("make", "scale", "dtype", "layer"),
    [
        (rich, 1e39, "float32", "normalize1"),
        (rich, 1e155, "float64", ""),
        (plain, 1e39, "float32", "dense1"),
        (plain, 1e307, "float64", ""),
        (
            lambda: Sequential(Conv2d(1, 2, 3), BatchNorm2d(2), Flatten(), Linear(32, 3)),
            1e37,
            "float32",
            "batchnorm1",
        ),
    ],
)
def test_images_with_huge_numbers_are_no_matter_of_the_learning_rate(
    make: Callable[[], Sequential], scale: float, dtype: str, layer: str
) -> None:
    images, labels = images_of(40)
    data = Data.from_arrays(images * scale, labels, CLASSES, scale=1.0)
    learner = Learner(make(), data, dtype=dtype, batch=16, activations=1, normalise=False)
    if not layer:
        # Within the type: it trains, badly or not, and nothing but TrainingError ends it.
        with suppress(TrainingError):
            learner.fit(2)
        return
    said = diverging(learner, 0.01)
    assert f"layer {layer} is the first whose activations are not finite" in said or layer == (
        "dense1"
    )
    assert "scale the images to numbers near 1, or put a Normalize layer first" in said
    assert "learning rate" not in said


def test_after_a_run_that_went_astray_another_can_be_tried() -> None:
    learner = Learner(rich(), DATA, optimiser=Adam(), batch=16)
    learner.fit(1, 0.01)
    before = {name: own.tobytes() for name, own in learner.network.state_dict().items()}
    kept = {name: own.tobytes() for name, own in learner._state.items()}
    said = diverging(learner, 1e38)
    assert "of epoch 2" in said
    assert {name: own.tobytes() for name, own in learner.network.state_dict().items()} == before
    assert {name: own.tobytes() for name, own in learner._state.items()} == kept
    learner.fit(2, 0.01)
    other = Learner(rich(), DATA, optimiser=Adam(), batch=16)
    other.fit(1, 0.01)
    other.fit(2, 0.01)
    own, theirs = learner.history.epochs, other.history.epochs
    assert list(own["train_loss"].iloc[-2:]) == list(theirs["train_loss"].iloc[-2:])


def test_an_error_of_what_shows_the_progress_leaves_everything_as_it_was() -> None:
    def fail() -> None:
        raise RuntimeError("planted")

    learner = Learner(rich(), DATA, batch=16, progress=Watching(3, fail))
    before = {name: own.tobytes() for name, own in learner.network.state_dict().items()}
    with pytest.raises(RuntimeError, match="planted"):
        learner.fit(2)
    assert {name: own.tobytes() for name, own in learner.network.state_dict().items()} == before
    assert not any(own.any() for own in learner._state.values())
    learner.fit(1)
    assert learner.history.epochs.index.tolist() == [1]


# --- Interruptions and checkpoints

RUNS: dict[str, tuple[Callable[[], Learner], dict[str, Any]]] = {
    "sgd, one-cycle": (
        lambda: Learner(rich(), DATA, optimiser=SGD(0.1, 0.9), batch=16, activations=2),
        {"schedule": "one-cycle"},
    ),
    "rmsprop, cosine, clipping": (
        lambda: Learner(
            rich(), DATA, optimiser=RMSprop(centered=True, momentum=0.3), batch=20,
            dtype="float64", clip_norm=0.5, metrics=("accuracy", "f1"),
        ),
        {"schedule": "cosine"},
    ),
    "adamw, patience": (
        lambda: Learner(
            rich(), noisy_data(), optimiser=AdamW(0.05), batch=10, lr_factors={"conv": 0.5},
        ),
        {"patience": 2},
    ),
    "adam, frozen": (
        lambda: Learner(rich(), DATA, optimiser=Adam(), batch=16, frozen=("batchnorm",), seed=3),
        {"schedule": "step", "lr": 0.02},
    ),
}  # fmt: skip


def fit(learner: Learner, given: Mapping[str, Any], **more: Any) -> None:
    options = {**given}
    if options.get("schedule") == "step":
        options["schedule"] = learner_module.schedule_named("step", step_size=1)
    learner.fit(4, **options, **more)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_goes_on_bit_for_bit_after_any_batch(name: str, tmp_path: Path) -> None:
    make, given = RUNS[name]
    whole, path = make(), tmp_path / "run.npz"
    fit(whole, given)
    expected, batches = numbers_in(whole), len(whole.history)
    assert batches > 8
    for at in range(1, batches + 1):
        first = make()
        first.progress = Watching(at, press_ctrl_c)
        fit(first, given, checkpoint=path, about={"mine": [1, None]})
        assert len(first.history) == at
        # With the last batch the run is over.
        assert first.interrupted == (at < batches)
        second = make()
        # What is in the network does not matter: all of it is in the file.
        second.network.load_state_dict(rich(9).state_dict())
        second.resume(path)
        assert numbers_in(second) == expected, at
        assert not second.interrupted
    # A run that is over goes nowhere.
    third = make()
    third.resume(path)
    assert numbers_in(third) == expected
    # The same learner can go on, too.
    first = make()
    first.progress = Watching(2, press_ctrl_c)
    fit(first, given, checkpoint=path)
    first.resume(path)
    assert numbers_in(first) == expected


def test_what_differs_after_going_on_would_be_found(tmp_path: Path) -> None:
    make, given = RUNS["sgd, one-cycle"]
    whole, first, path = make(), make(), tmp_path / "run.npz"
    fit(whole, given)
    first.progress = Watching(5, press_ctrl_c)
    fit(first, given, checkpoint=path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["optimiser.momentum_buffer"][3] *= np.float32(1 + 1e-6)
    np.savez(path, **arrays)
    second = make()
    second.resume(path)
    assert numbers_in(second) != numbers_in(whole)


def test_ctrl_c_finishes_the_batch_and_keeps_what_was_learned() -> None:
    before = signal.getsignal(signal.SIGINT)
    learner = Learner(rich(), DATA, batch=16, progress=Watching(6, press_ctrl_c))
    learner.fit(4, 0.01)
    assert learner.interrupted
    assert len(learner.history) == 6
    assert signal.getsignal(signal.SIGINT) is before
    for name, own in learner._engine.state().items():
        if name not in ("values", "seen"):
            layer, _, key = name.rpartition(".")
            assert (learner.network.buffers[layer][key] == own).all()
    same = learner._engine.parameters.views(learner._engine.parameters.values)
    assert (learner.network.params["dense1"]["weight"] == same["dense1"]["weight"]).all()
    # The next run is one of its own.
    learner.fit(1)
    assert not learner.interrupted


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    def twice() -> None:
        press_ctrl_c()
        press_ctrl_c()

    before = signal.getsignal(signal.SIGINT)
    learner = Learner(rich(), DATA, batch=16, progress=Watching(6, twice))
    own = {name: array.tobytes() for name, array in learner.network.state_dict().items()}
    with pytest.raises(KeyboardInterrupt):
        learner.fit(4, 0.01)
    assert signal.getsignal(signal.SIGINT) is before
    assert {name: array.tobytes() for name, array in learner.network.state_dict().items()} == own


def test_where_ctrl_c_is_ignored_it_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        learner = Learner(plain(), DATA, batch=16, progress=Watching(2, press_ctrl_c))
        learner.fit(1)
        assert not learner.interrupted
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_can_train() -> None:
    learner, other = (Learner(rich(), DATA, batch=16) for _ in range(2))
    thread = threading.Thread(target=learner.fit, args=(2,))
    thread.start()
    other.fit(2)
    thread.join()
    assert numbers_in(learner) == numbers_in(other)


KILLED = """\
import os, random, signal, sys, time, types
from pathlib import Path
# It takes seconds to load, and is used by other tests only.
sys.modules["torch"] = types.ModuleType("torch")
import numpy as np
from test_learner import DATA, numbers_in, rich
from sheetconv.training import Learner, learner
from sheetconv.training.checkpoint import read_checkpoint

class Clock:
    now = 0.0
    def monotonic(self):  # a checkpoint after every batch
        Clock.now += 61.0
        return Clock.now

learner.time = Clock()
path, random_ = Path("run.npz"), random.Random(int(sys.argv[1]))

def child():
    made = Learner(rich(), DATA, batch=6, optimiser="adamw", activations=3)
    if path.exists():
        made.resume(path)
    else:
        made.fit(5, 0.02, "one-cycle", checkpoint=path)
    Path("done.txt").write_text(repr(sorted(numbers_in(made).items())))

def started():
    pid = os.fork()
    if not pid:
        code = 1
        try:
            child()
            code = 0
        finally:
            os._exit(code)
    return pid

def start_anew():
    for file in (path, Path("done.txt")):
        file.unlink(missing_ok=True)

begun = time.monotonic()
os.waitpid(started(), 0)
whole, kills, ends = time.monotonic() - begun, 0, [Path("done.txt").read_text()]
start_anew()
while kills < 15 or len(ends) < 2:
    pid = started()
    if kills < 15:
        time.sleep(random_.uniform(0.0, 0.6 * whole))
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        kills += 1
        if path.exists():
            read_checkpoint(path)
    else:
        assert not status
        ends.append(Path("done.txt").read_text())
        start_anew()
print(kills, len(set(ends)))
Path("end.txt").write_text(ends[0])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks and POSIX signals")
def test_a_run_that_is_killed_again_and_again_comes_to_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", KILLED, "2"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["15", "1"]
    whole = Learner(rich(), DATA, batch=6, optimiser="adamw", activations=3)
    whole.fit(5, 0.02, "one-cycle")
    assert (tmp_path / "end.txt").read_text() == repr(sorted(numbers_in(whole).items()))


def environment() -> dict[str, str]:
    # A child that was forked has no threads but its own.
    own = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return os.environ | own | {"PYTHONPATH": str(Path(__file__).parent)}


# --- Checkpoints that are refused


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """The checkpoint of a run that was interrupted after its fifth batch."""
    path = tmp_path / "run.npz"
    learner = Learner(rich(), DATA, batch=16, progress=Watching(5, press_ctrl_c))
    learner.fit(3, 0.01, patience=2, checkpoint=path)
    return path


def refused(learner: Learner, path: Path) -> str:
    """What is said of a file; asserts that nothing has changed."""
    before = numbers_in(learner)
    with pytest.raises(CheckpointError) as caught:
        learner.resume(path)
    said = str(caught.value)
    assert "\n" not in said
    assert str(path) in said
    assert numbers_in(learner) == before
    return said


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Learner(plain(), DATA, batch=16), "its network is [{"),
        (
            lambda: Learner(
                Sequential(*(Dropout(0.5) if name == "dropout1" else layer
                             for name, layer in rich())), DATA, batch=16,
            ),
            'its network is {"name": "dropout1", "type": "Dropout", "p": 0.3}, this run\'s is '
            '{"name": "dropout1", "type": "Dropout"}',
        ),
        (lambda: Learner(rich(), data_of(50), batch=16), "its data is"),
        (lambda: Learner(rich(), noisy_data(), batch=16), "its data is"),
        (lambda: Learner(rich(), DATA, batch=17), "its batch is 16, this run's is 17: give the"),
        (lambda: Learner(rich(), DATA, batch=16, dtype="float64"), 'its dtype is "float32", this'),
        (lambda: Learner(rich(), DATA, batch=16, optimiser="sgd"), "its optimiser is"),
        (lambda: Learner(rich(), DATA, batch=16, optimiser=Adam(betas=(0.8, 0.9))), "optimiser"),
        (lambda: Learner(rich(), DATA, CrossEntropy(0.1), batch=16), "its loss is"),
        (lambda: Learner(rich(), DATA, batch=16, seed=1), "its seed is 0, this run's is 1"),
        (lambda: Learner(rich(), DATA, batch=16, frozen=["conv1"]), "its frozen is []"),
        (lambda: Learner(rich(), DATA, batch=16, lr_factors={"conv1": 2}), "its lr_factors is {}"),
        (lambda: Learner(rich(), DATA, batch=16, clip_norm=1), "its clip_norm is null"),
        (lambda: Learner(rich(), DATA, batch=16, activations=1), "its activations is 0"),
    ],
)  # fmt: skip
def test_a_checkpoint_of_another_run_is_refused(
    make: Callable[[], Learner], message: str, interrupted: Path
) -> None:
    assert message in refused(make(), interrupted)


def arrays_of(path: Path) -> dict[str, Numbers]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def with_arrays(path: Path, **changed: Any) -> None:
    arrays: dict[str, Any] = arrays_of(path)
    arrays.update({name.replace("__", "."): value for name, value in changed.items()})
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


def with_about(path: Path, where: str, **changed: Any) -> None:
    about = json.loads(str(arrays_of(path)["about"]))
    about[where].update(changed)
    with_arrays(path, about=np.array(json.dumps(about)))


def pickled() -> np.ndarray:
    """An object that would be made by running code."""
    return np.array([{"a": 1}], dtype=object)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(b""), "is an empty file (0 bytes)"),
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.write_bytes(b"garbage" * 1000), "damaged, or no checkpoint"),
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), "damaged, or no checkpoint"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "damaged, or no checkpoint"),
        (lambda path: path.write_bytes(path.read_bytes()[100:]), "is not a checkpoint"),
        (lambda path: np.savez(path, a=np.zeros(2)), "holds arrays, but is no checkpoint"),
        (lambda path: with_arrays(path, format=np.array(2)), "has format 2, and this version of"),
        (lambda path: with_arrays(path, format=np.array("new")), "has format new, and this"),
        (lambda path: with_arrays(path, format=np.zeros(2)), "is not a checkpoint"),
        (lambda path: with_arrays(path, about=np.array("{")), "is not a checkpoint"),
        (lambda path: with_arrays(path, about=np.array("[1]")), "does not say what it is of"),
        (lambda path: with_arrays(path, about=pickled()), "Object arrays cannot be loaded"),
        (lambda path: with_arrays(path, engine__values=pickled()), "Object arrays cannot be"),
        (lambda path: with_arrays(path, engine__values=None), "values is not as expected"),
        (lambda path: with_arrays(path, engine__seen=np.zeros(1)), "seen is not as expected"),
        (lambda path: with_arrays(path, optimiser__exp_avg=None), "exp_avg of the optimiser"),
        (lambda path: with_arrays(path, optimiser__exp_avg=np.zeros(3)), "exp_avg of the optim"),
        (lambda path: with_arrays(path, best__values=np.zeros(3)), "values of the best epoch"),
        (lambda path: with_arrays(path, kernels_before=None), "kernels of the beginning"),
        (lambda path: with_arrays(path, history__loss=None), "a history without loss"),
        (lambda path: with_arrays(path, history__loss=np.zeros(99)), "arrays do not fit together"),
        (lambda path: with_about(path, "run", epochs=0), "epochs is 0"),
        (lambda path: with_about(path, "run", lr="x"), "lr is 'x'"),
        (lambda path: with_about(path, "run", patience=0.5), "patience is 0.5"),
        (lambda path: with_about(path, "run", schedule={"name": "cosin"}), "did you mean cosine"),
        (lambda path: with_about(path, "run", schedule={"name": "step"}), "needs the field"),
        (
            lambda path: with_about(path, "standing", epoch=7),
            "the run stands at batch 1 of epoch 7",
        ),
        (lambda path: with_about(path, "standing", batch=-1), "the run stands at batch -1"),
        (lambda path: with_about(path, "standing", batch=True), "the run stands at batch True"),
        (lambda path: with_about(path, "standing", step="x"), "the run stands at step 'x'"),
        (lambda path: with_about(path, "standing", images=0), "the run stands at"),
        (lambda path: with_about(path, "standing", more=0), "the run stands at {"),
    ],
)
def test_a_checkpoint_that_is_none_is_refused(
    spoil: Callable[[Path], object], message: str, interrupted: Path
) -> None:
    spoil(interrupted)
    assert message in refused(Learner(rich(), DATA, batch=16), interrupted)


def test_nothing_that_is_pickled_is_run(interrupted: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|O", "fortran_order": False, "shape": (1,)}
    )
    pickle.dump([Evil()], stream)
    with zipfile.ZipFile(interrupted, "a") as archive:
        archive.writestr("engine.extra.npy", stream.getvalue())
    refused(Learner(rich(), DATA, batch=16), interrupted)
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_of_changed_bytes_is_refused_or_the_same(interrupted: Path) -> None:
    whole, content = Learner(rich(), DATA, batch=16), interrupted.read_bytes()
    whole.fit(3, 0.01, patience=2)
    expected, rng, found = numbers_in(whole), np.random.default_rng(0), 0
    for _ in range(60):
        changed = bytearray(content)
        for place in rng.integers(0, len(content), int(rng.integers(1, 4))):
            changed[place] ^= int(rng.integers(1, 256))
        interrupted.write_bytes(changed)
        learner = Learner(rich(), DATA, batch=16)
        with suppress(CheckpointError):
            learner.resume(interrupted)
            # What was changed is of no account.
            assert numbers_in(learner) == expected
            found -= 1
        found += 1
    assert found > 30


def test_an_interrupted_save_leaves_the_checkpoint_before(
    interrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = interrupted.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    learner = Learner(rich(), DATA, batch=16)
    with pytest.raises(SheetconvError, match="No space left on device"):
        learner.resume(interrupted)
    assert interrupted.read_bytes() == content
    assert [path.name for path in interrupted.parent.iterdir()] == ["run.npz"]


def test_a_checkpoint_says_what_it_was_told(interrupted: Path) -> None:
    frame = pd.DataFrame(arrays_of(interrupted)["history.hyper"])
    assert len(frame) == 5
    learner = Learner(plain(), DATA)
    path = interrupted.with_name("other.npz")
    learner.fit(1, checkpoint=str(path), about={"options": {"epochs": 1}})
    about = json.loads(str(arrays_of(path)["about"]))
    assert about["more"] == {"options": {"epochs": 1}}

"""`sheetconv train`, run for real in a folder: the workbook, the options, what goes wrong."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_cli import contents, plain_environment, run
from test_guides import described, guides_of, put, running, seen

import sheetconv as sc
from sheetconv import cli
from sheetconv.errors import TrainingError
from sheetconv.layers.base import Array
from sheetconv.template import load_template
from sheetconv.training import Learner, load_data
from sheetconv.training.learner import Learner as LearnerClass
from sheetconv.training.options import TrainingOptions
from sheetconv.training.training_run import TrainingRun

SMALL = """\
format = 1
title = "Small"

[[networks]]
worksheet = "small"
input = [1, 8, 8]
layers = [
  { type = "Conv2d", in_channels = 1, out_channels = 2, kernel_size = 3, stride = 2 },
  { type = "BatchNorm2d", num_features = 2 },
  { type = "ReLU" },
  { type = "Dropout", p = 0.1 },
  { type = "Flatten" },
  { type = "Linear", in_features = 18, out_features = 10 },
  { type = "Softmax" },
]

[networks.training]
data = "digits"
epochs = 2
batch = 128
lr = 0.02
optimiser = "sgd"
momentum = 0.9
nesterov = true
schedule = "step"
gamma = 0.5
metrics = ["accuracy", "f1"]
"""
ERROR = "sheetconv: error: "


class Called:
    """What a command returned and printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Command = Callable[..., Called]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """`sheetconv train ARGUMENTS` in this process, in a folder that has small.toml alone."""
    (tmp_path / "small.toml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Called:
        monkeypatch.setattr(sys, "argv", ["sheetconv", "train", *arguments])
        before = signal.getsignal(signal.SIGTERM)
        capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
        finally:
            signal.signal(signal.SIGTERM, before)
        return Called(code, *capsys.readouterr())

    return call


def refused(command: Command, *arguments: str) -> str:
    """The one line of a mistake; asserts that nothing was said or written besides."""
    before = contents(Path())
    done = command(*arguments)
    assert (done.code, done.out) == (2, ""), done.err
    assert done.err.startswith(ERROR)
    assert done.err.count("\n") == 1
    assert contents(Path()) == before
    return done.err.removeprefix(ERROR)


def weights_in(path: Path) -> dict[str, Array]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


# --- The workbook


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a template of the package was trained."""
    folder = tmp_path_factory.mktemp("trained")
    done = run(
        folder, "train", "digits-batchnorm", "--epochs", "2", "--save-weights", "weights.npz"
    )
    (folder / "out.txt").write_text(done.stdout)
    (folder / "err.txt").write_text(done.stderr)
    assert done.returncode == 0, done.stderr
    return folder


def test_it_says_what_it_does_and_leaves_a_workbook(trained: Path) -> None:
    out, err = (trained / "out.txt").read_text(), (trained / "err.txt").read_text()
    assert out.startswith(
        "digits-batchnorm on digits: 1,438 images for training, 359 for validation; 2 epochs\n"
    )
    assert "\nwrote weights.npz\nvalidation: accuracy 9" in out
    assert "\nwrote digits-batchnorm-trained.xlsx: 6,272 formula cells, " in out
    assert out.endswith("sheetconv check digits-batchnorm-trained.xlsx\n")
    lines = err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "training loss " in lines[1]
    assert "accuracy 9" in lines[1]
    # No checkpoint is left.
    assert sorted(contents(trained)) == [
        "digits-batchnorm-trained.xlsx", "err.txt", "out.txt", "weights.npz",
    ]  # fmt: skip


def test_the_check_accepts_it(trained: Path) -> None:
    result = sc.check(trained / "digits-batchnorm-trained.xlsx", probes=1)
    assert result.ok, result.wrong[:3]
    assert result.formula_cells == 6272


def test_the_answer_is_the_trainer_s_for_every_picture(trained: Path) -> None:
    """Of IronCalc, of the network in float64, and of the trainer in float32."""
    path, data = trained / "digits-batchnorm-trained.xlsx", load_data("digits")
    network = load_template("digits-batchnorm").networks[0].network
    network.load_state_dict(weights_in(trained / "weights.npz"))
    book = sc.read(path)
    for name, value in network.state_dict().items():
        assert (value == value.astype(np.float32)).all(), name
        np.testing.assert_array_equal(book[name], value, err_msg=name)
    learner = Learner(network, data)
    given = guides_of(path)["pictures"].given()
    grid = given["picture names"].grid
    names, cells = [], []
    with running(path) as opened:
        outputs = described(path).layout.placed["softmax1.out"].grids
        for number in range(grid.height):
            name = seen(opened, grid.cell(number, 0))
            # The last one is empty, to draw in.
            if name == "draw your own":
                continue
            assert isinstance(name, str)
            put(opened, "'digits-batchnorm'!E2", name)
            names.append(name)
            cells.append([row[0] for part in outputs for row in opened.get_values(part.bounds)])
    found = [re.fullmatch(r"no\. \d+ \((\d), image (\d+)\)", name) for name in names]
    numbers = np.array([int(item[2]) for item in found if item])
    assert len(numbers) == len(set(names)) == 30
    labels = [data.valid.classes[label] for label in data.valid.labels[numbers]]
    assert [item[1] for item in found if item] == labels
    shown = np.array(cells, dtype=float)
    pictures = data.valid.numbers(numbers)
    np.testing.assert_allclose(shown, network(pictures), rtol=0, atol=1e-12)
    np.testing.assert_allclose(shown, learner.predict(pictures), rtol=0, atol=1e-5)
    # Another network would be told from it.
    network.params["dense1"]["bias"][0] += 1e-4
    assert np.abs(shown - network(pictures)).max() > 1e-6


# --- Options


class StoppedError(TrainingError):
    """Raised in place of training."""


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[TrainingRun]:
    """Runs that were prepared, and are not trained."""
    runs: list[TrainingRun] = []

    def train(self: TrainingRun, *_: Any) -> None:
        runs.append(self)
        raise StoppedError("stopped")

    monkeypatch.setattr(TrainingRun, "train", train)
    return runs


def options_of(command: Command, runs: list[TrainingRun], *arguments: str) -> TrainingOptions:
    assert command("small.toml", *arguments).err == f"{ERROR}stopped\n"
    return runs[-1].options


def test_options_count_more_than_the_template(
    command: Command, prepared: list[TrainingRun]
) -> None:
    own = options_of(command, prepared)
    assert own == TrainingOptions(
        data="digits", epochs=2, batch=128, lr=0.02, optimiser="sgd", momentum=0.9, nesterov=True,
        schedule="step", gamma=0.5, metrics=("accuracy", "f1"),
    )  # fmt: skip
    given = options_of(
        command, prepared, "--epochs", "7", "--batch", "9", "--lr", "0.5", "--optimiser", "adamw",
        "--weight-decay", "0.1", "--schedule", "one-cycle", "--loss", "cross-entropy",
        "--label-smoothing", "0.1", "--init", "xavier-normal", "--metrics", "accuracy,top-3",
        "--freeze", "batchnorm, conv1", "--lr-of", "dense1=0.5", "--lr-of", "conv1=2",
        "--clip-norm", "3", "--clip-value", "1", "--patience", "2", "--valid", "0.3",
        "--activations", "0", "--dtype", "float64", "--seed", "5", "--momentum", "0.8",
    )  # fmt: skip
    assert given == TrainingOptions(
        data="digits", epochs=7, batch=9, lr=0.5, optimiser="adamw", weight_decay=0.1,
        momentum=0.8, label_smoothing=0.1, loss="cross-entropy", init="xavier-normal",
        metrics=("accuracy", "top-3"), frozen=("batchnorm", "conv1"),
        lr_factors={"dense1": 0.5, "conv1": 2.0}, clip_norm=3.0, clip_value=1.0, patience=2,
        valid=0.3, activations=0, dtype="float64", seed=5,
    )  # fmt: skip
    learner = prepared[-1].learner
    assert (learner.batch, learner.dtype, learner.seed) == (9, "float64", 5)
    assert learner.frozen == ("batchnorm1", "conv1")
    assert learner.optimiser.settings()["beta1"] == 0.8
    assert len(learner.data.valid) == 539


def test_what_only_another_optimiser_or_schedule_has_goes_with_it(
    command: Command, prepared: list[TrainingRun]
) -> None:
    for optimiser in ("adam", "rmsprop"):
        options = options_of(command, prepared, "--optimiser", optimiser)
        assert (options.nesterov, options.momentum) == (False, 0.9)
    options = options_of(command, prepared, "--schedule", "cosine")
    assert (options.gamma, options.nesterov) == (None, True)
    assert options_of(command, prepared, "--schedule", "step", "--step-size", "3").gamma == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "0"], "batch is 0: expected a whole number of at least 1"),
        (["--epochs", "0"], "epochs is 0: expected a whole number of at least 1"),
        (["--epochs", "x"], "'x' is not a valid integer"),
        (["--patience", "0"], "patience is 0: expected"),
        (["--lr", "0"], "lr is 0.0: expected a number above 0"),
        (["--lr", "nan"], "lr is nan: expected a number above 0"),
        (["--lr", "inf"], "lr is inf: expected a number above 0"),
        (["--optimiser", "adm"], "optimiser 'adm' is unknown: did you mean adam?"),
        (["--optimiser", "adam", "--nesterov"], "optimiser 'adam' has no field 'nesterov'"),
        (["--momentum", "2"], "momentum is 2.0: expected"),
        (["--weight-decay", "-1"], "weight_decay is -1.0: expected"),
        (["--schedule", "cosin"], "schedule 'cosin' is unknown: did you mean cosine?"),
        (["--schedule", "cosine", "--gamma", "1"], "has no field 'gamma'"),
        (["--gamma", "3"], "gamma is 3.0: expected"),
        (["--loss", "msee"], "loss 'msee' is unknown: did you mean mse?"),
        (["--loss", "bce"], "one class for each image takes the loss cross-entropy"),
        (["--loss", "mse", "--label-smoothing", "0.1"], "label_smoothing is for cross-entropy"),
        (["--label-smoothing", "2"], "label_smoothing is 2.0: expected"),
        (["--init", "kaiming"], "scheme is 'kaiming': expected default, kaiming-normal"),
        (["--metrics", "acuracy"], "did you mean accuracy?"),
        (["--metrics", "accuracy,top-11"], "top-11 of 10 classes would always be right"),
        (["--freeze", "con1"], "frozen: no layer is named 'con1': did you mean conv1?"),
        (["--freeze", "conv,batchnorm,dense"], "no layer learns"),
        (["--lr-of", "dnse1=1"], "no layer is named 'dnse1': did you mean dense1?"),
        (["--lr-of", "dense1"], "'dense1': write LAYER=FACTOR, as in conv1=0.1"),
        (["--lr-of", "dense1=-1"], "dense1 is -1.0: expected"),
        (["--clip-norm", "0"], "clip_norm is 0.0: expected a number above 0"),
        (["--clip-value", "-1"], "clip_value is -1.0: expected"),
        (["--valid", "1.5"], "1.5"),
        (["--activations", "-1"], "activations is -1: expected"),
        (["--dtype", "float16"], "dtype is 'float16': expected float32 or float64"),
        (["--seed", "-1"], "-1"),
        (["--threads", "0"], "0 is not in the range"),
        (["--data", "digts"], "did you mean digits?"),
        (["--data", "small.toml"], "is no .npz or .csv file"),
        (["--data-dir", "."], "--data-dir . is for mnist"),
        (["--weights", "no.npz"], "no.npz does not exist"),
        (["-o", "book.xls"], "book.xls: the name of a workbook ends in .xlsx"),
        (["-o", "no/book.xlsx"], "the folder no does not exist"),
        (["--save-weights", "no/w.npz"], "the folder no does not exist"),
        (["--png", "small.toml"], "--png small.toml is no folder"),
        (["--resume"], "there is no small-trained.checkpoint.npz to go on with"),
        (["--resume", "-o", "other.xlsx"], "there is no other.checkpoint.npz to go on with"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_option_is_one_line_and_changes_nothing(
    arguments: list[str], message: str, command: Command
) -> None:
    assert message in refused(command, "small.toml", *arguments)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 2", "epochs = 0", "epochs is 0"),
        ("epochs = 2", "epoch = 2", "unknown key 'epoch'"),
        ("epochs = 2", "epochs = true", "networks[0].training.epochs is True: expected a whole"),
        ("lr = 0.02", 'lr = "fast"', "training.lr is 'fast': expected a number above 0"),
        ('data = "digits"', "", "names no data to train on: give a data set"),
        ("out_features = 10", "out_features = 12", "12 outputs, and the data have 10 classes"),
        ("[1, 8, 8]", "[1, 9, 9]", "expected (1, 9, 9)"),
    ],
)
def test_a_bad_template_is_one_line(old: str, new: str, message: str, command: Command) -> None:
    text = SMALL.replace(old, new)
    # The network of larger pictures has another dense layer.
    text = text.replace("in_features = 18", "in_features = 32") if "9, 9" in new else text
    assert text != SMALL
    Path("small.toml").write_text(text)
    assert message in refused(command, "small.toml")


def test_a_template_of_several_networks_is_refused(command: Command) -> None:
    assert "norms has 2 networks: only a template of one" in refused(command, "norms")


@pytest.mark.parametrize("name", ["small-trained.xlsx", "w.npz"])
def test_what_exists_is_refused_before_anything_is_trained(
    name: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_: Any, **__: Any) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(LearnerClass, "fit", fit)
    Path(name).write_text("mine")
    said = refused(command, "small.toml", "--save-weights", "w.npz")
    assert f"{name} exists already: replace it with --force" in said
    # With --force it goes on.
    done = command("small.toml", "--save-weights", "w.npz", "--force")
    assert done.code == 70
    assert "AssertionError: trained" in done.err


def test_a_network_that_no_workbook_can_hold_is_refused_before_it_is_trained(
    command: Command, prepared: list[TrainingRun]
) -> None:
    wide = ['{ type = "Linear", in_features = 18, out_features = 1700 }']
    wide += ['{ type = "Linear", in_features = 1700, out_features = 10000 }']
    wide += ['{ type = "Linear", in_features = 10000, out_features = 10 }']
    text = SMALL.replace(wide[0].replace("1700", "10"), ", ".join(wide))
    assert text != SMALL
    Path("small.toml").write_text(text)
    said = refused(command, "small.toml", "--init", "keep")
    assert "cells, and a workbook of more than 16,777,216 opens nowhere" in said
    assert not prepared


# --- Data, weights, and the learning rate finder


def digits_as(kind: str) -> str:
    """Some digits as a user may have them; returns what --data takes."""
    data = load_data("digits").train
    images, labels = data.images[:240], data.labels[:240]
    if kind == "own.npz":
        np.savez(kind, images=images / 16, labels=labels)
    elif kind == "own.csv":
        rows = [",".join(["digit", *(f"p{n}" for n in range(64))])]
        for image, label in zip(images, labels, strict=True):
            rows.append(",".join([str(label), *(f"{pixel / 16}" for pixel in image.ravel())]))
        Path(kind).write_text("\n".join(rows) + "\n")
    else:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = Path(kind, str(label))
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image[0] * 15).astype(np.uint8)).save(folder / f"{number}.png")
    return kind


@pytest.mark.parametrize("kind", ["own.npz", "own.csv", "pictures"])
def test_data_of_one_s_own_are_learned(kind: str, command: Command) -> None:
    done = command(
        "small.toml", "--data", digits_as(kind), "--batch", "16", "--epochs", "1", "--plain",
        *(["--label", "digit"] if kind == "own.csv" else []),
    )  # fmt: skip
    assert done.code == 0, done.err
    assert f"small on {kind}: 194 images for training, 46 for validation; 1 epoch\n" in done.out
    result = sc.check("small-trained.xlsx", probes=1)
    assert result.ok, result.wrong[:3]
    assert len(sc.read("small-trained.xlsx").network.params["dense1"]["bias"]) == 10


def test_weights_to_begin_with(command: Command, prepared: list[TrainingRun]) -> None:
    network = load_template("small.toml").networks[0].network
    state = {name: value + 0.5 for name, value in network.state_dict().items()}
    np.savez("own.npz", **state)
    options_of(command, prepared, "--weights", "own.npz")
    assert prepared[-1].options.init == "keep"
    for name, value in prepared[-1].item.network.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    done = command("small.toml", "--weights", "own.npz", "--init", "kaiming-normal")
    assert done.code == 2
    assert "leave out one of them" in done.err
    # A seed draws others.
    options_of(command, prepared)
    first = prepared[-1].item.network.params["dense1"]["weight"]
    options_of(command, prepared, "--seed", "1")
    assert (first != prepared[-1].item.network.params["dense1"]["weight"]).all()


def test_a_learning_rate_is_suggested_and_nothing_is_written(command: Command) -> None:
    before = contents(Path())
    Path("small-trained.xlsx").write_text("not to be replaced")
    done = command("small.toml", "--find-lr")
    assert (done.code, done.err) == (0, "")
    *sweep, last = done.out.splitlines()
    assert sweep[0].startswith("  lr 1.0e-07  smoothed loss ")
    assert last.startswith("suggested: --lr ")
    assert 1e-7 < float(last.split()[-1]) < 10
    Path("small-trained.xlsx").unlink()
    assert contents(Path()) == before


def test_pictures_of_the_training_are_saved(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sheetconv.training.plots.png", lambda figure: b"drawn")
    done = command("small.toml", "--epochs", "1", "--plain", "--png", "pictures")
    assert done.code == 0, done.err
    saved = {path.name for path in Path("pictures").iterdir()}
    assert {"loss.png", "confusion.png", "kernels.png", "worst.png"} <= saved
    assert all(f"wrote {Path('pictures', name)}\n" in done.out for name in saved)
    said = refused(command, "small.toml", "--png", "pictures", "-o", "other.xlsx")
    assert "--png pictures has pictures: replace those of the same name with --force" in said


def test_without_matplotlib_pictures_are_refused_before_anything_is_trained(
    command: Command, monkeypatch: pytest.MonkeyPatch, prepared: list[TrainingRun]
) -> None:
    monkeypatch.setattr("sheetconv.commands.training.find_spec", lambda name: None)
    said = refused(command, "small.toml", "--png", "pictures")
    assert "--png needs the package matplotlib" in said
    assert not prepared


def test_a_run_that_goes_astray_is_one_line_and_leaves_nothing(command: Command) -> None:
    before = contents(Path())
    done = command("small.toml", "--lr", "1e30")
    assert done.code == 2
    last = done.err.splitlines()[-1]
    assert last.startswith(f"{ERROR}the loss is ")
    assert "try a smaller learning rate (sheetconv train --find-lr" in last
    assert contents(Path()) == before


# --- Interruptions

LONG = ("small.toml", "--epochs", "7", "--plain", "--activations", "7", "--patience", "3")


def uninterrupted(command: Command, *arguments: str) -> dict[str, Array]:
    done = command(*arguments, "-o", "whole.xlsx", "--save-weights", "whole.npz")
    assert done.code == 0, done.err
    return weights_in(Path("whole.npz"))


def assert_goes_on(command: Command, expected: dict[str, Array], *arguments: str) -> Called:
    done = command("small.toml", "--resume", "--plain", "--save-weights", "w.npz", *arguments)
    assert done.code == 0, done.err
    for name, value in weights_in(Path("w.npz")).items():
        assert value.tobytes() == expected[name].tobytes(), name
    assert not list(Path().glob("*.checkpoint.npz"))
    return done


PRESSED = """\
import os, signal
from sheetconv.cli import main
from sheetconv.training.learner import Learner

usual, steps = Learner._step, 0

def step(self, *given):
    global steps
    usual(self, *given)
    steps += 1
    if steps == 17:
        os.kill(os.getpid(), signal.SIGINT)

Learner._step = step
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_after_ctrl_c_a_run_goes_on_to_the_same_weights(command: Command) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRESSED, "train", *LONG],
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 130
    assert "7 epochs" in done.stdout
    # In the midst of the second epoch.
    first, *said = done.stderr.splitlines()
    assert first.startswith("epoch 1/7")
    assert said == [
        "interrupted: small-trained.checkpoint.npz has all that was learned. To go on:",
        "  sheetconv train small.toml --resume",
    ]
    assert sorted(contents(Path())) == ["small-trained.checkpoint.npz", "small.toml"]
    # Another run is no continuation.
    for arguments, message in (
        (["--epochs", "8"], "in which epochs is 7, not 8: leave it out"),
        (["--lr", "0.3"], "in which lr is 0.02, not 0.3"),
        (["--metrics", "f1"], "in which metrics is ('accuracy', 'f1'), not ('f1',)"),
        (["--weights", "small.toml"], "goes on with the weights in small-trained.checkpoint.npz"),
    ):
        assert message in refused(command, "small.toml", "--resume", *arguments)
    text = Path("small.toml").read_text()
    Path("small.toml").write_text(text.replace("p = 0.1", "p = 0.2"))
    said = refused(command, "small.toml", "--resume")
    assert "small-trained.checkpoint.npz is of another run: its network is" in said
    # What the template says of training counts no more, and what is the same may be said again.
    Path("small.toml").write_text(text.replace("epochs = 2", "epochs = 3"))
    expected = uninterrupted(command, *LONG)
    went = assert_goes_on(command, expected, "--epochs", "7", "--lr", "0.02")
    assert went.err.startswith("epoch 2/7")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_run_from_weights_goes_on_without_them(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = load_template("small.toml").networks[0].network
    np.savez("own.npz", **network.state_dict())
    arguments = ("small.toml", "--weights", "own.npz", "--epochs", "3", "--plain")
    expected = uninterrupted(command, *arguments)
    usual, steps = LearnerClass._step, 0

    def pressed(self: LearnerClass, *given: Any) -> None:
        nonlocal steps
        steps += 1
        usual(self, *given)
        if steps == 17:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(LearnerClass, "_step", pressed)
    done = command(*arguments, "-o", "with blank.xlsx")
    assert done.code == 130
    assert 'sheetconv train small.toml --resume -o "with blank.xlsx"\n' in done.err
    Path("own.npz").unlink()
    assert_goes_on(command, expected, "-o", "with blank.xlsx")


def test_a_checkpoint_of_python_s_is_no_run_of_the_command(command: Command) -> None:
    item = load_template("small.toml").networks[0]
    learner = Learner(item.network, load_data("digits"), batch=500)
    learner.fit(1, checkpoint="small-trained.checkpoint.npz")
    said = refused(command, "small.toml", "--resume")
    assert "was not written by sheetconv train: Learner.resume goes on with it" in said


SIGNALLED = """\
import os, signal, sys
from sheetconv import sheet_writer
from sheetconv.cli import main

own = getattr(signal, sys.argv.pop())

def interrupting(bands):
    yield from ()
    os.kill(os.getpid(), own)
    signal.pause()

sheet_writer._rows = interrupting
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_while_the_workbook_is_written_leaves_none(
    name: str, code: int, command: Command
) -> None:
    """What was learned is not lost: the workbook is written from the checkpoint."""
    arguments = ("small.toml", "--epochs", "2", "--plain")
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, "train", *arguments, name],
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert sorted(contents(Path())) == ["small-trained.checkpoint.npz", "small.toml"]
    expected = uninterrupted(command, *arguments)
    assert "epoch" not in assert_goes_on(command, expected).err


KILLED = """\
import os, random, signal, sys, time, zipfile
from pathlib import Path
import numpy as np
# Loaded once, and forked.
import sheetconv.training.training_run, sheetconv.workbook, pandas, openpyxl, xlsxwriter
from sheetconv import cli

def started(*more):
    pid = os.fork()
    if not pid:
        log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = ["sheetconv", "train", "small.toml", "--epochs", "6", "--force", "--plain"]
        sys.argv += more
        code = 1
        try:
            cli.main()
            code = 0
        finally:
            os._exit(code)
    return pid

random_, book = random.Random(0), Path("small-trained.xlsx")
begun = time.monotonic()
assert os.waitpid(started(), 0)[1] == 0
whole, before = time.monotonic() - begun, book.read_bytes()
kills = 0
for number in range(8):
    # In all stages, the first one at once, and the last ones while the workbook is written.
    pid = started()
    time.sleep(random_.uniform(0.0 if number < 3 else 0.4, 1.0) * whole if number else 0.0)
    os.kill(pid, signal.SIGKILL)
    kills += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    # The old one, or a new one that is whole.
    with zipfile.ZipFile(book) as archive:
        assert archive.testzip() is None
    if Path("small-trained.checkpoint.npz").exists():
        pid = started("--resume")
        time.sleep(random_.uniform(0.0, 0.6) * whole)
        os.kill(pid, signal.SIGKILL)
        kills += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        with zipfile.ZipFile(book) as archive:
            assert archive.testzip() is None
resumed = Path("small-trained.checkpoint.npz").exists()
assert os.waitpid(started(*["--resume"] * resumed, "--save-weights", "w.npz"), 0)[1] == 0
print(kills)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks and POSIX signals")
def test_a_command_that_is_killed_leaves_no_half_written_workbook(command: Command) -> None:
    own = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        env=plain_environment() | own,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == "", Path("log.txt").read_text()
    assert int(done.stdout) > 0
    expected = uninterrupted(command, "small.toml", "--epochs", "6", "--plain")
    for name, value in weights_in(Path("w.npz")).items():
        assert value.tobytes() == expected[name].tobytes(), name
    assert not list(Path().glob("*.checkpoint.npz"))


# --- What a network is drawn as


def test_a_network_that_ends_in_planes_is_written(command: Command) -> None:
    Path("planes.toml").write_text(
        "format = 1\n[[networks]]\ninput = [1, 8, 8]\nlayers = [\n"
        '  { type = "Conv2d", in_channels = 1, out_channels = 10, kernel_size = 8 },\n'
        '  { type = "Flatten" },\n]\n'
    )
    done = command("planes.toml", "--data", "digits", "--epochs", "1")
    assert done.code == 0, done.err
    assert sc.check("planes-trained.xlsx").ok


def test_dropout_is_for_training_alone(command: Command) -> None:
    Path("drops.toml").write_text(
        "format = 1\n[[networks]]\ninput = [1, 8, 8]\nlayers = [\n"
        '  { type = "Flatten" }, { type = "Dropout", p = 0.5 },\n'
        '  { type = "Linear", in_features = 64, out_features = 10 }, { type = "Softmax" },\n]\n'
    )
    done = command("drops.toml", "--data", "digits", "--epochs", "1")
    assert done.code == 0, done.err
    found = sc.read("drops-trained.xlsx")
    assert list(found.network.layers) == ["flatten1", "dense1", "softmax1"]


def test_classes_that_differ_in_case_are_told_apart(command: Command) -> None:
    rng = np.random.default_rng(0)
    images = rng.random((40, 1, 4, 4))
    np.savez("case.npz", images=images, labels=np.arange(40) % 2, classes=np.array(["a", "A"]))
    Path("case.toml").write_text(
        'format = 1\n[[networks]]\ninput = [1, 4, 4]\nlayers = [\n  { type = "Flatten" },\n'
        '  { type = "Linear", in_features = 16, out_features = 2 }, { type = "Softmax" },\n]\n'
    )
    assert command("case.toml", "--data", "case.npz", "--epochs", "1").code == 0
    result = sc.check("case-trained.xlsx")
    assert result.ok, result.wrong[:3]


def test_frozen_layers_stay_to_the_last_bit(command: Command) -> None:
    before = load_template("small.toml").networks[0].network.state_dict()
    np.savez("own.npz", **before)
    layer = next(name for name in before if name.endswith("weight")).split(".")[0]
    arguments = ("--weights", "own.npz", "--freeze", layer, "--save-weights", "w.npz")
    assert command("small.toml", *arguments).code == 0
    with np.load("w.npz") as saved:
        np.testing.assert_array_equal(saved[f"{layer}.weight"], before[f"{layer}.weight"])


@pytest.mark.parametrize(
    ("path", "words"),
    [("w.pt", "ends in .npz"), ("small-trained.checkpoint.npz", "the run needs that file")],
)
def test_weights_are_saved_where_nothing_is_lost(command: Command, path: str, words: str) -> None:
    done = command("small.toml", "--save-weights", path)
    assert done.code == 2
    assert words in done.err


def test_a_worksheet_called_as_one_about_the_training_is_refused(command: Command) -> None:
    text = Path("small.toml").read_text()
    Path("small.toml").write_text(re.sub('worksheet = ".*"', 'worksheet = "worst"', text))
    done = command("small.toml")
    assert done.code == 2
    assert "as one about its training" in done.err
    assert not Path("small-trained.checkpoint.npz").exists()

"""Experiments: what their variants are, what they find, and the workbook that shows it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from click.testing import CliRunner

from sheetconv import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    InstanceNorm2d,
    Linear,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
)
from sheetconv.checking import check
from sheetconv.cli import cli
from sheetconv.drawing import Drawing
from sheetconv.errors import DataError, LayoutError, SheetconvError, TrainingError, WorkbookError
from sheetconv.report_numbers import HeatMap, Table
from sheetconv.report_pages import LineChart
from sheetconv.template import Template, TemplateNetwork, load_template
from sheetconv.training import experiment_workbook
from sheetconv.training.datasets import Dataset
from sheetconv.training.evaluation import Evaluation
from sheetconv.training.experiment_pages import comparison_pages
from sheetconv.training.experiment_words import chance_of, result_lines, sentence_of
from sheetconv.training.experiment_workbook import telling_pictures
from sheetconv.training.experiments import ExperimentResult, VariantRun, run_experiment
from sheetconv.training.history import History
from sheetconv.training.options import TrainingOptions
from sheetconv.training.progress import Silence
from sheetconv.training.variants import EXPERIMENTS, Variant, experiment_named, rebuilt

NAMES = list(EXPERIMENTS)
DIGITS = tuple("0123456789")


def tiny() -> Template:
    """A template that is trained and checked within a moment."""
    network = Sequential(
        Conv2d(1, 3, 3, stride=2, bias=False),
        BatchNorm2d(3),
        ReLU(),
        Conv2d(3, 4, 3, stride=2),
        BatchNorm2d(4),
        Flatten(),
        Linear(4, 10),
    )
    training = {"data": "digits", "epochs": 2, "batch": 32, "lr": 0.02, "optimiser": "adamw"}
    item = TemplateNetwork(network, np.zeros((1, 8, 8)), Drawing(), training=training)
    return Template("tiny", "Tiny", "For tests.", (item,))


@pytest.fixture(scope="module")
def results() -> dict[str, ExperimentResult]:
    return {name: run_experiment(name, tiny()) for name in NAMES}


@pytest.fixture(scope="module")
def seeded() -> ExperimentResult:
    return run_experiment("batchnorm", tiny(), {"epochs": 1, "seed": 4}, seeds=2)


def variants(name: str, network: Sequential, shape: tuple[int, ...] = (1, 8, 8)) -> Any:
    # What only another schedule takes is no obstacle to those that are compared.
    another = {"schedule": "step", "step_size": 3, "gamma": 0.5} if name == "schedule" else {}
    return EXPERIMENTS[name].variants(network, shape, TrainingOptions(**another))


# --- Variants


@pytest.mark.parametrize(
    ("name", "names", "option", "values"),
    [
        ("batch-size", ["batch 64", "batch 512"], "batch", [64, 512]),
        ("schedule", ["constant", "one-cycle"], "schedule", ["constant", "one-cycle"]),
    ],
)
def test_options_differ_and_layers_do_not(
    name: str, names: list[str], option: str, values: list[object]
) -> None:
    network = tiny().networks[0].network
    found = variants(name, network)
    assert [item.name for item in found] == names
    assert [getattr(item.options, option) for item in found] == values
    for item in found:
        assert item.network.layers == network.layers
        assert item.network is not network
        item.options.make_schedule()
    one, other = (item.options.about() for item in found)
    assert {key for key in one if one[key] != other[key]} == {option}


def test_batchnorm_leaves_out_every_one_and_gives_its_convolution_a_bias() -> None:
    network = tiny().networks[0].network
    without, with_all = variants("batchnorm", network)
    assert list(without.network.layers) == ["conv1", "relu1", "conv2", "flatten1", "dense1"]
    assert without.network.layers["conv1"] == Conv2d(1, 3, 3, stride=2)
    assert without.network.layers["conv2"] == network.layers["conv2"]
    assert without.network.params["conv1"]["bias"].tolist() == [0, 0, 0]
    assert with_all.network.layers == network.layers
    assert without.notes == ("batchnorm1 and batchnorm2 left out.", "conv1 has a bias instead.")


@pytest.mark.parametrize("first", [True, False])
def test_norm_position_swaps_neighbours(first: bool) -> None:
    pairs = [("batchnorm1", BatchNorm2d(2)), ("act1", Tanh())]
    if not first:
        pairs.reverse()
    network = Sequential(
        ("conv1", Conv2d(1, 2, 3)),
        *pairs,
        ("conv2", Conv2d(2, 2, 3)),
        ("batchnorm2", BatchNorm2d(2)),
        ("out", Sigmoid()),
    )
    before, after = variants("norm-position", network)
    assert list(before.network.layers)[1:3] == ["batchnorm1", "act1"]
    assert list(after.network.layers)[1:3] == ["act1", "batchnorm1"]
    # The last activation is the network's answer.
    assert list(after.network.layers)[3:] == ["conv2", "batchnorm2", "out"]
    changed, same = (after, before) if first else (before, after)
    assert same.network.layers == network.layers
    assert not same.notes
    where = "behind" if first else "before"
    assert changed.notes == (f"batchnorm1 moved {where} the activation.",)


def test_norm_kind_puts_instance_normalisation_where_planes_have_a_variance() -> None:
    network = tiny().networks[0].network
    batch, instance = variants("norm-kind", network)
    assert batch.network.layers == network.layers
    # The second convolution's planes are single numbers.
    assert list(instance.network.layers) == [
        *("conv1", "instancenorm1", "relu1", "conv2", "flatten1", "dense1"),
    ]
    assert instance.network.layers["instancenorm1"] == InstanceNorm2d(3, affine=True)
    assert "batchnorm2 left out." in instance.notes


def test_names_of_new_layers_are_free() -> None:
    network = Sequential(
        ("instancenorm1", Conv2d(1, 2, 3)), BatchNorm2d(2, eps=0.5, momentum=None), Flatten()
    )
    _, instance = variants("norm-kind", network)
    names = ["instancenorm1", "instancenorm2", "flatten1"]
    assert list(instance.network.layers) == names
    assert instance.network.layers["instancenorm2"] == InstanceNorm2d(2, 0.5, None, affine=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("template", ["digits-batchnorm", "simple-cnn-wide"])
def test_variants_start_from_the_same_weights(name: str, template: str) -> None:
    item = load_template(template).networks[0]
    found = variants(name, item.network, item.image.shape)
    states = [variant.network.state_dict() for variant in found]
    shared = states[0].keys() & states[1].keys()
    assert any(key.startswith("conv") for key in shared)
    for key in shared:
        assert (states[0][key] == states[1][key]).all(), key
        assert states[0][key] is not states[1][key]


def test_a_rebuilt_network_has_copies() -> None:
    network = Sequential(Conv2d(1, 1, 1), BatchNorm2d(1))
    network.buffers["batchnorm1"]["running_mean"][:] = 3
    new = rebuilt(network, [*network, ("conv2", Conv2d(1, 1, 1))])
    new.params["conv1"]["weight"][:] = 7
    assert network.params["conv1"]["weight"] != 7
    assert new.buffers["batchnorm1"]["running_mean"] == 3
    assert new.params["conv2"]["weight"] != 0


# --- Running


@pytest.mark.parametrize("name", NAMES)
def test_a_result_has_all_that_was_measured(
    name: str, results: dict[str, ExperimentResult]
) -> None:
    result = results[name]
    assert result.table.index.tolist() == result.variants
    assert result.epochs.index.names == ["variant", "seed", "epoch"]
    for run in result.first:
        own, judged = result.table.loc[run.variant.name], run.judged
        assert judged is not None
        assert own["accuracy"] == judged.accuracy
        assert own["valid_loss"] == judged.loss
        last = result.epochs.loc[(run.variant.name, 0, 2)]
        assert last["train_loss"] == own["train_loss"]
        assert last["accuracy"] == own["accuracy"]
        state = run.variant.network.params.values()
        assert own["parameters"] == sum(value.size for layer in state for value in layer.values())
        images = result.batches.loc[run.variant.name]["images"]
        assert images.iloc[-1] == 2 * run.images
        assert images.is_monotonic_increasing


def test_one_seed_gives_the_same_numbers_and_another_gives_others(
    results: dict[str, ExperimentResult],
) -> None:
    again = run_experiment("schedule", tiny(), threads=1)
    other = run_experiment("schedule", tiny(), {"seed": 1})
    measured = ["loss", "smooth_loss", "lr"]
    first = results["schedule"].batches[measured]
    assert first.equals(again.batches[measured])
    assert not first.equals(other.batches[measured].rename(index={1: 0}, level="seed"))


def test_a_template_is_not_changed() -> None:
    template = tiny()
    before = {key: value.copy() for key, value in template.networks[0].network.state_dict().items()}
    run_experiment("batchnorm", template, {"epochs": 1})
    after = template.networks[0].network.state_dict()
    assert all((before[key] == after[key]).all() for key in before)


def test_weights_may_be_kept(results: dict[str, ExperimentResult]) -> None:
    drawn = run_experiment("schedule", tiny(), {"epochs": 1})
    trained = tiny()
    network = trained.networks[0].network
    network.load_state_dict(results["schedule"].first[1].variant.network.state_dict())
    further = run_experiment("schedule", trained, {"init": "keep", "epochs": 1})
    assert further.batches["loss"].iloc[0] < 0.7 * drawn.batches["loss"].iloc[0]


def test_a_run_that_cannot_begin_is_no_result() -> None:
    template = tiny()
    params = template.networks[0].network.params
    params["dense1"]["weight"] *= 1e38
    params["batchnorm2"]["weight"] *= 100
    with pytest.raises(TrainingError, match="in batch 1 of epoch 1"):
        run_experiment("batchnorm", template, {"init": "keep"})


def test_several_seeds_have_means_and_spreads(seeded: ExperimentResult) -> None:
    assert seeded.seeds == [4, 5]
    runs = seeded.by_seed
    for name in seeded.variants:
        own = runs.loc[name]
        assert seeded.table.loc[name, "accuracy"] == pytest.approx(own["accuracy"].mean())
        spread = seeded.table.loc[name, "valid_loss_spread"]
        assert spread == pytest.approx(np.std(own["valid_loss"], ddof=1))
        assert spread > 0
    assert " on average over 2 seeds," in seeded.sentence
    assert result_lines(seeded)[1].count("\u00b1") == 3
    # Every seed begins a run of its own.
    alone = run_experiment("batchnorm", tiny(), {"epochs": 1, "seed": 5})
    assert alone.batches["loss"].tolist() == seeded.batches.xs(5, level="seed")["loss"].tolist()


def test_runs_are_announced_and_watched() -> None:
    said: list[str] = []
    watched: list[Silence] = []

    class Watching(Silence):
        def epoch(self, *args: Any, **kwargs: Any) -> None:
            watched.append(self)

    run_experiment(
        "batch-size", tiny(), {"epochs": 1}, progress=Watching, announce=said.append, seeds=2
    )
    assert said == [
        f"batch {size}, seed {seed} ({number} of 4)"
        for number, (seed, size) in enumerate([(0, 64), (0, 512), (1, 64), (1, 512)], 1)
    ]
    assert len(set(watched)) == 4


def test_ctrl_c_ends_it() -> None:
    class Impatient(Silence):
        def batch(self, loss: float) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_experiment("schedule", tiny(), progress=Impatient)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- Refusals


def without_norms() -> Template:
    network = Sequential(Conv2d(1, 2, 3), ReLU(), Flatten(), Linear(72, 10))
    item = TemplateNetwork(network, np.zeros((1, 8, 8)), Drawing(), training={"data": "digits"})
    return Template("plain", "Plain", "", (item,))


def apart() -> Template:
    network = Sequential(BatchNorm2d(1), Flatten(), Linear(64, 10))
    item = TemplateNetwork(network, np.zeros((1, 8, 8)), Drawing(), training={"data": "digits"})
    return Template("apart", "Apart", "", (item,))


@pytest.mark.parametrize(
    ("name", "template", "options", "kind", "said"),
    [
        ("batchsize", tiny, {}, TrainingError, "did you mean batch-size"),
        ("batchnorm", without_norms, {}, TrainingError, "no BatchNorm2d, and batchnorm compares"),
        ("norm-position", without_norms, {}, TrainingError, "norm-position moves it"),
        ("norm-kind", without_norms, {}, TrainingError, "norm-kind puts InstanceNorm2d"),
        ("norm-position", apart, {}, TrainingError, "beside an activation"),
        ("batch-size", tiny, {"batch": 32}, TrainingError, "sets batch itself"),
        ("schedule", tiny, {"schedule": "step"}, TrainingError, "sets schedule itself"),
        ("schedule", tiny, {"epoch": 3}, TrainingError, "did you mean epochs"),
        ("schedule", tiny, {"epochs": 0}, TrainingError, "epochs is 0"),
        ("schedule", tiny, {"data": "digitz"}, DataError, "did you mean digits"),
        (
            "schedule",
            tiny,
            {"optimiser": "sgd", "lr": 1e30},
            TrainingError,
            "constant first: the loss",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    name: str,
    template: Callable[[], Template],
    options: dict[str, Any],
    kind: type[SheetconvError],
    said: str,
) -> None:
    with pytest.raises(kind, match=said) as error:
        run_experiment(name, template(), options)
    assert "\n" not in str(error.value)


def test_a_template_of_several_networks_and_no_seed_are_refused() -> None:
    with pytest.raises(TrainingError, match="conv-example has 2 networks"):
        run_experiment("schedule", "conv-example")
    with pytest.raises(TrainingError, match="seeds is 0"):
        run_experiment("schedule", tiny(), seeds=0)


# --- Words


def made(
    accuracies: list[list[float]],
    losses: list[list[float]],
    zeros: tuple[float, float] = (0.5, 0.5),
) -> ExperimentResult:
    """A result of given accuracies, of 20 images, and losses: a list for each seed.

    NaN is a run that diverged after its first batch.
    """
    template, runs = tiny(), []
    labels = np.zeros(20, np.int64)
    item = template.networks[0]
    for seed, pair in enumerate(zip(accuracies, losses, strict=True)):
        found = EXPERIMENTS["schedule"].variants(item.network, (1, 8, 8), TrainingOptions(batch=5))
        each = zip(found, *pair, zeros, strict=True)
        for variant, accuracy, loss, zero in each:
            history, judged, trouble = History(), None, "the loss is NaN; take less"
            history.record_batch(1, 2.0, lr=0.1)
            history.record_activations("relu1", 0, 1.0, 1.0, zero)
            if not math.isnan(accuracy):
                right = np.arange(20) < round(20 * accuracy)
                probabilities = np.eye(10)[np.where(right, 0, 1)]
                judged = Evaluation(probabilities, np.full(20, loss), labels, DIGITS)
                history.record_epoch(1, 1.0, loss, {"accuracy": accuracy}, 1.0)
                trouble = ""
            runs.append(VariantRun(variant, seed, history, 20, judged, {}, trouble))
    valid = Dataset(np.zeros((20, 1, 8, 8)), labels, DIGITS)
    return ExperimentResult(
        experiment_named("schedule"), template, item, tuple(runs), "digits", valid
    )


CONSTANT, ONE_CYCLE = "the constant learning rate", "the one-cycle schedule"


@pytest.mark.parametrize(
    ("accuracies", "losses", "said"),
    [
        (
            [[0.5, 0.75]],
            [[0.4, 0.3]],
            f"After 1 epoch {ONE_CYCLE} has the higher accuracy, 75.00% against 50.00%, and the "
            "lower validation loss, 0.3000 against 0.4000.",
        ),
        (
            [[0.75, 0.5]],
            [[0.4, 0.3]],
            f"After 1 epoch {CONSTANT} has the higher accuracy, 75.00% against 50.00%, but "
            f"{ONE_CYCLE} has the lower validation loss, 0.3000 against 0.4000.",
        ),
        (
            [[0.5, 0.5]],
            [[0.3, 0.4]],
            f"After 1 epoch {CONSTANT} has the lower validation loss, 0.3000 against 0.4000, and "
            "both have the same accuracy, 50.00%.",
        ),
        (
            [[0.5, 0.5]],
            [[0.3, 0.30001]],
            "After 1 epoch both have the same accuracy, 50.00%, and the same validation loss, "
            "0.3000.",
        ),
        (
            [[0.5, 0.75], [0.5, 0.75], [0.75, 0.5]],
            [[0.4, 0.1], [0.4, 0.5], [0.4, 0.3]],
            f"After 1 epoch, on average over 3 seeds, {ONE_CYCLE} has the higher accuracy, 66.67% "
            "against 58.33% (2 of 3 times), and the lower validation loss, 0.3000 against 0.4000 "
            "(2 of 3 times).",
        ),
        (
            [[math.nan, 0.75]],
            [[math.nan, 0.3]],
            "The constant learning rate diverged, and the one-cycle schedule reached an accuracy "
            "of 75.00% and a validation loss of 0.3000.",
        ),
    ],
)
def test_the_sentence_follows_from_the_numbers(
    accuracies: list[list[float]], losses: list[list[float]], said: str
) -> None:
    assert sentence_of(made(accuracies, losses)) == said


def test_notes_say_how_sure_it_is() -> None:
    few, many = made([[0.5, 0.6]], [[0.4, 0.3]]), made([[0.25, 1.0]], [[0.4, 0.3]])
    assert (
        f"Of 20 validation images, {ONE_CYCLE} gets 2 right that {CONSTANT} gets wrong; the other "
        "way round there are 0: that may well be chance in the choice of images (p = 0.5)."
    ) in few.notes
    assert any("gets 15 right" in note and "is hardly chance" in note for note in many.notes)
    assert any("--seeds" in note for note in few.notes)
    assert not made([[0.5, 0.6]] * 2, [[0.4, 0.3]] * 2).notes


def test_notes_say_what_diverged() -> None:
    result = made([[math.nan, 0.5], [0.5, 0.5]], [[math.nan, 0.3], [0.4, 0.3]])
    assert result.notes == ["Constant with seed 0 diverged: the loss is NaN."]
    assert "diverged" not in result_lines(result)[1]
    assert result_lines(made([[math.nan, 0.5]], [[math.nan, 0.3]]))[1].count("diverged") == 3


@pytest.mark.parametrize(("one", "other"), [(0, 1), (3, 3), (2, 9), (0, 12), (400, 470)])
def test_chance_is_that_of_a_fair_coin(one: int, other: int) -> None:
    total = one + other
    ways = sum(
        math.comb(total, k) for k in range(total + 1) if abs(2 * k - total) >= abs(one - other)
    )
    assert chance_of(one, other) == pytest.approx(float(Fraction(ways, 2**total)))


def test_of_many_cases_chance_is_nearly_the_same() -> None:
    assert chance_of(470, 530) == pytest.approx(chance_of(471, 531), abs=2e-3)
    assert chance_of(471, 531) > chance_of(450, 552)


# --- Workbook


@pytest.mark.parametrize("name", NAMES)
def test_the_workbook_passes_the_check_and_has_the_results(
    name: str, results: dict[str, ExperimentResult], tmp_path: Path
) -> None:
    result = results[name]
    built = result.write(tmp_path / "book.xlsx")
    assert set(result.variants) < set(built.worksheets)
    assert {"comparison", "batches"} < set(built.worksheets)
    checked = check(built.path)
    assert checked.ok
    assert checked.formula_cells == built.formula_cells > 300
    book = openpyxl.load_workbook(built.path, data_only=True)
    rows = [
        [cell for cell in row if cell is not None]
        for row in book["comparison"].iter_rows(values_only=True)
    ]
    for name_, own in result.table.iterrows():
        expected = [*own[["parameters", "train_loss", "valid_loss", "accuracy", "seconds"]]]
        found = next(row for row in rows if row and row[0] == name_)
        assert found[1:6] == pytest.approx(expected)
    shown = {str(cell) for row in rows for cell in row}
    assert {result.sentence, *result.notes} <= shown
    loss = result.epochs["valid_loss"].iloc[0]
    assert any(cell == pytest.approx(loss) for row in rows for cell in row if type(cell) is float)


def blocks(result: ExperimentResult, kind: type[Any]) -> dict[str, Any]:
    pages = comparison_pages(result)
    return {
        getattr(block, "name", "") or block.title: block
        for page in pages
        for block in page.each()
        if isinstance(block, kind)
    }


def test_the_page_says_what_differs(results: dict[str, ExperimentResult]) -> None:
    expected = {
        "batch-size": [["batch", "64", "512"]],
        "schedule": [["schedule", "constant", "one-cycle"]],
        "batchnorm": [["layers", "conv1, relu1", "conv1, batchnorm1, relu1"]],
        "norm-position": [["layers", "conv1, batchnorm1, relu1", "conv1, relu1, batchnorm1"]],
        "norm-kind": [["layers", "conv1, batchnorm1, relu1", "conv1, instancenorm1, relu1"]],
    }
    for name, rows in expected.items():
        tables = blocks(results[name], Table)
        assert tables["differs"].frame.to_numpy().tolist() == rows
        same = tables["same"].frame.set_index("setting")["value"]
        assert same["data"] == "digits"
        assert not set(same.index) & {row[0] for row in rows}


def test_charts_are_of_what_differs(results: dict[str, ExperimentResult]) -> None:
    usual = {
        "Training loss, smoothed",
        "Accuracy on validation images",
        "Validation loss",
    }
    for name, result in results.items():
        charts = blocks(result, LineChart)
        assert usual <= charts.keys()
        assert len(charts) % 2 == 0
        # A cycle of six large batches has corners, and one of many small ones has none.
        assert ("Learning rate" in charts) == (name in ("schedule", "batch-size"))
        for chart in charts.values():
            assert [line.name for line in chart.series] == result.variants


@pytest.mark.parametrize(("zeros", "found"), [((0.25, 0.5), True), ((0.25, 0.3), False)])
def test_activations_near_zero_are_shown_where_they_tell_something(
    zeros: tuple[float, float], found: bool
) -> None:
    result = made([[0.5, 0.75]], [[0.4, 0.3]], zeros=zeros)
    maps, charts, tables = (blocks(result, kind) for kind in (HeatMap, LineChart, Table))
    assert len(maps) == found
    assert ("Activations of relu1 near zero" in charts) == found
    if found:
        (shown,) = maps.values()
        assert shown.values.tolist() == [[0.25], [0.5]]
        assert shown.columns == ["relu1"]
        assert tables["zeros of one-cycle"].frame["near zero"].tolist() == [0.5]


def test_nothing_recorded_of_activations_is_nothing_shown() -> None:
    result = run_experiment("batchnorm", tiny(), {"epochs": 1, "activations": 0})
    assert not blocks(result, HeatMap)


def test_pages_of_several_seeds_have_their_spread_and_every_run(seeded: ExperimentResult) -> None:
    tables = blocks(seeded, Table)
    assert "accuracy \u00b1" in tables["results"].columns
    assert len(tables["runs"].frame) == 4
    assert ["seed", "4 to 5"] in tables["same"].frame.to_numpy().tolist()
    means = seeded.epochs["accuracy"].groupby("variant", sort=False).mean()
    assert tables["epochs"].frame["accuracy"].tolist() == pytest.approx(means.tolist())


def test_long_runs_are_thinned(
    results: dict[str, ExperimentResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sheetconv.training.experiment_pages.MOST_POINTS", 10)
    table = blocks(results["schedule"], Table)["batches of constant"]
    assert len(table.frame) <= 11
    assert "Every" in table.notes[0]


def test_what_diverged_has_no_worksheet_and_a_note(tmp_path: Path) -> None:
    result = made([[math.nan, 0.5]], [[math.nan, 0.3]])
    built = result.write(tmp_path / "book.xlsx")
    assert "one-cycle" in built.worksheets
    assert "constant" not in built.worksheets
    shares = blocks(result, Table)["results"].frame["accuracy"]
    assert shares.isna().tolist() == [True, False]
    nothing = made([[math.nan, math.nan], [0.5, 0.5]], [[math.nan, math.nan], [0.4, 0.3]])
    with pytest.raises(LayoutError, match="with seed 0 every variant diverged"):
        nothing.write(tmp_path / "nothing.xlsx")
    assert not (tmp_path / "nothing.xlsx").exists()


def test_a_network_that_is_too_large_is_left_out(
    results: dict[str, ExperimentResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment_workbook, "MOST_ON_ONE_SHEET", 10)
    built = results["schedule"].write(tmp_path / "book.xlsx")
    assert "constant" in built.worksheets
    assert "one-cycle" not in built.worksheets
    page = openpyxl.load_workbook(built.path)["comparison"]
    texts = [cell for row in page.iter_rows(values_only=True) for cell in row if cell]
    assert any("one-cycle is left out: it would have" in str(text) for text in texts)


def test_pictures_tell_the_networks_apart() -> None:
    result = made([[0.25, 0.75]], [[0.4, 0.3]])
    # 15 known to the second, 5 of them to both: in turn one that it alone knows, one of both.
    assert telling_pictures(result).tolist() == [5, 0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 11]
    assert telling_pictures(made([[0.0, 0.0]], [[0.4, 0.3]])).tolist() == [0]


def test_drawings_keep_what_fits(results: dict[str, ExperimentResult], tmp_path: Path) -> None:
    template = tiny()
    item = template.networks[0]
    drawing = Drawing(
        aligned=frozenset({"conv2"}),
        number_formats={"batchnorm1.out": "0.000", "conv1.out": "0.00", "input": "0"},
    )
    result = results["batchnorm"]
    changed = ExperimentResult(
        result.experiment,
        template,
        TemplateNetwork(item.network, item.image, drawing),
        result.runs,
        result.data,
        result.valid,
    )
    without, with_all = changed.write(tmp_path / "book.xlsx").layouts
    assert set(without.drawing.number_formats) == {"conv1.out", "input"}
    assert set(with_all.drawing.number_formats) == set(drawing.number_formats)
    assert without.drawing.aligned == {"conv2"}
    assert without.drawing.classes == result.valid.classes


# --- Command


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "sheetconv", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("arguments", [[], ["--list"], ["batchnorm", "--list"]])
def test_the_command_lists_what_there_is(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, ["experiment", *arguments])
    assert result.exit_code == 0
    lines = result.output.splitlines()[: len(NAMES)]
    assert [line.split()[0] for line in lines] == NAMES
    assert all(
        item.compares in line for item, line in zip(EXPERIMENTS.values(), lines, strict=True)
    )


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    done = run(tmp_path, "experiment", "schedule", "digits-batchnorm", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "experiment-schedule.xlsx").is_file()
    result = run_experiment("schedule", "digits-batchnorm", {"epochs": 1})
    accuracies = [line.split()[4] for line in result.lines()[1:]]
    lines = done.stdout.splitlines()
    assert "1,438 images for training, 359 for validation" in lines[0]
    assert [line.split()[4] for line in lines[2:4]] == accuracies
    assert lines[4].startswith("After 1 epoch ")
    assert "\r" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.splitlines()[0] == "constant (1 of 2):"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["batchnrom"], "did you mean batchnorm?"),
        (["batchnorm", "digits"], "no BatchNorm2d"),
        (["batch-size", "digits-batchnorm", "--batch", "8"], "leave it out"),
        (["schedule", "digits-batchnorm", "-o", "there.xlsx"], "exists already"),
        (["schedule", "digits-batchnorm", "-o", "book.txt"], "ends in .xlsx"),
        (["schedule", "edges"], "no data"),
    ],
)
def test_mistakes_are_refused_before_anything_is_trained(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.xlsx").write_text("mine")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["experiment", *arguments])
    assert isinstance(result.exception, TrainingError | WorkbookError)
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)
    assert os.listdir(tmp_path) == ["there.xlsx"]


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "sheetconv", "experiment", "schedule", "digits-batchnorm"),
            *("--epochs", "10000"),
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        # An epoch has ended: training is under way.
        for line in process.stderr:
            if line.startswith("epoch"):
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "sheetconv: interrupted; no file was changed"
    assert not list(tmp_path.iterdir())


def test_variants_are_known_by_name() -> None:
    assert [item.name for item in EXPERIMENTS.values()] == NAMES
    for name in NAMES:
        found = variants(name, tiny().networks[0].network)
        assert len(found) == 2
        assert all(isinstance(item, Variant) and item.said != item.name for item in found)

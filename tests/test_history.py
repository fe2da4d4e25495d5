"""The record of a training run, against fast.ai's definitions, and PyTorch's statistics."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from sheetconv.errors import TrainingError
from sheetconv.training.activation_sums import ActivationSums, activation_statistics
from sheetconv.training.history import BETA, History


def some_history() -> History:
    """Two epochs of three batches, with columns that come late, and gaps."""
    history = History()
    rng = np.random.default_rng(0)
    for batch in range(6):
        hyper = {"lr": 0.1 * batch, "momentum": None if batch < 2 else 0.9}
        if batch == 3:
            hyper["gradient_norm"] = 7.0
        history.record_batch(1 + batch // 3, 2.0 / (batch + 1), **hyper)
        counts = rng.integers(0, 9, 80) if batch % 2 == 0 else None
        history.record_activations("conv1", batch, 0.1 * batch, 1.0, 0.5, counts)
        history.record_activations("ReLU, zweite", batch, 0.2, 1.5, 0.25)
        if batch == 2:
            history.record_epoch(1, 1.2, 1.1, {"accuracy": 0.5}, 3.5)
    history.record_epoch(2, 0.9, math.nan, {"accuracy": 0.75, "top-3": 0.9}, 3.25)
    return history


# --- Batches and epochs


def test_batches_have_their_columns_in_order_and_gaps_are_nan() -> None:
    batches = some_history().batches
    assert list(batches) == ["epoch", "loss", "smooth_loss", "lr", "momentum", "gradient_norm"]
    assert batches.index.name == "batch"
    assert batches.index.tolist() == [0, 1, 2, 3, 4, 5]
    assert batches["epoch"].tolist() == [1, 1, 1, 2, 2, 2]
    assert batches["momentum"].isna().tolist() == [True, True] + [False] * 4
    assert batches["gradient_norm"].isna().tolist() == [True] * 3 + [False] + [True] * 2
    assert batches.loc[3, "gradient_norm"] == 7.0


def test_the_smoothed_loss_is_fast_ais() -> None:
    losses = torch.rand(300, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3
    history = History()
    average = torch.zeros((), dtype=torch.float64)
    expected = []
    for count, loss in enumerate(losses, start=1):
        average = torch.lerp(loss, average, 0.98)
        expected.append(float(average / (1 - 0.98**count)))
        history.record_batch(1, float(loss))
        assert history.smooth_loss == pytest.approx(expected[-1], rel=1e-12)
    smooth = history.batches["smooth_loss"]
    np.testing.assert_allclose(smooth, expected, rtol=1e-12)
    # The same by its definition: a weighted mean whose weights fall off into the past.
    weights = BETA ** np.arange(len(losses))[::-1]
    assert smooth.iloc[-1] == pytest.approx(np.average(losses.numpy(), weights=weights))
    # And not without the correction.
    assert abs(float(average) - expected[-1]) > 1e-4
    assert smooth.iloc[0] == pytest.approx(float(losses[0]))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_lost_stays_so(bad: float) -> None:
    history = History()
    for loss in (1.0, bad, 1.0):
        history.record_batch(1, loss)
    assert np.isfinite(history.batches["smooth_loss"]).tolist() == [True, False, False]


def test_epochs_count_from_one_and_know_where_they_end() -> None:
    history = some_history()
    epochs = history.epochs
    assert list(epochs) == ["train_loss", "valid_loss", "accuracy", "top-3", "seconds"]
    assert epochs.index.name == "epoch"
    assert epochs.index.tolist() == [1, 2]
    assert math.isnan(epochs.loc[1, "top-3"])
    assert epochs.loc[2, ["train_loss", "accuracy", "seconds"]].tolist() == [0.9, 0.75, 3.25]
    assert history.epoch_ends.tolist() == [3, 6]
    assert history.metric_names == ["accuracy", "top-3"]
    ends = history.batches["epoch"].value_counts(sort=False).cumsum()
    assert ends.tolist() == history.epoch_ends.tolist()


def test_an_empty_history_has_empty_frames() -> None:
    history = History()
    assert len(history) == 0
    assert math.isnan(history.smooth_loss)
    assert list(history.batches) == ["epoch", "loss", "smooth_loss"]
    assert history.batches.empty
    assert list(history.epochs) == ["train_loss", "valid_loss", "seconds"]
    assert history.epochs.empty
    assert history.activations.empty
    assert history.layers == []


BAD: dict[str, tuple[Callable[[History], Any], str]] = {
    "epoch zero": (lambda h: h.record_batch(0, 1.0), "epoch 0.*an epoch from 1 on"),
    "epoch of text": (lambda h: h.record_batch("1", 1.0), "epoch '1'"),
    "half an epoch": (lambda h: h.record_batch(1.5, 1.0), "epoch 1.5"),
    "an epoch too far": (lambda h: h.record_batch(10**19, 1.0), "epoch 10000000000000000000"),
    "a loss too large": (
        lambda h: h.record_batch(1, 10**400),
        "loss a int too large to show|loss 1",
    ),
    "no loss": (lambda h: h.record_batch(1, None), "loss None"),
    "text as a rate": (lambda h: h.record_batch(1, 1.0, lr="fast"), "'lr': 'fast'"),
    "a name that is taken": (lambda h: h.record_batch(1, 1.0, smooth_loss=1.0), "smooth_loss"),
    "an epoch again": (lambda h: h.record_epoch(2, 1, 1, {}, 1), "epoch is 2: .* above 2"),
    "an epoch of text": (lambda h: h.record_epoch("3", 1, 1, {}, 1), "epoch is '3'"),
    "no number": (lambda h: h.record_epoch(3, "low", 1, {}, 1), r"epoch 3: got \('low', 1, 1\)"),
    "no metric": (lambda h: h.record_epoch(3, 1, 1, {"f1": []}, 1), "'f1': \\[\\]"),
    "a metric's name": (lambda h: h.record_epoch(3, 1, 1, {"seconds": 1}, 1), "named 'seconds'"),
    "no mean": (lambda h: h.record_activations("a", 0, None, 1, 1), "layer a: got batch 0"),
    "no batch": (lambda h: h.record_activations("a", 0.5, 1, 1, 1), "layer a: got batch 0.5"),
    "no row": (
        lambda h: h.record_activations("a", 0, 1, 1, 1, np.ones((2, 40))),
        r"shape \(2, 40\): expected \(80,\)",
    ),
    "other bins": (
        lambda h: h.record_activations("a", 0, 1, 1, 1, np.ones(40)),
        r"shape \(40,\): expected \(80,\)",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_recorded_is_refused_whole(what: str) -> None:
    record, message = BAD[what]
    history = some_history()
    before = history.state()
    with pytest.raises(TrainingError, match=message) as caught:
        record(history)
    assert "\n" not in str(caught.value)
    assert same(history.state(), before)


# --- Activations over time


def test_activations_are_indexed_by_layer_and_batch() -> None:
    history = some_history()
    frame = history.activations
    assert history.layers == ["conv1", "ReLU, zweite"]
    assert frame.index.names == ["layer", "batch"]
    assert frame.loc["conv1"].index.tolist() == [0, 1, 2, 3, 4, 5]
    assert frame.loc[("conv1", 3), "mean"] == pytest.approx(0.3)
    assert frame.loc["ReLU, zweite"]["std"].tolist() == [1.5] * 6


def test_histograms_stand_upright_and_have_edges() -> None:
    history = History(limits=(0, 10))
    for batch, counts in enumerate(([5, 0, 1, 0], [2, 2, 2, 6])):
        history.record_activations("relu1", 2 * batch, 0, 1, 0, np.array(counts))
    frame = history.histogram("relu1")
    assert frame.index.tolist() == [0, 2.5, 5, 7.5]
    assert frame.columns.tolist() == [0, 2]
    assert frame[2].tolist() == [2, 2, 2, 6]
    drawn = history.colour_dimension("relu1")
    assert drawn.index.tolist() == [7.5, 5, 2.5, 0]
    expected = np.log1p([[0, 6], [1, 2], [0, 2], [5, 2]]) / np.log(7)
    np.testing.assert_allclose(drawn, expected, rtol=1e-12)
    assert drawn.to_numpy().max() == 1.0


def test_a_histogram_of_nothing_draws_zeros() -> None:
    history = History()
    history.record_activations("conv1", 0, 100, 1, 0, np.zeros(80))
    assert not history.colour_dimension("conv1").to_numpy().any()


def test_histograms_may_be_of_some_batches_and_layers() -> None:
    history = some_history()
    assert history.histogram("conv1").columns.tolist() == [0, 2, 4]
    assert history.counted_layers == ["conv1"]
    with pytest.raises(TrainingError, match="'ReLU, zweite' has no histograms: known are conv1"):
        history.histogram("ReLU, zweite")
    with pytest.raises(TrainingError, match="'conv2' has no histograms: did you mean conv1"):
        history.colour_dimension("conv2")
    with pytest.raises(TrainingError, match="'conv1' has no histograms: none were recorded"):
        History().histogram("conv1")


# --- Keeping


def same(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> bool:
    """Whether two states have the same bits."""
    return one.keys() == other.keys() and all(
        value.dtype == other[name].dtype
        and value.shape == other[name].shape
        and value.tobytes() == other[name].tobytes()
        for name, value in one.items()
    )


@pytest.mark.parametrize("history", [some_history(), History(), History(limits=(0, 6))])
def test_a_history_survives_a_file_and_goes_on(history: History, tmp_path: Path) -> None:
    np.savez(tmp_path / "state.npz", **history.state())
    with np.load(tmp_path / "state.npz", allow_pickle=False) as file:
        state = dict(file)
    assert all(array.dtype.kind in "ifU" for array in state.values())
    taken_up = History.from_state(state)
    assert same(taken_up.state(), history.state())
    for one in (history, taken_up):
        one.record_batch(3, 0.123, lr=0.5, weight_decay=0.01)
        one.record_activations("conv1", 6, 1, 2, 0.5)
        one.record_epoch(3, 0.5, 0.4, {"f1": 0.8}, 1.0)
    assert same(taken_up.state(), history.state())
    pd.testing.assert_frame_equal(taken_up.batches, history.batches, check_exact=True)
    pd.testing.assert_frame_equal(taken_up.epochs, history.epochs, check_exact=True)
    pd.testing.assert_frame_equal(taken_up.activations, history.activations, check_exact=True)
    assert taken_up.limits == history.limits
    assert taken_up.smooth_loss == history.smooth_loss
    # The comparison finds one number that is off.
    taken_up.record_batch(3, 0.1)
    assert not same(taken_up.state(), history.state())


def damaged(**arrays: Any) -> dict[str, NDArray[Any]]:
    """A state with arrays of other values."""
    return {**some_history().state(), **{name: np.asarray(v) for name, v in arrays.items()}}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "without activation_batches, .* cannot be taken up"),
        (damaged(loss=[1.0]), "do not fit together"),
        (damaged(loss=3.0), "do not fit together"),
        (damaged(hyper_names=["lr"]), "do not fit together"),
        (damaged(metrics=np.zeros((2, 3))), "do not fit together"),
        (damaged(epoch_values=np.zeros((2, 2))), "do not fit together"),
        (damaged(epoch_ends=[3]), "other ends than epochs"),
        (damaged(layer_records=[6, 10**12]), "do not fit together"),
        (damaged(layer_records=[6, 5]), "other lengths of activations"),
        (damaged(histograms=np.zeros((3, 0), dtype=int)), "histogram has shape"),
        (damaged(histogram_rows=[0]), "do not fit together"),
        (damaged(epochs=[2, 1]), "epoch is 1: expected a whole number above 2"),
        (damaged(limits=[1, 2, 3]), "do not fit together"),
    ],
)
def test_a_damaged_state_is_refused(state: dict[str, NDArray[Any]], message: str) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        History.from_state(state)
    assert "\n" not in str(caught.value)


# --- Statistics, against PyTorch


def arrays() -> dict[str, NDArray[Any]]:
    """Activations of many kinds."""
    rng = np.random.default_rng(7)
    wide = rng.normal(0.3, 2.0, (6, 8, 11, 13))
    return {
        "signed": wide,
        "rectified": np.maximum(wide, 0),
        "beyond the limits": 20 * wide,
        "all outside": wide + 1000,
        "more than one block": rng.normal(size=40_001),
        "a large mean": 1e6 + rng.normal(size=5000),
        "one number": np.array([0.5]),
        "two numbers": np.array([0.5, 9.0]),
        "all equal": np.full((3, 3), 2.0),
        "infinite": np.array([1.0, np.inf, 2.0]),
        "no numbers among them": np.array([1.0, np.nan, 2.0]),
    }


@pytest.mark.filterwarnings("ignore:std.*degrees of freedom:UserWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", arrays())
def test_statistics_are_pytorchs(kind: str, dtype: type[np.floating[Any]]) -> None:
    x = arrays()[kind].astype(dtype)
    mean, std, near_zero, counts = activation_statistics(x)
    tensor = torch.from_numpy(x)
    wide = tensor.double()
    np.testing.assert_allclose(mean, float(wide.mean()), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(std, float(wide.std()), rtol=1e-12, atol=1e-15)
    assert near_zero == float((tensor.abs() <= 0.05).double().mean())
    assert counts.tolist() == tensor.histc(80, -10, 10).int().tolist()
    assert counts.dtype == np.int64
    # fast.ai's own bins are the upper half.
    assert counts[40:].tolist() == tensor.histc(40, 0, 10).int().tolist()


LIMITS = [(-10, 10, 80), (0, 10, 40), (-3, 7, 17), (0, 1, 10), (-1.3, 2.7, 49), (0, 0.7, 7)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("low", "high", "bins"), LIMITS)
def test_numbers_next_to_edges_are_in_pytorchs_bins(
    low: float, high: float, bins: int, dtype: type[np.floating[Any]]
) -> None:
    above = below = np.linspace(low, high, bins + 1).astype(dtype)
    at = [above]
    for _ in range(4):
        above, below = np.nextafter(above, dtype(99)), np.nextafter(below, dtype(-99))
        at += [above, below]
    x = np.concatenate(at)
    counts = ActivationSums.of(x, bins=bins, limits=(low, high)).histogram
    assert counts.tolist() == torch.from_numpy(x).histc(bins, low, high).int().tolist()
    # Outside are only those beyond the outermost edges, of each one more than there are steps.
    assert x.size - 8 <= counts.sum() < x.size
    # Whole edges alone would put some of them elsewhere.
    if (low, bins) == (-3, 17):
        assert counts.tolist() != np.histogram(x, bins, (low, high))[0].tolist()


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.transpose(0, 2, 3, 1),
        lambda x: x[:, ::2],
        lambda x: x[..., ::-1],
        np.asfortranarray,
        lambda x: x.reshape(-1),
    ],
)
def test_the_layout_does_not_matter(view: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    x = view(np.random.default_rng(3).normal(size=(4, 6, 7, 5)))
    kept = x.copy()
    one, other = ActivationSums.of(x), ActivationSums.of(np.ascontiguousarray(x))
    assert one.histogram.tolist() == other.histogram.tolist()
    assert (one.count, one.near) == (other.count, other.near)
    assert one.mean == pytest.approx(other.mean, rel=1e-12)
    assert one.std == pytest.approx(other.std, rel=1e-12)
    assert np.array_equal(x, kept)


@pytest.mark.parametrize("dtype", [np.float16, np.int32, np.bool_])
def test_other_numbers_are_taken_as_float64(dtype: type[np.generic]) -> None:
    x = np.array([0, 1, 1, 3]).astype(dtype)
    sums = ActivationSums.of(x)
    assert sums.mean == x.astype(float).mean()
    assert sums.std == pytest.approx(x.astype(float).std(ddof=1))
    assert sums.histogram.sum() == 4


@pytest.mark.parametrize("cuts", [[], [1], [500], [3, 4, 900], [0, 0, 1000]])
def test_parts_together_are_the_whole(cuts: list[int]) -> None:
    x = 50 + np.random.default_rng(5).normal(size=1000)
    parts = [ActivationSums.of(part) for part in np.split(x, cuts)]
    merged, whole = ActivationSums.merged(parts), ActivationSums.of(x)
    assert (merged.count, merged.near) == (whole.count, whole.near)
    assert merged.histogram.tolist() == whole.histogram.tolist()
    assert merged.mean == pytest.approx(whole.mean, rel=1e-14)
    assert merged.std == pytest.approx(x.std(ddof=1), rel=1e-12)
    again = ActivationSums.merged(parts)
    assert (again.sum, again.m2) == (merged.sum, merged.m2)
    # Not merely added: the parts lie apart.
    apart = ActivationSums.merged([ActivationSums.of(x), ActivationSums.of(x + 100)])
    assert apart.std == pytest.approx(np.concatenate([x, x + 100]).std(ddof=1), rel=1e-12)
    assert apart.m2 > 2 * whole.m2 + 1000


def test_no_numbers_have_no_mean() -> None:
    sums = ActivationSums.of(np.empty((0, 3)))
    assert sums.count == 0
    assert [math.isnan(value) for value in (sums.mean, sums.std, sums.near_zero)] == [True] * 3
    both = ActivationSums.merged([sums, ActivationSums.of(np.ones(2)), sums])
    assert (both.mean, both.std) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ActivationSums.of(np.ones(2), bins=0), "of 0 bins within"),
        (lambda: ActivationSums.of(np.ones(2), limits=(1, 1)), r"within \(1, 1\)"),
        (lambda: ActivationSums.of(np.ones(2), limits=(-math.inf, 1)), r"within \(-inf, 1\)"),
        (lambda: ActivationSums.of(np.array(["a"])), "<U1: expected real numbers"),
        (lambda: ActivationSums.of(np.array([1j])), "complex128: expected real numbers"),
        (lambda: ActivationSums.merged([]), r"of \[\] bins"),
        (
            lambda: ActivationSums.merged(
                [ActivationSums.of(np.ones(2), bins=bins) for bins in (4, 5)]
            ),
            r"of \[4, 5\] bins",
        ),
    ],
)
def test_what_has_no_statistics_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        make()

"""Schedules follow PyTorch and fast.ai; what a sweep of learning rates suggests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sheetconv.errors import TrainingError
from sheetconv.training.lr_suggestion import SUGGESTIONS, suggest_lr
from sheetconv.training.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    Hyper,
    OneCycle,
    Schedule,
    Step,
    schedule_named,
)

EPOCHS, PER_EPOCH, LR = 7, 9, 0.3
BATCHES = EPOCHS * PER_EPOCH


def course(schedule: Schedule, batches: int = BATCHES) -> list[Hyper]:
    return [schedule.at(batch, batches, batch // PER_EPOCH, LR) for batch in range(batches)]


def rates(schedule: Schedule, batches: int = BATCHES) -> list[float]:
    return [hyper.lr for hyper in course(schedule, batches)]


def judged(make: Callable[[Any], Any], every: int = 1) -> tuple[list[float], list[float]]:
    """Learning rates and momenta of a scheduler of PyTorch, stepped every few batches."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR, momentum=0.5)
    scheduler = make(optimiser)
    seen: tuple[list[float], list[float]] = ([], [])
    for batch in range(BATCHES):
        for place, key in enumerate(("lr", "momentum")):
            seen[place].append(optimiser.param_groups[0][key])
        optimiser.step()
        if (batch + 1) % every == 0 and batch + 1 < BATCHES:
            scheduler.step()
    return seen


def test_constant() -> None:
    assert course(Constant()) == [Hyper(LR, None)] * BATCHES


@pytest.mark.parametrize(("size", "gamma"), [(1, 0.9), (2, 0.1), (3, 1.0), (10, 0.5)])
def test_step_is_pytorchs(size: int, gamma: float) -> None:
    expected, _ = judged(lambda it: torch.optim.lr_scheduler.StepLR(it, size, gamma), PER_EPOCH)
    np.testing.assert_allclose(rates(Step(size, gamma)), expected, rtol=1e-13)
    if size == 2:
        assert not np.allclose(rates(Step(3, gamma)), expected)


@pytest.mark.parametrize("lr_min", [0.0, 0.01, LR])
def test_cosine_is_pytorchs(lr_min: float) -> None:
    expected, _ = judged(lambda it: torch.optim.lr_scheduler.CosineAnnealingLR(it, BATCHES, lr_min))
    # PyTorch goes from each to the next, and so gathers its roundings.
    np.testing.assert_allclose(rates(Cosine(lr_min)), expected, rtol=1e-11)
    if lr_min < LR:
        assert not np.allclose(rates(Cosine(lr_min))[1:], expected[:-1], rtol=1e-4)


def test_one_cycle_has_the_shape_of_pytorchs() -> None:
    # PyTorch's cycle ends in the last batch, and its top lies a batch before the part of the
    # run: fast.ai's for one batch less, at its own part, is the same.
    cycle = OneCycle(pct_start=(0.3 * BATCHES - 1) / (BATCHES - 1), div=20, div_final=400)
    expected = judged(
        lambda it: torch.optim.lr_scheduler.OneCycleLR(
            it, LR, BATCHES, 0.3, div_factor=20, final_div_factor=20
        )
    )
    own = [cycle.at(batch, BATCHES - 1, 0, LR) for batch in range(BATCHES)]
    np.testing.assert_allclose([hyper.lr for hyper in own], expected[0], rtol=1e-12)
    np.testing.assert_allclose([hyper.momentum for hyper in own], expected[1], rtol=1e-12)
    assert not np.allclose(rates(cycle), expected[0])


@pytest.mark.parametrize("pct_start", [0.0, 0.25, 0.99])
def test_one_cycle_is_fastais(pct_start: float) -> None:
    own = course(OneCycle(pct_start, 10.0, 1e3, (0.9, 0.5, 0.7)), 40)
    for batch, hyper in enumerate(own):
        position = batch / 40
        if position < pct_start:
            low, high, part = (LR / 10, 0.9), (LR, 0.5), position / pct_start
        else:
            low, high = (LR, 0.5), (LR / 1e3, 0.7)
            part = (position - pct_start) / (1 - pct_start)
        weight = (1 - math.cos(math.pi * part)) / 2
        assert hyper.lr == pytest.approx(low[0] + weight * (high[0] - low[0]), rel=1e-12)
        assert hyper.momentum == pytest.approx(low[1] + weight * (high[1] - low[1]), rel=1e-12)
    if pct_start == 0.25:
        assert own[0] == Hyper(pytest.approx(LR / 10), pytest.approx(0.9))  # type: ignore[arg-type]
        assert own[10] == Hyper(LR, 0.5)


def test_one_cycle_may_leave_the_momentum_alone() -> None:
    assert {hyper.momentum for hyper in course(OneCycle(moms=None))} == {None}
    assert rates(OneCycle(moms=None)) == rates(OneCycle())


def test_the_sweep_rises_by_equal_factors() -> None:
    sweep = Exponential(1e-5, 1.0, 50)
    values = np.array([sweep.at(batch, 7, 0, 123.0).lr for batch in range(50)])
    assert values[0] == pytest.approx(1e-5)
    np.testing.assert_allclose(values[1:] / values[:-1], 1e5 ** (1 / 50), rtol=1e-12)
    assert sweep.at(50, 50, 0, 0.0).lr == pytest.approx(1.0)


def test_by_name() -> None:
    assert list(SCHEDULES) == ["constant", "step", "cosine", "one-cycle"]
    assert schedule_named("one-cycle", moms=[0.9, 0.8, 0.9]) == OneCycle(moms=(0.9, 0.8, 0.9))
    assert schedule_named("constant") == Constant()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Step(0), "Step: step_size is 0: expected a whole number of at least 1"),
        (lambda: Step(1.0), "Step: step_size is 1.0"),
        (lambda: Step(1, 1.1), "Step: gamma is 1.1: expected a number from 0 to 1"),
        (lambda: Cosine(-1.0), "Cosine: lr_min is -1.0"),
        (lambda: Cosine(1.0).at(0, 1, 0, 0.1), "lr_min is 1, above the learning rate 0.1"),
        (lambda: OneCycle(1.0), "pct_start is 1.0: expected a number from 0 to below 1"),
        (lambda: OneCycle(div=0), "OneCycle: div is 0: expected a number above 0"),
        (lambda: OneCycle(div_final=math.nan), "OneCycle: div_final is nan"),
        (lambda: OneCycle(moms=(0.9, 0.8)), "moms is (0.9, 0.8): expected 3 numbers"),
        (lambda: OneCycle(moms=(0.9, 0.8, 1)), "moms is 1"),
        (lambda: OneCycle(moms="0.9"), "moms is '0.9'"),
        (lambda: Exponential(start_lr=0), "start_lr is 0: expected a number above 0"),
        (lambda: Exponential(1.0, 0.5), "end_lr is 0.5: expected a number above start_lr"),
        (lambda: Exponential(num_it=5), "num_it is 5: expected a whole number of at least 6"),
        (lambda: schedule_named("step"), "schedule 'step' needs the field 'step_size'"),
        (lambda: schedule_named("constant", lr=1), "has no field 'lr': it has none, leave it out"),
        (lambda: schedule_named("onecycle"), "did you mean one-cycle?"),
    ],
)
def test_bad_fields_are_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(TrainingError) as caught:
        make()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def sweep(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What a sweep looks like: flat, then down, then up and away."""
    rng = np.random.default_rng(seed)
    values = np.geomspace(1e-7, 10, 100)
    steps = np.log10(values)
    losses = 2.3 - 2 / (1 + np.exp(-3 * (steps + rng.uniform(1.5, 3.5))))
    losses += np.exp(4 * (steps + 0.3)) + rng.normal(size=100) * 0.02
    return values, losses


def longest_fall(losses: list[float]) -> tuple[int, int]:
    """Length and end of the longest falling run, by asking every point for its best."""
    best: list[int] = []
    for point, loss in enumerate(losses):
        earlier = [best[before] for before in range(point) if losses[before] > loss]
        best.append(1 + max(earlier, default=0))
    return max(best), best.index(max(best))


@pytest.mark.parametrize("seed", range(5))
def test_the_valley_is_fastais(seed: int) -> None:
    values, losses = sweep(seed)
    length, end = longest_fall(list(losses[10:-5]))
    place = 10 + end - length + length // 3 + length // 6
    suggested = suggest_lr(values, losses)
    assert suggested == values[place]
    # It lies on the slope: past the flat part, before the lowest loss.
    assert 1e-6 < suggested < values[losses.argmin()]
    assert suggest_lr(values, -losses) != suggested


def test_steep_and_minimum() -> None:
    values, losses = sweep(0)
    losses[40] -= 1.0
    losses[80] = -5.0
    losses[99] = -50.0
    assert suggest_lr(values, losses, "minimum") == values[80] / 10
    losses[80] = 5.0
    assert suggest_lr(values, losses, "steep") == values[80]
    assert suggest_lr(values, losses, "steep", skip_end=50) == values[39]


def test_what_follows_a_broken_loss_is_left_out() -> None:
    values, losses = sweep(1)
    whole = suggest_lr(values[:58], losses[:58], skip_end=0)
    for bad in (math.nan, math.inf):
        broken = losses.copy()
        broken[58] = bad
        assert suggest_lr(values, broken) == whole
    assert whole != suggest_lr(values, losses)


def test_a_valley_of_the_first_points() -> None:
    assert suggest_lr([1.0, 2.0], [1.0, 0.0], skip_start=0, skip_end=0) == 1.0


@pytest.mark.parametrize("method", SUGGESTIONS)
def test_a_loss_that_never_fell_suggests_nothing(method: str) -> None:
    with pytest.raises(TrainingError, match="never fell between the learning rates"):
        suggest_lr(np.geomspace(1e-3, 1, 30), np.arange(30.0), method)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: suggest_lr([1, 2], [1, 0], "vally"), "valley, steep or minimum; did you mean"),
        (lambda: suggest_lr([1, 2], [1, 0], ["valley"]), "method is ['valley']"),
        (lambda: suggest_lr([1, 2], [1, 0]), "0 points of the sweep can be used"),
        (lambda: suggest_lr([1, 2], [1]), "2 learning rates and 1 losses"),
        (lambda: suggest_lr([2, 1], [1, 0]), "lrs do not rise"),
        (lambda: suggest_lr([0, 1], [1, 0]), "lrs do not rise"),
        (lambda: suggest_lr("ab", [1, 0]), "lrs are 'ab': expected a list of numbers"),
        (lambda: suggest_lr([1, 2], [[1, 0]]), "losses are [[1, 0]]"),
        (lambda: suggest_lr([1, 2], [1, 0], skip_end=-1), "skip_end is -1"),
    ],
)
def test_what_cannot_be_suggested_from_is_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(TrainingError) as caught:
        make()
    assert said in str(caught.value)

"""Optimisers take PyTorch's steps: under every schedule, in slices, in float32."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from inspect import signature
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from sheetconv.errors import TrainingError
from sheetconv.training import clipping
from sheetconv.training.optimisers import (
    OPTIMISERS,
    SGD,
    Adam,
    AdamW,
    Optimiser,
    RMSprop,
    base,
    optimiser_named,
)
from sheetconv.training.schedules import Constant, Cosine, OneCycle, Schedule, Step

SIZE, EPOCHS, PER_EPOCH = 37, 5, 20
BATCHES = EPOCHS * PER_EPOCH
TORCH: dict[type[Optimiser], Any] = {
    SGD: torch.optim.SGD,
    RMSprop: torch.optim.RMSprop,
    Adam: torch.optim.Adam,
    AdamW: torch.optim.AdamW,
}
SETTINGS: list[tuple[type[Optimiser], dict[str, Any]]] = [
    (SGD, {"lr": 0.05}),
    (SGD, {"lr": 0.05, "weight_decay": 0.1}),
    (SGD, {"lr": 0.05, "momentum": 0.9}),
    (SGD, {"lr": 0.02, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.02}),
    (SGD, {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (RMSprop, {}),
    (RMSprop, {"alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    (RMSprop, {"momentum": 0.5}),
    (RMSprop, {"lr": 0.003, "momentum": 0.7, "centered": True, "weight_decay": 0.05}),
    (RMSprop, {"centered": True}),
    (Adam, {}),
    (Adam, {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.2}),
    (Adam, {"betas": (0.0, 0.5)}),
    (AdamW, {}),
    (AdamW, {"lr": 0.05, "betas": (0.7, 0.99), "weight_decay": 0.3}),
]
SCHEDULES: list[Schedule] = [Constant(), Step(2, 0.3), Cosine(1e-3), OneCycle(div=5.0)]


def problem() -> tuple[np.ndarray, Callable[[np.ndarray, int], np.ndarray]]:
    """Where to start, and the gradient of a noisy quadratic at any place and step."""
    rng = np.random.default_rng(3)
    start, aim = rng.normal(size=SIZE), rng.normal(size=SIZE)
    steep, noise = rng.uniform(0.1, 2.0, SIZE), rng.normal(size=(BATCHES, SIZE))
    return start, lambda values, step: steep * (values - aim) + 0.3 * noise[step]


def ours(
    optimiser: Optimiser,
    schedule: Schedule,
    cuts: tuple[int, ...] = (),
    dtype: Any = np.float64,
    **given: Any,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    start, gradient = problem()
    values = start.astype(dtype)
    state = optimiser.init_state(SIZE, dtype)
    edges = [0, *cuts, SIZE]
    for batch in range(BATCHES):
        hyper = schedule.at(batch, BATCHES, batch // PER_EPOCH, optimiser.lr)
        gradients = gradient(values, batch).astype(dtype)
        for first, last in pairwise(edges):
            part = slice(first, last)
            optimiser.step(
                values[part],
                gradients[part],
                {name: vector[part] for name, vector in state.items()},
                lr=hyper.lr,
                momentum=hyper.momentum,
                number=batch + 1,
                **given,
            )
    return values, state


def half_cosine(start: float, end: float, part: float) -> float:
    return start + (end - start) * math.sin(math.pi * part / 2) ** 2


def drive(kind: Any, schedule: Schedule, given: dict[str, Any]) -> tuple[np.ndarray, Any]:
    """PyTorch's optimiser under PyTorch's scheduler, or under fast.ai's cycle."""
    start, gradient = problem()
    parameter = torch.nn.Parameter(torch.tensor(start))
    # The plain implementation, tensor by tensor.
    judge = kind([parameter], foreach=False, **given)
    lr = judge.defaults["lr"]
    scheduler: Any = None
    if isinstance(schedule, Step):
        scheduler = torch.optim.lr_scheduler.StepLR(
            judge, schedule.step_size * PER_EPOCH, schedule.gamma
        )
    if isinstance(schedule, Cosine):
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(judge, BATCHES, schedule.lr_min)
    for batch in range(BATCHES):
        (group,) = judge.param_groups
        if isinstance(schedule, OneCycle):
            rise, position = BATCHES / 4, float(batch)
            if position < rise:
                group["lr"] = half_cosine(lr / 5, lr, position / rise)
                momentum = half_cosine(0.95, 0.85, position / rise)
            else:
                down = (position - rise) / (BATCHES - rise)
                group["lr"] = half_cosine(lr, lr / 1e5, down)
                momentum = half_cosine(0.85, 0.95, down)
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            elif group["momentum"]:
                group["momentum"] = momentum
        parameter.grad = torch.tensor(gradient(parameter.detach().numpy(), batch))
        judge.step()
        if scheduler is not None:
            scheduler.step()
    return parameter.detach().numpy(), judge.state[parameter]


def apart(one: np.ndarray, two: np.ndarray) -> float:
    """The largest difference, relative to the size of the numbers."""
    return float(np.abs(one - two).max() / np.abs(two).max())


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
@pytest.mark.parametrize(("kind", "given"), SETTINGS)
def test_a_hundred_steps_are_pytorchs(
    kind: type[Optimiser], given: dict[str, Any], schedule: Schedule
) -> None:
    values, state = ours(kind(**given), schedule)
    expected, kept = drive(TORCH[kind], schedule, given)
    assert apart(values, expected) < 1e-10
    assert apart(values, problem()[0]) > 1e-3
    for name, vector in state.items():
        assert apart(vector, kept[name].numpy()) < 1e-10, name


@pytest.mark.parametrize(
    ("kind", "given", "other"),
    [
        (SGD, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}),
        (SGD, {"momentum": 0.9}, {"momentum": 0.9, "dampening": 1e-6}),
        (SGD, {}, {"weight_decay": 1e-6}),
        (RMSprop, {}, {"eps": 1e-7}),
        (RMSprop, {}, {"centered": True}),
        (RMSprop, {}, {"alpha": 0.990001}),
        (Adam, {}, {"betas": (0.9, 0.99901)}),
        (Adam, {}, {"betas": (0.90001, 0.999)}),
        (AdamW, {}, {"weight_decay": 0.010001}),
    ],
)
def test_the_comparison_finds_another_setting(
    kind: type[Optimiser], given: dict[str, Any], other: dict[str, Any]
) -> None:
    given, other = {"lr": 0.01, **given}, {"lr": 0.01, **other}
    expected, _ = drive(TORCH[kind], Constant(), given)
    assert apart(ours(kind(**other), Constant())[0], expected) > 1e-9


def test_the_comparison_finds_a_schedule_one_batch_late() -> None:
    class Late(OneCycle):
        def at(self, batch: int, batches: int, epoch: int, lr: float) -> Any:
            return super().at(max(batch - 1, 0), batches, epoch, lr)

    expected, _ = drive(torch.optim.Adam, OneCycle(div=5.0), {})
    assert apart(ours(Adam(), Late(div=5.0))[0], expected) > 1e-6


def test_adamw_and_adam_decay_differently() -> None:
    with_l2, _ = ours(Adam(weight_decay=0.3), Constant())
    decoupled, _ = ours(AdamW(weight_decay=0.3), Constant())
    assert apart(with_l2, decoupled) > 1e-3


@pytest.mark.parametrize(("kind", "given"), SETTINGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slices_and_blocks_change_no_bit(
    kind: type[Optimiser], given: dict[str, Any], dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, state = ours(kind(**given), OneCycle(), dtype=dtype)
    assert whole.dtype == dtype
    assert all(vector.dtype == dtype for vector in state.values())
    sliced, sliced_state = ours(kind(**given), OneCycle(), (1, 1, 14, 30), dtype)
    monkeypatch.setattr(base, "BLOCK_BYTES", 5 * np.dtype(dtype).itemsize)
    blocks, _ = ours(kind(**given), OneCycle(), dtype=dtype)
    assert np.array_equal(whole, sliced)
    assert np.array_equal(whole, blocks)
    for name, vector in state.items():
        assert np.array_equal(vector, sliced_state[name])


@pytest.mark.parametrize(("kind", "given"), SETTINGS)
def test_float32_follows_float64(kind: type[Optimiser], given: dict[str, Any]) -> None:
    single, _ = ours(kind(**given), Constant(), dtype=np.float32)
    double, _ = ours(kind(**given), Constant())
    assert 0 < apart(single, double) < 1e-3


@pytest.mark.parametrize("kind", TORCH)
def test_weight_decay_may_differ_for_a_slice(kind: type[Optimiser]) -> None:
    plain, _ = ours(kind(weight_decay=0.0), Constant())
    decayed, _ = ours(kind(weight_decay=0.2), Constant())
    assert np.array_equal(ours(kind(weight_decay=0.2), Constant(), weight_decay=0.0)[0], plain)
    assert np.array_equal(ours(kind(weight_decay=0.0), Constant(), weight_decay=0.2)[0], decayed)
    assert not np.array_equal(plain, decayed)


@pytest.mark.parametrize("kind", TORCH)
def test_fields_and_defaults_are_pytorchs(kind: type[Optimiser]) -> None:
    judge = TORCH[kind]([torch.nn.Parameter(torch.zeros(1))]).defaults
    own = {field.name: getattr(kind(), field.name) for field in fields(kind)}  # type: ignore[arg-type]
    assert own == {name: judge[name] for name in own}
    # Where they are given by place, too.
    assert list(own) == list(signature(TORCH[kind]).parameters)[1 : len(own) + 1]


@pytest.mark.parametrize(
    ("optimiser", "expected"),
    [(SGD(), False), (SGD(momentum=0.1), True), (RMSprop(), False), (Adam(), True)],
)
def test_a_momentum_of_a_schedule_counts_where_there_is_one(
    optimiser: Optimiser, expected: bool
) -> None:
    assert optimiser.has_momentum is expected
    plain, _ = ours(optimiser, Constant())
    cycled, _ = ours(optimiser, OneCycle(pct_start=0.0, div_final=1.0, moms=(0.5, 0.5, 0.5)))
    assert np.array_equal(plain, cycled) is not expected


@pytest.mark.parametrize("optimiser", [SGD(momentum=0.9), RMSprop(momentum=0.9)])
def test_a_momentum_of_0_in_a_schedule_is_a_step_without(optimiser: Optimiser) -> None:
    plain = type(optimiser)(lr=optimiser.lr)  # type: ignore[call-arg]
    still = OneCycle(pct_start=0.0, div_final=1.0, moms=(0.0, 0.0, 0.0))
    values, state = ours(optimiser, still)
    assert np.array_equal(values, ours(plain, still)[0])
    assert not state["momentum_buffer"].any()


def test_centred_gradients_that_are_all_alike_stay_numbers() -> None:
    optimiser = RMSprop(centered=True, alpha=0.5)
    values = np.zeros(500, np.float32)
    state = optimiser.init_state(500, np.float32)
    for number in range(1, 60):
        gradients = np.linspace(-3, 3, 500, dtype=np.float32)
        optimiser.step(values, gradients, state, lr=1e-9, number=number)
    assert np.isfinite(values).all()


def test_what_overflows_does_so_in_silence() -> None:
    values = np.full(3, 1e38, np.float32)
    optimiser = SGD(momentum=0.9)
    state = optimiser.init_state(3, np.float32)
    for number in (1, 2):
        optimiser.step(values, np.full(3, -3e38, np.float32), state, lr=1e3, number=number)
    assert not np.isfinite(values).any()


def test_a_step_of_nothing() -> None:
    Adam().step(np.zeros(0), np.zeros(0), Adam().init_state(0, float), lr=0.1, number=1)


def test_settings_for_tables() -> None:
    assert SGD(nesterov=True, momentum=0.5).settings() == {
        "lr": 0.001,
        "momentum": 0.5,
        "dampening": 0.0,
        "weight_decay": 0.0,
        "nesterov": True,
    }


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SGD(lr=-1), "SGD: lr is -1: expected a number of at least 0"),
        (lambda: SGD(lr=math.nan), "SGD: lr is nan: expected a number of at least 0"),
        (lambda: Adam(lr=math.inf), "Adam: lr is inf"),
        (lambda: Adam(lr="0.1"), "Adam: lr is '0.1'"),
        (lambda: Adam(lr=True), "Adam: lr is True"),
        (lambda: Adam(lr=10**400), "Adam: lr is 1000"),
        (lambda: SGD(momentum=1.0), "momentum is 1.0: expected a number from 0 to below 1"),
        (lambda: SGD(dampening=1.5), "dampening is 1.5: expected a number from 0 to 1"),
        (lambda: SGD(nesterov=1), "nesterov is 1: expected true or false"),
        (lambda: SGD(nesterov=True), "nesterov goes with momentum and without dampening"),
        (lambda: SGD(nesterov=True, momentum=0.9, dampening=0.1), "dampening is 0.1"),
        (lambda: RMSprop(alpha=1.0), "RMSprop: alpha is 1.0"),
        (lambda: RMSprop(eps=0), "eps is 0: expected a number above 0"),
        (lambda: RMSprop(centered="no"), "centered is 'no'"),
        (lambda: AdamW(weight_decay=-0.1), "AdamW: weight_decay is -0.1"),
        (lambda: Adam(betas=(0.9, 1.0)), "betas is 1.0: expected a number from 0 to below 1"),
        (lambda: Adam(betas=0.9), "betas is 0.9: expected 2 numbers"),
        (lambda: Adam(betas=(0.9,)), "expected 2 numbers"),
        (lambda: optimiser_named("Adm"), "optimiser 'Adm' is unknown: did you mean adam?"),
        (lambda: optimiser_named(3), "optimiser 3 is unknown"),
        (lambda: optimiser_named("sgd", momentun=1), "no field 'momentun': did you mean momentum?"),
    ],
)
def test_bad_fields_are_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(TrainingError) as caught:
        make()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_by_name() -> None:
    assert list(OPTIMISERS) == ["sgd", "rmsprop", "adam", "adamw"]
    assert optimiser_named("adam", betas=[0.5, 0.9]) == Adam(betas=(0.5, 0.9))
    assert optimiser_named("sgd", lr=np.float32(0.5)).lr == 0.5
    assert type(optimiser_named("sgd", lr=np.float32(0.5)).lr) is float


@pytest.mark.parametrize("max_norm", [0.5, 3.0, 1e6])
def test_clipping_by_norm_is_pytorchs(max_norm: float) -> None:
    gradients = np.random.default_rng(0).normal(size=50)
    parameter = torch.nn.Parameter(torch.zeros(50, dtype=torch.float64))
    parameter.grad = torch.tensor(gradients)
    expected = torch.nn.utils.clip_grad_norm_([parameter], max_norm)
    before = gradients.copy()
    assert clipping.clip_norm(gradients, max_norm) == pytest.approx(float(expected), rel=1e-13)
    np.testing.assert_allclose(gradients, parameter.grad.numpy(), rtol=1e-13)
    assert np.array_equal(before, gradients) is (max_norm == 1e6)


def test_clipping_by_value_is_pytorchs() -> None:
    gradients = np.random.default_rng(0).normal(size=50).astype(np.float32)
    parameter = torch.nn.Parameter(torch.zeros(50))
    parameter.grad = torch.tensor(gradients)
    torch.nn.utils.clip_grad_value_([parameter], 0.7)
    assert np.abs(gradients).max() > 1
    clipping.clip_value(gradients, 0.7)
    assert np.array_equal(gradients, parameter.grad.numpy())
    clipping.clip_value(gradients, 1e300)
    assert np.array_equal(gradients, parameter.grad.numpy())


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_a_norm_whose_squares_do_not_fit(size: float) -> None:
    gradients = np.array([3 * size, 4 * size], np.float32)
    assert clipping.gradient_norm(gradients) == pytest.approx(5 * size, rel=1e-6)
    clipping.clip_norm(gradients, 2.0)
    small = min(size, 0.4)
    np.testing.assert_allclose(gradients, [3 * small, 4 * small], rtol=1e-6)


def test_norms_that_are_no_numbers_change_nothing() -> None:
    assert clipping.gradient_norm(np.zeros(3)) == 0.0
    assert clipping.gradient_norm(np.zeros(0)) == 0.0
    for bad in (math.inf, math.nan):
        gradients = np.array([1.0, bad])
        assert not math.isfinite(clipping.clip_norm(gradients, 0.1))
        assert gradients[0] == 1.0
    with pytest.raises(TrainingError, match="max_norm is 0: expected a number above 0"):
        clipping.clip_norm(np.ones(2), 0)
    with pytest.raises(TrainingError, match="limit is nan"):
        clipping.clip_value(np.ones(2), math.nan)

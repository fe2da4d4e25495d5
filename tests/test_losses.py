"""Losses and their gradients are PyTorch's, whole and in chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from sheetconv.errors import TrainingError
from sheetconv.training.losses import (
    LOSSES,
    MSE,
    BCEWithLogits,
    CrossEntropy,
    Loss,
    loss_named,
)

IMAGES, OUTPUTS = 13, 5
RNG = np.random.default_rng(8)
CLASSES = RNG.integers(0, OUTPUTS, IMAGES)
ANSWERS = RNG.integers(0, 2, (IMAGES, OUTPUTS))
VALUES = RNG.normal(size=(IMAGES, OUTPUTS))
SCORES = {
    "small": RNG.normal(size=(OUTPUTS, IMAGES)),
    "equal": np.zeros((OUTPUTS, IMAGES)),
    # An exponential of these would overflow.
    "huge": RNG.normal(size=(OUTPUTS, IMAGES)) * 2000,
}


def cross_entropy(smoothing: float) -> Callable[..., torch.Tensor]:
    return lambda scores, targets, reduction: functional.cross_entropy(
        scores, targets.long(), reduction=reduction, label_smoothing=smoothing
    )


def per_image(judge: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def judged(scores: torch.Tensor, targets: torch.Tensor, reduction: str) -> torch.Tensor:
        out = judge(scores, targets.to(scores.dtype), reduction=reduction)
        return out.mean(dim=1) if reduction == "none" else out

    return judged


BCE = per_image(functional.binary_cross_entropy_with_logits)
SQUARED = per_image(functional.mse_loss)
#: Loss, targets as we take them, PyTorch's loss, targets as it takes them.
CASES: dict[str, tuple[Loss, np.ndarray, Callable[..., torch.Tensor], np.ndarray]] = {
    "cross-entropy": (CrossEntropy(), CLASSES, cross_entropy(0.0), CLASSES),
    "bytes": (CrossEntropy(), CLASSES.astype(np.uint8), cross_entropy(0.0), CLASSES),
    "smoothed": (CrossEntropy(0.1), CLASSES, cross_entropy(0.1), CLASSES),
    "all smoothed": (CrossEntropy(1.0), CLASSES, cross_entropy(1.0), CLASSES),
    "bce": (BCEWithLogits(), ANSWERS, BCE, ANSWERS),
    "bce, booleans": (BCEWithLogits(), ANSWERS.astype(bool), BCE, ANSWERS),
    "bce, between": (BCEWithLogits(), np.abs(np.sin(VALUES)), BCE, np.abs(np.sin(VALUES))),
    "mse": (MSE(), VALUES, SQUARED, VALUES),
    "mse, classes": (MSE(), CLASSES, SQUARED, np.eye(OUTPUTS)[CLASSES]),
}
CASE = pytest.mark.parametrize("case", CASES)


def judged(case: str, scores: np.ndarray, reduction: str = "mean") -> tuple[Any, np.ndarray]:
    """PyTorch's loss and its gradient, outputs first."""
    _, _, judge, targets = CASES[case]
    tensor = torch.tensor(scores.T, requires_grad=True)
    loss = judge(tensor, torch.tensor(targets), reduction)
    loss.sum().backward()
    assert tensor.grad is not None
    return loss.detach().numpy(), tensor.grad.numpy().T


@pytest.mark.parametrize("size", SCORES)
@CASE
def test_losses_and_gradients_are_pytorchs(case: str, size: str) -> None:
    loss, targets, _, _ = CASES[case]
    scores = SCORES[size].copy()
    grad = np.full(scores.shape, np.nan)
    value = loss.share(scores, targets, IMAGES, grad)
    expected, expected_grad = judged(case, scores)
    assert value == pytest.approx(float(expected), rel=1e-12, abs=1e-14)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-12, atol=1e-15)
    assert np.array_equal(scores, SCORES[size])
    assert loss.share(scores, targets, IMAGES) == value


@pytest.mark.parametrize("size", SCORES)
@CASE
def test_the_loss_of_each_image_is_pytorchs(case: str, size: str) -> None:
    loss, targets, _, _ = CASES[case]
    each = loss.each(SCORES[size], targets)
    expected, _ = judged(case, SCORES[size], "none")
    np.testing.assert_allclose(each, expected, rtol=1e-12, atol=1e-14)
    assert each.mean() == pytest.approx(loss.share(SCORES[size], targets, IMAGES), rel=1e-12)


@CASE
def test_chunks_add_up(case: str) -> None:
    loss, targets, _, _ = CASES[case]
    scores = SCORES["small"]
    grad, total = np.full(scores.shape, np.nan), 0.0
    for part in (slice(0, 4), slice(4, 5), slice(5, IMAGES)):
        total += loss.share(scores[:, part], targets[part], IMAGES, grad[:, part])
    expected, expected_grad = judged(case, scores)
    assert total == pytest.approx(float(expected), rel=1e-12)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-12, atol=1e-15)
    # With the chunk's own count it would be something else.
    alone = np.empty((OUTPUTS, 4))
    assert loss.share(scores[:, :4], targets[:4], 4, alone) > 2 * loss.share(
        scores[:, :4], targets[:4], IMAGES
    )
    assert not np.allclose(alone, expected_grad[:, :4])


@CASE
def test_gradients_are_central_differences(case: str) -> None:
    loss, targets, _, _ = CASES[case]
    scores, grad, step = SCORES["small"].copy(), np.empty((OUTPUTS, IMAGES)), 1e-6
    loss.share(scores, targets, IMAGES, grad)
    for place in [(0, 0), (3, 7), (4, 12)]:
        scores[place] += step
        above = loss.share(scores, targets, IMAGES)
        scores[place] -= 2 * step
        below = loss.share(scores, targets, IMAGES)
        scores[place] += step
        assert grad[place] == pytest.approx((above - below) / (2 * step), abs=1e-8)


@CASE
def test_float32_stays_float32(case: str) -> None:
    loss, targets, _, _ = CASES[case]
    scores = SCORES["small"].astype(np.float32)
    grad = np.empty_like(scores)
    value = loss.share(scores, targets, IMAGES, grad)
    expected, expected_grad = judged(case, SCORES["small"])
    assert value == pytest.approx(float(expected), rel=1e-5)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-4, atol=1e-6)
    assert loss.each(scores, targets).dtype == np.float32
    assert loss.probabilities(scores).dtype == np.float32
    assert loss.share(scores, targets, IMAGES) == value


@CASE
def test_the_comparison_finds_a_wrong_target(case: str) -> None:
    loss, targets, _, _ = CASES[case]
    if case == "all smoothed":
        targets = np.zeros_like(targets)
        # Every class counts as much as any other.
        assert loss.share(SCORES["small"], targets, IMAGES) == pytest.approx(
            float(judged(case, SCORES["small"])[0])
        )
        return
    wrong = targets.copy()
    wrong[2] = wrong[2] ^ 1 if wrong.dtype.kind in "biu" else 1 - wrong[2]
    assert loss.share(SCORES["small"], wrong, IMAGES) != pytest.approx(
        float(judged(case, SCORES["small"])[0]), rel=1e-6
    )


@pytest.mark.parametrize("size", SCORES)
def test_probabilities(size: str) -> None:
    scores = SCORES[size].copy()
    tensor = torch.tensor(scores)
    for loss, expected in (
        (CrossEntropy(), tensor.softmax(dim=0)),
        (BCEWithLogits(), tensor.sigmoid()),
        (MSE(), tensor),
    ):
        out = loss.probabilities(scores)
        np.testing.assert_allclose(out, expected.numpy(), rtol=1e-12, atol=1e-300)
        assert not np.shares_memory(out, scores)
    assert np.array_equal(scores, SCORES[size])


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@CASE
def test_broken_scores_give_a_broken_loss_in_silence(case: str, bad: float) -> None:
    loss, targets, _, _ = CASES[case]
    scores = SCORES["small"].copy()
    scores[:, 1] = bad
    assert not np.isfinite(loss.share(scores, targets, IMAGES, np.empty_like(scores)))
    assert not np.isfinite(loss.each(scores, targets)[1])
    loss.probabilities(scores)


def test_by_name() -> None:
    assert list(LOSSES) == ["cross-entropy", "bce", "mse"]
    assert loss_named("mse") == MSE()


@CASE
def test_fitting_targets_are_taken(case: str) -> None:
    loss, targets, _, _ = CASES[case]
    loss.check_targets(targets, OUTPUTS)
    loss.check_targets(targets.tolist(), OUTPUTS)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CrossEntropy(1.5), "label_smoothing is 1.5: expected a number from 0 to 1"),
        (lambda: loss_named("crossentropy"), "did you mean cross-entropy?"),
        (lambda: loss_named("bce", weight=1), "loss 'bce' has no field 'weight'"),
        (lambda: CrossEntropy().check_targets([0, 1, 3], 3), "image 2 is of class 3"),
        (lambda: CrossEntropy().check_targets([0, -1], 3), "image 1 is of class -1"),
        (lambda: CrossEntropy().check_targets(ANSWERS, 5), "take the loss bce"),
        (lambda: CrossEntropy().check_targets([0.0, 1.0], 3), "of type float64"),
        (lambda: CrossEntropy().check_targets([True], 3), "of type bool"),
        (lambda: CrossEntropy().check_targets([0], 1), "the network has 1 output"),
        (lambda: CrossEntropy().check_targets([], 3), "there are no targets"),
        (lambda: CrossEntropy().check_targets(["cat"], 3), "the targets are ['cat']"),
        (lambda: CrossEntropy().check_targets([[1, 2], [3]], 3), "expected an array of numbers"),
        (lambda: CrossEntropy().check_targets(3, 3), "the targets are 3"),
        (lambda: BCEWithLogits().check_targets(CLASSES, 5), "takes the loss cross-entropy"),
        (lambda: BCEWithLogits().check_targets([0, 1], 1), "that is targets[:, None]"),
        (
            lambda: BCEWithLogits().check_targets(ANSWERS, 4),
            "(13, 5): expected (13, 4), a number from 0 to 1",
        ),
        (lambda: BCEWithLogits().check_targets([[0, 1], [1, 2]], 2), "output 1 of image 1"),
        (lambda: BCEWithLogits().check_targets([[np.nan]], 1), "hold NaN or infinity"),
        (lambda: MSE().check_targets([0, 5], 5), "image 1 is of class 5: expected 0 to 4"),
        (lambda: MSE().check_targets([0.5, 1.5], 5), "expected (2, 5)"),
        (lambda: MSE().check_targets([0.5, 1.5], 1), "that is targets[:, None]"),
        (lambda: MSE().check_targets([[np.inf]], 1), "hold NaN or infinity"),
        (lambda: MSE().check_targets(np.zeros((2, 1, 1)), 1), "expected an array of numbers"),
    ],
)
def test_what_does_not_fit_is_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(TrainingError) as caught:
        make()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)

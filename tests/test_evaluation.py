"""What a trained network says of a data set: numbers worked out by hand, and PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sheetconv.errors import TrainingError
from sheetconv.training.evaluation import METRICS, Evaluation, metric

CLASSES = ["three", "seven", "eight", "nine"]

#: Six images and what a network says of them; nobody is an eight, and none is said to be a nine.
PROBABILITIES = [
    [0.7, 0.1, 0.1, 0.1],
    [0.6, 0.2, 0.1, 0.1],
    [0.1, 0.5, 0.3, 0.1],
    [0.4, 0.4, 0.1, 0.1],
    [0.2, 0.1, 0.4, 0.3],
    [0.2, 0.6, 0.1, 0.1],
]
LABELS = [0, 0, 1, 1, 3, 3]


def digits() -> Evaluation:
    """Three of six right, first among equals."""
    own = np.array(PROBABILITIES)[np.arange(6), LABELS]
    return Evaluation(PROBABILITIES, -np.log(own), LABELS, CLASSES)


#: Four images that may show shapes: probabilities of a circle, a square and a cross.
SHAPES = [[0.9, 0.2, 0.6], [0.5, 0.1, 0.4], [0.3, 0.8, 0.9], [0.7, 0.6, 0.2]]
THERE = [[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 1]]


def shapes() -> Evaluation:
    """Two of four images right, nine of twelve labels."""
    p, y = np.array(SHAPES), np.array(THERE)
    losses = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=1)
    return Evaluation(p, losses, y, ["circle", "square", "cross"])


# --- One label an image


def test_accuracy_takes_the_first_of_equals() -> None:
    evaluation = digits()
    assert not evaluation.is_multi_label
    assert len(evaluation) == 6
    assert evaluation.predicted.tolist() == [0, 0, 1, 0, 2, 1]
    assert evaluation.right.tolist() == [True, True, True, False, False, False]
    assert evaluation.accuracy == evaluation.exact == 0.5
    assert evaluation.loss == pytest.approx(-np.log([0.7, 0.6, 0.5, 0.4, 0.3, 0.1]).mean())


def test_the_confusion_matrix_has_rows_of_what_is_there() -> None:
    confusion = digits().confusion
    assert (confusion.index.name, confusion.columns.name) == ("actual", "predicted")
    assert confusion.index.tolist() == confusion.columns.tolist() == CLASSES
    assert confusion.to_numpy().tolist() == [
        [2, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 0],
        [0, 1, 1, 0],
    ]


def test_numbers_of_each_class_are_those_worked_out_by_hand() -> None:
    frame = digits().per_class
    assert list(frame) == ["images", "right", "recall", "precision", "f1"]
    assert frame.index.tolist() == CLASSES
    assert frame["images"].tolist() == [2, 2, 0, 2]
    assert frame["right"].tolist() == [2, 1, 0, 0]
    # No image is an eight, and no image is said to be a nine.
    np.testing.assert_allclose(frame["recall"], [1, 1 / 2, math.nan, 0])
    np.testing.assert_allclose(frame["precision"], [2 / 3, 1 / 2, 0, math.nan])
    np.testing.assert_allclose(frame["f1"], [4 / 5, 1 / 2, 0, 0])
    assert digits().f1 == pytest.approx((4 / 5 + 1 / 2) / 4)


def test_a_class_that_is_nowhere_does_not_count_for_f1() -> None:
    evaluation = Evaluation([[0.9, 0.1, 0], [0.2, 0.8, 0]], [0, 0], [0, 1], ["a", "b", "c"])
    assert evaluation.per_class["f1"].isna().tolist() == [False, False, True]
    assert evaluation.f1 == 1.0


@pytest.mark.parametrize(("k", "share"), [(1, 3 / 6), (2, 5 / 6), (3, 5 / 6), (4, 1)])
def test_top_k_looks_at_the_most_probable(k: int, share: float) -> None:
    assert digits().top_k(k) == pytest.approx(share)
    assert digits().metrics([f"top-{k}"]) == {f"top-{k}": pytest.approx(share)}


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_is_pytorchs(k: int) -> None:
    generator = torch.Generator().manual_seed(4)
    p = torch.softmax(torch.randn(400, 8, dtype=torch.float64, generator=generator), dim=1)
    y = torch.randint(8, (400,), generator=generator)
    losses = torch.nn.functional.nll_loss(p.log(), y, reduction="none")
    evaluation = Evaluation(p.numpy(), losses.numpy(), y.numpy(), list("abcdefgh"))
    expected = (p.topk(k, dim=1).indices == y[:, None]).any(dim=1).double().mean()
    assert evaluation.top_k(k) == pytest.approx(float(expected))
    worst = evaluation.worst(12)
    assert worst.index.tolist() == losses.topk(12).indices.tolist()


def test_the_most_confused_come_first_and_none_is_right() -> None:
    p = np.eye(3)[[0, 1, 1, 2, 2, 2, 0, 0, 1, 1]]
    evaluation = Evaluation(p, np.zeros(10), [0, 0, 0, 0, 0, 0, 1, 1, 1, 2], ["a", "b", "c"])
    frame = evaluation.most_confused()
    assert list(frame) == ["actual", "predicted", "count"]
    assert frame.to_numpy().tolist() == [["a", "c", 3], ["a", "b", 2], ["b", "a", 2]]
    assert frame.index.tolist() == [0, 1, 2]
    assert evaluation.most_confused(1).to_numpy().tolist()[-1] == ["c", "b", 1]
    assert evaluation.most_confused(4).empty


def test_predictions_say_how_sure_the_network_is() -> None:
    frame = digits().predictions
    assert frame.index.name == "image"
    assert list(frame) == ["loss", "label", "predicted", "probability", "label_probability"]
    assert frame["label"].tolist() == ["three", "three", "seven", "seven", "nine", "nine"]
    assert frame["predicted"].tolist() == ["three", "three", "seven", "three", "eight", "seven"]
    assert frame["probability"].tolist() == [0.7, 0.6, 0.5, 0.4, 0.4, 0.6]
    assert frame["label_probability"].tolist() == [0.7, 0.6, 0.5, 0.4, 0.3, 0.1]
    np.testing.assert_allclose(np.exp(-frame["loss"]), frame["label_probability"])


def test_the_worst_have_the_highest_losses_and_equals_keep_their_order() -> None:
    assert digits().worst(3).index.tolist() == [5, 4, 3]
    assert digits().worst().index.tolist() == [5, 4, 3, 2, 1, 0]
    losses = np.arange(200) % 2.0
    losses[7] = math.inf
    equal = Evaluation(np.full((200, 2), 0.5), losses, [0] * 200, ["a", "b"])
    assert equal.worst(200).index.tolist() == [
        7, *(n for n in range(1, 200, 2) if n != 7), *range(0, 200, 2),
    ]  # fmt: skip


# --- Several labels an image


def test_several_labels_are_right_each_by_itself_or_all_together() -> None:
    evaluation = shapes()
    assert evaluation.is_multi_label
    # One half is not above one half.
    assert evaluation.predicted.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 1], [1, 1, 0]]
    assert evaluation.accuracy == pytest.approx(9 / 12)
    assert evaluation.exact == 2 / 4
    inputs, targets = torch.tensor(SHAPES), torch.tensor(THERE, dtype=torch.bool)
    assert evaluation.accuracy == pytest.approx(float(((inputs > 0.5) == targets).float().mean()))


def test_each_label_has_its_own_numbers() -> None:
    frame = shapes().per_class
    assert list(frame) == ["images", "right", "accuracy", "recall", "precision", "f1"]
    assert frame["images"].tolist() == [2, 2, 3]
    assert frame["right"].tolist() == [1, 2, 2]
    np.testing.assert_allclose(frame["accuracy"], [2 / 4, 4 / 4, 3 / 4])
    np.testing.assert_allclose(frame["recall"], [1 / 2, 1, 2 / 3])
    np.testing.assert_allclose(frame["precision"], [1 / 2, 1, 1])
    np.testing.assert_allclose(frame["f1"], [1 / 2, 1, 4 / 5])
    assert shapes().f1 == pytest.approx((1 / 2 + 1 + 4 / 5) / 3)


def test_sets_of_labels_have_names_and_probabilities() -> None:
    frame = shapes().worst(4)
    assert frame.index.tolist() == [3, 2, 1, 0]
    assert frame["label"].tolist() == [
        "square, cross", "circle, square, cross", "none", "circle, cross",
    ]  # fmt: skip
    assert frame["predicted"].tolist() == [
        "circle, square", "square, cross", "none", "circle, cross",
    ]  # fmt: skip
    assert frame.loc[3, "probability"] == pytest.approx(0.7 * 0.6 * 0.8)
    assert frame.loc[3, "label_probability"] == pytest.approx(0.3 * 0.6 * 0.2)
    np.testing.assert_allclose(np.exp(-3 * frame["loss"]), frame["label_probability"])


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda e: e.confusion, "a confusion matrix"),
        (lambda e: e.most_confused(), "pairs of confused classes"),
        (lambda e: e.top_k(2), "top-2"),
        (lambda e: e.metrics(["top-2"]), "top-2"),
    ],
)
def test_what_needs_one_label_says_so(ask: Callable[[Evaluation], Any], what: str) -> None:
    with pytest.raises(TrainingError, match=f"{what} is for images of one label.*per_class"):
        ask(shapes())
    ask(digits())


# --- Metrics by name


def test_every_metric_has_a_name() -> None:
    assert digits().metrics(list(METRICS)[:-1]) == {
        "accuracy": 0.5,
        "error-rate": 0.5,
        "exact": 0.5,
        "f1": pytest.approx(0.325),
        "top-2": pytest.approx(5 / 6),
        "top-3": pytest.approx(5 / 6),
    }
    assert shapes().metrics(["accuracy", "error-rate", "exact"]) == {
        "accuracy": pytest.approx(0.75),
        "error-rate": pytest.approx(0.25),
        "exact": 0.5,
    }
    assert digits().metrics() == digits().metrics("accuracy") == {"accuracy": 0.5}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("acuracy", "did you mean accuracy"),
        ("error_rate", "did you mean error-rate"),
        ("Top-3", "did you mean top-3"),
        ("top-0", "did you mean top-"),
        ("top-03", "did you mean top-3"),
        ("auc", "Known are|known are accuracy"),
        (3, "metric 3 is unknown"),
    ],
)
def test_an_unknown_metric_is_refused_before_training(name: Any, message: str) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        metric(name)
    assert "\n" not in str(caught.value)


def test_more_than_all_classes_are_no_metric() -> None:
    with pytest.raises(TrainingError, match="top-5 of 4 classes would always be right"):
        digits().metrics(["top-5"])


# --- What cannot be evaluated


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": [0.5, 0.5]}, r"shape \(2,\): expected \(2, 4\).*2 images and 4 classes"),
        ({"probabilities": np.ones((6, 3))}, r"shape \(6, 3\): expected \(6, 4\)"),
        ({"probabilities": np.empty((0, 4))}, "there are no images"),
        ({"probabilities": [["a"]]}, "probabilities are not an array of numbers"),
        (
            {"probabilities": np.full((6, 4), -1)},
            "reach from -1 to -1: expected 0 to 1, as softmax",
        ),
        ({"probabilities": np.full((6, 4), 1.1)}, "reach from 1.1 to 1.1"),
        (
            {"probabilities": np.where(np.arange(24).reshape(6, 4) == 9, np.nan, 0.25)},
            "probabilities hold NaN, first of image 2: .* lower learning rate",
        ),
        ({"losses": np.zeros(5)}, r"losses have shape \(5,\): expected \(6,\), as there are 6"),
        ({"losses": [0, 0, 0, 0, 0, math.nan]}, "losses hold NaN, first of image 5"),
        ({"labels": [0, 1, 2]}, r"labels have shape \(3,\): expected \(6,\)"),
        ({"labels": 3}, r"labels have shape \(\): expected \(6,\)"),
        ({"labels": np.zeros((6, 1))}, r"labels have shape \(6, 1\): expected \(6, 4\)"),
        ({"labels": [0, 1, 2, 3, 4, 0]}, "a label of image 4 is 4: expected a class, from 0 to 3"),
        ({"labels": [0, 1, -1, 3, 3, 0]}, "a label of image 2 is -1"),
        ({"labels": [0, 0.5, 1, 3, 3, 0]}, "a label of image 1 is 0.5"),
        ({"labels": np.eye(6, 4) * 2}, "a label of image 0 is 2: expected 0 or 1"),
        ({"classes": ["a", "b", "c", "a"]}, "expected names, each once"),
        ({"classes": "abcd"}, "classes are 'abcd': expected names"),
        ({"classes": []}, "expected names"),
        ({"classes": 4}, "classes are 4"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "probabilities": PROBABILITIES, "losses": np.zeros(6), "labels": LABELS, "classes": CLASSES,
    }  # fmt: skip
    with pytest.raises(TrainingError, match=message) as caught:
        Evaluation(**{**given, **change})
    assert "\n" not in str(caught.value)
    Evaluation(**given)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda e: e.worst(0), "count is 0: expected a whole number of at least 1"),
        (lambda e: e.most_confused(0), "min_count is 0"),
        (lambda e: e.top_k(0), "k is 0"),
        (lambda e: e.top_k(1.5), "k is 1.5"),
    ],
)
def test_a_senseless_count_is_refused(ask: Callable[[Evaluation], Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        ask(digits())


def test_float32_may_round_beyond_one() -> None:
    certain = np.array([[1.0000001, 0.0]], dtype=np.float32)
    assert certain[0, 0] > 1
    assert Evaluation(certain, [0.0], [0], ["a", "b"]).accuracy == 1.0

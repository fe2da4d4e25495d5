"""What a trained network says of a data set, and how often it is right.

Networks of one label an image (softmax) and of several (sigmoid) are told apart by the shape
of the labels. What a number means is said where it is computed; people read pandas frames.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import TrainingError
from ..layers.validation import numbers, shown
from ..spelling import suggestion
from .fields import whole

if TYPE_CHECKING:
    import pandas as pd

Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]
Metric = Callable[["Evaluation"], float]

#: A network of several labels says that one is there above this probability, as in fast.ai.
THRESHOLD = 0.5


class Evaluation:
    """A network's answers to images whose labels are known.

    Args:
        probabilities: (images, classes), what softmax or sigmoid gives.
        losses: (images,), the loss of each.
        labels: (images,), the numbers of their classes; or for a network of several labels
            (images, classes), 1 where an image has the label, else 0.
        classes: their names.

    Attributes:
        is_multi_label: whether an image can have several labels, or none.

    Raises:
        TrainingError: shapes do not fit together, there are no images, a number is NaN, or a
            label is no class.

    Example:
        >>> answers = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
        >>> evaluation = Evaluation(answers, [0.105, 0.223, 0.916], [0, 1, 1], ["cat", "dog"])
        >>> round(evaluation.accuracy, 3)
        0.667
        >>> evaluation.confusion
        predicted  cat  dog
        actual
        cat          1    0
        dog          1    1
    """

    def __init__(
        self,
        probabilities: ArrayLike,
        losses: ArrayLike,
        labels: ArrayLike,
        classes: Sequence[str],
    ) -> None:
        listed = isinstance(classes, Sequence | np.ndarray) and not isinstance(classes, str)
        self.classes = [str(name) for name in classes] if listed else []
        if len(set(self.classes)) < (len(self.classes) or 1):
            raise TrainingError(f"classes are {shown(classes)}: expected names, each once")
        self.probabilities = _array("probabilities", probabilities)
        images = len(self.probabilities) if self.probabilities.ndim else 0
        _require_shape("probabilities", self.probabilities, (images, len(self.classes)))
        if not images:
            raise TrainingError("there are no images: give at least one to evaluate a network")
        low, high = float(self.probabilities.min()), float(self.probabilities.max())
        # What is rounded in float32 may lie a little beyond 1.
        if low < 0 or high > 1 + 1e-6:
            raise TrainingError(
                f"probabilities reach from {low:g} to {high:g}: expected 0 to 1, as softmax or "
                "sigmoid gives them"
            )
        self.losses = _array("losses", losses)
        _require_shape("losses", self.losses, (images,))
        given = _array("labels", labels)
        self.is_multi_label = given.ndim == 2
        _require_shape("labels", given, self.probabilities.shape[: given.ndim or 1])
        highest = 1 if self.is_multi_label else len(self.classes) - 1
        wrong = np.flatnonzero((given < 0) | (given > highest) | (given != np.floor(given)))
        if wrong.size:
            expected = "0 or 1" if self.is_multi_label else f"a class, from 0 to {highest}"
            value, image = given.flat[wrong[0]], wrong[0] // (given.size // images)
            raise TrainingError(f"a label of image {image} is {value:g}: expected {expected}")
        self.labels: Integers = given.astype(np.int64)

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.labels)

    # --- Every network

    @cached_property
    def predicted(self) -> Integers:
        """What the network says, shaped as the labels.

        The class with the highest probability, the first of equals; of several labels, 1
        where the probability is above 0.5.
        """
        if self.is_multi_label:
            return np.where(self.probabilities > THRESHOLD, 1, 0)
        highest: Integers = self.probabilities.argmax(axis=1)
        return highest

    @property
    def accuracy(self) -> float:
        """The share of images that are right; of several labels, the share of labels."""
        return float((self.predicted == self.labels).mean())

    @cached_property
    def right(self) -> Flags:
        """(images,), whether all labels of an image are right."""
        right: Flags = (self.predicted == self.labels).reshape(len(self), -1).all(axis=1)
        return right

    @property
    def exact(self) -> float:
        """The share of images that are right in all labels."""
        return float(self.right.mean())

    @property
    def loss(self) -> float:
        """The mean loss."""
        return float(self.losses.mean())

    @cached_property
    def per_class(self) -> pd.DataFrame:
        """One row a class: images, right, recall, precision and f1.

        `images` have the class as label, and `right` of them are said to be of it. `recall`
        is their share, the class's own accuracy; `precision` is the share of right ones among
        those that are said to be of the class; `f1` is the harmonic mean of both. NaN is what
        has no images to be computed from. Of several labels each has `accuracy`, too: the
        share of images where it is rightly said to be there or not.

        Example:
            >>> answers = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
            >>> Evaluation(answers, [0.1, 0.2, 0.9], [0, 1, 1], ["cat", "dog"]).per_class.round(2)
                   images  right  recall  precision    f1
            class
            cat         1      1     1.0        0.5  0.67
            dog         2      1     0.5        1.0  0.67
        """
        import pandas as pd

        if self.is_multi_label:
            images, said = self.labels.sum(axis=0), self.predicted.sum(axis=0)
            right = (self.labels & self.predicted).sum(axis=0)
        else:
            images, said = self._counts.sum(axis=1), self._counts.sum(axis=0)
            right = self._counts.diagonal()
        columns = {"images": images, "right": right}
        if self.is_multi_label:
            columns["accuracy"] = (self.labels == self.predicted).mean(axis=0)
        with np.errstate(invalid="ignore"):
            columns["recall"], columns["precision"] = right / images, right / said
            columns["f1"] = 2 * right / (images + said)
        return pd.DataFrame(columns, index=pd.Index(self.classes, name="class"))

    @property
    def f1(self) -> float:
        """The mean f1 of the classes that are a label or are said to be one."""
        values = self.per_class["f1"].dropna()
        return float(values.mean()) if len(values) else float("nan")

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row an image: loss, label, predicted, probability, label_probability.

        `probability` is what the network gives to what it says, `label_probability` what it
        gives to the label. Of several labels, both are of the whole set: the product over all
        classes of the probability that each is there, or is not. An empty set is `none`.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "loss": self.losses,
                "label": self._named(self.labels),
                "predicted": self._named(self.predicted),
                "probability": self._probability(self.predicted),
                "label_probability": self._probability(self.labels),
            },
        ).rename_axis("image")

    def worst(self, count: int = 9) -> pd.DataFrame:
        """The images with the highest losses, as rows of `predictions`.

        Args:
            count: how many at most. Default 9.

        Raises:
            TrainingError: it is less than 1.

        Example:
            >>> answers = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
            >>> Evaluation(answers, [0.1, 0.2, 0.9], [0, 1, 1], ["cat", "dog"]).worst(1)
                   loss label predicted  probability  label_probability
            image
            2       0.9   dog       cat          0.6                0.4
        """
        order = np.argsort(-self.losses, kind="stable")
        return self.predictions.iloc[order[: whole("worst", "count", count, 1)]]

    def metrics(self, names: Sequence[str] | str = ("accuracy",)) -> dict[str, float]:
        """Metrics by their names; see `METRICS`.

        Raises:
            TrainingError: a name is unknown, or has no meaning for this network.

        Example:
            >>> evaluation = Evaluation([[0.9, 0.1], [0.6, 0.4]], [0.1, 0.9], [0, 1], ["a", "b"])
            >>> evaluation.metrics(["accuracy", "top-2"])
            {'accuracy': 0.5, 'top-2': 1.0}
        """
        names = [names] if isinstance(names, str) else names
        return {name: metric(name)(self) for name in names}

    # --- Networks of one label

    def top_k(self, k: int) -> float:
        """The share of images whose label is among the k classes with the highest probability.

        Args:
            k: how many; of equal probabilities the first class counts as higher.

        Raises:
            TrainingError: there are fewer classes, or the images have several labels.
        """
        self._require_one_label(f"top-{k}")
        if whole("top_k", "k", k, 1) > len(self.classes):
            raise TrainingError(
                f"top-{k} of {len(self.classes)} classes would always be right: take a smaller "
                "number"
            )
        own = np.take_along_axis(self.probabilities, self.labels[:, None], axis=1)
        before = np.arange(len(self.classes)) < self.labels[:, None]
        ahead = (self.probabilities > own) | ((self.probabilities == own) & before)
        return float((ahead.sum(axis=1) < k).mean())

    @property
    def confusion(self) -> pd.DataFrame:
        """How many images of each class (a row) are said to be of each class (a column).

        Raises:
            TrainingError: the images have several labels.
        """
        import pandas as pd

        self._require_one_label("a confusion matrix")
        return pd.DataFrame(
            self._counts,
            index=pd.Index(self.classes, name="actual"),
            columns=pd.Index(self.classes, name="predicted"),
        )

    def most_confused(self, min_count: int = 2) -> pd.DataFrame:
        """The pairs of classes that are taken for each other, the most frequent first.

        Args:
            min_count: pairs with fewer images are left out. Default 2.

        Returns:
            Columns actual, predicted and count.

        Raises:
            TrainingError: `min_count` is less than 1, or the images have several labels.

        Example:
            >>> answers = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
            >>> evaluation = Evaluation(answers, [0.1, 0.2, 0.9], [0, 1, 1], ["cat", "dog"])
            >>> evaluation.most_confused(min_count=1)
              actual predicted  count
            0    dog       cat      1
        """
        import pandas as pd

        self._require_one_label("pairs of confused classes")
        off = self._counts - np.diag(self._counts.diagonal())
        actual, said = np.nonzero(off >= whole("most_confused", "min_count", min_count, 1))
        order = np.argsort(-off[actual, said], kind="stable")
        actual, said = actual[order], said[order]
        names = np.array(self.classes, dtype=object)
        return pd.DataFrame(
            {"actual": names[actual], "predicted": names[said], "count": off[actual, said]}
        )

    @cached_property
    def _counts(self) -> Integers:
        """(actual, predicted), how many images."""
        size = len(self.classes)
        pairs = np.bincount(self.labels * size + self.predicted, minlength=size * size)
        return pairs.reshape(size, size).astype(np.int64)

    def _require_one_label(self, what: str) -> None:
        if self.is_multi_label:
            raise TrainingError(
                f"{what} is for images of one label, and these may have several: see per_class for "
                "each label, exact for whole images"
            )

    def _named(self, numbers: Integers) -> list[str]:
        """What people read for labels or predictions."""
        if not self.is_multi_label:
            return [self.classes[number] for number in numbers]
        names = np.array(self.classes, dtype=object)
        return [", ".join(names[row]) or "none" for row in numbers.astype(bool)]

    def _probability(self, numbers: Integers) -> Numbers:
        """(images,), what the network gives to labels or predictions."""
        if self.is_multi_label:
            each = np.where(numbers, self.probabilities, 1 - self.probabilities)
            return np.asarray(each.prod(axis=1))
        return np.take_along_axis(self.probabilities, numbers[:, None], axis=1)[:, 0]


#: What `Evaluation.metrics` and training compute by name. Besides these there is top-K for
#: every K.
METRICS: dict[str, Metric] = {
    "accuracy": lambda evaluation: evaluation.accuracy,
    "error-rate": lambda evaluation: 1.0 - evaluation.accuracy,
    "exact": lambda evaluation: evaluation.exact,
    "f1": lambda evaluation: evaluation.f1,
    "top-2": lambda evaluation: evaluation.top_k(2),
    "top-3": lambda evaluation: evaluation.top_k(3),
    "top-5": lambda evaluation: evaluation.top_k(5),
}


def metric(name: str) -> Metric:
    """The metric of a name, so that a misspelt one is refused before a network is trained.

    Args:
        name: one of `METRICS`, or top-K with any whole number K.

    Raises:
        TrainingError: it is unknown.

    Example:
        >>> metric("acuracy")
        Traceback (most recent call last):
        sheetconv.errors.TrainingError: metric 'acuracy' is unknown: did you mean accuracy? Known
        are accuracy, error-rate, exact, f1, top-2, top-3, top-5
    """
    if isinstance(name, str) and name in METRICS:
        return METRICS[name]
    found = re.fullmatch(r"top-([1-9][0-9]{0,5})", name) if isinstance(name, str) else None
    if not found:
        raise TrainingError(
            f"metric {shown(name)} is unknown{suggestion(str(name), list(METRICS))}"
        )
    k = int(found[1])
    return lambda evaluation: evaluation.top_k(k)


def _array(what: str, value: Any) -> Numbers:
    """An array of numbers none of which is NaN.

    Raises:
        TrainingError: it is none.
    """
    try:
        array = numbers(value)
    except ValueError as error:
        raise TrainingError(f"{what} are {error}") from None
    bad = np.argwhere(np.isnan(array))
    if len(bad):
        raise TrainingError(
            f"{what} hold NaN, first of image {bad[0][0] if array.ndim else 0}: if training "
            "diverged, take a lower learning rate"
        )
    return array


def _require_shape(what: str, array: Numbers, expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise TrainingError(
            f"{what} have shape {array.shape}: expected {expected}, as there are {expected[0]} "
            "images" + (f" and {expected[1]} classes" if len(expected) > 1 else "")
        )

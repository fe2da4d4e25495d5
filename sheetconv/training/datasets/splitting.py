"""Which examples are kept back for validation: the same ones on every computer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...layers.validation import shown
from .base import Dataset
from .memory import require_memory


def split(dataset: Dataset, share: float, seed: int = 0) -> tuple[Dataset, Dataset]:
    """A data set in two: for training and for validation.

    Of every class the same share goes to validation, rounded, and at least one example to
    either side. Where an image has several labels, the share is drawn from all images alike.
    The order of the examples is kept. NumPy guarantees the numbers that are drawn by, so that
    a seed means the same examples everywhere.

    Args:
        dataset: what is split.
        share: of the examples, how many are for validation: above 0 and below 1.
        seed: which examples these are. Default 0.

    Returns:
        The examples for training and those for validation, as copies.

    Raises:
        DataError: the share or the seed is none, a class has only one example, or the copies do
            not fit into memory.

    Example:
        >>> data = Dataset(np.arange(10.0).reshape(10, 1), np.repeat([0, 1], [6, 4]), ("a", "b"))
        >>> train, valid = split(data, 0.5)
        >>> train.labels, valid.labels
        (array([0, 0, 0, 1, 1]), array([0, 0, 0, 1, 1]))
        >>> valid.images[:, 0]
        array([1., 2., 3., 6., 8.])
    """
    check_share(share)
    check_seed(seed)
    require_memory(dataset.images.nbytes, "splitting the images into training and validation")
    # The stream of a bit generator never changes; that of a shuffle may, with NumPy's version.
    order = np.argsort(np.random.PCG64(seed).random_raw(len(dataset)), kind="stable")
    chosen = np.zeros(len(dataset), dtype=bool)
    for members in _groups(dataset, order):
        chosen[members[: _kept_back(len(members), share)]] = True
    return dataset.subset(np.flatnonzero(~chosen)), dataset.subset(np.flatnonzero(chosen))


def check_share(share: float) -> None:
    """Refuse a share for validation that leaves nothing on one side.

    Raises:
        DataError: it is no number above 0 and below 1.

    Example:
        >>> check_share(20)
        Traceback (most recent call last):
        sheetconv.errors.DataError: share for validation is 20: expected above 0 and below 1
    """
    is_number = isinstance(share, int | float | np.number) and not isinstance(share, bool)
    if not is_number or not 0 < share < 1:
        raise DataError(f"share for validation is {shown(share)}: expected above 0 and below 1")


def check_seed(seed: int) -> None:
    """Refuse what is no seed.

    Raises:
        DataError: it is no whole number of at least 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise DataError(f"seed is {shown(seed)}: expected a whole number of at least 0")


def _groups(dataset: Dataset, order: NDArray[np.intp]) -> list[NDArray[Any]]:
    """The examples that are split by themselves, each group in the order drawn."""
    if dataset.is_multi_label:
        if len(dataset) < 2:
            raise DataError(
                f"there is {len(dataset)} example to split into training and validation: expected "
                "at least 2"
            )
        return [order]
    labels = dataset.labels[order]
    groups = []
    for number, name in enumerate(dataset.classes):
        members = order[labels == number]
        if len(members) == 1:
            raise DataError(
                f"the class {name!r} has only one example (number {members[0]}): expected at "
                "least 2, one for training and one for validation"
            )
        groups.append(members)
    return groups


def _kept_back(count: int, share: float) -> int:
    if not count:
        return 0
    return min(max(math.floor(count * share + 0.5), 1), count - 1)

"""Labels as people write them, numbers or words, as the numbers of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...layers.validation import shown
from ...spelling import suggestion
from .base import check_classes


def numbered(
    labels: Any, where: str, classes: Sequence[str] | None = None, *, by_name: bool = False
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The labels as a `Dataset` holds them, and the names of the classes.

    Args:
        labels: (N,) whole numbers or words; or (N, labels) of 0 and 1.
        where: what they are called, for the error.
        classes: the names in the order of the numbers. Default: every label that occurs is a
            class, named as it is written, in their order; columns are numbered.
        by_name: whether a number is the name of a class, as for the labels of a validation
            part whose training part came without names. Default False: numbers count the
            classes from 0.

    Raises:
        DataError: a label is neither a whole number nor a word, or is none of the classes.

    Example:
        >>> numbered(["dog", "cat", "dog"], "labels")
        (array([1, 0, 1]), ('cat', 'dog'))
        >>> numbered([7, 3, 7], "labels")
        (array([1, 0, 1]), ('3', '7'))
    """
    array = _array(labels, where)
    names = None
    if classes is not None:
        names = (classes,) if isinstance(classes, str) else tuple(map(str, classes))
        check_classes(names, f"{where}: classes")
    is_text = array.dtype.kind == "U"
    if array.ndim == 2 and not is_text and ((array == 0) | (array == 1)).all():
        if names is None:
            names = tuple(map(str, range(array.shape[1])))
        if len(names) != array.shape[1]:
            raise DataError(
                f"{where} has {array.shape[1]} columns: expected {len(names)}, one for each of "
                f"the classes {shown(', '.join(names))}"
            )
        return array.astype(np.uint8), names
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(_shape_refused(array, where))
    if not is_text:
        array = _whole(array, where)
    values, inverse = np.unique(array, return_inverse=True)
    written = [str(value) for value in values]
    if names is None:
        names = tuple(written)
        numbers = np.arange(len(names))
    elif is_text or by_name:
        numbers = _looked_up(written, names, inverse, where)
    else:
        _check_range(array, len(names), where)
        numbers = values
    return numbers[inverse].astype(np.int64, copy=False), names


def require_two_classes(labels: NDArray[Any], classes: Sequence[str], where: str) -> None:
    """Refuse labels that tell nothing apart.

    Raises:
        DataError: all examples have the same class, or there are none.
    """
    if not len(labels):
        raise DataError(f"{where} is empty: expected at least two examples")
    if labels.ndim == 1 and (labels == labels[0]).all():
        raise DataError(
            f"{where} has only one class, {classes[labels[0]]!r}: expected examples of two or more "
            "to tell apart"
        )


def _array(labels: Any, where: str) -> NDArray[Any]:
    """An array of numbers or texts."""
    try:
        array = np.asarray(labels)
    # Rows of different lengths; a tensor that waits for its gradient.
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{where} is not an array of labels: {shown(str(error))}") from None
    if array.dtype.kind == "O" and all(isinstance(value, str) for value in array.flat):
        return array.astype(np.str_)
    if array.dtype.kind not in "biufU":
        raise DataError(f"{where} holds {array.dtype}: expected whole numbers or texts")
    return array


def _whole(array: NDArray[Any], where: str) -> NDArray[Any]:
    """Numbers of any kind as whole ones."""
    if array.dtype.kind == "f":
        good = np.isfinite(array)
        good[good] = array[good] == np.floor(array[good])
        if not good.all():
            place = int(np.argmin(good))
            raise DataError(f"{where}[{place}] is {array[place]}: expected a whole number")
    # Beyond these, some numbers have no name of their own as a double.
    if array.size and (array.max() > 2**53 or array.min() < -(2**53)):
        raise DataError(f"{where} holds numbers beyond 2**53: expected numbers of classes")
    return array.astype(np.int64)


def _check_range(array: NDArray[Any], count: int, where: str) -> None:
    wrong = np.flatnonzero((array < 0) | (array >= count))
    if wrong.size:
        raise DataError(
            f"{where}[{wrong[0]}] is {array[wrong[0]]}: expected 0 to {count - 1}, the number of "
            f"one of {count} classes"
        )


def _looked_up(
    written: Sequence[str], names: Sequence[str], inverse: NDArray[Any], where: str
) -> NDArray[np.int64]:
    places = {name: number for number, name in enumerate(names)}
    for number, name in enumerate(written):
        if name not in places:
            place = int(np.argmax(inverse == number))
            raise DataError(
                f"{where}[{place}] is {shown(name)}, which is none of the classes"
                f"{suggestion(name, list(names))}"
            )
    return np.array([places[name] for name in written], dtype=np.int64)


def _shape_refused(array: NDArray[Any], where: str) -> str:
    expected = "(N,) numbers of classes or (N, labels) of 0 and 1"
    if array.ndim == 2 and array.dtype.kind != "U":
        wrong = tuple(int(n) for n in np.argwhere((array != 0) & (array != 1))[0])
        return f"{where}[{wrong[0]}, {wrong[1]}] is {array[wrong]}: expected {expected}"
    return f"{where} has the shape {array.shape}: expected {expected}"

"""The images and labels that a trainer takes, as they are stored: converted batch by batch.

A `Dataset` holds bytes as bytes: sixty thousand pictures of 28 x 28 take 47 MB, as float64
they would take 376. What is asked of it costs as much memory as what it returns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...errors import DataError
from ...formulas import Shape
from ...layers.base import Array
from ...layers.validation import shown

#: Which images: a slice, their numbers, or one truth value for each.
Indices = slice | Sequence[int] | NDArray[Any]

# So many pixels at a time stay in a core's cache as float64.
_CHUNK = 2**16
# Numbers that differ by less than this part of their mean are the same.
_SAME = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Images, their labels, and the names of their classes.

    Attributes:
        images: (N, channels, height, width) or (N, features), as uint8, float32 or float64.
        labels: (N,) numbers of classes, as int64; or (N, labels) of 0 and 1, as uint8, where
            an image has any number of labels.
        classes: the names of the classes, or of the labels.
        scale: what a pixel is multiplied by to become the network's number: 1/255 for bytes
            from 0 to 255. Default 1.

    Raises:
        DataError: an array has another shape or type, there are not as many labels as images,
            or a label is none of the classes.

    Example:
        >>> pixels = np.array([0, 51, 102, 255], np.uint8).reshape(2, 1, 1, 2)
        >>> data = Dataset(pixels, np.array([1, 0]), ("cat", "dog"), scale=1 / 255)
        >>> len(data), data.image_shape, data.is_multi_label
        (2, (1, 1, 2), False)
        >>> data.numbers([0])
        array([[[[0. , 0.2]]]])
    """

    images: NDArray[Any]
    labels: NDArray[Any]
    classes: tuple[str, ...]
    scale: float = 1.0

    def __post_init__(self) -> None:
        _check_images(self.images)
        check_classes(self.classes)
        _check_labels(self.labels, len(self.images), self.classes)
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise DataError(f"scale is {shown(self.scale)}: expected a number above 0")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> Shape:
        """(channels, height, width) or (features,)."""
        return self.images.shape[1:]

    @property
    def is_multi_label(self) -> bool:
        """Whether an image has any number of labels instead of one class."""
        return self.labels.ndim == 2

    def subset(self, indices: Indices) -> Dataset:
        """Some of the images, in the order of `indices`: a copy, or a view for a slice.

        Example:
            >>> data = Dataset(np.eye(3), np.array([0, 1, 0]), ("a", "b"))
            >>> data.subset([2, 0]).images
            array([[0., 0., 1.],
                   [1., 0., 0.]])
        """
        return Dataset(
            _rows(self.images, indices), _rows(self.labels, indices), self.classes, self.scale
        )

    def numbers(self, indices: Indices, dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """The network's numbers for some of the images: pixels times `scale`.

        Args:
            indices: which images, in their order.
            dtype: float32 or float64. Default float64.

        Returns:
            (n, channels, height, width) or (n, features): an array of its own, which the
            caller may change.
        """
        chosen = _rows(self.images, indices)
        # Only a slice is a view of what is stored.
        out: NDArray[Any] = chosen.astype(dtype, copy=isinstance(indices, slice))
        if self.scale != 1:
            out *= self.scale
        return out

    def statistics(self) -> tuple[Array, Array]:
        """Mean and standard deviation of each channel's numbers.

        Features are channels of one number each. A channel in which nothing differs has the
        standard deviation 0.

        Returns:
            Two float64 arrays of shape (channels,): of all pixels of all images, with N as
            the divisor.

        Raises:
            DataError: there are no images.

        Example:
            >>> data = Dataset(np.array([[0.0, 5.0], [4.0, 5.0]]), np.array([0, 1]), ("a", "b"))
            >>> data.statistics()
            (array([2., 5.]), array([2., 0.]))
        """
        if not len(self):
            raise DataError("there are no images: a mean needs at least one")
        channels = self.images.shape[1]
        step = max(1, _CHUNK // prod(self.image_shape))
        count = 0
        mean, squares = np.zeros(channels), np.zeros(channels)
        # Means and sums of squares of parts are merged: no difference of large sums is taken.
        for start in range(0, len(self), step):
            part = self.numbers(slice(start, start + step))
            part = part.reshape(len(part), channels, -1)
            size = part.shape[0] * part.shape[2]
            own = part.mean(axis=(0, 2))
            part -= own[:, np.newaxis]
            shift = own - mean
            count += size
            squares += np.einsum("ncp,ncp->c", part, part)
            squares += shift**2 * (size * (count - size) / count)
            mean += shift * (size / count)
        std = np.sqrt(squares / count)
        # Where nothing differs, the mean's own rounding is left.
        return mean, np.where(std > _SAME * np.abs(mean), std, 0.0)


def _rows(array: NDArray[Any], indices: Indices) -> NDArray[Any]:
    if isinstance(indices, slice):
        return array[indices]
    chosen = np.asarray(indices)
    # An empty list has no type of its own.
    if not chosen.size:
        return array[:0].copy()
    taken: NDArray[Any] = array[chosen] if chosen.dtype == np.bool_ else array.take(chosen, axis=0)
    return taken


def _check_images(images: NDArray[Any]) -> None:
    if images.ndim not in (2, 4) or min(images.shape[1:]) < 1:
        raise DataError(
            f"images has the shape {images.shape}: expected (N, channels, height, width) or "
            "(N, features)"
        )
    if images.dtype not in (np.uint8, np.float32, np.float64):
        raise DataError(f"images holds {images.dtype}: expected uint8, float32 or float64")


def check_classes(classes: Sequence[str], where: str = "classes") -> None:
    """Refuse names that do not tell the classes apart.

    Raises:
        DataError: a name is empty or no text, or stands twice.
    """
    if isinstance(classes, str) or not all(isinstance(name, str) and name for name in classes):
        raise DataError(f"{where} is {shown(classes)}: expected names, none of them empty")
    if len(set(classes)) < len(classes):
        twice = next(name for name in classes if classes.count(name) > 1)
        raise DataError(f"{where} has {shown(twice)} twice: expected a name of its own for each")


def _check_labels(labels: NDArray[Any], images: int, classes: tuple[str, ...]) -> None:
    if labels.ndim not in (1, 2):
        raise DataError(f"labels has the shape {labels.shape}: expected (N,) or (N, labels)")
    if len(labels) != images:
        raise DataError(
            f"there are {images:,} images and {len(labels):,} labels: expected a label for each "
            "image"
        )
    several = labels.ndim == 2
    if several and labels.shape[1] != len(classes):
        raise DataError(
            f"labels has {labels.shape[1]} columns and classes {len(classes)} names: expected a "
            "name for each column"
        )
    expected = np.uint8 if several else np.int64
    if labels.dtype != expected:
        raise DataError(f"labels holds {labels.dtype}: expected {np.dtype(expected)}")
    last = 1 if several else len(classes) - 1
    if labels.size and (labels.min() < 0 or labels.max() > last):
        wrong = tuple(int(n) for n in np.argwhere((labels < 0) | (labels > last))[0])
        place = ", ".join(map(str, wrong))
        kind = "" if several else f", the number of one of {len(classes)} classes"
        raise DataError(f"labels[{place}] is {labels[wrong]}: expected 0 to {last}{kind}")

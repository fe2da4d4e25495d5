"""Images and labels from arrays of any kind: every source but its reading ends here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...formulas import Shape
from ...layers.validation import shown
from .base import Dataset
from .labels import numbered, require_two_classes
from .splitting import check_seed, check_share, split

#: What a byte of a picture is multiplied by.
BYTE = 1 / 255

# So many numbers at a time are looked at.
_CHUNK = 2**20
# Channels that a picture may have: grey, colours, and transparency.
_FEW_CHANNELS = (1, 3, 4)


@dataclass(frozen=True, slots=True)
class Examples:
    """Images and labels as they come, and what they are called in errors."""

    images: Any
    labels: Any
    images_name: str = "images"
    labels_name: str = "labels"


def datasets_of(
    train: Examples,
    valid: Examples | float,
    classes: Sequence[str] | None = None,
    *,
    seed: int = 0,
    image_shape: Shape | None = None,
    scale: float | None = None,
) -> tuple[Dataset, Dataset]:
    """The data sets for training and for validation.

    Args:
        train: the examples, see `Data.from_arrays`.
        valid: those for validation, or the share of `train` that becomes them.
        classes, seed, image_shape, scale: as for `Data.from_arrays`.

    Raises:
        DataError: as for `Data.from_arrays`.
    """
    if not isinstance(valid, Examples):
        check_share(valid)
        check_seed(seed)
    image_shape = None if image_shape is None else as_shape(image_shape)
    images, own_scale = _pixels(train.images, train.images_name)
    images = _in_shape(images, image_shape, train.images_name)
    labels, names = numbered(train.labels, train.labels_name, classes)
    _check_counts(images, labels, train)
    require_two_classes(labels, names, train.labels_name)
    if not isinstance(valid, Examples):
        whole = Dataset(images, labels, names, own_scale if scale is None else scale)
        try:
            return split(whole, valid, seed)
        except DataError as error:
            raise DataError(f"{train.labels_name}: {error}") from None
    judged, its_scale = _pixels(valid.images, valid.images_name)
    judged = _in_shape(judged, image_shape, valid.images_name)
    answers, _ = numbered(valid.labels, valid.labels_name, names, by_name=classes is None)
    _check_counts(judged, answers, valid)
    if not len(judged):
        raise DataError(f"{valid.images_name} is empty: expected examples for validation")
    for what, one, other in (
        ("shape", images.shape[1:], judged.shape[1:]),
        ("type", images.dtype, judged.dtype),
        ("number of labels", labels.shape[1:], answers.shape[1:]),
    ):
        if one != other:
            raise DataError(
                f"{train.images_name} and {valid.images_name} differ in their {what}, {one} and "
                f"{other}: expected the same"
            )
    # Where one of them has bytes above 1, those of the other are on the same scale.
    scale = min(own_scale, its_scale) if scale is None else scale
    return Dataset(images, labels, names, scale), Dataset(judged, answers, names, scale)


def as_shape(shape: Sequence[Any]) -> Shape:
    """A shape of images, checked.

    Raises:
        DataError: it is neither (channels, height, width) nor (features,).
    """
    try:
        sizes = tuple(int(size) for size in shape)
    except (TypeError, ValueError):
        sizes = ()
    if len(sizes) not in (1, 3) or min(sizes) < 1:
        raise DataError(
            f"image_shape is {shown(shape)}: expected (channels, height, width) or (features,)"
        )
    return sizes


def _check_counts(images: NDArray[Any], labels: NDArray[Any], examples: Examples) -> None:
    if len(images) != len(labels):
        raise DataError(
            f"{examples.images_name} holds {len(images):,} images and {examples.labels_name} "
            f"{len(labels):,} labels: expected a label for each image"
        )


def _pixels(images: Any, where: str) -> tuple[NDArray[Any], float]:
    """The images in a type that a `Dataset` holds, and what to multiply them by.

    Whole numbers from 0 to 255 are bytes, where one is above 1: then 255 becomes 1.
    """
    array = _numeric(images, where)
    if array.dtype.kind in "biu":
        if not array.size or (array.min() >= 0 and array.max() <= 255):
            scale = BYTE if array.size and array.max() > 1 else 1.0
            return array.astype(np.uint8, copy=False), scale
        return array.astype(np.float64), 1.0
    kind = np.float32 if array.dtype.itemsize <= 4 else np.float64
    with np.errstate(over="ignore"):
        array = array.astype(kind, copy=False)
    _check_finite(array, where)
    return array, 1.0


def _numeric(images: Any, where: str) -> NDArray[Any]:
    try:
        array = np.asarray(images)
    # Rows of different lengths; a tensor that waits for its gradient.
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{where} is not an array of numbers: {shown(str(error))}") from None
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where} holds {array.dtype}: expected uint8 or floats")
    return array


def _check_finite(array: NDArray[Any], where: str) -> None:
    step = max(1, _CHUNK // max(1, prod(array.shape[1:])))
    for start in range(0, len(array), step):
        good = np.isfinite(array[start : start + step])
        if not good.all():
            first, *rest = (int(n) for n in np.argwhere(~good)[0])
            place = (start + first, *rest)
            raise DataError(
                f"{where}[{', '.join(map(str, place))}] is {array[place]}: expected finite numbers"
            )


def _in_shape(images: NDArray[Any], shape: Shape | None, where: str) -> NDArray[Any]:
    """The images as (N, channels, height, width) or (N, features)."""
    if images.ndim == 3:
        images = images[:, np.newaxis]
    if images.ndim not in (2, 4) or min(images.shape[1:]) < 1:
        raise DataError(
            f"{where} has the shape {images.shape}: expected (N, height, width), (N, channels, "
            "height, width) or (N, features)"
        )
    own = images.shape[1:]
    channels_last = len(own) == 3 and own[0] not in _FEW_CHANNELS and own[2] in _FEW_CHANNELS
    if shape is None:
        if channels_last:
            raise DataError(
                f"{where} has the shape {images.shape}, in which the channels seem to be last: "
                "expected (N, channels, height, width); transpose it, or give image_shape"
            )
        return images
    if own == shape:
        return images
    if len(own) == 3 and (own[2], own[0], own[1]) == shape:
        return np.ascontiguousarray(np.moveaxis(images, -1, 1))
    # A list of pixels and a picture are the same numbers in the same order.
    if 1 in (len(own), len(shape)) and prod(own) == prod(shape):
        return images.reshape(len(images), *shape)
    raise DataError(
        f"{where} has images of the shape {own}, {prod(own):,} numbers: expected {shape}"
    )

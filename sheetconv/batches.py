"""What a user gives as the image of a network: one or several, with or without channels."""

from __future__ import annotations

from typing import Any

from .errors import ShapeError
from .formulas import Shape
from .layers.base import Array
from .layers.validation import numbers
from .network import Sequential


def batch_of(network: Sequential, image_shape: Shape) -> tuple[int, Shape]:
    """How many images an array is, and the shape of one as the network takes it.

    Args:
        network: the layers. They tell (height, width) of one channel from
            (images, features): it is the former, unless they take only the latter.
        image_shape: (height, width), (channels, height, width) or (features,); or with
            several images first, (images, channels, height, width) or (images, features).

    Raises:
        ShapeError: it is none of these.

    Example:
        >>> from sheetconv import Conv2d, Linear
        >>> conv, dense = Sequential(Conv2d(1, 2, 3)), Sequential(Linear(64, 10))
        >>> batch_of(conv, (28, 28)), batch_of(conv, (3, 1, 28, 28))
        ((1, (1, 28, 28)), (3, (1, 28, 28)))
        >>> batch_of(dense, (64,)), batch_of(dense, (5, 64))
        ((1, (64,)), (5, (64,)))
    """
    shape = tuple(image_shape)
    if min(shape, default=1) < 1:
        raise ShapeError(f"the image has shape {shape}: every length must be at least 1")
    if not 1 <= len(shape) <= 4:
        raise ShapeError(
            f"the image has shape {shape}: expected (height, width), (channels, height, width), "
            "(features,), or several images: (images, channels, height, width)"
        )
    if len(shape) == 4:
        return shape[0], shape[1:]
    if len(shape) != 2:
        return 1, shape
    plane, vector = (1, *shape), shape[1:]
    if _takes(network, vector) and not _takes(network, plane):
        return shape[0], vector
    return 1, plane


def as_batch(network: Sequential, image: Any) -> Array:
    """The images as float64, the batch first: NCHW, or (N, features).

    Args:
        network: as for `batch_of`.
        image: an array of any shape that `batch_of` knows, or lists of numbers.

    Raises:
        ShapeError: it is no array of numbers, or of another shape.
    """
    try:
        array = numbers(image)
    except ValueError:
        raise ShapeError("the image is not an array of numbers") from None
    batch, shape = batch_of(network, array.shape)
    return array.reshape(batch, *shape)


def _takes(network: Sequential, shape: Shape) -> bool:
    try:
        network.shapes(shape)
    except ShapeError:
        return False
    return True

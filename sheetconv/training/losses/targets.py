"""Checks of what a network is to learn: one clear TrainingError each."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import TrainingError
from ...layers.validation import shown
from .base import Targets


def target_array(loss: str, targets: Any) -> Targets:
    """Targets of one or two dimensions, of at least one image.

    Args:
        loss: its name, for the error.
        targets: what was given.

    Raises:
        TrainingError: they are something else.
    """
    try:
        array = np.asarray(targets)
    # A tensor that waits for its gradient gives a RuntimeError.
    except (TypeError, ValueError, RuntimeError):
        array = np.empty(0, object)
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
        raise TrainingError(
            f"{loss}: the targets are {shown(targets)}: expected an array of numbers, with one "
            "row or number for each image"
        )
    if not len(array):
        raise TrainingError(f"{loss}: there are no targets: expected at least one image")
    return array


def check_classes(loss: str, array: Targets, outputs: int) -> None:
    """Refuse what is not one class number for each image.

    Args:
        loss: its name, for the error.
        array: (n,) from `target_array`.
        outputs: how many classes there are.

    Raises:
        TrainingError: the type is none of whole numbers, or a class is out of range.
    """
    if array.dtype.kind not in "iu":
        raise TrainingError(
            f"{loss}: the targets are of type {array.dtype}: expected class numbers, integers "
            f"from 0 to {outputs - 1}"
        )
    outside = (array < 0) | (array >= outputs)
    if outside.any():
        image = int(np.argmax(outside))
        raise TrainingError(
            f"{loss}: image {image} is of class {array[image]}: expected 0 to {outputs - 1}, "
            f"since the network has {outputs} output{'s' if outputs > 1 else ''}"
        )


def check_numbers(loss: str, array: Targets, outputs: int, which: str) -> None:
    """Refuse what is not a finite number for each output of each image.

    Args:
        loss: its name, for the error.
        array: from `target_array`.
        outputs: how many outputs there are.
        which: the numbers that can be, for the error.

    Raises:
        TrainingError: the shape is not (n, outputs), or a number is infinite or NaN.
    """
    if array.shape[1:] != (outputs,):
        hint = ""
        if array.ndim == 1 and outputs == 1:
            hint = "; that is targets[:, None]"
        elif array.ndim == 1:
            hint = "; one class for each image takes the loss cross-entropy"
        raise TrainingError(
            f"{loss}: the targets have shape {array.shape}: expected ({len(array)}, {outputs}), "
            f"{which} for each of the network's outputs{hint}"
        )
    if not np.isfinite(array).all():
        raise TrainingError(f"{loss}: the targets hold NaN or infinity: expected numbers")

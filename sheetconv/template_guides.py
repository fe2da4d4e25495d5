"""The part of a template that says what explains its network: `[networks.guides]`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .errors import ShapeError
from .guides import KINDS, Guides
from .layers.base import Array
from .spelling import meant
from .toml_table import Table

#: The label of a picture of which none is known.
UNKNOWN = -1
_NONE = "none"


def read_guides(table: Table) -> Guides:
    """The guides that a table describes; the pictures come from the template's data.

    Raises:
        TemplateError: a key is unknown, or a value is not one that it takes.
    """
    left_out = table.get("leave_out", list, "a list of worksheets", []) or []
    for kind in left_out:
        if kind not in KINDS:
            guess = meant(kind, KINDS)
            raise table.error("leave_out", kind, f"names out of {', '.join(KINDS)}{guess}")
    kernels = table.get("kernels", bool, "true or false", False) or False
    matrix = table.get("matrix", str, "the name of a convolution")
    table.finish()
    return Guides(kernels=kernels, matrix=matrix, leave_out=tuple(left_out))


def picture_labels(labels: Array | None, classes: Sequence[str]) -> tuple[str, ...]:
    """The names of what pictures show.

    Args:
        labels: (count,) the number of each one's class, or -1; or (count, classes) of ones
            and zeros, where a picture can show several. None where nothing is known.
        classes: names of the outputs; empty for their numbers.

    Raises:
        ShapeError: they are no such numbers.

    Example:
        >>> picture_labels(np.array([1.0, -1.0]), ["cat", "dog"])
        ('dog', '')
        >>> picture_labels(np.array([[1.0, 1.0], [0.0, 0.0]]), ["bar", "dot"])
        ('bar, dot', 'none')
    """
    if labels is None:
        return ()
    if labels.ndim == 2 and np.isin(labels, (0, 1)).all():
        names = [*classes] or [str(k) for k in range(labels.shape[1])]
        if len(names) != labels.shape[1]:
            raise ShapeError(
                f"'labels' has shape {labels.shape}: expected one column for each of the "
                f"{len(names)} classes"
            )
        shown = [[n for n, is_on in zip(names, row, strict=True) if is_on] for row in labels]
        return tuple(", ".join(row) or _NONE for row in shown)
    most = len(classes) if classes else np.inf
    whole = labels.ndim == 1 and bool((labels == np.rint(labels)).all())
    if not whole or (labels < UNKNOWN).any() or (labels >= most).any():
        raise ShapeError(
            "'labels' holds what is no class: expected the number of each picture's class from 0, "
            f"or {UNKNOWN}"
        )
    numbers = [int(label) for label in labels]
    return tuple("" if k < 0 else classes[k] if classes else str(k) for k in numbers)

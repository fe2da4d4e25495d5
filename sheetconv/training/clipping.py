"""Clipping: gradients that are too large are made smaller before the step."""

from __future__ import annotations

import math

import numpy as np

from .fields import Numbers, real

# PyTorch's; without it a norm of 0 would be divided by.
_EPS = 1e-6


def gradient_norm(gradients: Numbers) -> float:
    """The length of a vector: the root of the sum of the squares.

    Args:
        gradients: (n,) all gradients of a network.

    Example:
        >>> gradient_norm(np.array([3.0, 4.0]))
        5.0
    """
    with np.errstate(all="ignore"):
        squares = float(np.dot(gradients, gradients))
        if np.finfo(gradients.dtype).tiny < squares < math.inf:
            return math.sqrt(squares)
        # The squares, not the norm, may be beyond what the type holds.
        largest = float(np.abs(gradients).max(initial=0.0))
        if not 0.0 < largest < math.inf:
            return largest
        scaled = gradients / largest
        return largest * math.sqrt(float(np.dot(scaled, scaled)))


def clip_norm(gradients: Numbers, max_norm: float) -> float:
    """Scale all gradients so that their norm is at most `max_norm`, in place.

    ::

        gradients * min(1, max_norm / (norm + 1e-6))

    as PyTorch's `clip_grad_norm_`. Where the norm is infinite or NaN nothing is changed.

    Args:
        gradients: (n,) all gradients of a network.
        max_norm: above 0.

    Returns:
        The norm before.

    Raises:
        TrainingError: `max_norm` is no number above 0.

    Example:
        >>> gradients = np.array([3.0, 4.0])
        >>> clip_norm(gradients, 1.0), gradients.round(4)
        (5.0, array([0.6, 0.8]))
    """
    limit = real("clip_norm", "max_norm", max_norm, above=True)
    norm = gradient_norm(gradients)
    factor = limit / (norm + _EPS)
    if factor < 1 and norm < math.inf:
        gradients *= factor
    return norm


def clip_value(gradients: Numbers, limit: float) -> None:
    """Cut every gradient off at `-limit` and `limit`, in place.

    As PyTorch's `clip_grad_value_`.

    Args:
        gradients: any shape.
        limit: above 0.

    Raises:
        TrainingError: `limit` is no number above 0.

    Example:
        >>> gradients = np.array([-3.0, 0.5])
        >>> clip_value(gradients, 1.0)
        >>> gradients
        array([-1. ,  0.5])
    """
    bound = real("clip_value", "limit", limit, above=True)
    # A bound beyond what the type holds cuts nothing off.
    with np.errstate(over="ignore"):
        np.clip(gradients, -bound, bound, out=gradients)

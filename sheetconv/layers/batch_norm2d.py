"""Batch normalisation: each channel is centred and scaled, alike for all images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Example
from .normalizing import Normalization2d


@dataclass(frozen=True)
class BatchNorm2d(Normalization2d):
    """Takes off each channel's mean and divides by its standard deviation.

    ::

        out = (x - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c]

        =(AH3-$W$4)/SQRT($W$5+$U$5)*$W$6+$W$7

    As in PyTorch's `eval`, mean and variance are running statistics: numbers that training
    left in `running_mean` and `running_var`. Without them they are those of the workbook's
    own images, and follow every edit::

        mean[c] = the mean of plane c of all images;  var[c] = the mean of (x - mean[c])**2

        =AVERAGE(AH3:AK6,AH11:AK14)
        =(SUMPRODUCT((AH3:AK6-$W$4)^2)+SUMPRODUCT((AH11:AK14-$W$4)^2))/32

    The way back, where mean and variance follow the images; n is how many numbers share them::

        grad.mean[c]  = the mean of grad_output[c] of all images
        grad.slope[c] = sum of grad_output[c] * (x[c] - mean[c]) / n / (var[c] + eps)
        grad_input    = (grad_output - grad.mean[c] - (x - mean[c]) * grad.slope[c])
                        * weight[c] / sqrt(var[c] + eps)
        weight.grad[c] = sum of grad_output[c] * (x[c] - mean[c]) / sqrt(var[c] + eps)
        bias.grad[c]  = sum of grad_output[c]

        =AVERAGE(CK3:CN6,CK11:CN14)
        =(SUMPRODUCT(CK3:CN6,AH3:AK6-$W$4)+SUMPRODUCT(...))/32/($W$5+$U$5)
        =(CK3-$CH$4-(AH3-$W$4)*$CH$5)*$W$6/SQRT($W$5+$U$5)
        =(SUMPRODUCT(CK3:CN6,AH3:AK6-$W$4)+SUMPRODUCT(...))/SQRT($W$5+$U$5)
        =SUM(CK3:CN6,CK11:CN14)

    What moves the mean, or stretches all numbers alike, is taken off again, and so is its part
    of the gradient. Running statistics do not move: the gradient is only scaled.

    Shapes: x (N, num_features, H, W), out the same; `running_mean`, `running_var`, `mean`,
    `var`, `weight` and `bias` have one number a channel. A channel of one cell, which
    PyTorch refuses, becomes its bias.

    Args:
        num_features: channels of the input.
        eps: added to the variance, above 0. It stands in a cell. Default 1e-5.
        momentum: the part of a new batch in the running statistics when they are learned;
            None for the mean of all batches. Default 0.1.
        affine: whether `weight` and `bias` follow. Default True.
        track_running_stats: whether to use running statistics. Default True.

    Raises:
        ShapeError: a field is out of its range.
        LayoutError: the statistics of so many images do not fit a formula.

    Example:
        >>> x = np.array([[[[1.0, 2.0]]], [[[3.0, 6.0]]]])
        >>> norm = BatchNorm2d(1, affine=False, track_running_stats=False)
        >>> norm.activations(x, {})["mean"], norm.activations(x, {})["var"]
        (array([3.]), array([3.5]))
    """

    num_features: int
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    track_running_stats: bool = True

    title: ClassVar[str] = "BatchNorm"
    stem: ClassVar[str] = "batchnorm"
    shares_batch: ClassVar[bool] = True

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([[[1.0, 3.0], [3.0, 1.0]], [[2.0, 2.0], [-2.0, -2.0]]])
        learned = {"weight": np.array([3.0, -0.5]), "bias": np.array([1.0, 0.25])}
        running = {"running_mean": np.array([-1.0, 2.0]), "running_var": np.array([3.0, 8.0])}
        return [
            # x is the mean: the bias is left.
            Example(cls(2), x, {**learned, **running}, (1, 0, 1), 0.25),
            # (3 + 1) / sqrt(3 + 1) * 3 + 1
            Example(cls(2, 1.0, 0.01), x, {**learned, **running}, (0, 0, 1), 7.0),
            # (-2 - 2) / sqrt(8 + 1)
            Example(cls(2, 1, affine=False), x, running, (1, 1, 0), -4 / 3),
            # Mean 0 and variance 4 of its own: 2 / sqrt(4 + 12) * -0.5 + 0.25
            Example(cls(2, 12.0, track_running_stats=False), x, learned, (1, 0, 0), 0.0),
            # Mean 2 and variance 1: (1 - 2) / sqrt(1 + 3)
            Example(
                cls(2, 3.0, None, affine=False, track_running_stats=False), x, {}, (0, 0, 0), -0.5
            ),
        ]

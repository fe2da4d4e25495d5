"""What normalisations have in common: planes less their mean, over their deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..formulas import Shape
from .arithmetic import Arithmetic
from .base import ROUNDOFF, SNAP, Array, Cache, Params, Reach
from .normalizing_cells import NormalizationCells
from .validation import flag, shown, whole


@dataclass(frozen=True)
class Normalization2d(NormalizationCells):
    """A layer that takes off a mean and divides by a standard deviation, channel by channel.

    Both are *running* statistics, numbers that training left, or those of the input itself,
    which have cells of their own. Subclasses give these fields their defaults.
    """

    num_features: int
    eps: float
    momentum: float | None
    affine: bool
    track_running_stats: bool

    def __post_init__(self) -> None:
        name = type(self).__name__
        whole(name, "num_features", self.num_features, 1)
        self.store_plain("num_features")
        if not _is_number(self.eps) or not 0 < self.eps < math.inf:
            raise ShapeError(f"{name}: eps is {shown(self.eps)}: expected a number above 0")
        self.set("eps", float(self.eps))
        if self.momentum is not None:
            if not _is_number(self.momentum) or not 0 <= self.momentum <= 1:
                raise ShapeError(
                    f"{name}: momentum is {shown(self.momentum)}: expected a number from 0 to 1, "
                    "or None"
                )
            self.set("momentum", float(self.momentum))
        flag(name, "affine", self.affine)
        flag(name, "track_running_stats", self.track_running_stats)

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3 or input_shape[0] != self.num_features:
            raise self.refuse_input(input_shape, f"({self.num_features}, height, width)")
        return input_shape

    def init_params(self, rng: np.random.Generator) -> dict[str, Array]:
        if not self.affine:
            return {}
        return {"weight": np.ones(self.num_features), "bias": np.zeros(self.num_features)}

    def init_buffers(self) -> dict[str, Array]:
        if not self.track_running_stats:
            return {}
        zeros, ones = np.zeros(self.num_features), np.ones(self.num_features)
        return {"running_mean": zeros, "running_var": ones}

    def settings(self) -> dict[str, Array]:
        return {"eps": np.array(self.eps)}

    def probe_settings(self, rng: np.random.Generator) -> dict[str, Array]:
        """Another eps too: one near 0 shows nothing of the cell that holds it."""
        drawn = {"eps": rng.uniform(0.1, 1.0, ())}
        if self.track_running_stats:
            drawn["running_mean"] = rng.normal(size=self.num_features)
            drawn["running_var"] = rng.uniform(0.5, 1.5, self.num_features)
        return drawn

    @property
    def _axes(self) -> tuple[int, ...]:
        """The axes over which the statistics of the input are taken."""
        return (0, 2, 3) if self.shares_batch else (2, 3)

    def _across(self, values: Array) -> Array:
        """Numbers of every channel, or image and channel, as (1 or N, C, 1, 1)."""
        return np.reshape(values, (-1, self.num_features, 1, 1))

    def _flat(self, values: Array) -> Array:
        """The inverse of `_across`: as the tensors `mean` and `var` are shaped."""
        return values[0, :, 0, 0] if self.shares_batch else values[:, :, 0, 0]

    def _averaged(self, values: Array) -> Array:
        """The means of numbers like the input's, as (1 or N, C, 1, 1)."""
        means: Array = values.mean(axis=self._axes, keepdims=True)
        return means

    def _statistics(self, x: Array, params: Params) -> tuple[Array, Array, Array, Array]:
        """Mean and variance, and those that are shown in their place."""
        if self.track_running_stats:
            mean, var = self._across(params["running_mean"]), self._across(params["running_var"])
            return mean, var, mean, var
        mean = self._averaged(x)
        shown = self._across(params["mean"]) if "mean" in params else mean
        var = self._averaged(np.square(x - shown))
        return mean, var, shown, self._across(params["var"]) if "var" in params else var

    def _eps(self, params: Params) -> float:
        return float(params.get("eps", self.eps))

    def _stretched(self, normal: Array, params: Params) -> Array:
        if not self.affine:
            return normal
        return normal * self._across(params["weight"]) + self._across(params["bias"])

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        _, _, mean, var = self._statistics(x, params)
        deviation = np.sqrt(var + self._eps(params))
        normal = (x - mean) / deviation
        return self._stretched(normal, params), (normal, deviation)

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        normal, deviation = cache
        grads, grad = {}, grad_output
        if self.affine:
            grads["weight"] = (grad_output * normal).sum(axis=(0, 2, 3))
            grads["bias"] = grad_output.sum(axis=(0, 2, 3))
            grad = grad_output * self._across(params["weight"])
        if not self.track_running_stats:
            # Every unit moves the mean and the variance of all.
            along = self._averaged(grad * normal)
            grad = grad - self._averaged(grad) - normal * along
        return grad / deviation, grads

    def while_training(self) -> Normalization2d:
        """The same with statistics of its input, as PyTorch's `train` computes them."""
        return replace(self, track_running_stats=False) if self.track_running_stats else self

    def updated_buffers(self, x: Array, params: Params, seen: int) -> dict[str, Array]:
        """The running statistics after a batch whose input is x; see `moved_statistics`."""
        if not self.track_running_stats:
            return {}
        mean, var, _, _ = self.while_training()._statistics(x, {})
        return self.moved_statistics(mean, var, x.size // mean.size, params, seen)

    def moved_statistics(
        self, mean: Array, var: Array, count: int, params: Params, seen: int
    ) -> dict[str, Array]:
        """The running statistics after a batch of known statistics.

        They move by `momentum` towards the batch's mean and its unbiased variance; without
        `momentum` they become the means of what all batches had. Where each image has
        statistics of its own, it is the mean over the images that counts.

        Args:
            mean, var: of the batch, one number a channel, or an image and channel where each
                image has its own; var as `forward` divides by it, the mean of the squares.
            count: how many numbers each of them is of.
            params: the running statistics before the batch, among others.
            seen: how many batches training has seen, this one included.

        Raises:
            ShapeError: each channel has a single number, whose variance says nothing; or
                `seen`, where it is needed, is below 1.

        Example:
            >>> from sheetconv import BatchNorm2d
            >>> norm, mean, var = BatchNorm2d(1), np.array([3.0]), np.array([6.0])
            >>> norm.moved_statistics(mean, var, 4, norm.init_buffers(), seen=1)
            {'running_mean': array([0.3]), 'running_var': array([1.7])}
        """
        if not self.track_running_stats:
            return {}
        name = type(self).__name__
        if count < 2:
            raise ShapeError(
                f"{name}: a batch with a single number in each channel has no variance to learn: "
                "expected at least 2; use a larger batch or larger planes"
            )
        part = self.momentum
        if part is None:
            part = 1 / whole(name, "seen", seen, 1)
        measured = {"running_mean": mean, "running_var": var * (count / (count - 1))}
        return {
            key: (1 - part) * params[key] + part * value.reshape(-1, self.num_features).mean(axis=0)
            for key, value in measured.items()
        }

    def forward_naive(self, x: Array, params: Params) -> Array:
        out, eps = np.zeros(x.shape), self._eps(params)
        for b, c in np.ndindex(x.shape[:2]):
            if self.track_running_stats:
                mean = float(params["running_mean"][c])
                var = float(params["running_var"][c])
            else:
                cells = (x[:, c] if self.shares_batch else x[b, c]).reshape(-1).tolist()
                mean = sum(cells) / len(cells)
                var = sum((cell - mean) ** 2 for cell in cells) / len(cells)
            for i, j in np.ndindex(x.shape[2:]):
                out[b, c, i, j] = (x[b, c, i, j] - mean) / math.sqrt(var + eps)
                if self.affine:
                    out[b, c, i, j] = out[b, c, i, j] * params["weight"][c] + params["bias"][c]
        return out

    def activations(self, x: Array, params: Params) -> dict[str, Array]:
        out = {"out": self.forward(x, params)[0]}
        if self.track_running_stats:
            return out
        mean, var, _, _ = self._statistics(x, params)
        return {"mean": self._flat(mean), "var": self._flat(var), **out}

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """What the sums round off, and the input's error, seen through the deviation.

        A mean of n numbers is off by 2 (n + 1) roundoffs of their mean absolute value. A
        variance gathers 2 (n + 6) roundoffs of its own; the mean's error enters it squared.
        Where the deviation is small, all that is off in x - mean grows by 1 / deviation,
        also what a program may take for zero.
        """
        _, _, mean, var = self._statistics(x, params)
        apart, bounds = np.abs(x - mean), dict[str, Array]()
        # What x - mean is off by, besides the error of the mean.
        near = SNAP * (np.abs(x) + np.abs(mean))
        mean_error, var_error = np.zeros(mean.shape), np.zeros(var.shape)
        if not self.track_running_stats:
            count = x.size // mean.size
            rounding = 2 * (count + 1) * ROUNDOFF * self._averaged(np.abs(x))
            own = np.zeros(mean.shape) if "mean" in params else rounding
            moved = error + self._averaged(error)
            carried = self._averaged(2 * (apart + own) * moved + moved**2)
            squares = 2 * (count + 6) * ROUNDOFF * self._averaged(apart**2)
            squares = squares + self._averaged(near**2) + own**2
            mean_error = self._averaged(error) + own
            var_error = carried if "var" in params else carried + squares
            bounds["mean"] = self._flat(self._averaged(error) + rounding)
            bounds["var"] = self._flat(carried + squares)
        eps = self._eps(params)
        slope = 1 / np.sqrt(var + eps)
        # No variance is negative, unless one is shown that is.
        steepest = 1 / np.sqrt(np.maximum(var - var_error, np.minimum(var, 0)) + eps)
        gentlest = 1 / np.sqrt(var + var_error + eps)
        turned = np.maximum(steepest - slope, slope - gentlest)
        off = apart * turned + (error + mean_error + near) * steepest
        reach = apart * slope + off
        bound = off + 8 * ROUNDOFF * reach
        if self.affine:
            weight, bias = (np.abs(self._across(params[name])) for name in ("weight", "bias"))
            bound = weight * bound + (2 * ROUNDOFF + SNAP) * (weight * reach + bias)
        return bounds | {"out": bound}

    @property
    def mixes_images(self) -> bool:
        return self.shares_batch and not self.track_running_stats

    def arithmetic(self, input_shape: Shape) -> Arithmetic:
        learned = "2*{channels_in}" if self.affine else "0"
        kept = "2*{channels_in}" if self.track_running_stats else "0"
        return Arithmetic(parameters=learned, buffers=kept)

    def reach(self, input_shape: Shape) -> Reach | None:
        return Reach() if self.track_running_stats else None

    def gradient_values(self, x: Array, params: Params, grad_output: Array) -> dict[str, Array]:
        if self.track_running_stats:
            return {}
        _, _, mean, var = self._statistics(x, params)
        along = self._averaged(grad_output * (x - mean)) / (var + self._eps(params))
        return {
            "grad.mean": self._flat(self._averaged(grad_output)),
            "grad.slope": self._flat(along),
        }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

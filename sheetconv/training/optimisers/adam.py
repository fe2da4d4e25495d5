"""Adam and AdamW: a running mean of the gradients over the root of that of their squares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...formulas import Formula
from ..fields import Numbers, factors, real, store
from .base import Optimiser, StepSettings, decay_gradient, decayed, follow, followed


@dataclass(frozen=True)
class Adam(Optimiser):
    """Running means of the gradients and of their squares, corrected for their start at 0.

    ::

        g = gradient + weight_decay * value
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        value = value - lr * m / (1 - beta1**n) / (sqrt(v / (1 - beta2**n)) + eps)

        =$B$2*F4+(1-$B$2)*g                                                m, beside F4 before
        =$B$5*G4+(1-$B$5)*(g^2)                                            v, beside G4 before
        =D4-$B$1*(I4/(1-($B$2^$B$4)))/(SQRT(J4/(1-($B$5^$B$4)))+$B$6)      value, of I4 and J4

    where D4 is the value, E4 its gradient, g stands for (E4+$B$3*D4), and B1 to B6 are the
    learning rate, beta1, the weight decay, n, beta2 and eps;

    with n, the number of the step, from 1. Where a schedule gives a momentum, that is beta1,
    in the correction, too.

    Args:
        lr: the learning rate. Default 0.001.
        betas: what stays of the two running means, each from 0 to below 1.
            Default (0.9, 0.999).
        eps: added to the root, above 0. Default 1e-8.
        weight_decay: Default 0.

    Raises:
        TrainingError: a field is out of its range.

    Example:
        >>> values, optimiser = np.array([1.0, 1.0]), Adam()
        >>> state = optimiser.init_state(2, float)
        >>> optimiser.step(values, np.array([3.0, -0.1]), state, lr=0.01, number=1)
        >>> values.round(6)
        array([0.99, 1.01])
    """

    lr: float = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    name: ClassVar[str] = "adam"
    title: ClassVar[str] = "Adam"

    def __post_init__(self) -> None:
        self.check_common()
        store(
            self,
            betas=factors(self.title, "betas", self.betas, 2),
            eps=real(self.title, "eps", self.eps, above=True),
        )

    @property
    def has_momentum(self) -> bool:
        return True

    @property
    def own_momentum(self) -> float:
        return self.betas[0]

    @property
    def kept(self) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    @property
    def _in_cells(self) -> tuple[str, ...]:
        return ("lr", "beta1", "beta2", "eps", "weight_decay")

    def _decayed(
        self, value: Formula, gradient: Formula, cells: Mapping[str, str]
    ) -> tuple[Formula, Formula]:
        """The expressions of the value and of the gradient from which Adam's step goes on."""
        return value, decayed(value, gradient, cells)

    def formulas(
        self,
        value: Formula,
        gradient: Formula,
        before: Mapping[str, Formula],
        after: Mapping[str, Formula],
        cells: Mapping[str, str],
        number: str,
    ) -> dict[str, Formula]:
        start, g = self._decayed(value, gradient, cells)
        beta1, beta2 = cells["beta1"], cells["beta2"]
        mean: Formula = ("(", *after["exp_avg"], f"/(1-({beta1}^{number})))")
        squares: Formula = (*after["exp_avg_sq"], f"/(1-({beta2}^{number}))")
        root: Formula = ("(SQRT(", *squares, f")+{cells['eps']})")
        return {
            "exp_avg": followed(before["exp_avg"], g, beta1),
            "exp_avg_sq": followed(before["exp_avg_sq"], ("(", *g, "^2)"), beta2),
            "value": (*start, f"-{cells['lr']}*", *mean, "/", *root),
        }

    def _decay(
        self, values: Numbers, gradients: Numbers, scratch: Numbers, settings: StepSettings
    ) -> None:
        decay_gradient(values, gradients, scratch, settings)

    def _move(
        self,
        values: Numbers,
        gradients: Numbers,
        state: Mapping[str, Numbers],
        scratch: Numbers,
        settings: StepSettings,
    ) -> None:
        self._decay(values, gradients, scratch, settings)
        beta1, beta2 = settings.momentum, self.betas[1]
        mean, squares = state["exp_avg"], state["exp_avg_sq"]
        np.multiply(gradients, 1 - beta1, out=scratch)
        mean *= beta1
        mean += scratch
        np.square(gradients, out=gradients)
        follow(squares, gradients, beta2)
        # The corrections meet in one factor, so that they take no pass of their own.
        root = math.sqrt(1 - beta2**settings.number)
        np.sqrt(squares, out=scratch)
        scratch += self.eps * root
        np.divide(mean, scratch, out=scratch)
        scratch *= settings.lr * root / (1 - beta1**settings.number)
        values -= scratch


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weight decay that does not pass through the running means.

    ::

        value = value * (1 - lr * weight_decay)

        =D4*(1-$B$1*$B$3)-$B$1*(I4/...

    comes before Adam's step, whose g is then the gradient alone.

    Args:
        lr: as for Adam. Default 0.001.
        betas: as for Adam. Default (0.9, 0.999).
        eps: as for Adam. Default 1e-8.
        weight_decay: Default 0.01.

    Raises:
        TrainingError: a field is out of its range.

    Example:
        >>> values, optimiser = np.array([1.0]), AdamW(weight_decay=0.1)
        >>> state = optimiser.init_state(1, float)
        >>> optimiser.step(values, np.array([0.0]), state, lr=0.1, number=1)
        >>> values
        array([0.99])
    """

    weight_decay: float = 0.01

    name: ClassVar[str] = "adamw"
    title: ClassVar[str] = "AdamW"

    def _decayed(
        self, value: Formula, gradient: Formula, cells: Mapping[str, str]
    ) -> tuple[Formula, Formula]:
        return (*value, f"*(1-{cells['lr']}*{cells['weight_decay']})"), gradient

    def _decay(
        self, values: Numbers, gradients: Numbers, scratch: Numbers, settings: StepSettings
    ) -> None:
        if settings.weight_decay:
            values *= 1 - settings.lr * settings.weight_decay

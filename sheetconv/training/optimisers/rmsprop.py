"""RMSprop: every parameter has a step of its own, by how large its gradients are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...formulas import Formula
from ..fields import Numbers, flag, real, store
from .base import Optimiser, StepSettings, decay_gradient, decayed, follow, followed


@dataclass(frozen=True)
class RMSprop(Optimiser):
    """Divides each gradient by the root of the running mean of its squares.

    ::

        g = gradient + weight_decay * value
        v = alpha * v + (1 - alpha) * g**2
        m = alpha * m + (1 - alpha) * g                  if centered; else m = 0
        d = g / (sqrt(v - m**2) + eps)
        b = momentum * b + d                             without momentum b = d
        value = value - lr * b

        =$B$5*F4+(1-$B$5)*(g^2)                                            v, beside F4 before
        =$B$5*G4+(1-$B$5)*g                                                m, beside G4 before
        =D4-$B$1*(g/(SQRT(I4)+$B$6))                                       value, with v in I4
        =D4-$B$1*(g/(SQRT(MAX(I4-(J4^2),0))+$B$6))                         and with m in J4
        =IF($B$2=0,H4,$B$2*H4+d)                                           b, beside H4 before
        =D4-$B$1*IF($B$2=0,d,K4)                                           value, with b in K4

    where D4 is the value, E4 its gradient, g stands for (E4+$B$3*D4), d for (g/(...)) as above,
    and B1, B2, B3, B5 and B6 are the learning rate, the momentum, the weight decay, alpha and
    eps. A momentum of 0, to which a schedule may come down, leaves b alone.

    Args:
        lr: the learning rate. Default 0.01.
        alpha: what stays of the running means, from 0 to below 1. Default 0.99.
        eps: added to the root, above 0. Default 1e-8.
        weight_decay: Default 0.
        momentum: from 0 to below 1. At 0 that of a schedule has no effect. Default 0.
        centered: take the running mean of the gradients off. Default False.

    Raises:
        TrainingError: a field is out of its range.

    Example:
        >>> values, optimiser = np.array([1.0, 1.0]), RMSprop()
        >>> state = optimiser.init_state(2, float)
        >>> optimiser.step(values, np.array([3.0, -0.1]), state, lr=0.01, number=1)
        >>> values.round(6)
        array([0.9, 1.1])
    """

    lr: float = 0.01
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    name: ClassVar[str] = "rmsprop"
    title: ClassVar[str] = "RMSprop"

    def __post_init__(self) -> None:
        self.check_common()
        store(
            self,
            alpha=real("RMSprop", "alpha", self.alpha, high=1, below=True),
            eps=real("RMSprop", "eps", self.eps, above=True),
            momentum=real("RMSprop", "momentum", self.momentum, high=1, below=True),
            centered=flag("RMSprop", "centered", self.centered),
        )

    @property
    def has_momentum(self) -> bool:
        return self.momentum != 0

    @property
    def own_momentum(self) -> float:
        return self.momentum

    @property
    def kept(self) -> tuple[str, ...]:
        means = ("square_avg", "grad_avg") if self.centered else ("square_avg",)
        return (*means, "momentum_buffer") if self.has_momentum else means

    @property
    def _in_cells(self) -> tuple[str, ...]:
        momentum = ("momentum",) if self.has_momentum else ()
        return ("lr", *momentum, "alpha", "eps", "weight_decay")

    def formulas(
        self,
        value: Formula,
        gradient: Formula,
        before: Mapping[str, Formula],
        after: Mapping[str, Formula],
        cells: Mapping[str, str],
        number: str,
    ) -> dict[str, Formula]:
        g, alpha = decayed(value, gradient, cells), cells["alpha"]
        spelled = {"square_avg": followed(before["square_avg"], ("(", *g, "^2)"), alpha)}
        spread = after["square_avg"]
        if self.centered:
            spelled["grad_avg"] = followed(before["grad_avg"], g, alpha)
            spread = ("MAX(", *spread, "-(", *after["grad_avg"], "^2),0)")
        step: Formula = ("(", *g, "/(SQRT(", *spread, f")+{cells['eps']}))")
        if self.has_momentum:
            old, momentum = before["momentum_buffer"], cells["momentum"]
            moved: Formula = (f"{momentum}*", *old, "+", *step)
            spelled["momentum_buffer"] = (f"IF({momentum}=0,", *old, ",", *moved, ")")
            step = (f"IF({momentum}=0,", *step, ",", *after["momentum_buffer"], ")")
        return spelled | {"value": (*value, f"-{cells['lr']}*", *step)}

    def _move(
        self,
        values: Numbers,
        gradients: Numbers,
        state: Mapping[str, Numbers],
        scratch: Numbers,
        settings: StepSettings,
    ) -> None:
        decay_gradient(values, gradients, scratch, settings)
        squares = state["square_avg"]
        np.square(gradients, out=scratch)
        follow(squares, scratch, self.alpha)
        if self.centered:
            mean = state["grad_avg"]
            np.multiply(gradients, 1 - self.alpha, out=scratch)
            mean *= self.alpha
            mean += scratch
            np.square(mean, out=scratch)
            np.subtract(squares, scratch, out=scratch)
            # Of gradients that are all alike nothing is left but rounding, of either sign.
            np.maximum(scratch, 0, out=scratch)
            np.sqrt(scratch, out=scratch)
        else:
            np.sqrt(squares, out=scratch)
        scratch += self.eps
        gradients /= scratch
        if self.has_momentum and settings.momentum:
            buffer = state["momentum_buffer"]
            buffer *= settings.momentum
            buffer += gradients
            np.multiply(buffer, settings.lr, out=scratch)
            values -= scratch
        else:
            gradients *= settings.lr
            values -= gradients

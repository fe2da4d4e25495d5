"""Stochastic gradient descent: along the gradient, with what is left of the last steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import TrainingError
from ...formulas import Formula
from ..fields import Numbers, flag, real, store
from .base import Optimiser, StepSettings, decay_gradient, decayed


@dataclass(frozen=True)
class SGD(Optimiser):
    """Stochastic gradient descent, with momentum if it has any.

    ::

        g = gradient + weight_decay * value
        b = momentum * b + (1 - dampening) * g           b = g in the first step
        value = value - lr * b                           g itself without momentum
        value = value - lr * (g + momentum * b)          with nesterov

        =D4-$B$1*(E4+$B$3*D4)                                              value, no momentum
        =IF($B$2=0,F4,IF($B$4=1,g,$B$2*F4+g))                              b, beside F4 before
        =IF($B$2=0,F4,IF($B$4=1,g,$B$2*F4+(1-$B$5)*g))                     with dampening B5
        =D4-$B$1*IF($B$2=0,g,H4)                                           value, with b in H4
        =D4-$B$1*(g+$B$2*H4)                                               with nesterov

    where D4 is the value, E4 its gradient, g stands for (E4+$B$3*D4), and B1 to B4 are the
    learning rate, the momentum, the weight decay and the number of the step. A momentum of 0,
    to which a schedule may come down, leaves b alone.

    Args:
        lr: the learning rate. Default 0.001.
        momentum: the part of the last step that goes on, from 0 to below 1. At 0 that of a
            schedule has no effect, as in fast.ai. Default 0.
        dampening: the part of the gradient that is held back, from 0 to 1. Default 0.
        weight_decay: Default 0.
        nesterov: look ahead; takes momentum, and no dampening. Default False.

    Raises:
        TrainingError: a field is out of its range.

    Example:
        >>> values, optimiser = np.array([1.0]), SGD(momentum=0.5)
        >>> state = optimiser.init_state(1, float)
        >>> for number in (1, 2):
        ...     optimiser.step(values, np.array([1.0]), state, lr=0.1, number=number)
        >>> values.round(6)
        array([0.75])
    """

    lr: float = 0.001
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False

    name: ClassVar[str] = "sgd"
    title: ClassVar[str] = "SGD"

    def __post_init__(self) -> None:
        self.check_common()
        store(
            self,
            momentum=real("SGD", "momentum", self.momentum, high=1, below=True),
            dampening=real("SGD", "dampening", self.dampening, high=1),
            nesterov=flag("SGD", "nesterov", self.nesterov),
        )
        if self.nesterov and (not self.momentum or self.dampening):
            raise TrainingError(
                f"SGD: nesterov goes with momentum and without dampening: momentum is "
                f"{self.momentum:g}, dampening is {self.dampening:g}"
            )

    @property
    def has_momentum(self) -> bool:
        return self.momentum != 0

    @property
    def own_momentum(self) -> float:
        return self.momentum

    @property
    def kept(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.has_momentum else ()

    @property
    def _in_cells(self) -> tuple[str, ...]:
        if not self.has_momentum:
            return ("lr", "weight_decay")
        dampening = ("dampening",) if self.dampening else ()
        return ("lr", "momentum", *dampening, "weight_decay")

    def formulas(
        self,
        value: Formula,
        gradient: Formula,
        before: Mapping[str, Formula],
        after: Mapping[str, Formula],
        cells: Mapping[str, str],
        number: str,
    ) -> dict[str, Formula]:
        g, lr = decayed(value, gradient, cells), cells["lr"]
        if not self.has_momentum:
            return {"value": (*value, f"-{lr}*", *g)}
        old, new = before["momentum_buffer"], after["momentum_buffer"]
        momentum = cells["momentum"]
        held_back = f"(1-{cells['dampening']})*" if self.dampening else ""
        moved: Formula = (f"{momentum}*", *old, f"+{held_back}", *g)
        begun: Formula = (f"IF({number}=1,", *g, ",", *moved, ")")
        buffer: Formula = (f"IF({momentum}=0,", *old, ",", *begun, ")")
        step: Formula = (f"IF({momentum}=0,", *g, ",", *new, ")")
        if self.nesterov:
            step = ("(", *g, f"+{momentum}*", *new, ")")
        return {"momentum_buffer": buffer, "value": (*value, f"-{lr}*", *step)}

    def _move(
        self,
        values: Numbers,
        gradients: Numbers,
        state: Mapping[str, Numbers],
        scratch: Numbers,
        settings: StepSettings,
    ) -> None:
        decay_gradient(values, gradients, scratch, settings)
        step = gradients
        # A schedule may come down to 0, and PyTorch then leaves the buffer alone.
        if self.has_momentum and settings.momentum:
            step = buffer = state["momentum_buffer"]
            if settings.number == 1:
                buffer[...] = gradients
            else:
                buffer *= settings.momentum
                if self.dampening:
                    gradients *= 1 - self.dampening
                buffer += gradients
            if self.nesterov:
                step = np.multiply(buffer, settings.momentum, out=scratch)
                step += gradients
        np.multiply(step, settings.lr, out=scratch)
        values -= scratch

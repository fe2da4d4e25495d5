"""How a network is to be trained, as `[networks.training]` and the command line say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..errors import TrainingError
from ..spelling import suggestion
from .optimisers import OPTIMISERS, Optimiser, optimiser_named
from .schedules import SCHEDULES, Schedule, schedule_named

# What not every optimiser or schedule has, and its default.
_OWN_SETTINGS: dict[str, dict[str, Any]] = {
    "optimiser": {"nesterov": False},
    "schedule": {"step_size": None, "gamma": None},
}

#: Weights stay as they are: those of the template, or of a file.
KEEP = "keep"


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """The settings of a training run.

    Attributes:
        data: name or path of the data; empty for none.
        epochs: how often every image is seen. Default 10.
        batch: images of a step. Default 64.
        lr: learning rate, or the largest one of a schedule. Default: the optimiser's.
        optimiser: its name. Default "adam".
        momentum: of SGD, RMSprop; Adam's first beta. Default: the optimiser's.
        nesterov: whether SGD looks ahead. Default False.
        weight_decay: Default: the optimiser's.
        schedule: its name. Default "one-cycle".
        step_size: epochs between two steps of the schedule `step`. Default: a third of all.
        gamma: what they multiply the learning rate by. Default 0.1.
        loss: its name. Default: as the data want it.
        label_smoothing: of cross-entropy. Default 0.
        init: how the weights begin, or "keep". Default "default", as PyTorch's.
        metrics: what is measured. Default accuracy.
        frozen: layers that do not learn, by name or kind.
        lr_factors: layer, by name or kind -> factor of its learning rate.
        clip_norm, clip_value: limits of the gradient. Default: none.
        patience: epochs without improvement before the end. Default: none.
        valid: share of the images for validation. Default: the data's own part, or 0.2.
        activations: statistics of every so many batches. Default: some 100 in all.
        dtype: float32 or float64. Default float32.
        seed: of weights, split, order and dropout. Default 0.

    Example:
        >>> TrainingOptions(optimiser="sgd", momentum=0.9).make_optimiser()
        SGD(lr=0.001, momentum=0.9, dampening=0.0, weight_decay=0.0, nesterov=False)
    """

    data: str = ""
    epochs: int = 10
    batch: int = 64
    lr: float | None = None
    optimiser: str = "adam"
    momentum: float | None = None
    nesterov: bool = False
    weight_decay: float | None = None
    schedule: str = "one-cycle"
    step_size: int | None = None
    gamma: float | None = None
    loss: str | None = None
    label_smoothing: float = 0.0
    init: str = "default"
    metrics: tuple[str, ...] = ("accuracy",)
    frozen: tuple[str, ...] = ()
    lr_factors: Mapping[str, float] = field(default_factory=dict)
    clip_norm: float | None = None
    clip_value: float | None = None
    patience: int | None = None
    valid: float | None = None
    activations: int | None = None
    dtype: str = "float32"
    seed: int = 0

    def changed(self, given: Mapping[str, Any]) -> TrainingOptions:
        """The same with what is given; None leaves an option as it is.

        With another optimiser or schedule go the settings that only the one before may have.

        Raises:
            TrainingError: there is no such option.

        Example:
            >>> stepped = TrainingOptions(schedule="step", gamma=0.5)
            >>> stepped.changed({"schedule": "cosine"}).make_schedule()
            Cosine(lr_min=0.0)
        """
        known = [item.name for item in fields(self)]
        for name in given:
            if name not in known:
                raise TrainingError(
                    f"no training option is named {name!r}{suggestion(name, known)}"
                )
        wanted = {name: value for name, value in given.items() if value is not None}
        for kind, settings in _OWN_SETTINGS.items():
            if wanted.get(kind, getattr(self, kind)) != getattr(self, kind):
                wanted = {**settings, **wanted}
        return replace(self, **wanted)

    def about(self) -> dict[str, Any]:
        """As JSON has it: the inverse is `TrainingOptions().changed`."""
        plain: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            plain[item.name] = list(value) if isinstance(value, tuple) else value
        plain["lr_factors"] = dict(self.lr_factors)
        return plain

    @classmethod
    def from_about(cls, about: Mapping[str, Any]) -> TrainingOptions:
        """The inverse of `about`.

        Example:
            >>> options = TrainingOptions(frozen=("conv1",))
            >>> TrainingOptions.from_about(options.about()) == options
            True
        """
        given = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in about.items()
        }
        return cls().changed(given)

    def make_optimiser(self) -> Optimiser:
        """The optimiser with its settings.

        Raises:
            TrainingError: it has no such setting, or takes no such value.
        """
        given: dict[str, Any] = {}
        if self.lr is not None:
            given["lr"] = self.lr
        if self.weight_decay is not None:
            given["weight_decay"] = self.weight_decay
        if self.momentum is not None and self.optimiser in ("adam", "adamw"):
            usual = OPTIMISERS[self.optimiser]().settings()
            given["betas"] = (self.momentum, usual["beta2"])
        elif self.momentum is not None:
            given["momentum"] = self.momentum
        if self.nesterov:
            given["nesterov"] = True
        return optimiser_named(self.optimiser, **given)

    def make_schedule(self) -> Schedule:
        """The schedule with its settings.

        Raises:
            TrainingError: it has no such setting, or takes no such value.
        """
        given: dict[str, Any] = {}
        if self.gamma is not None:
            given["gamma"] = self.gamma
        if self.step_size is not None:
            given["step_size"] = self.step_size
        elif SCHEDULES.get(self.schedule) is SCHEDULES["step"]:
            given["step_size"] = max(1, -(-self.epochs // 3))
        return schedule_named(self.schedule, **given)

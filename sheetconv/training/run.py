"""A training run: how it goes, and where it stands. Both are kept in checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import TrainingError
from ..layers.validation import shown
from .fields import Numbers, real, whole
from .history import BETA
from .schedules import Schedule, schedule_named


@dataclass
class Standing:
    """Where a run stands.

    Attributes:
        epoch: how many epochs are done.
        batch: how many batches of the next one are.
        step: how many steps were taken in all, over all runs.
        first: the number of the run's first epoch, over all runs, from 0.
        first_loss: of the run's first batch; NaN before it.
        average, weight: the run's own smoothed loss, as `History` smooths that of all runs.
        loss_sum: of the epoch's images so far.
        images: how many those are.
        seconds: that the epoch took so far.
        best: the least validation loss so far, with early stopping.
        waited: for how many epochs it has not fallen.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    first: int = 0
    first_loss: float = math.nan
    average: float = 0.0
    weight: float = 1.0
    loss_sum: float = 0.0
    images: int = 0
    seconds: float = 0.0
    best: float = math.inf
    waited: int = 0

    def follow(self, loss: float) -> None:
        """Smooth the loss of one more batch."""
        self.average = loss + BETA * (self.average - loss)
        self.weight *= BETA

    @property
    def smooth_loss(self) -> float:
        """The smoothed loss, after a batch.

        Example:
            >>> standing = Standing()
            >>> for loss in (2.0, 1.0):
            ...     standing.follow(loss)
            >>> round(standing.smooth_loss, 3)
            1.495
        """
        return self.average / (1.0 - self.weight)

    @classmethod
    def from_about(cls, about: Mapping[str, Any], epochs: int, batches: int) -> Standing:
        """Where a run stands, as JSON has it.

        Args:
            about: every attribute by its name.
            epochs: how many the run has.
            batches: how many an epoch has.

        Raises:
            TrainingError: an attribute is missing or none of these, or such a run does not
                come there.

        Example:
            >>> Standing.from_about(asdict(Standing(step=7)), epochs=3, batches=5).step
            7
        """
        kinds = {field.name: field.type for field in fields(cls)}
        if about.keys() != kinds.keys():
            raise TrainingError(f"the run stands at {shown(dict(about))}: expected {list(kinds)}")
        for name, kind in kinds.items():
            whole_number = type(about[name]) is int
            if not (whole_number or (kind == "float" and type(about[name]) is float)):
                raise TrainingError(f"the run stands at {name} {shown(about[name])}")
        standing = cls(**about)
        if not (
            0 <= standing.epoch <= epochs
            and 0 <= standing.batch <= batches
            and min(standing.step, standing.waited) >= 0
            and (standing.images > 0) == (standing.batch > 0)
        ):
            raise TrainingError(
                f"the run stands at batch {standing.batch} of epoch {standing.epoch}: expected at "
                f"most {batches} and {epochs}"
            )
        return standing


@dataclass(frozen=True, slots=True)
class Kept:
    """All that steps change but the record, so that it can be put back.

    Attributes:
        engine: as `Engine.state` gives it.
        optimiser: what it keeps between steps.
        step: how many steps were taken.
    """

    engine: dict[str, Numbers]
    optimiser: dict[str, Numbers]
    step: int


@dataclass(frozen=True)
class Run:
    """How a run goes.

    Attributes:
        epochs: how many.
        lr: the learning rate, or the largest of a schedule.
        schedule: of learning rate and momentum.
        patience: stop after so many epochs without a smaller validation loss, with the weights
            of the best one; None for no such stop.
    """

    epochs: int
    lr: float
    schedule: Schedule
    patience: int | None = None

    def about(self) -> dict[str, Any]:
        """As JSON has it."""
        schedule = {"name": self.schedule.name, **asdict(self.schedule)}  # type: ignore[call-overload]
        return {
            "epochs": self.epochs,
            "lr": self.lr,
            "schedule": schedule,
            "patience": self.patience,
        }

    @classmethod
    def from_about(cls, about: dict[str, Any]) -> Run:
        """The inverse of `about`.

        Raises:
            TrainingError: a value is out of its range.

        Example:
            >>> from sheetconv.training.schedules import OneCycle
            >>> run = Run(5, 0.06, OneCycle())
            >>> Run.from_about(run.about()) == run
            True
        """
        schedule = dict(about["schedule"])
        wait = about["patience"]
        return cls(
            whole("a run", "epochs", about["epochs"], 1),
            real("a run", "lr", about["lr"], above=True),
            schedule_named(schedule.pop("name"), **schedule),
            None if wait is None else whole("a run", "patience", wait, 1),
        )

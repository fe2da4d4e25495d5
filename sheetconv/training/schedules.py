"""The schedules: which learning rate and momentum each batch of a run gets.

Each also spells them as formulas, for a worksheet on which the number of the batch stands.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import TrainingError
from ..layers.validation import shown
from .fields import factors, named, real, store, whole


@dataclass(frozen=True, slots=True)
class Hyper:
    """What a batch is trained with.

    Attributes:
        lr: the learning rate.
        momentum: or the first of Adam's betas; None for the optimiser's own.
    """

    lr: float
    momentum: float | None = None


class Schedule(ABC):
    """A learning rate for every batch; subclasses are frozen dataclasses.

    Attributes:
        name: in templates and on the command line.
        title: for people.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def at(self, batch: int, batches: int, epoch: int, lr: float) -> Hyper:
        """What one batch is trained with.

        Args:
            batch: which one, from 0, counted over the whole run.
            batches: how many there are in the whole run.
            epoch: which epoch it belongs to, from 0.
            lr: the learning rate of the run.
        """

    @abstractmethod
    def formulas(
        self, batch: str, batches: str, epoch: str, lr: str, momentum: str
    ) -> tuple[str, str]:
        """The formulas of a batch's learning rate and momentum, without the equals sign.

        Args:
            batch: the reference to the number of the batch, from 0.
            batches: to how many there are in the whole run.
            epoch: to the number of the epoch, from 0.
            lr: to the learning rate of the run.
            momentum: to the optimiser's own momentum, which is that of the batch where the
                schedule gives none.

        Example:
            >>> Cosine().formulas("B1", "$B$2", "B3", "$B$4", "$B$5")
            ('$B$4*(1+COS(PI()*(B1/$B$2)))/2', '$B$5')
        """


@dataclass(frozen=True)
class Constant(Schedule):
    """The same learning rate from the first batch to the last.

    Example:
        >>> Constant().at(7, 10, 0, 0.1)
        Hyper(lr=0.1, momentum=None)
    """

    name: ClassVar[str] = "constant"
    title: ClassVar[str] = "Constant"

    def at(self, batch: int, batches: int, epoch: int, lr: float) -> Hyper:
        return Hyper(lr)

    def formulas(
        self, batch: str, batches: str, epoch: str, lr: str, momentum: str
    ) -> tuple[str, str]:
        return lr, momentum


@dataclass(frozen=True)
class Step(Schedule):
    """Lowers the learning rate every few epochs, as PyTorch's `StepLR`.

    ::

        lr * gamma**(epoch // step_size)

        =$B$4*(0.1^INT(B3/2))

    Args:
        step_size: how many epochs a learning rate lasts.
        gamma: what it is multiplied by, from 0 to 1. Default 0.1.

    Raises:
        TrainingError: a field is out of its range.

    Example:
        >>> [Step(2, gamma=0.5).at(0, 1, epoch, 8.0).lr for epoch in range(5)]
        [8.0, 8.0, 4.0, 4.0, 2.0]
    """

    step_size: int
    gamma: float = 0.1

    name: ClassVar[str] = "step"
    title: ClassVar[str] = "Step"

    def __post_init__(self) -> None:
        store(
            self,
            step_size=whole("Step", "step_size", self.step_size, 1),
            gamma=real("Step", "gamma", self.gamma, high=1),
        )

    def at(self, batch: int, batches: int, epoch: int, lr: float) -> Hyper:
        return Hyper(lr * self.gamma ** (epoch // self.step_size))

    def formulas(
        self, batch: str, batches: str, epoch: str, lr: str, momentum: str
    ) -> tuple[str, str]:
        if not self.gamma:
            # 0^0 is an error in Excel.
            return f"IF({epoch}<{self.step_size},{lr},0)", momentum
        return f"{lr}*({_literal(self.gamma)}^INT({epoch}/{self.step_size}))", momentum


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from the learning rate down, as PyTorch's `CosineAnnealingLR`.

    ::

        lr_min + (lr - lr_min) * (1 + cos(pi * batch / batches)) / 2

        =0.001+($B$4-0.001)*(1+COS(PI()*(B1/$B$2)))/2

    Args:
        lr_min: where it would come to after the last batch. Default 0.

    Raises:
        TrainingError: `lr_min` is no number of at least 0, or the run's learning rate is
            below it.

    Example:
        >>> [round(Cosine().at(batch, 4, 0, 1.0).lr, 4) for batch in range(4)]
        [1.0, 0.8536, 0.5, 0.1464]
    """

    lr_min: float = 0.0

    name: ClassVar[str] = "cosine"
    title: ClassVar[str] = "Cosine"

    def __post_init__(self) -> None:
        store(self, lr_min=real("Cosine", "lr_min", self.lr_min))

    def at(self, batch: int, batches: int, epoch: int, lr: float) -> Hyper:
        if lr < self.lr_min:
            raise TrainingError(
                f"Cosine: lr_min is {self.lr_min:g}, above the learning rate {lr:g}: expected less"
            )
        return Hyper(_cosine(lr, self.lr_min, batch / batches))

    def formulas(
        self, batch: str, batches: str, epoch: str, lr: str, momentum: str
    ) -> tuple[str, str]:
        part = f"({batch}/{batches})"
        if not self.lr_min:
            return f"{lr}*{_cosine_weight(part)}", momentum
        return _cosine_text(lr, _literal(self.lr_min), part), momentum


@dataclass(frozen=True)
class OneCycle(Schedule):
    """One cycle: the learning rate up and down, the momentum down and up, as fast.ai's.

    ::

        position = batch / batches
        up       lr / div  ->  lr             momentum moms[0] -> moms[1]    until pct_start
        down     lr        ->  lr / div_final          moms[1] -> moms[2]    until 1

        =IF(B1/$B$2<0.25,$B$4+($B$4/25-$B$4)*(1+COS(PI()*(B1/$B$2/0.25)))/2,
         $B$4/100000+($B$4-$B$4/100000)*(1+COS(PI()*((B1/$B$2-0.25)/(1-0.25))))/2)

    each along half a cosine. It is what `fit_one_cycle` does before each batch; PyTorch's
    `OneCycleLR` has the same halves, but reaches its last value in the last batch, and its
    `final_div_factor` divides the *first* learning rate.

    Args:
        pct_start: the part of the run that goes up, from 0 to below 1. Default 0.25.
        div: what the learning rate is divided by at the start, above 0. Default 25.
        div_final: what it is divided by at the end, above 0. Default 1e5.
        moms: the momentum at the start, in the middle and at the end, each from 0 to below 1;
            None for the optimiser's own throughout. Default (0.95, 0.85, 0.95).

    Raises:
        TrainingError: a field is out of its range.

    Example:
        >>> cycle = OneCycle(pct_start=0.5, div=10)
        >>> [round(cycle.at(batch, 4, 0, 1.0).lr, 4) for batch in range(4)]
        [0.1, 0.55, 1.0, 0.5]
        >>> cycle.at(2, 4, 0, 1.0).momentum
        0.85
    """

    pct_start: float = 0.25
    div: float = 25.0
    div_final: float = 1e5
    moms: tuple[float, float, float] | None = (0.95, 0.85, 0.95)

    name: ClassVar[str] = "one-cycle"
    title: ClassVar[str] = "One cycle"

    def __post_init__(self) -> None:
        store(
            self,
            pct_start=real("OneCycle", "pct_start", self.pct_start, high=1, below=True),
            div=real("OneCycle", "div", self.div, above=True),
            div_final=real("OneCycle", "div_final", self.div_final, above=True),
        )
        if self.moms is not None:
            store(self, moms=factors("OneCycle", "moms", self.moms, 3))

    def at(self, batch: int, batches: int, epoch: int, lr: float) -> Hyper:
        position = batch / batches
        rates = (lr / self.div, lr, lr / self.div_final)
        momentum = None if self.moms is None else self._along(self.moms, position)
        return Hyper(self._along(rates, position), momentum)

    def _along(self, turns: tuple[float, float, float], position: float) -> float:
        """From the first of three numbers over the second to the third."""
        first, middle, last = turns
        if position < self.pct_start:
            return _cosine(first, middle, position / self.pct_start)
        return _cosine(middle, last, (position - self.pct_start) / (1 - self.pct_start))

    def formulas(
        self, batch: str, batches: str, epoch: str, lr: str, momentum: str
    ) -> tuple[str, str]:
        position = f"{batch}/{batches}"
        rates = (f"{lr}/{_literal(self.div)}", lr, f"{lr}/{_literal(self.div_final)}")
        if self.moms is None:
            return self._along_text(rates, position), momentum
        first, middle, last = map(_literal, self.moms)
        return self._along_text(rates, position), self._along_text((first, middle, last), position)

    def _along_text(self, turns: tuple[str, str, str], position: str) -> str:
        """The expression of what `_along` computes."""
        first, middle, last = turns
        if not self.pct_start:
            return _cosine_text(middle, last, f"({position})")
        start = _literal(self.pct_start)
        up = _cosine_text(first, middle, f"({position}/{start})")
        down = _cosine_text(middle, last, f"(({position}-{start})/(1-{start}))")
        return f"IF({position}<{start},{up},{down})"


@dataclass(frozen=True)
class Exponential(Schedule):
    """The sweep of the learning-rate finder: each batch has a higher one, as fast.ai's.

    ::

        start_lr * (end_lr / start_lr)**(batch / num_it)

        =1E-07*((10/1E-07)^(B1/100))

    The learning rate of the run has no effect, and the sweep has `num_it` batches, of which
    the last is just below `end_lr`.

    Args:
        start_lr: the first learning rate, above 0. Default 1e-7.
        end_lr: the highest, above `start_lr`. Default 10.
        num_it: how many batches the sweep has, at least 6. Default 100.

    Raises:
        TrainingError: a field is out of its range.

    Example:
        >>> sweep = Exponential(start_lr=0.001, end_lr=10.0, num_it=8)
        >>> [round(sweep.at(batch, 8, 0, 0.1).lr, 6) for batch in (0, 2, 4, 6)]
        [0.001, 0.01, 0.1, 1.0]
    """

    start_lr: float = 1e-7
    end_lr: float = 10.0
    num_it: int = 100

    name: ClassVar[str] = "exponential"
    title: ClassVar[str] = "Exponential"

    def __post_init__(self) -> None:
        store(
            self,
            start_lr=real("Exponential", "start_lr", self.start_lr, above=True),
            end_lr=real("Exponential", "end_lr", self.end_lr, above=True),
            num_it=whole("Exponential", "num_it", self.num_it, 6),
        )
        if self.end_lr <= self.start_lr:
            raise TrainingError(
                f"Exponential: end_lr is {shown(self.end_lr)}: expected a number above start_lr, "
                f"which is {shown(self.start_lr)}"
            )

    def at(self, batch: int, batches: int, epoch: int, lr: float) -> Hyper:
        rise: float = (self.end_lr / self.start_lr) ** (batch / self.num_it)
        return Hyper(self.start_lr * rise)

    def formulas(
        self, batch: str, batches: str, epoch: str, lr: str, momentum: str
    ) -> tuple[str, str]:
        start, end = _literal(self.start_lr), _literal(self.end_lr)
        return f"{start}*(({end}/{start})^({batch}/{self.num_it}))", momentum


def _cosine(start: float, end: float, part: float) -> float:
    """From `start` to `end` along half a cosine, flat at both ends."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _cosine_text(start: str, end: str, part: str) -> str:
    """The expression of what `_cosine` computes; the part is one number or in brackets."""
    return f"{end}+({start}-{end})*{_cosine_weight(part)}"


def _cosine_weight(part: str) -> str:
    return f"(1+COS(PI()*{part}))/2"


def _literal(number: float) -> str:
    """A number as a formula has it: whole ones without a point, exponents with a capital E."""
    return repr(number).removesuffix(".0").upper()


#: Every schedule of a training run by its name.
SCHEDULES: dict[str, type[Schedule]] = {
    kind.name: kind for kind in (Constant, Step, Cosine, OneCycle)
}


def schedule_named(name: str, **given: Any) -> Schedule:
    """A schedule by its name.

    Args:
        name: one of `SCHEDULES`.
        given: its fields; the others have their defaults.

    Raises:
        TrainingError: the name or a field is unknown, with a guess at what was meant, a field
            is missing, or is out of its range.

    Example:
        >>> schedule_named("step", step_size=3)
        Step(step_size=3, gamma=0.1)
    """
    return named("schedule", SCHEDULES, name, given)

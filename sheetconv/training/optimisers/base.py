"""The contract of an optimiser, and the step that all of them take block by block.

All parameters of a network stand in one flat vector, and so does whatever an optimiser
keeps between its steps. A step is a few calls of NumPy, in place, on a block of the vector at
a time: the block stays in the processor's cache from the first call to the last, and what a
step needs for itself is no larger than a block.

Every element is computed by itself. So a vector may be cut into slices, one for each thread
or for each group of parameters with a setting of its own, and the result has the same bits.

On a worksheet each element has a cell for its value and one for every number that is kept, step
beside step. An optimiser spells how those of a step follow from those of the step before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

from ...formulas import Formula
from ..fields import Numbers, real, store

#: How much of the flat vector a step works on at once: with the gradients and what an
#: optimiser keeps it fits into a second-level cache.
BLOCK_BYTES = 2**17


@dataclass(frozen=True, slots=True)
class StepSettings:
    """What one step goes by.

    Attributes:
        lr: the learning rate.
        momentum: or the first of Adam's betas.
        weight_decay: the factor of the parameters that is added to their gradients, or with
            AdamW, times the learning rate, taken off.
        number: of the step, from 1.
    """

    lr: float
    momentum: float
    weight_decay: float
    number: int


class Optimiser(ABC):
    """One way to take steps; subclasses are frozen dataclasses with PyTorch's fields.

    Attributes:
        name: in templates and on the command line.
        title: for people.
        lr: the learning rate where no other is given.
        weight_decay: likewise.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    lr: float
    weight_decay: float

    @property
    @abstractmethod
    def has_momentum(self) -> bool:
        """Whether the momentum that a schedule gives has any effect."""

    @property
    @abstractmethod
    def own_momentum(self) -> float:
        """The momentum where a schedule gives none."""

    @property
    @abstractmethod
    def kept(self) -> tuple[str, ...]:
        """The names of the vectors that are kept between steps, as PyTorch's `state` has them."""

    @property
    @abstractmethod
    def _in_cells(self) -> tuple[str, ...]:
        """The settings that the formulas read: `lr`, the momentum if it has any, and others."""

    @abstractmethod
    def formulas(
        self,
        value: Formula,
        gradient: Formula,
        before: Mapping[str, Formula],
        after: Mapping[str, Formula],
        cells: Mapping[str, str],
        number: str,
    ) -> dict[str, Formula]:
        """The formulas of one step for one element of the parameters.

        Args:
            value: the reference to the parameter before the step.
            gradient: the reference to its gradient.
            before: name, as in `kept` -> the reference to what is kept before the step.
            after: likewise after it, which the new parameter reads.
            cells: name, as in `cells` -> the reference to that number for this step.
            number: the reference to the step's number, from 1.

        Returns:
            Every name of `kept`, and `value` for the parameter after the step.

        Example:
            >>> from sheetconv.formulas import formula_text
            >>> from sheetconv.training.optimisers import SGD
            >>> cells = {"lr": "$B$1", "weight_decay": "$B$2"}
            >>> spelled = SGD().formulas(("D4",), ("E4",), {}, {}, cells, "$B$3")
            >>> formula_text(spelled["value"])
            'D4-$B$1*(E4+$B$2*D4)'
        """

    @abstractmethod
    def _move(
        self,
        values: Numbers,
        gradients: Numbers,
        state: Mapping[str, Numbers],
        scratch: Numbers,
        settings: StepSettings,
    ) -> None:
        """Take the step for one block; `gradients` and `scratch` may be overwritten."""

    def init_state(self, size: int, dtype: DTypeLike) -> dict[str, Numbers]:
        """What is kept between steps, before the first: everything that a checkpoint needs.

        Args:
            size: how many parameters there are.
            dtype: theirs, float32 or float64.

        Example:
            >>> from sheetconv.training.optimisers import SGD
            >>> SGD(momentum=0.9).init_state(2, np.float32)
            {'momentum_buffer': array([0., 0.], dtype=float32)}
        """
        return {name: np.zeros(size, dtype) for name in self.kept}

    def step(
        self,
        values: Numbers,
        gradients: Numbers,
        state: Mapping[str, Numbers],
        *,
        lr: float,
        momentum: float | None = None,
        number: int,
        weight_decay: float | None = None,
    ) -> None:
        """Take one step, in place.

        Parameters that grow beyond every number do so without a warning: the loss tells.

        Args:
            values: (n,) the parameters, or a contiguous slice of them; updated.
            gradients: (n,) theirs; used as working space, so that nothing useful is left.
            state: from `init_state`, each vector cut like `values`; updated.
            lr: the learning rate of this step.
            momentum: of this step. Default: the optimiser's own.
            number: of the step, from 1, for the whole run.
            weight_decay: of these parameters. Default: the optimiser's own.

        Example:
            >>> from sheetconv.training.optimisers import SGD
            >>> values, optimiser = np.array([1.0, 2.0]), SGD(lr=0.1)
            >>> optimiser.step(values, np.array([10.0, -10.0]), {}, lr=0.1, number=1)
            >>> values
            array([0., 3.])
        """
        settings = StepSettings(
            float(lr),
            self.own_momentum if momentum is None or not self.has_momentum else float(momentum),
            self.weight_decay if weight_decay is None else float(weight_decay),
            number,
        )
        length = max(BLOCK_BYTES // values.itemsize, 1)
        scratch = np.empty(min(length, len(values)), values.dtype)
        with np.errstate(all="ignore"):
            for start in range(0, len(values), length):
                block = slice(start, start + length)
                part = values[block]
                kept = {name: vector[block] for name, vector in state.items()}
                self._move(part, gradients[block], kept, scratch[: len(part)], settings)

    def settings(self) -> dict[str, float | bool]:
        """Every field by its name, for tables; the betas one by one.

        Example:
            >>> from sheetconv.training.optimisers import Adam
            >>> Adam(lr=0.01).settings()
            {'lr': 0.01, 'beta1': 0.9, 'beta2': 0.999, 'eps': 1e-08, 'weight_decay': 0.0}
        """
        listed: dict[str, float | bool] = {}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                stem = field.name.removesuffix("s")
                listed |= {f"{stem}{place}": item for place, item in enumerate(value, 1)}
            else:
                listed[field.name] = value
        return listed

    def cells(self) -> dict[str, float]:
        """The numbers that stand in cells of their own, by name, as the formulas need them.

        A schedule drives `lr` and, where the optimiser has momentum, `momentum` or `beta1`.

        Example:
            >>> from sheetconv.training.optimisers import SGD
            >>> SGD(lr=0.1, momentum=0.9).cells()
            {'lr': 0.1, 'momentum': 0.9, 'weight_decay': 0.0}
        """
        settings = self.settings()
        return {name: float(settings[name]) for name in self._in_cells}

    def with_cells(self, cells: Mapping[str, float]) -> Self:
        """The same with other numbers: the inverse of `cells`.

        Args:
            cells: name -> number; others are passed over.

        Raises:
            TrainingError: a number is out of its range.

        Example:
            >>> from sheetconv.training.optimisers import Adam
            >>> Adam().with_cells({"lr": 0.1, "beta2": 0.99})
            Adam(lr=0.1, betas=(0.9, 0.99), eps=1e-08, weight_decay=0.0)
        """
        given: dict[str, Any] = {}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                stem = field.name.removesuffix("s")
                parts = enumerate(value, 1)
                given[field.name] = tuple(cells.get(f"{stem}{n}", part) for n, part in parts)
            elif field.name in cells:
                given[field.name] = cells[field.name]
        return replace(self, **given)  # type: ignore[type-var]

    def check_common(self) -> None:
        """Check the fields that all optimisers have, during `__post_init__`."""
        store(
            self,
            lr=real(self.title, "lr", self.lr),
            weight_decay=real(self.title, "weight_decay", self.weight_decay),
        )


def decay_gradient(
    values: Numbers, gradients: Numbers, scratch: Numbers, settings: StepSettings
) -> None:
    """Add the gradient of half the squares of the parameters, weighed."""
    if settings.weight_decay:
        np.multiply(values, settings.weight_decay, out=scratch)
        gradients += scratch


def decayed(value: Formula, gradient: Formula, cells: Mapping[str, str]) -> Formula:
    """The expression, in brackets, of what `decay_gradient` makes of the gradient.

    Example:
        >>> from sheetconv.formulas import formula_text
        >>> formula_text(decayed(("D4",), ("E4",), {"weight_decay": "$B$2"}))
        '(E4+$B$2*D4)'
    """
    return ("(", *gradient, f"+{cells['weight_decay']}*", *value, ")")


def followed(mean: Formula, latest: Formula, stays: str) -> Formula:
    """The expression of a running mean after `follow`.

    Example:
        >>> from sheetconv.formulas import formula_text
        >>> formula_text(followed(("F4",), ("E4",), "$B$5"))
        '$B$5*F4+(1-$B$5)*E4'
    """
    return (f"{stays}*", *mean, f"+(1-{stays})*", *latest)


def follow(mean: Numbers, latest: Numbers, stays: float) -> None:
    """Update a running mean; `latest` is overwritten."""
    latest *= 1 - stays
    mean *= stays
    mean += latest

"""Binary cross-entropy: each output answers a question of its own with yes or no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...errors import TrainingError
from ...formulas import CellFormulas, Formula, Role, Shape
from ...layers.base import Array, Tensor
from ..fields import Numbers
from .base import Loss, LossView, Targets
from .targets import check_numbers, target_array


@dataclass(frozen=True)
class BCEWithLogits(Loss):
    """Binary cross-entropy: every output is a yes or no of its own.

    ::

        p    = 1 / (1 + exp(-score))
        loss = -(target * log(p) + (1 - target) * log(1 - p))          the mean of all outputs
        grad = p - target

        =EXP(-ABS(EN4))                                         exp
        =IF(EN4>=0,1,EP4)/(1+EP4)                               probability
        =MAX(EN4,0)-EN4*EL4+LN(1+EP4)                           element
        =(ER4-EL4)/(10*$C$1)                                    grad
        =AVERAGE(ET4:ET13)                                      loss

    where EN4:EN13 are the scores, EL4:EL13 the targets and C1 the number of images. No score is
    so large or small that an exponential overflows; an element below 1E-16 is 0, as there is
    no function for log(1 + x) with small x.

    Targets: (n, outputs), 0 for no and 1 for yes, or what lies between.

    Example:
        >>> BCEWithLogits().each(np.array([[0.0, 2.0]]), np.array([[1], [0]])).round(4)
        array([0.6931, 2.1269])
    """

    name: ClassVar[str] = "bce"
    title: ClassVar[str] = "Binary cross-entropy"

    def _share(self, scores: Numbers, targets: Targets, count: int, grad: Numbers | None) -> float:
        elements = count * len(scores)
        # Not above 1, whatever the sign: nothing overflows.
        powers = np.abs(scores, out=grad)
        np.exp(np.negative(powers, out=powers), out=powers)
        loss = float(self._elements(scores, targets, powers).sum(dtype=np.float64)) / elements
        if grad is not None:
            _sigmoid(scores, grad)
            grad -= targets.T
            grad /= elements
        return loss

    def _each(self, scores: Numbers, targets: Targets) -> Numbers:
        loss: Numbers = self._elements(scores, targets, np.exp(-np.abs(scores))).mean(axis=0)
        return loss

    def _probabilities(self, scores: Numbers) -> Numbers:
        powers: Numbers = np.exp(-np.abs(scores))
        _sigmoid(scores, powers)
        return powers

    @staticmethod
    def _elements(scores: Numbers, targets: Targets, powers: Numbers) -> Numbers:
        """(outputs, n) log(1 + exp(score)) - target * score, given exp(-abs(score))."""
        loss = np.log1p(powers)
        loss += np.maximum(scores, 0)
        # The targets' type may be a wider one: the result keeps the scores'.
        loss -= np.multiply(scores, targets.T, out=np.empty_like(scores), casting="same_kind")
        return loss

    def tensors(self, outputs: int) -> tuple[Tensor, ...]:
        return (
            Tensor("exp", (outputs,), Role.STEP, "vector", "exp(-|score|)", "0.00"),
            Tensor("probability", (outputs,), Role.STEP, "vector", "probability", "0.00"),
            Tensor("element", (outputs,), Role.STEP, "vector", "loss of each", "0.000"),
            Tensor("grad", (outputs,), Role.STEP, "vector", "gradient", "0.000"),
            Tensor("loss", (), Role.OUTPUT, "single", "loss", "0.000"),
        )

    def _target_shapes(self, outputs: int) -> tuple[Shape, ...]:
        return ((outputs,),)

    def _formulas(self, view: LossView) -> list[CellFormulas]:
        own = view.own
        formulas = []
        for start, grid, (score,) in view.units("exp", view.scores):
            formulas.append(CellFormulas("exp", start, grid, ("EXP(-ABS(", score, "))")))
        for start, grid, (score, exp) in view.units("probability", view.scores, own["exp"]):
            sigmoid: Formula = ("IF(", score, ">=0,1,", exp, ")/(1+", exp, ")")
            formulas.append(CellFormulas("probability", start, grid, sigmoid))
        read = (view.scores, view.targets, own["exp"])
        for start, grid, (score, target, exp) in view.units("element", *read):
            softplus: Formula = ("MAX(", score, ",0)-", score, "*", target, "+LN(1+", exp, ")")
            formulas.append(CellFormulas("element", start, grid, softplus))
        elements = f"({view.outputs}*{view.count})"
        for start, grid, (share, target) in view.units("grad", own["probability"], view.targets):
            slope: Formula = ("(", share, "-", target, f")/{elements}")
            formulas.append(CellFormulas("grad", start, grid, slope))
        mean = f"AVERAGE({view.areas(own['element'])})"
        return [*formulas, CellFormulas("loss", 0, own["loss"].grids[0], (mean,))]

    def _steps(self, scores: Array, targets: Targets) -> dict[str, Array]:
        exp = np.exp(-np.abs(scores))
        return {
            "exp": exp,
            "probability": self._probabilities(scores),
            "element": self._elements(scores, targets, exp),
        }

    def check_targets(self, targets: Any, outputs: int) -> None:
        array = target_array(self.name, targets)
        check_numbers(self.name, array, outputs, "a number from 0 to 1")
        outside = ~((array >= 0) & (array <= 1))
        if outside.any():
            image, output = np.argwhere(outside)[0]
            raise TrainingError(
                f"{self.name}: output {output} of image {image} should be "
                f"{array[image, output]}: expected 0 or 1, or what lies between"
            )


def _sigmoid(scores: Numbers, powers: Numbers) -> None:
    """Turn exp(-abs(score)) into 1 / (1 + exp(-score)), in place."""
    total = powers + 1
    np.copyto(powers, 1, where=scores >= 0)
    powers /= total

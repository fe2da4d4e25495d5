"""The mean squared error: each output is a number to be met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...formulas import CellFormulas, Formula, Role, Shape
from ...layers.base import Array, Tensor
from ..fields import Numbers
from .base import Loss, LossView, Targets
from .targets import check_classes, check_numbers, target_array


@dataclass(frozen=True)
class MSE(Loss):
    """The mean of the squared differences.

    ::

        loss = (score - target)**2                                      the mean of all outputs
        grad = 2 * (score - target)

        =EN4-EL4                                                difference
        =EN4-($EL$4=0)                                          of class 0, for class numbers
        =2*EP4/(10*$C$1)                                        grad
        =SUMSQ(EP4:EP13)/10                                     loss

    where EN4:EN13 are the scores, EL4:EL13 the targets, or EL4 the class, and C1 the number of
    images.

    Targets: (n, outputs) numbers; or (n,) class numbers from 0, which mean 1 for the output
    of the class and 0 for the others.

    Example:
        >>> MSE().each(np.array([[1.0, 2.0]]), np.array([[1.0], [5.0]]))
        array([0., 9.])
    """

    name: ClassVar[str] = "mse"
    title: ClassVar[str] = "Mean squared error"

    def _share(self, scores: Numbers, targets: Targets, count: int, grad: Numbers | None) -> float:
        elements = count * len(scores)
        off = self._differences(scores, targets, grad)
        loss = float(np.square(off).sum(dtype=np.float64)) / elements
        if grad is not None:
            grad *= 2 / elements
        return loss

    def _each(self, scores: Numbers, targets: Targets) -> Numbers:
        off = self._differences(scores, targets, None)
        loss: Numbers = np.square(off, out=off).mean(axis=0)
        return loss

    def _probabilities(self, scores: Numbers) -> Numbers:
        return scores.copy()

    @staticmethod
    def _differences(scores: Numbers, targets: Targets, out: Numbers | None) -> Numbers:
        if out is None:
            out = np.empty_like(scores)
        if targets.ndim == 2:
            return np.subtract(scores, targets.T, out=out, casting="same_kind")
        out[...] = scores
        out[targets, np.arange(scores.shape[1])] -= 1
        return out

    def tensors(self, outputs: int) -> tuple[Tensor, ...]:
        return (
            Tensor("difference", (outputs,), Role.STEP, "vector", "score - target", "0.000"),
            Tensor("grad", (outputs,), Role.STEP, "vector", "gradient", "0.000"),
            Tensor("loss", (), Role.OUTPUT, "single", "loss", "0.000"),
        )

    def _target_shapes(self, outputs: int) -> tuple[Shape, ...]:
        return ((), (outputs,))

    def _formulas(self, view: LossView) -> list[CellFormulas]:
        difference, outputs = view.own["difference"], view.outputs
        formulas = []
        if view.targets.shape:
            for start, grid, (score, target) in view.units("difference", view.scores, view.targets):
                formulas.append(CellFormulas("difference", start, grid, (score, "-", target)))
        else:
            for k, grid, (score,) in view.units("difference", view.scores, singly=True):
                text = f"-({view.target_class}={k})"
                formulas.append(CellFormulas("difference", k, grid, (score, text)))
        for start, grid, (off,) in view.units("grad", difference):
            slope: Formula = ("2*", off, f"/({outputs}*{view.count})")
            formulas.append(CellFormulas("grad", start, grid, slope))
        mean = f"SUMSQ({view.areas(difference)})/{outputs}"
        return [*formulas, CellFormulas("loss", 0, view.own["loss"].grids[0], (mean,))]

    def _steps(self, scores: Array, targets: Targets) -> dict[str, Array]:
        return {"difference": self._differences(scores, targets, None)}

    def check_targets(self, targets: Any, outputs: int) -> None:
        array = target_array(self.name, targets)
        if array.ndim == 1 and array.dtype.kind in "iu":
            check_classes(self.name, array, outputs)
        else:
            check_numbers(self.name, array, outputs, "a number")

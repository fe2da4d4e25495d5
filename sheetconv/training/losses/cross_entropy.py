"""Cross-entropy: each image is of one class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...errors import LayoutError, TrainingError
from ...formulas import CellFormulas, Role, Shape
from ...layers.base import Array, Tensor
from ..fields import Numbers, real, store
from .base import Loss, LossView, Targets
from .targets import check_classes, target_array

_MOST_ARGUMENTS = 255


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """The logarithm of the probability of each image's class, negated.

    ::

        p    = exp(score[k]) / sum over j of exp(score[j])
        loss = -log(p[class])
        grad = p - (1 in the class, else 0)

        =MAX(EN4:EN13)                                          largest
        =EXP(EN4-$EP$4)                                         exp
        =SUM(ER4:ER13)                                          sum
        =ER4/$ET$4                                              probability
        =(EV4-($EL$4=0))/$C$1                                   grad, of class 0
        =LN($ET$4)-(INDEX(EN4:EN13,$EL$4+1)-$EP$4)              loss

    where EN4:EN13 are the scores, EL4 the class and C1 the number of images. Without taking off
    the largest, EXP(710) would overflow.

    With label smoothing the target of the class is 1 - s + s / K instead of 1, that of each
    of the K - 1 others s / K instead of 0::

        =(EV4-((1-0.1)*($EL$4=0)+0.1/10))/$C$1
        =LN($ET$4)-(1-0.1)*(INDEX(...)-$EP$4)+0.1*SUMPRODUCT($EP$4-EN4:EN13)/10

    Targets: (n,) class numbers from 0.

    Args:
        label_smoothing: s, from 0 to 1. Default 0.

    Raises:
        TrainingError: `label_smoothing` is out of its range.

    Example:
        >>> CrossEntropy().each(np.array([[0.0, 9.0], [0.0, 1.0]]), np.array([0, 1])).round(4)
        array([0.6931, 8.0003])
    """

    label_smoothing: float = 0.0

    name: ClassVar[str] = "cross-entropy"
    title: ClassVar[str] = "Cross-entropy"

    def __post_init__(self) -> None:
        smoothing = real("CrossEntropy", "label_smoothing", self.label_smoothing, high=1)
        store(self, label_smoothing=smoothing)

    def _share(self, scores: Numbers, targets: Targets, count: int, grad: Numbers | None) -> float:
        outputs, images = scores.shape
        # The largest score is taken off, so that no exponential overflows.
        work = np.subtract(scores, scores.max(axis=0), out=grad)
        own = (targets, np.arange(images))
        loss = -(1 - self.label_smoothing) * float(work[own].sum(dtype=np.float64))
        if self.label_smoothing:
            loss -= self.label_smoothing / outputs * float(work.sum(dtype=np.float64))
        np.exp(work, out=work)
        total = work.sum(axis=0)
        loss += float(np.log(total).sum(dtype=np.float64))
        if grad is not None:
            total *= count
            grad /= total
            if self.label_smoothing:
                grad -= self.label_smoothing / (outputs * count)
            grad[own] -= (1 - self.label_smoothing) / count
        return loss / count

    def _each(self, scores: Numbers, targets: Targets) -> Numbers:
        work = scores - scores.max(axis=0)
        loss: Numbers = (self.label_smoothing - 1) * work[targets, np.arange(scores.shape[1])]
        if self.label_smoothing:
            loss -= self.label_smoothing * work.mean(axis=0)
        loss += np.log(np.exp(work, out=work).sum(axis=0))
        return loss

    def _probabilities(self, scores: Numbers) -> Numbers:
        work: Numbers = scores - scores.max(axis=0)
        np.exp(work, out=work)
        work /= work.sum(axis=0)
        return work

    def tensors(self, outputs: int) -> tuple[Tensor, ...]:
        return (
            Tensor("largest", (), Role.STEP, "single", "largest"),
            Tensor("exp", (outputs,), Role.STEP, "vector", "exp(score - largest)", "0.00"),
            Tensor("sum", (), Role.STEP, "single", "sum"),
            Tensor("probability", (outputs,), Role.STEP, "vector", "probability", "0.00"),
            Tensor("grad", (outputs,), Role.STEP, "vector", "gradient", "0.000"),
            Tensor("loss", (), Role.OUTPUT, "single", "loss", "0.000"),
        )

    def _target_shapes(self, outputs: int) -> tuple[Shape, ...]:
        return ((),)

    def _formulas(self, view: LossView) -> list[CellFormulas]:
        own, planes, outputs = view.own, len(view.scores.grids), view.outputs
        if planes > _MOST_ARGUMENTS:
            raise LayoutError(
                f"{self.name}: the {outputs} scores stand on {planes} planes, and MAX takes "
                f"{_MOST_ARGUMENTS}: put a Linear layer behind Flatten"
            )
        smoothing = repr(self.label_smoothing).removesuffix(".0").upper()
        largest, total = view.single("largest"), view.single("sum")
        scores = f"MAX({view.areas(view.scores)})"
        formulas = [
            CellFormulas("largest", 0, own["largest"].grids[0], (scores,)),
            CellFormulas("sum", 0, own["sum"].grids[0], (f"SUM({view.areas(own['exp'])})",)),
        ]
        for start, grid, (score,) in view.units("exp", view.scores):
            formulas.append(CellFormulas("exp", start, grid, ("EXP(", score, f"-{largest})")))
        for start, grid, (exp,) in view.units("probability", own["exp"]):
            formulas.append(CellFormulas("probability", start, grid, (exp, f"/{total}")))
        for k, grid, (share,) in view.units("grad", own["probability"], singly=True):
            target = f"({view.target_class}={k})"
            if self.label_smoothing:
                target = f"((1-{smoothing})*{target}+{smoothing}/{outputs})"
            formulas.append(CellFormulas("grad", k, grid, ("(", share, f"-{target})/{view.count}")))
        # The distance comes first: a largest score of 800 would hide the logarithm's last digits.
        # IronCalc takes brackets behind a plus sign away, those behind a minus sign stay.
        loss = f"({view.score_of_class}-{largest})"
        if self.label_smoothing:
            below = view.sum_below(largest)
            loss = f"(1-{smoothing})*{loss}+{smoothing}*{below}/{outputs}"
        formulas.append(CellFormulas("loss", 0, own["loss"].grids[0], (f"LN({total})-{loss}",)))
        return formulas

    def _steps(self, scores: Array, targets: Targets) -> dict[str, Array]:
        largest = scores.max(axis=0)
        exp = np.exp(scores - largest)
        return {
            "largest": largest,
            "exp": exp,
            "sum": exp.sum(axis=0),
            "probability": self._probabilities(scores),
        }

    def check_targets(self, targets: Any, outputs: int) -> None:
        array = target_array(self.name, targets)
        if array.ndim == 2:
            raise TrainingError(
                f"{self.name}: the targets have shape {array.shape}: expected one class number "
                "for each image; several classes in one image take the loss bce"
            )
        if outputs < 2:
            raise TrainingError(
                f"{self.name}: the network has {outputs} output: expected one for each class, "
                "or the loss bce for a single yes or no"
            )
        check_classes(self.name, array, outputs)

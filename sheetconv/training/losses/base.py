"""The contract of a loss: how far the scores of a batch lie off, and which way they should go.

Scores stand as the trainer keeps them, features first and images last: (outputs, images).
A batch may come in chunks; the shares of its chunks add up to the batch's mean loss, and each
writes its own columns of the gradient. Scores that are infinite or NaN give such a loss
without a warning: whoever trains looks at the loss.

On a worksheet every step of a loss has cells of its own, for each image, and the batch's loss is
the AVERAGE of the images'. A loss spells their formulas, and says what they should hold, from
NumPy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...cells import MAX_FORMULA, Grid
from ...errors import LayoutError
from ...formulas import CellFormulas, Moving, Placed, Shape, View, formula_text
from ...layers.base import Array, Tensor
from ..fields import Numbers
from .indexing import unit_numbered

#: What targets are: class numbers or numbers for every output.
Targets = NDArray[Any]


@dataclass(frozen=True, slots=True)
class LossView:
    """What a loss sees of the worksheet when it spells the formulas of one image.

    Attributes:
        sheet: the worksheet on which the formulas stand.
        scores: (outputs,) where the scores stand: a column, or the planes that Flatten reads.
        targets: where the image's targets stand: () for a class number from 0, or (outputs,).
        own: where the loss's own tensors stand, by name.
        count: the reference to the cell with the number of images of the batch.

    Example:
        >>> from sheetconv.formulas import Role
        >>> scores = Placed((4,), Role.OUTPUT, (Grid("s", 3, 7, 4, 1),))
        >>> target = Placed((), Role.INPUT, (Grid("s", 1, 5, 1, 1),))
        >>> view = LossView("s", scores, target, {}, "$C$1")
        >>> view.areas(view.scores), view.score_of_class
        ('H4:H7', 'INDEX(H4:H7,$F$2+1)')
    """

    sheet: str
    scores: Placed
    targets: Placed
    own: Mapping[str, Placed]
    count: str

    @property
    def _view(self) -> View:
        return View(self.sheet, self.scores, self.own)

    @property
    def outputs(self) -> int:
        """How many scores there are."""
        return self.scores.size

    @property
    def target_class(self) -> str:
        """The reference to the class number."""
        (grid,) = self.targets.grids
        return self._view.absolute(grid)

    def single(self, name: str) -> str:
        """The reference to an own tensor of one number, which stays where it is."""
        (grid,) = self.own[name].grids
        return self._view.absolute(grid)

    def areas(self, placed: Placed) -> str:
        """All cells of a tensor, as the arguments of SUM or MAX, which skip what is blank."""
        return ",".join(self._view.relative(grid) for grid in placed.grids)

    def units(
        self, name: str, *read: Placed, singly: bool = False
    ) -> Iterator[tuple[int, Grid, list[Moving]]]:
        """The units of an own tensor: flat start, grid, and the same units of others.

        Whole planes at a time where all of them are arranged alike, else one by one.

        Args:
            name: the tensor.
            read: the others, of as many units.
            singly: one by one in any case, as for formulas that have the unit's number.
        """
        placed = [self.own[name], *read]
        forms = [[(grid.height, grid.width) for grid in item.grids] for item in placed]
        grids = [list(item.grids) for item in placed]
        if singly or any(form != forms[0] for form in forms):
            grids = [[grid.unit(k) for grid in own for k in range(grid.size)] for own in grids]
        start = 0
        for grid, *others in zip(*grids, strict=True):
            yield start, grid, [self._view.window(other) for other in others]
            start += grid.size

    @property
    def score_of_class(self) -> str:
        """The score of the image's class, as an expression."""
        return unit_numbered(self._view, self.scores.grids, self.target_class)

    def sum_below(self, number: str) -> str:
        """The sum over all scores of how far they lie below a number, as an expression."""
        terms = []
        for grid in self.scores.grids:
            area = self._view.relative(grid)
            below = f"{number}-{area}"
            # The blanks between cells that stand apart are no scores.
            terms.append(
                f"SUMPRODUCT({below})" if grid.compact else f'SUMPRODUCT(({area}<>"")*({below}))'
            )
        return terms[0] if len(terms) == 1 else f"({'+'.join(terms)})"


class Loss(ABC):
    """One loss; subclasses are frozen dataclasses with PyTorch's fields.

    Attributes:
        name: in templates and on the command line.
        title: for people.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def share(
        self, scores: Numbers, targets: Targets, count: int, grad: Numbers | None = None
    ) -> float:
        """A chunk's share of the mean loss of its batch.

        Args:
            scores: (outputs, n) of the chunk; left as they are.
            targets: the chunk's, as `check_targets` takes them, the images first. Numbers of
                the scores' own type are quickest.
            count: how many images the whole batch has.
            grad: (outputs, n), of the scores' type and not the same array: the gradient of
                the batch's mean loss with respect to the scores is written there.

        Example:
            >>> from sheetconv.training.losses import MSE
            >>> grad = np.empty((2, 1))
            >>> MSE().share(np.array([[1.0], [3.0]]), np.array([[0.0, 3.0]]), 1, grad)
            0.5
            >>> grad
            array([[1.],
                   [0.]])
        """
        with np.errstate(all="ignore"):
            return self._share(scores, targets, count, grad)

    def each(self, scores: Numbers, targets: Targets) -> Numbers:
        """(n,) the loss of every image, whose mean is the loss of the batch.

        Args:
            scores: (outputs, n).
            targets: as for `share`.

        Example:
            >>> from sheetconv.training.losses import MSE
            >>> MSE().each(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([1, 0]))
            array([2.5, 2.5])
        """
        with np.errstate(all="ignore"):
            return self._each(scores, targets)

    def probabilities(self, scores: Numbers) -> Numbers:
        """(outputs, n) what the scores mean: a new array.

        Example:
            >>> from sheetconv.training.losses import CrossEntropy
            >>> CrossEntropy().probabilities(np.array([[0.0], [0.0]])).ravel()
            array([0.5, 0.5])
        """
        with np.errstate(all="ignore"):
            return self._probabilities(scores)

    @abstractmethod
    def tensors(self, outputs: int) -> tuple[Tensor, ...]:
        """What the loss of one image draws, left to right; the last is `loss`.

        One of them is `grad`, (outputs,), the gradient of the batch's mean loss with respect
        to the image's scores.

        Args:
            outputs: how many scores an image has.

        Example:
            >>> from sheetconv.training.losses import MSE
            >>> [(tensor.name, tensor.shape) for tensor in MSE().tensors(3)]
            [('difference', (3,)), ('grad', (3,)), ('loss', ())]
        """

    def formulas(self, view: LossView) -> list[CellFormulas]:
        """The formula of every cell of `tensors`, for one image.

        They are not derived from what NumPy computes: a check holds the two against each other.

        Args:
            view: where everything stands.

        Raises:
            LayoutError: the targets are of a kind that the loss does not take, or a formula is
                longer than Excel takes.
        """
        outputs = view.outputs
        shapes = self._target_shapes(outputs)
        if view.targets.shape not in shapes:
            raise LayoutError(
                f"{self.name}: the cells of the targets have shape {view.targets.shape}: expected "
                f"{' or '.join(str(shape) for shape in shapes)} for each image"
            )
        formulas = self._formulas(view)
        for item in formulas:
            if (length := len(formula_text(item.formula)) + 1) > MAX_FORMULA:
                raise LayoutError(
                    f"{self.name}: the formula of {item.grid.cell(0, 0)} needs {length:,} "
                    f"characters, and Excel takes {MAX_FORMULA:,}: use fewer outputs, or draw "
                    "their planes at equal distances, one below the other"
                )
        return formulas

    def expected(self, scores: Array, targets: Targets, count: int) -> dict[str, Array]:
        """The values of `tensors` for a batch, or a part of one, the images first.

        Args:
            scores: (n, outputs) of the images.
            targets: theirs; class numbers may be floats, as a worksheet has them.
            count: how many images the whole batch has.

        Example:
            >>> from sheetconv.training.losses import MSE
            >>> MSE().expected(np.array([[1.0, 3.0]]), np.array([1.0]), 1)
            {'difference': array([[1., 2.]]), 'grad': array([[1., 2.]]), 'loss': array([2.5])}
        """
        columns = np.array(scores.T, np.float64, order="C")
        grad = np.empty_like(columns)
        if targets.ndim == 1:
            targets = targets.astype(np.int64)
        with np.errstate(all="ignore"):
            values = self._steps(columns, targets)
            self._share(columns, targets, count, grad)
            values |= {"grad": grad, "loss": self._each(columns, targets)}
        return {name: value.T for name, value in values.items()}

    @abstractmethod
    def check_targets(self, targets: Any, outputs: int) -> None:
        """Refuse targets that do not fit the loss or the network.

        Args:
            targets: of all images, the images first.
            outputs: how many numbers the network gives for an image.

        Raises:
            TrainingError: they have another shape or kind, or a number out of range.

        Example:
            >>> from sheetconv.training.losses import CrossEntropy
            >>> CrossEntropy().check_targets(np.array([0, 3]), 3)
            Traceback (most recent call last):
            sheetconv.errors.TrainingError: cross-entropy: image 1 is of class 3: expected 0 to 2,
            since the network has 3 outputs
        """

    @abstractmethod
    def _share(
        self, scores: Numbers, targets: Targets, count: int, grad: Numbers | None
    ) -> float: ...

    @abstractmethod
    def _each(self, scores: Numbers, targets: Targets) -> Numbers: ...

    @abstractmethod
    def _probabilities(self, scores: Numbers) -> Numbers: ...

    @abstractmethod
    def _target_shapes(self, outputs: int) -> tuple[Shape, ...]:
        """The shapes that the targets of one image may have on a worksheet."""

    @abstractmethod
    def _formulas(self, view: LossView) -> list[CellFormulas]: ...

    @abstractmethod
    def _steps(self, scores: Array, targets: Targets) -> dict[str, Array]:
        """What `tensors` has before `grad`, the images last, from scores (outputs, n)."""

"""The cells of normalisations: their tensors and formulas, there and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from ..cells import MAX_FORMULA, Grid
from ..errors import LayoutError
from ..formulas import (
    MOST_ARGUMENTS,
    BackView,
    CellFormulas,
    Formula,
    Role,
    Shape,
    View,
    called,
    joined,
)
from .base import Layer, Tensor


class NormalizationCells(Layer):
    """A layer that takes off a mean and divides by a standard deviation, as it is drawn.

    Subclasses are dataclasses with these fields.
    """

    num_features: int
    affine: bool
    track_running_stats: bool

    #: Whether the images of a batch share the statistics of the input.
    shares_batch: ClassVar[bool] = False

    def tensors(self, input_shape: Shape) -> tuple[Tensor, ...]:
        channels = (self.num_features,)
        drawn = [Tensor("eps", (), Role.SETTING, "single", "eps =", "0E+00")]
        if self.track_running_stats:
            drawn.append(Tensor("running_mean", channels, Role.BUFFER, "scalars", "mean"))
            drawn.append(Tensor("running_var", channels, Role.BUFFER, "scalars", "var"))
        else:
            own = not self.shares_batch
            for name in ("mean", "var"):
                drawn.append(Tensor(name, channels, Role.STEP, "scalars", name, per_image=own))
        if self.affine:
            drawn.append(Tensor("weight", channels, Role.PARAM, "scalars", "weight"))
            drawn.append(Tensor("bias", channels, Role.PARAM, "scalars", "bias"))
        return (*drawn, Tensor("out", self.output_shape(input_shape), Role.OUTPUT, "planes"))

    def formulas(self, view: View) -> list[CellFormulas]:
        formulas = []
        for c, start, grid in view.planes("out"):
            names = (f"{self._before}mean", *(("weight", "bias") if self.affine else ()))
            mean, *stretch = (view.absolute(view.own[name].grids[c]) for name in names)
            x = view.window(view.input.grids[c])
            formula: Formula = ("(", x, f"-{mean})/SQRT({self._spread(view, c)})")
            if stretch:
                formula = (*formula, f"*{stretch[0]}+{stretch[1]}")
            formulas.append(CellFormulas("out", start, grid, formula))
        if not self.track_running_stats and not self.shares_batch:
            for c, plane in enumerate(view.input.grids):
                formulas += self._of_planes(view, c, [plane])
        return formulas

    def batch_formulas(self, view: View) -> list[CellFormulas]:
        if self.track_running_stats or not self.shares_batch:
            return []
        return [
            item
            for c in range(self.num_features)
            for item in self._of_planes(view, c, view.input.grids[c :: self.num_features])
        ]

    def _of_planes(self, view: View, c: int, planes: Sequence[Grid]) -> Iterator[CellFormulas]:
        """The cells of the mean and the variance of a channel's planes.

        VARP would be shorter, but IronCalc's takes the difference of two sums of squares, in
        which small deviations are lost: of 75 numbers near 3E8, all the same, it makes -41.
        """
        mean, var = view.own["mean"].grids[c], view.own["var"].grids[c]
        areas = [view.relative(plane) for plane in planes]
        cell = view.absolute(mean)
        sums = []
        for plane, area in zip(planes, areas, strict=True):
            # The blanks between cells that stand apart are no numbers near the mean.
            filled = "" if plane.compact else f'({area}<>"")*'
            sums.append(f"SUMPRODUCT({filled}({area}-{cell})^2)")
        total = sums[0] if len(sums) == 1 else f"({'+'.join(sums)})"
        variance = f"{total}/{sum(plane.size for plane in planes)}"
        if len(areas) > MOST_ARGUMENTS or len(variance) >= MAX_FORMULA:
            raise LayoutError(
                f"{self}: the statistics of {len(planes)} images need {len(areas)} arguments and "
                f"{len(variance) + 1:,} characters, and Excel takes {MOST_ARGUMENTS} and "
                f"{MAX_FORMULA:,}: give fewer images, or use running statistics"
            )
        yield CellFormulas("mean", c, mean, (f"AVERAGE({','.join(areas)})",))
        yield CellFormulas("var", c, var, (variance,))

    def gradient_tensors(self, input_shape: Shape) -> tuple[Tensor, ...]:
        """What mean and variance take from the output's gradient: its mean, its slope along x."""
        if self.track_running_stats:
            return ()
        channels, own = (self.num_features,), not self.shares_batch
        return tuple(
            Tensor(name, channels, Role.STEP, "scalars", name, per_image=own)
            for name in ("grad.mean", "grad.slope")
        )

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        formulas = []
        for c, start, grid in view.targets:
            formula: Formula = (view.window(view.grad_output.grids[c]),)
            if not self.track_running_stats:
                mean, level, slope = (
                    view.absolute(view.own[name].grids[c])
                    for name in ("mean", "grad.mean", "grad.slope")
                )
                x = view.window(view.input.grids[c])
                formula = ("(", *formula, f"-{level}-(", x, f"-{mean})*{slope})")
            if self.affine:
                formula = (*formula, f"*{view.absolute(view.own['weight'].grids[c])}")
            formula = (*formula, f"/SQRT({self._spread(view, c)})")
            formulas.append(CellFormulas("input.grad", start, grid, formula))
        return formulas

    def parameter_gradients(self, view: BackView) -> list[CellFormulas]:
        formulas = []
        along: dict[int, list[Formula]] = {c: [] for c in range(self.num_features)}
        for number, planes in self._sharing(len(view.input.grids)):
            total, spread = self._products(view, number, planes), self._spread(view, number)
            along[number % self.num_features].append((f"{total}/SQRT({spread})",))
            if not self.track_running_stats and "grad.mean" in view.own:
                grads = view.grad_output.grids[planes]
                areas = ",".join(view.relative(plane) for plane in grads)
                count = sum(plane.size for plane in grads)
                texts = {"mean": f"AVERAGE({areas})", "slope": f"{total}/{count}/({spread})"}
                for name, text in texts.items():
                    cell = view.own[f"grad.{name}"].grids[number]
                    formulas.append(CellFormulas(f"grad.{name}", number, cell, (text,)))
        for c, terms in along.items() if self.affine else ():
            grads = view.grad_output.grids[c :: self.num_features]
            level = called("SUM", [(view.relative(plane),) for plane in grads])
            for name, formula in (("weight.grad", joined("+", terms)), ("bias.grad", level)):
                formulas.append(CellFormulas(name, c, view.own[name].grids[c], formula))
        return self.fitting(formulas, "use smaller batches")

    def _sharing(self, planes: int) -> Iterator[tuple[int, slice]]:
        """The number of each mean and variance, and which planes of the batch share them."""
        alike = self.shares_batch or self.track_running_stats
        for number in range(self.num_features if alike else planes):
            yield number, slice(number, planes if alike else number + 1, self.num_features)

    def _products(self, view: BackView, number: int, planes: slice) -> str:
        """The sum of x - mean times the output's gradient, over planes that share a mean."""
        mean = view.absolute(view.own[f"{self._before}mean"].grids[number])
        sums = [
            f"SUMPRODUCT({view.relative(grad)},{view.relative(x)}-{mean})"
            for grad, x in zip(
                view.grad_output.grids[planes], view.input.grids[planes], strict=True
            )
        ]
        return sums[0] if len(sums) == 1 else f"({'+'.join(sums)})"

    def _spread(self, view: View, number: int) -> str:
        """The square of what planes are divided by, by the number of their variance."""
        var = view.absolute(view.own[f"{self._before}var"].grids[number])
        return f"{var}+{view.absolute(view.own['eps'].grids[0])}"

    @property
    def _before(self) -> str:
        """What stands before the names of the mean and the variance."""
        return "running_" if self.track_running_stats else ""

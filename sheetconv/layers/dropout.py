"""Dropout, drawn with its random numbers: a plane of RAND(), a mask, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

import numpy as np

from ..errors import ShapeError
from ..formulas import BackView, CellFormulas, Formula, Role, Shape, View
from .base import ROUNDOFF, Arrangement, Array, Cache, Example, Layer, Params, Tensor
from .validation import flag, pair, shown, whole


@dataclass(frozen=True)
class Dropout(Layer):
    """Sets each unit to zero with probability p.

    ::

        mask = random if random > p + margin else 0
        out  = x / (1 - p) where mask is not 0, else 0       (x itself without rescale)

        =RAND()
        =IF(CU4>$GD$1, CU4, 0)
        =IF(DZ4=0, 0, BQ4/(1-$GD$1))
        =24*25, =COUNTIF(DZ4:EX27,0), =FA31/FA30             the share that was dropped

        grad_input = grad_output / (1 - p) where mask is not 0, else 0

        =IF(DZ4=0, 0, HC4/(1-$GD$1))

    Every plane has its random plane and its mask; so has a vector. RAND() draws anew at
    every recalculation. With a `seed` the random plane holds numbers instead, so that the
    mask stays as it is until p is edited.

    Shapes: any (N, C, H, W), or (N, features); `random` and `mask` have the input's,
    `total`, `zeros` and `share` have one number a channel, or a vector. Without `random` in
    the parameters the layer is the identity, as PyTorch's in `eval`.

    Args:
        p: the probability, from 0 to 1. It stands in a cell. Default 0.5.
        rescale: divide what is kept by 1 - p, as PyTorch does. Default True.
        margin: added to p before the comparison, as conv-example adds 0.001. Default 0.
        counted: the height and width whose product the dropped cells are a share of.
            Default: the plane's own. conv-example counts 26 x 26 on a 24 x 25 plane.
        seed: of fixed random numbers. Default: none; RAND() draws them.

    Raises:
        ShapeError: a field is out of its range.

    Example:
        >>> x = np.ones((1, 1, 1, 2))
        >>> Dropout(0.5).forward(x, {"random": np.array([[[[0.2, 0.9]]]])})[0]
        array([[[[0., 2.]]]])
    """

    p: float = 0.5
    rescale: bool = True
    margin: float = 0.0
    counted: tuple[int, int] | None = None
    seed: int | None = None

    title: ClassVar[str] = "Dropout"
    stem: ClassVar[str] = "dropout"
    is_unitwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for field in ("p", "margin"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ShapeError(
                    f"Dropout: {field} is {shown(value)}: expected a number from 0 to 1"
                )
            self.set(field, float(value))
        flag("Dropout", "rescale", self.rescale)
        if self.counted is not None:
            self.set("counted", pair("Dropout", "counted", self.counted, 1))
        if self.seed is not None:
            self.set("seed", whole("Dropout", "seed", self.seed, 0))

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) not in (1, 3):
            raise self.refuse_input(input_shape, "(channels, height, width) or (features,)")
        return input_shape

    def settings(self) -> dict[str, Array]:
        return {"p": np.array(float(self.p))}

    def probe_settings(self, rng: np.random.Generator) -> dict[str, Array]:
        """A small p: what is dropped shows nothing of the cells before it.

        Fixed random numbers would drop the same cells in every probe: below zero p drops none.
        """
        if self.seed is not None:
            return {"p": rng.uniform(-0.2, 0.0, ()) - self.margin}
        return {"p": rng.uniform(0.0, 0.2, ())}

    def while_training(self) -> Dropout:
        """With a seed every batch would lose the same units."""
        return replace(self, seed=None)

    def draw_noise(
        self, input_shape: Shape, rng: np.random.Generator, batch: int = 1
    ) -> dict[str, Array]:
        drawn_by = rng if self.seed is None else np.random.default_rng(self.seed)
        return {"random": drawn_by.random((batch, *input_shape))}

    def _mask(self, params: Params) -> Array:
        random, threshold = params["random"], float(params.get("p", self.p)) + self.margin
        # Times zero: what is no number stays none.
        return np.where(random > threshold, random, 0.0 * (random + threshold))

    def _factor(self, mask: Array, params: Params, x: Array) -> Array:
        """What each unit of x is multiplied by, in the type of x."""
        factor = np.where(np.isnan(mask), np.nan, (mask != 0) * self._scale(params))
        return factor.astype(x.dtype, copy=False)

    def _scale(self, params: Params) -> float:
        p = float(params.get("p", self.p))
        # With p = 1 nothing is kept, so that the scale is never used.
        return 1.0 / (1.0 - p) if self.rescale and p < 1 else 1.0

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        if "random" not in params:
            return x, np.ones((), x.dtype)
        factor = self._factor(self._mask(params), params, x)
        return x * factor, factor

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        return grad_output * cache, {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        if "random" not in params:
            return x.copy()
        p = float(params.get("p", self.p))
        random = np.broadcast_to(params["random"], x.shape)
        out = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            if random[index] > p + self.margin:
                out[index] = x[index] / (1 - p) if self.rescale else x[index]
        return out

    def _total(self, x: Array) -> float:
        return float(prod(self.counted or x.shape[2:] or x.shape[1:]))

    def activations(self, x: Array, params: Params) -> dict[str, Array]:
        mask = np.broadcast_to(self._mask(params), x.shape)
        shown = np.broadcast_to(params.get("mask", mask), x.shape)
        plane = (2, 3) if x.ndim == 4 else (1,)
        zeros = np.count_nonzero(shown == 0, axis=plane).astype(np.float64)
        total = np.full(zeros.shape, self._total(x))
        share = np.broadcast_to(
            params.get("zeros", zeros) / params.get("total", total), zeros.shape
        )
        out = x * self._factor(shown, params, x)
        return {"mask": mask, "total": total, "zeros": zeros, "share": share, "out": out}

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """Exact but for the division by 1 - p and the share: a few roundoffs each."""
        values = self.activations(x, params)
        exact = {name: np.zeros(value.shape) for name, value in values.items()}
        kept = (params.get("mask", values["mask"]) != 0) * self._scale(params)
        rounding = 4 * ROUNDOFF * np.abs(values["out"]) if self.rescale else 0.0
        return exact | {
            "share": 2 * ROUNDOFF * np.abs(values["share"]),
            "out": error * kept + rounding,
        }

    def tensors(self, input_shape: Shape) -> tuple[Tensor, ...]:
        shape, channels = self.output_shape(input_shape), input_shape[:-2]
        drawn: Arrangement = "planes" if len(shape) == 3 else "vector"
        role = Role.NOISE if self.seed is None else Role.SETTING
        # Above a column there is room for one word.
        label = "random numbers" if drawn == "planes" else "random"
        return (
            Tensor("p", (), Role.SETTING, "single", "p ="),
            Tensor("random", shape, role, drawn, label, per_image=True),
            Tensor("mask", shape, Role.STEP, drawn, "mask"),
            Tensor("total", channels, Role.STEP, "below", "cells", "0"),
            Tensor("zeros", channels, Role.STEP, "below", "dropped", "0"),
            Tensor("share", channels, Role.STEP, "below", "share dropped", "0.00"),
            Tensor("out", shape, Role.OUTPUT, drawn),
        )

    def formulas(self, view: View) -> list[CellFormulas]:
        (p,) = (view.absolute(grid) for grid in view.own["p"].grids)
        threshold = f"({p}+{self.margin!r})" if self.margin else p
        scale = f"/(1-{p})" if self.rescale else ""
        own = {name: list(view.planes(name)) for name in view.own}
        formulas = []
        for c, start, grid in own["out"]:
            random, mask = own["random"][c][2], own["mask"][c][2]
            total, zeros = own["total"][c][2], own["zeros"][c][2]
            height, width = self.counted or (grid.height, grid.width)
            # With a colon for one cell too: IronCalc's COUNTIF takes no single cell.
            last = mask.cell(mask.height - 1, mask.width - 1)
            counted = f"{view.prefix(mask.sheet)}{mask.cell(0, 0).a1}:{last.a1}"
            drawn, kept, x = (view.window(g) for g in (random, mask, view.input.grids[c]))
            if self.seed is None:
                formulas.append(CellFormulas("random", start, random, ("RAND()",)))
            formulas += [
                CellFormulas("mask", start, mask, ("IF(", drawn, f">{threshold}, ", drawn, ", 0)")),
                CellFormulas("out", start, grid, ("IF(", kept, "=0, 0, ", x, f"{scale})")),
                CellFormulas("total", c, total, (f"{height}*{width}",)),
                CellFormulas("zeros", c, zeros, (f"COUNTIF({counted},0)",)),
                CellFormulas(
                    "share",
                    c,
                    own["share"][c][2],
                    (f"{view.relative(zeros)}/{view.relative(total)}",),
                ),
            ]
        return formulas

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        (p,) = (view.absolute(grid) for grid in view.own["p"].grids)
        scale = f"/(1-{p})" if self.rescale else ""
        formulas = []
        for c, start, grid in view.targets:
            kept = view.window(view.own["mask"].grids[c])
            grad = view.window(view.grad_output.grids[c])
            formula: Formula = ("IF(", kept, "=0, 0, ", grad, f"{scale})")
            formulas.append(CellFormulas("input.grad", start, grid, formula))
        return formulas

    def nonnegative(self, input_nonnegative: bool) -> bool:
        return input_nonnegative

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([[[1.0, 2.0], [3.0, -4.0]]])
        random = np.array([[[0.1, 0.7], [0.2504, 0.8]]])
        return [
            # 0.7 > 0.5 keeps 2, doubled.
            Example(cls(), x, {"random": random}, (0, 0, 1), 4.0),
            # 0.1 <= 0.25 drops 1; without rescale the kept -4 stays.
            Example(cls(0.25, rescale=False), x, {"random": random}, (0, 0, 0), 0.0),
            Example(cls(0.25, rescale=False), x, {"random": random}, (0, 1, 1), -4.0),
            # 0.2504 lies within the margin above p.
            Example(cls(0.25, margin=0.001, counted=(3, 3)), x, {"random": random}, (0, 1, 0), 0.0),
            # A vector: 0.2 drops 1, 0.9 keeps 3 and doubles it.
            Example(
                cls(seed=7), np.array([1.0, 3.0]), {"random": np.array([[0.2, 0.9]])}, (1,), 6.0
            ),
            # Without random numbers, the identity.
            Example(cls(0.9), x, {}, (0, 1, 0), 3.0),
        ]

"""Softmax: scores become probabilities. Every step has cells of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import ShapeError
from ..formulas import BackView, CellFormulas, Formula, Role, Shape, View, called
from .base import ROUNDOFF, Array, Cache, Example, Layer, Params, Tensor
from .validation import whole


@dataclass(frozen=True)
class Softmax(Layer):
    """Probabilities that are proportional to the exponentials of the scores.

    ::

        largest = the largest x[k];  exp[k] = e**(x[k] - largest);  sum = all exp
        out[k]  = exp[k] / sum

        =MAX(EN4:EN13)
        =EXP(EN4-$EQ$4)
        =SUM(ES4:ES13)
        =ES4/$EV$4

        grad_input[k] = out[k] * sum over j of out[j] * (grad_output[k] - grad_output[j])

        =EX4*SUMPRODUCT($EX$4:$EX$13,FA4-$FA$4:$FA$13)

    Without taking off the largest, EXP(710) would overflow; without the
    differences, gradients that are nearly alike would be lost in their mean. Shapes:
    x (N, features), out the same; `exp` has one number a feature, `largest` and `sum` have one.

    Args:
        dim: the dimension of the features, 1 or -1. Default -1.

    Raises:
        ShapeError: `dim` is another.

    Example:
        >>> Softmax().forward(np.array([[0.0, 0.0, -1000.0]]), {})[0]
        array([[0.5, 0.5, 0. ]])
    """

    dim: int = -1

    title: ClassVar[str] = "Softmax"
    stem: ClassVar[str] = "softmax"

    def __post_init__(self) -> None:
        if whole("Softmax", "dim", self.dim, -1) not in (1, -1):
            raise ShapeError(f"Softmax: dim is {self.dim}: expected 1 or -1, the features")
        self.store_plain("dim")

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise self.refuse_input(input_shape, "(features,); put Flatten before it")
        return input_shape

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        exp = np.exp(x - x.max(axis=1, keepdims=True))
        out = exp / exp.sum(axis=1, keepdims=True)
        return out, out

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        inner = (grad_output * cache).sum(axis=1, keepdims=True)
        return cache * (grad_output - inner), {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        out = np.zeros(x.shape)
        for b, scores in enumerate(x.tolist()):
            largest = max(scores)
            total = sum(math.exp(score - largest) for score in scores)
            for k, score in enumerate(scores):
                out[b, k] = math.exp(score - largest) / total
        return out

    def activations(self, x: Array, params: Params) -> dict[str, Array]:
        largest = x.max(axis=1)
        exp = np.exp(x - np.reshape(params.get("largest", largest), (-1, 1)))
        shown = np.broadcast_to(params.get("exp", exp), x.shape)
        total = shown.sum(axis=1)
        out = shown / np.reshape(params.get("sum", total), (-1, 1))
        return {"largest": largest, "exp": exp, "sum": total, "out": out}

    def probe_window(self, input_shape: Shape) -> tuple[int, int]:
        return (input_shape[0], 1)

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """To first order: an exponential's is its own value times its argument's."""
        values = self.activations(x, params)
        terms = x.shape[1] + 1
        largest = error.max(axis=1)
        argument = error + largest[:, np.newaxis]
        distance = np.abs(x - x.max(axis=1, keepdims=True))
        exp = values["exp"] * (2 * argument + 4 * ROUNDOFF * (distance + 4))
        total = exp.sum(axis=1) + 2 * terms * ROUNDOFF * np.abs(values["sum"])
        shown = np.abs(np.reshape(params.get("sum", values["sum"]), (-1, 1)))
        share = np.abs(values["out"])
        out = (exp + share * total[:, np.newaxis]) / shown + 4 * ROUNDOFF * share
        # Beyond 300 digits a spreadsheet shows zero.
        return {"largest": largest, "exp": exp + 1e-300, "sum": total, "out": out + 1e-300}

    def tensors(self, input_shape: Shape) -> tuple[Tensor, ...]:
        shape = self.output_shape(input_shape)
        return (
            Tensor("largest", (), Role.STEP, "single", "largest"),
            Tensor("exp", shape, Role.STEP, "vector", "exp(x - largest)", "0.00"),
            Tensor("sum", (), Role.STEP, "single", "sum"),
            Tensor("out", shape, Role.OUTPUT, "vector", "", "0.00"),
        )

    def reach(self, input_shape: Shape) -> None:
        return None

    def channel_groups(self, input_shape: Shape) -> int:
        return 1

    def formulas(self, view: View) -> list[CellFormulas]:
        own = {name: placed.grids[0] for name, placed in view.own.items()}
        largest, total = view.absolute(own["largest"]), view.absolute(own["sum"])
        scores: list[Formula] = [(view.relative(grid),) for grid in view.input.grids]
        formulas = [
            CellFormulas("largest", 0, own["largest"], called("MAX", scores)),
            CellFormulas("sum", 0, own["sum"], (f"SUM({view.relative(own['exp'])})",)),
            CellFormulas("out", 0, own["out"], (view.window(own["exp"]), f"/{total}")),
        ]
        units = [cell for grid in view.input.grids for cell in grid.cells()]
        for k, score in enumerate(units):
            text = f"EXP({view.prefix(score.sheet)}{score.a1}-{largest})"
            formulas.append(CellFormulas("exp", k, own["exp"].unit(k), (text,)))
        return formulas

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        (out,), (grad,) = view.own["out"].grids, view.grad_output.grids
        shares, grads = view.absolute(out), view.absolute(grad)
        formulas = []
        for _, start, grid in view.targets:
            for index in range(grid.size):
                own, slope = (view.relative(g.unit(start + index)) for g in (out, grad))
                text = f"{own}*SUMPRODUCT({shares},{slope}-{grads})"
                formulas.append(
                    CellFormulas("input.grad", start + index, grid.unit(index), (text,))
                )
        return formulas

    def nonnegative(self, input_nonnegative: bool) -> bool:
        return True

    @classmethod
    def examples(cls) -> list[Example]:
        return [
            Example(cls(), np.array([3.0, 3.0, 3.0, 3.0]), {}, (2,), 0.25),
            # The largest is taken off: exp(800) alone would overflow.
            Example(cls(1), np.array([800.0, -800.0]), {}, (0,), 1.0),
        ]

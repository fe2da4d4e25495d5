"""The dense layer: every output is the sum of all inputs, each times its own weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..formulas import BackView, CellFormulas, Formula, Role, Shape, View, called, joined
from .arithmetic import Arithmetic
from .base import ROUNDOFF, SNAP, Array, Cache, Example, Layer, Params, Tensor, kaiming_uniform
from .validation import flag, whole


@dataclass(frozen=True)
class Linear(Layer):
    """A dense layer.

    ::

        out[k] = bias[k] + sum over f of weight[k, f] * x[f]

        =SUMPRODUCT(DN4:EL26,CM4:DK26)+SUMPRODUCT(DN33:EL55,CM33:DK55)+...

    The weights of an output are drawn in the arrangement of the input, so that a weight
    stands where its activation stands: one term for each plane of the input; for more than 40
    planes one term for all, from the first cell to the last, as what lies between them is
    blank among the weights. Shapes:
    x (N, in_features), weight (out_features, in_features), bias (out_features,),
    out (N, out_features).

    The way back::

        grad_input[f] = sum over k of weight[k, f] * grad_output[k]
        weight.grad[k, f] = sum over all images of grad_output[k] * x[f]
        bias.grad[k] = sum over all images of grad_output[k]

        =DN4*$FA$4+FC4*$FA$5+...          one term an output
        =CM4*$FA$4+CM64*$FA$64+...        one term an image
        =SUM(FA4,FA64,...)

    Args:
        in_features: units of the input, after `Flatten` where it has planes.
        out_features: units of the output.
        bias: whether a number is added to each output. Default True.

    Raises:
        ShapeError: a field is out of its range.

    Example:
        >>> Linear(312, 10).output_shape((312,))
        (10,)
    """

    in_features: int
    out_features: int
    bias: bool = True

    title: ClassVar[str] = "Dense"
    stem: ClassVar[str] = "dense"

    def __post_init__(self) -> None:
        whole("Linear", "in_features", self.in_features, 1)
        whole("Linear", "out_features", self.out_features, 1)
        flag("Linear", "bias", self.bias)
        self.store_plain("in_features", "out_features")

    def output_shape(self, input_shape: Shape) -> Shape:
        if input_shape != (self.in_features,):
            hint = "; put Flatten before it" if len(input_shape) == 3 else ""
            raise self.refuse_input(input_shape, f"({self.in_features},){hint}")
        return (self.out_features,)

    def init_params(self, rng: np.random.Generator) -> dict[str, Array]:
        shape = (self.out_features, self.in_features)
        params = {"weight": kaiming_uniform(rng, shape, self.in_features)}
        if self.bias:
            params["bias"] = kaiming_uniform(rng, (self.out_features,), self.in_features)
        return params

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        out = x @ params["weight"].T
        return (out + params["bias"] if self.bias else out), x

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        grads = {"weight": grad_output.T @ cache}
        if self.bias:
            grads["bias"] = grad_output.sum(axis=0)
        return grad_output @ params["weight"], grads

    def forward_naive(self, x: Array, params: Params) -> Array:
        out = np.zeros((len(x), self.out_features))
        for b, k in np.ndindex(out.shape):
            total = float(params["bias"][k]) if self.bias else 0.0
            for f in range(self.in_features):
                total += params["weight"][k, f] * x[b, f]
            out[b, k] = total
        return out

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """Twice (n + 2) roundoffs of the sum of the n absolute products, bias included.

        And where terms are joined by a plus sign, what a program may take for zero.
        """
        magnitude = {name: np.abs(value) for name, value in params.items()}
        terms = self.in_features + 1
        part = 2 * (terms + 1) * ROUNDOFF + SNAP
        rounding = part * self.forward(np.abs(x), magnitude)[0]
        return {"out": rounding + error @ magnitude["weight"].T}

    def tensors(self, input_shape: Shape) -> tuple[Tensor, ...]:
        weight = (self.out_features, self.in_features)
        drawn = [Tensor("weight", weight, Role.PARAM, "dense", "weights")]
        if self.bias:
            drawn.append(Tensor("bias", (self.out_features,), Role.PARAM, "vector", "bias"))
        return (*drawn, Tensor("out", (self.out_features,), Role.OUTPUT, "vector", "", "0.00"))

    def reach(self, input_shape: Shape) -> None:
        return None

    def channel_groups(self, input_shape: Shape) -> int:
        return 1

    def arithmetic(self, input_shape: Shape) -> Arithmetic:
        return Arithmetic(
            {"outputs": self.out_features, "bias": int(self.bias)},
            channels="{outputs}",
            parameters="{outputs}*({channels_in}+{bias})",
            multiplications="{channels}*{channels_in}",
        )

    def multiplications(self, input_shape: Shape) -> int:
        """Every weight once."""
        return self.in_features * self.out_features

    def formulas(self, view: View) -> list[CellFormulas]:
        inputs = view.input.grids
        weights = view.own["weight"].grids
        (out,) = view.own["out"].grids
        planes = view.areas(inputs)
        formulas = []
        for k in range(self.out_features):
            own = weights[k * len(inputs) : (k + 1) * len(inputs)]
            terms: list[Formula] = [
                (f"SUMPRODUCT({weight},{plane})",)
                for weight, plane in zip(view.areas(own), planes, strict=True)
            ]
            if self.bias:
                (bias,) = view.own["bias"].grids
                terms.append((view.prefix(bias.sheet) + bias.cell(k, 0).a1,))
            formulas.append(CellFormulas("out", k, out.unit(k), joined("+", terms)))
        return formulas

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        (grad,) = view.grad_output.grids
        deltas = [view.absolute(grad.unit(k)) for k in range(self.out_features)]
        planes, weights = len(view.input.grids), view.own["weight"].grids
        formulas = []
        for c, start, grid in view.targets:
            terms: list[Formula] = [
                (view.window(weight), f"*{delta}")
                for weight, delta in zip(weights[c::planes], deltas, strict=True)
            ]
            formulas.append(CellFormulas("input.grad", start, grid, joined("+", terms)))
        return self.fitting(formulas, "use fewer outputs")

    def parameter_gradients(self, view: BackView) -> list[CellFormulas]:
        grads = view.grad_output.grids
        planes = len(view.input.grids) // len(grads)
        formulas = []
        for number, start, grid in view.planes("weight.grad"):
            k, c = divmod(number, planes)
            terms: list[Formula] = [
                (view.window(plane), f"*{view.absolute(grad.unit(k))}")
                for plane, grad in zip(view.input.grids[c::planes], grads, strict=True)
            ]
            formulas.append(CellFormulas("weight.grad", start, grid, joined("+", terms)))
        if self.bias:
            (grid,) = view.own["bias.grad"].grids
            total = called("SUM", [(view.window(grad),) for grad in grads])
            formulas.append(CellFormulas("bias.grad", 0, grid, total))
        return self.fitting(formulas, "use smaller batches")

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([1.0, -2.0, 0.5])
        weight = np.array([[1.0, 2.0, 4.0], [0.5, -1.0, 2.0]])
        bias = np.array([10.0, -1.0])
        return [
            # 0.5 + 2 + 1 - 1
            Example(cls(3, 2), x, {"weight": weight, "bias": bias}, (1,), 2.5),
            # 1 - 4 + 2
            Example(cls(3, 2, bias=False), x, {"weight": weight}, (0,), -1.0),
        ]

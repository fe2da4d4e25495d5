"""Normalisation by the training set: each channel less its mean, over its deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..formulas import BackView, CellFormulas, Role, Shape, View
from .arithmetic import Arithmetic
from .base import ROUNDOFF, SNAP, Array, Cache, Example, Layer, Params, Tensor
from .validation import whole


@dataclass(frozen=True)
class Normalize(Layer):
    """Takes off a mean and divides by a standard deviation that the training set has.

    ::

        out = (x - mean[c]) / std[c]

        =(A2-$AD$2)/$AD$3

        grad_input = grad_output / std[c]

        =CK3/$AD$3

    As fast.ai's transform of that name, in cells of its own: what a network was trained on is
    what it has to see. `mean` and `std` are numbers that are measured once, before training;
    until then they are 0 and 1, and the output is the input. Shapes: x
    (N, num_features, H, W), out the same; `mean` and `std` have one number a channel.

    `std` has to be above 0: a cell that divides by 0 shows #DIV/0!. A channel that is the
    same everywhere takes 1.

    Args:
        num_features: channels of the input.

    Raises:
        ShapeError: `num_features` is out of its range.

    Example:
        >>> x = np.array([[[[1.0, 3.0, 6.0]]]])
        >>> Normalize(1).forward(x, {"mean": np.array([3.0]), "std": np.array([2.0])})[0]
        array([[[[-1. ,  0. ,  1.5]]]])
    """

    num_features: int

    title: ClassVar[str] = "Normalize"
    stem: ClassVar[str] = "normalize"

    def __post_init__(self) -> None:
        whole("Normalize", "num_features", self.num_features, 1)
        self.store_plain("num_features")

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3 or input_shape[0] != self.num_features:
            raise self.refuse_input(input_shape, f"({self.num_features}, height, width)")
        return input_shape

    def init_buffers(self) -> dict[str, Array]:
        return {"mean": np.zeros(self.num_features), "std": np.ones(self.num_features)}

    def probe_settings(self, rng: np.random.Generator) -> dict[str, Array]:
        """Other numbers for each channel: fresh ones are all the same."""
        return {
            "mean": rng.normal(size=self.num_features),
            "std": rng.uniform(0.5, 1.5, self.num_features),
        }

    def _measured(self, params: Params) -> tuple[Array, Array]:
        """Mean and standard deviation, as (C, 1, 1)."""
        return params["mean"].reshape(-1, 1, 1), params["std"].reshape(-1, 1, 1)

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        mean, std = self._measured(params)
        return (x - mean) / std, std

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        return grad_output / cache, {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        out = np.zeros(x.shape)
        for b, c, i, j in np.ndindex(x.shape):
            out[b, c, i, j] = (x[b, c, i, j] - params["mean"][c]) / params["std"][c]
        return out

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """The input's, what a program may take for zero in x - mean, and a few roundoffs.

        All of it is divided by the deviation, and grows where that is small.
        """
        mean, std = self._measured(params)
        off = error + SNAP * (np.abs(x) + np.abs(mean))
        return {"out": (off + 4 * ROUNDOFF * (np.abs(x - mean) + off)) / np.abs(std)}

    def arithmetic(self, input_shape: Shape) -> Arithmetic:
        return Arithmetic(buffers="2*{channels_in}")

    def tensors(self, input_shape: Shape) -> tuple[Tensor, ...]:
        channels = (self.num_features,)
        return (
            Tensor("mean", channels, Role.BUFFER, "scalars", "mean"),
            Tensor("std", channels, Role.BUFFER, "scalars", "std"),
            Tensor("out", self.output_shape(input_shape), Role.OUTPUT, "planes"),
        )

    def formulas(self, view: View) -> list[CellFormulas]:
        formulas = []
        for c, start, grid in view.planes("out"):
            mean, std = (view.absolute(view.own[name].grids[c]) for name in ("mean", "std"))
            x = view.window(view.input.grids[c])
            formulas.append(CellFormulas("out", start, grid, ("(", x, f"-{mean})/{std}")))
        return formulas

    def input_gradient(self, view: BackView) -> list[CellFormulas]:
        formulas = []
        for c, start, grid in view.targets:
            std = view.absolute(view.own["std"].grids[c])
            formula = (view.window(view.grad_output.grids[c]), f"/{std}")
            formulas.append(CellFormulas("input.grad", start, grid, formula))
        return formulas

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([[[0.0, 0.5], [1.0, 0.25]], [[2.0, -3.0], [7.0, 1.0]]])
        measured = {"mean": np.array([0.25, -1.0]), "std": np.array([0.5, 8.0])}
        return [
            # (7 + 1) / 8
            Example(cls(2), x, measured, (1, 1, 0), 1.0),
            # (0.5 - 0.25) / 0.5
            Example(cls(2), x, measured, (0, 0, 1), 0.5),
            # Not measured yet: the input.
            Example(cls(2), x, cls(2).init_buffers(), (1, 0, 1), -3.0),
        ]

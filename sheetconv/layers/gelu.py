"""GELU: each number times the part of a normal distribution that lies below it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..formulas import Formula
from .base import ROUNDOFF, SNAP, Array, Cache, Elementwise, Example, Params
from .validation import one_of

# Beyond the relative error of any engine's NORMSDIST, in the smaller of its two tails.
_TAIL_ERROR = 2e-10
# No steeper is either form anywhere: it is 1.129 near x = 1.41.
_STEEPEST = 1.13
_SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
_CUBE = 0.044715

_erfc = np.frompyfunc(math.erfc, 1, 1)


@dataclass(frozen=True)
class GELU(Elementwise):
    """The Gaussian error linear unit.

    ::

        out = x * Phi(x), Phi(x) the part of a normal distribution below x

        =AH3*NORMSDIST(AH3)

        grad_input = grad_output * (Phi(x) + x * exp(-x**2 / 2) / sqrt(2 * pi))

        =CK3*(NORMSDIST(AH3)+AH3*EXP(-(AH3^2)/2)/SQRT(2*PI()))

    With `approximate="tanh"`, as PyTorch and many models approximate it::

        out = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))

        =AH3/2*(1+TANH(SQRT(2/PI())*(AH3+0.044715*AH3^3)))

        grad_input = grad_output / 2 * (1 + tanh(z)
                     + x * (1 - tanh(z)**2) * sqrt(2 / pi) * (1 + 0.134145 * x**2)),
                     z what the tangent is of

        =CK3/2*(1+TANH(...)+AH3*(1-TANH(...)^2)*SQRT(2/PI())*(1+0.134145*AH3^2))

    NORMSDIST of LibreOffice and Gnumeric is right but for a few roundoffs; IronCalc's is off
    by up to 1.03E-10 of the smaller of the parts below and above x, which makes up to 1.8E-11
    here. `error_bounds` allows for it. Shapes: any; the output has the input's.

    Args:
        approximate: "none" or "tanh". Default "none".

    Raises:
        ShapeError: `approximate` is another.

    Example:
        >>> GELU().forward(np.array([[-1.0, 0.0, 1.0]]), {})[0].round(4)
        array([[-0.1587,  0.    ,  0.8413]])
    """

    approximate: str = "none"

    title: ClassVar[str] = "GELU"
    stem: ClassVar[str] = "gelu"
    is_fusable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        one_of("GELU", "approximate", self.approximate, ("none", "tanh"))

    def _part(self, x: Array) -> Array:
        """What each x is multiplied by."""
        if self.approximate == "tanh":
            part: Array = 0.5 * (1.0 + np.tanh(_SQRT_2_OVER_PI * (x + _CUBE * x**3)))
        else:
            part = 0.5 * np.asarray(_erfc(-x / math.sqrt(2.0)), dtype=x.dtype)
        return part

    def forward(self, x: Array, params: Params) -> tuple[Array, Cache]:
        part = self._part(x)
        return x * part, (x, part)

    def backward(
        self, grad_output: Array, cache: Cache, params: Params
    ) -> tuple[Array, dict[str, Array]]:
        x, part = cache
        if self.approximate == "tanh":
            inner = _SQRT_2_OVER_PI * (1.0 + 3.0 * _CUBE * x**2)
            density = 2.0 * part * (1.0 - part) * inner
        else:
            density = np.exp(-0.5 * x**2) / math.sqrt(2.0 * math.pi)
        return grad_output * (part + x * density), {}

    def forward_naive(self, x: Array, params: Params) -> Array:
        out = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            value = float(x[index])
            if self.approximate == "tanh":
                inner = math.sqrt(2 / math.pi) * (value + 0.044715 * value**3)
                out[index] = value / 2 * (1 + math.tanh(inner))
            else:
                out[index] = value * 0.5 * math.erfc(-value / math.sqrt(2))
        return out

    def error_bounds(self, x: Array, error: Array, params: Params) -> dict[str, Array]:
        """The input's, times the steepest slope, and what NORMSDIST or 1 + TANH is off by."""
        size = np.abs(x)
        if self.approximate == "tanh":
            # Where the tangent is near -1, the sum may be shown as 0.
            off = size / 2 * (16 * ROUNDOFF + SNAP)
        else:
            off = size * _TAIL_ERROR * self._part(-size)
        rounding = 4 * ROUNDOFF * np.abs(self.forward(x, params)[0])
        return {"out": _STEEPEST * error + off + rounding + 1e-300}

    def wrap(self, expression: Formula) -> Formula:
        if self.approximate == "tanh":
            return (*expression, "/2*(1+", *self._tangent(expression), ")")
        return (*expression, "*NORMSDIST(", *expression, ")")

    def _tangent(self, x: Formula) -> Formula:
        return ("TANH(SQRT(2/PI())*(", *x, "+0.044715*", *x, "^3))")

    def slope(self, x: Formula, out: Formula, grad: Formula) -> Formula:
        if self.approximate == "tanh":
            tangent = self._tangent(x)
            inner = ("SQRT(2/PI())*(1+0.134145*", *x, "^2)")
            part = ("1+", *tangent, "+", *x, "*(1-", *tangent, "^2)*", *inner)
            return (*grad, "/2*(", *part, ")")
        density = ("EXP(-(", *x, "^2)/2)/SQRT(2*PI())")
        return (*grad, "*(NORMSDIST(", *x, ")+", *x, "*", *density, ")")

    def nonnegative(self, input_nonnegative: bool) -> bool:
        return input_nonnegative

    @classmethod
    def examples(cls) -> list[Example]:
        x = np.array([[[0.0, 1.0], [-1.5, 40.0]]])
        return [
            # Half of the distribution lies below 0, and all of it below 40.
            Example(cls(), x, {}, (0, 0, 0), 0.0),
            Example(cls(), x, {}, (0, 1, 1), 40.0),
            # 0.8413447460685429 of it lies below 1.
            Example(cls(), np.array([1.0, -60.0]), {}, (0,), 0.8413447460685429),
            # (1 + tanh(0.7978845608028654 * 1.044715)) / 2
            Example(cls("tanh"), x, {}, (0, 0, 1), 0.8411919906082768),
            Example(cls("tanh"), np.array([0.5, -60.0]), {}, (1,), 0.0),
        ]

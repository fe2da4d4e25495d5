"""The numbers of a workbook held against NumPy's, in their place and from the image on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..description import Described
from ..evaluate import stage_activations, stage_error_bounds, stage_params
from ..formulas import Placed, Role
from ..layers.base import Array
from ..layout import Stage
from ..tensor_cells import cell_of
from ..values import Value
from .results import LayerResult, TensorResult, WrongCell

#: What every cached value of the recalculated copy is before it is calculated: exact in
#: binary, and no number that a person would type.
POISON = 777.0078125

#: Full tensor name -> its cells' numbers, flat, and what is none, by flat index.
Got = dict[str, tuple[Array, dict[int, Value]]]


def compare(
    described: Described,
    given: Mapping[str, Array],
    got: Got,
    source: str,
    coarseness: float = 0.0,
    excused: Mapping[str, NDArray[np.bool_]] = MappingProxyType({}),
) -> list[LayerResult]:
    """Hold every computed tensor of a network against NumPy.

    Args:
        described: the network.
        given: full name -> the image, weights and settings, and what a probe overwrote.
        got: full name -> what the workbook shows, flat, and what of it is no number; stages
            whose output is not among them are passed over.
        source: for the results.
        coarseness: the relative error of all these numbers, beyond rounding to a double.
        excused: stage name -> flat mask of the units of its output that are off because of
            cells that are no tensor's, such as those of the padding.
    """
    network, layout = described.network, described.layout
    shown = dict(given)
    for name, (numbers, _) in got.items():
        if layout.placed[name].role is Role.NOISE:
            # What was not recalculated is no random number for the cells that read it.
            numbers = np.where(numbers == POISON, np.nan, numbers)
        shown[name] = numbers.reshape(layout.placed[name].shape)
    # From the image: values, and how far each may have drifted by rounding.
    values: dict[str, Array] = {"input": given["input"]}
    drift: dict[str, Array] = {"input": np.zeros(given["input"].shape)}
    results = []
    with np.errstate(all="ignore"):
        for stage in layout.stages:
            if stage.out not in got:
                # A probe overwrote it: the stage that reads it begins there.
                values[stage.out] = shown.get(stage.out, np.zeros(()))
                drift[stage.out] = np.zeros(values[stage.out].shape)
                continue
            params = stage_params(stage, shown)
            computed = _computed(described, stage)
            x = shown[stage.source]
            expected = stage_activations(network, stage, x, params)
            # A factor off by some part has the same effect, be it the input or the weight.
            bounds = stage_error_bounds(network, stage, x, coarseness * np.abs(x), params)
            source_value = values[stage.source]
            source_drift = drift[stage.source] + coarseness * np.abs(source_value)
            given_params = {name: v for name, v in params.items() if name not in computed}
            from_image = stage_activations(network, stage, source_value, given_params)
            drifted = stage_error_bounds(network, stage, source_value, source_drift, given_params)
            values |= from_image
            drift |= drifted
            worksheet = layout.placed[stage.out].grids[0].sheet
            result = LayerResult(worksheet, stage.label, source, [], [])
            for name, placed in layout.placed.items():
                if not name.startswith(f"{stage.name}.") or not placed.role.is_formula:
                    continue
                numbers, odd = got[name]
                if placed.role is Role.NOISE:
                    tensor = _compare_noise(name, placed, numbers)
                else:
                    tensor = _compare_tensor(
                        name, placed, numbers,
                        expected[name], bounds[name] + coarseness * np.abs(expected[name]),
                        from_image[name], drifted[name] + coarseness * np.abs(from_image[name]),
                        coarse=coarseness > 0, excused=_of_size(excused.get(stage.name), placed),
                    )  # fmt: skip
                result.tensors.append(tensor)
                result.wrong += _wrong_cells(tensor, odd, stage, source)
            results.append(result)
    return results


def _computed(described: Described, stage: Stage) -> set[str]:
    """The stage's own tensors that follow from its input, by their names within the layer."""
    layer = described.network.layers[stage.name]
    tensors = layer.tensors(stage.input_shape)
    return {tensor.name for tensor in tensors if tensor.role in (Role.STEP, Role.OUTPUT)}


def _of_size(excused: NDArray[np.bool_] | None, placed: Placed) -> NDArray[np.bool_]:
    """The mask for a tensor of the stage; partial sums have the size of the output."""
    if excused is None or excused.size != placed.size:
        return np.zeros(placed.size, np.bool_)
    return excused


def _compare_noise(name: str, placed: Placed, numbers: Array) -> TensorResult:
    """Random numbers cannot be foretold: each has to lie in [0, 1)."""
    wrong = ~((numbers >= 0) & (numbers < 1))
    nothing = np.zeros(numbers.shape)
    return TensorResult(
        name, placed, numbers, numbers, nothing, numbers, wrong, np.zeros(wrong.shape, np.bool_)
    )


def _compare_tensor(
    name: str,
    placed: Placed,
    numbers: Array,
    expected: Array,
    bound: Array,
    from_image: Array,
    drift: Array,
    *,
    coarse: bool,
    excused: NDArray[np.bool_],
) -> TensorResult:
    expected, bound = expected.reshape(-1), bound.reshape(-1)
    from_image, drift = from_image.reshape(-1), drift.reshape(-1)
    # Where the numbers before a cell are none, nothing can be expected of it in its place.
    known = np.isfinite(expected)
    off = ~(np.abs(numbers - from_image) <= drift) | ~np.isfinite(drift)
    # The maximum of a window that was not recalculated is right in its place.
    stale = off & (numbers == POISON)
    expected = np.where(stale, from_image, expected)
    # Where the cells before are off, a cell that is right from the image is not to blame; nor
    # is it in a file of few digits, some cells of which were calculated anew when it was read.
    excused = excused | (~off & (coarse | ~(np.abs(expected - from_image) <= drift)))
    # A bound that overflows bounds nothing.
    far = ~(np.abs(numbers - expected) <= bound) | ~np.isfinite(bound)
    wrong = stale | (known & far & ~excused)
    return TensorResult(name, placed, numbers, expected, bound, from_image, wrong, off & ~wrong)


def _wrong_cells(
    tensor: TensorResult, odd: Mapping[int, Value], stage: Stage, source: str
) -> list[WrongCell]:
    cells = []
    for index in np.flatnonzero(tensor.wrong).tolist():
        got = odd[index] if index in odd else float(tensor.got[index])
        if tensor.placed.role is Role.NOISE:
            expected, reason = None, f"got {shown_value(got)}, expected a random number in [0, 1)"
        else:
            expected = float(tensor.expected[index])
            reason = f"got {shown_value(got)}, expected {expected!r}"
        if got == POISON:
            reason += "; it was not recalculated"
        cell = cell_of(tensor.placed, index)
        bound = float(tensor.bound[index])
        cells.append(WrongCell(cell, stage.label, source, got, expected, bound, reason))

    def distance(item: WrongCell) -> float:
        if not isinstance(item.got, float) or item.expected is None:
            return -np.inf
        return -abs(item.got - item.expected)

    return sorted(cells, key=distance)


def shown_value(value: Value) -> str:
    if value is None:
        return "nothing"
    return repr(value) if isinstance(value, float) else f"{str(value)!r}"

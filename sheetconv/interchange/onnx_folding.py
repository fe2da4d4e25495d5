"""Constants that a model computes: transposed weights, and the arithmetic of shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .onnx_file import tensor_values

#: Stands for the size of the batch in computed shapes.
BATCH = int(np.iinfo(np.int64).min)

# Shapes are short; what is longer is not joined or picked apart here.
_LONGEST_SHAPE = 64

#: Operators that are computed where all they read is constant.
FOLDED = frozenset(
    (
        "Cast",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Gather",
        "Identity",
        "Reshape",
        "Shape",
        "Slice",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    )
)


def _axes(attributes: Mapping[str, Any], values: Sequence[NDArray[Any]]) -> tuple[int, ...]:
    given = values[1].reshape(-1).tolist() if len(values) > 1 else attributes["axes"]
    return tuple(int(axis) for axis in given)


def fold(
    op: str, attributes: Mapping[str, Any], values: Sequence[NDArray[Any]]
) -> NDArray[Any] | None:
    """The value of a node whose inputs are constants; None if it is not one that is computed.

    Nothing grows, so that no model takes more memory than its file.

    Args:
        op: one of FOLDED that reads anything.
        attributes: the node's.
        values: what it reads.
    """
    x = values[0]
    match op:
        case "Identity":
            return x
        case "Transpose":
            return x.transpose(attributes.get("perm"))
        case "Squeeze":
            if len(values) == 1 and "axes" not in attributes:
                return x.squeeze()
            return x.squeeze(_axes(attributes, values))
        case "Unsqueeze":
            axes = _axes(attributes, values)
            return np.expand_dims(x, axes) if x.ndim + len(axes) <= 8 else None
        case "Reshape":
            # Zero copies a length, which no exporter asks for where all is known.
            return x.reshape(values[1].tolist()) if 0 not in values[1] else None
        case "Cast":
            return _cast(x, attributes["to"])
        case "Gather" if x.size <= _LONGEST_SHAPE >= values[1].size:
            return np.asarray(x.take(values[1], axis=attributes.get("axis", 0)))
        case "Concat" if sum(value.size for value in values) <= _LONGEST_SHAPE:
            return np.concatenate(values, axis=attributes["axis"])
        case "Slice" if x.size <= _LONGEST_SHAPE and len(values) >= 3:
            return _slice(x, [value.reshape(-1).tolist() for value in values[1:]])
        case "ConstantOfShape" if prod(x.tolist()) <= _LONGEST_SHAPE and "value" in attributes:
            return np.full(x.tolist(), tensor_values(attributes["value"], None).item())
    return None


def _slice(x: NDArray[Any], bounds: Sequence[list[int]]) -> NDArray[Any]:
    """Rows of a tensor: starts, ends, axes and steps, as Python counts them."""
    starts, ends = bounds[:2]
    axes = bounds[2] if len(bounds) > 2 else list(range(len(starts)))
    steps = bounds[3] if len(bounds) > 3 else [1] * len(starts)
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(start, end, step)
    return x[tuple(index)]


def _cast(x: NDArray[Any], to: int) -> NDArray[Any] | None:
    from onnx import TensorProto

    dtypes: dict[int, Any] = {
        TensorProto.FLOAT: np.float32,
        TensorProto.DOUBLE: np.float64,
        TensorProto.FLOAT16: np.float16,
        TensorProto.INT64: np.int64,
    }
    # The size of the batch is no number to compute with.
    if to not in dtypes or (BATCH in x and dtypes[to] is not np.int64):
        return None
    return x.astype(dtypes[to])

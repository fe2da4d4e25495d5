"""ONNX operators on vectors, and those that take planes or vectors alike."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from .onnx_folding import BATCH
from .onnx_step import Reader, Step


def _need_vector(step: Step) -> int:
    if len(step.chain.shape) != 1:
        raise step.error(
            f"it got an input of shape {step.chain.shape}: expected (features,); a Flatten is "
            "missing before it"
        )
    return step.chain.shape[0]


def _linear(step: Step, weight: NDArray[np.float64], bias: NDArray[np.float64] | None) -> None:
    params = {"weight": weight} | ({} if bias is None else {"bias": bias})
    step.add(
        "Linear",
        params,
        in_features=weight.shape[1],
        out_features=weight.shape[0],
        bias=bias is not None,
    )


def gemm(step: Step) -> None:
    """Gemm with constant weights: alpha * x @ B + beta * C."""
    _need_vector(step)
    if step.node.inputs[0] != step.data or step.whole("transA", 0):
        raise step.error("its input has to be A, and not transposed: the batch comes first")
    weight = step.numbers(1, "weight")
    if weight.ndim != 2:
        raise step.error(f"its weight has the shape {weight.shape}: expected two dimensions")
    weight = weight if step.whole("transB", 0) else weight.T
    weight = step.number("alpha", 1.0) * weight
    bias = None
    if step.has(2):
        bias = step.number("beta", 1.0) * step.each(2, (1, weight.shape[0]))
    _linear(step, weight, bias)


def mat_mul(step: Step) -> None:
    """MatMul by a constant on the right."""
    _need_vector(step)
    weight = step.numbers(1, "weight")
    if weight.ndim != 2:
        raise step.error(f"its weight has the shape {weight.shape}: expected two dimensions")
    _linear(step, weight.T, None)


def add(step: Step) -> None:
    """Add of a constant, as the bias of the layer before."""
    position = 1 if step.node.inputs[0] == step.data else 0
    channels, *lengths = step.chain.shape
    values = step.each(position, (1, channels, *[1] * len(lengths)))
    step.chain.add_bias(step.where, values)


def flatten(step: Step) -> None:
    """Flatten behind the batch."""
    axis = step.whole("axis", 1)
    if axis not in (1, -len(step.chain.shape)):
        raise step.error(f"axis is {axis}: expected 1, behind the batch")
    step.chain.add_flatten(step.where, step.name)


def reshape(step: Step) -> None:
    """Reshape to (N, features), or to the shape that is there."""
    target = [int(item) for item in step.constant(1, "shape").reshape(-1)]
    shape = _behind_batch(step, target)
    if shape is not None and shape == (prod(step.chain.shape),):
        step.chain.add_flatten(step.where, step.name)
    elif shape != step.chain.shape:
        shown = ["N" if item == BATCH else item for item in target]
        raise step.error(
            f"it gives {step.chain.shape} the shape {shown}: expected (N, features), one vector "
            "for each image"
        )


def _behind_batch(step: Step, target: list[int]) -> tuple[int, ...] | None:
    """The shape that a target means without the batch; None if it moves the batch."""
    shape = step.chain.shape
    copies = not step.whole("allowzero", 0)
    rest = [
        shape[i] if length == 0 and copies and i < len(shape) else length
        for i, length in enumerate(target[1:])
    ]
    units = prod(shape)
    known = prod(length for length in rest if length != -1)
    batch = {BATCH, step.batch} | ({0} if copies else set())
    if not target or min(rest, default=0) < -1 or known < 1 or target.count(-1) > 1:
        return None
    if -1 in rest and target[0] in batch and units % known == 0:
        return tuple(units // known if length == -1 else length for length in rest)
    if -1 not in rest and (target[0] in batch or target[0] == -1) and known == units:
        return tuple(rest)
    return None


def squeeze(step: Step) -> None:
    """Squeeze of planes of one unit each."""
    channels, height, width = step.need_planes()
    if step.axes(1) != (2, 3) or (height, width) != (1, 1):
        raise step.error(
            f"it squeezes axes {step.axes(1)} of {(channels, height, width)}: expected axes "
            "(2, 3) of planes of one unit"
        )
    step.chain.add_flatten(step.where, step.name)


def softmax(step: Step) -> None:
    """Softmax over the features."""
    _need_vector(step)
    axis = step.whole("axis", -1 if step.opset >= 13 else 1)
    if axis not in (1, -1):
        raise step.error(f"axis is {axis}: expected 1 or -1, the features")
    step.add("Softmax", dim=axis)


def relu(step: Step) -> None:
    """Relu."""
    step.add("ReLU")


def leaky_relu(step: Step) -> None:
    """LeakyRelu."""
    step.add("LeakyReLU", negative_slope=step.number("alpha", 0.01))


def sigmoid(step: Step) -> None:
    """Sigmoid."""
    step.add("Sigmoid")


def tanh(step: Step) -> None:
    """Tanh."""
    step.add("Tanh")


def gelu(step: Step) -> None:
    """Gelu, exact or by tanh."""
    step.add("GELU", approximate=step.text("approximate", "none"))


def dropout(step: Step) -> None:
    """Dropout: nothing, unless the model is one in training."""
    if step.has(2) and step.constant(2, "training_mode").any():
        raise step.error("it drops at random: export the model in eval mode")


def identity(step: Step) -> None:
    """Identity: nothing."""


READERS: dict[str, Reader] = {
    "Add": add,
    "Dropout": dropout,
    "Flatten": flatten,
    "Gelu": gelu,
    "Gemm": gemm,
    "Identity": identity,
    "LeakyRelu": leaky_relu,
    "MatMul": mat_mul,
    "Relu": relu,
    "Reshape": reshape,
    "Sigmoid": sigmoid,
    "Softmax": softmax,
    "Squeeze": squeeze,
    "Tanh": tanh,
}

"""ONNX models made by hand, and what other programs compute with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from sheetconv import Sequential, from_onnx

FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE


def node(
    op: str, *constants: str, output: str = "", name: str = "", **attributes: Any
) -> NodeProto:
    """A node that reads the one before it, and constants."""
    return helper.make_node(op, ["", *constants], [output], name, **attributes)


def model(
    *nodes: NodeProto,
    shape: Sequence[int | str | None] = ("N", 2, 6, 5),
    tensors: Mapping[str, Any] | None = None,
    opset: int = 20,
    kind: int = DOUBLE,
) -> ModelProto:
    """A chain of nodes from `x` to `y`.

    Args:
        nodes: an empty first input is what the node before gives, or `x`; an empty output
            gets a name.
        shape: of the input, with the batch.
        tensors: constants; floats get the type of the model.
        opset: of ONNX's own operators.
        kind: of all floats.
    """
    for number, item in enumerate(nodes):
        if item.input and item.input[0] == "":
            item.input[0] = nodes[number - 1].output[0] if number else "x"
        if item.output[0] == "":
            item.output[0] = "y" if number == len(nodes) - 1 else f"t{number}"
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    arrays = {name: np.asarray(value) for name, value in (tensors or {}).items()}
    return helper.make_model(
        helper.make_graph(
            list(nodes),
            "made-by-hand",
            [helper.make_tensor_value_info("x", kind, shape)],
            [helper.make_tensor_value_info("y", kind, None)],
            [
                numpy_helper.from_array(
                    array.astype(dtype) if array.dtype == np.float64 else array, name
                )
                for name, array in arrays.items()
            ],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=min(10, helper.find_min_ir_version_for([helper.make_opsetid("", opset)])),
    )


def by_reference(made: ModelProto, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """What ONNX's own reference computes, in float64."""
    (y,) = ReferenceEvaluator(made).run(None, {made.graph.input[0].name: x})
    return np.asarray(y)


def by_runtime(made: ModelProto | str, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """What onnxruntime computes, in float32."""
    content = made if isinstance(made, str) else made.SerializeToString()
    session = onnxruntime.InferenceSession(content)
    (y,) = session.run(None, {session.get_inputs()[0].name: x.astype(np.float32)})
    return np.asarray(y, dtype=np.float64)


def random(*shape: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=shape)


def input_of(made: ModelProto, batch: int = 2) -> NDArray[np.float64]:
    shape = [dim.dim_value or batch for dim in made.graph.input[0].type.tensor_type.shape.dim]
    return random(*shape, seed=2)


def assert_same(made: ModelProto, expected: Any = None) -> Sequential:
    """Our network computes what the reference does, in float64."""
    network, x = from_onnx(made), input_of(made)
    if expected is None:
        expected = by_reference(made, x)
    np.testing.assert_allclose(network(x), expected, rtol=1e-10, atol=1e-10)
    return network


def assert_same_as_runtime(made: ModelProto) -> Sequential:
    """Our network computes what onnxruntime does, in float32."""
    network, x = from_onnx(made), input_of(made).astype(np.float32).astype(np.float64)
    expected = by_runtime(made, x)
    assert expected.shape == network(x).shape
    np.testing.assert_allclose(network(x), expected, rtol=1e-5, atol=1e-5)
    return network

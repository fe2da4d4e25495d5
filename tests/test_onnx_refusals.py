"""ONNX models that cannot be taken over: each is refused in one line that names the node.

Models come from strangers: nothing outside their folder is read, nothing is allocated that
the file does not hold, and no bytes whatever give anything but a SheetconvError.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx_models import model, node, random

from sheetconv import ReLU, Sequential, SheetconvError, from_onnx
from sheetconv.errors import ModelError

W = random(3, 2, 3, 2)


def refused(made: Any, **arguments: Any) -> str:
    """The one line with which a model is refused."""
    with pytest.raises(ModelError) as caught:
        from_onnx(made, **arguments)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 1200
    return text


# --- Operators and attributes


NODES: dict[str, tuple[ModelProto, str]] = {
    "an unknown operator": (
        model(node("Relu"), node("LSTM", "w", "w", name="memory"), tensors={"w": W}),
        "node 'memory' (LSTM, output 'y') is not supported; supported are chains of AveragePool",
    ),
    "several unknown operators": (
        model(node("Abs"), node("Ceil"), node("Abs")),
        "(Abs, output 'y') is not supported, nor are Ceil; supported",
    ),
    "an operator of another domain": (
        model(node("Relu", domain="com.example")),
        "(com.example.Relu, output 'y') is not supported",
    ),
    "an operator that ONNX has not": (model(node("Foo")), "(Foo, output 'y') is not supported"),
    "an attribute that ONNX has not": (model(node("Relu", slope=2)), "(Relu, output 'y'): "),
    "an attribute of another type": (model(node("Flatten", axis=1.5)), "(Flatten, output 'y'): "),
    "too few inputs": (model(node("Conv")), "(Conv, output 'y'): "),
    "a convolution of vectors": (
        model(node("Conv", "w"), tensors={"w": W}, shape=("N", 4)),
        "it got an input of shape (4,): expected planes",
    ),
    "a weight of three dimensions": (
        model(node("Conv", "w"), tensors={"w": W[0]}),
        "its weight has the shape (2, 3, 2): expected (out, in, height, width)",
    ),
    "a weight of other channels": (
        model(node("Conv", "w"), tensors={"w": W[:, :1]}),
        "(Conv, output 'y'): Conv2d(in_channels=1",
    ),
    "groups that do not divide": (
        model(node("Conv", "w", group=2), tensors={"w": W[:, :1]}),
        "groups is 2: expected a divisor of out_channels, which is 3",
    ),
    "a kernel shape that differs": (
        model(node("Conv", "w", kernel_shape=[2, 2]), tensors={"w": W}),
        "kernel_shape is [2, 2]: its weight has the shape (3, 2, 3, 2)",
    ),
    "a kernel larger than the input": (
        model(node("Conv", "w", dilations=[9, 9]), tensors={"w": W}),
        "got an input of shape (2, 6, 5)",
    ),
    "a bias of another length": (
        model(node("Conv", "w", "b"), tensors={"w": W, "b": random(2)}),
        "conv1.bias has shape (2,), expected (3,)",
    ),
    "negative pads": (
        model(node("Conv", "w", pads=[-1, 0, 0, 0]), tensors={"w": W}),
        "pads is [-1, 0, 0, 0]: expected four numbers of at least 0",
    ),
    "strides of zero": (
        model(node("Conv", "w", strides=[0, 1]), tensors={"w": W}),
        "expected at least 1",
    ),
    "strides of one dimension": (
        model(node("Conv", "w", strides=[2]), tensors={"w": W}),
        "strides is [2]: expected two numbers, for planes",
    ),
    "an unknown auto_pad": (
        model(node("Conv", "w", auto_pad="SOME"), tensors={"w": W}),
        "auto_pad is 'SOME': expected NOTSET, SAME_UPPER, SAME_LOWER or VALID",
    ),
    "NaN": (
        model(node("Conv", "w"), tensors={"w": W * np.nan}),
        "conv1.weight holds NaN or infinity",
    ),
    "a product with a weight of three dimensions": (
        model(node("Gemm", "w"), tensors={"w": random(5, 4, 1)}, shape=("N", 5)),
        "its weight has the shape (5, 4, 1): expected two dimensions",
    ),
    "a bias that does not broadcast": (
        model(node("Gemm", "w", "c"), tensors={"w": random(5, 4), "c": random(3)}, shape=("N", 5)),
        "its constant has the shape (3,)",
    ),
    "a weight that is the input": (
        model(helper.make_node("MatMul", ["x", "x"], ["y"]), shape=("N", 4)),
        "tensor 'x' is read 2 times",
    ),
    "a weight that is computed from the input": (
        model(
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("Expand", ["one", "s"], ["w"]),
            helper.make_node("MatMul", ["x", "w"], ["y"]),
            tensors={"one": np.array(1.0)}, shape=("N", 4),
        ),
        "(Expand, output 'w') is not supported",
    ),
    "sides of a pool": (
        model(node("MaxPool", kernel_shape=[2, 2], pads=[1, 0, 0, 1])),
        "it pads left 0, right 1, top 1, bottom 0: expected the same on both sides",
    ),
    "sides of a vast pool": (
        model(
            node("MaxPool", kernel_shape=[2**30, 2**30], pads=[0, 0, 2**30, 2**29]),
            shape=("N", 1, 2**31, 2**31),
        ),
        "bottom 1073741824: expected the same on both sides",
    ),
    "an ambiguous ceil_mode": (
        model(
            node("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, auto_pad="VALID"),
            shape=("N", 1, 7, 7),
        ),
        "ceil_mode with auto_pad VALID is ambiguous: give pads",
    ),
    "a pool that pads too much": (
        model(node("MaxPool", kernel_shape=[2, 2], pads=[2, 2, 2, 2])),
        "padding is 2: expected at most half of kernel_size",
    ),
    "zeros where the last windows of a mean begin": (
        model(
            node("Pad", "p"),
            node("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
            tensors={"p": np.array([0, 0, 0, 0, 0, 0, 1, 2])},
        ),
        "its last windows lie in the padding of node '' (Pad, output 't0') alone",
    ),
    "a dilated mean": (
        model(node("AveragePool", kernel_shape=[2, 2], dilations=[2, 1])),
        "dilations of an AveragePool are not supported",
    ),
    "indices of a pool": (
        model(
            helper.make_node("MaxPool", ["x"], ["t", "i"], kernel_shape=[2, 2]),
            helper.make_node("Reshape", ["t", "i"], ["y"]),
        ),
        "its output 'i' is used: expected the first only",
    ),
    "a mean over channels": (
        model(node("ReduceMean", "a"), tensors={"a": np.array([1])}),
        "its axes are (1,): expected (2, 3), height and width",
    ),
    "a mean over an axis that is not there": (
        model(node("ReduceMean", "a"), tensors={"a": np.array([2, 7])}),
        "its axes are [2, 7]",
    ),
    "a padding without a convolution": (
        model(node("Pad", "p"), node("Relu"), tensors={"p": np.array([0, 0, 1, 1] * 2)}),
        "(Pad, output 't0') stands before node '' (Relu, output 'y'): padding is taken over where",
    ),
    "a padding at the end": (
        model(node("Pad", "p"), tensors={"p": np.array([0, 0, 1, 1] * 2)}),
        "(Pad, output 'y') stands last: padding is taken over where a convolution follows",
    ),
    "a padding of channels": (
        model(node("Pad", "p"), node("Conv", "w"), tensors={"w": W, "p": np.array([0, 1] * 4)}),
        "expected padding of height and width only",
    ),
    "a padding that crops": (
        model(
            node("Pad", "p"), node("Conv", "w"),
            tensors={"w": W, "p": np.array([0, 0, -1, 0, 0, 0, 0, 0])},
        ),
        "crops: its sides are (0, 0, -1, 0)",
    ),
    "a padding with ones": (
        model(
            node("Pad", "p", "v"), node("Conv", "w"),
            tensors={"w": W, "p": np.array([0, 0, 1, 1] * 2), "v": np.array(1.0)},
        ),
        "it pads with 1.0: expected 0",
    ),
    "a padding without pads": (
        model(node("Pad", mode="constant"), node("Conv", "w"), tensors={"w": W}, opset=10),
        "(Pad, output 't0'): ",
    ),
    "a padding with two values": (
        model(
            node("Pad", "p", "v"), node("Conv", "w"),
            tensors={"w": W, "p": np.array([0, 0, 1, 1] * 2), "v": np.zeros(2)},
        ),
        "its value has the shape (2,): expected one number",
    ),
    "a padding of too few numbers": (
        model(node("Pad", "p"), node("Conv", "w"), tensors={"w": W, "p": np.array([1, 1])}),
        "pads is [1, 1]: expected two numbers for each axis",
    ),
    "an unknown padding": (
        model(
            node("Pad", "p", mode="fancy"), node("Conv", "w"),
            tensors={"w": W, "p": np.array([0, 0, 1, 1] * 2)},
        ),
        "mode is 'fancy': expected one of constant, reflect, edge, wrap",
    ),
    "zeros and reflections": (
        model(
            node("Pad", "p", mode="reflect"), node("Conv", "w", pads=[1, 1, 1, 1]),
            tensors={"w": W, "p": np.array([0, 0, 1, 1] * 2)},
        ),
        "and it pads with zeros: expected one of them",
    ),
    "reflections of reflections": (
        model(
            node("Pad", "p", mode="reflect"), node("Pad", "p"), node("Conv", "w"),
            tensors={"w": W, "p": np.array([0, 0, 1, 1] * 2)},
        ),
        "pad twice",
    ),
    "reflections before a mean": (
        model(
            node("Pad", "p", mode="reflect"), node("AveragePool", kernel_shape=[3, 3]),
            tensors={"p": np.array([0, 0, 1, 1] * 2)},
        ),
        "an AveragePool carries zeros only",
    ),
    "a transposed batch": (
        model(node("Gemm", "w", transA=1), tensors={"w": random(5, 4)}, shape=(5, 5)),
        "its input has to be A, and not transposed: the batch comes first",
    ),
    "a weight on the left": (
        model(
            helper.make_node("Gemm", ["w", "x"], ["y"]),
            tensors={"w": random(5, 5)}, shape=(5, 5),
        ),
        "its input has to be A, and not transposed: the batch comes first",
    ),
    "a product with a weight on the left": (
        model(
            helper.make_node("MatMul", ["w", "x"], ["y"]),
            tensors={"w": random(5, 5)}, shape=(5, 5),
        ),
        "its weight, tensor 'x', is not a constant of the model",
    ),
    "a product with a vector": (
        model(node("MatMul", "w"), tensors={"w": random(5)}, shape=("N", 5)),
        "its weight has the shape (5,): expected two dimensions",
    ),
    "a dense layer of planes": (
        model(node("MatMul", "w"), tensors={"w": random(5, 4)}),
        "expected (features,); a Flatten is missing before it",
    ),
    "a bias for each image": (
        model(
            node("Gemm", "w", "c"),
            tensors={"w": random(5, 4), "c": random(3, 4)}, shape=(3, 5),
        ),
        "its constant has the shape (3, 4): expected one number, or one for each channel",
    ),
    "a constant added to nothing": (
        model(node("Add", "c"), tensors={"c": np.array(1.0)}),
        "a constant is added only as the bias of a convolution or dense layer right before",
    ),
    "a constant added to a rectifier": (
        model(node("Relu"), node("Add", "c"), tensors={"c": np.array(1.0)}),
        "a constant is added only as the bias of a convolution or dense layer right before",
    ),
    "a bias for each unit": (
        model(node("Conv", "w"), node("Add", "c"), tensors={"w": W, "c": random(3, 4, 4)}),
        "its constant has the shape (3, 4, 4)",
    ),
    "a constant that planes are taken off": (
        model(helper.make_node("Sub", ["c", "x"], ["y"]), tensors={"c": np.array(1.0)}),
        "its constant, tensor 'x', is not a constant of the model",
    ),
    "a mean for each unit": (
        model(node("Sub", "c"), tensors={"c": random(2, 6, 5)}),
        "its constant has the shape (2, 6, 5): expected one number, or one for each channel",
    ),
    "a mean of a vector": (
        model(node("Sub", "c"), tensors={"c": random(5)}, shape=("N", 5)),
        "it got an input of shape (5,): expected planes",
    ),
    "a division by 0": (
        model(node("Sub", "c"), node("Div", "d"),
              tensors={"c": random(2, 1, 1), "d": np.array([1.0, 0.0]).reshape(2, 1, 1)}),
        "it divides by 0: expected other numbers",
    ),
    "a padding before a division": (
        model(node("Sub", "d"), node("Pad", "p"), node("Div", "d"),
              tensors={"d": np.array(2.0), "p": np.array([0, 0, 1, 1, 0, 0, 1, 1])}),
        "padding is taken over where a convolution follows",
    ),
    "a slope above 1": (
        model(node("LeakyRelu", alpha=2.0)),
        "negative_slope is 2.0: expected a number from 0 to 1",
    ),
    "a softmax of planes": (model(node("Softmax")), "a Flatten is missing before it"),
    "a softmax over the batch": (
        model(node("Softmax", axis=0), shape=("N", 5)),
        "axis is 0: expected 1 or -1, the features",
    ),
    "a flattened batch": (
        model(node("Flatten", axis=0)),
        "axis is 0: expected 1, behind the batch",
    ),
    "half flattened": (model(node("Flatten", axis=2)), "axis is 2: expected 1"),
    "a reshape of the batch": (
        model(node("Reshape", "s"), tensors={"s": np.array([1, -1])}),
        "it gives (2, 6, 5) the shape [1, -1]: expected (N, features)",
    ),
    "a reshape to planes": (
        model(node("Reshape", "s"), tensors={"s": np.array([0, 6, 2, 5])}),
        "the shape [0, 6, 2, 5]: expected (N, features)",
    ),
    "a reshape to too few": (
        model(node("Reshape", "s"), tensors={"s": np.array([0, 59])}),
        "the shape [0, 59]: expected (N, features)",
    ),
    "a reshape to nothing": (
        model(node("Reshape", "s"), tensors={"s": np.array([], dtype=np.int64)}),
        "the shape []: expected (N, features)",
    ),
    "a reshape that allows zero": (
        model(node("Reshape", "s", allowzero=1), tensors={"s": np.array([0, 60])}),
        "the shape [0, 60]: expected (N, features)",
    ),
    "a squeeze of planes": (
        model(node("Squeeze", "a"), tensors={"a": np.array([2, 3])}),
        "it squeezes axes (2, 3) of (2, 6, 5)",
    ),
    "a transpose of the data": (
        model(node("Transpose", perm=[0, 2, 3, 1])),
        "(Transpose, output 'y') is supported where all it reads is constant",
    ),
    "a factor that overflows": (
        model(node("Gemm", "w", alpha=1e30), tensors={"w": random(5, 4) * 1e300}, shape=("N", 5)),
        "dense1.weight holds NaN or infinity",
    ),
    "random dropout": (
        model(node("Dropout", "r", "yes"), tensors={"r": np.array(0.5), "yes": np.array(True)}),
        "it drops at random: export the model in eval mode",
    ),
    "statistics of the batch": (
        model(
            helper.make_node(
                "BatchNormalization", ["x", "s", "s", "s", "s"], ["y", "m", "v"], training_mode=1
            ),
            tensors={"s": random(2)},
        ),
        "it computes its own statistics: export the model in eval mode",
    ),
    "nothing": (model(node("Identity")), "the model has no layer that computes anything"),
    "a constant output": (
        model(helper.make_node("Identity", ["c"], ["y"]), tensors={"c": np.array(1.0)}),
        "the output 'y' does not depend on tensor 'x'",
    ),
    "a computed weight that is not supported": (
        model(
            helper.make_node("Concat", ["v", "v"], ["w"], axis=0),
            helper.make_node("MatMul", ["x", "w"], ["y"]),
            tensors={"v": random(20, 4)}, shape=("N", 40),
        ),
        "(Concat, output 'w'): this computation with constants is not supported",
    ),
    "a constant cut with too many numbers": (
        model(
            helper.make_node("Slice", ["v", "one", "two"], ["w"]),
            helper.make_node("MatMul", ["x", "w"], ["y"]),
            tensors={"v": random(2, 4), "one": np.array([1]), "two": np.array([2, 2])},
            shape=("N", 2),
        ),
        "(Slice, output 'w'): this computation with constants is not supported",
    ),
    "the shape of what comes later": (
        model(
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node("Shape", ["y"], ["s"]),
            helper.make_node("Reshape", ["r", "s"], ["y"]),
        ),
        "its shape, tensor 's', is not a constant of the model",
    ),
    "a shape of what is not followed": (
        model(
            helper.make_node("Shape", ["c"], ["s"]),
            helper.make_node("Concat", ["s", "s"], ["t"], axis=0),
            helper.make_node("Reshape", ["x", "t"], ["y"]),
            tensors={"c": np.ones(3)},
        ),
        "its shape, tensor 't', is not a constant of the model",
    ),
    "a convolution without its kernel": (
        model(node("MaxPool")),
        "(MaxPool, output 'y'): ",
    ),
    "integers from the size of the batch": (
        model(
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("Cast", ["s"], ["w"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["x", "w"], ["y"]), shape=("N", 4),
        ),
        "(Cast, output 'w'): this computation with constants is not supported",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NODES)
def test_nodes_that_no_layer_can_be(name: str) -> None:
    made, says = NODES[name]
    assert says in refused(made)


# --- Graphs


def test_branches_are_named() -> None:
    made = model(
        helper.make_node("Relu", ["x"], ["a"], "left"),
        helper.make_node("Tanh", ["x"], ["b"], "right"),
        helper.make_node("Add", ["a", "b"], ["y"], "sum"),
    )
    text = refused(made)
    assert "tensor 'x' is read 2 times" in text
    for name in ("node 'left' (Relu, output 'a')", "node 'right' (Tanh, output 'b')"):
        assert name in text


@pytest.mark.parametrize("what", ["input", "output"])
def test_one_input_and_one_output_are_expected(what: str) -> None:
    made = model(node("Relu"))
    values = getattr(made.graph, what)
    values.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["N", 1]))
    assert f"the model has 2 {what}s: '{'x' if what == 'input' else 'y'}', 'more'" in refused(made)
    del values[:]
    assert f"the model has 0 {what}s: expected one" in refused(made)


def test_initialisers_may_be_listed_as_inputs() -> None:
    made = model(node("Conv", "w"), tensors={"w": W})
    made.graph.input.append(helper.make_tensor_value_info("w", TensorProto.DOUBLE, W.shape))
    assert list(from_onnx(made).layers) == ["conv1"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda made: made.ClearField("opset_import"), "does not say which opset of ONNX"),
        (lambda made: setattr(made.opset_import[0], "version", 6), "uses opset 6: opsets 7 to"),
        (lambda made: setattr(made.opset_import[0], "version", 9999), "uses opset 9999"),
        (lambda made: made.graph.node[0].attribute.add(name="a"), "(Relu, output 't0'): "),
        (
            lambda made: made.graph.node[0].attribute.add(name="a", ref_attr_name="b"),
            "attribute 'a' is damaged",
        ),
        (lambda made: made.ClearField("graph"), "the model has no nodes"),
        (lambda made: made.graph.node[1].output.__setitem__(0, "t0"), "tensor 't0' is made twice"),
        (lambda made: made.graph.node[0].output.__setitem__(0, "x"), "tensor 'x' is made twice"),
        (lambda made: made.graph.node[1].input.__setitem__(0, "z"), "nothing makes tensor 'z'"),
        (lambda made: made.graph.node[0].input.__setitem__(0, "y"), "does not depend on tensor"),
        (lambda made: setattr(made.graph.output[0], "name", "z"), "nothing makes tensor 'z'"),
        (lambda made: made.graph.input[0].ClearField("type"), "the input 'x' is no tensor"),
        (lambda made: setattr(made.graph.node[0], "op_type", ""), "is not supported"),
    ],
)  # fmt: skip
def test_damaged_graphs(change: Callable[[ModelProto], None], says: str) -> None:
    made = model(node("Relu"), node("Tanh"))
    from_onnx(made)
    change(made)
    assert says in refused(made)


def test_other_domains_may_be_there() -> None:
    made = model(node("Relu"))
    (own,) = made.opset_import
    del made.opset_import[:]
    made.opset_import.extend([helper.make_opsetid("com.example", 1), own])
    assert list(from_onnx(made).layers) == ["relu1"]


def test_a_circle_is_no_chain() -> None:
    made = model(
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Add", ["a", "b"], ["b"]),
        helper.make_node("Relu", ["b"], ["y"]),
    )
    refused(made)


def test_a_long_chain_of_constants_is_no_crash() -> None:
    steps = [helper.make_node("Identity", [f"c{i}"], [f"c{i + 1}"]) for i in range(50_000)]
    made = model(
        *steps,
        helper.make_node("MatMul", ["x", "c50000"], ["y"]),
        tensors={"c0": random(2, 2)},
        shape=("N", 2),
    )
    assert "computed in too many steps" in refused(made)


# --- Tensors


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda w: w.dims.__setitem__(0, 2**40), "tensor 'w' of shape (1099511627776, 2, 3, 2)"),
        (lambda w: w.dims.extend([2**62, 2**62]), "tensor 'w' of shape"),
        (lambda w: w.dims.__setitem__(0, -3), "expected lengths of at least 0"),
        (lambda w: setattr(w, "raw_data", w.raw_data[:-1]), "holds 287 bytes: expected 288"),
        (lambda w: w.ClearField("raw_data"), "holds 0 bytes: expected 288"),
        (lambda w: setattr(w, "data_type", 0), "tensor 'w' holds UNDEFINED: expected one of FLOAT"),
        (lambda w: setattr(w, "data_type", TensorProto.STRING), "tensor 'w' holds STRING"),
        (lambda w: setattr(w, "data_type", TensorProto.COMPLEX64), "tensor 'w' holds COMPLEX64"),
        (lambda w: setattr(w, "data_type", 12345), "tensor 'w' holds 12345"),
        (lambda w: setattr(w, "name", "v"), "nothing makes tensor 'w'"),
        (lambda w: setattr(w, "data_location", TensorProto.EXTERNAL), "give the path of the model"),
    ],
)
def test_damaged_tensors(change: Callable[[TensorProto], None], says: str) -> None:
    made = model(node("Conv", "w"), tensors={"w": W})
    from_onnx(made)
    change(made.graph.initializer[0])
    assert says in refused(made)


# --- External data


def external(folder: Path, location: str, **entries: str) -> Path:
    """A model whose weight lies in another file."""
    made = model(node("Conv", "w"), tensors={"w": W})
    (tensor,) = made.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in ({"location": location} | entries).items():
        tensor.external_data.add(key=key, value=value)
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder for the model, with a secret of the right size beside it."""
    (tmp_path / "secret.bin").write_bytes(W.tobytes())
    folder = tmp_path / "home"
    (folder / "deeper").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(W.tobytes())
    (folder / "deeper" / "weights.bin").write_bytes(b"1234" + W.tobytes() + b"1234")
    return folder


@pytest.mark.parametrize(
    ("location", "entries"),
    [
        ("weights.bin", {}),
        ("./weights.bin", {"offset": "0", "length": "288"}),
        ("deeper/weights.bin", {"offset": "4", "length": "288"}),
    ],
)
def test_external_data_beside_the_model_is_read(
    home: Path, location: str, entries: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = external(home, location, **entries)
    np.testing.assert_array_equal(from_onnx(path).params["conv1"]["weight"], W)
    monkeypatch.chdir(home)
    np.testing.assert_array_equal(from_onnx(path.name).params["conv1"]["weight"], W)


@pytest.mark.parametrize(
    "location",
    [
        "../secret.bin",
        "deeper/../../secret.bin",
        "deeper/../weights.bin",
        "../../../../../../../../etc/passwd",
        "/etc/passwd",
        "C:\\Windows\\win.ini",
        "..\\secret.bin",
        "file:///etc/passwd",
        "link.bin",
        "linked/secret.bin",
        "loop.bin",
        "weights.bin\0",
        "",
        ".",
    ],
)
def test_external_data_outside_the_folder_is_refused(home: Path, location: str) -> None:
    (home / "link.bin").symlink_to(home.parent / "secret.bin")
    (home / "linked").symlink_to(home.parent)
    (home / "loop.bin").symlink_to(home / "loop.bin")
    text = refused(external(home, location))
    assert "outside the folder of the model" in text or location in (".", "loop.bin")


def test_absolute_paths_are_refused_even_into_the_folder(home: Path) -> None:
    path = external(home, str(home / "weights.bin"))
    assert "outside the folder of the model" in refused(path)


@pytest.mark.parametrize(
    ("location", "entries", "says"),
    [
        ("none.bin", {}, "none.bin does not exist"),
        ("deeper", {}, "its external data: cannot read"),
        ("weights.bin", {"offset": "1"}, "has 288 bytes: expected 289"),
        ("weights.bin", {"offset": "-1"}, "has 0 bytes from -1 on"),
        ("weights.bin", {"offset": "x"}, "an offset or length that is no number"),
        ("weights.bin", {"length": "280"}, "has 280 bytes from 0 on"),
        ("weights.bin", {"offset": "9" * 30}, "has 288 bytes: expected"),
        ("weights.bin", {"offset": "9" * 5000}, "has 5,000 characters"),
    ],
)
def test_external_data_that_is_not_there(
    home: Path, location: str, entries: dict[str, str], says: str
) -> None:
    assert says in refused(external(home, location, **entries))


# --- Files


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty: expected an ONNX model"),
        (b"\xff" * 100, "is no ONNX model, or a damaged one"),
        (b"PK\x03\x04 not protobuf", "is no ONNX model, or a damaged one"),
        (b"\x00", "is no ONNX model, or a damaged one"),
    ],
)
def test_files_that_are_no_models(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    text = refused(path)
    assert says in text
    assert text.count(str(path)) == 1


def test_a_truncated_model(tmp_path: Path) -> None:
    content = model(node("Conv", "w"), tensors={"w": W}).SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(content[:-40])
    refused(path)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    assert "none.onnx does not exist" in refused(tmp_path / "none.onnx")
    assert "cannot read" in refused(tmp_path)
    assert "cannot read" in refused("a\0b.onnx")


def test_a_file_of_more_than_two_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)
    assert "holds 2,147,483,648 bytes: the limit is 2,147,483,647" in refused(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_a_device_is_not_read() -> None:
    assert "is no regular file" in refused(os.devnull)


@pytest.mark.parametrize("what", [None, 3, b"bytes", ["a.onnx"]])
def test_what_is_neither_a_path_nor_a_model(what: Any) -> None:
    assert "expected the path of an .onnx file, or an onnx.ModelProto" in refused(what)


def test_without_the_package_onnx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "python -m pip install 'sheetconv[onnx]'" in refused(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=r"python -m pip install 'sheetconv\[onnx\]'"):
        Sequential(ReLU()).to_onnx(tmp_path / "model.onnx", (1, 2, 2))


# --- Any bytes


def taken_or_refused(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    message = ""
    try:
        from_onnx(path)
    except SheetconvError as error:
        message = str(error)
    assert "\n" not in message
    return not message


SAMPLE = model(
    node("Pad", "p"),
    node("Conv", "w", "b", strides=[1, 2], name="first"),
    node("Relu"),
    node("MaxPool", kernel_shape=[2, 2], pads=[1, 1, 1, 1]),
    node("Reshape", "s"),
    node("Gemm", "v", transB=1),
    node("Softmax"),
    tensors={
        "p": np.array([0, 0, 1, 1] * 2),
        "w": W,
        "b": random(3),
        "s": np.array([0, -1]),
        "v": random(2, 84),
    },
).SerializeToString()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bytes") / "model.onnx"


def test_the_sample_is_taken(place: Path) -> None:
    assert taken_or_refused(place, SAMPLE)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(content=st.binary(max_size=300))
def test_random_bytes_are_refused(place: Path, content: bytes) -> None:
    assert not taken_or_refused(place, content)


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), min_size=1, max_size=4
    ),
    cut=st.none() | st.integers(0, len(SAMPLE) - 1),
)
def test_changed_bytes_are_taken_or_refused(
    place: Path, changes: list[tuple[int, int]], cut: int | None
) -> None:
    content = bytearray(SAMPLE)
    for position, value in changes:
        content[position] = value
    taken_or_refused(place, bytes(content[:cut]))


def test_names_that_are_no_text(tmp_path: Path) -> None:
    made = model(node("Relu", name="name"), node("Tanh"))
    content = made.SerializeToString()
    for name in (b"name", b"Relu", b"t0"):
        path = tmp_path / "model.onnx"
        path.write_bytes(content.replace(name, b"\xff" * len(name)))
        assert "is no text" in refused(path)
        # The protobuf that is written in Python refuses such a file as a whole.
        done = subprocess.run(
            [sys.executable, "-c", "import sheetconv, sys; sheetconv.from_onnx(sys.argv[1])", path],
            env=os.environ | {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "ModelError" in done.stderr.splitlines()[-1]


def test_names_are_shown_on_one_line() -> None:
    made = model(node("Re\nlu", output="a\nb"), node("Relu"))
    assert r"('Re\nlu', output 'a\nb')" in refused(made)
    made = model(node("Re" + "l" * 2000 + "u"))
    assert "'Rellllllllllllllllllllllllllllllllllllll' has 2,003 characters" in refused(made)


def test_a_constant_of_text_is_refused() -> None:
    value = numpy_helper.from_array(np.array(["a"], dtype=object))
    made = model(
        helper.make_node("Constant", [], ["k"], value=value),
        helper.make_node("MatMul", ["x", "k"], ["y"]),
        shape=("N", 1),
    )
    assert "holds STRING" in refused(made)
    made.graph.node[0].attribute[0].CopyFrom(helper.make_attribute("value_string", "a"))
    assert "expected a constant of numbers" in refused(made)

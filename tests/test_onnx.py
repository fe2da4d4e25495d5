"""ONNX operators on vectors, shapes, inputs and names: ONNX's reference and onnxruntime judge."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper
from onnx_models import (
    DOUBLE,
    FLOAT,
    assert_same,
    assert_same_as_runtime,
    by_reference,
    input_of,
    model,
    node,
    random,
)

from sheetconv import (
    Flatten,
    LeakyReLU,
    Linear,
    Normalize,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
    from_onnx,
)
from sheetconv.errors import ModelError
from sheetconv.interchange.onnx_reading import READERS, read_onnx

W = random(3, 2, 3, 2)
B = random(3, seed=1)


# --- Dense layers


@pytest.mark.parametrize("bias", ["none", "()", "(1,)", "(4,)", "(1, 4)"])
@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(transposed: int, bias: str) -> None:
    shapes = {"()": (), "(1,)": (1,), "(4,)": (4,), "(1, 4)": (1, 4)}
    tensors = {"w": random(4, 5) if transposed else random(5, 4)}
    constants = ["w"]
    if bias != "none":
        tensors["c"] = np.asarray(random(*shapes[bias], seed=3))
        constants.append("c")
    gemm = node("Gemm", *constants, transB=transposed, alpha=0.5, beta=-2.0)
    (linear,) = assert_same(model(gemm, tensors=tensors, shape=("N", 5))).layers.values()
    assert linear == Linear(5, 4, bias=bias != "none")


def test_mat_mul_and_add_are_one_dense_layer() -> None:
    tensors = {"w": random(5, 4), "b": random(4)}
    made = model(node("MatMul", "w"), node("Add", "b"), tensors=tensors, shape=("N", 5))
    assert list(assert_same(made).layers.values()) == [Linear(5, 4)]


def test_add_of_a_constant_on_the_left() -> None:
    made = model(
        helper.make_node("MatMul", ["x", "w"], ["t"]),
        helper.make_node("Add", ["b", "t"], ["y"]),
        tensors={"w": random(5, 4), "b": random(1, 4)},
        shape=("N", 5),
    )
    assert_same(made)


@pytest.mark.parametrize(
    ("shape", "nodes"),
    [
        ((4, 5), [("Transpose", ["v"], {"perm": [1, 0]})]),
        ((4, 5), [("Transpose", ["v"], {})]),
        ((5, 4), [("Cast", ["v"], {"to": DOUBLE}), ("Identity", ["w0"], {})]),
        ((5, 1, 4), [("Squeeze", ["v", "one"], {})]),
        ((5, 1, 4), [("Squeeze", ["v"], {})]),
        ((20,), [("Reshape", ["v", "shape"], {})]),
        ((5, 4), [("Unsqueeze", ["v", "one"], {}), ("Squeeze", ["w0"], {})]),
        ((4, 5), [("Gather", ["v", "three"], {}), ("Transpose", ["w0"], {})]),
        ((10, 4), [("Slice", ["v", "one", "ten", "zero", "two"], {})]),
    ],
)
def test_weights_that_the_model_computes(
    shape: tuple[int, ...], nodes: list[tuple[str, list[str], dict[str, Any]]]
) -> None:
    made = model(
        *(
            helper.make_node(op, reads, ["w" if i == len(nodes) - 1 else f"w{i}"], **attributes)
            for i, (op, reads, attributes) in enumerate(nodes)
        ),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        tensors={
            "v": random(*shape),
            "shape": np.array([5, -1]),
            "zero": np.array([0]),
            "one": np.array([1]),
            "two": np.array([2]),
            "ten": np.array([10]),
            "three": np.array([3, 0, 1]),
        },
        shape=("N", 5),
    )
    assert_same(made)


@pytest.mark.parametrize("attributes", [{"value_floats": [1.0, -2.0]}, {"value_float": 0.5}])
def test_numbers_in_attributes_of_constants(attributes: dict[str, Any]) -> None:
    made = model(
        helper.make_node("Constant", [], ["b"], **attributes),
        helper.make_node("Gemm", ["x", "w", "b"], ["y"]),
        tensors={"w": random(5, 2)},
        shape=("N", 5),
        kind=FLOAT,
    )
    assert_same_as_runtime(made)


def test_integers_in_attributes_of_constants() -> None:
    made = model(
        helper.make_node("Constant", [], ["s"], value_ints=[0, -1]),
        helper.make_node("Reshape", ["x", "s"], ["y"]),
    )
    assert_same(made)


@pytest.mark.parametrize("opset", [12, 13])
def test_squeezed_weights_of_older_operators(opset: int) -> None:
    squeeze = (
        helper.make_node("Squeeze", ["v"], ["w"], axes=[1])
        if opset < 13
        else helper.make_node("Squeeze", ["v", "one"], ["w"])
    )
    tensors = {"v": random(5, 1, 4), "one": np.array([1])}
    made = model(
        squeeze, helper.make_node("MatMul", ["x", "w"], ["y"]),
        tensors=tensors, shape=("N", 5), opset=opset,
    )  # fmt: skip
    assert_same(made)


@pytest.mark.parametrize("shape", [(), (3, 1, 1), (1, 3, 1, 1)])
@pytest.mark.parametrize("constants", [("w",), ("w", "b")])
def test_add_after_a_convolution_is_its_bias(
    constants: tuple[str, ...], shape: tuple[int, ...]
) -> None:
    tensors = {"w": W, "b": B, "more": np.asarray(random(*shape, seed=4))}
    network = assert_same(model(node("Conv", *constants), node("Add", "more"), tensors=tensors))
    assert len(network.layers) == 1


# --- Activations


@pytest.mark.parametrize(
    ("op", "attributes", "layer"),
    [
        ("Relu", {}, ReLU()),
        ("LeakyRelu", {}, LeakyReLU(0.01)),
        ("LeakyRelu", {"alpha": 0.25}, LeakyReLU(0.25)),
        ("Sigmoid", {}, Sigmoid()),
        ("Tanh", {}, Tanh()),
    ],
)
def test_activations(op: str, attributes: dict[str, Any], layer: object) -> None:
    made = model(node(op, **attributes))
    assert list(from_onnx(made).layers.values()) == [layer]
    if not isinstance(layer, LeakyReLU) or attributes:
        # ONNX holds 0.01 as float32; the decimal is what was meant.
        assert_same(made)


@pytest.mark.parametrize(
    ("opset", "attributes", "dim"),
    [(11, {}, 1), (11, {"axis": -1}, -1), (13, {}, -1), (13, {"axis": 1}, 1)],
)
def test_softmax_over_features(opset: int, attributes: dict[str, Any], dim: int) -> None:
    made = model(node("Softmax", **attributes), shape=("N", 5), opset=opset)
    assert list(from_onnx(made).layers.values()) == [Softmax(dim)]
    if opset >= 13:
        assert_same(made)


def exact_gelu(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """GELU in float64: the reference computes it in float32."""
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def spelled_out_gelu(order: str) -> ModelProto:
    """GELU with Erf, as exporters write it before opset 20."""
    tensors = {
        "root": np.array(2**0.5), "inverse": np.array(0.5**0.5), "one": np.array([1.0]),
        "half": np.array(0.5),
    }  # fmt: skip
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Mul", ["inverse", "r"], ["d"])
        if order == "times inverse"
        else helper.make_node("Div", ["r", "root"], ["d"]),
        helper.make_node("Erf", ["d"], ["e"]),
        helper.make_node("Add", ["e", "one"], ["p"]),
    ]
    if order == "half of x":
        nodes.append(helper.make_node("Mul", ["r", "half"], ["h"]))
        nodes.append(helper.make_node("Mul", ["h", "p"], ["y"]))
    elif order == "half of the sum":
        nodes.append(helper.make_node("Mul", ["half", "p"], ["h"]))
        nodes.append(helper.make_node("Mul", ["r", "h"], ["y"]))
    else:
        nodes.append(helper.make_node("Mul", ["r", "p"], ["h"]))
        nodes.append(helper.make_node("Mul", ["h", "half"], ["y"]))
    return model(*nodes, tensors=tensors, opset=17)


@pytest.mark.parametrize("order", ["half of all", "half of x", "half of the sum", "times inverse"])
def test_gelu_that_is_spelled_out(order: str) -> None:
    made = spelled_out_gelu(order)
    x = input_of(made)
    np.testing.assert_allclose(by_reference(made, x), exact_gelu(np.maximum(x, 0)), atol=1e-6)
    network = assert_same(made, exact_gelu(np.maximum(x, 0)))
    assert [type(layer).__name__ for layer in network.layers.values()] == ["ReLU", "GELU"]


def rewired(changes: dict[str, str]) -> ModelProto:
    """A spelled-out GELU in which nodes, named by their outputs, read something else."""
    made = spelled_out_gelu("half of all")
    for item in made.graph.node:
        change = changes.get(item.output[0])
        if change:
            item.input[0] = change
    return made


@pytest.mark.parametrize(
    "changes",
    [
        {"p": "d"},
        {"e": "r"},
        {"d": "x"},
        {"h": "x"},
        {"h": "d"},
        {"h": "p"},
        {"y": "p"},
        {"y": "e"},
    ],
)
def test_what_is_wired_otherwise_is_no_gelu(changes: dict[str, str]) -> None:
    with pytest.raises(ModelError, match="is not supported"):
        from_onnx(rewired(changes))


def test_a_part_of_a_gelu_that_something_else_reads_is_no_part() -> None:
    made = spelled_out_gelu("half of x")
    made.graph.node[-1].output[0] = "t"
    made.graph.node.append(helper.make_node("Add", ["t", "h"], ["y"]))
    with pytest.raises(ModelError, match="is not supported"):
        from_onnx(made)


@pytest.mark.parametrize("name", ["root", "one", "half"])
def test_what_only_looks_like_gelu_is_refused(name: str) -> None:
    made = spelled_out_gelu("half of all")
    for tensor in made.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array(1.7), name))
    with pytest.raises(ModelError, match=r"is not supported, nor are .*Erf"):
        from_onnx(made)


def test_gelu() -> None:
    made = model(node("Gelu"))
    x = input_of(made)
    assert_same(made, exact_gelu(x))
    by_tanh = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    assert_same(model(node("Gelu", approximate="tanh")), by_tanh)


# --- Norms


@pytest.mark.parametrize("attributes", [{}, {"epsilon": 0.125, "momentum": 0.75}])
def test_batch_normalization(attributes: dict[str, Any]) -> None:
    tensors = {"s": random(2), "b": random(2, seed=1), "m": random(2, seed=3)}
    tensors["v"] = np.abs(random(2, seed=4))
    made = model(node("BatchNormalization", "s", "b", "m", "v", **attributes), tensors=tensors)
    x = input_of(made)
    network = from_onnx(made)
    (layer,) = network.layers.values()
    epsilon = attributes.get("epsilon", 1e-5)
    scale = tensors["s"] / np.sqrt(tensors["v"] + epsilon)
    centred = x - tensors["m"][:, None, None]
    expected = centred * scale[:, None, None] + tensors["b"][:, None, None]
    np.testing.assert_allclose(network(x), expected, rtol=1e-12)
    np.testing.assert_allclose(by_reference(made, x), expected, rtol=1e-6)
    # ONNX gives the part that is kept, PyTorch that of the new batch.
    assert layer.config().get("momentum", 0.1) == (0.25 if attributes else 0.1)


@pytest.mark.parametrize("affine", [True, False])
def test_instance_normalization(affine: bool) -> None:
    tensors = {"s": random(2), "b": random(2, seed=1)}
    if not affine:
        tensors = {"s": np.ones(2), "b": np.zeros(2)}
    network = assert_same(
        model(node("InstanceNormalization", "s", "b", epsilon=0.125), tensors=tensors)
    )
    (layer,) = network.layers.values()
    assert layer.config().get("affine", False) is affine


# --- Means that are taken off, and deviations


@pytest.mark.parametrize("shape", [(), (2, 1, 1), (1, 2, 1, 1)])
def test_what_is_taken_off_and_divided_by_is_one_layer(shape: tuple[int, ...]) -> None:
    tensors = {"mean": random(*shape), "std": np.exp(random(*shape, seed=1))}
    network = assert_same(model(node("Sub", "mean"), node("Div", "std"), tensors=tensors))
    assert list(network.layers.values()) == [Normalize(2)]
    assert list(network.layers) == ["normalize1"]


@pytest.mark.parametrize(
    ("ops", "count"),
    [("Sub", 1), ("Div", 1), ("Div Sub", 2), ("Div Div", 2), ("Sub Div Sub Div", 2)],
)
def test_means_and_deviations_in_other_orders(ops: str, count: int) -> None:
    names = ops.split()
    nodes = [node(op, f"c{number}") for number, op in enumerate(names)]
    tensors = {f"c{n}": np.exp(random(2, 1, 1, seed=n)) for n in range(len(names))}
    network = assert_same(model(*nodes, tensors=tensors))
    assert list(network.layers.values()) == [Normalize(2)] * count


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("", ""), "normalize1"),
        (("", "it"), "it"),
        (("it", ""), "it"),
        (("/net/it/Sub", "/net/it/Div"), "it"),
        (("it.centred", "it"), "it"),
    ],
)
def test_the_name_is_that_of_the_division(names: tuple[str, str], expected: str) -> None:
    nodes = [node(op, "c", name=name) for op, name in zip(("Sub", "Div"), names, strict=True)]
    assert list(from_onnx(model(*nodes, tensors={"c": np.array(2.0)})).layers) == [expected]


# --- Shapes


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(model(node("Flatten")), id="Flatten"),
        pytest.param(model(node("Flatten", axis=-3)), id="Flatten from the end"),
        pytest.param(
            model(node("Reshape", "s"), tensors={"s": np.array([0, -1])}), id="Reshape 0, -1"
        ),
        pytest.param(
            model(node("Reshape", "s"), tensors={"s": np.array([-1, 60])}), id="Reshape -1, 60"
        ),
        pytest.param(
            model(node("Reshape", "s"), tensors={"s": np.array([2, -1])}, shape=(2, 2, 6, 5)),
            id="Reshape of a fixed batch",
        ),
        pytest.param(
            model(node("GlobalMaxPool"), node("Squeeze", "a"), tensors={"a": np.array([2, -1])}),
            id="Squeeze",
        ),
        pytest.param(
            model(
                helper.make_node("Shape", ["x"], ["shape"]),
                helper.make_node("Gather", ["shape", "zero"], ["batch"], axis=0),
                helper.make_node("Unsqueeze", ["batch", "axes"], ["vector"]),
                helper.make_node("Concat", ["vector", "rest"], ["s"], axis=0),
                helper.make_node("Reshape", ["x", "s"], ["y"]),
                tensors={"zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1])},
            ),
            id="x.view(x.size(0), -1)",
        ),
        pytest.param(
            model(
                helper.make_node("Relu", ["x"], ["r"]),
                helper.make_node("Shape", ["r"], ["b"], start=0, end=1),
                helper.make_node("Shape", ["x"], ["shape"]),
                helper.make_node("Slice", ["shape", "zero", "one"], ["s"]),
                helper.make_node("Concat", ["s", "rest"], ["target"], axis=0),
                helper.make_node("Reshape", ["r", "target"], ["y"]),
                tensors={
                    "zero": np.array([0]),
                    "one": np.array([1]),
                    "rest": np.array([60]),
                },
            ),
            id="Slice of a shape",
        ),
    ],
)
def test_flattening(made: ModelProto) -> None:
    assert [type(layer) for layer in assert_same(made).layers.values()][-1] is Flatten


def test_a_vector_is_flat_already() -> None:
    made = model(node("Relu"), node("Flatten"), shape=("N", 5))
    assert list(assert_same(made).layers) == ["relu1"]


@pytest.mark.parametrize("target", [[0, 2, 6, 5], [0, 0, 0, 0], [-1, 2, 6, 5]])
def test_a_reshape_to_the_same_shape_is_nothing(target: list[int]) -> None:
    made = model(node("Reshape", "s"), node("Relu"), tensors={"s": np.array(target)})
    assert list(assert_same(made).layers) == ["relu1"]


@pytest.mark.parametrize(
    ("opset", "constants", "attributes"),
    [
        (10, (), {"ratio": 0.25}),
        (13, (), {}),
        (13, ("r",), {}),
        (13, ("r", "no"), {}),
    ],
)
def test_dropout_that_does_not_train_is_left_out(
    opset: int, constants: tuple[str, ...], attributes: dict[str, Any]
) -> None:
    made = model(
        helper.make_node("Dropout", ["x", *constants], ["d"], **attributes),
        helper.make_node("Relu", ["d"], ["y"]),
        opset=opset,
        tensors={"r": np.array(0.3), "no": np.array(False)} if constants else {},
    )
    assert list(assert_same(made).layers) == ["relu1"]


def test_what_the_output_does_not_need_is_left_out() -> None:
    made = model(
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("NonZero", ["x"], ["unused"]),
    )
    assert list(assert_same(made).layers) == ["relu1"]


# --- Input shapes


@pytest.mark.parametrize("batch", ["N", None, 1, 4])
def test_any_batch_is_taken(batch: int | str | None) -> None:
    read = read_onnx(model(node("Relu"), shape=(batch, 2, 6, 5)))
    assert read.input_shape == (2, 6, 5)


def test_open_lengths_are_asked_for() -> None:
    made = model(node("Conv", "w"), tensors={"w": W}, shape=("N", 2, "height", None))
    with pytest.raises(ModelError, match=r"\['\?', 2, '\?', '\?'\]: give input_shape="):
        from_onnx(made)
    assert read_onnx(made, (2, 6, 5)).input_shape == (2, 6, 5)
    made.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(ModelError, match="has the shape unknown: give input_shape="):
        from_onnx(made)
    assert read_onnx(made, (2, 6, 5)).input_shape == (2, 6, 5)


@pytest.mark.parametrize(
    "shape", [(2, 7, 5), (2, 6), (60,), (0, 6, 5), ("a", 6, 5), 3, (2, 6.5, 5)]
)
def test_an_input_shape_that_does_not_fit_is_refused(shape: Any) -> None:
    with pytest.raises(ModelError, match="input_shape is "):
        from_onnx(model(node("Relu")), shape)


@pytest.mark.parametrize("shape", [("N",), ("N", 3, 4), ("N", 1, 2, 3, 4), ()])
def test_inputs_that_are_no_images_and_no_vectors_are_refused(shape: tuple[Any, ...]) -> None:
    with pytest.raises(
        ModelError, match=r"expected \(N, channels, height, width\) or \(N, features\)"
    ):
        from_onnx(model(node("Relu"), shape=shape))


# --- Names


@pytest.mark.parametrize(
    ("node_name", "weight", "expected"),
    [
        ("features", "w", "features"),
        ("/net/conv_a/Conv", "w", "conv_a"),
        ("/0/Conv", "0.weight", "conv1"),
        ("node_conv2d", "body.first.weight", "first"),
        ("node_conv2d", "0.weight", "conv1"),
        ("Conv_12", "w", "conv1"),
        ("", "w", "conv1"),
        ("no name of a layer", "w", "conv1"),
        ("x" * 32, "w", "conv1"),
    ],
)
def test_names_that_people_gave_are_kept(node_name: str, weight: str, expected: str) -> None:
    made = model(node("Conv", weight, name=node_name), tensors={weight: W})
    assert list(from_onnx(made).layers) == [expected]


def test_automatic_names_pass_over_given_ones() -> None:
    made = model(node("Relu", name="relu2"), node("Relu"))
    assert list(from_onnx(made).layers) == ["relu2", "relu3"]


def test_names_are_given_once() -> None:
    made = model(
        node("Relu", name="a"), node("Relu", name="a"), node("Relu", name="relu3"), node("Relu")
    )
    assert list(from_onnx(made).layers) == ["a", "relu2", "relu3", "relu4"]


# --- ONNX's definitions

HANDLED = {
    "AveragePool": "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides",
    "BatchNormalization": "epsilon momentum spatial training_mode",
    "Conv": "auto_pad dilations group kernel_shape pads strides",
    "Dropout": "ratio seed",
    "Flatten": "axis",
    "Gelu": "approximate",
    "Gemm": "alpha beta transA transB",
    "InstanceNormalization": "epsilon",
    "LeakyRelu": "alpha",
    # The order of storage is that of the indices, which are refused.
    "MaxPool": "auto_pad ceil_mode dilations kernel_shape pads storage_order strides",
    "Pad": "mode pads value",
    "ReduceMax": "axes keepdims noop_with_empty_axes",
    "ReduceMean": "axes keepdims noop_with_empty_axes",
    "Reshape": "allowzero",
    "Softmax": "axis",
    "Squeeze": "axes",
}


def test_every_attribute_that_onnx_defines_is_handled() -> None:
    defined: dict[str, set[str]] = {name: set() for name in READERS}
    for opset in range(7, onnx.defs.onnx_opset_version() + 1):
        for name, attributes in defined.items():
            try:
                attributes |= set(onnx.defs.get_schema(name, opset).attributes)
            except onnx.defs.SchemaError:
                assert name == "Gelu"
                assert opset < 20
    assert defined == {name: set(HANDLED.get(name, "").split()) for name in READERS}

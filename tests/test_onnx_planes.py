"""ONNX operators on planes: ONNX's reference and onnxruntime judge what they become."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
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
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    Conv2d,
    MaxPool2d,
    from_onnx,
)
from sheetconv.errors import ModelError

W = random(3, 2, 3, 2)
B = random(3, seed=1)
SQUARE = random(3, 2, 3, 3)


# --- Convolutions


CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "kernel shape": {"kernel_shape": [3, 2]},
    "strides": {"strides": [2, 3]},
    "dilations": {"dilations": [2, 1]},
    "pads": {"pads": [1, 1, 1, 1]},
    "sided pads": {"pads": [1, 0, 2, 3]},
    "not set": {"auto_pad": "NOTSET", "pads": [0, 1, 1, 0]},
    "valid": {"auto_pad": "VALID", "strides": [2, 1]},
    "same upper": {"auto_pad": "SAME_UPPER"},
    "same lower": {"auto_pad": "SAME_LOWER"},
    "same upper, strides": {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    "same lower, strides": {"auto_pad": "SAME_LOWER", "strides": [3, 2]},
}


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_conv(name: str, bias: bool) -> None:
    constants = ["w", "b"] if bias else ["w"]
    made = model(node("Conv", *constants, **CONVOLUTIONS[name]), tensors={"w": W, "b": B})
    network = assert_same(made)
    (conv,) = network.layers.values()
    assert isinstance(conv, Conv2d)
    assert conv.bias is bias


def test_conv_with_groups() -> None:
    assert_same(model(node("Conv", "w", group=2), tensors={"w": random(4, 1, 3, 3)}))


def test_same_padding_puts_the_odd_unit_where_it_belongs() -> None:
    paddings = {}
    for auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        made = model(node("Conv", "w", auto_pad=auto_pad), tensors={"w": random(1, 2, 2, 4)})
        (conv,) = assert_same(made).layers.values()
        assert isinstance(conv, Conv2d)
        paddings[auto_pad] = conv.padding
    assert paddings == {"SAME_UPPER": (1, 2, 0, 1), "SAME_LOWER": (2, 1, 1, 0)}


def test_same_padding_counts_dilations() -> None:
    # By hand, as neither judge does: windows reach over 5 rows and 4 columns.
    same = node("Conv", "w", auto_pad="SAME_UPPER", dilations=[2, 3])
    by_hand = model(node("Conv", "w", pads=[2, 1, 2, 2], dilations=[2, 3]), tensors={"w": W})
    made = model(same, tensors={"w": W})
    assert_same(made, by_reference(by_hand, input_of(made)))


def test_a_wrong_weight_is_found() -> None:
    made = model(node("Conv", "w"), tensors={"w": W})
    wrong = model(node("Conv", "w"), tensors={"w": W[..., ::-1, :]})
    with pytest.raises(AssertionError):
        assert_same(made, by_reference(wrong, input_of(made)))


@pytest.mark.parametrize("kind", [FLOAT, DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16])
def test_weights_of_every_precision_become_float64_exactly(kind: int) -> None:
    made = model(node("Conv", "w"), tensors={"w": W}, kind=kind)
    held = W.astype(helper.tensor_dtype_to_np_dtype(kind)).astype(np.float64)
    weight = from_onnx(made).params["conv1"]["weight"]
    assert weight.dtype == np.float64
    np.testing.assert_array_equal(weight, held)


@pytest.mark.parametrize("kind", [FLOAT, DOUBLE, TensorProto.FLOAT16])
def test_weights_that_are_not_raw_bytes(kind: int) -> None:
    made = model(node("Relu"), node("Conv", "w"))
    made.graph.initializer.append(helper.make_tensor("w", kind, W.shape, W.reshape(-1).tolist()))
    held = W.astype(helper.tensor_dtype_to_np_dtype(kind)).astype(np.float64)
    np.testing.assert_array_equal(from_onnx(made).params["conv1"]["weight"], held)


def test_weights_in_constant_nodes() -> None:
    value = onnx.numpy_helper.from_array(W)
    made = model(
        helper.make_node("Constant", [], ["k"], value=value),
        helper.make_node("Identity", ["k"], ["w"]),
        helper.make_node("Conv", ["x", "w"], ["y"]),
    )
    assert_same(made)


# --- Paddings before convolutions


@pytest.mark.parametrize("opset", [10, 11, 13, 18, 20])
def test_pad_with_zeros_joins_the_padding_of_the_convolution(opset: int) -> None:
    pads = [0, 0, 1, 0, 0, 0, 2, 3]
    pad = node("Pad", pads=pads) if opset < 11 else node("Pad", "pads")
    made = model(
        pad,
        node("Conv", "w", pads=[1, 1, 0, 0]),
        tensors={"w": W, "b": B} | ({"pads": np.array(pads)} if opset >= 11 else {}),
        opset=opset,
    )
    # The reference has no Pad of opset 10.
    network = assert_same(made) if opset >= 11 else from_onnx(made)
    (conv,) = network.layers.values()
    assert isinstance(conv, Conv2d)
    assert conv.padding == (1, 3, 2, 2)


def test_pads_add_up_through_identities() -> None:
    once = np.array([0, 0, 0, 1, 0, 0, 1, 0])
    made = model(
        node("Pad", "p"), node("Identity"), node("Pad", "p"), node("Conv", "w"),
        tensors={"p": once, "w": W},
    )  # fmt: skip
    assert_same(made)


def test_a_padding_of_nothing_is_nothing() -> None:
    made = model(node("Pad", "p", mode="reflect"), node("Relu"), tensors={"p": np.zeros(8, int)})
    assert list(assert_same(made).layers) == ["relu1"]


def test_same_padding_is_that_of_the_padded_planes() -> None:
    made = model(
        node("Pad", "p"),
        node("Conv", "w", auto_pad="SAME_UPPER", strides=[2, 2]),
        tensors={"p": np.array([0, 0, 0, 1, 0, 0, 1, 1]), "w": SQUARE},
    )
    assert_same(made)


def test_pad_names_its_axes() -> None:
    tensors = {"p": np.array([1, 0, 2, 3]), "v": np.array(0.0), "a": np.array([-1, 2]), "w": W}
    assert_same(model(node("Pad", "p", "v", "a"), node("Conv", "w"), tensors=tensors))


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
def test_pad_with_what_is_there(mode: str) -> None:
    tensors = {"p": np.array([0, 0, 1, 2, 0, 0, 3, 1]), "w": W}
    made = model(node("Pad", "p", mode=mode), node("Conv", "w"), tensors=tensors)
    (conv,) = assert_same(made).layers.values()
    assert conv.config()["padding"] == [2, 1, 1, 3]


# --- Pools


POOLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "strides": {"strides": [2, 3]},
    "pads": {"pads": [1, 1, 1, 1]},
    "ceil": {"ceil_mode": 1, "strides": [2, 2]},
    "ceil and pads": {"ceil_mode": 1, "strides": [2, 3], "pads": [1, 1, 1, 1]},
    "valid": {"auto_pad": "VALID", "strides": [2, 2]},
    "valid and ceil": {"auto_pad": "VALID", "strides": [1, 1], "ceil_mode": 1},
    "same upper": {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    "same upper, odd kernel": {
        "auto_pad": "SAME_UPPER", "kernel_shape": [3, 3], "strides": [1, 2],
    },
    "same lower, odd kernel": {
        "auto_pad": "SAME_LOWER", "kernel_shape": [3, 3], "strides": [1, 2],
    },
    "end only, as ceil": {"pads": [0, 0, 1, 1], "strides": [2, 2]},
}  # fmt: skip


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("name", POOLS)
def test_pools(op: str, name: str) -> None:
    # onnxruntime judges: the reference drops and keeps other windows with ceil_mode.
    attributes = {"kernel_shape": [2, 2], "strides": [1, 1]} | POOLS[name]
    assert_same_as_runtime(model(node(op, **attributes), kind=FLOAT, shape=("N", 2, 7, 5)))


def test_dilated_max_pool() -> None:
    attributes = {"kernel_shape": [2, 3], "dilations": [3, 1], "strides": [1, 2]}
    made = model(node("MaxPool", **attributes), kind=FLOAT)
    (pool,) = assert_same_as_runtime(made).layers.values()
    assert pool.config()["dilation"] == [3, 1]


@pytest.mark.parametrize("name", [name for name in POOLS if "end only" not in name])
def test_average_pools_that_count_their_padding(name: str) -> None:
    attributes = {"kernel_shape": [3, 3], "strides": [1, 1], "count_include_pad": 1} | POOLS[name]
    attributes["kernel_shape"] = [3, 3]
    assert_same_as_runtime(
        model(node("AveragePool", **attributes), kind=FLOAT, shape=("N", 2, 7, 5))
    )


def test_zeros_before_an_average_pool_count() -> None:
    made = model(
        node("Pad", "p"),
        node("AveragePool", kernel_shape=[3, 3], strides=[2, 2]),
        tensors={"p": np.array([0, 0, 1, 1, 0, 0, 1, 1])},
    )
    (pool,) = assert_same(made).layers.values()
    assert pool == AvgPool2d(3, 2, 1, count_include_pad=True)


def test_pools_without_strides_step_by_one() -> None:
    (pool,) = assert_same(model(node("MaxPool", kernel_shape=[2, 2]))).layers.values()
    assert pool == MaxPool2d(2, 1)


@st.composite
def pool_attributes(draw: st.DrawFn) -> dict[str, Any]:
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pads = [draw(st.integers(0, kernel[i % 2] // 2)) for i in range(4)]
    return {
        "kernel_shape": list(kernel),
        "strides": [draw(st.integers(1, 3)), draw(st.integers(1, 3))],
        "pads": pads,
        "ceil_mode": draw(st.integers(0, 1)),
    }


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    attributes=pool_attributes(),
    counts=st.none() | st.integers(0, 1),
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
)
def test_pools_with_any_sides_are_right_or_refused(
    attributes: dict[str, Any], counts: int | None, size: tuple[int, int]
) -> None:
    op = "MaxPool" if counts is None else "AveragePool"
    if counts is not None:
        attributes["count_include_pad"] = counts
    made = model(node(op, **attributes), kind=FLOAT, shape=("N", 2, *size))
    top, left, bottom, right = attributes["pads"]
    message = ""
    try:
        from_onnx(made)
    except ModelError as error:
        message = str(error)
    if message:
        assert "expected the same on both sides" in message
        assert (top, left) != (bottom, right)
    else:
        assert_same_as_runtime(made)


@pytest.mark.parametrize(
    ("op", "layer"),
    [("GlobalAveragePool", AdaptiveAvgPool2d(1)), ("GlobalMaxPool", AdaptiveMaxPool2d(1))],
)
def test_global_pools(op: str, layer: object) -> None:
    assert list(assert_same(model(node(op))).layers.values()) == [layer]


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("op", ["ReduceMean", "ReduceMax"])
def test_reductions_over_planes_are_global_pools(op: str, opset: int, keepdims: int) -> None:
    reduced = (
        node(op, axes=[-1, 2], keepdims=keepdims)
        if opset < 18
        else node(op, "a", keepdims=keepdims)
    )
    tensors = {} if opset < 18 else {"a": np.array([2, 3])}
    network = assert_same(model(reduced, opset=opset, tensors=tensors))
    assert len(network.layers) == 2 - keepdims

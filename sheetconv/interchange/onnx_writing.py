"""To ONNX: one node for each layer, named as the layer is."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import ModelError, ShapeError
from ..files import check_target, written_whole
from ..layers import Layer
from ..layers.base import Array
from ..network import Sequential
from ..version import __version__
from .onnx_file import MAX_BYTES, require_onnx

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

FloatType = Literal["float32", "float64"]

# The first with Gelu; and the version of the file format that goes with it.
_OPSET = 20
_IR_VERSION = 9

_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@dataclass
class Writing:
    """The graph so far.

    Attributes:
        dtype: of all weights and activations.
        nodes: in order.
        tensors: constants, named like parameters: `conv1.weight`.
        data: the name of what the last layer gave.
    """

    dtype: FloatType
    nodes: list[NodeProto] = field(default_factory=list)
    tensors: list[TensorProto] = field(default_factory=list)
    data: str = "input"

    def tensor(self, name: str, values: Any) -> str:
        """Add a constant; give its name."""
        from onnx import numpy_helper

        self.tensors.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def numbers(self, name: str, values: Array) -> str:
        """Add a constant of the type of the model; give its name."""
        with np.errstate(over="ignore"):
            array = values.astype(self.dtype)
        if not np.isfinite(array).all():
            raise ModelError(f"{name} holds numbers that {self.dtype} cannot: use dtype='float64'")
        return self.tensor(name, array)

    def node(self, op: str, name: str, *inputs: str, **attributes: Any) -> None:
        """Add a node that reads what the last layer gave, and constants."""
        from onnx import helper

        self.nodes.append(helper.make_node(op, [self.data, *inputs], [f"{name}.out"], name))
        for key, value in attributes.items():
            self.nodes[-1].attribute.append(helper.make_attribute(key, value))
        self.data = f"{name}.out"


def to_onnx(
    network: Sequential,
    path: str | os.PathLike[str],
    input_shape: Sequence[int] | None = None,
    *,
    force: bool = False,
    dtype: FloatType = "float32",
) -> None:
    """Write a network as an ONNX model; see `Sequential.to_onnx`."""
    require_onnx()
    import onnx
    from onnx import TensorProto, helper

    if dtype not in ("float32", "float64"):
        raise ModelError(f"dtype is {dtype!r}: expected 'float32' or 'float64'")
    target = Path(path)
    check_target(target, force=force)
    writing = Writing(dtype)
    for name, layer in network:
        writer = _WRITERS.get(type(layer).__name__)
        if writer is None:
            raise ModelError(f"layer {name}: {type(layer).__name__} has no counterpart in ONNX")
        writer(writing, name, layer, {**network.params[name], **network.buffers[name]})
    kind = TensorProto.FLOAT if dtype == "float32" else TensorProto.DOUBLE
    shape, out_shape = _shapes(network, input_shape)
    graph = helper.make_graph(
        writing.nodes,
        "sheetconv",
        [helper.make_tensor_value_info("input", kind, ["N", *shape])],
        [helper.make_tensor_value_info(writing.data, kind, ["N", *out_shape])],
        writing.tensors,
    )
    model = helper.make_model(
        graph,
        producer_name="sheetconv",
        producer_version=__version__,
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", _OPSET)],
    )
    if model.ByteSize() > MAX_BYTES:
        raise ModelError(
            f"the model has {model.ByteSize():,} bytes: an ONNX file holds at most {MAX_BYTES:,}"
        )
    onnx.checker.check_model(model)
    with written_whole(target, force=force) as temporary:
        temporary.write_bytes(model.SerializeToString())


def _shapes(
    network: Sequential, input_shape: Sequence[int] | None
) -> tuple[list[int | str], list[int | str]]:
    """The shapes of input and output without the batch; names for lengths that are open."""
    if input_shape is not None:
        shapes = network.shapes(tuple(input_shape))
        return list(input_shape), list(list(shapes.values())[-1])
    # Layers before these keep the channels, or the features.
    for _, layer in network:
        config = vars(layer)
        channels = config.get("in_channels", config.get("num_features"))
        if channels is not None:
            return [channels, "height", "width"], _open_output(network)
        if "in_features" in config:
            return [config["in_features"]], _open_output(network)
        if type(layer).__name__ == "Flatten":
            break
    raise ShapeError(
        "the layers do not say how many channels or features they take: give to_onnx input_shape"
    )


def _open_output(network: Sequential) -> list[int | str]:
    kinds = [type(layer).__name__ for layer in network.layers.values()]
    flat = not {"Flatten", "Linear", "Softmax"}.isdisjoint(kinds)
    return ["outputs"] if flat else ["channels", "out_height", "out_width"]


def _pads(layer: Any) -> tuple[int, int, int, int]:
    """Left, right, top, bottom."""
    padding = layer.padding
    if isinstance(padding, tuple) and len(padding) == 4:
        left, right, top, bottom = padding
        return (left, right, top, bottom)
    height, width = _pair(padding)
    return (width, width, height, height)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _conv(writing: Writing, name: str, layer: Any, params: dict[str, Array]) -> None:
    left, right, top, bottom = _pads(layer)
    mode = getattr(layer, "padding_mode", "zeros")
    if mode != "zeros" and any((left, right, top, bottom)):
        pads = np.array([0, 0, top, left, 0, 0, bottom, right], dtype=np.int64)
        writing.node("Pad", f"{name}.pad", writing.tensor(f"{name}.pads", pads), mode=_MODES[mode])
        left = right = top = bottom = 0
    writing.node(
        "Conv",
        name,
        *(writing.numbers(f"{name}.{key}", value) for key, value in params.items()),
        kernel_shape=_pair(layer.kernel_size),
        strides=_pair(layer.stride),
        pads=[top, left, bottom, right],
        dilations=_pair(layer.dilation),
        group=layer.groups,
    )


def _pool(writing: Writing, name: str, layer: Any, **more: Any) -> None:
    left, right, top, bottom = _pads(layer)
    writing.node(
        "MaxPool" if type(layer).__name__ == "MaxPool2d" else "AveragePool",
        name,
        kernel_shape=_pair(layer.kernel_size),
        strides=_pair(layer.kernel_size if layer.stride is None else layer.stride),
        pads=[top, left, bottom, right],
        ceil_mode=int(layer.ceil_mode),
        **more,
    )


def _max_pool(writing: Writing, name: str, layer: Any, params: dict[str, Array]) -> None:
    _pool(writing, name, layer, dilations=_pair(layer.dilation))


def _avg_pool(writing: Writing, name: str, layer: Any, params: dict[str, Array]) -> None:
    _pool(writing, name, layer, count_include_pad=int(layer.count_include_pad))


def _linear(writing: Writing, name: str, layer: Any, params: dict[str, Array]) -> None:
    tensors = [writing.numbers(f"{name}.{key}", value) for key, value in params.items()]
    writing.node("Gemm", name, *tensors, transB=1)


def _affine(writing: Writing, name: str, layer: Any, params: dict[str, Array]) -> list[str]:
    """Weight and bias of a norm. Names that are no parameters' say that none were trained."""
    if layer.affine:
        return [writing.numbers(f"{name}.{key}", params[key]) for key in ("weight", "bias")]
    ones = np.ones(layer.num_features)
    return [writing.numbers(f"{name}.ones", ones), writing.numbers(f"{name}.zeros", 0 * ones)]


def _batch_norm(writing: Writing, name: str, layer: Any, params: dict[str, Array]) -> None:
    if not layer.track_running_stats:
        raise ModelError(
            f"layer {name}: a BatchNorm2d without running statistics has no counterpart in ONNX"
        )
    writing.node(
        "BatchNormalization",
        name,
        *_affine(writing, name, layer, params),
        writing.numbers(f"{name}.running_mean", params["running_mean"]),
        writing.numbers(f"{name}.running_var", params["running_var"]),
        epsilon=layer.eps,
        momentum=1.0 - (0.1 if layer.momentum is None else layer.momentum),
    )


def _instance_norm(writing: Writing, name: str, layer: Any, params: dict[str, Array]) -> None:
    if layer.track_running_stats:
        # With running statistics, all images are treated alike: that is ONNX's other norm.
        _batch_norm(writing, name, layer, params)
    else:
        weight, bias = _affine(writing, name, layer, params)
        writing.node("InstanceNormalization", name, weight, bias, epsilon=layer.eps)


def _normalize(writing: Writing, name: str, layer: Any, params: dict[str, Array]) -> None:
    """As it is computed: a BatchNormalization would have to square the deviation."""
    if not params["std"].astype(writing.dtype).all():
        raise ModelError(f"{name}.std holds 0, or what is 0 in {writing.dtype}: expected others")
    mean, std = (
        writing.numbers(f"{name}.{key}", params[key].reshape(-1, 1, 1)) for key in ("mean", "std")
    )
    writing.node("Sub", f"{name}.centred", mean)
    writing.node("Div", name, std)


def _dropout(writing: Writing, name: str, layer: Any, params: dict[str, Array]) -> None:
    writing.node("Dropout", name, writing.tensor(f"{name}.ratio", np.float64(layer.p)))


def _simple(op: str, *fields: tuple[str, str]) -> _Writer:
    """A layer whose node has attributes, each named, with the name of the layer's field."""

    def write(writing: Writing, name: str, layer: Any, params: dict[str, Array]) -> None:
        writing.node(op, name, **{key: getattr(layer, attribute) for key, attribute in fields})

    return write


_Writer = Callable[[Writing, str, Layer, dict[str, Array]], None]

_WRITERS: dict[str, _Writer] = {
    "AdaptiveAvgPool2d": _simple("GlobalAveragePool"),
    "AdaptiveMaxPool2d": _simple("GlobalMaxPool"),
    "AvgPool2d": _avg_pool,
    "BatchNorm2d": _batch_norm,
    "Conv2d": _conv,
    "Dropout": _dropout,
    "Flatten": _simple("Flatten"),
    "GELU": _simple("Gelu", ("approximate", "approximate")),
    "InstanceNorm2d": _instance_norm,
    "LeakyReLU": _simple("LeakyRelu", ("alpha", "negative_slope")),
    "Linear": _linear,
    "MaxPool2d": _max_pool,
    "Normalize": _normalize,
    "ReLU": _simple("Relu"),
    "Sigmoid": _simple("Sigmoid"),
    "Softmax": _simple("Softmax", ("axis", "dim")),
    "Tanh": _simple("Tanh"),
}

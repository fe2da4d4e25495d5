"""An ONNX graph as a chain of nodes from its one input to its one output.

Nodes that the output does not need are left out. Constants, and the shape arithmetic
that exporters write for `x.view(x.size(0), -1)`, are computed here.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..formulas import Shape
from .onnx_file import tensor_values, text
from .onnx_folding import FOLDED, fold

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

_OLDEST_OPSET = 7
_OWN_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, slots=True)
class Node:
    """One node.

    Attributes:
        op: the operator, with its domain where that is not ONNX's own.
        name: as in the model, often empty.
        inputs, outputs: names of tensors; an empty one stands for nothing.
        attributes: numbers, bytes, lists of them, and tensors.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def __str__(self) -> str:
        output = self.outputs[0] if self.outputs else ""
        return f"node {self.name!r} ({self.op}, output {output!r})"


@dataclass
class Graph:
    """The live part of a graph.

    Attributes:
        nodes: those that the output needs, in no order.
        source, target: the names of the input and the output.
        opset: the version of ONNX's operators.
        folder: where the model lies.
        dims: of the input, None for each that is not a number; None if not even their
            count is known.
        tensors: initialisers by name.
        shapes: of tensors along the chain, with the batch; grows while it is read.
    """

    nodes: list[Node]
    source: str
    target: str
    opset: int
    folder: Path | None
    dims: tuple[int | None, ...] | None
    tensors: Mapping[str, Any]
    shapes: dict[str, Shape] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.makers = {name: node for node in self.nodes for name in node.outputs if name}
        self._constants: dict[str, NDArray[Any] | None] = {}
        self._readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            if node.op != "Shape":
                for name in node.inputs:
                    self._readers.setdefault(name, []).append(node)

    def readers(self, name: str) -> list[Node]:
        """The nodes that read a tensor, once for each time; not those that ask for its shape."""
        return self._readers.get(name, [])

    def constant(self, name: str) -> NDArray[Any] | None:
        """The value of a tensor that does not depend on the input, or None.

        Raises:
            ModelError: it is damaged, or computed in a way that is not supported.
        """
        if name not in self._constants:
            # A tensor that needs itself is none.
            self._constants[name] = None
            try:
                self._constants[name] = self._compute(name)
            except RecursionError:
                raise ModelError(f"tensor {name!r} is computed in too many steps") from None
        return self._constants[name]

    def _compute(self, name: str) -> NDArray[Any] | None:
        if name in self.tensors:
            return tensor_values(self.tensors[name], self.folder)
        node = self.makers.get(name)
        if node is None or node.op not in FOLDED:
            return None
        if node.op == "Constant":
            return self._constant_of(node)
        if node.op == "Shape":
            shape = self.shapes.get(node.inputs[0])
            if shape is None:
                return None
            start, end = (node.attributes.get(key) for key in ("start", "end"))
            return np.array(shape, dtype=np.int64)[start:end]
        values = [self.constant(read) if read else None for read in node.inputs]
        if any(value is None for value, read in zip(values, node.inputs, strict=True) if read):
            return None
        try:
            folded = fold(
                node.op, node.attributes, [value for value in values if value is not None]
            )
        except (ValueError, IndexError, TypeError, KeyError, OverflowError):
            folded = None
        if folded is None:
            raise ModelError(f"{node}: this computation with constants is not supported")
        return folded

    def _constant_of(self, node: Node) -> NDArray[Any]:
        for key, value in node.attributes.items():
            if key == "value" and hasattr(value, "dims"):
                return tensor_values(value, self.folder)
            if key in ("value_int", "value_ints"):
                return np.array(value, dtype=np.int64)
            if key in ("value_float", "value_floats"):
                return np.array(value, dtype=np.float32)
        raise ModelError(f"{node}: expected a constant of numbers")


def read_graph(model: ModelProto, folder: Path | None, known: Container[str]) -> Graph:
    """The live part of a model's graph.

    Args:
        model: the model.
        folder: where it lies; None if it came without a file.
        known: the operators whose nodes are held against ONNX's definitions.

    Raises:
        ModelError: the model's operators are of a version that is not supported, it has
            not just one input and one output, or is damaged.
    """
    opset = _opset(model)
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in tensors]
    if not graph.node and not inputs:
        raise ModelError("the model has no nodes: it is empty, or no ONNX model")
    for what, values in (("inputs", inputs), ("outputs", list(graph.output))):
        if len(values) != 1:
            names = ", ".join(repr(value.name) for value in values[:10])
            raise ModelError(
                f"the model has {len(values)} {what}{': ' + names if names else ''}: expected one"
            )
    source, target = inputs[0].name, graph.output[0].name
    live = _live(graph.node, {*tensors, source}, target)
    nodes = [_node(proto) for proto in live]
    _check([proto for proto, node in zip(live, nodes, strict=True) if node.op in known], model)
    return Graph(nodes, source, target, opset, folder, _dims(inputs[0]), tensors)


def _opset(model: ModelProto) -> int:
    from onnx.defs import onnx_opset_version

    newest = onnx_opset_version()
    for item in model.opset_import:
        if item.domain in _OWN_DOMAINS:
            if _OLDEST_OPSET <= item.version <= newest:
                return int(item.version)
            raise ModelError(
                f"the model uses opset {item.version}: opsets {_OLDEST_OPSET} to {newest} are "
                "supported; export it with another, or upgrade the package onnx"
            )
    raise ModelError("the model does not say which opset of ONNX it uses: it is damaged")


def _live(nodes: Iterable[NodeProto], given: set[str], target: str) -> list[NodeProto]:
    """The nodes that the output needs."""
    makers: dict[str, NodeProto] = {}
    for node in nodes:
        for name in node.output:
            if name and (name in makers or name in given):
                raise ModelError(f"tensor {name!r} is made twice: the model is damaged")
            makers[name] = node
    found: dict[int, NodeProto] = {}
    wanted = [target]
    while wanted:
        maker = makers.get(name) if (name := wanted.pop()) else None
        if maker is not None and id(maker) not in found:
            found[id(maker)] = maker
            wanted += maker.input
        elif maker is None and name and name not in given:
            raise ModelError(f"nothing makes tensor {name!r}, which the model reads")
    return list(found.values())


def _check(nodes: Iterable[NodeProto], model: ModelProto) -> None:
    """Hold ONNX's own operators against their definitions: inputs and attributes."""
    from onnx import checker

    context = type(checker.DEFAULT_CONTEXT)()
    context.ir_version = model.ir_version
    context.opset_imports = {item.domain: item.version for item in model.opset_import}
    for node in nodes:
        try:
            checker.check_node(node, context)
        # The checker's own message is no text where it quotes what is none.
        except (checker.ValidationError, UnicodeDecodeError) as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"{_node(node)}: {reason}") from None


def _operator(proto: NodeProto) -> str:
    op = text(proto.op_type)
    op = op if proto.domain in _OWN_DOMAINS else f"{text(proto.domain)}.{op}"
    return op if op.isprintable() else repr(op)


def _node(proto: NodeProto) -> Node:
    from onnx.helper import get_attribute_value

    attributes = {}
    for item in proto.attribute:
        try:
            attributes[text(item.name)] = get_attribute_value(item)
        except ValueError:
            raise ModelError(f"node {proto.name!r}: attribute {item.name!r} is damaged") from None
    return Node(
        _operator(proto),
        text(proto.name),
        tuple(text(name) for name in proto.input),
        tuple(text(name) for name in proto.output),
        attributes,
    )


def _dims(value: ValueInfoProto) -> tuple[int | None, ...] | None:
    if not value.type.HasField("tensor_type"):
        raise ModelError(f"the input {value.name!r} is no tensor")
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
        for dim in tensor.shape.dim
    )

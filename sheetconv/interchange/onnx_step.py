"""One step along an ONNX chain: a node, what it reads, and the layers made so far."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from .chain import Chain
from .onnx_graph import Graph, Node

# Names that PyTorch's exporters make up.
_MADE_UP = re.compile(r"node_.*|n?\d+")


@dataclass(frozen=True, slots=True)
class Step:
    """A node that is being taken over.

    Attributes:
        node: the node.
        data: the name of the tensor that comes from the layer before.
        graph: where its constants are found.
        chain: the layers so far.
        batch: the size of the batch, None if any is taken.
    """

    node: Node
    data: str
    graph: Graph
    chain: Chain
    batch: int | None

    @property
    def where(self) -> str:
        """The node, for errors."""
        return str(self.node)

    @property
    def opset(self) -> int:
        """The version of ONNX's operators."""
        return self.graph.opset

    def error(self, message: str) -> ModelError:
        """An error that names the node."""
        return ModelError(f"{self.where}: {message}")

    def has(self, position: int) -> bool:
        """Whether the node has an input at a position."""
        return position < len(self.node.inputs) and bool(self.node.inputs[position])

    def constant(self, position: int, what: str) -> NDArray[Any]:
        """An input that has to be constant."""
        name = self.node.inputs[position] if self.has(position) else ""
        value = self.graph.constant(name) if name and name != self.data else None
        if value is None:
            raise self.error(f"its {what}, tensor {name!r}, is not a constant of the model")
        return value

    def numbers(self, position: int, what: str) -> NDArray[np.float64]:
        """A constant input as float64."""
        return self.constant(position, what).astype(np.float64)

    def each(self, position: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """A constant input, broadcast to one number for each channel or feature."""
        value = self.numbers(position, "constant")
        try:
            fits = np.broadcast_shapes(value.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise self.error(
                f"its constant has the shape {value.shape}: expected one number, or one for each "
                f"channel or feature, as {shape} has"
            )
        return np.broadcast_to(value, shape).reshape(-1)

    def scalar(self, position: int, what: str) -> float:
        """A constant input of one number; as its decimal, where it has less precision."""
        value = self.constant(position, what)
        if value.size != 1:
            raise self.error(f"its {what} has the shape {value.shape}: expected one number")
        if value.dtype.kind not in "fiu":
            raise self.error(f"its {what} holds {value.dtype}: expected a number")
        return decimal(value.reshape(-1)[0])

    def wholes(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """An attribute that is a list of whole numbers."""
        # ONNX's checker has seen that those without a default are there.
        given = name in self.node.attributes or default is None
        return tuple(int(item) for item in (self.node.attributes[name] if given else default or ()))

    def pair(self, name: str, default: tuple[int, int] | None = None) -> tuple[int, int]:
        """An attribute that has one whole number for height and one for width."""
        values = self.wholes(name, default)
        if len(values) != 2:
            raise self.error(f"{name} is {list(values)}: expected two numbers, for planes")
        return (values[0], values[1])

    def whole(self, name: str, default: int) -> int:
        """An attribute that is one whole number."""
        return int(self.node.attributes.get(name, default))

    def number(self, name: str, default: float) -> float:
        """An attribute that is one number; ONNX holds it as float32, this is its decimal."""
        return decimal(np.float32(self.node.attributes.get(name, default)))

    def text(self, name: str, default: str) -> str:
        """An attribute that is a text."""
        value = self.node.attributes.get(name, default)
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

    def axes(self, position: int) -> tuple[int, ...] | None:
        """The axes that the node names, counted from the batch; None if it names none."""
        if self.has(position):
            given: list[int] = self.constant(position, "axes").reshape(-1).tolist()
        elif "axes" in self.node.attributes:
            given = list(self.node.attributes["axes"])
        else:
            return None
        rank = len(self.chain.shape) + 1
        axes = tuple(sorted(int(axis) + rank if axis < 0 else int(axis) for axis in given))
        if not all(0 <= axis < rank for axis in axes):
            raise self.error(f"its axes are {given}: expected some of {rank} dimensions")
        return axes

    def need_planes(self) -> tuple[int, int, int]:
        """The shape of the input, which has to be (channels, height, width)."""
        if len(self.chain.shape) != 3:
            raise self.error(f"it got an input of shape {self.chain.shape}: expected planes")
        channels, height, width = self.chain.shape
        return (channels, height, width)

    @property
    def name(self) -> str:
        """The name of the layer as people gave it, as far as it can be told; else empty.

        Nodes are named like `conv1`, `/features/conv1/Conv`, or not at all while their
        weight is named `features.conv1.weight`.
        """
        name = self.node.name
        if "/" in name:
            return name.rpartition("/")[0].rpartition("/")[2]
        if name and not _MADE_UP.fullmatch(name) and not name.startswith(self.node.op):
            return name
        if len(self.node.inputs) > 1:
            return self.node.inputs[1].rpartition(".")[0].rpartition(".")[2]
        return ""

    def add(self, kind: str, params: dict[str, Any] | None = None, **config: Any) -> None:
        """Append a layer that the node is."""
        self.chain.add(self.where, kind, params, self.name, **config)


#: Takes a node over.
Reader = Callable[[Step], None]


def decimal(value: Any) -> float:
    """A number as the shortest decimal that its own type tells from its neighbours.

    Example:
        >>> float(np.float32(0.01)), decimal(np.float32(0.01))
        (0.009999999776482582, 0.01)
    """
    return float(str(value))

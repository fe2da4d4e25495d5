"""From ONNX: a chain of nodes becomes a `Sequential`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from ..formulas import Shape
from ..network import Sequential
from . import onnx_planes, onnx_vectors
from .chain import Chain, read_shape
from .onnx_file import read_model, require_onnx
from .onnx_folding import BATCH, FOLDED
from .onnx_gelu import join_gelus
from .onnx_graph import Graph, Node, read_graph
from .onnx_step import Step

if TYPE_CHECKING:
    from onnx import ModelProto

#: What takes each operator over.
READERS = onnx_planes.READERS | onnx_vectors.READERS


@dataclass(frozen=True, slots=True)
class OnnxNetwork:
    """A network from ONNX with the input that its model expects.

    Attributes:
        network: the layers and their parameters.
        input_shape: (channels, height, width) or (features,).
    """

    network: Sequential
    input_shape: Shape


def from_onnx(
    model: str | os.PathLike[str] | ModelProto, input_shape: Sequence[int] | None = None
) -> Sequential:
    """The network of an ONNX model.

    The model has to be a chain of supported operators. Its weights become float64. Dropout is
    left out: in a model that is not in training it is the identity.

    Args:
        model: the path of an .onnx file, or an `onnx.ModelProto`.
        input_shape: (channels, height, width) or (features,), without the batch. Default:
            as the model says; needed where it leaves one of these lengths open.

    Raises:
        ModelError: the package onnx is missing; the file is missing, damaged or larger
            than 2 GiB; its data lies outside its folder; an operator is not supported, the
            nodes are no chain, or a node does what no layer here can. The message names
            the node.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from sheetconv import Conv2d, ReLU, Sequential, from_onnx
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "small.onnx"
        ...     Sequential(Conv2d(1, 2, 3), ReLU()).to_onnx(path, input_shape=(1, 8, 8))
        ...     list(from_onnx(path).layers)
        ['conv1', 'relu1']
    """
    return read_onnx(model, input_shape).network


def read_onnx(
    model: str | os.PathLike[str] | ModelProto, input_shape: Sequence[int] | None = None
) -> OnnxNetwork:
    """As `from_onnx`, with the shape of the input."""
    require_onnx()
    from onnx import ModelProto

    if isinstance(model, ModelProto):
        return _network(model, None, input_shape)
    if not isinstance(model, str | os.PathLike):
        raise ModelError(
            f"from_onnx got {type(model).__name__}: expected the path of an .onnx file, or an "
            "onnx.ModelProto"
        )
    path = Path(model)
    content = read_model(path)
    try:
        return _network(content, path.parent, input_shape)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def _network(
    model: ModelProto, folder: Path | None, input_shape: Sequence[int] | None
) -> OnnxNetwork:
    graph = join_gelus(read_graph(model, folder, {*READERS, *FOLDED}))
    _refuse_unknown(graph.nodes)
    batch, shape = _input_shape(graph, input_shape)
    chain = Chain(shape)
    # What overflows is infinite, and refused with the parameters.
    with np.errstate(all="ignore"):
        _walk(graph, chain, batch)
    return OnnxNetwork(chain.network(), shape)


def _refuse_unknown(nodes: Sequence[Node]) -> None:
    unknown = [node for node in nodes if node.op not in READERS and node.op not in FOLDED]
    if unknown:
        others = sorted({node.op for node in unknown} - {unknown[0].op})
        more = f", nor are {', '.join(others[:10])}" if others else ""
        raise ModelError(
            f"{unknown[0]} is not supported{more}; supported are chains of {', '.join(READERS)}"
        )


def _input_shape(graph: Graph, given: Sequence[int] | None) -> tuple[int | None, Shape]:
    """The size of the batch, None if it is open, and the shape behind it."""
    batch, *wanted = graph.dims or (None,)
    shown = "unknown" if graph.dims is None else ["?" if n is None else n for n in graph.dims]
    if given is None:
        if graph.dims is None or None in wanted:
            raise ModelError(
                f"the input {graph.source!r} has the shape {shown}: give "
                "input_shape=(channels, height, width) or (features,) to from_onnx, in the command "
                "--input CHANNELS,HEIGHT,WIDTH or --input FEATURES"
            )
        shape = tuple(length for length in wanted if length is not None)
        if len(shape) not in (1, 3):
            raise ModelError(
                f"the input {graph.source!r} has the shape {shown}: expected "
                "(N, channels, height, width) or (N, features)"
            )
        return batch, shape
    shape = read_shape(given)
    if graph.dims is not None and not (
        len(shape) == len(wanted)
        and all(want in (None, got) for got, want in zip(shape, wanted, strict=True))
    ):
        raise ModelError(
            f"input_shape is {shape}, without the batch: the model expects {shown}, with it"
        )
    return batch, shape


def _walk(graph: Graph, chain: Chain, batch: int | None) -> None:
    """Follow the data from the input to the output.

    Each tensor has one maker and the input has none, so that no circle leads back.
    """
    data = graph.source
    while data != graph.target:
        graph.shapes[data] = (BATCH if batch is None else batch, *chain.shape)
        node = _next(graph, data)
        if node.op not in READERS:
            raise ModelError(f"{node} is supported where all it reads is constant")
        READERS[node.op](Step(node, data, graph, chain, batch))
        (data, *others) = node.outputs
        for other in others:
            if other and (graph.readers(other) or other == graph.target):
                raise ModelError(f"{node}: its output {other!r} is used: expected the first only")


def _next(graph: Graph, data: str) -> Node:
    """The one node that reads a tensor."""
    readers = graph.readers(data)
    if len(readers) == 1:
        return readers[0]
    if not readers:
        raise ModelError(
            f"the output {graph.target!r} does not depend on tensor {data!r}: expected a chain "
            f"from the input {graph.source!r}"
        )
    listed = ", ".join(str(node) for node in readers[:4])
    raise ModelError(
        f"tensor {data!r} is read {len(readers)} times, by {listed}: expected a chain, without "
        "branches"
    )

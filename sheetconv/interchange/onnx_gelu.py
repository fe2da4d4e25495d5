"""GELU as exporters spell it out where ONNX has no operator for it yet: with Erf.

::

    0.5 * x * (1 + erf(x / sqrt(2)))

in any order of the products.
"""

from __future__ import annotations

import math
from dataclasses import replace

from .onnx_graph import Graph, Node

# Constants may be rounded to half precision.
_TOLERANCE = 1e-3


def join_gelus(graph: Graph) -> Graph:
    """The graph with one node Gelu for each GELU that is spelled out with Erf."""
    for erf in [node for node in graph.nodes if node.op == "Erf"]:
        found = _gelu(graph, erf)
        if found is not None:
            parts, source, target = found
            joined = Node("Gelu", "", (source,), (target,), {})
            rest = [node for node in graph.nodes if not any(node is part for part in parts)]
            graph = replace(graph, nodes=[*rest, joined])
    return graph


def _gelu(graph: Graph, erf: Node) -> tuple[list[Node], str, str] | None:
    """The nodes of a GELU, and the names of its input and output."""
    scaled = graph.makers.get(erf.inputs[0])
    x = _other(graph, scaled, "Div", math.sqrt(2)) or _other(graph, scaled, "Mul", math.sqrt(0.5))
    plus = _only_reader(graph, erf)
    if scaled is None or not x or _other(graph, plus, "Add", 1.0) != erf.outputs[0] or not plus:
        return None
    if len(graph.readers(scaled.outputs[0])) != 1:
        return None
    parts = [scaled, erf, plus]
    # The half may be taken of the sum, of x, or of their product.
    half = _only_reader(graph, plus)
    if half is not None and _other(graph, half, "Mul", 0.5) == plus.outputs[0]:
        parts.append(half)
        times = _only_reader(graph, half)
        halved = True
    else:
        times, halved = half, False
    if times is None or times.op != "Mul":
        return None
    (other,) = [name for name in times.inputs if name != parts[-1].outputs[0]] or [""]
    parts.append(times)
    if other == x:
        if not halved:
            last = _only_reader(graph, times)
            if last is None or _other(graph, last, "Mul", 0.5) != times.outputs[0]:
                return None
            parts.append(last)
    else:
        first = graph.makers.get(other)
        if halved or first is None or _other(graph, first, "Mul", 0.5) != x:
            return None
        if len(graph.readers(other)) != 1:
            return None
        parts.append(first)
        return parts, x, times.outputs[0]
    return parts, x, parts[-1].outputs[0]


def _only_reader(graph: Graph, node: Node) -> Node | None:
    readers = graph.readers(node.outputs[0])
    return readers[0] if len(readers) == 1 and node.outputs[0] != graph.target else None


def _other(graph: Graph, node: Node | None, op: str, number: float) -> str:
    """What a node joins with a number; empty if it is another node, or another number."""
    if node is None or node.op != op or len(node.inputs) != 2:
        return ""
    for position, name in enumerate(node.inputs):
        value = graph.constant(name)
        if value is not None and value.size == 1 and (op != "Div" or position == 1):
            close = math.isclose(float(value.reshape(-1)[0]), number, rel_tol=_TOLERANCE)
            return node.inputs[1 - position] if close else ""
    return ""

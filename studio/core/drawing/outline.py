"""What a picture needs to know of a graph, without its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.core.modelinfo import macs_by_node, operator_name, tensor_info
from studio.core.provenance import node_names

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

#: attributes are searched up to this many characters each
LONGEST = 80


@dataclass(frozen=True)
class Outline:
    """The nodes that are drawn (all but constants), in topological order, and what leads from one to another.

    Attributes
    ----------
    names, operators, shapes
        Of each node; the shape is that of its first output, as text.
    searched
        All that a search looks at: name, operator, tensors, attributes.
    edges
        int64 ``(edges, 2)``: source and target; each pair once.
    macs, moved, weights
        int64 ``(nodes,)``: multiply-accumulates, bytes of activations read and written, bytes of weights; 0 where not
        known.
    fed
        bool ``(nodes,)``: whether its result depends on the model's inputs.
    constants
        How many Constant nodes were left out.
    """

    names: list[str]
    operators: list[str]
    shapes: list[str]
    searched: list[str]
    edges: NDArray[np.int64]
    macs: NDArray[np.int64]
    moved: NDArray[np.int64]
    weights: NDArray[np.int64]
    fed: NDArray[np.bool_]
    constants: int

    @classmethod
    def of(cls, proto: onnx.ModelProto) -> Outline:
        """Outline a model's main graph."""
        import numpy as np

        graph = proto.graph
        every = list(zip(node_names(graph), graph.node, strict=True))
        drawn = [(name, node) for name, node in every if node.op_type != "Constant" or node.domain]
        shapes, sizes = _shapes(proto)
        macs, _, _ = macs_by_node(proto, {})
        stored = _weight_bytes(graph)
        return cls(
            names=[name for name, _ in drawn],
            operators=[operator_name(node) for _, node in drawn],
            shapes=[next((shapes[out] for out in node.output if out in shapes), "") for _, node in drawn],
            searched=[_searched(name, node) for name, node in drawn],
            edges=_edges([node for _, node in drawn]),
            macs=np.array([macs.get(name, 0) for name, _ in drawn], np.int64),
            moved=np.array([_sum(sizes, (*node.input, *node.output)) for _, node in drawn], np.int64),
            weights=np.array([_sum(stored, node.input) for _, node in drawn], np.int64),
            fed=_fed(graph, [node for _, node in drawn]),
            constants=len(every) - len(drawn),
        )


def _edges(nodes: Sequence[onnx.NodeProto]) -> NDArray[np.int64]:
    import numpy as np

    makers: dict[str, int] = {}
    edges: dict[tuple[int, int], None] = {}
    for index, node in enumerate(nodes):
        for name in _read(node):
            if name in makers:
                edges[makers[name], index] = None
        makers.update((out, index) for out in node.output if out)
    return np.array(list(edges), np.int64).reshape(-1, 2)


def _fed(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> NDArray[np.bool_]:
    import numpy as np

    reached = {value.name for value in graph.input} - {item.name for item in graph.initializer}
    found = []
    for node in nodes:
        found.append(any(name in reached for name in _read(node)))
        if found[-1]:
            reached.update(node.output)
    return np.array(found, bool)


def _read(node: onnx.NodeProto) -> list[str]:
    """List the tensors that a node reads, those that its subgraphs capture too."""
    names = list(node.input)
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for each in inner.node:
                names.extend(_read(each))
    return names


def _searched(name: str, node: onnx.NodeProto) -> str:
    import onnx

    parts = [name, operator_name(node), *node.input, *node.output]
    for item in node.attribute:
        if item.type in (1, 2, 3, 6, 7, 8):
            value = onnx.helper.get_attribute_value(item)
            text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
            parts.append(f"{item.name}={text[:LONGEST]}")
    return "\n".join(parts)


def _shapes(proto: onnx.ModelProto) -> tuple[dict[str, str], dict[str, int]]:
    """Give shapes as text, and bytes of tensors with 1 for every dynamic dimension."""
    import onnx
    import onnx_ir as ir

    try:
        graph = onnx.shape_inference.infer_shapes(proto).graph
    except Exception:  # inference is best effort: a shape that is not known is not shown
        graph = proto.graph
    found, sizes = {}, {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        info = tensor_info(value)
        if info.shape is None:
            continue
        found[value.name] = f"{info.dtype} [{', '.join('?' if dim is None else str(dim) for dim in info.shape)}]"
        try:
            bits = ir.DataType(value.type.tensor_type.elem_type).bitwidth
        except (ValueError, TypeError):
            continue
        sizes[value.name] = math.prod(dim if isinstance(dim, int) else 1 for dim in info.shape) * bits // 8
    return found, sizes


def _weight_bytes(graph: onnx.GraphProto) -> dict[str, int]:
    import onnx_ir as ir

    sizes = {}
    for tensor in graph.initializer:
        try:
            sizes[tensor.name] = math.prod(tensor.dims) * ir.DataType(tensor.data_type).bitwidth // 8
        except (ValueError, TypeError):
            sizes[tensor.name] = 0
    return sizes


def _sum(sizes: Mapping[str, int], names: Sequence[str]) -> int:
    return sum(sizes.get(name, 0) for name in names)

"""Lay out a model's graph for drawing; weights are not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from studio.core.artifact import Artifact
from studio.core.frozen import Frozen
from studio.core.graphlayout import positions, ranks
from studio.core.modelfile import read_light_proto
from studio.core.modelinfo import macs_by_node, operator_name, tensor_info
from studio.core.provenance import node_names
from studio.core.report import Reporter

if TYPE_CHECKING:
    import onnx

#: attributes are shown up to this many characters
LONGEST = 120


class LayOutGraph(Frozen):
    """The model to draw."""

    artifact: Artifact


class DrawnNode(Frozen):
    """A node with its place: `x` in node widths around 0, `rank` in rows from the top."""

    name: str
    operator: str
    x: float
    rank: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shape: str
    attributes: dict[str, str]
    macs: int


class DrawnGraph(Frozen):
    """Nodes in topological order, edges as pairs of their indices, and what is known of tensors.

    `weights` maps an initializer to its dtype and shape as text.
    """

    nodes: tuple[DrawnNode, ...]
    edges: tuple[tuple[int, int], ...]
    weights: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Lay out the model of a `LayOutGraph` payload; gives a `DrawnGraph`."""
    wanted = LayOutGraph.model_validate(payload)
    proto = read_light_proto(wanted.artifact.path)
    reporter.progress(1, 3, "reading the graph")
    graph = proto.graph
    edges = _edges(graph)
    reporter.check()
    rank = ranks(edges, len(graph.node))
    x = positions(edges, rank)
    reporter.progress(2, 3, "laying out")
    reporter.check()
    shapes = _shapes(proto)
    macs, _, _ = macs_by_node(proto, {})
    nodes = tuple(
        DrawnNode(
            name=name,
            operator=operator_name(node),
            x=round(x[index], 3),
            rank=rank[index],
            inputs=tuple(node.input),
            outputs=tuple(node.output),
            shape=next((shapes[out] for out in node.output if out in shapes), ""),
            attributes={item.name: _attribute(item) for item in node.attribute},
            macs=macs.get(name, 0),
        )
        for index, (name, node) in enumerate(zip(node_names(graph), graph.node, strict=True))
    )
    drawn = DrawnGraph(
        nodes=nodes,
        edges=tuple(edges),
        weights={item.name: f"{_dtype(item)} {list(item.dims)}" for item in graph.initializer},
        inputs=tuple(value.name for value in graph.input),
        outputs=tuple(value.name for value in graph.output),
    )
    return drawn.model_dump(mode="json")


def _edges(graph: onnx.GraphProto) -> list[tuple[int, int]]:
    """List edges between nodes of the main graph; each pair once."""
    makers: dict[str, int] = {}
    edges: dict[tuple[int, int], None] = {}
    for index, node in enumerate(graph.node):
        for name in node.input:
            if name in makers:
                edges[makers[name], index] = None
        makers.update((out, index) for out in node.output if out)
    return list(edges)


def _shapes(proto: onnx.ModelProto) -> dict[str, str]:
    import onnx

    try:
        graph = onnx.shape_inference.infer_shapes(proto).graph
    except Exception:  # inference is best effort: a shape that is not known is not shown
        graph = proto.graph
    found = {}
    for value in (*graph.value_info, *graph.output):
        info = tensor_info(value)
        if info.shape is not None:
            found[value.name] = f"{info.dtype} [{', '.join('?' if dim is None else str(dim) for dim in info.shape)}]"
    return found


def _dtype(tensor: onnx.TensorProto) -> str:
    from studio.core.modelinfo import dtype_name

    return dtype_name(tensor.data_type)


def _attribute(item: onnx.AttributeProto) -> str:
    import onnx

    kind = onnx.AttributeProto.AttributeType
    if item.type in (kind.GRAPH, kind.GRAPHS):
        return "subgraph"
    if item.type in (kind.TENSOR, kind.SPARSE_TENSOR, kind.TENSORS):
        return f"{_dtype(item.t)} {list(item.t.dims)}" if item.type == kind.TENSOR else "tensor"
    value = onnx.helper.get_attribute_value(item)
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"

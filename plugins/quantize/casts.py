"""Remove casts that a conversion to float16 leaves between two float32 operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .selection import integer

if TYPE_CHECKING:
    import onnx_ir as ir


def drop_round_trips(graph: ir.Graph) -> None:
    """Let float32 operators in a row pass values on in float32, not through float16 and back.

    The converter surrounds each operator that stays float32 with casts; between two of them these
    would lose precision for nothing.
    """
    for node in list(graph):
        origin = _before_round_trip(node)
        if origin is not None:
            node.outputs[0].replace_all_uses_with(origin)
    for node in reversed(list(graph)):
        if _is_cast(node) and not node.outputs[0].uses() and not node.outputs[0].is_graph_output():
            graph.remove(node, safe=True)


def _before_round_trip(node: ir.Node) -> ir.Value | None:
    """Give the float32 value that was cast to float16 and is cast back by this node."""
    import onnx_ir as ir

    if not _is_cast(node) or integer(node, "to", 0) != ir.DataType.FLOAT or node.outputs[0].is_graph_output():
        return None
    maker = node.inputs[0].producer() if node.inputs[0] is not None else None
    if maker is None or not _is_cast(maker) or integer(maker, "to", 0) != ir.DataType.FLOAT16:
        return None
    return maker.inputs[0]


def _is_cast(node: ir.Node) -> bool:
    """Say whether a node is a Cast that the converter inserted."""
    name = node.name or ""
    return node.op_type == "Cast" and (name.endswith(("_cast_to_fp32_node", "_cast_to_fp16_node")) or _at_edge(name))


def _at_edge(name: str) -> bool:
    return name.startswith(("graph_input_cast", "graph_output_cast"))

"""Split Gemm into MatMul and Add: only MatMul has an integer form with run-time ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .graph import float_constant
from .initializers import Initializers
from .selection import Selection, integer

if TYPE_CHECKING:
    import onnx_ir as ir


def split_gemms(graph: ir.Graph, selection: Selection) -> dict[str, str]:
    """Replace each selected Gemm (A not transposed, B constant, factors in its constants) by MatMul and Add.

    Returns
    -------
    dict
        Name of each Gemm to the name of its MatMul.
    """
    initializers = Initializers(graph)
    return {
        name: _split(graph, initializers, node, name)
        for node, name in selection.nodes.items()
        if node.op_type == "Gemm"
    }


def _split(graph: ir.Graph, initializers: Initializers, node: ir.Node, name: str) -> str:
    import onnx_ir as ir

    output = node.outputs[0]
    label = output.name
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    product = ir.node("MatMul", [node.inputs[0], _weight(initializers, node)], name=f"{name}_MatMul")
    made = product.outputs[0]
    made.type, made.shape = output.type, output.shape
    graph.insert_before(node, product)
    if bias is not None:
        made.name = f"{label}_MatMul"
        total = ir.node("Add", [made, bias], name=f"{name}_Add")
        graph.insert_before(node, total)
        made = total.outputs[0]
        made.type, made.shape = output.type, output.shape
    output.replace_all_uses_with(made, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    made.name = label
    return f"{name}_MatMul"


def _weight(initializers: Initializers, node: ir.Node) -> ir.Value:
    value = node.inputs[1]
    tensor = float_constant(value)
    assert value is not None and tensor is not None  # the selection looked
    return initializers.add(f"{value.name}_transposed", tensor.numpy().T) if _transposed(node) else value


def _transposed(node: ir.Node) -> bool:
    return bool(integer(node, "transB", 0))

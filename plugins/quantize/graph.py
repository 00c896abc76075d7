"""What the three passes ask of a graph: names, constants, sizes, and whether it is quantized already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

#: operators with weights, named first in summaries
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "Gather"})
#: operators of a model that was quantized before
_QUANTIZED = frozenset(
    {
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "ConvInteger",
        "QLinearConv",
        "QLinearMatMul",
        "QGemm",
        "MatMulNBits",
        "MatMulBnb4",
        "GatherBlockQuantized",
        "DynamicQuantizeMatMul",
        "DynamicQuantizeLSTM",
        "MatMulIntegerToFloat",
        "QAttention",
    }
)


def node_names(graph: ir.Graph) -> dict[ir.Node, str]:
    """Name every node of the main graph: its own name, else operator and first output; unique.

    The rule is that of the runner's provenance, so that a scope means the same everywhere.
    """
    seen: set[str] = set()
    names: dict[ir.Node, str] = {}
    for index, node in enumerate(graph):
        name = node.name or f"{node.op_type}:{next((out.name for out in node.outputs if out.name), index)}"
        while name in seen:
            name += "'"
        seen.add(name)
        names[node] = name
    return names


def operators_by_name(graph: ir.Graph) -> dict[str, str]:
    """Give the operator of every node of the main graph by the node's name."""
    return {name: node.op_type for node, name in node_names(graph).items()}


def is_standard(node: ir.Node) -> bool:
    """Say whether the operator is one of ONNX itself, not a custom one of the same name."""
    return node.domain in ("", "ai.onnx")


def constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """Give a value's tensor when nothing can change it: an initializer or the output of a Constant."""
    if value is None:
        return None
    if value.is_initializer():
        return None if value.is_graph_input() else value.const_value
    producer = value.producer()
    if producer is None or producer.op_type != "Constant" or not is_standard(producer):
        return None
    attribute = producer.attributes.get("value")
    return None if attribute is None else attribute.as_tensor()


def float_constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """Give a value's tensor when it is a constant of float32 with at least one element."""
    import onnx_ir as ir

    tensor = constant(value)
    if tensor is None or tensor.dtype != ir.DataType.FLOAT or not tensor.size:
        return None
    return tensor


def is_float(value: ir.Value | None) -> bool:
    """Say whether a value is known to be float32."""
    import onnx_ir as ir

    return value is not None and value.dtype == ir.DataType.FLOAT


def quantized_already(model: ir.Model) -> str:
    """Say why a model counts as quantized, such as ``"4 QuantizeLinear"``; empty when it does not."""
    found = Counter(node.op_type for node in model.graph.all_nodes() if node.op_type in _QUANTIZED)
    return f"it is quantized already ({counts(found)})" if found else ""


def half_precision(model: ir.Model) -> bool:
    """Say whether any weight of the main graph is float16 or bfloat16."""
    import onnx_ir as ir

    halves = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
    return any(value.dtype in halves for value in model.graph.initializers.values())


def counts(operators: Counter[str]) -> str:
    """Write counts for people: ``"53 Conv, 1 Gemm"``."""
    return ", ".join(f"{number} {name}" for name, number in operators.most_common())


def count_operators(nodes: Iterable[ir.Node]) -> str:
    """Count nodes by operator, those with weights first: ``"53 Conv, 1 Gemm, 49 Relu"``."""
    found = Counter(node.op_type for node in nodes)
    weighty = Counter({name: number for name, number in found.items() if name in _WEIGHTED})
    return ", ".join(filter(None, (counts(weighty), counts(found - weighty))))


def weight_bytes(model: ir.Model) -> int:
    """Give the bytes of all initializers and constants, subgraphs included."""
    graphs = [model.graph, *model.graph.subgraphs()]
    stored = sum(
        value.const_value.nbytes
        for graph in graphs
        for value in graph.initializers.values()
        if value.const_value is not None
    )
    constants = (constant(node.outputs[0]) for node in model.graph.all_nodes() if node.op_type == "Constant")
    return stored + sum(tensor.nbytes for tensor in constants if tensor is not None)


def text_bytes(graph: ir.Graph) -> int:
    """Estimate the bytes that the graph itself takes in a file: names, attributes and shapes, not weights."""
    total = 0
    for node in graph.all_nodes():
        names = [node.name or "", node.op_type]
        names += [value.name or "" for value in (*node.inputs, *node.outputs) if value is not None]
        total += sum(len(name) + 2 for name in names) + 20 * len(node.attributes) + 40
    return total


def subgraph_candidates(graph: ir.Graph, operators: Iterable[str]) -> int:
    """Count nodes of these operators inside subgraphs, which the passes leave alone."""
    wanted = set(operators)
    return sum(1 for sub in graph.subgraphs() for node in sub if node.op_type in wanted)

"""The weights that may be pruned, and why others may not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from studio.api import Scope

DOMAINS = ("", "ai.onnx")
#: operator to the inputs that may be its weight
_WEIGHTS = {"Conv": (1,), "ConvTranspose": (1,), "Gemm": (1, 0), "MatMul": (1, 0)}
_FLOATS = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE")


@dataclass(frozen=True)
class Target:
    """A weight that one node alone uses.

    Attributes
    ----------
    holder
        The initializer, or the output of the Constant node, that holds it.
    tensor
        Its content.
    """

    node: ir.Node
    name: str
    holder: ir.Value
    tensor: ir.TensorProtocol


def find_targets(model: ir.Model, scope: Scope, least: int) -> tuple[list[Target], tuple[str, ...]]:
    """List the weights to prune, without reading them, and warnings about those left alone.

    Parameters
    ----------
    least
        Weights with fewer elements are left alone, silently.
    """
    found: list[Target] = []
    refused: dict[str, list[str]] = defaultdict(list)
    for name, node in named_nodes(model):
        if node.op_type not in _WEIGHTS or node.domain not in DOMAINS or not scope.selects(name, node.op_type):
            continue
        result = _target(node, name, old_format=(model.ir_version or 0) < 4)
        if isinstance(result, str):
            refused[result].append(name)
        elif result.tensor.size >= least:
            found.append(result)
    warnings = tuple(f"Left alone, {reason}: {', '.join(names)}." for reason, names in refused.items())
    return found, warnings


def named_nodes(model: ir.Model) -> Iterator[tuple[str, ir.Node]]:
    """List the nodes of the main graph and of subgraphs with unique names, as `studio.api.node_names` has them."""
    seen: set[str] = set()
    for graph in (model.graph, *model.graph.subgraphs()):
        for index, node in enumerate(graph):
            output = next((value.name for value in node.outputs if value.name), index)
            name = node.name or f"{node.op_type}:{output}"
            while name in seen:
                name += "'"
            seen.add(name)
            yield name, node


def _target(node: ir.Node, name: str, *, old_format: bool) -> Target | str:
    """Find the weight of a node, or say why there is none to prune."""
    reason = "it has no constant weight"
    for index in _WEIGHTS[node.op_type]:
        value = node.inputs[index] if index < len(node.inputs) else None
        holder = _holder(value)
        tensor = content(holder)
        if value is None or holder is None or tensor is None:
            reason = "its weight is quantized" if _is_dequantized(value) else reason
            continue
        if tensor.dtype.name not in _FLOATS:
            return "its weight is quantized"
        if holder.is_graph_input() and not old_format:
            return "its weight is an input that a caller may replace"
        return Target(node, name, holder, tensor) if _is_alone(value, holder) else "its weight is shared"
    return reason


def _holder(value: ir.Value | None) -> ir.Value | None:
    """Follow Identity back to the value that holds a constant."""
    while value is not None:
        node = value.producer()
        if node is None or node.op_type != "Identity" or node.domain not in DOMAINS:
            return value
        value = node.inputs[0]
    return None


def content(holder: ir.Value | None) -> ir.TensorProtocol | None:
    """Give the tensor of an initializer or of a Constant node."""
    node = holder.producer() if holder is not None else None
    if holder is None or node is None:
        return holder.const_value if holder is not None else None
    attribute = node.attributes.get("value") if node.op_type == "Constant" and node.domain in DOMAINS else None
    return attribute.as_tensor() if attribute is not None and not attribute.is_ref() else None


def replace_content(holder: ir.Value, tensor: ir.TensorProtocol) -> None:
    """Give a holder other content of the same shape and dtype, under the same name."""
    node = holder.producer()
    if node is None:
        holder.const_value = tensor
    else:
        node.attributes.add(ir.AttrTensor("value", tensor))


def _is_alone(value: ir.Value, holder: ir.Value) -> bool:
    """Say whether every value from the holder to the node's input has one reader and is no output."""
    while True:
        if len(value.uses()) != 1 or value.is_graph_output():
            return False
        if value is holder:
            return True
        producer = value.producer()
        before = producer.inputs[0] if producer is not None else None
        if before is None:
            return False
        value = before


def _is_dequantized(value: ir.Value | None) -> bool:
    node = value.producer() if value is not None else None
    return node is not None and node.op_type == "DequantizeLinear"

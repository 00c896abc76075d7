"""Weights of Conv, ConvTranspose, Gemm and MatMul that may be edited, and why others may not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.core.scope import Scope

if TYPE_CHECKING:
    import onnx_ir as ir

DOMAINS = ("", "ai.onnx")
#: operator to the inputs that may be its weight
_WEIGHTS = {"Conv": (1,), "ConvTranspose": (1,), "Gemm": (1, 0), "MatMul": (1, 0)}
_FLOATS = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE")


@dataclass(frozen=True)
class Weight:
    """A constant weight that one node alone uses.

    Attributes
    ----------
    node, name
        Its user, and the user's name as `studio.api.node_names` has it.
    index
        Which of the node's inputs it is.
    holder
        The initializer, or the output of the Constant node, that holds it.
    tensor
        Its content; not read yet.
    inner
        Whether the node stands in a subgraph (If, Loop, Scan).
    """

    node: ir.Node
    name: str
    index: int
    holder: ir.Value
    tensor: ir.TensorProtocol
    inner: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its dimensions."""
        return tuple(int(str(size)) for size in self.tensor.shape)

    @property
    def other(self) -> ir.Value | None:
        """The activation that the node multiplies it with."""
        return self.node.inputs[0 if self.index == 1 else 1]


def find_weights(
    model: ir.Model, scope: Scope, least: int = 1, operators: tuple[str, ...] = tuple(_WEIGHTS)
) -> tuple[list[Weight], tuple[str, ...]]:
    """List the weights that a pass may edit, without reading them, and warnings about those left alone.

    Weights are followed through Identity. Shared, computed and quantized ones, and those that a caller
    may replace, are left alone.

    Parameters
    ----------
    least
        Weights with fewer elements are left alone, silently.
    operators
        Of Conv, ConvTranspose, Gemm and MatMul, those to look at.
    """
    found: list[Weight] = []
    refused: dict[str, list[str]] = defaultdict(list)
    for name, node in named_nodes(model):
        if node.op_type not in operators or node.domain not in DOMAINS or not scope.selects(name, node.op_type):
            continue
        result = _weight(node, name, model)
        if isinstance(result, str):
            refused[result].append(name)
        elif result.tensor.size >= least:
            found.append(result)
    return found, left_alone(refused)


def left_alone(refused: dict[str, list[str]]) -> tuple[str, ...]:
    """Say which nodes were left alone, one sentence a reason."""
    return tuple(f"Left alone, {reason}: {', '.join(names)}." for reason, names in refused.items() if names)


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


def content(holder: ir.Value | None) -> ir.TensorProtocol | None:
    """Give the tensor of an initializer or of a Constant node."""
    node = holder.producer() if holder is not None else None
    if holder is None or node is None:
        return holder.const_value if holder is not None else None
    attribute = node.attributes.get("value") if node.op_type == "Constant" and node.domain in DOMAINS else None
    return attribute.as_tensor() if attribute is not None and not attribute.is_ref() else None


def replace_content(holder: ir.Value, tensor: ir.TensorProtocol) -> None:
    """Give a holder other content of the same shape and dtype, under the same name."""
    import onnx_ir as ir

    node = holder.producer()
    if node is None:
        holder.const_value = tensor
    else:
        node.attributes.add(ir.AttrTensor("value", tensor))


def _weight(node: ir.Node, name: str, model: ir.Model) -> Weight | str:
    """Find the weight of a node, or say why there is none to edit."""
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
        if holder.is_graph_input() and (model.ir_version or 0) >= 4:
            return "its weight is an input that a caller may replace"
        if not _is_alone(value, holder):
            return "its weight is shared"
        return Weight(node, name, index, holder, tensor, node.graph is not model.graph)
    return reason


def _holder(value: ir.Value | None) -> ir.Value | None:
    """Follow Identity back to the value that holds a constant."""
    while value is not None:
        node = value.producer()
        if node is None or node.op_type != "Identity" or node.domain not in DOMAINS:
            return value
        value = node.inputs[0]
    return None


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

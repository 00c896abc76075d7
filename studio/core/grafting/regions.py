"""Where a variant computes what a layer of its source computes: pieces that can stand in for each other.

A variant keeps the names of most tensors. From a tensor that both have, one goes back in the variant
to tensors that the source has too: what lies between is the variant's form of what lies between
the same tensors in the source, whatever the pass did there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.core.scope import Scope
from studio.core.weights import DOMAINS, content, named_nodes

if TYPE_CHECKING:
    import onnx_ir as ir

#: operators with weights worth a precision of their own
LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN"})
#: how many nodes may stand between a layer and the next tensor that the variant still has
_STEPS = 8
#: no region is larger: cut off where the two models have too little in common
_LARGEST = 400


@dataclass(frozen=True)
class Region:
    """A piece of a variant that stands for a piece of its source.

    Attributes
    ----------
    layers
        Names of the source's nodes with weights in that piece, in order.
    operator
        Operator of the first of them.
    output
        The tensor that both pieces make.
    inputs
        Tensors of the source that the variant's piece reads.
    nodes
        The variant's nodes, in order.
    replaced
        Names of all of the source's nodes in that piece.
    bytes_before, bytes_after
        Bytes of constants that each piece reads.
    """

    layers: tuple[str, ...]
    operator: str
    output: str
    inputs: tuple[str, ...]
    nodes: tuple[ir.Node, ...]
    replaced: tuple[str, ...]
    bytes_before: int
    bytes_after: int


def weighted_nodes(model: ir.Model, scope: Scope | None = None) -> list[str]:
    """Name the layers of a main graph: nodes of `LAYERS` with a constant among their inputs."""
    chosen = scope or Scope()
    return [
        name
        for name, node in named_nodes(model)
        if node.graph is model.graph
        and node.op_type in LAYERS
        and node.domain in DOMAINS
        and chosen.selects(name, node.op_type)
        and any(constant_of(value) is not None for value in node.inputs)
    ]


def constant_of(value: ir.Value | None) -> ir.TensorProtocol | None:
    """Give what a value always holds, Identity looked through; None when it is computed."""
    while value is not None:
        tensor = content(value)
        if tensor is not None:
            return tensor
        node = value.producer()
        if node is None or node.op_type != "Identity":
            return None
        value = node.inputs[0]
    return None


class Regions:
    """Finds the regions of a variant.

    Parameters
    ----------
    source, variant
        The models; not modified.
    layers
        The source's layers to look for, as `weighted_nodes` names them.
    """

    def __init__(self, source: ir.Model, variant: ir.Model, layers: Sequence[str]) -> None:
        self._nodes = {name: node for name, node in named_nodes(source) if node.graph is source.graph}
        self._names = {node: name for name, node in self._nodes.items()}
        self._layers = list(layers)
        self._outputs = {str(value.name) for value in source.graph.outputs}
        self._known = _made(source) | {str(v.name): v for v in source.graph.inputs if not v.is_initializer()}
        self._variant = _made(variant)

    def find(self) -> tuple[list[Region], dict[str, list[str]]]:
        """Give the regions in the source's order, and the layers without one by the reason.

        Layers that the variant left as they are have neither.
        """
        found: dict[str, Region] = {}
        refused: dict[str, list[str]] = defaultdict(list)
        for layer in self._layers:
            if any(layer in region.layers for region in found.values()):
                continue
            region = self._region(layer)
            if isinstance(region, str):
                if region:
                    refused[region].append(layer)
            else:
                found[region.output] = region
        return list(found.values()), dict(refused)

    def _region(self, layer: str) -> Region | str:
        output = self._common(self._nodes[layer])
        if output is None:
            return "the variant has no tensor that stands for its output"
        nodes, inputs = _between(self._variant[output], self._known)
        before, _ = _between(self._known[output], {name: self._known[name] for name in inputs})
        if len(nodes) > _LARGEST or len(before) > _LARGEST or self._nodes[layer] not in before:
            return "the variant shares too few tensors with its source around it"
        if any(node.graph is not before[0].graph for node in before) or _has_graphs(nodes):
            return "it is bound up with a subgraph"
        if _alike(before, nodes):
            return ""
        layers = tuple(name for name in self._layers if self._nodes[name] in before)
        order = {node: index for index, node in enumerate(nodes[0].graph or ())}
        return Region(
            layers=layers,
            operator=self._nodes[layers[0]].op_type,
            output=output,
            inputs=tuple(inputs),
            nodes=tuple(sorted(nodes, key=lambda node: order.get(node, 0))),
            replaced=tuple(self._names[node] for node in before),
            bytes_before=_constant_bytes(before),
            bytes_after=_constant_bytes(nodes),
        )

    def _common(self, node: ir.Node) -> str | None:
        """Follow a layer's output to the first tensor that the variant's nodes make too."""
        for _ in range(_STEPS):
            value = node.outputs[0]
            if value.name in self._variant:
                return str(value.name)
            users = {user for user, _ in value.uses()}
            if len(users) != 1 or value.name in self._outputs:
                return None
            node = next(iter(users))
        return None


def _made(model: ir.Model) -> dict[str, ir.Value]:
    """Give what the nodes of a main graph make, constants excepted."""
    return {
        str(value.name): value
        for node in model.graph
        for value in node.outputs
        if value.name and node.op_type != "Constant"
    }


def _between(output: ir.Value, known: Mapping[str, ir.Value]) -> tuple[list[ir.Node], list[str]]:
    """Collect the nodes from a tensor back to known ones, and the known ones where that ends."""
    first = output.producer()
    nodes: dict[ir.Node, None] = {}
    ends: dict[str, None] = {}
    stack = [first] if first is not None else []
    while stack and len(nodes) <= _LARGEST:
        node = stack.pop()
        if node in nodes:
            continue
        nodes[node] = None
        for value in node.inputs:
            if value is None or (constant_of(value) is not None and value.producer() is None):
                continue
            if value.name in known:
                ends[str(value.name)] = None
            elif (maker := value.producer()) is not None:
                stack.append(maker)
            elif value.is_graph_input():
                ends[str(value.name)] = None
    return list(nodes), list(ends)


def _has_graphs(nodes: Sequence[ir.Node]) -> bool:
    return any(True for node in nodes for _ in _subgraphs(node))


def _subgraphs(node: ir.Node) -> list[ir.Attr]:
    import onnx_ir as ir

    kinds = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    return [attribute for attribute in node.attributes.values() if attribute.type in kinds]


def _alike(before: Sequence[ir.Node], after: Sequence[ir.Node]) -> bool:
    """Say whether both pieces are the same nodes with the same constants."""
    if sorted(node.op_type for node in before) != sorted(node.op_type for node in after):
        return False
    made = {str(node.outputs[0].name): node for node in before}
    for node in after:
        other = made.get(str(node.outputs[0].name))
        if other is None or other.op_type != node.op_type or len(other.inputs) != len(node.inputs):
            return False
        pairs = zip(other.inputs, node.inputs, strict=True)
        if not all(_same_input(mine, theirs) for mine, theirs in pairs):
            return False
    return True


def _same_input(mine: ir.Value | None, theirs: ir.Value | None) -> bool:
    first, second = constant_of(mine), constant_of(theirs)
    if first is None or second is None:
        return first is second and (mine is None) == (theirs is None)
    if first.dtype != second.dtype or tuple(first.shape) != tuple(second.shape):
        return False
    return first.tobytes() == second.tobytes()


def _constant_bytes(nodes: Sequence[ir.Node]) -> int:
    held = {id(value): tensor for node in nodes for value in node.inputs if (tensor := constant_of(value)) is not None}
    # a small layer's quantizers can take more of the file than its weights save
    return sum(tensor.nbytes for tensor in held.values()) + sum(_definition_bytes(node) for node in nodes)


def _definition_bytes(node: ir.Node) -> int:
    """Estimate what a node itself takes of the file: its names with their lengths, and its attributes."""
    names = [node.name or "", node.op_type, *(str(value.name) for value in node.inputs if value is not None)]
    names += [str(value.name) for value in node.outputs]
    # a constant that it reads has a name and a shape too, and a scale or zero point is little else
    constants = [value for value in node.inputs if value is not None and value.const_value is not None]
    return (
        sum(len(name) + 2 for name in names)
        + 12 * len(node.attributes)
        + sum(len(str(value.name)) + 10 for value in constants)
    )

"""Nodes that compute the same from the same, and weights that are equal."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable

import onnx_ir as ir

from .values import STANDARD_DOMAINS
from .workspace import SMALL, Workspace

#: operators whose result is not a function of their inputs
RANDOM = (
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
    "Dropout",
)
_PURE_DOMAINS = (*STANDARD_DOMAINS, "ai.onnx.ml")


def merge_duplicate_nodes(space: Workspace) -> None:
    """Let one node stand for all nodes of a graph with its operator, inputs and attributes.

    Random operators, nodes with subgraphs and operators outside the standard are left alone.
    """
    for graph in space.graphs:
        known: dict[Hashable, ir.Node] = {}
        for node in list(graph):
            key = _key(node)
            if key is None or not space.selects(node):
                continue
            first = known.setdefault(key, node)
            if first is not node:
                _merge(space, first, node)


def merge_duplicate_weights(space: Workspace, *, limit: int | None = SMALL) -> None:
    """Let one weight of a graph stand for all that have its dtype, shape and bytes.

    Parameters
    ----------
    limit
        Elements above which weights are not compared; None compares all, one at a time.
    """
    for graph in space.graphs:
        groups: dict[Hashable, list[ir.Value]] = defaultdict(list)
        for value in graph.initializers.values():
            tensor = value.const_value
            if tensor is None or value.is_graph_input() or value.is_graph_output() or isinstance(tensor, ir.LazyTensor):
                continue
            if limit is None or tensor.size <= limit:
                groups[(tensor.dtype, tuple(tensor.shape))].append(value)
        for values in groups.values():
            if len(values) > 1:
                _merge_equal(space, values)


def _merge_equal(space: Workspace, values: list[ir.Value]) -> None:
    known: dict[bytes, ir.Value] = {}
    for value in values:
        space.reporter.check()
        first = known.setdefault(_content(value), value)
        if first is value or not all(space.selects(node) for node, _ in value.uses()):
            continue
        for node, _ in value.uses():
            space.rewritten(node, f"reads {first.name}, which equals {value.name}")
        value.replace_all_uses_with(first)
        if value.graph is not None and value.name is not None:
            value.graph.initializers.pop(value.name)


def _content(value: ir.Value) -> bytes:
    tensor = value.const_value
    if tensor is None:
        return b""
    if tensor.dtype == ir.DataType.STRING:
        return repr(tensor.numpy().tolist()).encode()
    return hashlib.blake2b(tensor.tobytes()).digest()


def _merge(space: Workspace, first: ir.Node, node: ir.Node) -> None:
    pairs = list(zip(node.outputs, first.outputs, strict=True))
    if sum(old.is_graph_output() for old, _ in pairs) > 1 or any(
        old.is_graph_output() and (new.is_graph_output() or not new.name) for old, new in pairs
    ):
        return
    if all(space.alias(old, new) for old, new in sorted(pairs, key=lambda pair: not pair[0].is_graph_output())):
        space.remove(node, f"computes what {first.name} computes")


def _key(node: ir.Node) -> Hashable | None:
    if node.domain not in _PURE_DOMAINS or node.op_type in RANDOM:
        return None
    attributes = []
    for name, attribute in sorted(node.attributes.items()):
        content = _attribute(attribute)
        if content is None:
            return None
        attributes.append((name, attribute.type, content))
    outputs = tuple(bool(value.name) for value in node.outputs)
    return (node.op_identifier(), tuple(id(value) for value in node.inputs), tuple(attributes), outputs)


def _attribute(attribute: ir.Attr) -> Hashable | None:
    """Give the content of an attribute as something that can be compared; None where that is not possible."""
    kinds = ir.AttributeType
    if attribute.is_ref():
        return None
    if attribute.type in (kinds.INTS, kinds.FLOATS, kinds.STRINGS):
        return tuple(attribute.value)
    if attribute.type in (kinds.INT, kinds.FLOAT, kinds.STRING):
        return (attribute.value,)
    if attribute.type == kinds.TENSOR:
        tensor = attribute.as_tensor()
        if tensor.size <= SMALL and tensor.dtype != ir.DataType.STRING:
            return (tensor.dtype, tuple(tensor.shape), tensor.tobytes())
    return None

"""Provenance: which nodes of the source each node of a result came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def node_names(graph: onnx.GraphProto) -> list[str]:
    """Name every node of a graph: its own name, else ``op_type`` and its first output; unique."""
    seen: set[str] = set()
    names = []
    for index, node in enumerate(graph.node):
        name = node.name or f"{node.op_type}:{next((out for out in node.output if out), index)}"
        while name in seen:
            name += "'"
        seen.add(name)
        names.append(name)
    return names


def trace(
    source: onnx.GraphProto, result: onnx.GraphProto, known: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, tuple[str, ...]]:
    """Find, for each node of `result`, the nodes of `source` that compute the same thing.

    A node whose output tensor also exists in the source stands for that tensor's maker and for
    everything between it and the tensors that the result still has: so a fused node gets all that
    it replaced. A node with new tensor names only (an inserted quantize, say) gets what its inputs
    lead to, else what its outputs feed.

    Parameters
    ----------
    known
        What the pass itself knows; taken as it is.

    Returns
    -------
    dict
        Name of each node of the result to names of nodes of the source (empty: it has no origin).
    """
    source_names = node_names(source)
    makers = {out: i for i, node in enumerate(source.node) for out in node.output if out}
    kept = {out for node in result.node for out in node.output if out}
    kept.update(value.name for value in result.input)
    names = node_names(result)
    found: dict[str, tuple[str, ...]] = {}
    by_tensor: dict[str, tuple[str, ...]] = {}
    for name, node in zip(names, result.node, strict=True):
        tensors = [out for out in node.output if out in makers]
        origin = _between(source, makers, tensors, kept)
        sources = tuple(source_names[i] for i in sorted(origin))
        if not sources:
            sources = next((by_tensor[item] for item in node.input if by_tensor.get(item)), ())
        if known and name in known:
            sources = known[name]
        found[name] = sources
        by_tensor.update((out, sources) for out in node.output if out)
    _from_users(result, names, found)
    return found


def compose(first: Mapping[str, tuple[str, ...]], second: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Chain two provenances: `second` leads to nodes that `first` leads further back."""
    return {
        node: tuple(dict.fromkeys(origin for middle in middles for origin in first.get(middle, ())))
        for node, middles in second.items()
    }


def identity(graph: onnx.GraphProto) -> dict[str, tuple[str, ...]]:
    """Give the provenance of a source: each node comes from itself."""
    return {name: (name,) for name in node_names(graph)}


def _between(source: onnx.GraphProto, makers: Mapping[str, int], tensors: list[str], kept: set[str]) -> set[int]:
    """Collect the source's nodes from `tensors` back to tensors that the result still has."""
    origin: set[int] = set()
    stack = [makers[tensor] for tensor in tensors]
    while stack:
        index = stack.pop()
        if index in origin:
            continue
        origin.add(index)
        stack.extend(makers[name] for name in source.node[index].input if name in makers and name not in kept)
    return origin


def _from_users(result: onnx.GraphProto, names: list[str], found: dict[str, tuple[str, ...]]) -> None:
    """Give nodes without an origin that of the node they feed, such as a quantize before a convolution."""
    user: dict[str, str] = {}
    for name, node in zip(names, result.node, strict=True):
        for item in node.input:
            user.setdefault(item, name)
    for name, node in reversed(list(zip(names, result.node, strict=True))):
        if not found[name]:
            found[name] = next((found[user[out]] for out in node.output if found.get(user.get(out, ""))), ())

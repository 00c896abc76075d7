"""Which nodes of one model stand for which of another, for models whose history is not known.

A finer answer than `provenance.trace` where a pass put several new nodes in the place of one: those that
have no tensor in common with the source are given to the node that they work for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from studio.core.attribution import attribute
from studio.core.provenance import node_names

if TYPE_CHECKING:
    import onnx

#: what quantizers append to the name of a node or of a tensor
_APPENDED = re.compile(r"(_quant(ized)?|_QuantizeLinear|_DequantizeLinear|_Q4|_Q8|_matmul|_MatMul|_token_\d+)$")


def lineage(source: onnx.GraphProto, result: onnx.GraphProto) -> dict[str, tuple[str, ...]]:
    """Give for each node of `result` the nodes of `source` that it stands for.

    Returns
    -------
    dict
        Name of each node of the result to names of the source's; empty where they have nothing in common.
    """
    names = node_names(source)
    makers = {out: name for node, name in zip(source.node, names, strict=True) for out in node.output if out}
    operators = dict(zip(names, (node.op_type for node in source.node), strict=True))
    order = {name: place for place, name in enumerate(names)}
    claims: dict[str, int] = {}
    inserted: set[str] = set()
    #: tensor to the node of the result that computed its values, conversions looked through
    behind: dict[str, str] = {}
    for node, name in zip(result.node, node_names(result), strict=True):
        found = _claim(node, name, makers, operators)
        maker = name
        if _converts(node, operators.get(found, "")):
            inserted.add(name)
            maker = behind.get(node.input[0], "") if node.input else ""
        if found and maker:
            claims.setdefault(maker, order[found])
        behind.update((out, maker) for out in node.output if out and maker)
    owners = attribute(result, claims)
    kept = {names[owner] for owner in claims.values()}
    before = _absorbed(source, kept, order)
    return {
        name: () if name in inserted or name not in owners else before.get(names[owners[name]], (names[owners[name]],))
        for name in node_names(result)
    }


def _claim(node: onnx.NodeProto, name: str, makers: dict[str, str], operators: dict[str, str]) -> str:
    """Name the node of the source whose tensor a node makes, or whose name it bears."""
    for out in node.output:
        if out in makers:
            return makers[out]
    for known in (name, _APPENDED.sub("", name)):
        if known in operators:
            return known
    return ""


def _converts(node: onnx.NodeProto, stands_for: str) -> bool:
    """Say whether a node converts values where the source has no such node."""
    kinds = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast")
    return node.op_type in kinds and node.op_type != stands_for


def _absorbed(source: onnx.GraphProto, kept: set[str], order: dict[str, int]) -> dict[str, tuple[str, ...]]:
    """Give the nodes of the source to those that the result still speaks of."""
    owners = attribute(source, {name: order[name] for name in kept})
    names = list(order)
    found: dict[str, list[str]] = {}
    for name, owner in owners.items():
        found.setdefault(names[owner], []).append(name)
    return {name: tuple(members) for name, members in found.items()}

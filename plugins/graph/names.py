"""Names for nodes: stable and unique, also where a model has none or repeats them."""

from __future__ import annotations

import onnx_ir as ir

#: key in `ir.Node.meta` (never written to the file): the name that the node has in the source
SOURCE_NAME = "burnish.source_name"


def all_graphs(model: ir.Model) -> list[ir.Graph]:
    """List the main graph and every subgraph of If, Loop and Scan; bodies of functions are not among them."""
    graphs = [model.graph]
    for graph in graphs:
        graphs.extend(inner for node in graph if node.attributes for inner in subgraphs(node))
    return graphs


def subgraphs(node: ir.Node) -> list[ir.Graph]:
    """List the graphs in a node's own attributes."""
    found: list[ir.Graph] = []
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH and not attribute.is_ref():
            found.append(attribute.as_graph())
        elif attribute.type == ir.AttributeType.GRAPHS and not attribute.is_ref():
            found.extend(attribute.as_graphs())
    return found


def all_nodes(model: ir.Model) -> list[ir.Node]:
    """List the nodes of `all_graphs`; a graph's nodes stand in its own order."""
    return [node for graph in all_graphs(model) for node in graph]


def name_nodes(model: ir.Model) -> None:
    """Give every node a unique name in place; the first node that has a name keeps it.

    A node without a name is called after its operator and first output, which other passes and runs
    find again: ``"Relu_hidden"``. A repeated name gets a number. The name in the source is kept in
    ``node.meta[SOURCE_NAME]``.
    """
    nodes = all_nodes(model)
    taken = {node.name for node in nodes if node.name}
    seen: set[str] = set()
    for node in nodes:
        node.meta[SOURCE_NAME] = node.name or ""
        if not node.name:
            node.name = unique(_from_output(node), taken)
        elif node.name in seen:
            node.name = unique(node.name, taken)
        seen.add(node.name)
        taken.add(node.name)


def unique(name: str, taken: set[str]) -> str:
    """Give the name, numbered from 2 where it is taken."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def _from_output(node: ir.Node) -> str:
    output = next((value.name for value in node.outputs if value.name), "")
    return f"{node.op_type}_{output}" if output else node.op_type

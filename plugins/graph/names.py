"""Names for nodes: stable and unique, also where a model has none or repeats them."""

from __future__ import annotations

import onnx_ir as ir


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

    The names are those of `studio.api.node_names`, which the rest of the application shows and which a
    scope refers to; nodes of subgraphs are named after those of the main graph, in the same way.
    """
    seen: set[str] = set()
    for graph in all_graphs(model):
        for index, node in enumerate(graph):
            output = next((value.name for value in node.outputs if value.name), index)
            name = node.name or f"{node.op_type}:{output}"
            while name in seen:
                name += "'"
            seen.add(name)
            node.name = name


def unique(name: str, taken: set[str]) -> str:
    """Give the name, numbered from 2 where it is taken."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate

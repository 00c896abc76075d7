"""Nodes and functions that no output needs."""

from __future__ import annotations

import onnx_ir as ir

from .workspace import Workspace


def remove_dead_nodes(space: Workspace) -> None:
    """Take out nodes in the scope whose results nothing reads, last ones first."""
    for graph in reversed(space.graphs):
        for node in reversed(list(graph)):
            used = any(value.uses() or value.is_graph_output() for value in node.outputs)
            if not used and node.graph is not None and space.selects(node):
                space.remove(node, "nothing reads its results")


def remove_dead_functions(model: ir.Model) -> bool:
    """Take out functions that no node calls, and operator sets that no node needs; say whether there were any."""
    from onnx_ir.passes import common

    functions = common.RemoveUnusedFunctionsPass()(model)  # type: ignore[no-untyped-call]
    opsets = common.RemoveUnusedOpsetsPass()(model)
    return functions.modified or opsets.modified

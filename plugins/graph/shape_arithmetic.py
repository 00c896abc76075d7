"""The nodes that compute with shapes."""

from __future__ import annotations

import onnx_ir as ir

from .values import is_op
from .workspace import Workspace


def shape_nodes(space: Workspace) -> set[ir.Node]:
    """Give Shape and Size, and every node that something from one of these reaches."""
    nodes = space.nodes()
    stack = [node for node in nodes if is_op(node, "Shape", "Size")]
    found = set(stack)
    while stack:
        for value in stack.pop().outputs:
            fresh = [use.node for use in value.uses() if use.node not in found]
            found.update(fresh)
            stack.extend(fresh)
    return found

"""If whose condition is known: the branch that is taken moves into the graph around it."""

from __future__ import annotations

import onnx_ir as ir

from .names import all_nodes, unique
from .values import graph_of, is_op
from .workspace import Workspace


def inline_known_branches(space: Workspace) -> None:
    """Replace each If in the scope whose condition is a constant by its branch."""
    for node in space.nodes():
        if is_op(node, "If") and node.graph is not None and space.selects(node):
            condition = space.scalar(node.inputs[0])
            attribute = node.attributes.get("then_branch" if condition else "else_branch")
            if condition is not None and attribute is not None and not attribute.is_ref():
                _inline(space, node, attribute.as_graph())


def _inline(space: Workspace, node: ir.Node, branch: ir.Graph) -> None:
    outer, results = graph_of(node), list(branch.outputs)
    branch.outputs.clear()
    _move_weights(space, branch, outer)
    inner = list(branch)
    branch.remove(inner)
    for made in inner:
        for value in made.outputs:
            if value.name:
                value.name = space.fresh(value.name)
    outer.insert_before(node, inner)
    for old, new in zip(node.outputs, results, strict=True):
        if not space.alias(old, new):
            _copy(space, node, old, new)
    space.discoveries += 1
    space.remove(node, f"its condition is known; {len(inner)} nodes of the branch stay")


def _move_weights(space: Workspace, branch: ir.Graph, outer: ir.Graph) -> None:
    for name, value in list(branch.initializers.items()):
        branch.initializers.pop(name)
        value.name = space.fresh(name)
        outer.register_initializer(value)


def _copy(space: Workspace, node: ir.Node, old: ir.Value, new: ir.Value) -> None:
    """Give an output of the graph its own Identity where the branch passes on a weight or an outer value."""
    taken = {str(known.name) for known in all_nodes(space.model)}
    identity = ir.node("Identity", [new], name=unique(f"{node.name}_{old.name}", taken))
    value = identity.outputs[0]
    value.name, value.type, value.shape = old.name, old.type, old.shape
    graph_of(node).insert_before(node, identity)
    old.replace_all_uses_with(value, replace_graph_outputs=True)

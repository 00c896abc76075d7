"""Cutting a graph at tensors."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from studio.api import PassError, nearest

from .dead_code import remove_dead_functions
from .infer import infer_shapes
from .names import subgraphs
from .workspace import Workspace

DETAIL = "outside the part"


def cut(space: Workspace, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Cut the main graph so that it begins at `inputs` and ends at `outputs`; empty ones stay as they are.

    Raises
    ------
    PassError
        For a tensor that is not there, that cannot be an input or output, or that no output depends on.
    """
    graph = space.model.graph
    tensors = _tensors(graph)
    ends = [_find(space, tensors, name) for name in dict.fromkeys(outputs)] or list(graph.outputs)
    starts = [_find(space, tensors, name) for name in dict.fromkeys(inputs)]
    for value in starts:
        _check_start(value, ends)
    if outputs:
        for value in ends:
            _check_end(value)
    if any(value.type is None or value.shape is None for value in (*starts, *ends)):
        infer_shapes(space.model)
    kept, reached = _between(starts, ends)
    for value in starts:
        if value not in reached:
            raise PassError(f"No output depends on the tensor {value.name!r}.", "Leave it out, or name other outputs.")
        if value.type is None:
            raise PassError(f"The type of the tensor {value.name!r} is not known.", "Begin at another tensor.")
    if len(kept) == len(graph) and set(graph.outputs) == set(ends) and not any(value.producer() for value in starts):
        return
    _take_out(space, starts, ends, kept, reached)


def _tensors(graph: ir.Graph) -> dict[str, ir.Value]:
    made = [value for node in graph for value in node.outputs]
    return {str(value.name): value for value in (*graph.inputs, *graph.initializers.values(), *made) if value.name}


def _find(space: Workspace, tensors: dict[str, ir.Value], name: str) -> ir.Value:
    found = tensors.get(name)
    if found is not None:
        return found
    for graph in space.graphs[1:]:
        if name in _tensors(graph):
            raise PassError(
                f"The tensor {name!r} lies inside the subgraph {graph.name!r}, where no part can begin or end.",
                "Name a tensor of the main graph.",
            )
    raise PassError(f"The model has no tensor {name!r}.", nearest(name, tensors))


def _check_start(value: ir.Value, ends: Sequence[ir.Value]) -> None:
    if value.is_initializer() and not value.is_graph_input():
        raise PassError(f"{value.name!r} is a weight, which stays in the part.", "Leave it out of the inputs.")
    if value in ends:
        raise PassError(f"{value.name!r} would be an input and an output at once.", "Name it as one of the two.")


def _check_end(value: ir.Value) -> None:
    if value.producer() is None:
        raise PassError(f"{value.name!r} is not computed by the model.", "Name a tensor that a node makes.")


def _between(starts: Sequence[ir.Value], ends: Sequence[ir.Value]) -> tuple[set[ir.Node], set[ir.Value]]:
    """Walk back from the ends to the starts; give the nodes on the way, and every value that was reached."""
    nodes: set[ir.Node] = set()
    reached: set[ir.Value] = set()
    stack = list(ends)
    while stack:
        value = stack.pop()
        if value in reached:
            continue
        reached.add(value)
        node = value.producer()
        if value not in starts and node is not None and node not in nodes:
            nodes.add(node)
            stack.extend(read_values(node))
    return nodes, reached


def read_values(node: ir.Node) -> list[ir.Value]:
    """List the values of its own graph or an outer one that a node and its subgraphs read."""
    found = [value for value in node.inputs if value is not None]
    for graph in subgraphs(node):
        inner = [value for child in graph for value in read_values(child)] + list(graph.outputs)
        found.extend(value for value in inner if _graph_of(value) is not graph)
    return found


def _graph_of(value: ir.Value) -> object:
    node = value.producer()
    return node.graph if node is not None else value.graph


def _take_out(
    space: Workspace,
    starts: Sequence[ir.Value],
    ends: Sequence[ir.Value],
    kept: set[ir.Node],
    reached: set[ir.Value],
) -> None:
    graph = space.model.graph
    own = [value for value in graph.inputs if value in reached]
    extra = [str(value.name) for value in own if value not in starts and not value.is_initializer()]
    if starts and extra:
        space.warnings.append(f"The part also takes {', '.join(extra)}, on which its outputs depend.")
    graph.outputs.clear()
    graph.outputs.extend(ends)
    fresh = [_begin(space, value) for value in starts if value.producer() is not None]
    listed = [value for value in starts if value.producer() is None]
    rest = [value for value in own if value not in listed]
    graph.inputs.clear()
    graph.inputs.extend([*listed, *fresh, *rest] if not starts else _ordered(starts, fresh, rest))
    for node in reversed(list(graph)):
        if node not in kept and node.graph is not None:
            space.remove(node, DETAIL)
    space.drop_unread_weights(idle=True)
    space.edits += 1
    remove_dead_functions(space.model)


def _ordered(starts: Sequence[ir.Value], fresh: Sequence[ir.Value], rest: Sequence[ir.Value]) -> list[ir.Value]:
    """Put the inputs in the order in which they were named, further ones behind."""
    made = iter(fresh)
    return [*(next(made) if value.producer() is not None else value for value in starts), *rest]


def _begin(space: Workspace, old: ir.Value) -> ir.Value:
    """Make an input in the place of a tensor that a node makes; the node's own output gets another name."""
    new = ir.Value(name=old.name, type=old.type, shape=old.shape)
    old.replace_all_uses_with(new)
    old.name = space.fresh(f"{old.name}_unused")
    return new

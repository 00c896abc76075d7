"""Moving Transposes through nodes that do not mind the order of axes, until they meet and cancel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from .chains import merge_transposes
from .indifferent import constants_of, data_inputs, is_indifferent, reorder
from .values import graph_of, integers, is_op, rank_of
from .workspace import Workspace

#: rounds until nothing moves any more
ROUNDS = 8


@dataclass
class _Region:
    """Nodes that would work on tensors before a Transpose of the order `perm` instead of after it."""

    perm: list[int]
    nodes: dict[ir.Node, None] = field(default_factory=dict)

    @property
    def back(self) -> list[int]:
        return [int(axis) for axis in np.argsort(self.perm)]

    def inner(self) -> list[ir.Value]:
        """List the values that the nodes make."""
        return [value for node in self.nodes for value in node.outputs]

    def entering(self) -> dict[ir.Value, None]:
        """List the values that the nodes take from outside, constants not counted."""
        taken = (node.inputs[index] for node in self.nodes for index in data_inputs(node))
        return {value: None for value in taken if value is not None and value.producer() not in self.nodes}


def count_transposes(space: Workspace) -> int:
    """Count the Transposes of all graphs."""
    return sum(is_op(node, "Transpose") for node in space.nodes())


def cancel_transposes(space: Workspace) -> None:
    """Move Transposes of the scope as long as there are fewer of them afterwards."""
    for number in range(ROUNDS):
        before = space.edits
        space.reporter.progress(number, ROUNDS + 1, "moving Transposes")
        merge_transposes(space)
        hopeless: dict[tuple[int, ...], set[ir.Node]] = {}
        order = {node: place for place, node in enumerate(space.nodes())}
        for node in list(order):
            space.reporter.check()
            perm = integers(node, "perm") if is_op(node, "Transpose") and node.graph is not None else None
            if perm is None or not space.selects(node):
                continue
            tried = hopeless.setdefault(tuple(perm), set())
            any(_flip(space, region) for region in _regions(space, node, perm, tried, order))
        if space.edits == before:
            return


def _regions(
    space: Workspace, transpose: ir.Node, perm: list[int], tried: set[ir.Node], order: Mapping[ir.Node, int]
) -> Iterable[_Region]:
    """Give regions behind a Transpose to try: all that hangs together, then what only such Transposes lead into."""
    if any(use.node in tried for use in transpose.outputs[0].uses()):
        return
    whole = _grown(space, transpose, perm, order)
    tried.update(whole.nodes)
    if whole.nodes:
        yield whole
        part = _Region(perm, dict.fromkeys(_below(whole, perm)))
        if part.nodes and len(part.nodes) < len(whole.nodes):
            yield part


def _grown(space: Workspace, transpose: ir.Node, perm: list[int], order: Mapping[ir.Node, int]) -> _Region:
    """Collect the indifferent nodes that hang together with what reads a Transpose, in the order of the graph."""
    region = _Region(perm)
    waiting = [use.node for use in transpose.outputs[0].uses()]
    while waiting:
        node = waiting.pop()
        if node in region.nodes or node.graph is not transpose.graph or not space.selects(node):
            continue
        if not is_indifferent(space, node, len(perm)):
            continue
        region.nodes[node] = None
        waiting += [use.node for value in node.outputs for use in value.uses()]
        sources = (node.inputs[index] for index in data_inputs(node))
        waiting += [made for value in sources if value is not None and (made := value.producer()) is not None]
    region.nodes = dict.fromkeys(sorted(region.nodes, key=order.__getitem__))
    return region


def _below(region: _Region, perm: list[int]) -> list[ir.Node]:
    """Keep the nodes all of whose tensors come from Transposes of this order, or from such nodes."""
    kept: dict[ir.Node, None] = {}
    for node in region.nodes:
        sources = [value.producer() for index in data_inputs(node) if (value := node.inputs[index]) is not None]
        if all(source in kept or (is_op(source, "Transpose") and _perm(source) == perm) for source in sources):
            kept[node] = None
    return list(kept)


def _perm(node: ir.Node | None) -> list[int] | None:
    return integers(node, "perm") if node is not None else None


def _flip(space: Workspace, region: _Region) -> bool:
    """Let a region work before its Transposes, if there are fewer of them then."""
    entering = region.entering()
    gone = [value for value in entering if _is_turned(space, value, region) and _only_in(value, region)]
    added = [value for value in entering if not _is_turned(space, value, region)]
    after: list[ir.Value] = []
    for value in region.inner():
        outside = [use.node for use in value.uses() if use.node not in region.nodes]
        undone = [node for node in outside if _undoes(space, node, region, value)]
        gone += [node.outputs[0] for node in undone]
        # another Transpose takes the order over, at no cost
        if value.is_graph_output() or any(not _is_transpose(space, node, value) for node in outside):
            after.append(value)
    if len(gone) <= len(added) + len(after):
        return False
    _carry_out(space, region, entering, after)
    return True


def _is_turned(space: Workspace, value: ir.Value, region: _Region) -> bool:
    node = value.producer()
    return is_op(node, "Transpose") and _perm(node) == region.perm and node is not None and space.selects(node)


def _only_in(value: ir.Value, region: _Region) -> bool:
    return not value.is_graph_output() and all(use.node in region.nodes for use in value.uses())


def _is_transpose(space: Workspace, node: ir.Node, value: ir.Value) -> bool:
    same = isinstance(node.graph, ir.Graph) and value.graph is node.graph
    return same and is_op(node, "Transpose") and _perm(node) is not None and space.selects(node)


def _undoes(space: Workspace, node: ir.Node, region: _Region, value: ir.Value) -> bool:
    return _is_transpose(space, node, value) and _perm(node) == region.back


def _carry_out(space: Workspace, region: _Region, entering: Iterable[ir.Value], after: Sequence[ir.Value]) -> None:
    earlier = {value: _untransposed(space, region, value) for value in entering}
    for node in region.nodes:
        for index in data_inputs(node):
            value = node.inputs[index]
            if value in earlier and value is not None:
                node.replace_input_with(index, earlier[value])
        for index in constants_of(node):
            reorder_constant(space, node, index, region)
        reorder(space, node, region.perm)
        space.rewritten(node, "works before the Transpose")
    for value in region.inner():
        _leave(space, region, value, keep=value in after)
    for value in entering:
        maker = value.producer()
        if is_op(maker, "Transpose") and maker is not None and not value.uses() and not value.is_graph_output():
            space.remove(maker, "cancelled by another one")


def _untransposed(space: Workspace, region: _Region, value: ir.Value) -> ir.Value:
    """Give a value that enters as it is before the Transpose."""
    if _is_turned(space, value, region):
        source = value.producer()
        if source is not None and source.inputs[0] is not None:
            return source.inputs[0]
    node = _transpose(space, value, region.back)
    first = next(node for node in region.nodes if any(node.inputs[index] is value for index in data_inputs(node)))
    graph_of(first).insert_before(first, node)
    return node.outputs[0]


def _leave(space: Workspace, region: _Region, value: ir.Value, *, keep: bool) -> None:
    """Turn a value that the region makes, and give those outside what they read before."""
    outside = [use for use in value.uses() if use.node not in region.nodes]
    old_name, old_shape, output = value.name, value.shape, value.is_graph_output()
    node = _transpose(space, value, region.perm) if keep else None
    if node is not None:
        made = node.outputs[0]
        made.shape, made.type = old_shape, value.type
        graph = graph_of(next(iter(region.nodes)))
        if output:
            value.name = space.fresh(f"{old_name}_before")
            made.name = old_name
            for index, listed in enumerate(graph.outputs):
                if listed is value:
                    graph.outputs[index] = made
        maker = value.producer()
        if maker is not None:
            graph.insert_after(maker, node)
    for use in outside:
        if _is_transpose(space, use.node, value):
            perm = [region.perm[axis] for axis in _perm(use.node) or ()]
            if perm == sorted(perm) and space.alias(use.node.outputs[0], value):
                space.remove(use.node, "cancelled by another one")
            else:
                use.node.attributes.add(ir.AttrInt64s("perm", perm))
                space.rewritten(use.node, "takes another order over")
        elif node is not None:
            use.node.replace_input_with(use.idx, node.outputs[0])
    if not output and value.is_graph_output():
        return  # it took the place of an output, with its name and shape
    if not output:
        value.name = space.fresh(f"{value.name}_before")
    if old_shape is not None:
        value.shape = ir.Shape([old_shape[axis] for axis in region.back])


def reorder_constant(space: Workspace, node: ir.Node, index: int, region: _Region) -> None:
    """Turn a constant that stands beside a turned tensor, where it has more than one number."""
    from .values import lazy, sizes

    tensor = space.tensor(node.inputs[index])
    if tensor is None or tensor.size == 1:
        return
    rank = len(region.perm)
    full = (1,) * (rank - len(tensor.shape)) + sizes(tensor)
    shape = tuple(full[axis] for axis in region.back)
    content = tensor
    turned = lazy(content, lambda: np.ascontiguousarray(content.numpy().reshape(full).transpose(region.back)), shape)
    space.rewrite_weight(node, index, turned)


def _transpose(space: Workspace, value: ir.Value, perm: list[int]) -> ir.Node:
    name = space.fresh(f"{value.name}_turned")
    node = ir.node("Transpose", [value], {"perm": perm}, name=name)
    made = node.outputs[0]
    made.name, made.type = name, value.type
    if value.shape is not None and rank_of(value) == len(perm):
        made.shape = ir.Shape([value.shape[axis] for axis in perm])
    space.rewritten(node, "moved here")
    return node

"""Residual blocks: an Add of a branch and of a skip that both come from the same tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from studio.api import Scope, named_nodes

DOMAINS = ("", "ai.onnx")
#: nodes that may lie between a skip and its branch: a normalization in single operators has so many
NEAR = 6
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class Block:
    """A branch that may go.

    Attributes
    ----------
    name
        The Add's, as `studio.api.node_names` has it.
    add
        The node where branch and skip meet.
    skip
        Which input of it is the skip.
    branch
        The nodes that nothing else needs; `members` has their operators by name, in order.
    weights
        Elements of the constants that only the branch uses.
    axis
        The axis of channels of the sum: 1 after convolutions, else -1.
    """

    name: str
    add: ir.Node
    skip: int
    branch: frozenset[ir.Node]
    members: dict[str, str]
    weights: int
    axis: int


def find_blocks(model: ir.Model, scope: Scope) -> tuple[list[Block], tuple[str, ...]]:
    """List the residual blocks of the main graph, in order, and warnings about sums that are none.

    The skip is the tensor that the branch starts from, or a projection of it: fewer layers with weights than
    the branch has. The sum must have the shape of the
    skip, as far as both are known.
    """
    blocks, other = [], []
    names = {node: name for name, node in named_nodes(model) if node.graph is model.graph}
    for node, name in names.items():
        if node.op_type != "Add" or node.domain not in DOMAINS or not scope.selects(name, node.op_type):
            continue
        if len(node.inputs) != 2 or any(_constant(value) for value in node.inputs):
            continue
        found = _block(node, name, names)
        if found is None:
            other.append(name)
        else:
            blocks.append(found)
    warnings = (f"Not a residual sum of equal shapes: {', '.join(other)}.",) if other else ()
    return blocks, warnings


def _block(node: ir.Node, name: str, names: dict[ir.Node, str]) -> Block | None:
    sides = [_exclusive(node, side) for side in range(2)]
    heavy = [sum(_weighted(one) for one in side) for side in sides]
    branch = 0 if heavy[0] >= heavy[1] else 1
    skip, through = node.inputs[1 - branch], node.inputs[branch]
    if skip is None or through is None or not heavy[branch] or not _same_shape(skip, node.outputs[0]):
        return None
    identity = not heavy[1 - branch] and _leads(skip, sides[branch])
    projected = heavy[1 - branch] == 1 < heavy[branch] and bool(_sources(sides[0]) & _sources(sides[1]))
    if not identity and not projected:
        return None
    members = sides[branch]
    return Block(
        name=name,
        add=node,
        skip=1 - branch,
        branch=frozenset(members),
        members={label: one.op_type for one, label in names.items() if one in members},
        weights=sum(_sizes(members)),
        axis=1 if any(one.op_type in ("Conv", "ConvTranspose") for one in members) else -1,
    )


def _exclusive(end: ir.Node, side: int) -> set[ir.Node]:
    """Collect the nodes whose results reach nothing but one input of `end`."""
    found: set[ir.Node] = set()
    value = end.inputs[side]
    waiting = [value.producer()] if value is not None else []
    tried: set[ir.Node] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in found or node.graph is not end.graph:
            continue
        if not all(_stays_inside(output, found, (end, side)) for output in node.outputs):
            tried.add(node)  # until more of its users are found
            continue
        found.add(node)
        waiting += [*(item.producer() for item in node.inputs if item is not None), *tried]
        tried.clear()
    return found


def _stays_inside(value: ir.Value, inside: set[ir.Node], end: tuple[ir.Node, int]) -> bool:
    if value.is_graph_output():
        return False
    return all(user in inside or (user, index) == end for user, index in value.uses())


def _sources(side: set[ir.Node]) -> set[ir.Value]:
    """Give the tensors that a side takes from outside, constants left out."""
    values = {value for node in side for value in node.inputs if value is not None and not _constant(value)}
    return {value for value in values if value.producer() not in side}


def _leads(skip: ir.Value, side: set[ir.Node]) -> bool:
    """Say whether the branch starts from the skip, perhaps a few nodes behind it that others use too."""
    level, seen = _sources(side), set[ir.Node]()
    for _ in range(NEAR + 1):
        if skip in level:
            return True
        nodes = {node for value in level if (node := value.producer()) is not None} - seen
        seen |= nodes
        level = {value for node in nodes for value in node.inputs if value is not None}
    return False


def _weighted(node: ir.Node) -> bool:
    return node.op_type in _WEIGHTED and any(_constant(value) for value in node.inputs)


def _constant(value: ir.Value | None) -> bool:
    """Say whether a value is known before running: an initializer, or made from such by Constant and Identity."""
    while value is not None:
        node = value.producer()
        if node is None:
            return value.const_value is not None
        if node.op_type == "Constant":
            return True
        if node.op_type not in ("Identity", "Cast", "DequantizeLinear", "Transpose", "Reshape"):
            return False
        value = node.inputs[0]
    return False


def _same_shape(*values: ir.Value) -> bool:
    shapes = [value.shape for value in values if value.shape is not None]
    return all(len(shape) == len(shapes[0]) for shape in shapes) and all(
        _alike(list(sizes)) for sizes in zip(*shapes, strict=True)
    )


def _alike(sizes: list[int | ir.SymbolicDim]) -> bool:
    known = {size for size in sizes if isinstance(size, int)}
    return len(known) <= 1


def _sizes(nodes: set[ir.Node]) -> Iterator[int]:
    seen: set[ir.Value] = set()
    for node in nodes:
        for value in node.inputs:
            if value is None or value in seen or value.const_value is None:
                continue
            seen.add(value)
            if {user for user, _ in value.uses()} <= nodes:
                yield value.const_value.size

"""Nodes that give back what they are given: Identity, Dropout in inference, x + 0, a Reshape to the same shape."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from .values import integer, integers, is_op, rank_of, static_shape
from .workspace import Workspace

#: ends of a Slice at or above this mean "to the end", as exporters write it
TO_THE_END = 2**31 - 1

Finder = Callable[[Workspace, ir.Node], bool]


def forwarded(space: Workspace, node: ir.Node) -> ir.Value | None:
    """Give the input that the first output of a node always equals, if there is one.

    Only exact cases count: a sum with 1e-12 is not a sum with 0. The rank, dtype and every dimension
    are unchanged.
    """
    source = node.inputs[0] if node.inputs else None
    if not is_op(node, node.op_type) or source is None or any(value.uses() for value in node.outputs[1:]):
        return None
    if node.op_type in _NEUTRAL:
        return _neutral_operand(space, node)
    finder = _FINDERS.get(node.op_type)
    return source if finder is not None and finder(space, node) else None


def _neutral_operand(space: Workspace, node: ir.Node) -> ir.Value | None:
    """Find x in x + 0, 0 + x, x - 0, x * 1, 1 * x and x / 1; the constant must not raise the rank."""
    neutral, commutes = _NEUTRAL[node.op_type]
    for kept, constant in ((0, 1), (1, 0)) if commutes else ((0, 1),):
        other, value = node.inputs[constant], node.inputs[kept]
        if other is None or value is None or space.scalar(other) != neutral:
            continue
        rank, tensor = rank_of(value), space.tensor(other)
        if tensor is not None and (len(tensor.shape) == 0 or (rank is not None and rank >= len(tensor.shape))):
            return value
    return None


def _always(_: Workspace, node: ir.Node) -> bool:
    return len(node.inputs) == 1


def _dropout(space: Workspace, node: ir.Node) -> bool:
    if space.opset < 12 or len(node.inputs) < 3 or node.inputs[2] is None:
        return space.opset >= 7
    return space.scalar(node.inputs[2]) == 0


def _same_cast(_: Workspace, node: ir.Node) -> bool:
    source = node.inputs[0]
    return source is not None and source.dtype is not None and source.dtype == integer(node, "to", -1)


def _same_cast_like(_: Workspace, node: ir.Node) -> bool:
    source, like = node.inputs[0], node.inputs[1]
    return source is not None and like is not None and source.dtype is not None and source.dtype == like.dtype


def _same_order(_: Workspace, node: ir.Node) -> bool:
    order = integers(node, "perm")
    if order is None:
        rank = rank_of(node.inputs[0])
        return rank is not None and rank <= 1
    return list(order) == list(range(len(order)))


def _same_reshape(space: Workspace, node: ir.Node) -> bool:
    before, after = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    if before is not None and before == after:
        return True
    asked = node.inputs[1].producer() if len(node.inputs) > 1 and node.inputs[1] is not None else None
    if is_op(asked, "Shape") and asked is not None and asked.inputs[0] is node.inputs[0] and not asked.attributes:
        return True
    target = space.array(node.inputs[1]) if len(node.inputs) > 1 else None
    source = node.inputs[0].shape if node.inputs[0] is not None else None
    if target is None or source is None or target.ndim != 1 or target.size != len(source):
        return False
    keeps_zero = integer(node, "allowzero", 0) == 0
    kept = [int(want) == have or (want == 0 and keeps_zero) for want, have in zip(target, source, strict=True)]
    rest = [int(want) for want, same in zip(target, kept, strict=True) if not same]
    return not rest or (rest == [-1] and 0 not in source)


def _same_flatten(_: Workspace, node: ir.Node) -> bool:
    return rank_of(node.inputs[0]) == 2 and integer(node, "axis", 1) in (1, -1)


def _same_expand(space: Workspace, node: ir.Node) -> bool:
    target = space.array(node.inputs[1])
    shape = node.inputs[0].shape if node.inputs[0] is not None else None
    if target is None or shape is None or target.size > len(shape):
        return False
    tail = list(shape)[len(shape) - target.size :]
    return all(want in (1, have) for want, have in zip(target.tolist(), tail, strict=True))


def _once(space: Workspace, node: ir.Node) -> bool:
    repeats = space.array(node.inputs[1])
    return repeats is not None and bool((repeats == 1).all())


def _no_padding(space: Workspace, node: ir.Node) -> bool:
    pads = space.array(node.inputs[1]) if len(node.inputs) > 1 else None
    return pads is not None and not pads.any()


def _whole_slice(space: Workspace, node: ir.Node) -> bool:
    if len(node.inputs) < 3:
        return False
    starts, ends = (space.array(value) for value in node.inputs[1:3])
    if starts is None or ends is None or starts.any() or not bool((ends >= TO_THE_END).all()):
        return False
    steps = node.inputs[4] if len(node.inputs) > 4 else None
    values = space.array(steps)
    return steps is None or (values is not None and bool((values == 1).all()))


_NEUTRAL: dict[str, tuple[float, bool]] = {
    "Add": (0.0, True),
    "Sub": (0.0, False),
    "Mul": (1.0, True),
    "Div": (1.0, False),
}
_FINDERS: dict[str, Finder] = {
    "Identity": _always,
    "Concat": _always,
    "Sum": _always,
    "Mean": _always,
    "Max": _always,
    "Min": _always,
    "Dropout": _dropout,
    "Cast": _same_cast,
    "CastLike": _same_cast_like,
    "Transpose": _same_order,
    "Reshape": _same_reshape,
    "Flatten": _same_flatten,
    "Expand": _same_expand,
    "Tile": _once,
    "Pad": _no_padding,
    "Slice": _whole_slice,
}


def remove_no_ops(space: Workspace) -> None:
    """Take out every node in the scope that gives back its input."""
    for node in space.nodes():
        value = forwarded(space, node)
        if value is not None and space.selects(node) and space.alias(node.outputs[0], value):
            space.remove(node, f"gives back {value.name}")

"""LayerNormalization written out."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from .patterns import made_by, number, replace
from .values import integer, integers, is_op, static_shape
from .workspace import Workspace

FIRST_OPSET = 17


@dataclass(frozen=True)
class _Match:
    source: ir.Value
    scale: ir.Value
    epsilon: float
    nodes: list[ir.Node]


def fuse_layer_norm(space: Workspace, node: ir.Node) -> bool:
    """Merge ``(x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias`` over the last axis.

    Ba, Kiros and Hinton 2016, "Layer Normalization"; the operator is there from opset 17.
    """
    if space.opset < FIRST_OPSET or not is_op(node, "Mul", "Add"):
        return False
    if is_op(node, "Add"):
        return _with_bias(space, node)
    match = _match(space, node)
    if match is None or not space.selects(*match.nodes) or _bias_follows(space, node, match):
        return False
    new = ir.node("LayerNormalization", [match.source, match.scale], {"axis": -1, "epsilon": match.epsilon})
    return replace(space, match.nodes, new, "stands for LayerNormalization written out")


def _with_bias(space: Workspace, node: ir.Node) -> bool:
    for scaled, other in ((0, 1), (1, 0)):
        multiply = made_by(node.inputs[scaled], node, "Mul")
        match = _match(space, multiply) if multiply is not None else None
        bias = node.inputs[other]
        if match is None or bias is None or not is_vector(bias, match.source) or not space.selects(*match.nodes, node):
            continue
        inputs = [match.source, match.scale, bias]
        new = ir.node("LayerNormalization", inputs, {"axis": -1, "epsilon": match.epsilon})
        return replace(space, [*match.nodes, node], new, "stands for LayerNormalization written out")
    return False


def _bias_follows(space: Workspace, node: ir.Node, match: _Match) -> bool:
    """Say whether an Add after it will take the whole pattern, so that the Mul waits for it."""
    uses = tuple(node.outputs[0].uses())
    if len(uses) != 1 or node.outputs[0].is_graph_output() or not is_op(uses[0].node, "Add"):
        return False
    add = uses[0].node
    other = add.inputs[1 - uses[0].idx]
    return add.graph is node.graph and other is not None and is_vector(other, match.source) and space.selects(add)


def _match(space: Workspace, node: ir.Node) -> _Match | None:
    for normal, other in ((0, 1), (1, 0)):
        divide = made_by(node.inputs[normal], node, "Div", "Mul")
        scale = node.inputs[other]
        if divide is None or scale is None:
            continue
        found = _normalized(space, divide)
        if found is not None and is_vector(scale, found[0]):
            return _Match(found[0], scale, found[1], [*found[2], divide, node])
    return None


@dataclass(frozen=True)
class Root:
    """``sqrt(mean(value^2) + epsilon)`` that a value is divided by; its nodes in order."""

    epsilon: float
    variance: ir.Node
    square: ir.Node
    nodes: list[ir.Node]


def inverse_root(space: Workspace, divide: ir.Node, value: ir.Value) -> Root | None:
    """Match a division by ``sqrt(mean(value^2) + epsilon)``, or a product with its reciprocal."""
    root, nodes = made_by(divide.inputs[1], divide, "Sqrt"), list[ir.Node]()
    if is_op(divide, "Mul"):
        inverse = made_by(divide.inputs[1], divide, "Reciprocal")
        root = made_by(inverse.inputs[0], inverse, "Sqrt") if inverse is not None else None
        nodes = [inverse] if inverse is not None else []
    added = made_by(root.inputs[0], root, "Add") if root is not None else None
    if root is None or added is None:
        return None
    for mean, constant in ((0, 1), (1, 0)):
        variance = made_by(added.inputs[mean], added, "ReduceMean")
        epsilon = number(space, added.inputs[constant], added.inputs[mean])
        square = made_by(variance.inputs[0], variance, "Pow", "Mul") if variance is not None else None
        if variance is not None and square is not None and epsilon is not None and _squares(space, square, value):
            return Root(epsilon, variance, square, [square, variance, added, root, *nodes])
    return None


def _normalized(space: Workspace, divide: ir.Node) -> tuple[ir.Value, float, list[ir.Node]] | None:
    """Match ``d / sqrt(mean(d * d) + epsilon)`` with ``d = x - mean(x)``."""
    deviation = divide.inputs[0]
    root = inverse_root(space, divide, deviation) if deviation is not None else None
    if root is None or deviation is None:
        return None
    centred = _centred(space, deviation, (root.square, divide))
    if centred is None or not over_last(space, root.variance, centred[0]):
        return None
    return centred[0], root.epsilon, [*centred[1], *root.nodes]


def _squares(space: Workspace, square: ir.Node, deviation: ir.Value) -> bool:
    if is_op(square, "Pow"):
        return square.inputs[0] is deviation and number(space, square.inputs[1], deviation) == 2
    return all(value is deviation for value in square.inputs)


def _centred(
    space: Workspace, deviation: ir.Value, readers: tuple[ir.Node, ir.Node]
) -> tuple[ir.Value, list[ir.Node]] | None:
    subtract = deviation.producer()
    if subtract is None or not is_op(subtract, "Sub") or deviation.is_graph_output():
        return None
    if subtract.graph is not readers[0].graph or any(use.node not in readers for use in deviation.uses()):
        return None
    source, mean = subtract.inputs[0], made_by(subtract.inputs[1], subtract, "ReduceMean")
    if source is None or mean is None or mean.inputs[0] is not source or not over_last(space, mean, source):
        return None
    return source, [mean, subtract]


def over_last(space: Workspace, node: ir.Node, source: ir.Value) -> bool:
    """Say whether a reduction goes over the last axis alone and keeps it."""
    axes = integers(node, "axes")
    if axes is None and len(node.inputs) > 1:
        array = space.array(node.inputs[1])
        axes = array.reshape(-1).tolist() if array is not None else None
    if axes is None or len(axes) != 1 or not integer(node, "keepdims", 1):
        return False
    rank = len(source.shape) if source.shape is not None else None
    return axes[0] == -1 or (rank is not None and axes[0] == rank - 1)


def is_vector(value: ir.Value, source: ir.Value) -> bool:
    """Say whether a value is one number for each place along the last axis of `source`."""
    shape = static_shape(value)
    size = source.shape[-1] if source.shape is not None and len(source.shape) else None
    floats = source.dtype is not None and source.dtype.name in ("FLOAT", "FLOAT16", "BFLOAT16")
    return floats and shape is not None and len(shape) == 1 and isinstance(size, int) and shape[0] == size

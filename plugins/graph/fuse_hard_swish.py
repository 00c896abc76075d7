"""HardSwish and HardSigmoid written out."""

from __future__ import annotations

import onnx_ir as ir

from .patterns import made_by, number, operand, replace, rounding
from .values import is_op
from .workspace import Workspace

FIRST_OPSET = 14
SLOPE, OFFSET = 1 / 6, 0.5


def fuse_hard_swish(space: Workspace, node: ir.Node) -> bool:
    """Merge ``x * clip(x + 3, 0, 6) / 6`` and ``x * hard_sigmoid(x)``; without ``x *``, make HardSigmoid.

    Howard et al. 2019, "Searching for MobileNetV3"; HardSwish is there from opset 14.
    """
    if is_op(node, "Mul") and space.opset >= FIRST_OPSET and _product(space, node):
        return True
    return is_op(node, "Div", "Mul") and (_divided_product(space, node) or _sigmoid(space, node))


def _product(space: Workspace, node: ir.Node) -> bool:
    """Match ``x * HardSigmoid(x)``, or the same with HardSigmoid written out."""
    for gate, other in ((0, 1), (1, 0)):
        source, value = node.inputs[other], node.inputs[gate]
        sigmoid = made_by(value, node, "HardSigmoid")
        if source is None:
            continue
        if sigmoid is not None and sigmoid.inputs[0] is source and _is_standard(sigmoid):
            return _swish(space, source, [sigmoid, node])
        divided = made_by(value, node, "Div", "Mul")
        found = _gate(space, divided) if divided is not None else None
        if divided is not None and found is not None and found[0] is source:
            return _swish(space, source, [*found[1], divided, node])
    return False


def _divided_product(space: Workspace, node: ir.Node) -> bool:
    """Match ``(x * clip(x + 3, 0, 6)) / 6``."""
    product = made_by(_sixth(space, node), node, "Mul") if space.opset >= FIRST_OPSET else None
    if product is None:
        return False
    for gate, other in ((0, 1), (1, 0)):
        clip = made_by(product.inputs[gate], product, "Clip")
        found = _clipped(space, clip) if clip is not None else None
        if found is not None and found[0] is product.inputs[other]:
            return _swish(space, found[0], [*found[1], product, node])
    return False


def _sigmoid(space: Workspace, node: ir.Node) -> bool:
    found = _gate(space, node)
    if found is None or not space.selects(*found[1], node):
        return False
    if space.opset >= FIRST_OPSET and any(_multiplies(use.node, found[0]) for use in node.outputs[0].uses()):
        return False
    new = ir.node("HardSigmoid", [found[0]], {"alpha": SLOPE, "beta": OFFSET})
    return replace(space, [*found[1], node], new, "stands for HardSigmoid written out")


def _multiplies(node: ir.Node, source: ir.Value) -> bool:
    """Say whether a node makes a HardSwish of it, which then takes the whole pattern."""
    return is_op(node, "Mul") and any(value is source for value in node.inputs)


def _swish(space: Workspace, source: ir.Value, nodes: list[ir.Node]) -> bool:
    if not space.selects(*nodes):
        return False
    return replace(space, nodes, ir.node("HardSwish", [source]), "stands for HardSwish written out")


def _gate(space: Workspace, node: ir.Node) -> tuple[ir.Value, list[ir.Node]] | None:
    """Match ``clip(x + 3, 0, 6) / 6`` with `node` as the division; give x and the nodes before it."""
    clip = made_by(_sixth(space, node), node, "Clip")
    return _clipped(space, clip) if clip is not None else None


def _sixth(space: Workspace, node: ir.Node) -> ir.Value | None:
    if is_op(node, "Div"):
        return node.inputs[0] if number(space, node.inputs[1], node.inputs[0]) == 6 else None
    return operand(space, node, SLOPE, rounding(node.outputs[0]))


def _clipped(space: Workspace, clip: ir.Node) -> tuple[ir.Value, list[ir.Node]] | None:
    if len(clip.inputs) < 3 or space.scalar(clip.inputs[1]) != 0 or space.scalar(clip.inputs[2]) != 6:
        return None
    added = made_by(clip.inputs[0], clip, "Add")
    source = operand(space, added, 3.0)
    return (source, [added, clip]) if added is not None and source is not None else None


def _is_standard(node: ir.Node) -> bool:
    slope, offset = node.attributes.get_float("alpha", 0.2), node.attributes.get_float("beta", 0.5)
    return abs(slope - SLOPE) < 1e-6 and offset == OFFSET

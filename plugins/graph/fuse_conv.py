"""Conv with what follows it as one operator of ONNX Runtime's own, which OpenVINO reads too."""

from __future__ import annotations

import math

import onnx_ir as ir

from .fuse_clip import bounds
from .patterns import made_by, replace
from .values import is_op, rank_of
from .workspace import MICROSOFT, Workspace

#: activations that the fused operator takes, with the attributes that become its numbers
ACTIVATIONS: dict[str, tuple[tuple[str, float], ...]] = {
    "Relu": (),
    "Sigmoid": (),
    "Tanh": (),
    "LeakyRelu": (("alpha", 0.01),),
    "HardSigmoid": (("alpha", 0.2), ("beta", 0.5)),
    "Clip": (),
}
#: dimensions of pictures: the engines have no such kernel for others
RANK = 4


def fuse_conv_activation(space: Workspace, node: ir.Node) -> bool:
    """Merge a Conv and the activation that alone reads it into a FusedConv."""
    conv = made_by(node.inputs[0], node, "Conv") if is_op(node, *ACTIVATIONS) else None
    if conv is None or not _suits(conv) or not space.selects(conv, node):
        return False
    new = _fused(space, conv, node, None)
    return new is not None and replace(space, [conv, node], new, f"stands for {conv.name} and {node.name}")


def fuse_conv_add(space: Workspace, node: ir.Node) -> bool:
    """Merge a Conv, the Add of a tensor of the same shape and the activation after it into a FusedConv."""
    add = made_by(node.inputs[0], node, "Add") if is_op(node, *ACTIVATIONS) else None
    if add is None or add.inputs[0] is add.inputs[1]:
        return False
    for product, other in ((1, 0), (0, 1)):
        conv, value = made_by(add.inputs[product], add, "Conv"), add.inputs[other]
        if conv is None or value is None or not _suits(conv) or not space.selects(conv, add, node):
            continue
        new = _fused(space, conv, node, value) if same_shape(value, conv.outputs[0]) else None
        if new is not None:
            return replace(space, [conv, add, node], new, f"stands for {conv.name}, {add.name} and {node.name}")
    return False


def same_shape(one: ir.Value, other: ir.Value) -> bool:
    """Say whether two tensors surely have the same shape, dynamic dimensions by their names."""
    first, second = one.shape, other.shape
    if first is None or second is None or len(first) != len(second):
        return False
    return all(
        mine == theirs and (isinstance(mine, int) or bool(mine.value))
        for mine, theirs in zip(first, second, strict=True)
    )


def _suits(conv: ir.Node) -> bool:
    return conv.outputs[0].dtype == ir.DataType.FLOAT and rank_of(conv.outputs[0]) == RANK


def _fused(space: Workspace, conv: ir.Node, activation: ir.Node, added: ir.Value | None) -> ir.Node | None:
    numbers = _numbers(space, activation)
    if numbers is None:
        return None
    attributes = [
        attribute for attribute in conv.attributes.values() if isinstance(attribute, ir.Attr) and not attribute.is_ref()
    ]
    attributes.append(ir.AttrString("activation", activation.op_type))
    if numbers:
        attributes.append(ir.AttrFloat32s("activation_params", numbers))
    inputs = list(conv.inputs)
    if added is not None:
        inputs = [*inputs, *[None] * (3 - len(inputs)), added]
    return ir.Node(MICROSOFT, "FusedConv", inputs, attributes)


def _numbers(space: Workspace, activation: ir.Node) -> list[float] | None:
    """Give the activation's numbers; None for a Clip whose bounds are not known."""
    if is_op(activation, "Clip"):
        found = bounds(space, activation)
        if found is None or any(math.isinf(bound) for bound in found):
            return None
        return list(found)
    return [activation.attributes.get_float(name, default) for name, default in ACTIVATIONS[activation.op_type]]

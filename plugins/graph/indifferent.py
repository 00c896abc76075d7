"""Nodes that compute the same whatever the order of their tensors' axes, but for an axis that they name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from .values import integer, integers, is_op, optional_integer, rank_of
from .workspace import Workspace

#: one tensor, and perhaps numbers beside it
UNARY = (
    "Abs", "Cast", "Ceil", "Celu", "Clip", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish",
    "Identity", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid",
    "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Swish", "Tanh", "ThresholdedRelu",
)  # fmt: skip
#: tensors that broadcast to each other
BROADCAST = (
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod",
    "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor",
)  # fmt: skip
REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
)  # fmt: skip
SOFTMAX = ("Softmax", "LogSoftmax")
#: from here on Softmax works along one axis
SOFTMAX_OPSET = 13


def is_indifferent(space: Workspace, node: ir.Node, rank: int) -> bool:
    """Say whether a node may be moved before a Transpose of tensors of this rank."""
    if not is_op(node, node.op_type) or len(node.outputs) != 1 or rank_of(node.outputs[0]) != rank:
        return False
    if is_op(node, *BROADCAST):
        return _broadcasts(space, node, rank)
    if any(rank_of(node.inputs[index]) != rank for index in data_inputs(node)):
        return False
    if is_op(node, *UNARY):
        return True
    if is_op(node, "QuantizeLinear", "DequantizeLinear"):
        scale = node.inputs[1]
        return scale is not None and scale.shape is not None and not len(scale.shape)
    if is_op(node, "Concat"):
        return optional_integer(node, "axis") is not None
    if is_op(node, *SOFTMAX):
        return space.opset >= SOFTMAX_OPSET
    return is_op(node, *REDUCTIONS) and bool(integer(node, "keepdims", 1)) and _axes(space, node) is not None


def _broadcasts(space: Workspace, node: ir.Node, rank: int) -> bool:
    known = [_fits(space, value, rank) for value in node.inputs]
    return all(known) and any(space.tensor(value) is None for value in node.inputs)


def _fits(space: Workspace, value: ir.Value | None, rank: int) -> bool:
    tensor = space.tensor(value)
    return len(tensor.shape) <= rank if tensor is not None else rank_of(value) == rank


def data_inputs(node: ir.Node) -> Sequence[int]:
    """Give the places of the tensors whose order matters, constants left out."""
    if is_op(node, *BROADCAST, "Concat"):
        return [index for index, value in enumerate(node.inputs) if value is not None and not _is_constant(value)]
    return (0,)


def constants_of(node: ir.Node) -> Sequence[int]:
    """Give the places of constants that are turned with the tensors."""
    if is_op(node, *BROADCAST, "Concat"):
        return [index for index, value in enumerate(node.inputs) if value is not None and _is_constant(value)]
    return ()


def _is_constant(value: ir.Value) -> bool:
    maker = value.producer()
    while is_op(maker, "Identity") and maker is not None and maker.inputs[0] is not None:
        value, maker = maker.inputs[0], maker.inputs[0].producer()
    return is_op(maker, "Constant") or (maker is None and value.const_value is not None and not value.is_graph_input())


def reorder(space: Workspace, node: ir.Node, perm: Sequence[int]) -> None:
    """Let a node name the axis that it meant, in the order before the Transpose."""
    if is_op(node, "Concat", *SOFTMAX):
        axis = integer(node, "axis", -1)
        node.attributes.add(ir.AttrInt64("axis", perm[axis]))
    elif is_op(node, *REDUCTIONS):
        axes = sorted(perm[axis] for axis in _axes(space, node) or ())
        if integers(node, "axes") is not None:
            node.attributes.add(ir.AttrInt64s("axes", axes))
        elif axes:
            space.rewrite_weight(node, 1, ir.tensor(np.asarray(axes, dtype=np.int64)))


def _axes(space: Workspace, node: ir.Node) -> list[int] | None:
    """Give the axes of a reduction; empty for all, None where they are not constant."""
    given = integers(node, "axes")
    if given is not None:
        return given
    if len(node.inputs) < 2 or node.inputs[1] is None:
        return [] if not integer(node, "noop_with_empty_axes", 0) else None
    array = space.array(node.inputs[1])
    return [int(axis) for axis in array.reshape(-1)] if array is not None and array.size else None

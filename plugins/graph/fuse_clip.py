"""Relu and Clip in a row are one Clip."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from .patterns import made_by, replace
from .values import graph_of, is_op
from .workspace import Workspace

Bounds = tuple[float, float]


def fuse_clips(space: Workspace, node: ir.Node) -> bool:
    """Merge a Relu or Clip with the one before it.

    ``min(max(min(max(x, a), b), c), d)`` is one Clip between the images of a and b: also where the
    two ranges do not meet.
    """
    before = made_by(node.inputs[0], node, "Relu", "Clip") if is_op(node, "Relu", "Clip") else None
    if before is None or space.opset < 11 or not space.selects(node, before):
        return False
    first, second = bounds(space, before), bounds(space, node)
    dtype = node.inputs[0].dtype if node.inputs[0] is not None else None
    if first is None or second is None or dtype is None or dtype.name not in ("FLOAT", "FLOAT16", "DOUBLE"):
        return False
    low, high = (min(max(bound, second[0]), second[1]) for bound in first)
    new = _relu_or_clip(space, before, low, high, dtype)
    return replace(space, [before, node], new, f"stands for {before.name} and {node.name}")


def _relu_or_clip(space: Workspace, before: ir.Node, low: float, high: float, dtype: ir.DataType) -> ir.Node:
    if (low, high) == (0.0, math.inf):
        return ir.node("Relu", [before.inputs[0]])
    inputs: list[ir.Value | None] = [before.inputs[0]]
    for name, bound in (("min", low), ("max", high)):
        if math.isinf(bound):
            inputs.append(None)
        else:
            tensor = ir.tensor(np.asarray(bound, dtype=dtype.numpy()))
            inputs.append(space.initializer(graph_of(before), f"{before.outputs[0].name}_{name}", tensor))
    return ir.node("Clip", inputs if inputs[-1] is not None else inputs[:-1])


def bounds(space: Workspace, node: ir.Node) -> Bounds | None:
    """Give the lowest and highest result; None where a bound is not constant, or they are the wrong way round."""
    if is_op(node, "Relu"):
        return (0.0, math.inf)
    found = []
    for index, missing in ((1, -math.inf), (2, math.inf)):
        value = node.inputs[index] if len(node.inputs) > index else None
        number = missing if value is None else space.scalar(value)
        if number is None or math.isnan(number):
            return None
        found.append(number)
    return (found[0], found[1]) if found[0] <= found[1] else None

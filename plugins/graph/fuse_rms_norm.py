"""RMSNormalization written out."""

from __future__ import annotations

import onnx_ir as ir

from .fuse_layer_norm import inverse_root, is_vector, over_last
from .patterns import made_by, replace
from .values import is_op
from .workspace import Workspace

FIRST_OPSET = 23


def fuse_rms_norm(space: Workspace, node: ir.Node) -> bool:
    """Merge ``x / sqrt(mean(x^2) + epsilon) * scale`` over the last axis.

    Zhang and Sennrich 2019, "Root Mean Square Layer Normalization"; the operator is there from opset 23.
    """
    if space.opset < FIRST_OPSET or not is_op(node, "Mul"):
        return False
    for normal, other in ((0, 1), (1, 0)):
        divide = made_by(node.inputs[normal], node, "Div", "Mul")
        scale = node.inputs[other]
        source = divide.inputs[0] if divide is not None else None
        if divide is None or scale is None or source is None or not is_vector(scale, source):
            continue
        if _is_centred(source):
            continue  # that makes a LayerNormalization
        found = inverse_root(space, divide, source)
        if found is None or not over_last(space, found.variance, source):
            continue
        if not space.selects(*found.nodes, divide, node):
            continue
        new = ir.node("RMSNormalization", [source, scale], {"axis": -1, "epsilon": found.epsilon})
        return replace(space, [*found.nodes, divide, node], new, "stands for RMSNormalization written out")
    return False


def _is_centred(value: ir.Value) -> bool:
    node = value.producer()
    mean = node.inputs[1] if node is not None and is_op(node, "Sub") else None
    return mean is not None and is_op(mean.producer(), "ReduceMean")

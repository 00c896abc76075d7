"""Constant scales and shifts after a layer belong into its weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from .patterns import single
from .producers import Layer, absorb_output, finite, layer_of
from .values import is_op
from .workspace import Workspace

#: elements above which a constant is no vector of channels
MOST_CHANNELS = 1 << 20


def fuse_affine(space: Workspace, node: ir.Node) -> bool:
    """Fold a Mul, Add, Sub or Div by a constant number, or one number a channel, into the layer before it."""
    if not is_op(node, "Mul", "Add", "Sub", "Div") or not space.selects(node):
        return False
    for data, constant in ((0, 1), (1, 0)) if is_op(node, "Mul", "Add") else ((0, 1),):
        source = node.inputs[data]
        producer = source.producer() if source is not None else None
        if source is None or producer is None or producer.graph is not node.graph or not single(source, node):
            continue
        if is_op(producer, "MatMul") and is_op(node, "Add", "Sub"):
            continue  # that makes a Gemm: a fusion of its own
        layer = layer_of(space, producer) if space.selects(producer) else ""
        if isinstance(layer, Layer) and _absorb(space, node, layer, node.inputs[constant]):
            return True
    return False


def _absorb(space: Workspace, node: ir.Node, layer: Layer, constant: ir.Value | None) -> bool:
    vector = _per_channel(space.array(constant, MOST_CHANNELS), layer)
    if vector is None:
        return False
    scale, shift = _scale_and_shift(node.op_type, vector)
    if not finite(layer, scale, shift) or not space.alias(node.outputs[0], layer.node.outputs[0], keep_name=True):
        return False
    absorb_output(space, layer, scale, shift, f"took over {node.name}")
    space.remove(node, f"folded into {layer.node.name}")
    return True


def _scale_and_shift(operator: str, vector: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    ones, zeros = np.ones_like(vector), np.zeros_like(vector)
    if operator == "Mul":
        return vector, zeros
    if operator == "Div":
        with np.errstate(all="ignore"):
            return 1 / vector, zeros
    return ones, vector if operator == "Add" else -vector


def _per_channel(array: NDArray[Any] | None, layer: Layer) -> NDArray[Any] | None:
    """Give a constant as one float64 for each output channel, where it broadcasts as such."""
    if array is None or array.ndim > layer.rank or array.dtype.kind == "O":
        return None
    numbers = array.astype(np.float64)
    if numbers.size == 1:
        return np.full(layer.outputs, numbers.reshape(())[()])
    shape = (1,) * (layer.rank - numbers.ndim) + numbers.shape
    wanted = (1, layer.outputs) + (1,) * (layer.rank - 2)
    return numbers.reshape(-1) if shape == wanted else None

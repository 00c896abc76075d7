"""How many of each node's weights are zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studio.core.artifact import Artifact
from studio.core.modelfile import read_model
from studio.core.weights import DOMAINS, content, named_nodes

if TYPE_CHECKING:
    import onnx_ir as ir

#: operators that pass a weight on as it is, or change its type or shape only
_CARRIERS = frozenset({"Identity", "Cast", "Transpose", "Reshape"})


def zero_shares(artifact: Artifact) -> dict[str, float]:
    """Give the share of zeros, 0 to 1, in the weights of each node that has some.

    Weights have two dimensions or more: biases do not count. They are followed through Identity, Cast, Transpose,
    Reshape and DequantizeLinear; what a quantized weight stands for is zero where it equals its zero point.
    One weight at a time is read.
    """
    known: dict[int, tuple[int, int] | None] = {}
    shares = {}
    for name, node in named_nodes(read_model(artifact)):
        if node.op_type in _CARRIERS or node.op_type == "DequantizeLinear":
            continue  # the weight counts where it is used
        counts = [found for value in node.inputs if (found := _count(value, known)) is not None]
        size = sum(whole for _, whole in counts)
        if size:
            shares[name] = sum(zeros for zeros, _ in counts) / size
    return shares


def _count(value: ir.Value | None, known: dict[int, tuple[int, int] | None]) -> tuple[int, int] | None:
    """Count the zeros and the elements of the weight that a value holds; None where it holds none."""
    if value is None:
        return None
    if id(value) not in known:
        known[id(value)] = None  # a graph has no cycles, but a broken one must not hang
        known[id(value)] = _counted(value, known)
    return known[id(value)]


def _counted(value: ir.Value, known: dict[int, tuple[int, int] | None]) -> tuple[int, int] | None:
    import numpy as np

    tensor = content(value)
    if tensor is not None:
        if len(tensor.shape) < 2 or tensor.dtype.name == "STRING":
            return None
        array = np.asarray(tensor.numpy())
        return int(array.size - np.count_nonzero(array)), int(array.size)
    node = value.producer()
    if node is None or node.domain not in DOMAINS or not node.inputs:
        return None
    if node.op_type in _CARRIERS:
        return _count(node.inputs[0], known)
    if node.op_type == "DequantizeLinear":
        return _dequantized(node)
    return None


def _dequantized(node: ir.Node) -> tuple[int, int] | None:
    """Count the elements of a quantized weight that equal their zero point."""
    import numpy as np

    tensor = content(node.inputs[0])
    if tensor is None or len(tensor.shape) < 2:
        return None
    array = np.asarray(tensor.numpy())
    held = content(node.inputs[2]) if len(node.inputs) > 2 else None
    point = np.asarray(held.numpy()) if held is not None else np.zeros((), array.dtype)
    if point.ndim == 1 and point.size > 1:
        attribute = node.attributes.get("axis")
        axis = attribute.as_int() if attribute is not None else 1
        shape = [1] * array.ndim
        shape[axis] = point.size
        point = point.reshape(shape)
    elif point.ndim > 1:
        blocks = [-(-size // count) for size, count in zip(array.shape, point.shape, strict=True)]
        for axis, count in enumerate(blocks):
            point = np.repeat(point, count, axis).take(range(array.shape[axis]), axis)
    return int((array == point).sum()), int(array.size)

"""Where a scale of an activation's channels can go: into the constants of what makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .graph import constant, float_constant, is_standard
from .selection import integer
from .weight_targets import Target

if TYPE_CHECKING:
    import onnx_ir as ir

#: normalizations whose scale, and whose shift if they have one, are their second and third input
_NORMS = frozenset({"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"})
#: operators that a positive factor passes through
_HOMOGENEOUS = frozenset({"Relu", "LeakyRelu", "Identity", "Dropout"})
#: how far to look
_STEPS = 8


@dataclass(frozen=True)
class Absorber:
    """Constants to divide by the scale.

    Attributes
    ----------
    vectors
        Inputs of nodes, as (node, index), that hold a number for each channel.
    producer
        A weight whose rows are divided too; None when a normalization or a product is the end of the chain.
    """

    vectors: tuple[tuple[ir.Node, int], ...]
    producer: Target | None


def find_absorber(value: ir.Value, width: int, targets: Mapping[ir.Node, Target]) -> Absorber | None:
    """Find what can absorb a scale of an activation's last axis.

    Parameters
    ----------
    value
        The activation; every reader must be a target's layer.
    width
        Length of its last axis.
    targets
        The layers whose weights are quantized, by node.

    Returns
    -------
    Absorber or None
        None where something else reads the activation, or nothing on the way has a constant for each channel.
    """
    readers = value.uses()
    if value.is_graph_output() or not all(user in targets and index == 0 for user, index in readers):
        return None
    vectors: list[tuple[ir.Node, int]] = []
    for _ in range(_STEPS):
        node = value.producer()
        if node is None or value is not node.outputs[0]:
            return None
        if node in targets:
            return _into_weight(node, targets[node], vectors, width)
        if node.op_type in _NORMS:
            return _into_norm(node, vectors, width)
        if not is_standard(node):
            return None
        index = _vector_input(node, width) if node.op_type in ("Mul", "Add") else None
        if index is not None:
            vectors.append((node, index))
            if node.op_type == "Mul":
                return Absorber(tuple(vectors), None)
        elif node.op_type not in _HOMOGENEOUS and not _scales_by_number(node):
            return None
        before = node.inputs[1 - (index or 0) if index is not None else _computed(node)]
        if before is None or len(before.uses()) != 1 or before.is_graph_output():
            return None
        value = before
    return None


def _into_weight(node: ir.Node, target: Target, vectors: list[tuple[ir.Node, int]], width: int) -> Absorber | None:
    if target.outputs != width or len(target.holder.uses()) != 1 or target.kind != "matmul":
        return None
    if node.op_type == "Gemm" and len(node.inputs) > 2 and node.inputs[2] is not None:
        if not _is_vector(node.inputs[2], width):
            return None
        vectors = [*vectors, (node, 2)]
    return Absorber(tuple(vectors), target)


def _into_norm(node: ir.Node, vectors: list[tuple[ir.Node, int]], width: int) -> Absorber | None:
    shape = node.inputs[0].shape if node.inputs[0] is not None else None
    axis = integer(node, "axis", -1)
    if axis != -1 and (shape is None or axis != len(shape) - 1):
        return None
    indices = [at for at in (1, 2) if at < len(node.inputs) and node.inputs[at] is not None]
    if not indices or not all(_is_vector(node.inputs[at], width) for at in indices):
        return None
    return Absorber((*vectors, *((node, at) for at in indices)), None)


def _vector_input(node: ir.Node, width: int) -> int | None:
    return next((at for at in (1, 0) if _is_vector(node.inputs[at], width)), None)


def _is_vector(value: ir.Value | None, width: int) -> bool:
    tensor = float_constant(value)
    if tensor is None or tensor.size != width:
        return False
    return int(str(tensor.shape[-1])) == width


def _scales_by_number(node: ir.Node) -> bool:
    """Say whether a node multiplies or divides by one constant number."""
    if node.op_type not in ("Mul", "Div"):
        return False
    numbers = [at for at in (0, 1) if constant(node.inputs[at]) is not None]
    tensor = float_constant(node.inputs[numbers[0]]) if len(numbers) == 1 else None
    return tensor is not None and tensor.size == 1 and (node.op_type == "Mul" or numbers == [1])


def _computed(node: ir.Node) -> int:
    """Give the input that is not a constant."""
    return 1 if constant(node.inputs[0]) is not None else 0

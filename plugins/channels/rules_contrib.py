"""Rules of the fused operators that ONNX Runtime brings along (domain com.microsoft)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .rules import Rule, broadcast, broadcast_sizes, give_up, pointwise
from .rules_linear import convolution, product_of
from .tracer import Tracer, given, number

if TYPE_CHECKING:
    import onnx_ir as ir

DOMAIN = "com.microsoft"


def fused_convolution(tracer: Tracer, node: ir.Node) -> None:
    """Follow a convolution with an activation, and perhaps a sum of the same shape before that."""
    convolution(tracer, node)
    other, output = given(node, 3), node.outputs[0]
    axes, added = tracer.of(output), tracer.of(other)
    if other is None:
        return
    if axes is None or added is None or len(axes) != len(added):
        give_up(tracer, node)
        return
    shapes = tracer.shape(output) or (), tracer.shape(other) or ()
    tracer.set(output, broadcast(tracer, node, [(axes, shapes[0]), (added, shapes[1])]), broadcast_sizes(*shapes))


def fused_matmul(tracer: Tracer, node: ir.Node) -> None:
    """Follow a product whose operands may be transposed."""
    if number(node, "transBatchA", 0) or number(node, "transBatchB", 0):
        give_up(tracer, node)
        return
    product_of(tracer, node, bool(number(node, "transA", 0)), bool(number(node, "transB", 0)))


def skip_normalization(tracer: Tracer, node: ir.Node) -> None:
    """Add up, and lock what is normalized over; the last result is the sum."""
    summed = [value for index, value in enumerate(node.inputs) if value is not None and index in _summed(node)]
    operands = [(tracer.of(value), tracer.shape(value)) for value in summed]
    if any(not axes for axes, _ in operands):
        give_up(tracer, node)
        return
    axes = broadcast(tracer, node, operands)
    for ids in (axes[-1], *(ids for value in node.inputs for ids in tracer.of(value) or ())):
        if ids is not None and axes[-1] is not None and len(ids) == len(axes[-1]):
            tracer.lock(ids, f"{tracer.describe(node)} normalizes over it")
    for index, output in enumerate(node.outputs):
        if output.name:
            sizes = broadcast_sizes(*(shape for _, shape in operands if shape is not None))
            whole = index in (0, 3)
            tracer.set(output, axes if whole else [None] * len(axes), sizes if whole else None)


def _summed(node: ir.Node) -> tuple[int, ...]:
    return (0, 1, 4) if node.op_type == "SkipLayerNormalization" else (0, 1, 3)


RULES: dict[str, Rule] = {
    **dict.fromkeys(("BiasGelu", "FastGelu", "Gelu", "QuickGelu"), pointwise),
    "FusedConv": fused_convolution,
    "FusedMatMul": fused_matmul,
    "SkipLayerNormalization": skip_normalization,
    "SkipSimplifiedLayerNormalization": skip_normalization,
}

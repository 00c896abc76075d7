"""Rules of convolutions and matrix products: they read the elements of one axis and make those of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .elements import Even
from .rules import Rule, broadcast, broadcast_sizes, give_up, walked
from .sizes import constant
from .tracer import Ragged, Tracer, given, number

if TYPE_CHECKING:
    import onnx_ir as ir

    from .cutting import Cut
    from .elements import Ids
    from .sizes import Size
    from .tracer import Axes

FIXED_INPUT = "{} reads it together with something that keeps its size"
FIXED_OUTPUT = "{} makes something that keeps its size"


def convolution(tracer: Tracer, node: ir.Node) -> None:
    """Conv: weight (outputs, inputs of a group, ...)."""
    x, w = tracer.of(given(node, 0)), tracer.of(given(node, 1))
    shape = tracer.shape(given(node, 1))
    if x is None or w is None or len(w) < 3 or len(x) != len(w):
        give_up(tracer, node)
        return
    groups = number(node, "group", 1)
    _keep_places(tracer, node, x, w)
    out, inner = w[0], shape[1] if shape is not None else None
    if groups == 1:
        tracer.join(x[1], w[1], FIXED_INPUT.format(tracer.describe(node)))
    elif inner == 1:
        _depthwise(tracer, node, x[1], out, groups)
    else:
        _grouped(tracer, node, x[1], w, groups)
    _finish(tracer, node, x[1], out, [x[0], out, *[None] * (len(x) - 2)])


def transposed_convolution(tracer: Tracer, node: ir.Node) -> None:
    """ConvTranspose: weight (inputs, outputs of a group, ...)."""
    x, w = tracer.of(given(node, 0)), tracer.of(given(node, 1))
    shape = tracer.shape(given(node, 1))
    if x is None or w is None or shape is None or len(w) < 3 or len(x) != len(w):
        give_up(tracer, node)
        return
    groups = number(node, "group", 1)
    reason = FIXED_INPUT.format(tracer.describe(node))
    _keep_places(tracer, node, x, w)
    inputs = tracer.join(x[1], w[0], reason)
    out = w[1]
    if groups > 1 and shape[0] == groups:
        tracer.lock(w[1], reason)
        out = None if inputs is None or not isinstance(shape[1], int) else np.repeat(inputs, shape[1])
        _follow_groups(tracer, node, inputs)
    elif groups > 1:
        if inputs is not None:
            tracer.elements.evens.append(Even(inputs.reshape(groups, -1)))
        out = None if out is None else np.tile(out, groups)
    _finish(tracer, node, x[1], out, [x[0], out, *[None] * (len(x) - 2)])


def _keep_places(tracer: Tracer, node: ir.Node, x: Axes, w: Axes) -> None:
    """Lock the axes that a convolution walks over."""
    reason = f"{tracer.describe(node)} walks over it"
    for ids in (*x[2:], *w[2:]):
        tracer.lock(ids, reason)


def _depthwise(tracer: Tracer, node: ir.Node, inputs: Ids | None, out: Ids | None, groups: int) -> None:
    reason = FIXED_INPUT.format(tracer.describe(node))
    if inputs is None or out is None or len(inputs) != groups or len(out) % groups:
        tracer.lock(inputs, reason)
        tracer.lock(out, reason)
        return
    tracer.elements.join(np.repeat(inputs, len(out) // groups), out)
    _follow_groups(tracer, node, inputs)


def _follow_groups(tracer: Tracer, node: ir.Node, inputs: Ids | None) -> None:
    if inputs is None:
        return

    def fix(cut: Cut) -> None:
        cut.set_integer(node, "group", cut.size(inputs))

    tracer.fix(node, fix)


def _grouped(tracer: Tracer, node: ir.Node, inputs: Ids | None, w: Axes, groups: int) -> None:
    """Let each group keep its own inputs; where the weight cannot be sliced so, all keep the same."""
    out, weight = w[0], node.inputs[1]
    name = tracer.describe(node)
    if out is not None and len(out) % groups == 0:
        tracer.elements.evens.append(Even(out.reshape(groups, -1)))
    if inputs is None or len(inputs) % groups or weight is None:
        tracer.lock(w[1], FIXED_INPUT.format(name))
        return
    rows = inputs.reshape(groups, -1)
    if out is not None and constant(weight) is not None and len(weight.uses()) == 1 and w[1] is not None:
        tracer.elements.evens.append(Even(rows))
        tracer.ragged[str(weight.name)] = Ragged(out, inputs)
        w[1] = None
        return
    tracer.elements.join_all(rows)
    tracer.join(rows[0], w[1], FIXED_INPUT.format(name))


def _finish(tracer: Tracer, node: ir.Node, inputs: Ids | None, out: Ids | None, axes: Axes) -> None:
    """Join the bias, note the layer and set the result."""
    bias = tracer.of(given(node, 2))
    if bias is not None:
        tracer.join(out, bias[0], FIXED_OUTPUT.format(tracer.describe(node)))
    depthwise = inputs is not None and number(node, "group", 1) == len(inputs)
    if tracer.is_weight(node.inputs[1]):
        tracer.layer(node, "maker", node.outputs[0], out)
        if not depthwise:  # a channel of a depthwise convolution reads itself: it cannot make up for another
            tracer.layer(node, "reader", node.inputs[0], inputs)
    shape = tracer.shape(node.inputs[0]) or (None,) * len(axes)
    kernel = (tracer.shape(node.inputs[1]) or (None,) * len(axes))[2:]
    places: list[Size] = [None] * (len(axes) - 2)
    if node.op_type == "Conv":
        places = walked(node, shape[2:], kernel)
    tracer.set(node.outputs[0], axes, [shape[0], None, *places])
    _count(tracer, node, inputs, out)


def _count(tracer: Tracer, node: ir.Node, inputs: Ids | None, out: Ids | None) -> None:
    """Count what a convolution computes: every weight is used once at every place."""
    walked = node.inputs[0] if node.op_type == "ConvTranspose" else node.outputs[0]
    places = tracer.volume((tracer.shape(walked) or ())[2:])
    macs = places * tracer.volume(tracer.shape(node.inputs[1]) or ())
    depthwise = inputs is not None and number(node, "group", 1) == len(inputs)
    tracer.count(macs, out, None if depthwise else inputs)


def gemm(tracer: Tracer, node: ir.Node) -> None:
    """Gemm: both operands may be transposed; the third is broadcast."""
    a, b = tracer.of(given(node, 0)), tracer.of(given(node, 1))
    if a is None or b is None or len(a) != 2 or len(b) != 2:
        give_up(tracer, node)
        return
    rows, left = a[::-1] if number(node, "transA", 0) else a
    right, columns = b[::-1] if number(node, "transB", 0) else b
    _product(tracer, node, left, right, rows, columns)
    width = (tracer.shape(node.inputs[0]) or (None, None))[0 if number(node, "transA", 0) else 1]
    tracer.count(tracer.volume([*(tracer.shape(node.outputs[0]) or ()), width]), left, rows, columns)
    axes: Axes = [rows, columns]
    addend = given(node, 2)
    if addend is not None:
        axes = broadcast(tracer, node, [(axes, _sizes(tracer, node, axes)), (tracer.of(addend), tracer.shape(addend))])
    first = tracer.shape(node.inputs[0]) or (None, None)
    tracer.set(node.outputs[0], axes, [first[1 if number(node, "transA", 0) else 0], None])


def _sizes(tracer: Tracer, node: ir.Node, axes: Axes) -> tuple[int | str | None, ...]:
    found = tracer.shape(node.outputs[0]) or (None,) * len(axes)
    return tuple(size if ids is None else len(ids) for size, ids in zip(found, axes, strict=True))


def matmul(tracer: Tracer, node: ir.Node) -> None:
    """MatMul: the last axis but one of the second operand meets the last one of the first."""
    product_of(tracer, node, False, False)


def product_of(tracer: Tracer, node: ir.Node, turn_left: bool, turn_right: bool) -> None:
    """Follow a product of stacks of matrices.

    Parameters
    ----------
    turn_left, turn_right
        Whether the last two axes of the first and of the second operand change places before.
    """
    left = _matrices(tracer, given(node, 0), turn_left)
    right = _matrices(tracer, given(node, 1), turn_right)
    if left is None or right is None:
        give_up(tracer, node)
        return
    (a, a_shape), (b, b_shape) = left, right
    rows = a[-2] if len(a) > 1 else None
    columns = b[-1] if len(b) > 1 else None
    _product(tracer, node, a[-1], b[-2] if len(b) > 1 else b[0], rows, columns)
    batch = broadcast(tracer, node, [(a[:-2], a_shape[:-2]), (b[:-2], b_shape[:-2])])
    tracer.heads.extend(ids for ids in batch if ids is not None)
    sizes = [*broadcast_sizes(a_shape[:-2], b_shape[:-2]), *a_shape[-2:-1], *(b_shape[-1:] if len(b) > 1 else ())]
    axes = [*batch, *([rows] if len(a) > 1 else []), *([columns] if len(b) > 1 else [])]
    tracer.count(tracer.volume([*sizes, a_shape[-1]]), a[-1], rows, columns, *batch)
    tracer.set(node.outputs[0], axes, sizes)


def _matrices(tracer: Tracer, value: ir.Value | None, turn: bool) -> tuple[Axes, tuple[Size, ...]] | None:
    axes, shape = tracer.of(value), tracer.shape(value)
    if not axes or shape is None:
        return None
    if turn and len(axes) > 1:
        return [*axes[:-2], axes[-1], axes[-2]], (*shape[:-2], shape[-1], shape[-2])
    return axes, shape


def _product(
    tracer: Tracer, node: ir.Node, left: Ids | None, right: Ids | None, rows: Ids | None, columns: Ids | None
) -> None:
    """Join the axes that a product sums over, and note its layer."""
    tracer.join(left, right, FIXED_INPUT.format(tracer.describe(node)))
    weights = [tracer.is_weight(value) for value in node.inputs[:2]]
    if weights == [False, True]:
        tracer.layer(node, "maker", node.outputs[0], columns)
        tracer.layer(node, "reader", node.inputs[0], left)
    elif weights == [True, False]:
        tracer.layer(node, "maker", node.outputs[0], rows)
        tracer.layer(node, "reader", node.inputs[1], right)


RULES: dict[str, Rule] = {
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "Gemm": gemm,
    "MatMul": matmul,
}

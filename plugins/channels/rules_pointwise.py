"""Rules of operators that keep channels apart: activations, arithmetic, normalization, pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .rules import MEETS_FIXED, Rule, give_up, pointwise, unary, walked
from .tracer import Tracer, given, number, numbers

if TYPE_CHECKING:
    import onnx_ir as ir

    from .sizes import Size

UNARY = [
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "BitwiseNot",
    "Cast",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Cosh",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "IsInf",
    "IsNaN",
    "LeakyRelu",
    "Log",
    "Mish",
    "Neg",
    "Not",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Bernoulli",
]
POINTWISE = [
    "Add",
    "And",
    "BitShift",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "Pow",
    "PRelu",
    "Sub",
    "Sum",
    "Where",
    "Xor",
    "CastLike",
]
POOLS = ("AveragePool", "MaxPool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")


def batch_normalization(tracer: Tracer, node: ir.Node) -> None:
    """Scale, bias, mean and variance have one number a channel."""
    axes = tracer.of(given(node, 0))
    if axes is None or len(axes) < 2 or number(node, "training_mode", 0):
        give_up(tracer, node)
        return
    for value in node.inputs[1:]:
        other = tracer.of(value)
        tracer.join(axes[1], other[0] if other else None, MEETS_FIXED.format(tracer.describe(node)))
    tracer.set(node.outputs[0], axes, tracer.shape(node.inputs[0]))


def group_normalization(tracer: Tracer, node: ir.Node) -> None:
    """Channels of a group share their mean and variance: none may go."""
    give_up(tracer, node, f"{tracer.describe(node)} normalizes over channels")


def layer_normalization(tracer: Tracer, node: ir.Node) -> None:
    """Mean and variance are taken over the last axes: none of these may go."""
    axes = tracer.of(given(node, 0))
    if axes is None:
        give_up(tracer, node)
        return
    first = number(node, "axis", -1) % len(axes)
    _lock_axes(tracer, node, list(range(first, len(axes))), "normalizes over it")
    for value in node.inputs[1:]:
        tracer.lock_value(value, f"{tracer.describe(node)} normalizes over it")
    for index, output in enumerate(node.outputs):
        if output.name:
            kept = [ids if axis < first or not index else None for axis, ids in enumerate(axes)]
            tracer.set(output, kept, None if index else tracer.shape(node.inputs[0]))


def softmax(tracer: Tracer, node: ir.Node) -> None:
    """Lock what is normalized over; before opset 13 these are all axes from one on."""
    axes = tracer.of(given(node, 0))
    if axes is None:
        give_up(tracer, node)
        return
    new = tracer.opset >= 13
    first = number(node, "axis", -1 if new else 1) % max(1, len(axes))
    over = [first] if new else list(range(first, len(axes)))
    _lock_axes(tracer, node, over, "works over it")
    tracer.set(node.outputs[0], axes, tracer.shape(node.inputs[0]))


def over_axis(tracer: Tracer, node: ir.Node) -> None:
    """Operators that run along one axis and keep the shape: LpNormalization, CumSum with a constant axis, LRN."""
    axes = tracer.of(given(node, 0))
    if node.op_type == "CumSum":
        where = tracer.integers(given(node, 1))
        axis = where[0] if where else None
    else:
        axis = 1 if node.op_type in ("LRN", "MeanVarianceNormalization") else number(node, "axis", -1)
    if axes is None or axis is None:
        give_up(tracer, node)
        return
    axis %= max(1, len(axes))
    _lock_axes(tracer, node, [axis], "works over it")
    tracer.set(node.outputs[0], axes, tracer.shape(node.inputs[0]))


def reduction(tracer: Tracer, node: ir.Node) -> None:
    """Axes that are reduced keep their size."""
    axes = tracer.of(given(node, 0))
    if axes is None:
        give_up(tracer, node)
        return
    single = node.op_type in ("ArgMax", "ArgMin")
    over = [number(node, "axis", 0)] if single else numbers(node, "axes")
    if over is None and given(node, 1) is not None:
        over = tracer.integers(given(node, 1))
        if over is None:
            give_up(tracer, node)
            return
    if not over:
        over = [] if number(node, "noop_with_empty_axes", 0) else list(range(len(axes)))
    over = [axis % max(1, len(axes)) for axis in over]
    _lock_axes(tracer, node, over, "sums over it" if not single else "looks over it")
    kept = number(node, "keepdims", 1)
    shape = tracer.shape(node.inputs[0]) or [None] * len(axes)
    left = [axis for axis in range(len(axes)) if kept or axis not in over]
    tracer.set(
        node.outputs[0],
        [None if axis in over else axes[axis] for axis in left],
        [1 if axis in over else shape[axis] for axis in left],
    )


def pool(tracer: Tracer, node: ir.Node) -> None:
    """Keep samples and channels apart."""
    axes = tracer.of(given(node, 0))
    if axes is None or len(axes) < 2:
        give_up(tracer, node)
        return
    _lock_axes(tracer, node, list(range(2, len(axes))), "walks over it")
    if len(node.outputs) > 1 and node.outputs[1].uses():
        give_up(tracer, node, f"{tracer.describe(node)} gives indices")
        return
    for output in node.outputs:
        if output.name:
            tracer.set(output, [*axes[:2], *[None] * (len(axes) - 2)], _pooled(tracer, node, len(axes)))


def _pooled(tracer: Tracer, node: ir.Node, rank: int) -> list[Size]:
    shape = tracer.shape(node.inputs[0]) or (None,) * rank
    if node.op_type.startswith("Global"):
        return [*shape[:2], *[1] * (rank - 2)]
    return [*shape[:2], *walked(node, shape[2:], numbers(node, "kernel_shape") or [None] * (rank - 2))]


def sampling(tracer: Tracer, node: ir.Node) -> None:
    """Pick places in space; channels stay apart."""
    axes = tracer.of(given(node, 0))
    if axes is None or len(axes) < 3:
        give_up(tracer, node)
        return
    for value in node.inputs[1:]:
        tracer.lock_value(value, f"{tracer.describe(node)} finds places by it")
    _lock_axes(tracer, node, [0, *range(2, len(axes))], "picks places in it")
    tracer.set(node.outputs[0], [None, axes[1], *[None] * (len(axes) - 2)])


def quantization(tracer: Tracer, node: ir.Node) -> None:
    """QuantizeLinear and DequantizeLinear: scale and zero point are scalars, or have one number a channel."""
    axes = tracer.of(given(node, 0))
    rank = None if axes is None else len(axes)
    if axes is None or rank is None or number(node, "block_size", 0):
        give_up(tracer, node)
        return
    axis = number(node, "axis", 1)
    for value in node.inputs[1:]:
        other, shape = tracer.of(value), tracer.shape(value)
        if value is None or shape in ((), (1,)):
            continue
        if other is None or len(other) != 1 or not -rank <= axis < rank:
            give_up(tracer, node)
            return
        tracer.join(axes[axis], other[0], MEETS_FIXED.format(tracer.describe(node)))
    tracer.set(node.outputs[0], axes, tracer.shape(node.inputs[0]))


def _lock_axes(tracer: Tracer, node: ir.Node, over: list[int], what: str) -> None:
    axes = tracer.of(given(node, 0)) or []
    for axis in over:
        tracer.lock(axes[axis], f"{tracer.describe(node)} {what}")


_REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]

RULES: dict[str, Rule] = {
    **dict.fromkeys(UNARY, unary),
    **dict.fromkeys(POINTWISE, pointwise),
    **dict.fromkeys(POOLS, pool),
    **{f"Reduce{name}": reduction for name in _REDUCTIONS},
    **dict.fromkeys(("GridSample", "RoiAlign", "MaxRoiPool"), sampling),
    "ArgMax": reduction,
    "ArgMin": reduction,
    "BatchNormalization": batch_normalization,
    "InstanceNormalization": batch_normalization,
    "GroupNormalization": group_normalization,
    "LayerNormalization": layer_normalization,
    "RMSNormalization": layer_normalization,
    "Softmax": softmax,
    "LogSoftmax": softmax,
    "Hardmax": softmax,
    "LpNormalization": over_axis,
    "CumSum": over_axis,
    "LRN": over_axis,
    "MeanVarianceNormalization": over_axis,
    "QuantizeLinear": quantization,
    "DequantizeLinear": quantization,
}

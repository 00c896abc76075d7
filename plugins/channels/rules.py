"""What the rules of operators share: broadcasting, and giving up with a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .tracer import Tracer, given, number, numbers, text

if TYPE_CHECKING:
    import onnx_ir as ir

    from .elements import Ids
    from .sizes import Size
    from .tracer import Axes

#: what an operator does to the elements of its inputs
Rule = Callable[[Tracer, "ir.Node"], None]
MEETS_FIXED = "{} combines it with something that keeps its size"


def give_up(tracer: Tracer, node: ir.Node, reason: str = "") -> None:
    """Lock all that a node reads, and let its results keep their sizes."""
    reason = reason or f"{tracer.describe(node)} is not followed"
    for value in node.inputs:
        tracer.lock_value(value, reason)
    for value in node.outputs:
        shape = tracer.shape(value)
        if shape is not None:
            tracer.axes[str(value.name)] = [None] * len(shape)


def broadcast(tracer: Tracer, node: ir.Node, operands: Sequence[tuple[Axes | None, tuple[Size, ...] | None]]) -> Axes:
    """Join the axes of operands that are broadcast to each other, and give those of the result.

    An axis of size 1 goes with any other. Where one operand's axis keeps its size, those of the others do.
    """
    known = [(axes, shape) for axes, shape in operands if axes is not None and shape is not None]
    reason = MEETS_FIXED.format(tracer.describe(node))
    if len(known) < len(operands):
        for axes, _ in known:
            for ids in axes:
                tracer.lock(ids, reason)
        rank = max((len(axes) for axes, _ in known), default=0)
        return [None] * rank
    rank = max(len(axes) for axes, _ in known)
    return [_meet(tracer, [_at(axes, shape, rank - axis) for axes, shape in known], reason) for axis in range(rank)]


def _at(axes: Axes, shape: tuple[Size, ...], from_end: int) -> tuple[Ids | None, Size]:
    return (axes[-from_end], shape[-from_end]) if from_end <= len(axes) else (None, 1)


def _meet(tracer: Tracer, places: list[tuple[Ids | None, Size]], reason: str) -> Ids | None:
    found = [ids for ids, size in places if ids is not None]
    if any(ids is None and size != 1 for ids, size in places):
        for ids in found:
            tracer.lock(ids, reason)
        return None
    result: Ids | None = found[0] if found else None
    for ids in found[1:]:
        result = tracer.join(result, ids, reason)
    return result


def broadcast_sizes(*shapes: tuple[Size, ...]) -> list[Size]:
    """Give the sizes of the axes of what is broadcast, as far as they are known."""
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Size] = []
    for axis in range(rank):
        sizes = {_at([None] * len(shape), shape, rank - axis)[1] for shape in shapes} - {1}
        numbers = [size for size in sizes if isinstance(size, int)]
        result.append(numbers[0] if numbers else sizes.pop() if len(sizes) == 1 else None if sizes else 1)
    return result


def walked(node: ir.Node, sizes: Sequence[Size], kernel: Sequence[Size]) -> list[Size]:
    """Give the sizes that are left of spatial axes that a window walks over, where they are known."""
    rank = len(sizes)
    strides, dilations = numbers(node, "strides") or [1] * rank, numbers(node, "dilations") or [1] * rank
    pads = numbers(node, "pads") or [0] * (2 * rank)
    auto, up = text(node, "auto_pad", "NOTSET"), number(node, "ceil_mode", 0)
    found: list[Size] = []
    for axis, (size, window) in enumerate(zip(sizes, kernel, strict=True)):
        if not isinstance(size, int) or not isinstance(window, int):
            found.append(None)
            continue
        if auto.startswith("SAME"):
            found.append(-(-size // strides[axis]))
            continue
        around = 0 if auto == "VALID" else pads[axis] + pads[axis + rank]
        room = size + around - dilations[axis] * (window - 1) - 1
        found.append((-(-room // strides[axis]) if up else room // strides[axis]) + 1)
    return found


def pointwise(tracer: Tracer, node: ir.Node) -> None:
    """Operators that work element by element on operands that are broadcast to each other."""
    values = [value for value in node.inputs if value is not None]
    operands = [(tracer.of(value), tracer.shape(value)) for value in values]
    if any(axes is None for axes, _ in operands):
        give_up(tracer, node)
        return
    axes = broadcast(tracer, node, operands)
    for output in node.outputs:
        if output.name:
            tracer.set(output, axes, broadcast_sizes(*(shape for _, shape in operands if shape is not None)))


def unary(tracer: Tracer, node: ir.Node) -> None:
    """Operators whose result has the shape of their first input; the others are scalars."""
    axes = tracer.of(given(node, 0))
    if axes is None:
        give_up(tracer, node)
        return
    for output in node.outputs:
        if output.name:
            tracer.set(output, axes, tracer.shape(given(node, 0)))

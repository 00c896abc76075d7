"""Rules of operators that move data: the elements move with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .arithmetic import Derived, Dim, entries_of
from .regroup import regroup
from .rules import Rule, give_up, unary
from .targets import follow_target, reshaped
from .tracer import Tracer, given, number, numbers

if TYPE_CHECKING:
    import onnx_ir as ir

    from .cutting import Cut
    from .elements import Ids
    from .sizes import Size
    from .tracer import Axes

MOVED = "{} moves it by positions that are only known when it runs"


def concat(tracer: Tracer, node: ir.Node) -> None:
    """Put the elements of the parts one after the other; along other axes the parts are alike."""
    values = [value for value in node.inputs if value is not None]
    parts = [tracer.of(value) for value in values]
    rank = next((len(axes) for axes in parts if axes is not None), None)
    if rank is None or any(axes is None or len(axes) != rank for axes in parts):
        give_up(tracer, node)
        return
    axis = number(node, "axis", 1) % rank
    whole: Axes = []
    for at in range(rank):
        if at == axis:
            whole.append(_joined_end_to_end(tracer, node, values, axis))
            continue
        shapes = [tracer.shape(value) for value in values]
        ids = parts[0][at] if parts[0] else None
        if all(shape is not None and shape[at] == 1 for shape in shapes):
            whole.append(None)
            continue
        for axes in parts[1:]:
            ids = tracer.join(ids, axes[at] if axes else None, f"{tracer.describe(node)} stacks it on something fixed")
        whole.append(ids)
    shapes = [tracer.shape(value) for value in values]
    told = [next((shape[at] for shape in shapes if shape is not None), None) for at in range(rank)]
    told[axis] = None
    tracer.set(node.outputs[0], whole, told)


def _joined_end_to_end(tracer: Tracer, node: ir.Node, values: list[ir.Value], axis: int) -> Ids | None:
    if all((tracer.of(value) or [None] * (axis + 1))[axis] is None for value in values):
        return None
    parts = [tracer.filled(value, axis, f"{value.name} keeps its size") for value in values]
    if any(ids is None for ids in parts):
        for ids in parts:
            tracer.lock(ids, f"{tracer.describe(node)} puts it beside something of unknown size")
        return None
    return np.concatenate([ids for ids in parts if ids is not None])


def split(tracer: Tracer, node: ir.Node) -> None:
    """Each result has its share of the elements; the sizes follow what goes."""
    axes, shape = tracer.of(given(node, 0)), tracer.shape(given(node, 0))
    if axes is None or shape is None:
        give_up(tracer, node)
        return
    axis = number(node, "axis", 0) % len(axes)
    ids = axes[axis]
    if ids is None:
        for output in node.outputs:
            tracer.set(output, axes, [None if at == axis else size for at, size in enumerate(shape)])
        return
    sizes = numbers(node, "split") if tracer.opset < 13 else tracer.integers(given(node, 1))
    if sizes is None and given(node, 1) is None:
        each = -(-len(ids) // len(node.outputs))
        sizes = [min(each, len(ids) - each * index) for index in range(len(node.outputs))]
    if sizes is None or sum(sizes) != len(ids) or len(sizes) != len(node.outputs):
        give_up(tracer, node)
        return
    pieces = np.split(ids, np.cumsum(sizes)[:-1])
    for output, piece in zip(node.outputs, pieces, strict=True):
        tracer.set(output, [piece if at == axis else other for at, other in enumerate(axes)], shape)

    def fix(cut: Cut) -> None:
        new = [cut.size(piece) for piece in pieces]
        if new == sizes:
            return
        if tracer.opset < 13:
            cut.set_integers(node, "split", new)
        else:
            node.attributes.pop("num_outputs", None)
            cut.put(node, 1, new)

    tracer.fix(node, fix)


def slicing(tracer: Tracer, node: ir.Node) -> None:
    """Take a run of elements; where it begins and ends follows what goes."""
    axes, shape = tracer.of(given(node, 0)), tracer.shape(given(node, 0))
    bounds = _bounds(tracer, node, len(axes) if axes is not None else 0)
    if axes is None or shape is None:
        give_up(tracer, node)
        return
    if bounds is None:
        known = numbers(node, "axes") if tracer.opset < 10 else tracer.integers(given(node, 3))
        _lock_moved(tracer, node, axes, known)
        return
    result = list(axes)
    moved: dict[int, tuple[Ids, NDArrayOfInt]] = {}
    for axis, start, end, step in bounds:
        ids = axes[axis]
        if ids is None:
            continue
        index = np.arange(len(ids))[_python_slice(start, end, step)]
        if abs(step) != 1:
            tracer.lock(ids, f"{tracer.describe(node)} takes every {abs(step)}th of it")
        result[axis] = ids[index]
        moved[axis] = (ids, index)
    for axis, ids in enumerate(result):
        if ids is not None and len(ids) == 1:
            tracer.lock(ids, f"{tracer.describe(node)} picks it")
            result[axis] = None
    sliced = {bound[0] for bound in bounds}
    tracer.set(node.outputs[0], result, [None if at in sliced else size for at, size in enumerate(shape)])

    def fix(cut: Cut) -> None:
        _fix_slice(tracer, node, cut, bounds, moved)

    tracer.fix(node, fix)


def _lock_moved(tracer: Tracer, node: ir.Node, axes: Axes, which: list[int] | None) -> None:
    over = range(len(axes)) if which is None else [axis % len(axes) for axis in which]
    for axis in over:
        tracer.lock(axes[axis], MOVED.format(tracer.describe(node)))
    tracer.set(node.outputs[0], [None if axis in over else ids for axis, ids in enumerate(axes)])


def _bounds(tracer: Tracer, node: ir.Node, rank: int) -> list[tuple[int, int, int, int]] | None:
    """Give axis, start, end and step of each axis that is sliced."""
    if tracer.opset < 10:
        starts, ends, axes, steps = numbers(node, "starts"), numbers(node, "ends"), numbers(node, "axes"), None
    else:
        starts, ends, axes, steps = (tracer.integers(given(node, index)) for index in range(1, 5))
        if (given(node, 3) is not None and axes is None) or (given(node, 4) is not None and steps is None):
            return None
    if starts is None or ends is None:
        return None
    axes = list(range(len(starts))) if axes is None else [axis % max(1, rank) for axis in axes]
    return list(zip(axes, starts, ends, steps or [1] * len(starts), strict=True))


def _python_slice(start: int, end: int, step: int) -> slice:
    # an end below -size means "through the first one" when going backwards
    return slice(start, None if step < 0 and end < -(1 << 30) else end, step)


def _fix_slice(
    tracer: Tracer,
    node: ir.Node,
    cut: Cut,
    bounds: list[tuple[int, int, int, int]],
    moved: dict[int, tuple[Ids, NDArrayOfInt]],
) -> None:
    starts, ends = [bound[1] for bound in bounds], [bound[2] for bound in bounds]
    for place, (axis, _, _, step) in enumerate(bounds):
        if axis not in moved:
            continue
        ids, index = moved[axis]
        keep = cut.keep(ids)
        if keep.all():
            continue
        first = int(keep[: min(index)].sum())
        count = int(keep[index].sum())
        if step > 0:
            starts[place], ends[place] = first, first + count
        else:
            starts[place], ends[place] = first + count - 1, first - 1 if first else -(1 << 31)
    if starts == [bound[1] for bound in bounds] and ends == [bound[2] for bound in bounds]:
        return
    if tracer.opset < 10:
        cut.set_integers(node, "starts", starts)
        cut.set_integers(node, "ends", ends)
    else:
        cut.put(node, 1, starts)
        cut.put(node, 2, ends)


def transpose(tracer: Tracer, node: ir.Node) -> None:
    """Axes change places."""
    axes = tracer.of(given(node, 0))
    if axes is None:
        give_up(tracer, node)
        return
    order = numbers(node, "perm") or list(range(len(axes)))[::-1]
    shape = tracer.shape(node.inputs[0]) or [None] * len(axes)
    tracer.set(node.outputs[0], [axes[axis] for axis in order], [shape[axis] for axis in order])


def flatten(tracer: Tracer, node: ir.Node) -> None:
    """Two axes are left: those before one, and those from it on."""
    value = given(node, 0)
    axes, shape = tracer.of(value), tracer.shape(value)
    if axes is None or shape is None:
        give_up(tracer, node)
        return
    axis = number(node, "axis", 1)
    axis = axis + len(axes) if axis < 0 else axis
    sides = [(axes[:axis], shape[:axis]), (axes[axis:], shape[axis:])]
    told = [sizes[0] if len(sizes) == 1 else None for _, sizes in sides]
    tracer.set(node.outputs[0], [regroup(tracer, node, ids, sizes, None)[0] for ids, sizes in sides], told)


def squeeze(tracer: Tracer, node: ir.Node) -> None:
    """Axes of size 1 go."""
    axes, shape = tracer.of(given(node, 0)), tracer.shape(given(node, 0))
    if axes is None or shape is None:
        give_up(tracer, node)
        return
    which = numbers(node, "axes") if tracer.opset < 13 else tracer.integers(given(node, 1))
    if which is None and (given(node, 1) is not None or not all(isinstance(size, int) for size in shape)):
        give_up(tracer, node)
        return
    which = [axis for axis, size in enumerate(shape) if size == 1] if which is None else which
    gone = {axis % len(axes) for axis in which}
    left = [axis for axis in range(len(axes)) if axis not in gone]
    tracer.set(node.outputs[0], [axes[axis] for axis in left], [shape[axis] for axis in left])


def unsqueeze(tracer: Tracer, node: ir.Node) -> None:
    """Axes of size 1 come."""
    axes = tracer.of(given(node, 0))
    which = numbers(node, "axes") if tracer.opset < 13 else tracer.integers(given(node, 1))
    if axes is None or which is None:
        give_up(tracer, node)
        return
    rank = len(axes) + len(which)
    places, rest = {axis % rank for axis in which}, iter(axes)
    sizes = iter(tracer.shape(node.inputs[0]) or [None] * len(axes))
    tracer.set(
        node.outputs[0],
        [None if axis in places else next(rest) for axis in range(rank)],
        [1 if axis in places else next(sizes) for axis in range(rank)],
    )


def resize(tracer: Tracer, node: ir.Node) -> None:
    """Axes that are resized keep their size; along the others the elements stay."""
    value = given(node, 0)
    axes, before, after = tracer.of(value), tracer.shape(value), tracer.shape(node.outputs[0])
    if axes is None or before is None or after is None or len(after) != len(axes):
        give_up(tracer, node)
        return
    result: Axes = []
    for ids, size, new in zip(axes, before, after, strict=True):
        if ids is not None and size != new:
            tracer.lock(ids, f"{tracer.describe(node)} resizes it")
        result.append(ids if size == new else None)
    tracer.set(node.outputs[0], result)
    place = 3 if node.op_type == "Resize" and tracer.opset >= 11 else None
    sizes = tracer.integers(given(node, place)) if place is not None else None
    if place is None or given(node, place) is None:
        return
    chosen = numbers(node, "axes") or list(range(len(axes)))
    if sizes is None:
        for axis in chosen:
            tracer.lock(axes[axis], MOVED.format(tracer.describe(node)))
        return

    def fix(cut: Cut) -> None:
        new = [old if (ids := result[axis]) is None else cut.size(ids) for axis, old in zip(chosen, sizes, strict=True)]
        if new != sizes:
            cut.put(node, 3, new)

    tracer.fix(node, fix)


def reshape(tracer: Tracer, node: ir.Node) -> None:
    """Axes are split and merged; see `regroup`."""
    value = given(node, 0)
    axes, shape = tracer.of(value), tracer.shape(value)
    old = numbers(node, "shape") if tracer.opset < 5 else None
    entries = entries_of(tracer, given(node, 1)) if old is None else np.array(old, dtype=object)
    found = tracer.shape(node.outputs[0])
    target = list(entries) if entries is not None and entries.ndim == 1 else [Derived()] * len(found or ())
    if axes is None or shape is None or (entries is None and found is None):
        give_up(tracer, node)
        return
    after = reshaped(shape, target, found, copies=not number(node, "allowzero", 0))
    result = regroup(tracer, node, axes, shape, after)
    tracer.set(node.outputs[0], result, after)
    copied = [
        axes[at] if entry == 0 and not number(node, "allowzero", 0) and at < len(axes) else None
        for at, entry in enumerate(target)
    ]
    follow_target(tracer, node, 1, target, copied, result, after)


def expand(tracer: Tracer, node: ir.Node) -> None:
    """Axes of size 1 are repeated; the others keep their elements."""
    value = given(node, 0)
    axes, shape, found = tracer.of(value), tracer.shape(value), tracer.shape(node.outputs[0])
    entries = entries_of(tracer, given(node, 1))
    if axes is None or shape is None or (entries is None and found is None):
        give_up(tracer, node)
        return
    target = list(entries) if entries is not None else [Derived()] * len(found or ())
    rank = max(len(axes), len(target))
    target = [1] * (rank - len(target)) + target
    axes = [*[None] * (rank - len(axes)), *axes]
    shape = (1,) * (rank - len(shape)) + shape
    result: Axes = []
    after: list[Size] = []
    for at, (ids, size, entry) in enumerate(zip(axes, shape, target, strict=True)):
        wide = _wide(entry) if entries is not None else found[at] if found is not None and len(found) == rank else None
        after.append(size if size != 1 else wide)
        # the copies along a new axis are alike: they go as those of what they meet go
        if size == 1 and isinstance(wide, int) and wide > 1:
            ids = tracer.elements.new(wide)
            tracer.elements.copies.append(ids)
        result.append(ids)
    tracer.set(node.outputs[0], result, after)
    follow_target(tracer, node, 1, target, [None] * rank, result, tuple(after))


def _wide(entry: Any) -> Size:
    return entry.size if isinstance(entry, Dim) else entry if isinstance(entry, int) else None


def constants(tracer: Tracer, node: ir.Node) -> None:
    """Give a constant elements of its own."""
    tracer.of(node.outputs[0])


def constant_of_shape(tracer: Tracer, node: ir.Node) -> None:
    """Give a constant, of whose axes only the sizes are stored, elements of its own."""
    entries = entries_of(tracer, given(node, 0))
    if entries is None or entries.ndim != 1:
        give_up(tracer, node)
        return
    sizes = [_wide(entry) for entry in entries]
    axes: Axes = [tracer.elements.new(size) if isinstance(size, int) and size > 1 else None for size in sizes]
    tracer.set(node.outputs[0], axes, sizes)
    tracer.filled_constants.add(str(node.outputs[0].name))
    follow_target(tracer, node, 0, list(entries), [None] * len(axes), axes, sizes)


if TYPE_CHECKING:
    from numpy.typing import NDArray

    NDArrayOfInt = NDArray[np.intp]

RULES: dict[str, Rule] = {
    "Concat": concat,
    "Expand": expand,
    "ConstantOfShape": constant_of_shape,
    "Split": split,
    "Slice": slicing,
    "Transpose": transpose,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Resize": resize,
    "Upsample": resize,
    "Reshape": reshape,
    "Constant": constants,
    "Identity": unary,
}

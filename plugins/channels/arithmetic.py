"""Shapes that a model computes from shapes: which entry is a number, which the size of an axis.

Exported models are full of Shape, Gather, Concat chains that end in a Reshape. Following them tells whether
such a shape changes by itself when units go, and which of its entries have to be set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from .sizes import SMALL, Size, is_op, small_integers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .elements import Ids
    from .tracer import Tracer

    #: array of int, Dim and Derived
    Entries = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Dim:
    """The size of an axis."""

    ids: Ids | None
    size: Size


@dataclass(frozen=True, eq=False)
class Derived:
    """Something computed from sizes of axes; those of `uses` may change."""

    uses: tuple[Ids, ...] = ()


@dataclass(frozen=True)
class Call:
    """A node that computes with shapes, and the entries of its inputs; none for Shape."""

    tracer: Tracer
    node: ir.Node
    inputs: list[Any]


#: inputs whose entries a rule looks at one by one; what other operators do with sizes of axes locks these
AWARE = frozenset([("Reshape", 1), ("Expand", 1), ("ConstantOfShape", 0)])


def uses(entries: Entries) -> list[Ids]:
    """List the axes with elements that entries depend on."""
    found: list[Ids] = []
    for entry in entries.reshape(-1):
        if isinstance(entry, Dim) and entry.ids is not None:
            found.append(entry.ids)
        elif isinstance(entry, Derived):
            found += entry.uses
    return found


def plain(entry: Any) -> int | None:
    """Give an entry as a number where it is one that never changes."""
    if isinstance(entry, Dim):
        return entry.size if entry.ids is None and isinstance(entry.size, int) else None
    return entry if isinstance(entry, int) else None


def entries_of(tracer: Tracer, value: ir.Value | None) -> Entries | None:
    """Give what is known of a tensor of integers."""
    if value is None:
        return None
    known = tracer.known.get(str(value.name))
    if known is not None:
        return known
    found = small_integers(value)
    if found is None or (value.is_graph_input() and (tracer.model.ir_version or 0) >= 4):
        return None
    return _objects([int(item) for item in found.reshape(-1)], found.shape)


def follow(tracer: Tracer, node: ir.Node) -> bool:
    """Follow a node that computes with shapes, and say whether it is one."""
    how = _HOW.get(node.op_type)
    if how is None or not is_op(node, node.op_type) or len(node.outputs) != 1:
        return False
    known = [] if node.op_type == "Shape" else [entries_of(tracer, value) for value in node.inputs]
    if any(entries is None and value is not None for entries, value in zip(known, node.inputs, strict=False)):
        return False
    try:
        found = how(Call(tracer, node, known))
    except (ValueError, IndexError, TypeError, KeyError, ZeroDivisionError):
        return False
    if found is None or found.size > SMALL:
        return False
    name = str(node.outputs[0].name)
    tracer.known[name] = found
    tracer.axes[name] = [None] * found.ndim
    tracer.sizes[name] = found.shape
    return True


def _objects(items: list[Any], shape: tuple[int, ...]) -> Entries:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array.reshape(shape)


def _attribute(node: ir.Node, name: str, default: Any) -> Any:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.value


def _shape(call: Call) -> Entries | None:
    axes, sizes = call.tracer.of(call.node.inputs[0]), call.tracer.shape(call.node.inputs[0])
    if axes is None or sizes is None:
        return None
    dims: list[Any] = [
        Dim(ids, size) if ids is not None or not isinstance(size, int) else size
        for ids, size in zip(axes, sizes, strict=True)
    ]
    kept = dims[slice(_attribute(call.node, "start", 0), _attribute(call.node, "end", None))]
    return _objects(kept, (len(kept),))


def _numbers(entries: Entries | None) -> list[int]:
    """Give entries as numbers.

    Raises
    ------
    TypeError
        When they are not.
    """
    found = [plain(entry) for entry in (entries if entries is not None else np.empty(0, object)).reshape(-1)]
    if any(item is None for item in found):
        raise TypeError("not plain numbers")
    return [item for item in found if item is not None]


def _same(call: Call) -> Entries | None:
    found: Entries | None = call.inputs[0]
    return found


def _cast(call: Call) -> Entries | None:
    integer = _attribute(call.node, "to", 7) in (int(ir.DataType.INT64), int(ir.DataType.INT32))
    return call.inputs[0] if integer else None


def _concat(call: Call) -> Entries:
    return np.concatenate(call.inputs, axis=_attribute(call.node, "axis", 0))


def _gather(call: Call) -> Entries:
    index = np.asarray(_numbers(call.inputs[1]), dtype=np.int64).reshape(call.inputs[1].shape)
    return _wrapped(np.take(call.inputs[0], index, axis=_attribute(call.node, "axis", 0)))


def _slice(call: Call) -> Entries | None:
    if call.tracer.opset < 10:
        starts, ends, axes = (_attribute(call.node, name, None) for name in ("starts", "ends", "axes"))
        steps = None
    else:
        starts, ends = _numbers(call.inputs[1]), _numbers(call.inputs[2])
        axes = _numbers(call.inputs[3]) if len(call.inputs) > 3 and call.inputs[3] is not None else None
        steps = _numbers(call.inputs[4]) if len(call.inputs) > 4 and call.inputs[4] is not None else None
    array = call.inputs[0]
    cut: list[slice] = [slice(None)] * array.ndim
    for place, axis in enumerate(axes if axes is not None else range(len(starts))):
        step = steps[place] if steps else 1
        end = None if step < 0 and ends[place] < -(1 << 30) else ends[place]
        cut[axis] = slice(starts[place], end, step)
    return _wrapped(array[tuple(cut)])


def _squeeze(call: Call) -> Entries:
    axes = _attribute(call.node, "axes", None) if call.tracer.opset < 13 else None
    if len(call.inputs) > 1 and call.inputs[1] is not None:
        axes = _numbers(call.inputs[1])
    return _wrapped(np.squeeze(call.inputs[0], axis=None if axes is None else tuple(axes)))


def _unsqueeze(call: Call) -> Entries:
    axes = _attribute(call.node, "axes", None) if call.tracer.opset < 13 else _numbers(call.inputs[1])
    return _wrapped(np.expand_dims(call.inputs[0], tuple(axes)))


def _reshape(call: Call) -> Entries:
    return _wrapped(call.inputs[0].reshape(_numbers(call.inputs[1])))


def _transpose(call: Call) -> Entries:
    return _wrapped(np.transpose(call.inputs[0], _attribute(call.node, "perm", None)))


def _constant_of_shape(call: Call) -> Entries | None:
    value = call.node.attributes.get("value")
    fill = np.zeros(1, np.float32) if value is None else value.as_tensor().numpy()
    shape = _numbers(call.inputs[0])
    if fill.dtype.kind != "i" or np.prod(shape) > SMALL:
        return None
    return _objects([int(fill.reshape(-1)[0])] * int(np.prod(shape)), tuple(shape))


def _range(call: Call) -> Entries | None:
    start, end, step = (_numbers(item)[0] for item in call.inputs)
    items = list(range(start, end, step))
    return _objects(items, (len(items),)) if len(items) <= SMALL else None


def _binary(how: Callable[[int, int], int]) -> Callable[[Call], Entries]:
    def compute(call: Call) -> Entries:
        def one(a: Any, b: Any) -> Any:
            left, right = plain(a), plain(b)
            if left is not None and right is not None:
                return how(left, right)
            return Derived(tuple(uses(_objects([a, b], (2,)))))

        return _wrapped(np.frompyfunc(one, 2, 1)(call.inputs[0], call.inputs[1]))

    return compute


def _divide(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _where(call: Call) -> Entries:
    def one(chosen: Any, a: Any, b: Any) -> Any:
        known = plain(chosen)
        if known is not None:
            return a if known else b
        return Derived(tuple(uses(_objects([chosen, a, b], (3,)))))

    return _wrapped(np.frompyfunc(one, 3, 1)(*call.inputs))


def _wrapped(found: Any) -> Entries:
    if isinstance(found, np.ndarray):
        return found
    return _objects([found], ())


_HOW: dict[str, Callable[[Call], Any]] = {
    "Shape": _shape,
    "Identity": _same,
    "Cast": _cast,
    "Concat": _concat,
    "Gather": _gather,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Add": _binary(lambda a, b: a + b),
    "Sub": _binary(lambda a, b: a - b),
    "Mul": _binary(lambda a, b: a * b),
    "Div": _binary(_divide),
    "Equal": _binary(lambda a, b: int(a == b)),
    "Where": _where,
}

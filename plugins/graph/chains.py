"""Two nodes in a row that are one, or none: Transpose, Reshape, Cast, Unsqueeze with Squeeze."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from .values import graph_of, integer, integers, is_op, only_reader
from .workspace import Workspace

_FLOATS = ("FLOAT16", "FLOAT", "DOUBLE")
_SIGNED = ("INT8", "INT16", "INT32", "INT64")
_UNSIGNED = ("UINT8", "UINT16", "UINT32", "UINT64")
#: types whose every value the type of the key holds exactly
_HOLDS: dict[str, set[str]] = {
    "FLOAT": {"FLOAT16", "BFLOAT16", "INT8", "INT16", "UINT8", "UINT16", "BOOL"},
    "DOUBLE": {"FLOAT16", "BFLOAT16", "FLOAT", "INT8", "INT16", "INT32", "UINT8", "UINT16", "UINT32", "BOOL"},
    "FLOAT16": {"INT8", "UINT8", "BOOL"},
    **{name: {"BOOL", *_SIGNED[:index], *_UNSIGNED[:index]} for index, name in enumerate(_SIGNED)},
    **{name: {"BOOL", *_UNSIGNED[:index]} for index, name in enumerate(_UNSIGNED)},
}
_RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def merge_chains(space: Workspace) -> None:
    """Merge each pair of nodes in the scope that does what one of them could do alone."""
    for node in space.nodes():
        merge = _MERGES.get(node.op_type) if is_op(node, node.op_type) else None
        source = node.inputs[0] if node.inputs else None
        before = source.producer() if source is not None else None
        if merge is None or before is None or before.graph is not node.graph or not space.selects(node, before):
            continue
        merge(space, before, node)


def merge_transposes(space: Workspace) -> None:
    """Merge each two Transposes in a row that are in the scope."""
    for node in space.nodes():
        source = node.inputs[0] if is_op(node, "Transpose") else None
        before = source.producer() if source is not None else None
        if before is not None and before.graph is node.graph and space.selects(node, before):
            _transposes(space, before, node)


def _skip(space: Workspace, before: ir.Node, node: ir.Node, detail: str) -> None:
    """Let `node` read what `before` reads; `before` goes when nothing else needs it."""
    node.replace_input_with(0, before.inputs[0])
    space.rewritten(node, detail)
    if not any(value.uses() or value.is_graph_output() for value in before.outputs):
        space.remove(before, f"merged into {node.name}")


def _cancel(space: Workspace, before: ir.Node, node: ir.Node) -> None:
    source = before.inputs[0]
    if source is not None and space.alias(node.outputs[0], source):
        space.remove(node, f"undoes {before.name}")
        if not any(value.uses() or value.is_graph_output() for value in before.outputs):
            space.remove(before, f"undone by {node.name}")


def _transposes(space: Workspace, before: ir.Node, node: ir.Node) -> None:
    first, second = integers(before, "perm"), integers(node, "perm")
    if not is_op(before, "Transpose") or first is None or second is None:
        return
    order = [first[axis] for axis in second]
    if order == sorted(order):
        _cancel(space, before, node)
    elif only_reader(before.outputs[0]) is node:
        node.attributes.add(ir.AttrInt64s("perm", order))
        _skip(space, before, node, f"takes over the order of {before.name}")


def _reshapes(space: Workspace, before: ir.Node, node: ir.Node) -> None:
    target = space.array(node.inputs[1]) if len(node.inputs) > 1 else None
    if not is_op(before, *_RESHAPES) or target is None or only_reader(before.outputs[0]) is not node:
        return
    if integer(node, "allowzero", 0) == 0 and not target.all():
        resolved = _without_zeros(target.tolist(), node.outputs[0].shape)
        if resolved is None:
            return
        tensor = ir.tensor(np.asarray(resolved, dtype=np.int64))
        node.replace_input_with(1, space.initializer(graph_of(node), f"{node.outputs[0].name}_shape", tensor))
    _skip(space, before, node, f"reshapes what {before.name} reshaped")


def _without_zeros(target: list[int], shape: ir.Shape | None) -> list[int] | None:
    """Replace 0 ("as in the input") by the known size, or one of them by -1; None where neither works."""
    known = list(shape) if shape is not None and len(shape) == len(target) else [None] * len(target)
    sizes = [have if want == 0 and isinstance(have, int) else want for want, have in zip(target, known, strict=True)]
    if 0 not in sizes:
        return sizes
    if sizes.count(0) == 1 and -1 not in sizes:
        return [size or -1 for size in sizes]
    return None


def _casts(space: Workspace, before: ir.Node, node: ir.Node) -> None:
    source = before.inputs[0] if is_op(before, "Cast") else None
    middle = before.outputs[0].dtype
    if source is None or source.dtype is None or middle is None or only_reader(before.outputs[0]) is not node:
        return
    target = ir.DataType(integer(node, "to", 0)).name
    if source.dtype.name not in _HOLDS.get(middle.name, set()) or target not in _targets(source.dtype.name):
        return
    _skip(space, before, node, f"casts what {before.name} had cast without loss")


def _targets(source: str) -> set[str]:
    """Types to which a cast from `source` rounds once: wide integers reach half precision through float32."""
    wide = source in (*_SIGNED[2:], *_UNSIGNED[2:])
    return {*_FLOATS[1 if wide else 0 :], *_SIGNED, *_UNSIGNED, "BOOL"}


def _squeezes(space: Workspace, before: ir.Node, node: ir.Node) -> None:
    first, second = _axes(space, before), _axes(space, node)
    if is_op(before, "Unsqueeze") and first and first == second and min(first) >= 0:
        _cancel(space, before, node)


def _axes(space: Workspace, node: ir.Node) -> list[int] | None:
    """Give the axes of a Squeeze or Unsqueeze, an attribute before opset 13 and an input after."""
    given = integers(node, "axes")
    if given is None:
        array = space.array(node.inputs[1]) if len(node.inputs) > 1 else None
        given = array.reshape(-1).tolist() if array is not None else None
    return sorted(given) if given is not None else None


_MERGES: dict[str, Callable[[Workspace, ir.Node, ir.Node], None]] = {
    "Transpose": _transposes,
    "Reshape": _reshapes,
    "Cast": _casts,
    "Squeeze": _squeezes,
}

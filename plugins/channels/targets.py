"""The shapes that Reshape and Expand are given, and how these follow when units go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .arithmetic import Derived, Dim, uses

if TYPE_CHECKING:
    import onnx_ir as ir

    from .cutting import Cut
    from .elements import Ids
    from .sizes import Size
    from .tracer import Axes, Tracer

COMPUTED = "{} computes a size with it in a way that cannot be followed"


def reshaped(
    before: Sequence[Size], target: Sequence[Any], found: Sequence[Size] | None, *, copies: bool
) -> tuple[Size, ...]:
    """Give the sizes of a Reshape's result as far as they are known.

    Parameters
    ----------
    target
        The entries of the shape that it is given.
    found
        What shape inference says.
    copies
        Whether 0 stands for the size of the same axis of the input.
    """
    sizes: list[Size] = []
    for at, entry in enumerate(target):
        if isinstance(entry, Dim):
            sizes.append(entry.size)
        elif isinstance(entry, Derived):
            sizes.append(found[at] if found is not None and len(found) == len(target) else None)
        else:
            sizes.append(before[at] if entry == 0 and copies and at < len(before) else entry)
    if -1 in sizes:
        at = sizes.index(-1)
        sizes[at] = found[at] if found is not None and len(found) == len(sizes) else None
        if not isinstance(sizes[at], int):
            sizes[at] = _rest(before, [size for place, size in enumerate(sizes) if place != at]) or sizes[at]
    return tuple(sizes)


def _rest(before: Sequence[Size], after: Sequence[Size]) -> Size:
    """Give the size that -1 stands for: what is left when equal sizes are struck out on both sides."""
    left, right = list(before), list(after)
    for size in after:
        if not isinstance(size, int) and size is not None and size in left:
            left.remove(size)
            right.remove(size)
    if len(left) == 1 and not right:
        return left[0]
    if not all(isinstance(size, int) for size in (*left, *right)):
        return None
    whole = math.prod(size for size in left if isinstance(size, int))
    part = math.prod(size for size in right if isinstance(size, int))
    return whole // part if part else None


def follow_target(
    tracer: Tracer,
    node: ir.Node,
    index: int,
    target: Sequence[Any],
    copied: Axes,
    result: Axes,
    after: Sequence[Size],
) -> None:
    """Lock what a shape computes with in vain, and let the rest of it follow when units go.

    Parameters
    ----------
    index
        Which of the node's inputs it is.
    target
        Its entries.
    copied
        The elements that an entry of 0 copies the number of.
    result, after
        Elements and sizes of the axes that it makes.
    """
    for entry, ids, size in zip(target, result, after, strict=True):
        if ids is None and not isinstance(size, int):
            for used in uses(_single(entry)):
                tracer.lock(used, COMPUTED.format(tracer.describe(node)))

    def fix(cut: Cut) -> None:
        new = [
            _new_entry(cut, entry, copy, ids, size)
            for entry, copy, ids, size in zip(target, copied, result, after, strict=True)
        ]
        if all(entry is None for entry in new):
            return
        mixed = [old if entry is None else entry for old, entry in zip(target, new, strict=True)]
        fixed = {at: size for at, entry in enumerate(mixed) if (size := _fixed(entry)) is not None}
        dynamic = [at for at in range(len(mixed)) if at not in fixed]
        if len(dynamic) == 1 and -1 not in fixed.values() and node.op_type == "Reshape":
            fixed[dynamic[0]] = -1
        if len(fixed) < len(mixed):
            cut.put_some(node, index, fixed, len(mixed))
        elif tracer.opset < 5 and node.op_type == "Reshape":
            cut.set_integers(node, "shape", [fixed[at] for at in range(len(mixed))])
        else:
            cut.put(node, index, [fixed[at] for at in range(len(mixed))])

    tracer.fix(node, fix)


def _single(entry: Any) -> Any:
    import numpy as np

    array = np.empty(1, dtype=object)
    array[0] = entry
    return array


def _fixed(entry: Any) -> int | None:
    """Give an entry that is a number whatever goes."""
    size = entry.size if isinstance(entry, Dim) and entry.ids is None else entry
    return size if isinstance(size, int) else None


def _new_entry(cut: Cut, entry: Any, copied: Ids | None, ids: Ids | None, size: Size) -> int | None:
    """Give what an entry has to be set to when units go; None where it is right as it is."""
    if isinstance(entry, int) and entry == -1:
        return None
    wanted = size if ids is None else cut.size(ids)
    if not isinstance(wanted, int):
        return None
    if isinstance(entry, Dim):
        now = entry.size if entry.ids is None else cut.size(entry.ids)
        return None if now == wanted else wanted
    if isinstance(entry, Derived):
        changed = any(not cut.keep(used).all() for used in entry.uses) or (ids is not None and wanted != len(ids))
        return wanted if changed else None
    if entry == 0 and copied is not None:
        return None if cut.size(copied) == wanted else wanted
    if entry == 0 or ids is None or wanted == entry:
        return None
    return wanted

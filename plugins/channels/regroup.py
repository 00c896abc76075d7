"""Splitting and merging axes: what Reshape and Flatten do to elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .elements import Product

if TYPE_CHECKING:
    import onnx_ir as ir

    from .elements import Ids
    from .sizes import Size
    from .tracer import Axes, Tracer

LOST = "{} mixes it with other axes in a way that cannot be followed"


def regroup(tracer: Tracer, node: ir.Node, axes: Axes, before: Sequence[Size], after: Sequence[Size] | None) -> Axes:
    """Give the elements along the axes of a tensor that is looked at in another shape.

    Parameters
    ----------
    axes, before
        Elements and sizes of the axes.
    after
        Sizes of the new axes; None for one axis.
    """
    if after is None:
        merged = _merge(tracer, axes, before) if all(isinstance(size, int) for size in before) else None
        if merged is None:
            _lose(tracer, node, axes)
        return [merged]
    result: Axes = [None] * len(after)
    for old, new in _blocks(before, after):
        block, sizes = axes[old], before[old]
        if all(ids is None for ids in block):
            continue
        wanted = after[new]
        if not all(isinstance(size, int) for size in (*sizes, *wanted)) or _size(sizes) != _size(wanted):
            if len(wanted) == len(sizes) == 1:
                result[new] = block
            else:
                _lose(tracer, node, block)
            continue
        flat = _merge(tracer, block, sizes)
        if flat is not None:
            result[new] = _split(tracer, flat, [size for size in wanted if isinstance(size, int)])
    return result


def _lose(tracer: Tracer, node: ir.Node, axes: Axes) -> None:
    for ids in axes:
        tracer.lock(ids, LOST.format(tracer.describe(node)))


def _size(sizes: Sequence[Size]) -> int:
    return math.prod(size for size in sizes if isinstance(size, int))


def _blocks(before: Sequence[Size], after: Sequence[Size]) -> list[tuple[slice, slice]]:
    """Pair runs of old axes with runs of new ones of the same size, from both ends; what is left is one block."""
    ends: list[tuple[slice, slice]] = []
    i, j = len(before), len(after)
    while i and j and (step := _step(before[:i][::-1], after[:j][::-1])) is not None:
        ends.append((slice(i - step[0], i), slice(j - step[1], j)))
        i, j = i - step[0], j - step[1]
    begins: list[tuple[slice, slice]] = []
    at, to = 0, 0
    while at < i and to < j and (step := _step(before[at:i], after[to:j])) is not None:
        begins.append((slice(at, at + step[0]), slice(to, to + step[1])))
        at, to = at + step[0], to + step[1]
    return [*begins, (slice(at, i), slice(to, j)), *ends]


def _step(before: Sequence[Size], after: Sequence[Size]) -> tuple[int, int] | None:
    """Count the leading axes on both sides that hold the same number of elements; None where that is not known."""
    if before[0] == after[0] and before[0] is not None:
        return 1, 1
    i = j = 0
    one = other = 1
    while True:
        if i and j and one == other:
            return i, j
        size: Size
        if not i or (j and one < other):
            if i == len(before):
                return None
            size = before[i]
            i += 1
            if not isinstance(size, int):
                return None
            one *= size
        else:
            if j == len(after):
                return None
            size = after[j]
            j += 1
            if not isinstance(size, int):
                return None
            other *= size


def _merge(tracer: Tracer, axes: Axes, sizes: Sequence[Size]) -> Ids | None:
    """Give the elements of several axes seen as one: an index of it goes when an index of any axis goes."""
    grid = tuple(size for size in sizes if isinstance(size, int))
    live = [axis for axis, ids in enumerate(axes) if ids is not None]
    if not live:
        return None
    if len(live) == 1:
        ids = axes[live[0]]
        assert ids is not None
        shape = [1] * len(grid)
        shape[live[0]] = len(ids)
        return np.ascontiguousarray(np.broadcast_to(ids.reshape(shape), grid)).reshape(-1)
    whole = tracer.elements.new(math.prod(grid))
    tracer.elements.products.append(Product(whole.reshape(grid), tuple(axes)))
    return whole


def _split(tracer: Tracer, flat: Ids, grid: Sequence[int]) -> Axes:
    """Give the elements of the axes that one axis is seen as."""
    many = [axis for axis, size in enumerate(grid) if size > 1]
    result: Axes = [None] * len(grid)
    if len(many) == 1:
        result[many[0]] = flat
        return result
    whole = flat.reshape(grid)
    for axis in many:
        line = np.moveaxis(whole, axis, 0).reshape(grid[axis], -1)
        if (line == line[:, :1]).all():
            result[axis] = np.ascontiguousarray(line[:, 0])
            return result
    known = next(
        (p for p in tracer.elements.products if p.whole.shape == whole.shape and np.array_equal(p.whole, whole)), None
    )
    if known is not None:
        return list(known.factors)
    factors = tuple(tracer.elements.new(size) if size > 1 else None for size in grid)
    tracer.elements.products.append(Product(whole, factors))
    return list(factors)

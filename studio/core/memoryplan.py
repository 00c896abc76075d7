"""A plan of the activations' memory: each tensor at an offset of one arena.

The order is the file's. Offsets are those of greedy-by-size: the largest buffer first, each into the
lowest gap that is free throughout its life (Pisarchyk and Lee 2020, "Efficient Memory Management for Deep
Neural Net Inference", arXiv:2001.03288).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from studio.core.dataflow import Dataflow, lifetimes, peak_bytes, read_dataflow
from studio.core.frozen import Frozen

if TYPE_CHECKING:
    import onnx

#: bytes to which offsets are rounded up: a cache line
ALIGNMENT = 64


class PlannedTensor(Frozen):
    """A buffer of the arena.

    Attributes
    ----------
    tensor
        The tensor that is put there; views of it (Reshape and the like) share it.
    bytes, offset
        Size and place.
    first, last
        Steps of the order at which it is first and last held.
    maker, reader
        Names of the nodes at these steps.
    """

    tensor: str
    bytes: int
    offset: int
    first: int
    last: int
    maker: str
    reader: str


class MemoryPlan(Frozen):
    """Where the activations of a model can lie when its nodes run in the order of the file.

    Attributes
    ----------
    arena_bytes
        Size of the arena.
    peak_bytes
        Most bytes held at one step, which no plan for this order can go below.
    total_bytes
        What they would take without sharing.
    peak_node
        The node at which the most is held.
    tensors
        Largest first.
    unknown
        Tensors whose size is not known; they are not counted.
    assumed
        Sizes taken for dynamic dimensions.
    """

    arena_bytes: int
    peak_bytes: int
    total_bytes: int
    peak_node: str
    tensors: tuple[PlannedTensor, ...]
    unknown: tuple[str, ...] = ()
    assumed: dict[str, int] = {}


def plan_memory(proto: onnx.ModelProto, dims: Mapping[str, int] | None = None) -> MemoryPlan:
    """Plan the memory of a model's activations.

    Parameters
    ----------
    dims
        Sizes of dynamic dimensions, as for `modelinfo.with_fixed_dims`.
    """
    flow = read_dataflow(proto, dims)
    return plan_order(flow, range(len(flow.names)))


def plan_order(flow: Dataflow, order: Sequence[int]) -> MemoryPlan:
    """Plan the memory for an order of execution."""
    lives = lifetimes(flow, order)
    offsets = place(flow.sizes, lives)
    names = [flow.names[node] for node in order]
    tensors = [
        PlannedTensor(
            tensor=flow.tensors[index],
            bytes=flow.sizes[index],
            offset=offsets[index],
            first=first,
            last=last,
            maker=names[first],
            reader=names[last],
        )
        for index, (first, last) in enumerate(lives)
        if flow.sizes[index]
    ]
    return MemoryPlan(
        arena_bytes=max((tensor.offset + tensor.bytes for tensor in tensors), default=0),
        peak_bytes=peak_bytes(flow, order),
        total_bytes=sum(flow.sizes),
        peak_node=_peak_node(tensors, names),
        tensors=tuple(sorted(tensors, key=lambda tensor: (-tensor.bytes, tensor.first))),
        unknown=flow.unknown,
        assumed=dict(flow.assumed or {}),
    )


def place(sizes: Sequence[int], lives: Sequence[tuple[int, int]]) -> list[int]:
    """Give each buffer an offset so that no two that live at once overlap, by greedy-by-size."""
    import numpy as np

    firsts, lasts = (np.asarray([life[side] for life in lives], dtype=np.int64) for side in (0, 1))
    bytes_ = np.asarray(sizes, dtype=np.int64)
    offsets = np.zeros(len(sizes), dtype=np.int64)
    done = np.zeros(len(sizes), dtype=bool)
    for index in sorted(range(len(sizes)), key=lambda item: (-sizes[item], lives[item])):
        if sizes[index]:
            alive = np.flatnonzero(done & (firsts <= lasts[index]) & (lasts >= firsts[index]))
            alive = alive[np.argsort(offsets[alive], kind="stable")]
            offsets[index] = _gap(offsets[alive].tolist(), bytes_[alive].tolist(), sizes[index])
            done[index] = True
    return [int(offset) for offset in offsets]


def _gap(offsets: Sequence[int], sizes: Sequence[int], wanted: int) -> int:
    """Give the lowest offset with `wanted` bytes free; the others are sorted by offset."""
    end = 0
    for offset, size in zip(offsets, sizes, strict=True):
        if offset - end >= wanted:
            return end
        end = max(end, -(-(offset + size) // ALIGNMENT) * ALIGNMENT)
    return end


def _peak_node(tensors: Sequence[PlannedTensor], names: Sequence[str]) -> str:
    held = [0] * (len(names) + 1)
    for tensor in tensors:
        held[tensor.first] += tensor.bytes
        held[tensor.last + 1] -= tensor.bytes
    total, best, where = 0, 0, ""
    for step, delta in enumerate(held[:-1]):
        total += delta
        if total > best:
            best, where = total, names[step]
    return where

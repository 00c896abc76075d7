"""Choosing exactly k weights of least magnitude, one tensor in memory at a time.

Magnitudes are compared as the bit patterns of ``abs(float32(w))``, whose order as unsigned integers is
that of the numbers, NaN above infinity. Two passes of a radix selection (upper, then lower 16 bits)
find the k-th smallest of any number of tensors with 512 KiB of counters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 16
Load = Callable[[], NDArray[Any]]


@dataclass(frozen=True)
class Cut:
    """What to set to zero in one tensor.

    Attributes
    ----------
    threshold
        Bit pattern of a magnitude: all below it go.
    ties
        How many of those that equal it go too, the first ones in memory order.
    zeros
        How many zeros the tensor then has, those included that it had before.
    """

    threshold: int
    ties: int
    zeros: int


def choose(tensors: Sequence[Load], count: int, step: Callable[[], None]) -> list[Cut]:
    """Find the `count` weights of least magnitude over all tensors.

    Parameters
    ----------
    tensors
        Each gives an array of floats, any shape; called twice.
    count
        How many weights shall go, at most as many as there are.
    step
        Called before each tensor is read; may raise to stop.

    Returns
    -------
    list of Cut
        One a tensor. Among equal magnitudes, earlier tensors go first.
    """
    if count <= 0:
        return [Cut(0, 0, 0) for _ in tensors]
    upper = np.sum(_count(tensors, step, lambda bits: bits >> np.uint32(16)), axis=0)
    bucket, before = _locate(upper, count)
    lows = _count(tensors, step, lambda bits: bits[(bits >> np.uint32(16)) == bucket] & np.uint32(0xFFFF))
    low, below = _locate(np.sum(lows, axis=0), count - before)
    threshold = (bucket << 16) | low
    left = count - before - below
    cuts = []
    for load, counts in zip(tensors, lows, strict=True):
        ties = min(left, int(counts[low]))
        left -= ties
        step()
        bits = bit_patterns(load())
        zeros = int(np.count_nonzero(bits < threshold)) + ties if threshold else int(counts[0])
        cuts.append(Cut(threshold, ties, zeros))
    return cuts


def zeroed(array: NDArray[Any], cut: Cut) -> NDArray[Any]:
    """Give a copy with the weights of a cut set to zero; shape and dtype are kept."""
    bits = bit_patterns(array)
    gone = bits < cut.threshold
    if cut.ties:
        gone[np.flatnonzero(bits == cut.threshold)[: cut.ties]] = True
    result = array.copy().reshape(-1)
    result[gone] = 0
    return result.reshape(array.shape)


def bit_patterns(array: NDArray[Any]) -> NDArray[np.uint32]:
    """Give the magnitudes as unsigned integers of the same order, flat."""
    with np.errstate(over="ignore"):
        flat = np.abs(array.reshape(-1).astype(np.float32))
    return np.asarray(flat.view(np.uint32))


def _count(
    tensors: Sequence[Load], step: Callable[[], None], key: Callable[[NDArray[np.uint32]], NDArray[np.uint32]]
) -> list[NDArray[np.int64]]:
    counts = []
    for load in tensors:
        step()
        counts.append(np.bincount(key(bit_patterns(load())), minlength=BUCKETS).astype(np.int64))
    return counts


def _locate(counts: Any, rank: int) -> tuple[int, int]:
    """Give the bucket in which the element of 1-based `rank` lies, and how many lie in the buckets before."""
    totals = np.cumsum(counts)
    bucket = int(np.searchsorted(totals, rank))
    return bucket, int(totals[bucket] - counts[bucket])

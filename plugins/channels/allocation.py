"""How many units of each group go: least error of the output for a given cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Curve:
    """What it costs the output to take units out of a group.

    Attributes
    ----------
    key
        Of the group.
    size
        Units that the group has.
    order
        Units in the order in which they go, those already gone first.
    counts
        Numbers of units gone that may be chosen, increasing; the first is what is gone already.
    errors
        Of each count; increasing.
    worth
        What one unit costs.
    """

    key: str
    size: int
    order: tuple[int, ...]
    counts: tuple[int, ...]
    errors: tuple[float, ...]
    worth: float


def counts_for(size: int, most: int, multiple: int, gone: int = 0, parts: int = 1) -> tuple[int, ...]:
    """List the numbers of units that may be gone: what stays is a multiple, in steps of about a 16th or less."""
    unit = np.lcm(max(1, multiple), parts)
    found = [kept for kept in range(int(size - gone), max(0, size - most) - 1, -1) if kept % unit == 0 and kept > 0]
    return tuple(dict.fromkeys([gone, *(size - kept for kept in found)]))


def allocate(
    curves: Sequence[Curve], total: Callable[[Mapping[str, int]], float], target: float
) -> tuple[dict[str, int], bool]:
    """Choose a count of each group so that the cost falls to a target with the least sum of errors.

    For each price of a unit of cost every group takes the count that is cheapest; the price is found by halving.

    Parameters
    ----------
    total
        Cost when so many units of each group are gone.

    Returns
    -------
    tuple
        Units gone by group, and whether the target was reached.
    """
    least = {curve.key: curve.counts[0] for curve in curves}
    most = _at(curves, float("inf"))
    if total(least) <= target:
        return least, True
    if total(most) > target:
        return most, False
    low, high = -40.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        if total(_at(curves, 10.0**middle)) > target:
            low = middle
        else:
            high = middle
    return _filled(curves, total, target, _at(curves, 10.0**high), _at(curves, 10.0**low)), True


def _at(curves: Sequence[Curve], price: float) -> dict[str, int]:
    found = {}
    for curve in curves:
        counts, errors = np.asarray(curve.counts), np.asarray(curve.errors)
        if price == float("inf"):
            found[curve.key] = int(counts[-1])
            continue
        found[curve.key] = int(counts[int(np.argmin(errors - price * curve.worth * counts))])
    return found


def _filled(
    curves: Sequence[Curve],
    total: Callable[[Mapping[str, int]], float],
    target: float,
    enough: dict[str, int],
    less: dict[str, int],
) -> dict[str, int]:
    """Give back units where the target is still met: prices jump from one hull point to the next."""
    found = dict(enough)
    for curve in sorted(curves, key=lambda one: -one.worth):
        for count in curve.counts:
            if less[curve.key] <= count < found[curve.key] and total({**found, curve.key: count}) <= target:
                found[curve.key] = count
                break
    return found


def uniform(curves: Sequence[Curve], share: float) -> dict[str, int]:
    """Take the same share of each group, as nearly as the counts allow."""
    return {curve.key: min(curve.counts, key=lambda count: abs(count - share * curve.size)) for curve in curves}

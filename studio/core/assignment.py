"""One form for each layer: the cheapest set within limits, by integer programming (multiple-choice knapsack)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

#: seconds after which the best solution so far is taken
SECONDS = 10.0


@dataclass(frozen=True)
class Item:
    """What one form of a group costs and does, all relative to leaving the group as it is.

    Attributes
    ----------
    cost
        What is to be small: milliseconds, say; negative where it saves.
    noise
        Error that it adds; adds up over groups.
    flips
        Share of samples whose class it changes; adds up as the worst case.
    bytes
        Bytes more (negative: fewer).
    """

    cost: float = 0.0
    noise: float = 0.0
    flips: float = 0.0
    bytes: float = 0.0


@dataclass(frozen=True)
class Limits:
    """What the sums over all groups may be at most; None for no limit."""

    noise: float | None = None
    flips: float | None = None
    bytes: float | None = None


@dataclass(frozen=True)
class Assignment:
    """The form chosen for each group.

    Attributes
    ----------
    chosen
        Index of an item for each group.
    gap
        How far the solution may be from the best one, relative to its cost; 0.0 when it is the best.
    feasible
        Whether the limits are kept; when they cannot be, the items of least noise (or fewest bytes) are given.
    """

    chosen: tuple[int, ...]
    gap: float
    feasible: bool = True


def assign(groups: Sequence[Sequence[Item]], limits: Limits) -> Assignment:
    """Choose one item of each group so that costs are least and the limits are kept.

    Solved by HiGHS, which either proves that nothing is better or says how far that may be.

    Parameters
    ----------
    groups
        The items of each group; at least one each.
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    items = [(number, item) for number, group in enumerate(groups) for item in group]
    if not items:
        return Assignment((), 0.0)
    one = csr_array(
        (np.ones(len(items)), ([number for number, _ in items], range(len(items)))), shape=(len(groups), len(items))
    )
    constraints = [LinearConstraint(one, 1, 1)]
    for name in ("noise", "flips", "bytes"):
        limit = getattr(limits, name)
        if limit is None:
            continue
        row = np.array([getattr(item, name) for _, item in items])
        scale = max(float(np.abs(row).max()), abs(limit), 1e-300)
        constraints.append(LinearConstraint(row[None] / scale, -np.inf, limit / scale))
    cost = np.array([item.cost for _, item in items])
    # A little of the noise in the cost: of equal costs the more faithful one.
    noise = np.array([item.noise for _, item in items])
    largest = max(float(np.abs(cost).max()), 1e-12)
    weights = cost / largest + 1e-7 * noise / max(float(noise.max()), 1e-300)
    found = milp(
        weights,
        integrality=np.ones(len(items)),
        bounds=Bounds(0, 1),
        constraints=constraints,
        options={"time_limit": SECONDS, "mip_rel_gap": 0.0},
    )
    if found.x is None:
        return Assignment(_safest(groups, limits), 0.0, feasible=False)
    starts = np.cumsum([0, *(len(group) for group in groups)])
    chosen = tuple(int(found.x[start:end].argmax()) for start, end in itertools.pairwise(starts))
    return Assignment(chosen, float(found.mip_gap or 0.0))


def _safest(groups: Sequence[Sequence[Item]], limits: Limits) -> tuple[int, ...]:
    accurate = limits.noise is not None or limits.flips is not None

    def least(item: Item) -> tuple[float, float]:
        return (item.noise, item.bytes) if accurate else (item.bytes, item.noise)

    return tuple(min(range(len(group)), key=lambda index: least(group[index])) for group in groups)

"""Sharing a budget among layers: each next step of rank goes where it saves most error for its cost."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


#: share of a layer's energy that is not worth any cost
NOTHING = 1e-7


@dataclass(frozen=True)
class Demand:
    """What a layer gains and costs by its rank.

    Attributes
    ----------
    energies
        What each rank adds of the outputs' energy, largest first, summing to 1.
    unit
        Cost of one rank.
    dense
        Cost of the layer as it is.
    """

    energies: NDArray[np.float64]
    unit: float
    dense: float


def share_out(demands: Mapping[str, Demand], total: float, multiple: int) -> dict[str, int | None]:
    """Choose a rank for each layer so that their costs sum to at most `total`, less where more would gain nothing.

    Parameters
    ----------
    demands
        By name of the layer.
    multiple
        Ranks are multiples of it.

    Returns
    -------
    dict
        Rank by name; None for a layer that stays as it is, because its rank would cost as much.
        Every layer gets one step at least, whatever the total.
    """
    ranks: dict[str, int | None] = {}
    queue: list[tuple[float, str]] = []
    spent = 0.0
    for name, demand in demands.items():
        first = _next(demand, 0, multiple)
        ranks[name] = first
        spent += demand.dense if first is None else first * demand.unit
        if first is not None:
            heapq.heappush(queue, (-_gain(demand, first, multiple), name))
    while queue:
        _, name = heapq.heappop(queue)
        demand, rank = demands[name], ranks[name]
        assert rank is not None
        wanted = _next(demand, rank, multiple)
        more = (demand.dense if wanted is None else wanted * demand.unit) - rank * demand.unit
        if spent + more > total or float(demand.energies[rank:].sum()) < NOTHING:
            continue
        spent += more
        ranks[name] = wanted
        if wanted is not None:
            heapq.heappush(queue, (-_gain(demand, wanted, multiple), name))
    return ranks


def _next(demand: Demand, rank: int, multiple: int) -> int | None:
    """Give the next rank that costs less than the layer as it is, if any."""
    wanted = rank + multiple
    return wanted if wanted * demand.unit < demand.dense and wanted < len(demand.energies) else None


def _gain(demand: Demand, rank: int, multiple: int) -> float:
    """Give the error saved by the next step for each unit of cost."""
    wanted = _next(demand, rank, multiple)
    if wanted is None:
        return float(demand.energies[rank:].sum()) / max(demand.dense - rank * demand.unit, 1e-9)
    return float(demand.energies[rank:wanted].sum()) / ((wanted - rank) * demand.unit)


def rank_of_energy(energies: NDArray[np.float64], share: float, multiple: int) -> int:
    """Give the smallest rank, a multiple, that keeps a share of the energy."""
    import numpy as np

    total = float(energies.sum())
    kept = np.cumsum(energies) / max(total, 1e-30)
    rank = int(np.searchsorted(kept, share - 1e-12)) + 1
    return min(len(energies), -(-rank // multiple) * multiple)

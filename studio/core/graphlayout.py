"""A layered picture of a graph: ranks by longest path, order in a rank by barycentres.

The method is that of Sugiyama, Tagawa and Toda (1981) without dummy vertices: edges are drawn straight
through. That keeps it linear in the size of the graph, which matters more here than the last crossing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: sweeps down and up; more change little
SWEEPS = 4


def ranks(edges: Sequence[tuple[int, int]], count: int) -> list[int]:
    """Give each node the length of the longest path that leads to it.

    Parameters
    ----------
    edges
        Pairs of indices, source and target, of an acyclic graph in topological order of the indices.
    count
        How many nodes there are.
    """
    rank = [0] * count
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        rank[target] = max(rank[target], rank[source] + 1)
    return _pulled_down(rank, edges)


def positions(edges: Sequence[tuple[int, int]], rank: Sequence[int]) -> list[float]:
    """Give each node its x in units of a node's width, centred on 0 in each rank.

    Notes
    -----
    Nodes of a rank are ordered by the mean place of their neighbours, in a few sweeps down and up
    (the barycentre heuristic), then spread evenly around the mean of their neighbours' x.
    """
    rows: dict[int, list[int]] = {}
    for node, row in enumerate(rank):
        rows.setdefault(row, []).append(node)
    above, below = _neighbours(edges)
    x = [0.0] * len(rank)
    for members in rows.values():
        _spread(members, x)
    for sweep in range(SWEEPS):
        neighbours = above if sweep % 2 == 0 else below
        for key in sorted(rows, reverse=sweep % 2 == 1):
            wanted = {node: _mean(neighbours.get(node, ()), x, x[node]) for node in rows[key]}
            rows[key].sort(key=lambda node: (wanted[node], node))
            _place(rows[key], wanted, x)
    return x


def _pulled_down(rank: list[int], edges: Sequence[tuple[int, int]]) -> list[int]:
    """Bring nodes without a predecessor next to their first user, so that no edge crosses the whole picture."""
    first: dict[int, int] = {}
    has_source = {target for _, target in edges}
    for source, target in edges:
        if source not in has_source:
            first[source] = min(first.get(source, rank[target]), rank[target])
    for node, row in first.items():
        rank[node] = max(0, row - 1)
    return rank


def _neighbours(
    edges: Sequence[tuple[int, int]],
) -> tuple[Mapping[int, list[int]], Mapping[int, list[int]]]:
    above: dict[int, list[int]] = {}
    below: dict[int, list[int]] = {}
    for source, target in edges:
        above.setdefault(target, []).append(source)
        below.setdefault(source, []).append(target)
    return above, below


def _mean(nodes: Sequence[int], x: Sequence[float], otherwise: float) -> float:
    return sum(x[node] for node in nodes) / len(nodes) if nodes else otherwise


def _spread(row: Sequence[int], x: list[float]) -> None:
    for place, node in enumerate(row):
        x[node] = place - (len(row) - 1) / 2


def _place(row: Sequence[int], wanted: Mapping[int, float], x: list[float]) -> None:
    """Put nodes where they want to be, but at least one apart, and the row centred on what it wants."""
    right = float("-inf")
    for node in row:
        x[node] = max(wanted[node], right + 1)
        right = x[node]
    shift = sum(wanted[node] - x[node] for node in row) / len(row)
    for node in row:
        x[node] += shift

"""Places of a layered drawing: rows from top to bottom, edges routed around what they pass.

Sugiyama, Tagawa and Toda 1981, by the library fast-sugiyama. Edges that would cross the whole picture (of a maker with
many readers, or over many rows) are cut out first and drawn as stubs that name the other end: one attention mask would
else put hundreds of thousands of invisible vertices into the picture.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: a maker with so many readers keeps its edge to the nearest only
FAN_OUT = 8
#: edges over more rows are cut
SPAN = 60
#: rows over which a drift to a side is seen
STRAIGHTENED = 25
#: widths of an item and of an edge that passes, in units of an item's width
ITEM, PASSING = 1.0, 0.16
#: what the library takes for the distance of neighbours
_SPACING = 10


@dataclass(frozen=True)
class Places:
    """Where items stand.

    Attributes
    ----------
    x
        float64 ``(items,)``, in item widths.
    row
        int64 ``(items,)``, from 0 at the top.
    routes
        For each drawn edge its corners ``(x, row)`` from source to target.
    edges
        int64 ``(drawn, 2)``: the edges that are drawn, as `routes`.
    cut
        int64 ``(cut, 2)``: the edges that are not.
    """

    x: NDArray[np.float64]
    row: NDArray[np.int64]
    routes: list[NDArray[np.float64]]
    edges: NDArray[np.int64]
    cut: NDArray[np.int64]


def place_items(edges: NDArray[np.int64], fed: NDArray[np.bool_]) -> Places:
    """Place the items of an acyclic graph.

    Parameters
    ----------
    edges
        int64 ``(edges, 2)``, each pair once.
    fed
        bool ``(items,)``: whether an item depends on the model's inputs; the others stand above their first user.
    """
    import numpy as np

    count = len(fed)
    rank = _ranks(edges, fed)
    keep = _kept(rank, edges)
    drawn, cut = edges[keep], edges[~keep]
    x, row = np.zeros(count), np.full(count, -1, np.int64)
    routes: dict[tuple[int, int], NDArray[np.float64]] = {}
    left = 0.0
    for part in _components(count, drawn):
        left = _take(part, x, row, routes, left)
    _place_alone(x, row, rank, cut)
    ordered = [routes[int(source), int(target)] for source, target in drawn]
    return Places(x, row, ordered, drawn, cut)


def _ranks(edges: NDArray[np.int64], fed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give each item the length of the longest path to it (Kahn 1962); constants move down to their first user."""
    import numpy as np

    count = len(fed)
    after: list[list[int]] = [[] for _ in range(count)]
    waiting = np.zeros(count, np.int64)
    for source, target in edges.tolist():
        after[source].append(target)
        waiting[target] += 1
    rank = [0] * count
    missing: list[int] = waiting.tolist()
    ready = [item for item in range(count) if not missing[item]]
    order = []
    while ready:
        item = ready.pop()
        order.append(item)
        for target in after[item]:
            rank[target] = max(rank[target], rank[item] + 1)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    for item in reversed(order):
        if not fed[item] and after[item]:
            rank[item] = min(rank[target] for target in after[item]) - 1
    return np.array(rank, np.int64)


def _kept(rank: NDArray[np.int64], edges: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say which edges are drawn."""
    import numpy as np

    if not len(edges):
        return np.zeros(0, bool)
    span = rank[edges[:, 1]] - rank[edges[:, 0]]
    fan = np.bincount(edges[:, 0], minlength=len(rank))[edges[:, 0]]
    order = np.lexsort((span, edges[:, 0]))
    nearest = np.zeros(len(edges), bool)
    nearest[order[np.unique(edges[order, 0], return_index=True)[1]]] = True
    return np.asarray((span <= SPAN) & ((fan < FAN_OUT) | nearest))


@dataclass(frozen=True)
class _Part:
    """A connected part: where its vertices stand, and what each leads to; passing ones have negative names."""

    places: dict[int, tuple[float, float]]
    links: dict[int, list[int]]


def _components(count: int, edges: NDArray[np.int64]) -> Iterator[_Part]:
    """Lay out each connected part by itself: the library mixes up passing vertices of several."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(edges):
        return
    matrix = coo_array((np.ones(len(edges), np.int8), edges.T), shape=(count, count))
    _, labels = connected_components(matrix.tocsr(), directed=False)
    owner = labels[edges[:, 0]]
    for label in dict.fromkeys(owner.tolist()):
        yield _laid_out(edges[owner == label])


def _laid_out(edges: NDArray[np.int64]) -> _Part:
    import fast_sugiyama
    import numpy as np

    items, compact = np.unique(edges, return_inverse=True)
    pairs = [tuple(pair) for pair in compact.reshape(-1, 2).tolist()]
    layouts: Any = fast_sugiyama.from_edges(
        pairs, ranking_type="minimize", vertex_spacing=_SPACING, dummy_vertices=True, crossing_minimization="barycenter"
    )
    ((positions, _, height, routed),) = layouts
    names = {vertex: int(items[vertex]) if vertex < len(items) else -1 - vertex for vertex, _ in positions}
    links: dict[int, list[int]] = defaultdict(list)
    for source, target in routed or ():
        links[names[source]].append(names[target])
    return _Part({names[vertex]: (x / _SPACING, (height - y) / _SPACING) for vertex, (x, y) in positions}, links)


def _take(
    part: _Part,
    x: NDArray[np.float64],
    row: NDArray[np.int64],
    routes: dict[tuple[int, int], NDArray[np.float64]],
    left: float,
) -> float:
    """Take over a part's places, right of `left`; give where the next may begin."""
    import numpy as np

    rows = {y: index for index, y in enumerate(sorted({y for _, y in part.places.values()}))}
    row_of = {vertex: rows[y] for vertex, (_, y) in part.places.items()}
    by_row: dict[int, list[int]] = defaultdict(list)
    for vertex, place in row_of.items():
        by_row[place].append(vertex)
    across = _straightened(by_row, _spread(by_row, {vertex: place[0] for vertex, place in part.places.items()}))
    shift = left - min(across.values())
    at = {vertex: (across[vertex] + shift, float(row_of[vertex])) for vertex in across}
    for vertex, (across_it, _) in at.items():
        if vertex >= 0:
            x[vertex], row[vertex] = across_it, row_of[vertex]
    for source, targets in part.links.items():
        for target in targets if source >= 0 else ():
            chain = [source, target]
            while chain[-1] < 0:
                chain.append(part.links[chain[-1]][0])
            routes[source, chain[-1]] = np.array([at[vertex] for vertex in chain], np.float64)
    return max(place for place, _ in at.values()) + 1.5


def _spread(by_row: dict[int, list[int]], x: dict[int, float]) -> dict[int, float]:
    """Scale and push apart, so that items of their real width do not overlap; rows keep their order and middle."""
    placed: dict[int, float] = {}
    for vertices in by_row.values():
        vertices.sort(key=lambda vertex: x[vertex])
        wanted = [x[vertex] for vertex in vertices]
        found: list[float] = []
        for index, vertex in enumerate(vertices):
            place = wanted[index]
            if found:
                before = vertices[index - 1]
                place = max(place, found[-1] + (_width(before) + _width(vertex)) / 2)
            found.append(place)
        shift = sum(wanted) / len(wanted) - sum(found) / len(found)
        placed.update((vertex, place + shift) for vertex, place in zip(vertices, found, strict=True))
    return placed


def _straightened(by_row: dict[int, list[int]], x: dict[int, float]) -> dict[int, float]:
    """Take out how the picture drifts to a side from row to row, which the library does with many constants."""
    import numpy as np
    from scipy.ndimage import uniform_filter1d

    middle = np.array([sum(x[vertex] for vertex in by_row[row]) / len(by_row[row]) for row in range(len(by_row))])
    drift = uniform_filter1d(middle, STRAIGHTENED, mode="nearest")
    return {vertex: x[vertex] - float(drift[row]) for row, vertices in by_row.items() for vertex in vertices}


def _width(vertex: int) -> float:
    return ITEM if vertex >= 0 else PASSING


def _place_alone(
    x: NDArray[np.float64], row: NDArray[np.int64], rank: NDArray[np.int64], cut: NDArray[np.int64]
) -> None:
    """Place items without a drawn edge beside what they are cut from, left of everything in that row."""
    users: dict[int, int] = {}
    for source, target in cut.tolist():
        users.setdefault(source, target)
        users.setdefault(target, source)
    leftmost: dict[int, float] = {}
    for item in range(len(row)):
        if row[item] >= 0:
            leftmost[int(row[item])] = min(leftmost.get(int(row[item]), x[item]), x[item])
    for item in range(len(row)):
        if row[item] < 0:
            other = users.get(item, -1)
            place = max(0, int(row[other])) if other >= 0 and row[other] >= 0 else int(rank[item])
            x[item] = leftmost[place] = leftmost.get(place, ITEM) - ITEM
            row[item] = place

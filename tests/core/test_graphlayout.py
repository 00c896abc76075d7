from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from studio.core.graphlayout import positions, ranks

GRAPHS = st.integers(1, 30).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(
            st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda edge: edge[0] < edge[1]),
            max_size=60,
            unique=True,
        ),
    )
)


def test_a_chain_goes_straight_down() -> None:
    edges = [(0, 1), (1, 2)]
    assert ranks(edges, 3) == [0, 1, 2]
    assert positions(edges, [0, 1, 2]) == [0.0, 0.0, 0.0]


def test_a_diamond_is_symmetric() -> None:
    edges = [(0, 1), (0, 2), (1, 3), (2, 3)]
    rank = ranks(edges, 4)
    x = positions(edges, rank)
    assert rank == [0, 1, 1, 2]
    assert sorted(x[1:3]) == [-0.5, 0.5]
    assert abs(x[0] - x[3]) < 0.51


def test_a_late_constant_stands_above_its_user() -> None:
    edges = [(0, 1), (1, 2), (2, 4), (3, 4)]
    assert ranks(edges, 5) == [0, 1, 2, 2, 3]


@given(GRAPHS)
def test_edges_go_down_and_nodes_never_overlap(graph: tuple[int, list[tuple[int, int]]]) -> None:
    count, edges = graph
    rank = ranks(edges, count)
    x = positions(edges, rank)
    assert all(rank[source] < rank[target] for source, target in edges)
    rows: dict[int, list[float]] = {}
    for node in range(count):
        rows.setdefault(rank[node], []).append(x[node])
    assert all(b - a > 0.999 for row in rows.values() for a, b in pairwise(sorted(row)))

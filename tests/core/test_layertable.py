from __future__ import annotations

import pytest

from studio.core.layertable import layer_table
from tests.core.diagnosis.layers import layer, side


def test_rows_and_rest_add_up_to_the_gain() -> None:
    before = side(layer("a", 3.0), layer("b", 1.0), clean=5.0).profile
    after = side(layer("a", 1.0), layer("b", 1.0), clean=2.5).profile
    table = layer_table(before, after)
    assert [row.title for row in table.rows] == ["a", "b"]
    assert table.rows[0].share == pytest.approx(0.8)
    assert sum(row.share or 0.0 for row in table.rows) + (table.rest_share or 0.0) == pytest.approx(1.0)


def test_a_fused_kernel_shares_its_time_among_nodes_and_blocks() -> None:
    profile = side(layer("f", 2.0, nodes=("a", "b"))).profile
    assert {row.title: row.before_ms for row in layer_table(profile, None, "node").rows} == {"a": 1.0, "b": 1.0}
    blocks = layer_table(profile, None, "block", {"a": "one", "b": "one"})
    assert [(row.title, row.before_ms) for row in blocks.rows] == [("one", 2.0)]

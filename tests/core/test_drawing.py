from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from studio.core.drawing.blocks import ROOT, cut_blocks, find_blocks, scopes
from studio.core.drawing.items import make_items, overview
from studio.core.drawing.layering import FAN_OUT, SPAN, place_items
from studio.core.drawing.outline import Outline
from studio.core.drawing.picture import Picture
from studio.core.drawing.texts import Texts
from studio.locations import assets

SAMPLE = assets() / "samples" / "mnist-resnet.onnx"


def pairs(*edges: tuple[int, int]) -> NDArray[np.int64]:
    return np.array(edges, np.int64).reshape(-1, 2)


def residual(blocks: int) -> tuple[list[str], NDArray[np.int64]]:
    """Blocks of Conv, Relu, Conv and a sum with what the block starts from."""
    operators, edges, last = ["Conv"], [], 0
    for _ in range(blocks):
        first = len(operators)
        operators += ["Conv", "Relu", "Conv", "Add"]
        edges += [(last, first), (first, first + 1), (first + 1, first + 2), (first + 2, first + 3), (last, first + 3)]
        last = first + 3
    return operators, pairs(*edges)


def test_texts_are_found_and_come_back() -> None:
    texts = Texts.of(["Conv_1", "", "Ünicode", "conv_2"])
    assert [texts[index] for index in range(4)] == ["Conv_1", "", "Ünicode", "conv_2"]
    assert texts.find("CONV") == 0
    assert texts.find("conv", 0) == 3
    assert texts.find("conv", 3) == 0
    assert texts.find("ÜNICODE") == 2
    assert texts.find("1\0") is None
    assert texts.find("nothing") is None
    assert texts.count("conv") == 2
    assert Texts.of([]).find("a") is None


def test_scopes_of_names() -> None:
    assert scopes("/layer1/layer1.0/conv1/Conv") == ("layer1", "layer1.0", "conv1")
    assert scopes("Conv_12") == ()


def test_scopes_become_nested_blocks() -> None:
    names = [f"/net/stage{stage}/block{block}/{op}" for stage in (1, 2) for block in (1, 2) for op in "abc"]
    blocks = find_blocks(names, ["Relu"] * 12, pairs(*((at, at + 1) for at in range(11))))
    titles = {block.key: (block.parent, len(block.nodes)) for block in blocks}
    # the scope around everything says nothing
    assert titles["net/stage1"] == (ROOT, 6)
    assert blocks[titles["net/stage2/block1"][0]].key == "net/stage2"
    assert len(blocks) == 6


def test_residual_blocks_are_cut_and_repeated_ones_are_a_stage() -> None:
    operators, edges = residual(5)
    blocks = cut_blocks(operators, edges)
    stages = [block for block in blocks if block.parent == ROOT and block.key.startswith("stage")]
    assert len(stages) == 1
    inner = [block for block in blocks if block.parent != ROOT]
    assert [len(block.nodes) for block in inner] == [4] * len(inner)
    assert all(operators[block.nodes[-1]] == "Add" for block in inner)


def test_parts_that_repeat_in_turn_are_a_stage() -> None:
    # a sum of two branches, then a sum of three, four times over
    operators, edges, last = ["Relu"], [], 0
    for _ in range(4):
        for branches in (2, 3):
            first = len(operators)
            operators += ["Conv"] * branches + ["Sum"]
            edges += [(last, first + at) for at in range(branches)]
            edges += [(first + at, first + branches) for at in range(branches)]
            last = first + branches
    stages = [block for block in cut_blocks(operators, pairs(*edges)) if block.key.startswith("stage")]
    assert any("3 x" in stage.title or "4 x" in stage.title for stage in stages)


def test_collapsing_never_makes_a_cycle() -> None:
    # a and c of one scope, b of another, between them
    edges = pairs((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5))
    names = ["p/a", "q/b", "p/c", "q/d", "p/e", "q/f"]
    blocks = find_blocks(names, ["Relu"] * 6, edges)
    items = make_items(6, edges, blocks, frozenset())
    for source, target in items.edges:
        assert source != target
    rank = np.zeros(len(items.node))
    for _ in range(len(items.node) + 1):
        for source, target in items.edges:
            rank[target] = max(rank[target], rank[source] + 1)
    assert rank.max() < len(items.node)


def test_opening_a_block_shows_its_nodes() -> None:
    operators, edges = residual(6)
    blocks = cut_blocks(operators, edges)
    closed = make_items(len(operators), edges, blocks, frozenset())
    everything = make_items(len(operators), edges, blocks, frozenset(range(len(blocks))))
    assert len(closed.node) < len(everything.node) == len(operators)
    assert set(closed.of_node.tolist()) == set(range(len(closed.node)))
    assert np.array_equal(np.unique(everything.edges, axis=0), np.unique(edges, axis=0))


def test_the_overview_of_a_large_graph_is_small() -> None:
    operators, edges = residual(400)
    blocks = cut_blocks(operators, edges)
    items = make_items(len(operators), edges, blocks, overview(len(operators), blocks))
    assert len(items.node) < 80
    assert overview(10, blocks) == frozenset(range(len(blocks)))


def test_rows_lead_down_and_nothing_overlaps() -> None:
    operators, edges = residual(20)
    places = place_items(edges, np.ones(len(operators), bool))
    for source, target in edges:
        assert places.row[target] > places.row[source]
    for row in np.unique(places.row):
        across = np.sort(places.x[places.row == row])
        assert np.all(np.diff(across) >= 0.99)
    assert len(places.routes) == len(edges)
    for (source, target), route in zip(places.edges, places.routes, strict=True):
        assert route[0].tolist() == [places.x[source], places.row[source]]
        assert route[-1].tolist() == [places.x[target], places.row[target]]


def test_long_edges_and_many_readers_are_cut() -> None:
    count = SPAN + 20
    line = [(at, at + 1) for at in range(count - 1)]
    edges = pairs(*line, (0, count - 1))
    places = place_items(edges, np.ones(count, bool))
    assert places.cut.tolist() == [[0, count - 1]]
    fan = pairs(*((0, reader) for reader in range(1, FAN_OUT + 3)))
    places = place_items(fan, np.ones(FAN_OUT + 3, bool))
    assert len(places.edges) == 1
    assert len(places.cut) == FAN_OUT + 1


def test_a_constant_stands_above_its_user() -> None:
    edges = pairs(*((at, at + 1) for at in range(9)), (10, 9))
    fed = np.ones(11, bool)
    fed[10] = False
    places = place_items(edges, fed)
    assert places.row[10] == places.row[9] - 1


@pytest.mark.parametrize("edges", [[], [(0, 1)]])
def test_nodes_without_edges_have_places(edges: list[tuple[int, int]]) -> None:
    places = place_items(pairs(*edges), np.ones(4, bool))
    spots = {(x, row) for x, row in zip(places.x.tolist(), places.row.tolist(), strict=True)}
    assert len(spots) == 4
    assert places.row.min() >= 0


def test_a_picture_comes_back_from_its_file(tmp_path: Path) -> None:
    outline = Outline.of(onnx.load(SAMPLE))
    blocks = find_blocks(outline.names, outline.operators, outline.edges)
    items = make_items(len(outline.names), outline.edges, blocks, overview(len(outline.names), blocks))
    picture = Picture.of(outline, blocks, items, place_items(items.edges, items.any(outline.fed)))
    picture.save(tmp_path / "picture.npz")
    again = Picture.load(tmp_path / "picture.npz")
    assert [again.names[at] for at in range(len(again.names))] == outline.names
    assert again.blocks == picture.blocks
    assert again.opened == picture.opened
    assert np.array_equal(again.corners, picture.corners)
    assert int(again.macs.sum()) > 1_000_000
    assert int(again.weights.sum()) > 7_000_000


def test_constants_are_left_out_and_subgraphs_read() -> None:
    helper = onnx.helper
    kind = onnx.TypeProto()
    then = helper.make_graph([helper.make_node("Neg", ["y"], ["t"])], "then", [], [helper.make_value_info("t", kind)])
    other = helper.make_graph([helper.make_node("Abs", ["y"], ["e"])], "else", [], [helper.make_value_info("e", kind)])
    nodes = [
        helper.make_node("Constant", [], ["c"], value_float=1.0),
        helper.make_node("Add", ["x", "c"], ["y"]),
        helper.make_node("If", ["q"], ["z"], then_branch=then, else_branch=other),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [info("x", 1, [2]), info("q", 9, [])], [info("z", 1, [2])])
    outline = Outline.of(helper.make_model(graph))
    assert outline.operators == ["Add", "If"]
    assert outline.constants == 1
    assert outline.edges.tolist() == [[0, 1]]

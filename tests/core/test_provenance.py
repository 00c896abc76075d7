from __future__ import annotations

from onnx import helper

from studio.core.provenance import compose, identity, node_names, trace
from tests import models


def test_unnamed_and_repeated_names_become_unique() -> None:
    graph = models.mlp().graph
    graph.node[0].name = ""
    graph.node[2].name = "relu"
    assert node_names(graph) == ["Gemm:h", "relu", "relu'"]


def test_unchanged_graph_is_its_own_provenance() -> None:
    graph = models.cnn().graph
    assert trace(graph, graph) == identity(graph)


def test_fused_node_has_all_that_it_replaced() -> None:
    source, result = models.mlp().graph, models.mlp().graph
    fused = helper.make_node("FusedGemm", ["image", "w1", "b1"], ["r"], "fused")
    del result.node[:2]
    result.node.insert(0, fused)
    assert trace(source, result)["fused"] == ("fc1", "relu")


def test_inserted_nodes_belong_to_what_they_stand_beside() -> None:
    source, result = models.mlp().graph, models.mlp().graph
    quantize = helper.make_node("QuantizeLinear", ["image", "s", "z"], ["image_q"], "q")
    dequantize = helper.make_node("DequantizeLinear", ["image_q", "s", "z"], ["image_dq"], "dq")
    result.node[0].input[0] = "image_dq"
    result.node.insert(0, dequantize)
    result.node.insert(0, quantize)
    found = trace(source, result)
    assert found["q"] == found["dq"] == found["fc1"] == ("fc1",)


def test_what_the_pass_knows_wins() -> None:
    graph = models.mlp().graph
    assert trace(graph, graph, {"relu": ("fc1", "fc2")})["relu"] == ("fc1", "fc2")


def test_compose_leads_back_through_both() -> None:
    first = {"a": ("x", "y"), "b": ("z",)}
    assert compose(first, {"n": ("a", "b"), "m": ()}) == {"n": ("x", "y", "z"), "m": ()}

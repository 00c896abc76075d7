"""Nodes of a changed model, led back to the model it was made from without knowing how."""

from __future__ import annotations

import numpy as np
from onnx import helper

from studio.core.lineage import lineage
from tests import models


def test_a_model_comes_from_itself() -> None:
    graph = models.cnn().graph
    assert lineage(graph, graph) == {name: (name,) for name in ("conv", "relu", "pool", "flatten", "fc")}


def test_what_takes_the_place_of_a_convolution_stands_for_it_and_conversions_for_nothing() -> None:
    source = models.cnn().graph
    changed = models.cnn()
    conv, *rest = changed.graph.node
    new = [
        helper.make_node("DynamicQuantizeLinear", ["image"], ["q", "s", "z"], "measure"),
        helper.make_node("ConvInteger", ["q", "wq", "z"], ["i"], "conv_quant", pads=[1, 1, 1, 1]),
        helper.make_node("Cast", ["i"], ["floats"], "cast", to=1),
        helper.make_node("Mul", ["s", "ws"], ["scales"], "scales"),
        helper.make_node("Mul", ["floats", "scales"], [conv.output[0]], "scale"),
    ]
    result = models.model(
        [*new, *rest], {"image": ["batch", 1, 8, 8]}, {"logits": ["batch", 3]}, {"ws": np.ones(1, np.float32)}
    )
    found = lineage(source, result.graph)
    assert found["conv_quant"] == found["scale"] == found["scales"] == ("conv",)
    assert found["measure"] == found["cast"] == ()
    assert found["relu"] == ("relu",)


def test_a_fused_node_stands_for_all_that_it_replaced() -> None:
    source = models.mlp().graph
    node = helper.make_node("Fused", ["image", "w1", "b1"], ["r"], "fused")
    result = models.model(
        [node, source.node[2]], {"image": ["batch", 8]}, {"logits": ["batch", 4]}, {"w1": np.ones(1, np.float32)}
    )
    assert lineage(source, result.graph)["fused"] == ("fc1", "relu")

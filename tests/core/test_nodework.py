"""Multiply-accumulates and bytes of nodes, alone and fused."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from studio.core.nodework import model_work
from tests import models


def test_work_follows_the_shapes_that_are_fed() -> None:
    proto = models.cnn(channels=4, classes=3)
    one, two = (model_work(proto, {"image": (batch, 1, 8, 8)}) for batch in (1, 2))
    assert one.nodes["conv"].macs == 4 * 8 * 8 * 9
    assert one.nodes["fc"].macs == 4 * 3
    assert two.nodes["conv"].macs == 2 * one.nodes["conv"].macs
    assert one.nodes["relu"].macs == 0


def test_what_fused_nodes_hand_to_each_other_is_not_traffic() -> None:
    work = model_work(models.cnn(channels=4), {"image": (1, 1, 8, 8)})
    image, weights, made = 8 * 8, 4 * 9 + 4, 4 * 8 * 8
    assert work.traffic(["conv"]) == 4 * (image + weights + made)
    assert work.traffic(["relu"]) == 4 * 2 * made
    assert work.traffic(["conv", "relu"]) == 4 * (image + weights + made)
    assert work.traffic([]) == 0
    assert work.macs(["conv", "relu", "unknown"]) == work.nodes["conv"].macs


def test_an_output_of_the_model_is_written_even_when_the_next_node_is_fused() -> None:
    proto = models.cnn(channels=4)
    proto.graph.output.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, ["batch", 4, 8, 8]))
    work = model_work(proto, {"image": (1, 1, 8, 8)})
    alone = model_work(models.cnn(channels=4), {"image": (1, 1, 8, 8)})
    assert work.traffic(["conv", "relu"]) == alone.traffic(["conv", "relu"]) + 4 * 4 * 8 * 8


@pytest.mark.parametrize(("operator", "inputs"), [("ConvInteger", "q w"), ("MatMulInteger", "q w")])
def test_integer_operators_count_as_their_float_ones(operator: str, inputs: str) -> None:
    shape, weight = ((1, 2, 8, 8), (4, 2, 3, 3)) if operator == "ConvInteger" else ((1, 8), (8, 4))
    nodes = [helper.make_node(operator, inputs.split(), ["y"], "it")]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("q", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT32, None)],
        [numpy_helper.from_array(np.ones(weight, np.int8), "w")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    work = model_work(proto, {"q": shape})
    assert work.nodes["it"].macs == (4 * 6 * 6 * 18 if operator == "ConvInteger" else 32)
    made = 4 * (4 * 6 * 6 if operator == "ConvInteger" else 4)
    assert work.traffic(["it"]) == int(np.prod(shape)) + int(np.prod(weight)) + made

"""Nodes that an engine does not name are given to the kernel that executes them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from studio.core.attribution import attribute, by_kernel
from tests import models


def graph(*nodes: tuple[str, str, str]) -> onnx.GraphProto:
    """Build nodes from operator, inputs and outputs; a node's name is its first output in capitals."""
    made = [
        helper.make_node(operator, inputs.split(), outputs.split(), outputs.split()[0].upper())
        for operator, inputs, outputs in nodes
    ]
    proto = models.model(made, {"x": [1, 8, 4, 4]}, {nodes[-1][2]: [1, 8, 4, 4]}, {"w": np.ones(1, np.float32)})
    return proto.graph


def test_a_kernel_named_after_its_last_node_has_all_before_it() -> None:
    found = attribute(
        graph(("Conv", "x w", "c"), ("BatchNormalization", "c w w w w", "n"), ("Relu", "n", "r")), {"R": 0}
    )
    assert found == {"C": 0, "N": 0, "R": 0}


def test_an_addition_and_its_activation_go_to_the_convolution_before_them() -> None:
    found = attribute(
        graph(
            ("Conv", "x w", "a"),
            ("Conv", "a w", "b"),
            ("Add", "a b", "s"),
            ("Relu", "s", "r"),
            ("Conv", "r w", "c"),
            ("Add", "c r", "y"),
        ),
        {"A": 0, "B": 1, "C": 2},
    )
    assert found == {"A": 0, "B": 1, "S": 1, "R": 1, "C": 2, "Y": 2}


def test_quantizing_belongs_to_what_makes_the_tensor_and_dequantizing_to_what_uses_it() -> None:
    found = attribute(
        graph(
            ("Conv", "x w", "a"),
            ("QuantizeLinear", "a w", "q"),
            ("DequantizeLinear", "q w", "d"),
            ("Conv", "d w", "b"),
        ),
        {"A": 0, "B": 1},
    )
    assert found == {"A": 0, "Q": 0, "D": 1, "B": 1}


def test_a_chain_that_ends_in_one_named_operator_belongs_to_it() -> None:
    nodes = (("Div", "h w", "d"), ("Erf", "d", "e"), ("Add", "e w", "p"), ("Mul", "h p", "m"))
    found = attribute(graph(("MatMul", "x w", "h"), *nodes), {"H": 0, "M": 1})
    assert found == {"H": 0, "D": 1, "E": 1, "P": 1, "M": 1}


def test_what_depends_on_constants_alone_belongs_to_none() -> None:
    found = attribute(graph(("DequantizeLinear", "w w", "v"), ("Conv", "x v", "y")), {"Y": 0})
    assert found == {"Y": 0}


def test_a_node_that_several_kernels_execute_parts_of_belongs_to_each() -> None:
    owners = {"A": 0, "B": 1}
    assert by_kernel(owners, [("A", 1)]) == {0: ("A",), 1: ("A", "B")}

"""Models that are unusual but right, and models that are wrong: what people's exporters really write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests import models

FLOAT, INT64, BOOL, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING

Value = tuple[str, int, Sequence[int | str | None] | None]


def build(
    nodes: list[onnx.NodeProto],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    weights: Mapping[str, np.ndarray] | None = None,
    opsets: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """Make a model of any types; a shape of None is an unknown rank, a dimension of None has no name."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    imports = [helper.make_opsetid(domain, version) for domain, version in (opsets or {"": models.OPSET}).items()]
    return helper.make_model(graph, opset_imports=imports, ir_version=models.IR_VERSION)


def affine(shape: Sequence[int | str | None] | None, result: Sequence[int | str | None] | None) -> onnx.ModelProto:
    """`x` [..., 8] times a matrix, then Relu."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "matmul"),
        helper.make_node("Relu", ["m"], ["y"], "relu"),
    ]
    return build(nodes, [("x", FLOAT, shape)], [("y", FLOAT, result)], {"w": _normal(8, 4)})


# right, but unusual


def odd_dimension_names() -> onnx.ModelProto:
    """Dimensions named as exporters name them: sums, blanks, other alphabets, format characters."""
    return affine(["batch size/{0}%", "2*séquence [red] + 1", 8], ["batch size/{0}%", "2*séquence [red] + 1", 4])


def nameless_dimensions() -> onnx.ModelProto:
    """Dimensions with neither size nor name."""
    return affine([None, None, 8], [None, None, 4])


def unknown_rank() -> onnx.ModelProto:
    """An input without any shape."""
    return affine(None, None)


def zero_size() -> onnx.ModelProto:
    """An input without elements, joined to one that has some."""
    nodes = [
        helper.make_node("Concat", ["past", "x"], ["both"], "join", axis=1),
        helper.make_node("Relu", ["both"], ["y"], "relu"),
    ]
    return build(nodes, [("past", FLOAT, [1, 0, 4]), ("x", FLOAT, [1, 2, 4])], [("y", FLOAT, [1, 2, 4])])


def zero_size_weight() -> onnx.ModelProto:
    """A weight without elements: an empty list of axes or pads, as exporters leave them."""
    nodes = [
        helper.make_node("Concat", ["x", "none"], ["joined"], "join", axis=1),
        helper.make_node("MatMul", ["joined", "w"], ["y"], "matmul"),
    ]
    weights = {"none": np.zeros((1, 0), np.float32), "w": _normal(8, 4)}
    return build(nodes, [("x", FLOAT, [1, 8])], [("y", FLOAT, [1, 4])], weights)


def loop() -> onnx.ModelProto:
    """Three rounds of a Loop whose body has a weight of its own."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"], "keep"),
            helper.make_node("MatMul", ["state", "lw"], ["next"], "step"),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", BOOL, []),
            helper.make_tensor_value_info("state", FLOAT, [1, 4]),
        ],
        [helper.make_tensor_value_info("go_on", BOOL, []), helper.make_tensor_value_info("next", FLOAT, [1, 4])],
        [numpy_helper.from_array(_normal(4, 4), "lw")],
    )
    nodes = [helper.make_node("Loop", ["rounds", "yes", "x"], ["y"], "loop", body=body)]
    weights = {"rounds": np.array(3, np.int64), "yes": np.array(True)}
    return build(nodes, [("x", FLOAT, [1, 4])], [("y", FLOAT, [1, 4])], weights)


def lstm() -> onnx.ModelProto:
    """A recurrent model whose states come in and go out."""
    hidden = 4
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r", "b", "", "h", "c"], ["all", "hn", "cn"], "lstm", hidden_size=hidden),
    ]
    weights = {
        "w": _normal(1, 4 * hidden, 3),
        "r": _normal(1, 4 * hidden, hidden),
        "b": _normal(1, 8 * hidden),
    }
    state: list[int | str | None] = [1, "batch", hidden]
    return build(
        nodes,
        [("x", FLOAT, ["time", "batch", 3]), ("h", FLOAT, state), ("c", FLOAT, state)],
        [("all", FLOAT, ["time", 1, "batch", hidden]), ("hn", FLOAT, state), ("cn", FLOAT, state)],
        weights,
    )


def strings() -> onnx.ModelProto:
    """Text that is passed on beside numbers."""
    nodes = [
        helper.make_node("Identity", ["text"], ["same"], "same"),
        helper.make_node("MatMul", ["x", "w"], ["y"], "matmul"),
    ]
    return build(
        nodes,
        [("text", STRING, ["batch", 2]), ("x", FLOAT, ["batch", 8])],
        [("same", STRING, ["batch", 2]), ("y", FLOAT, ["batch", 4])],
        {"w": _normal(8, 4)},
    )


def no_inputs() -> onnx.ModelProto:
    """A model that computes a constant."""
    return build([helper.make_node("Relu", ["w"], ["y"], "relu")], [], [("y", FLOAT, [2, 4])], {"w": _normal(2, 4)})


def nothing_to_do() -> onnx.ModelProto:
    """A model without a node: its output is its input."""
    return build([], [("x", FLOAT, [1, 4])], [("x", FLOAT, [1, 4])])


def duplicate_node_names() -> onnx.ModelProto:
    """Two nodes of one name, which ONNX allows in older files."""
    proto = models.mlp()
    for node in proto.graph.node:
        node.name = "same"
    return proto


RIGHT = {
    "odd-dims": odd_dimension_names,
    "nameless-dims": nameless_dimensions,
    "zero-size": zero_size,
    "zero-size-weight": zero_size_weight,
    "if": models.branching,
    "loop": loop,
    "lstm": lstm,
    "strings": strings,
    "duplicate-node-names": duplicate_node_names,
    "no-inputs": no_inputs,
    "no-nodes": nothing_to_do,
}


# wrong


def unknown_operator() -> onnx.ModelProto:
    """An operator that no opset has."""
    proto = models.mlp()
    proto.graph.node[1].op_type = "Rleu"
    return proto


def unknown_domain() -> onnx.ModelProto:
    """An operator of a domain that nobody here implements."""
    proto = models.mlp()
    proto.graph.node[1].domain = "com.example.custom"
    proto.graph.node[1].op_type = "Fancy"
    proto.opset_import.append(helper.make_opsetid("com.example.custom", 1))
    return proto


def domain_not_imported() -> onnx.ModelProto:
    """An operator of a domain that the model does not import."""
    proto = models.mlp()
    proto.graph.node[1].domain = "com.example.custom"
    return proto


def future_opset() -> onnx.ModelProto:
    """An opset that no release has."""
    proto = models.mlp()
    proto.opset_import[0].version = 99
    return proto


def future_ir() -> onnx.ModelProto:
    """A file format of the future."""
    proto = models.mlp()
    proto.ir_version = 99
    return proto


def no_opset() -> onnx.ModelProto:
    """A model that does not say which opset it wants."""
    proto = models.mlp()
    del proto.opset_import[:]
    return proto


def cycle() -> onnx.ModelProto:
    """Two nodes that wait for each other."""
    proto = models.mlp()
    proto.graph.node[0].input[0] = "r"
    return proto


def dangling_input() -> onnx.ModelProto:
    """A node that reads what nobody makes."""
    proto = models.mlp()
    proto.graph.node[1].input[0] = "nowhere"
    return proto


def dangling_output() -> onnx.ModelProto:
    """An output that nobody makes."""
    proto = models.mlp()
    proto.graph.output[0].name = "nowhere"
    return proto


def unsorted() -> onnx.ModelProto:
    """Nodes in an order in which they cannot run."""
    proto = models.mlp()
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(nodes))
    return proto


def tensor_made_twice() -> onnx.ModelProto:
    """Two nodes that make the same tensor."""
    proto = models.mlp()
    proto.graph.node[1].output[0] = "h"
    return proto


def input_named_twice() -> onnx.ModelProto:
    """Two inputs of one name."""
    proto = models.mlp()
    proto.graph.input.append(proto.graph.input[0])
    return proto


def weight_named_twice() -> onnx.ModelProto:
    """Two weights of one name."""
    proto = models.mlp()
    proto.graph.initializer.append(proto.graph.initializer[0])
    return proto


def output_named_twice() -> onnx.ModelProto:
    """Two outputs of one name."""
    proto = models.mlp()
    proto.graph.output.append(proto.graph.output[0])
    return proto


def no_outputs() -> onnx.ModelProto:
    """A model that gives nothing."""
    proto = models.mlp()
    del proto.graph.output[:]
    return proto


def missing_attribute() -> onnx.ModelProto:
    """An operator without an attribute that it must have."""
    nodes = [helper.make_node("Cast", ["x"], ["y"], "cast")]
    return build(nodes, [("x", FLOAT, [1])], [("y", FLOAT, [1])])


def short_weight() -> onnx.ModelProto:
    """A weight with fewer bytes than its shape wants."""
    proto = models.mlp()
    proto.graph.initializer[0].raw_data = proto.graph.initializer[0].raw_data[:-4]
    return proto


def wrong_shapes() -> onnx.ModelProto:
    """Weights whose shapes do not fit each other."""
    proto = models.mlp()
    proto.graph.initializer[2].CopyFrom(numpy_helper.from_array(_normal(3, 4), "w2"))
    return proto


WRONG = {
    "unknown-operator": (unknown_operator, "Rleu"),
    "domain-not-imported": (domain_not_imported, "com.example.custom"),
    "future-opset": (future_opset, "opset 99"),
    "future-ir": (future_ir, "IR version 99"),
    "no-opset": (no_opset, "which opset"),
    "cycle": (cycle, "cycle"),
    "dangling-input": (dangling_input, "'nowhere'"),
    "dangling-output": (dangling_output, "'nowhere'"),
    "unsorted": (unsorted, "order"),
    "tensor-made-twice": (tensor_made_twice, "'h'"),
    "input-named-twice": (input_named_twice, "'image'"),
    "weight-named-twice": (weight_named_twice, "'w1'"),
    "no-outputs": (no_outputs, "no outputs"),
    "missing-attribute": (missing_attribute, "'to'"),
    "short-weight": (short_weight, "'w1' has 508 bytes"),
    "unknown-rank": (unknown_rank, "'x'"),
}


def _normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)

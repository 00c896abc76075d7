"""Models to measure passes on: graphs of any number of nodes, and one with gigabytes of weights beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 8
#: rows and columns of a weight of the large model, of 4 bytes each
SIDE = 8192
PIECE = 1 << 26
OPSET = 17


def nodes_model(path: Path, count: int) -> Path:
    """Write some `count` nodes in blocks: Conv, BatchNormalization, Identity, Shape, Reshape, Relu and Add."""
    nodes: list[onnx.NodeProto] = []
    weights = [
        numpy_helper.from_array(np.asarray(value, dtype=np.int64), name)
        for name, value in (("zero", 0), ("rest", [CHANNELS, 8, 8]), ("axes", [0]))
    ]
    last, block = "x", 0
    while len(nodes) < count:
        nodes += _block(f"b{block}", last)
        weights += _weights(f"b{block}", np.random.default_rng(block))
        last, block = f"b{block}_y", block + 1
    shape: tuple[str | int, ...] = ("batch", CHANNELS, 8, 8)
    graph = helper.make_graph(
        nodes,
        "blocks",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.save(model, str(path))
    return path


def _block(name: str, source: str) -> list[onnx.NodeProto]:
    def node(operator: str, inputs: str, output: str, **attributes: int) -> onnx.NodeProto:
        made = helper.make_node(operator, inputs.split(), [f"{name}_{output}"], f"{name}/{output}")
        made.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        return made

    return [
        node("Conv", f"{source} {name}_w", "c"),
        node("BatchNormalization", f"{name}_c {name}_s {name}_b {name}_m {name}_v", "n"),
        node("Identity", f"{name}_n", "i"),
        node("Shape", source, "shape"),
        node("Gather", f"{name}_shape zero", "batch", axis=0),
        node("Unsqueeze", f"{name}_batch axes", "lead"),
        node("Concat", f"{name}_lead rest", "target", axis=0),
        node("Reshape", f"{name}_i {name}_target", "r"),
        node("Relu", f"{name}_r", "a"),
        node("Add", f"{name}_a {source}", "y"),
    ]


def _weights(name: str, random: np.random.Generator) -> list[onnx.TensorProto]:
    kernel = (random.standard_normal((CHANNELS, CHANNELS, 1, 1)) / CHANNELS).astype(np.float32)
    vectors = {one: random.random(CHANNELS).astype(np.float32) + 0.5 for one in "sbmv"}
    arrays = {"w": kernel, **vectors}
    return [numpy_helper.from_array(array, f"{name}_{key}") for key, array in arrays.items()]


def large_model(path: Path, gigabytes: float) -> Path:
    """Write a chain of MatMul and Relu whose weights, in a file beside it, take so many gigabytes."""
    layers = max(1, round(gigabytes * 1e9 / (4 * SIDE * SIDE)))
    with path.with_suffix(".data").open("wb") as stream:
        for _ in range(layers):
            for _ in range(4 * SIDE * SIDE // PIECE):
                stream.write(np.random.default_rng(0).integers(0, 60, PIECE // 4, dtype=np.int32).view(np.uint8).data)
    tensors, nodes = [], []
    for layer in range(layers):
        tensor = TensorProto(name=f"w{layer}", data_type=TensorProto.FLOAT, dims=[SIDE, SIDE])
        tensor.data_location = TensorProto.EXTERNAL
        place = {
            "location": path.with_suffix(".data").name,
            "offset": layer * 4 * SIDE * SIDE,
            "length": 4 * SIDE * SIDE,
        }
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        tensors.append(tensor)
        source = f"y{layer - 1}" if layer else "x"
        nodes.append(helper.make_node("MatMul", [source, f"w{layer}"], [f"m{layer}"], f"matmul{layer}"))
        nodes.append(helper.make_node("Identity", [f"m{layer}"], [f"i{layer}"], f"identity{layer}"))
        nodes.append(helper.make_node("Relu", [f"i{layer}"], [f"y{layer}"], f"relu{layer}"))
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", SIDE])],
        [helper.make_tensor_value_info(f"y{layers - 1}", TensorProto.FLOAT, ["batch", SIDE])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.save(model, str(path))
    return path

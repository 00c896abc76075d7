"""Each quantization on networks of every age and odd make: it works, or says in a sentence what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from studio.api import DataError
from tests import models
from tests.passes.quantize.support import Arrays, Samples, apply, compare, get, run_onnxruntime, sqnr

#: pass, parameters that make it reach these small layers, and the least SQNR in dB that it keeps
PASSES: dict[str, tuple[dict[str, Any], float]] = {
    "quantize.static": ({}, 20),
    "quantize.dynamic": ({}, 20),
    "quantize.float16": ({}, 50),
    "quantize.bfloat16": ({}, 30),
    "quantize.weights": ({"bits": 8, "min_weights": 16}, 25),
}
OPSETS = {11: 6, 13: 7, 17: 8, 21: 10, 24: 11}
every_pass = pytest.mark.parametrize("name", PASSES)


def plain(batch: int | str = "batch") -> onnx.ModelProto:
    """MatMul, Relu, MatMul: `x` [batch, 32] -> `y` [batch, 8]."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"], "first"),
        helper.make_node("Relu", ["a"], ["r"], "relu"),
        helper.make_node("MatMul", ["r", "w2"], ["y"], "second"),
    ]
    weights = {
        "w1": random.normal(0, 0.2, (32, 32)).astype(np.float32),
        "w2": random.normal(0, 0.2, (32, 8)).astype(np.float32),
    }
    return models.model(nodes, {"x": [batch, 32]}, {"y": [batch, 8]}, weights)


def rows(count: int = 32, seed: int = 1) -> Arrays:
    return {"x": np.random.default_rng(seed).normal(0, 1, (count, 32)).astype(np.float32)}


def shared() -> onnx.ModelProto:
    """The first weights are read by two layers."""
    proto = plain()
    proto.graph.node.insert(2, helper.make_node("MatMul", ["r", "w1"], ["again"], "again"))
    proto.graph.node[3].input[0] = "again"
    return proto


def through(operator: str) -> onnx.ModelProto:
    """The first weights reach their layer through another operator."""
    proto = plain()
    weight = next(item for item in proto.graph.initializer if item.name == "w1")
    array = numpy_helper.to_array(weight)
    proto.graph.node[0].input[1] = "made"
    if operator == "Constant":
        proto.graph.initializer.remove(weight)
        made = helper.make_node("Constant", [], ["made"], "maker", value=weight)
    elif operator == "Cast":
        weight.CopyFrom(numpy_helper.from_array(array.astype(np.float16), "w1"))
        made = helper.make_node("Cast", ["w1"], ["made"], "maker", to=TensorProto.FLOAT)
    elif operator == "DequantizeLinear":
        scale = np.float32(np.abs(array).max() / 127)
        weight.CopyFrom(numpy_helper.from_array(np.rint(array / scale).astype(np.int8), "w1"))
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(scale), "scale"))
        made = helper.make_node("DequantizeLinear", ["w1", "scale"], ["made"], "maker")
    else:
        made = helper.make_node(operator, ["w1"], ["made"], "maker")
    proto.graph.node.insert(0, made)
    return proto


def given_weights() -> onnx.ModelProto:
    """The first weights are an input with a default."""
    proto = plain()
    proto.graph.input.append(helper.make_tensor_value_info("w1", TensorProto.FLOAT, [32, 32]))
    return proto


def given_out() -> onnx.ModelProto:
    """The first weights are an output too."""
    proto = plain()
    proto.graph.output.append(helper.make_tensor_value_info("w1", TensorProto.FLOAT, [32, 32]))
    return proto


def looping() -> onnx.ModelProto:
    """A Loop adds to what the layers give, three times."""
    proto = plain()
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["goes"], "goes"),
            helper.make_node("MatMul", ["carried", "inner"], ["next"], "inside"),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, ["batch", 8]),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, ["batch", 8]),
        ],
        [numpy_helper.from_array(np.random.default_rng(3).normal(0, 0.4, (8, 8)).astype(np.float32), "inner")],
    )
    proto.graph.node[2].output[0] = "start"
    proto.graph.node.append(helper.make_node("Loop", ["turns", "", "start"], ["y"], "loop", body=body))
    proto.graph.initializer.append(numpy_helper.from_array(np.array(3, np.int64), "turns"))
    return proto


MADE: dict[str, Callable[[], onnx.ModelProto]] = {
    "fixed": lambda: plain(4),
    "shared": shared,
    "identity": lambda: through("Identity"),
    "cast": lambda: through("Cast"),
    "constant": lambda: through("Constant"),
    "input": given_weights,
    "output": given_out,
    "loop": looping,
}


def works_or_says(name: str, proto: onnx.ModelProto, folder: Path, feeds: Arrays | None = None) -> str:
    """Apply a pass; gives what it said when it left everything alone, after checking what it made."""
    params, least = PASSES[name]
    source, result = apply(name, proto, folder, data=Samples(rows()), params=params)
    said = " ".join(result.warnings)
    if result.artifact == source:
        assert result.changes == ()
        assert said, f"{name} did nothing and did not say why"
        return said
    assert result.changes
    assert min(compare(source, result, feeds or rows(4, seed=5))) > least
    return said


@every_pass
@pytest.mark.parametrize("opset", OPSETS)
def test_opsets(name: str, opset: int, tmp_path: Path) -> None:
    proto = plain()
    proto.opset_import[0].version, proto.ir_version = opset, OPSETS[opset]
    works_or_says(name, proto, tmp_path)


@every_pass
@pytest.mark.parametrize("make", MADE)
def test_odd_makes(name: str, make: str, tmp_path: Path) -> None:
    works_or_says(name, MADE[make](), tmp_path)


@every_pass
def test_weights_that_are_8_bit_already(name: str, tmp_path: Path) -> None:
    works_or_says(name, through("DequantizeLinear"), tmp_path)


@every_pass
def test_a_quantized_model_is_left_alone(name: str, tmp_path: Path) -> None:
    _, first = apply("quantize.static", plain(), tmp_path / "first", data=Samples(rows()))
    said = works_or_says(name, onnx.load(str(first.artifact.path)), tmp_path / "second")
    assert "quantized" in said


@pytest.mark.parametrize("name", ["quantize.static", "quantize.dynamic", "quantize.weights"])
def test_layers_in_a_subgraph_are_named_as_left(name: str, tmp_path: Path) -> None:
    assert "Loop" in works_or_says(name, looping(), tmp_path)


@every_pass
def test_data_that_is_not_finite(name: str, tmp_path: Path) -> None:
    feeds = rows()
    feeds["x"][3, 5] = np.nan
    params, least = PASSES[name]
    try:
        source, result = apply(name, plain(), tmp_path, data=Samples(feeds), params=params)
    except DataError as error:
        assert "NaN" in error.message
        return
    outputs = [run_onnxruntime(path, rows(4, seed=5))[0] for path in (source.path, result.artifact.path)]
    assert sqnr(*outputs) > least
    if get(name).needs:
        assert any("NaN" in warning for warning in result.warnings)


@every_pass
def test_few_samples(name: str, tmp_path: Path) -> None:
    params, _ = PASSES[name]
    source, result = apply(name, plain(), tmp_path, data=Samples(rows(2)), params=params)
    assert np.isfinite(run_onnxruntime(result.artifact.path, rows(4, seed=5))[0]).all()
    if get(name).needs:
        assert any("2 samples only" in warning for warning in result.warnings)
    assert result.artifact != source

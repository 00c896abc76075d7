"""`quantize.float16` on small networks, in both runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from studio.api import PassError, Scope, open_artifact
from tests import models
from tests.passes.quantize.support import (
    Arrays,
    Samples,
    apply,
    compare,
    images,
    lstm,
    operators,
    residual_cnn,
    run_onnxruntime,
    sentences,
    sqnr,
    survey,
    transformer,
)

HALF = "quantize.float16"


def test_cnn_keeps_its_outputs_in_both_runtimes(tmp_path: Path) -> None:
    source, result = apply(HALF, residual_cnn(), tmp_path)
    assert min(compare(source, result, images(16))) > 60
    assert result.artifact.bytes < 0.56 * source.bytes
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"model.onnx"}


def test_transformer_with_integer_inputs_and_outputs(tmp_path: Path) -> None:
    source, result = apply(HALF, transformer(), tmp_path)
    feeds = sentences(8)
    assert min(compare(source, result, feeds)) > 55
    best = [run_onnxruntime(path, feeds)[1] for path in (source.path, result.artifact.path)]
    assert best[1].dtype == np.int64
    assert np.mean(best[0] == best[1]) > 0.95


def test_lstm(tmp_path: Path) -> None:
    source, result = apply(HALF, lstm(), tmp_path)
    feeds = {"x": np.random.default_rng(0).normal(0, 1, (5, 3, 8)).astype(np.float32)}
    assert min(compare(source, result, feeds)) > 55


def test_inputs_and_outputs_in_16_bits(tmp_path: Path) -> None:
    source, result = apply(HALF, residual_cnn(), tmp_path, params={"keep_io_types": False})
    graph = onnx.load(str(result.artifact.path)).graph
    kinds = [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)]
    assert kinds == [TensorProto.FLOAT16, TensorProto.FLOAT16]
    feeds = images(16)
    reference = run_onnxruntime(source.path, feeds)[0]
    output = run_onnxruntime(result.artifact.path, {"image": feeds["image"].astype(np.float16)})[0]
    assert sqnr(reference, output.astype(np.float32)) > 50
    assert any("must convert" in warning for warning in result.warnings)


def test_survey_and_work_agree(tmp_path: Path) -> None:
    for name, network in (("cnn", residual_cnn()), ("encoder", transformer())):
        source, result = apply(HALF, network, tmp_path / name)
        found = survey(HALF, source)
        assert set(found.nodes) == {change.node for change in result.changes if change.change == "retyped"}
        assert found.size is not None
        assert found.size.low <= result.artifact.bytes / source.bytes <= found.size.high


def test_scope_leaves_weights_and_operators_in_float32(tmp_path: Path) -> None:
    source, result = apply(HALF, residual_cnn(), tmp_path, scope=Scope(exclude=("conv2", "clip", "depthwise")))
    graph = onnx.load(str(result.artifact.path)).graph
    kinds = {item.name: item.data_type for item in graph.initializer}
    assert kinds["w1"] == TensorProto.FLOAT16
    assert kinds["w2"] == kinds["w3"] == TensorProto.FLOAT
    assert operators(result.artifact).count("Cast") == 4, "no cast between the three float32 operators"
    assert min(compare(source, result, images(16))) > 60


def test_blocked_operators(tmp_path: Path) -> None:
    source, result = apply(HALF, transformer(), tmp_path, params={"block": ("LayerNormalization", "Softmax")})
    assert not {"normal_0_node", "attention_0_node"} & {change.node for change in result.changes}
    assert min(compare(source, result, sentences(8))) > 55


def test_weights_beyond_the_range_stay_float32(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], "conv"),
        helper.make_node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["n"], "norm"),
        helper.make_node("Relu", ["n"], ["y"], "relu"),
    ]
    weights = {
        "w": random.normal(0, 30, (4, 3, 3, 3)).astype(np.float32),
        "scale": np.ones(4, np.float32),
        "shift": np.zeros(4, np.float32),
        "mean": np.zeros(4, np.float32),
        "variance": np.full(4, 3e5, np.float32),
    }
    network = models.model(nodes, {"image": ["batch", 3, 16, 16]}, {"y": ["batch", 4, 14, 14]}, weights)
    source, result = apply(HALF, network, tmp_path)
    assert any("1 operators with weights beyond 65504 stay float32, such as norm" in item for item in result.warnings)
    assert min(compare(source, result, images(8))) > 55


def test_operators_that_overflow_on_data_stay_float32(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "large"),
        helper.make_node("Mul", ["a", "small"], ["s"], "shrink"),
        helper.make_node("MatMul", ["s", "w2"], ["y"], "last"),
    ]
    weights = {
        "w": random.normal(0, 1e4, (16, 16)).astype(np.float32),
        "small": np.array(1e-5, np.float32),
        "w2": random.normal(0, 0.3, (16, 16)).astype(np.float32),
    }
    network = models.model(nodes, {"x": ["batch", 16]}, {"y": ["batch", 16]}, weights)
    feeds = {"x": random.normal(0, 1, (32, 16)).astype(np.float32)}
    source, result = apply(HALF, network, tmp_path / "a", data=Samples(feeds))
    assert result.notes["kept_for_overflow"] == 2
    assert any("2 operators stay float32" in warning for warning in result.warnings)
    assert {change.node for change in result.changes if change.change == "retyped"} == {"last"}
    assert min(compare(source, result, feeds)) > 55
    _, blind = apply(HALF, network, tmp_path / "b", data=Samples(feeds), params={"samples": 0})
    # an engine without FP16 arithmetic computes in float32 and hides it; the reference rounds each result to FP16
    checked, unchecked = (_in_half_arithmetic(item.artifact.path, feeds) for item in (result, blind))
    assert np.isfinite(checked).all()
    assert sqnr(run_onnxruntime(source.path, feeds)[0], checked) > 55
    assert not np.isfinite(unchecked).all()


def _in_half_arithmetic(path: Path, feeds: Arrays) -> NDArray[Any]:
    from onnx.reference import ReferenceEvaluator

    with np.errstate(over="ignore", invalid="ignore"):
        outputs: Any = ReferenceEvaluator(str(path)).run(None, feeds)
    return np.asarray(outputs[0])


def test_masks_are_clipped_and_tiny_weights_counted(tmp_path: Path) -> None:
    network = transformer()
    tiny = next(item for item in network.graph.initializer if item.name == "q0")
    array = numpy_helper.to_array(tiny).copy()
    array[0, :5] = 1e-9
    tiny.CopyFrom(numpy_helper.from_array(array, "q0"))
    network.graph.node.insert(2, helper.make_node("Add", ["x0", "huge"], ["unused"], "far"))
    network.graph.initializer.append(numpy_helper.from_array(np.full(32, -1e9, np.float32), "huge"))
    source, result = apply(HALF, network, tmp_path)
    assert any("32 weights beyond 65504 are clipped, most of them in 'huge'" in item for item in result.warnings)
    assert any("5 weights below 6e-8" in item and "'q0'" in item for item in result.warnings)
    assert min(compare(source, result, sentences(8))) > 55


def test_subgraphs_are_converted(tmp_path: Path) -> None:
    source, result = apply(HALF, models.branching(), tmp_path)
    random = np.random.default_rng(0)
    for branch in (True, False):
        feeds = {"x": random.normal(0, 1, (1, 8)).astype(np.float32), "b": np.array(branch)}
        assert min(compare(source, result, feeds)) > 55


def test_subgraphs_that_cannot_be_converted_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PassError, match="'if' read values"):
        apply(HALF, models.branching(), tmp_path / "a", scope=Scope(exclude=("If",)))
    with pytest.raises(PassError, match="Add inside If"):
        apply(HALF, models.branching(), tmp_path / "b", params={"block": ("Add",)})
    source, result = apply(HALF, models.branching(), tmp_path / "c", scope=Scope(exclude=("matmul",)))
    feeds = {"x": np.ones((1, 8), np.float32), "b": np.array(True)}
    assert min(compare(source, result, feeds)) > 55


def test_nothing_to_do_gives_the_source_back(tmp_path: Path) -> None:
    _, first = apply(HALF, residual_cnn(), tmp_path / "a", params={"keep_io_types": False})
    source, second = apply(HALF, onnx.load(str(first.artifact.path)), tmp_path / "b")
    assert second.artifact == source
    assert second.changes == ()


def test_expectation_on_a_processor_without_half_arithmetic(tmp_path: Path) -> None:
    source = open_artifact(models.save(residual_cnn(), tmp_path / "m.onnx"))
    found = survey(HALF, source)
    assert found.speed is not None
    assert found.speed.high <= 1.05
    assert any("no FP16 arithmetic" in warning for warning in found.warnings)

"""`quantize.dynamic` on small networks, in both runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from studio.api import Scope, UsageError, open_artifact
from studio.core.provenance import trace
from tests import models
from tests.passes.quantize.support import (
    AVX2,
    VNNI,
    apply,
    compare,
    images,
    lstm,
    operators,
    residual_cnn,
    sentences,
    survey,
    transformer,
)

DYNAMIC = "quantize.dynamic"


def _vectors(width: int = 64, count: int = 32) -> dict[str, Any]:
    return {"image": np.random.default_rng(4).normal(0, 1, (count, width)).astype(np.float32)}


@pytest.mark.parametrize("params", [{}, {"weight_type": "uint8"}, {"per_channel": False}], ids=str)
def test_mlp_keeps_its_outputs_in_both_runtimes(params: dict[str, Any], tmp_path: Path) -> None:
    source, result = apply(DYNAMIC, models.mlp(64, 128, 10), tmp_path, params=params)
    assert min(compare(source, result, _vectors())) > 30
    assert operators(result.artifact).count("MatMulInteger") == 2
    assert "Gemm" not in operators(result.artifact)
    assert result.artifact.bytes < 0.4 * source.bytes


@pytest.mark.parametrize("table", [False, True])
def test_transformer_keeps_its_outputs_in_both_runtimes(table: bool, tmp_path: Path) -> None:
    params = {"operators": ("MatMul", "Gather")} if table else {}
    source, result = apply(DYNAMIC, transformer(), tmp_path, params=params)
    assert min(compare(source, result, sentences(8))) > 28
    assert operators(result.artifact).count("MatMulInteger") == 12
    assert operators(result.artifact).count("MatMul") == 4
    assert operators(result.artifact).count("DequantizeLinear") == int(table)


def test_lstm_on_request(tmp_path: Path) -> None:
    feeds = {"x": np.random.default_rng(0).normal(0, 1, (5, 3, 8)).astype(np.float32)}
    source, result = apply(DYNAMIC, lstm(), tmp_path, params={"operators": ("LSTM", "MatMul")})
    assert "DynamicQuantizeLSTM" in operators(result.artifact)
    assert min(compare(source, result, feeds)) > 30
    assert any("operator of ONNX Runtime" in warning for warning in result.warnings)


def test_convolutions_on_request_only(tmp_path: Path) -> None:
    source, result = apply(DYNAMIC, residual_cnn(), tmp_path / "a")
    assert "Conv" in operators(result.artifact)
    source, result = apply(DYNAMIC, residual_cnn(), tmp_path / "b", params={"operators": ("Conv", "Gemm")})
    assert operators(result.artifact).count("ConvInteger") == 3
    assert min(compare(source, result, images(16))) > 30
    assert any("3-6 times slower" in warning for warning in result.warnings)


def test_survey_and_work_agree(tmp_path: Path) -> None:
    for name, network in (("mlp", models.mlp(64, 128, 10)), ("encoder", transformer())):
        source, result = apply(DYNAMIC, network, tmp_path / name)
        found = survey(DYNAMIC, source)
        rewritten = {change.node for change in result.changes if change.change == "rewritten"}
        assert {origin for node in rewritten for origin in result.provenance[node]} == set(found.nodes)
        assert found.size is not None
        assert found.size.low <= result.artifact.bytes / source.bytes <= found.size.high


def test_provenance_leads_to_the_replaced_node(tmp_path: Path) -> None:
    source, result = apply(DYNAMIC, models.mlp(64, 128, 10), tmp_path)
    before, after = (onnx.load(str(path)).graph for path in (source.path, result.artifact.path))
    found = trace(before, after, result.provenance)
    by_operator = {node.name: node.op_type for node in after.node}
    origins = [found[name] for name, operator in by_operator.items() if operator == "MatMulInteger"]
    assert origins == [("fc1",), ("fc2",)]


def test_scope_keeps_other_gemms_as_they_are(tmp_path: Path) -> None:
    source, result = apply(DYNAMIC, models.mlp(64, 128, 10), tmp_path, scope=Scope(names=("fc1",)))
    graph = onnx.load(str(result.artifact.path)).graph
    kept = [node for node in graph.node if node.op_type == "Gemm"]
    assert [node.name for node in kept] == ["fc2"]
    before = {item.name: item for item in onnx.load(str(source.path)).graph.initializer}
    after = {item.name: item for item in graph.initializer}
    assert np.array_equal(numpy_helper.to_array(before["w2"]), numpy_helper.to_array(after["w2"]))
    assert min(compare(source, result, _vectors())) > 30


def test_gemm_with_factors(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    nodes = [helper.make_node("Gemm", ["image", "w", "b"], ["y"], "fc", alpha=0.5, beta=3.0, transB=1)]
    weights = {
        "w": random.normal(0, 0.3, (6, 64)).astype(np.float32),
        "b": random.normal(0, 1, 6).astype(np.float32),
    }
    network = models.model(nodes, {"image": ["batch", 64]}, {"y": ["batch", 6]}, weights)
    source, result = apply(DYNAMIC, network, tmp_path)
    assert min(compare(source, result, _vectors())) > 30


def test_gemm_that_cannot_be_split_is_named(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gemm", ["x", "w"], ["y"], "fc", transA=1)]
    network = models.model(nodes, {"x": [64, 3]}, {"y": [3, 6]}, {"w": np.ones((64, 6), np.float32)})
    source = open_artifact(models.save(network, tmp_path / "m.onnx"))
    found = survey(DYNAMIC, source)
    assert not found.applies
    assert "transposes its input" in found.why_not


def test_nothing_to_do_gives_the_source_back(tmp_path: Path) -> None:
    source, result = apply(DYNAMIC, residual_cnn(), tmp_path, params={"operators": ("MatMul",)})
    assert result.artifact == source
    assert result.changes == ()
    assert "no MatMul" in result.warnings[0]


def test_weights_in_16_bits_are_refused(tmp_path: Path) -> None:
    _, half = apply("quantize.float16", models.mlp(64, 128, 10), tmp_path / "a")
    network = onnx.load(str(half.artifact.path))
    source, result = apply(DYNAMIC, network, tmp_path / "b")
    assert result.artifact == source
    assert "float32" in result.warnings[0]


def test_unknown_operator(tmp_path: Path) -> None:
    source = open_artifact(models.save(residual_cnn(), tmp_path / "m.onnx"))
    with pytest.raises(UsageError, match="'Softmax'"):
        survey(DYNAMIC, source, operators=("Softmax",))


def test_expectation_depends_on_the_instruction_set(tmp_path: Path) -> None:
    source = open_artifact(models.save(residual_cnn(), tmp_path / "m.onnx"))
    slow = survey(DYNAMIC, source, operators=("Conv", "Gemm"), device=AVX2).speed
    plain = survey(DYNAMIC, source, device=AVX2).speed
    fast = survey(DYNAMIC, source, device=VNNI).speed
    assert slow is not None and plain is not None and fast is not None
    assert slow.high < 0.5 < plain.low < 1 < fast.low
    assert "AVX2 without VNNI" in slow.reason
    assert survey(DYNAMIC, source, device=None).speed is None

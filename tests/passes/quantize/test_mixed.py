from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from studio.api import PassResult, Scope, Step, UsageError, open_artifact, read_model
from studio.core.params import parse_params
from tests import models
from tests.analysis.support import given
from tests.passes.calibrated import Samples, apply
from tests.passes.graph.harness import REGISTRY, run
from tests.passes.quantize.support import images, residual_cnn, sentences, transformer

DATA = given(images(24))
COMMON: dict[str, Any] = {"samples": 24, "test_samples": 16, "rounds": 3}


def mixed(path: Path, data: Samples = DATA, **params: Any) -> tuple[PassResult, onnx.ModelProto]:
    return apply("quantize.mixed", path, data, **{**COMMON, **params})


def sqnr(path: Path, result: PassResult, feeds: Any) -> float:
    right, found = (run(item, feeds)[0].astype(np.float64) for item in (path, result.artifact.path))
    return float(10 * np.log10(np.square(right).sum() / np.square(right - found).sum()))


def kinds(proto: onnx.ModelProto, operator: str) -> int:
    return sum(node.op_type == operator for node in proto.graph.node)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return models.save(residual_cnn(), tmp_path / "model.onnx")


def test_the_budget_is_kept_and_the_prediction_is_near(network: Path) -> None:
    result, proto = mixed(network, sqnr=32.0, minimize="size")
    feeds = {"image": DATA.arrays["image"][:16]}
    measured = sqnr(network, result, feeds)
    assert measured >= 32.0
    assert result.notes["measured_sqnr_db"] == pytest.approx(measured, abs=0.05)
    # Errors of layers may cancel, as where biases were corrected for all of them, but hardly add up to more.
    assert -6 < measured - float(result.notes["predicted_sqnr_db"]) < 15
    assert result.notes["sqnr_db onnxruntime:CPU"] == pytest.approx(measured, abs=0.05)
    assert result.notes["solver_gap"] == 0.0
    assert result.artifact.bytes < open_artifact(network).bytes
    assert kinds(proto, "DequantizeLinear") > 0
    named = {change.node for change in result.changes if change.change == "rewritten"}
    assert 1 <= len(named) <= 4
    assert all("dB by itself" in change.detail for change in result.changes if change.change == "rewritten")


def test_a_tighter_budget_changes_fewer_layers(network: Path) -> None:
    loose, _ = mixed(network, sqnr=15.0, minimize="size", precisions=("int8",))
    # what the quantizers of the smallest layers take of the file is more than their weights save
    assert 0 < int(loose.notes["layers_int8"]) < 4
    # more than the choice of least size keeps
    tight, _ = mixed(network, sqnr=float(loose.notes["measured_sqnr_db"]) + 3, minimize="size", precisions=("int8",))
    assert int(tight.notes.get("layers_float32", 4)) > int(loose.notes["layers_float32"])


def test_an_impossible_budget_changes_nothing(network: Path) -> None:
    result, _ = mixed(network, sqnr=120.0, minimize="size", precisions=("int8",))
    assert result.artifact.sha256 == open_artifact(network).sha256
    assert "within the budget" in result.warnings[0]


def test_least_error_within_a_size(network: Path) -> None:
    result, _ = mixed(network, sqnr=0.0, minimize="error", size=0.5, precisions=("int8",))
    smallest, _ = mixed(network, sqnr=0.0, minimize="size", precisions=("int8",))
    feeds = images(16)
    assert smallest.artifact.bytes <= result.artifact.bytes < 0.75 * open_artifact(network).bytes
    assert sqnr(network, result, feeds) >= sqnr(network, smallest, feeds)
    unbounded, _ = mixed(network, minimize="error")
    assert unbounded.artifact.sha256 == open_artifact(network).sha256


def test_precisions_of_weights_in_a_transformer(tmp_path: Path) -> None:
    path = models.save(transformer(), tmp_path / "model.onnx")
    data = given(sentences(24))
    forms = ("int8", "int4-weights")
    result, proto = mixed(path, data, sqnr=22.0, minimize="size", precisions=forms)
    assert kinds(proto, "MatMulNBits") > 0
    assert sqnr(path, result, {name: array[:16] for name, array in data.arrays.items()}) >= 22.0
    for layer in "01":
        kept = {kinds_of(proto, f"{part}_{layer}") for part in "qkv"}
        assert len(kept) == 1, kept


def kinds_of(proto: onnx.ModelProto, tensor: str) -> str:
    """Say how the node that makes a tensor gets its weight."""
    makers = {out: node for node in proto.graph.node for out in node.output}
    node = makers[tensor]
    while node.op_type == "DequantizeLinear":
        node = makers[makers[node.input[0]].input[0]]
    made = makers.get(node.input[1])
    return f"{node.op_type} {made.op_type if made is not None else 'constant'}"


def test_layers_that_meet_in_an_addition_have_one_precision(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "left"),
        helper.make_node("Conv", ["x", "w2"], ["b"], "right"),
        helper.make_node("Add", ["a", "b"], ["s"], "add"),
        helper.make_node("Relu", ["s"], ["r"], "relu"),
        helper.make_node("Conv", ["r", "w3"], ["y"], "last"),
    ]
    weights = {name: random.normal(0, 0.2, (8, 8, 1, 1)).astype(np.float32) for name in ("w1", "w2", "w3")}
    weights["w1"] *= 0.01  # of no account in the sum: alone it would always change
    proto = models.model(nodes, {"x": ["n", 8, 6, 6]}, {"y": ["n", 8, 6, 6]}, weights)
    path = models.save(proto, tmp_path / "model.onnx")
    data = Samples(x=random.normal(0, 1, (24, 8, 6, 6)).astype(np.float32))
    for floor in (36.0, 39.0, 42.0):
        result, _ = mixed(path, data, sqnr=floor, minimize="size", precisions=("int8",))
        changed = {change.node for change in result.changes if change.change == "rewritten"}
        assert len(changed & {"left", "right"}) in (0, 2)


def test_what_it_leaves_alone(network: Path, tmp_path: Path) -> None:
    result, _ = apply("quantize.static", network, DATA)
    again, _ = mixed(result.artifact.path)
    assert "quantized already" in again.warnings[0]
    scoped, proto = apply(
        "quantize.mixed", network, DATA, scope=Scope(names=("conv2",)), **COMMON, sqnr=10.0, minimize="size"
    )
    assert {change.node for change in scoped.changes if change.change == "rewritten"} == {"conv2"}
    assert [value.name for value in proto.graph.output] == ["logits"]


def test_survey_and_refusals(network: Path) -> None:
    the_pass = REGISTRY.get_pass("quantize.mixed")
    model = read_model(open_artifact(network))
    import onnx_ir.passes.common as common

    model = common.ShapeInferencePass()(model).model
    survey = the_pass.survey(model, the_pass.Params(), None, Scope())
    assert survey.nodes == ("conv1", "conv2", "depthwise", "fc")
    with pytest.raises(UsageError, match="int9"):
        the_pass.survey(model, parse_params(the_pass.Params, {"precisions": ("int9",)}), None, Scope())
    assert "quantized already" in the_pass.refuses((Step(pass_id="quantize.static"),))

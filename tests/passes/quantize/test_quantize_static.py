"""`quantize.static` on small networks, in both runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from studio.api import DataError, Scope, UsageError, open_artifact
from tests import models
from tests.passes.quantize.support import (
    Samples,
    apply,
    compare,
    get,
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

STATIC = "quantize.static"
#: least SQNR in dB, in both runtimes, on networks with random weights
BOUNDS: list[tuple[dict[str, Any], float]] = [
    ({}, 35),
    ({"method": "percentile"}, 35),
    ({"method": "entropy"}, 24),
    ({"weight_type": "uint8"}, 35),
    ({"per_channel": False}, 30),
    ({"activation_type": "int8"}, 35),
    ({"symmetric_activations": True}, 33),
    ({"between": True}, 33),
]


@pytest.mark.parametrize(("params", "bound"), BOUNDS, ids=lambda item: str(item))
def test_cnn_keeps_its_outputs_in_both_runtimes(params: dict[str, Any], bound: float, tmp_path: Path) -> None:
    source, result = apply(STATIC, residual_cnn(), tmp_path, data=Samples(images()), params=params)
    assert min(compare(source, result, images(16, seed=9))) > bound
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"model.onnx"}


@pytest.mark.parametrize("params", [{}, {"method": "percentile"}, {"activation_matmul": True}], ids=str)
def test_transformer_keeps_its_outputs_in_both_runtimes(params: dict[str, Any], tmp_path: Path) -> None:
    source, result = apply(STATIC, transformer(), tmp_path, data=Samples(sentences()), params=params)
    assert min(compare(source, result, sentences(8, seed=5))) > 25


def test_mask_of_an_attention_stays_in_float(tmp_path: Path) -> None:
    source, result = apply(STATIC, transformer(), tmp_path, data=Samples(sentences()), params={"between": True})
    touched = survey(STATIC, source, between=True).nodes
    assert "masked_0_node" not in touched
    assert "scaled_0_node" in touched
    assert min(compare(source, result, sentences(8, seed=5))) > 22


def test_seven_bits_prevent_saturation(tmp_path: Path) -> None:
    feeds = images(16, seed=9)
    measured = {}
    for switch in ("auto", "off"):
        folder = tmp_path / switch
        source, result = apply(STATIC, residual_cnn(), folder, data=Samples(images()), params={"reduce_range": switch})
        weights = [
            numpy_helper.to_array(item)
            for item in onnx.load(str(result.artifact.path)).graph.initializer
            if item.name.startswith("w") and item.name.endswith("_quantized")
        ]
        measured[switch] = max(int(np.abs(array.astype(int)).max()) for array in weights)
        assert result.notes["reduce_range"] is (switch == "auto")
        if switch == "auto":
            assert min(compare(source, result, feeds)) > 30
    assert measured["auto"] <= 64 < measured["off"]


def test_survey_and_work_agree(tmp_path: Path) -> None:
    for name, network, data in (("cnn", residual_cnn(), images()), ("encoder", transformer(), sentences())):
        source, result = apply(STATIC, network, tmp_path / name, data=Samples(data))
        found = survey(STATIC, source)
        touched = {change.node for change in result.changes if change.change != "added"}
        assert found.applies
        assert set(found.nodes) == touched
        assert found.size is not None
        assert found.size.low <= result.artifact.bytes / source.bytes <= found.size.high


def test_summary_counts_operators_with_weights_first(tmp_path: Path) -> None:
    source = open_artifact(models.save(residual_cnn(), tmp_path / "m.onnx"))
    assert survey(STATIC, source).summary == "3 Conv, 1 Gemm, 1 Relu, 1 Clip"


def test_scope_is_respected_even_for_shared_weights(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "first"),
        helper.make_node("MatMul", ["a", "w"], ["y"], "second"),
    ]
    weight = random.normal(0, 0.3, (16, 16)).astype(np.float32)
    network = models.model(nodes, {"x": ["batch", 16]}, {"y": ["batch", 16]}, {"w": weight})
    data = Samples({"x": random.normal(0, 1, (32, 16)).astype(np.float32)})
    _, result = apply(STATIC, network, tmp_path, data=data, scope=Scope(names=("first",)))
    graph = onnx.load(str(result.artifact.path)).graph
    second = next(node for node in graph.node if node.name == "second")
    assert second.input[1] == "w"
    kept = next(item for item in graph.initializer if item.name == "w")
    assert np.array_equal(numpy_helper.to_array(kept), weight)
    assert {change.node for change in result.changes if change.change != "added"} == {"first"}


def test_nodes_without_a_name_can_be_chosen(tmp_path: Path) -> None:
    network = residual_cnn()
    for node in network.graph.node:
        node.name = ""
    _, result = apply(STATIC, network, tmp_path, data=Samples(images()), scope=Scope(names=("Conv:c2",)))
    assert {change.node for change in result.changes if change.change == "rewritten"} == {"Conv:c2"}


def test_clip_that_moves_zero_is_not_merged(tmp_path: Path) -> None:
    network = residual_cnn()
    next(item for item in network.graph.initializer if item.name == "zero").CopyFrom(
        numpy_helper.from_array(np.array(1, np.float32), "zero")
    )
    source, result = apply(STATIC, network, tmp_path, data=Samples(images()))
    assert "Clip" in operators(result.artifact)
    assert min(compare(source, result, images(16, seed=9))) > 30


def test_weights_in_constant_nodes_become_small(tmp_path: Path) -> None:
    network = residual_cnn()
    weights = [item for item in network.graph.initializer if item.name.startswith(("w", "b"))]
    for item in weights:
        node = helper.make_node("Constant", [], [item.name], value=item)
        network.graph.node.insert(0, node)
        network.graph.initializer.remove(item)
    source, result = apply(STATIC, network, tmp_path, data=Samples(images()))
    assert result.artifact.bytes < 0.45 * source.bytes
    assert min(compare(source, result, images(16, seed=9))) > 35


def test_gemm_with_a_bias_row_and_beta(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"], "fc", alpha=2.0, beta=0.5, transB=1)]
    weights = {
        "w": random.normal(0, 0.3, (6, 16)).astype(np.float32),
        "b": random.normal(0, 3, (1, 6)).astype(np.float32),
    }
    network = models.model(nodes, {"x": ["batch", 16]}, {"y": ["batch", 6]}, weights)
    data = {"x": random.normal(0, 1, (32, 16)).astype(np.float32)}
    source, result = apply(STATIC, network, tmp_path, data=Samples(data))
    assert min(compare(source, result, data)) > 30


def test_lstm_stays_in_float_and_its_neighbour_does_not(tmp_path: Path) -> None:
    data = {"x": np.random.default_rng(0).normal(0, 1, (5, 3, 8)).astype(np.float32)}
    source, result = apply(STATIC, lstm(), tmp_path, data=Samples(data))
    assert "LSTM" in operators(result.artifact)
    assert min(compare(source, result, data)) > 30


def test_constant_activations_are_handled(tmp_path: Path) -> None:
    data = {"image": np.zeros((20, 3, 16, 16), np.float32)}
    source, result = apply(STATIC, residual_cnn(), tmp_path, data=Samples(data))
    assert min(compare(source, result, data)) > 30


def test_activations_in_16_bits_raise_the_opset_and_say_so(tmp_path: Path) -> None:
    params = {"activation_type": "uint16"}
    source, result = apply(STATIC, residual_cnn(), tmp_path, data=Samples(images()), params=params)
    proto = onnx.load(str(result.artifact.path))
    assert {item.version for item in proto.opset_import if not item.domain} == {21}
    feeds = images(16, seed=9)
    output = run_onnxruntime(result.artifact.path, feeds)[0]
    assert sqnr(run_onnxruntime(source.path, feeds)[0], output) > 35
    assert any("17 to 21" in warning for warning in result.warnings)
    assert any("OpenVINO" in warning for warning in result.warnings)


def test_old_models_are_converted(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    nodes = [helper.make_node("Conv", ["image", "w"], ["y"], "conv")]
    network = models.model(
        nodes,
        {"image": ["batch", 3, 8, 8]},
        {"y": ["batch", 4, 6, 6]},
        {"w": random.normal(0, 0.3, (4, 3, 3, 3)).astype(np.float32)},
    )
    network.opset_import[0].version, network.ir_version = 8, 3
    network.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3, 3, 3]))
    data = {"image": random.normal(0, 1, (32, 3, 8, 8)).astype(np.float32)}
    source, result = apply(STATIC, network, tmp_path, data=Samples(data))
    assert min(compare(source, result, data)) > 30
    assert [item.name for item in onnx.load(str(result.artifact.path)).graph.input] == ["image"]


def test_control_flow_is_left_alone_and_said(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    data = {"x": random.normal(0, 1, (20, 8)).astype(np.float32), "b": np.array(True).repeat(20)}
    network = models.branching()
    then = next(item.g for node in network.graph.node for item in node.attribute if item.name == "then_branch")
    then.node[0].op_type = "MatMul"
    next(iter(then.initializer)).CopyFrom(numpy_helper.from_array(random.normal(0, 1, (8, 8)).astype(np.float32), "tw"))
    network.graph.input[1].type.tensor_type.shape.dim.add().dim_value = 1
    then_if = next(node for node in network.graph.node if node.op_type == "If")
    network.graph.node.insert(2, helper.make_node("Squeeze", ["b"], ["scalar"], "squeeze"))
    next(node for node in network.graph.node if node.name == then_if.name).input[0] = "scalar"
    source, result = apply(STATIC, network, tmp_path, data=Samples(data))
    assert any("1 operators inside If" in warning for warning in result.warnings)
    feeds = {"x": data["x"][:1], "b": np.array([True])}
    reference = run_onnxruntime(source.path, feeds)[0]
    assert sqnr(reference, run_onnxruntime(result.artifact.path, feeds)[0]) > 30


def test_external_weights(tmp_path: Path) -> None:
    from studio.api import PassContext

    path = tmp_path / "external" / "m.onnx"
    path.parent.mkdir()
    source = open_artifact(models.save_external(residual_cnn(), path))
    (tmp_path / "work").mkdir()
    the_pass = get(STATIC)
    result = the_pass.apply(
        source, the_pass.Params(), PassContext(workdir=tmp_path / "work", calibration=Samples(images()))
    )
    assert min(compare(source, result, images(16, seed=9))) > 30
    assert result.artifact.external == ()


def test_nothing_to_do_gives_the_source_back(tmp_path: Path) -> None:
    source, result = apply(
        STATIC, residual_cnn(), tmp_path, data=Samples(images()), scope=Scope(operators=("MaxPool",))
    )
    assert result.artifact == source
    assert result.changes == ()
    assert "Nothing was changed" in result.warnings[0]


def test_a_quantized_model_is_not_quantized_again(tmp_path: Path) -> None:
    _, first = apply(STATIC, residual_cnn(), tmp_path / "a", data=Samples(images()))
    again = onnx.load(str(first.artifact.path))
    source, second = apply(STATIC, again, tmp_path / "b", data=Samples(images()))
    assert second.artifact == source
    assert "quantized already" in second.warnings[0]
    for name in (STATIC, "quantize.dynamic", "quantize.float16"):
        found = survey(name, source)
        assert not found.applies
        assert "quantized already" in found.why_not


def test_batch_normalization_after_a_convolution_is_pointed_out(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], "conv"),
        helper.make_node("BatchNormalization", ["c", "one", "none", "none", "one"], ["y"], "norm"),
    ]
    weights = {
        "w": np.random.default_rng(0).normal(0, 0.3, (4, 3, 3, 3)).astype(np.float32),
        "one": np.ones(4, np.float32),
        "none": np.zeros(4, np.float32),
    }
    network = models.model(nodes, {"image": ["batch", 3, 8, 8]}, {"y": ["batch", 4, 6, 6]}, weights)
    source = open_artifact(models.save(network, tmp_path / "m.onnx"))
    assert any("fold them first" in warning for warning in survey(STATIC, source).warnings)


def test_few_and_generated_samples_are_pointed_out(tmp_path: Path) -> None:
    _, result = apply(STATIC, residual_cnn(), tmp_path, data=Samples(images(3), synthetic=True))
    assert any("generated inputs" in warning for warning in result.warnings)
    assert any("3 samples only" in warning for warning in result.warnings)


def test_wrong_parameters(tmp_path: Path) -> None:
    source = open_artifact(models.save(residual_cnn(), tmp_path / "m.onnx"))
    with pytest.raises(UsageError, match="Did you mean 'Conv'"):
        survey(STATIC, source, operators=("Cnv",))
    with pytest.raises(UsageError, match="uint8"):
        survey(STATIC, source, weight_type="uint8", activation_type="int8")


def test_calibration_data_is_required(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="calibration data"):
        apply(STATIC, residual_cnn(), tmp_path)


SAMPLES = Path(__file__).parents[3] / "assets" / "samples"


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
def test_the_sample_keeps_its_accuracy(method: str, tmp_path: Path) -> None:
    network = onnx.load(str(SAMPLES / "mnist-resnet.onnx"))
    evaluation = np.load(SAMPLES / "mnist-eval.npz")
    calibration = np.load(SAMPLES / "mnist-calibration.npz")
    data = Samples({"image": calibration["image"]})
    source, result = apply(STATIC, network, tmp_path, data=data, params={"method": method})
    name = network.graph.input[0].name
    correct = [
        float(np.mean(run_onnxruntime(path, {name: evaluation["image"]})[0].argmax(1) == evaluation["labels"]))
        for path in (source.path, result.artifact.path)
    ]
    assert correct[0] - correct[1] < 0.015

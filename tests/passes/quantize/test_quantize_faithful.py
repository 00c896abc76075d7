"""What `quantize.static` does against error: smoothing, equalization, bias correction, and naming what is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from studio.api import Scope, open_artifact
from tests import models
from tests.passes.quantize.support import (
    Arrays,
    Samples,
    apply,
    compare,
    images,
    operators,
    residual_cnn,
    run_onnxruntime,
    run_openvino,
    sentences,
    sqnr,
    survey,
    transformer,
)

STATIC = "quantize.static"
PLAIN: dict[str, Any] = {"smooth": "off", "correct_bias": False}


def outlying(norm: bool = True, width: int = 32) -> onnx.ModelProto:
    """LayerNormalization with two outlying channels, then two MatMul: `x` [batch, 4, width] -> `y` [batch, 4, 16]."""
    random = np.random.default_rng(0)
    gain = np.ones(width, np.float32)
    gain[[3, 17]] = 60
    first = helper.make_node("LayerNormalization", ["x", "g", "b"], ["n"], "norm", axis=-1)
    if not norm:
        first = helper.make_node("Add", ["x", "g"], ["n"], "norm")
    nodes = [
        first,
        helper.make_node("MatMul", ["n", "w1"], ["a"], "up"),
        helper.make_node("Relu", ["a"], ["r"], "relu"),
        helper.make_node("MatMul", ["r", "w2"], ["y"], "down"),
    ]
    weights = {
        "g": gain,
        "b": np.zeros(width, np.float32),
        "w1": random.normal(0, 0.2, (width, 24)).astype(np.float32),
        "w2": random.normal(0, 0.2, (24, 16)).astype(np.float32),
    }
    weights["w1"][[3, 17]] /= 30
    return models.model(nodes, {"x": ["batch", 4, width]}, {"y": ["batch", 4, 16]}, weights)


def rows(count: int = 32, seed: int = 1, width: int = 32) -> Arrays:
    return {"x": np.random.default_rng(seed).normal(0, 1, (count, 4, width)).astype(np.float32)}


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_smoothing_goes_into_the_normalization(strength: float, tmp_path: Path) -> None:
    params: list[dict[str, Any]] = [PLAIN, {**PLAIN, "smooth": "absorb", "smooth_strength": strength}]
    levels = []
    for index, chosen in enumerate(params):
        source, result = apply(STATIC, outlying(), tmp_path / str(index), data=Samples(rows()), params=chosen)
        levels.append(min(compare(source, result, rows(16, seed=5))))
    assert levels[1] > levels[0] + 6
    assert int(result.notes["smoothed"]) >= 1
    assert "Mul" not in operators(result.artifact)
    assert "norm" in {change.node for change in result.changes if change.change == "rewritten"}


def test_smoothing_inserts_a_product_only_where_it_may_and_pays(tmp_path: Path) -> None:
    levels = {}
    for mode in ("absorb", "insert"):
        network = outlying(norm=False)
        # a second reader keeps the Add from taking the scale
        network.graph.node.append(helper.make_node("ReduceMean", ["n"], ["mean"], "mean", axes=[-1]))
        network.graph.output.append(helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["batch", 4, 1]))
        params = {**PLAIN, "smooth": mode}
        source, result = apply(STATIC, network, tmp_path / mode, data=Samples(rows()), params=params)
        feeds = rows(16, seed=5)
        levels[mode] = min(compare(source, result, feeds))
        both = [run_onnxruntime(path, feeds)[1] for path in (source.path, result.artifact.path)]
        assert sqnr(*both) > 100, "the other reader sees the activation as it was"
        assert ("Mul" in operators(result.artifact)) is (mode == "insert")
    assert levels["insert"] > levels["absorb"] + 6
    added = {change.node for change in result.changes if change.operator == "Mul"}
    assert ("up",) in {result.provenance[name] for name in added}


def uneven(clip: bool = False, width: int = 16) -> onnx.ModelProto:
    """Conv, activation, depthwise Conv, activation, Conv whose channels differ a thousandfold."""
    random = np.random.default_rng(0)
    stretch = np.exp(random.uniform(-3.5, 3.5, width))
    activation = ("Clip", ["zero", "six"]) if clip else ("Relu", [])
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], "first", pads=[1] * 4),
        helper.make_node(activation[0], ["c1", *activation[1]], ["r1"], "act1"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "depthwise", pads=[1] * 4, group=width),
        helper.make_node("Relu", ["c2"], ["r2"], "act2"),
        helper.make_node("Conv", ["r2", "w3"], ["y"], "last"),
    ]
    if clip:
        stretch = stretch / stretch.max()
    shape = (-1, 1, 1, 1)
    weights = {
        "w1": random.normal(0, 0.2, (width, 3, 3, 3)) * stretch.reshape(shape),
        "b1": random.normal(0, 0.1, width) * stretch,
        "w2": random.normal(0, 0.3, (width, 1, 3, 3)) / stretch.reshape(shape),
        "b2": random.normal(0, 0.1, width),
        "w3": random.normal(0, 0.2, (8, width, 1, 1)),
        "zero": np.float32(0),
        "six": np.float32(6),
    }
    arrays = {name: np.asarray(array, np.float32) for name, array in weights.items()}
    return models.model(nodes, {"image": ["batch", 3, 16, 16]}, {"y": ["batch", 8, 16, 16]}, arrays)


@pytest.mark.parametrize("clip", [False, True])
def test_equalization_of_a_depthwise_network(clip: bool, tmp_path: Path) -> None:
    levels = []
    for equalize in (False, True):
        params = {**PLAIN, "equalize": equalize, "per_channel": False}
        source, result = apply(STATIC, uneven(clip), tmp_path / str(equalize), data=Samples(images()), params=params)
        levels.append(min(compare(source, result, images(16, seed=5))))
    assert levels[1] > levels[0] + 6
    assert result.notes["equalized"] == 2


def test_equalization_keeps_what_is_computed_where_a_clip_acts(tmp_path: Path) -> None:
    import onnx_ir as ir

    from plugins.quantize.equalization import equalize, find_pairs
    from plugins.quantize.initializers import own_constants
    from plugins.quantize.prepare import open_named
    from plugins.quantize.selection import StaticRule, select

    network = uneven(clip=True)
    bias = next(item for item in network.graph.initializer if item.name == "b1")
    raised = numpy_helper.to_array(bias).copy()
    raised[:5] += 5.5  # these channels reach the bound of 6
    bias.CopyFrom(numpy_helper.from_array(raised, "b1"))
    source = open_artifact(models.save(network, tmp_path / "m.onnx"))
    model = open_named(source)
    selection = select(model.graph, ("Conv",), Scope(), StaticRule(activation_matmul=False))
    own_constants(model.graph, selection)
    pairs = find_pairs(selection)
    feeds = images(64)
    probe = onnx.load(str(source.path))
    probe.graph.output.append(helper.make_tensor_value_info("c1", TensorProto.FLOAT, None))
    seen = run_onnxruntime(models.save(probe, tmp_path / "probe.onnx"), feeds)[1]
    peaks = np.abs(seen).max(axis=(0, 2, 3))
    assert (peaks > 6).any()
    assert (peaks < 5).any()
    equalize(model, pairs, {"c1": peaks})
    ir.save(model, tmp_path / "equal.onnx")
    reference, output = (run_onnxruntime(path, feeds)[0] for path in (source.path, tmp_path / "equal.onnx"))
    assert sqnr(reference, output) > 90
    assert not np.array_equal(
        next(numpy_helper.to_array(item) for item in network.graph.initializer if item.name == "w1"),
        next(
            numpy_helper.to_array(item)
            for item in onnx.load(str(tmp_path / "equal.onnx")).graph.initializer
            if item.name.startswith("w1")
        ),
    )


def test_a_branch_between_two_layers_prevents_equalization(tmp_path: Path) -> None:
    _, result = apply(STATIC, residual_cnn(), tmp_path, data=Samples(images()), params={**PLAIN, "equalize": True})
    # conv1 is read by the residual addition too; conv2 -> clip -> depthwise is a pair
    assert result.notes["equalized"] == 1


@pytest.mark.parametrize("per_channel", [False, True])
def test_bias_correction_takes_the_mean_error_back(per_channel: bool, tmp_path: Path) -> None:
    feeds = images(64, seed=9)
    levels, errors = [], []
    for correct in (False, True):
        # 7 bits, so that no engine saturates and the correction sees the error of the grid alone
        params = {"correct_bias": correct, "per_channel": per_channel, "reduce_range": "on"}
        source, result = apply(STATIC, uneven(), tmp_path / str(correct), data=Samples(images(64)), params=params)
        reference = run_onnxruntime(source.path, feeds)[0].astype(np.float64)
        outputs = [run(result.artifact.path, feeds)[0] for run in (run_onnxruntime, run_openvino)]
        errors.append(max(float(np.abs((output - reference).mean(axis=(0, 2, 3))).mean()) for output in outputs))
        levels.append(min(compare(source, result, feeds)))
    assert errors[1] < 0.2 * errors[0]
    assert levels[1] > levels[0] + 1
    assert result.notes["biases_corrected"] == 3, "the last has none of its own and is given one"


def test_the_layer_that_breaks_is_named(tmp_path: Path) -> None:
    network = residual_cnn()
    item = next(item for item in network.graph.initializer if item.name == "w2")
    array = numpy_helper.to_array(item).copy()
    array[:, :, 1, 1] *= 1e-3
    array[5, 5, 1, 1] = 3e3  # one huge weight leaves no level for the others when they share a scale
    item.CopyFrom(numpy_helper.from_array(array, "w2"))
    params = {"per_channel": False, "correct_bias": False}
    _, result = apply(STATIC, network, tmp_path, data=Samples(images()), params=params)
    assert str(result.notes["lowest_layer_sqnr"]).count(" dB") == 3
    details = {change.node: change.detail for change in result.changes if change.operator == "Conv"}
    assert all(detail.endswith(" dB") for detail in details.values())


def test_layers_in_a_good_model_raise_no_warning(tmp_path: Path) -> None:
    _, result = apply(STATIC, transformer(), tmp_path, data=Samples(sentences()))
    assert not any("differ much from float" in warning for warning in result.warnings)


def test_products_give_float_unless_told_otherwise(tmp_path: Path) -> None:
    counted = {}
    for outputs in (("Gemm", "MatMul"), ()):
        params = {**PLAIN, "float_outputs": outputs}
        source, result = apply(
            STATIC, transformer(), tmp_path / str(len(outputs)), data=Samples(sentences()), params=params
        )
        counted[outputs] = operators(result.artifact).count("QuantizeLinear")
        assert min(compare(source, result, sentences(8, seed=5))) > 22
    assert counted["Gemm", "MatMul"] < counted[()]


def vision(width: int = 16) -> onnx.ModelProto:
    """Patches by a Conv, then attention over them: `image` [batch, 3, 16, 16] -> `y` [batch, 16, width]."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["image", "patch"], ["p"], "patches", kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Reshape", ["p", "shape"], ["f"], "flat"),
        helper.make_node("Transpose", ["f"], ["t"], "tokens", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["t", "q"], ["tq"], "query"),
        helper.make_node("MatMul", ["tq", "f"], ["s"], "scores"),
        helper.make_node("Softmax", ["s"], ["a"], "softmax", axis=-1),
        helper.make_node("MatMul", ["a", "t"], ["c"], "context"),
        helper.make_node("MatMul", ["c", "o"], ["y"], "out"),
    ]
    weights = {
        "patch": random.normal(0, 0.15, (width, 3, 4, 4)).astype(np.float32),
        "q": random.normal(0, 0.1, (width, width)).astype(np.float32),
        "o": random.normal(0, 0.25, (width, width)).astype(np.float32),
    }
    network = models.model(nodes, {"image": ["batch", 3, 16, 16]}, {"y": ["batch", 16, width]}, weights)
    network.graph.initializer.append(numpy_helper.from_array(np.array([0, width, -1], np.int64), "shape"))
    return network


def test_the_patch_embedding_stays_in_float_unless_asked_for(tmp_path: Path) -> None:
    source = open_artifact(models.save(vision(), tmp_path / "m.onnx"))
    found = survey(STATIC, source)
    assert set(found.nodes) == {"query", "out"}
    assert any("cuts a picture into patches" in warning for warning in found.warnings)
    asked = survey(STATIC, source, patch_embedding=True)
    assert "patches" in asked.nodes
    assert any("OpenVINO has given wrong results" in warning for warning in asked.warnings)
    source, result = apply(STATIC, vision(), tmp_path / "run", data=Samples(images()))
    assert min(compare(source, result, images(8, seed=5))) > 22

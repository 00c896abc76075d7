"""`quantize.bfloat16` on small networks, in both runtimes."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from studio.api import PassContext, Scope, Step, UsageError, open_artifact
from studio.core.place import Place
from studio.core.runner import Work, run_step
from studio.core.verify import Check
from tests import models
from tests.passes.quantize.support import (
    AVX2,
    Samples,
    apply,
    compare,
    get,
    images,
    operators,
    registry,
    residual_cnn,
    run_onnxruntime,
    run_openvino,
    sentences,
    sqnr,
    survey,
    transformer,
)

BRAIN = "quantize.bfloat16"


def test_weights_load_everywhere_and_take_half(tmp_path: Path) -> None:
    for name, network, feeds in (("cnn", residual_cnn(), images(16)), ("encoder", transformer(), sentences(8))):
        source, result = apply(BRAIN, network, tmp_path / name, data=Samples(feeds))
        assert min(compare(source, result, feeds)) > 38
        assert {path.name for path in (tmp_path / name / "work").iterdir()} == {"model.onnx"}
        found = survey(BRAIN, source)
        assert set(found.nodes) == {change.node for change in result.changes if change.change == "retyped"}
        assert found.size is not None
        assert found.size.low <= result.artifact.bytes / source.bytes <= found.size.high
    assert result.notes["kept_for_precision"] == 0


def test_weights_are_the_nearest_bfloat16(tmp_path: Path) -> None:
    network = residual_cnn()
    _, result = apply(BRAIN, network, tmp_path, data=Samples(images()))
    graph = onnx.load(str(result.artifact.path)).graph
    kinds = {item.name: item for item in graph.initializer}
    original = next(numpy_helper.to_array(item) for item in network.graph.initializer if item.name == "w2")
    stored = kinds["w2_bfloat16"]
    assert stored.data_type == TensorProto.BFLOAT16
    assert np.array_equal(numpy_helper.to_array(stored), original.astype(ml_dtypes.bfloat16))
    assert kinds["b1"].data_type == TensorProto.FLOAT, "biases stay: they are small"


def test_arithmetic_in_bfloat16_runs_in_openvino_and_onnxruntime_is_refused_by_name(tmp_path: Path) -> None:
    source = open_artifact(models.save(residual_cnn(), tmp_path / "source.onnx"))
    workdir, probe = tmp_path / "work", tmp_path / "probe"
    workdir.mkdir()
    probe.mkdir()
    places = tuple(Place(runtime, runtime.devices()[0]) for runtime in registry().runtimes())
    context = PassContext(workdir=workdir, device=AVX2, calibration=Samples(images()))
    check = Check(places=places, dataset=Samples(images(16, seed=9)), workdir=probe)
    step = Step(pass_id=BRAIN, params={"form": "compute"})
    record = run_step(get(BRAIN), step, source, Work(context, check))
    assert record.verification is not None
    refused = {place.runtime: place.refused for place in record.verification.places}
    assert "cannot load" in refused["onnxruntime:CPU"]
    assert refused["openvino:CPU"] == ""
    assert any(warning.startswith("Do not run it on onnxruntime:CPU") for warning in record.warnings)
    feeds = images(8, seed=5)
    reference = run_onnxruntime(source.path, feeds)[0]
    assert sqnr(reference, run_openvino(record.artifact.path, feeds)[0]) > 35
    conv = next(node for node in onnx.load(str(record.artifact.path)).graph.node if node.name == "conv2")
    assert conv.input[1] == "w2_bfloat16"
    assert any("opset is raised from 17 to 22" in warning for warning in record.warnings)


def test_layers_that_lose_too_much_stay_float32(tmp_path: Path) -> None:
    network = residual_cnn()
    _, result = apply(BRAIN, network, tmp_path / "a", data=Samples(images()), params={"least": 100.0})
    assert result.changes == ()
    assert "more than the bound" in result.warnings[0]
    # a product whose terms cancel to a thousandth of themselves: rounding is larger than what is left
    weight = numpy_helper.to_array(next(item for item in network.graph.initializer if item.name == "w4")).copy()
    weight[:, 1::2] = -weight[:, ::2] * 1.0005
    gemm = next(item for item in network.graph.initializer if item.name == "w4")
    gemm.CopyFrom(numpy_helper.from_array(weight, "w4"))
    for name in ("w3", "w2"):
        item = next(item for item in network.graph.initializer if item.name == name)
        array = numpy_helper.to_array(item).copy()
        array[1::2] = array[::2]
        item.CopyFrom(numpy_helper.from_array(array, name))
    item = next(item for item in network.graph.initializer if item.name == "w1")
    array = numpy_helper.to_array(item).copy()
    array[1::2] = array[::2]
    item.CopyFrom(numpy_helper.from_array(array, "w1"))
    bias = next(item for item in network.graph.initializer if item.name == "b1")
    array = numpy_helper.to_array(bias).copy()
    array[1::2] = array[::2]
    bias.CopyFrom(numpy_helper.from_array(array, "b1"))
    zero = next(item for item in network.graph.initializer if item.name == "b4")
    zero.CopyFrom(numpy_helper.from_array(np.zeros(10, np.float32), "b4"))
    _, result = apply(BRAIN, network, tmp_path / "b", data=Samples(images()))
    assert result.notes["kept_for_precision"] == 1
    assert any("1 layers stay float32" in warning and "fc" in warning for warning in result.warnings)
    assert "fc" not in {change.node for change in result.changes}


def test_scope_and_repeated_steps(tmp_path: Path) -> None:
    _, result = apply(BRAIN, residual_cnn(), tmp_path / "a", scope=Scope(names=("conv2",)), params={"least": 0.0})
    assert {change.node for change in result.changes if change.change == "retyped"} == {"conv2"}
    assert operators(result.artifact).count("Cast") == 1
    assert "16 bits already" in get(BRAIN).refuses((Step(pass_id=BRAIN),))
    assert "float32 weights" in get("quantize.static").refuses((Step(pass_id=BRAIN),))


def test_needs_data_only_when_it_looks_at_it() -> None:
    the_pass = get(BRAIN)
    assert the_pass.needs_for(the_pass.Params())
    assert not the_pass.needs_for(the_pass.Params.model_validate({"least": 0.0}))


def test_unknown_operators(tmp_path: Path) -> None:
    source = open_artifact(models.save(residual_cnn(), tmp_path / "m.onnx"))
    with pytest.raises(UsageError, match="Did you mean 'Conv'"):
        survey(BRAIN, source, operators=("Cnv",))

"""Results in another precision are run in every place; a place where they are garbage is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from studio.core.artifact import Artifact, open_artifact
from studio.core.errors import RuntimeLoadError, VerificationError
from studio.core.modelfile import read_proto
from studio.core.modelinfo import model_inputs
from studio.core.place import Place
from studio.core.registry import Registry, scan
from studio.core.synthetic import synthetic_dataset
from studio.core.verification import Verification, refusal_text
from studio.core.verify import Check, order_places, verify
from studio.locations import bundled
from tests import models

FIXTURES = Path(__file__).parents[1] / "fixtures" / "plugins"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("BURNISH_SIM_CPU", "1")
    return scan(bundled("plugins"), FIXTURES)


@pytest.fixture
def places(registry: Registry) -> tuple[Place, ...]:
    return order_places(
        [Place(runtime, device) for runtime in registry.runtimes() for device in runtime.devices()], None
    )


def quantized(source: onnx.ModelProto, factor: float = 1.0) -> onnx.ModelProto:
    """Give the logits 256 levels, the last layer's weights scaled."""
    proto = onnx.ModelProto()
    proto.CopyFrom(source)
    weights = next(item for item in proto.graph.initializer if item.name == "w2")
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(factor), "w2"))
    proto.graph.node[-1].output[0] = "exact"
    proto.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(0.05, np.float32), "scale"),
            numpy_helper.from_array(np.array(128, np.uint8), "zero"),
        ]
    )
    proto.graph.node.extend(
        [
            helper.make_node("QuantizeLinear", ["exact", "scale", "zero"], ["q"], "quantize"),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["logits"], "dequantize"),
        ]
    )
    return proto


@pytest.fixture
def source(tmp_path: Path) -> Artifact:
    return open_artifact(models.save(models.cnn(), tmp_path / "in" / "model.onnx"))


def check(source: Artifact, change: Any, places: tuple[Place, ...], folder: Path) -> Verification:
    result = open_artifact(models.save(change(read_proto(source.path)), folder / "out" / "model.onnx"))
    dataset = synthetic_dataset(model_inputs(read_proto(source.path)), 32, 1)
    probe = folder / "probe"
    probe.mkdir(exist_ok=True)
    return verify(source, result, Check(places, dataset, probe), exact=False, everywhere=True)


def test_a_good_result_is_run_in_every_place(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    found = check(source, quantized, places, tmp_path)
    assert {place.runtime for place in found.places} == {"onnxruntime:CPU", "openvino:CPU", "simulated:SIM.CPU"}
    for place in found.places:
        assert not place.refused
        assert place.samples == 32
        assert place.sqnr_db is not None
        assert place.sqnr_db > 25
    assert found.runtime == places[0].spec
    assert not found.warnings
    assert Verification.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("batch", ["", "1", "8"])
def test_garbage_on_one_engine_is_refused_there_by_name(
    batch: str, source: Artifact, places: tuple[Place, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURNISH_SIM_GARBAGE", "QuantizeLinear")
    monkeypatch.setenv("BURNISH_SIM_GARBAGE_BATCH", batch)
    faulty = sorted(places, key=lambda place: place.runtime.id != "simulated")
    found = check(source, quantized, tuple(faulty), tmp_path)
    assert "nothing in common" in found.refused_on("simulated:SIM.CPU")
    assert not found.refused_on("onnxruntime:CPU")
    assert not found.refused_on("openvino:CPU")
    assert found.runtime != "simulated:SIM.CPU"
    assert any("simulated:SIM.CPU" in warning for warning in found.warnings)
    assert "quantize.static" in refusal_text(found, "quantize.static", "simulated:SIM.CPU")
    assert refusal_text(found, "quantize.static", "openvino:CPU") == ""


def test_an_engine_that_cannot_load_it_is_refused(
    source: Artifact, places: tuple[Place, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURNISH_SIM_REFUSED", "QuantizeLinear")
    found = check(source, quantized, places, tmp_path)
    assert "cannot load the result" in found.refused_on("simulated:SIM.CPU")
    monkeypatch.setenv("BURNISH_SIM_REFUSED", "Conv")
    other = check(source, quantized, places, tmp_path)
    assert {place.runtime for place in other.places} == {"onnxruntime:CPU", "openvino:CPU"}


def test_far_worse_than_elsewhere_is_refused(
    source: Artifact, places: tuple[Place, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURNISH_SIM_GARBAGE", "QuantizeLinear")
    monkeypatch.setenv("BURNISH_SIM_GAIN", "0.6")
    found = check(source, quantized, places, tmp_path)
    assert "elsewhere" in found.refused_on("simulated:SIM.CPU")
    assert not found.refused_on("openvino:CPU")
    # as poor everywhere: that is the result's own fault, and its figures say so
    only = tuple(place for place in places if place.runtime.id != "simulated")
    poor = check(source, lambda proto: quantized(proto, 0.6), only, tmp_path)
    assert not any(place.refused for place in poor.places)


def test_a_result_that_is_good_nowhere_fails(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"wrong on every runtime here.*nothing in common"):
        check(source, lambda proto: quantized(proto, -2), places, tmp_path)


def test_no_engine_loads_it(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    def odd(proto: onnx.ModelProto) -> onnx.ModelProto:
        proto.graph.node[1].op_type, proto.graph.node[1].domain = "Wiggle", "com.nobody"
        proto.opset_import.append(helper.make_opsetid("com.nobody", 1))
        return proto

    with pytest.raises(RuntimeLoadError, match="Wiggle"):
        check(source, odd, places, tmp_path)


def test_another_shape_is_wrong_everywhere(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    def longer(proto: onnx.ModelProto) -> onnx.ModelProto:
        proto.graph.node[-1].output[0] = "short"
        proto.graph.node.append(helper.make_node("Concat", ["short", "short"], ["logits"], "twice", axis=1))
        proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 6]))
        return proto

    with pytest.raises(VerificationError, match="shape"):
        check(source, longer, places, tmp_path)


def test_infinity_is_traced_to_its_node(source: Artifact, places: tuple[Place, ...], tmp_path: Path) -> None:
    def divide(proto: onnx.ModelProto) -> onnx.ModelProto:
        proto.graph.node[-1].output[0] = "exact"
        proto.graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "nought"))
        proto.graph.node.append(helper.make_node("Div", ["exact", "nought"], ["logits"], "divide"))
        return proto

    with pytest.raises(VerificationError, match=r"NaN or infinity.*'divide'"):
        check(source, divide, places, tmp_path)

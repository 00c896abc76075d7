"""Expectations from a made-up calibration: how much of a model's time a change touches decides."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from studio.core.environment import fingerprint
from studio.core.machine.change import Change
from studio.core.machine.layers import layers_of
from studio.core.machine.predict import model_ns, predict
from studio.core.machine.profile import KINDS, MachineProfile, PlaceProfile, Rate, machine_key
from studio.core.machine.refine import NOT_CALIBRATED, refine
from studio.core.machine.store import MachineStore
from studio.core.passes import Range, Survey
from tests import models

GIGA = 1e9
SPEEDS = {"f32": 10 * GIGA, "int8": 20 * GIGA, "int8-dynamic": 2 * GIGA}


def place(**changes: object) -> PlaceProfile:
    rates = [
        Rate.model_validate({"kind": kind, "precision": name, "macs_per_s": speed})
        for kind, (name, speed) in product(KINDS, SPEEDS.items())
    ]
    made = PlaceProfile(
        device="runtime:CPU",
        name="CPU",
        runtime_version="1",
        rates=tuple(rates),
        cache_bytes_per_s=1e12,
        memory_bytes_per_s=1e12,
        dispatch_ns=0.0,
        call_ns=0.0,
        element_ns={"simple": 0.1, "heavy": 1.0, "quantize": 0.0, "dequantize": 0.0, "dynamic": 0.0},
    )
    return made.model_copy(update=changes)


def conv_model() -> onnx.ModelProto:
    """Give a convolution of 64 to 64 channels on 28x28 and a Gemm of 64 to 10."""
    import numpy as np

    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "v"], ["y"], "fc"),
    ]
    weights = {"w": np.ones((64, 64, 3, 3), np.float32), "v": np.ones((64, 10), np.float32)}
    return models.model(nodes, {"x": ["batch", 64, 28, 28]}, {"y": ["batch", 10]}, weights)


def test_layers_have_kinds_costs_and_readers() -> None:
    layers = {layer.name: layer for layer in layers_of(conv_model())}
    conv, gemm = layers["conv"], layers["fc"]
    assert (conv.kind, conv.macs, conv.weight_bytes, conv.precision) == ("conv", 28 * 28 * 64 * 64 * 9, 147_456, "f32")
    assert (gemm.kind, gemm.macs) == ("gemv", 640)
    assert layers["relu"].kind == layers["flatten"].kind == "free"
    assert layers["pool"].kind == "simple"
    assert conv.feeds == ("pool",)
    assert layers["pool"].feeds == ("fc",)


def test_a_depthwise_and_a_pointwise_convolution_are_told_apart() -> None:
    import numpy as np

    nodes = [
        helper.make_node("Conv", ["x", "d"], ["a"], "depthwise", group=8, pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "p"], ["y"], "pointwise"),
    ]
    weights = {"d": np.ones((8, 1, 3, 3), np.float32), "p": np.ones((4, 8, 1, 1), np.float32)}
    proto = models.model(nodes, {"x": [1, 8, 6, 6]}, {"y": [1, 4, 6, 6]}, weights)
    assert {layer.name: layer.kind for layer in layers_of(proto)} == {
        "depthwise": "depthwise",
        "pointwise": "pointwise",
    }


def test_the_time_of_a_model_is_that_of_its_layers() -> None:
    arithmetic = (28 * 28 * 64 * 64 * 9 + 640) / 10
    assert model_ns(layers_of(conv_model()), place()) == pytest.approx(arithmetic + 64 * 0.1, rel=1e-3)
    slow = place(cache_bytes_per_s=1e6)
    assert model_ns(layers_of(conv_model()), slow) == pytest.approx((147_456 + 2560) * 1e3, rel=1e-2)


def test_what_takes_all_the_time_gains_what_the_calibration_says() -> None:
    found = predict(layers_of(conv_model()), place(), ["conv", "fc"], Change(precision="int8"))
    assert found is not None
    assert found.calibrated
    assert found.low < 2.0 < found.high
    assert found.low > 1.4


def test_what_takes_no_time_promises_nothing() -> None:
    found = predict(layers_of(conv_model()), place(), ["fc"], Change(precision="int8-dynamic"))
    assert found is not None
    assert 0.95 < found.low <= 1 <= found.high < 1.05
    assert "0% of the time" in found.reason


def test_slow_integer_convolutions_are_expected_to_be_slow() -> None:
    found = predict(layers_of(conv_model()), place(), ["conv", "fc"], Change(precision="int8-dynamic"))
    assert found is not None
    assert 0.1 < found.low < 0.2 < found.high < 0.3


def test_conversions_at_the_borders_cost() -> None:
    dear = place(element_ns={"simple": 0.1, "heavy": 1.0, "quantize": 50.0, "dequantize": 50.0, "dynamic": 50.0})
    cheap, costly = (
        predict(layers_of(conv_model()), where, ["conv"], Change(precision="int8")) for where in (place(), dear)
    )
    assert cheap is not None
    assert costly is not None
    # 2 x 28 x 28 x 64 elements of 50 ns beside 2.89 ms of arithmetic
    assert costly.high < cheap.low
    assert "conversions take" in costly.reason


def test_a_share_of_the_arithmetic() -> None:
    found = predict(layers_of(conv_model()), place(), ["conv"], Change(keep=(0.5, 0.5)))
    assert found is not None
    assert found.low < 2 < found.high


@pytest.mark.parametrize(
    ("nodes", "change"),
    [(["conv"], Change(precision="f16")), (["pool"], Change(precision="int8")), ([], Change(precision="int8"))],
)
def test_what_is_not_known_is_not_guessed(nodes: list[str], change: Change) -> None:
    assert predict(layers_of(conv_model()), place(), nodes, change) is None


def test_quantized_layers_are_seen_as_such() -> None:
    import numpy as np

    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], "dq"),
        helper.make_node("DequantizeLinear", ["w", "s", "wz"], ["wd"], "dqw"),
        helper.make_node("MatMul", ["d", "wd"], ["y"], "matmul"),
    ]
    weights: dict[str, NDArray[Any]] = {
        "s": np.array(0.1, np.float32),
        "z": np.array(0, np.uint8),
        "wz": np.array(0, np.int8),
        "w": np.ones((16, 8), np.int8),
    }
    proto = models.model(nodes, {"x": [32, 16]}, {"y": [32, 8]}, weights)
    assert proto.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    layer = next(layer for layer in layers_of(proto) if layer.name == "matmul")
    assert (layer.precision, layer.weight_bytes, layer.macs) == ("int8", 128, 32 * 16 * 8)


def test_a_survey_without_calibration_says_so() -> None:
    own = Range(low=0.5, high=2.0, reason="its own")
    survey = Survey(applies=True, summary="1 Conv", nodes=("conv",), speed=own, change=Change(precision="int8"))
    found = refine(survey, (), None)
    assert found.speed is not None
    assert (found.speed.low, found.speed.high, found.speed.calibrated) == (0.5, 2.0, False)
    assert NOT_CALIBRATED in found.speed.reason
    computed = refine(survey, layers_of(conv_model()), place())
    assert computed.speed is not None
    assert computed.speed.calibrated
    plain = survey.model_copy(update={"change": None})
    assert refine(plain, (), None) == plain


def test_a_calibration_holds_for_its_hardware_and_versions(tmp_path: Path) -> None:
    here = fingerprint()
    store = MachineStore(tmp_path / "machine")
    assert store.read(here).places == ()
    store.write(MachineProfile(key=machine_key(here), cpu=here.cpu).with_place(place()))
    found = store.read(here).place("runtime:CPU")
    assert found == place()
    assert found is not None
    assert found.peaks == SPEEDS
    newer = here.model_copy(update={"libraries": {**here.libraries, "onnxruntime": "99"}})
    assert store.read(newer).places == ()
    busier = here.model_copy(update={"load_average": 9.0, "frequency_mhz": 1.0})
    assert store.read(busier).places != ()

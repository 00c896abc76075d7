"""What the passes decide by device and by the steps before them."""

from __future__ import annotations

import pytest

from plugins.quantize.expectation import Switch, half_speed, reduce_range, static_speed
from studio.api import Device, Need, Step, describe
from tests.passes.quantize.support import AVX2, VNNI, get, registry

AVX512 = AVX2.model_copy(update={"instruction_sets": ("AVX2", "AVX512")})
ARM = AVX2.model_copy(update={"instruction_sets": ("NEON",)})
DOT = AVX2.model_copy(update={"instruction_sets": ("NEON", "DOTPROD", "FP16")})
GPU = Device(runtime="openvino", id="GPU", name="a GPU", kind="gpu", precisions=("FP16", "INT8"))


@pytest.mark.parametrize(
    ("switch", "weights", "device", "expected"),
    [
        ("auto", "int8", AVX2, True),
        ("auto", "int8", AVX512, True),
        ("auto", "uint8", AVX2, False),
        ("auto", "int8", VNNI, False),
        ("auto", "int8", ARM, False),
        ("auto", "int8", DOT, False),
        ("auto", "int8", GPU, False),
        ("on", "int8", VNNI, True),
        ("off", "int8", AVX2, False),
    ],
)
def test_seven_bits_where_eight_saturate(switch: Switch, weights: str, device: Device, expected: bool) -> None:
    assert reduce_range(switch, weights, device) is expected


def test_static_int8_is_promised_only_with_dot_products() -> None:
    for device in (AVX2, AVX512):
        assert static_speed(device).low < 0.5 < 1.5 < static_speed(device).high
        assert "measure it" in static_speed(device).reason
    assert static_speed(VNNI).low > 1
    assert static_speed(GPU).low > 1


def test_half_precision_is_fast_only_with_arithmetic_for_it() -> None:
    assert half_speed(AVX2).high <= 1.05
    assert half_speed(DOT).high > 1.5
    assert half_speed(GPU).low > 1


@pytest.mark.parametrize(
    ("asked", "before", "said"),
    [
        ("quantize.static", ("graph.clean",), ""),
        ("quantize.static", ("quantize.dynamic",), "quantized already"),
        ("quantize.dynamic", ("graph.clean", "quantize.static"), "quantized already"),
        ("quantize.static", ("quantize.float16",), "float32 weights"),
        ("quantize.float16", ("quantize.static",), "cannot convert"),
        ("quantize.float16", ("quantize.float16",), "16 bits already"),
        ("quantize.float16", ("prune.channels",), ""),
    ],
)
def test_refused_orders(asked: str, before: tuple[str, ...], said: str) -> None:
    reason = get(asked).refuses(tuple(Step(pass_id=name) for name in before))
    assert said in reason
    assert bool(reason) is bool(said)


def test_steps_that_are_switched_off_do_not_count() -> None:
    assert get("quantize.static").refuses((Step(pass_id="quantize.dynamic", enabled=False),)) == ""


def test_the_manifest_lists_the_passes() -> None:
    for name in ("quantize.dynamic", "quantize.static", "quantize.float16"):
        assert name in registry().ids("pass")
        the_pass = get(name)
        assert the_pass.family == "precision"
        assert not the_pass.exact
        assert the_pass.summary
        assert all(spec.help for spec in describe(the_pass.Params))
    assert get("quantize.static").needs == {Need.CALIBRATION}
    assert get("quantize.dynamic").needs == frozenset()

"""Each cause on plain data where it is known; together they make the difference."""

from __future__ import annotations

from typing import Any

import pytest

from studio.core.diagnosis.causes import Side, find_causes
from studio.core.diagnosis.explanation import Cause
from studio.core.diagnosis.roofline import Rates
from tests.core.diagnosis.layers import layer, side


def causes(baseline: Side, variant: Side, rates: Rates | None = None) -> dict[str, Cause]:
    found: dict[str, Cause] = {cause.kind: cause for cause in find_causes(baseline, variant, rates)}
    clean = [one.profile.clean_ns or 0 for one in (baseline, variant)]
    explained = sum(cause.milliseconds for cause in found.values())
    unexplained = (clean[1] - clean[0]) / 1e6 - explained
    # Only kernels in which nothing is different may leave something unexplained.
    assert abs(unexplained) < 1e-6 or any(
        {item.kernel for item in baseline.profile.layers} & {item.kernel for item in variant.profile.layers}
    )
    return found


def test_equal_profiles_have_no_cause() -> None:
    assert causes(side(layer("a", 1.0)), side(layer("a", 1.0))) == {}


def test_integers_without_a_fast_kernel() -> None:
    slow = layer("a_quant", 3.0, "ConvInteger", precision="u8", origins=("a",), kernel="ConvInteger")
    found = causes(side(layer("a", 1.0)), side(slow))
    assert list(found) == ["no fast kernel"]
    assert found["no fast kernel"].milliseconds == pytest.approx(2.0)
    assert found["no fast kernel"].nodes == ("a_quant",)
    assert found["no fast kernel"].layers[0].origins == ("a",)


def test_integers_that_pay() -> None:
    fast = layer("a", 0.4, "QLinearConv", precision="u8")
    assert causes(side(layer("a", 1.0)), side(fast))["lower precision"].milliseconds == pytest.approx(-0.6)


def test_integers_do_not_help_what_memory_bounds_or_is_tiny() -> None:
    rates = Rates(macs_per_s={"f32": 1e11, "i8": 2e11}, bytes_per_s=1e10)
    wide: dict[str, Any] = {"macs": 1_000_000, "bytes": 10_000_000}
    before, after = layer("a", 1.0, **wide), layer("a", 1.1, "QLinearConv", precision="u8", **wide)
    assert list(causes(side(before), side(after), rates)) == ["memory-bound"]
    assert list(causes(side(before), side(after))) == ["no fast kernel"]
    tiny = side(layer("a", 0.006)), side(layer("a", 0.009, "QLinearConv", precision="u8"))
    assert list(causes(*tiny)) == ["too small"]


def test_conversions_and_what_they_serve() -> None:
    variant = side(
        layer("q", 0.2, "QuantizeLinear", origins=()),
        layer("a", 1.0, "QLinearConv", precision="f32", kernel="k"),
        layer("scale", 0.1, "Mul", origins=("a",)),
        layer("r", 0.3, "Reorder", nodes=(), origins=(), inserted=True, feeds=("b",)),
    )
    found = causes(side(layer("a", 1.0, kernel="k")), variant)
    assert found["conversion"].milliseconds == pytest.approx(0.3)
    assert set(found["conversion"].nodes) == {"q", "scale"}
    assert found["reorder"].milliseconds == pytest.approx(0.3)
    assert found["reorder"].nodes == ("b",)


def test_a_reorder_in_both_is_no_cause() -> None:
    both = [layer("r", 0.3, "Reorder", nodes=(), origins=(), inserted=True, feeds=("b",)), layer("b", 1.0)]
    assert causes(side(*both), side(*both)) == {}
    gone = causes(side(*both), side(both[1]))
    assert gone["reorder"].milliseconds == pytest.approx(-0.3)


def test_a_fusion_lost_and_won() -> None:
    fused = side(layer("k", 1.2, nodes=("conv", "add", "relu"), cores=("conv",)))
    apart = side(layer("conv", 1.0), layer("add", 0.4, "Add"), layer("relu", 0.3, "Relu"))
    lost = causes(fused, apart)
    assert lost["fusion lost"].milliseconds == pytest.approx(0.5)
    assert set(lost["fusion lost"].nodes) == {"add", "relu", "conv"}
    won = causes(apart, fused)
    assert won["fusion won"].milliseconds == pytest.approx(-0.5)


def test_work_that_is_gone_and_work_that_became_less() -> None:
    full = side(layer("a", 2.0, macs=1000), layer("b", 1.0, macs=500))
    pruned = side(layer("a", 1.1, macs=500))
    found = causes(full, pruned)
    assert found["work removed"].milliseconds == pytest.approx(-0.9 - 1.0)
    back = causes(pruned, full)
    assert back["work added"].milliseconds == pytest.approx(0.9 + 1.0)


def test_what_still_runs_in_float_beside_quantized_layers() -> None:
    before = side(layer("a", 1.0), layer("b", 1.0))
    after = side(layer("a", 0.5, "QLinearConv", precision="u8"), layer("b", 1.2))
    found = causes(before, after)
    assert found["still in float"].nodes == ("b",)
    assert found["still in float"].milliseconds == pytest.approx(0.2)


def test_an_integer_operator_that_the_engine_runs_in_float() -> None:
    run = layer("b", 1.5, "Conv", operators=("ConvInteger",), precision="f32")
    assert list(causes(side(layer("b", 1.0)), side(run))) == ["still in float"]


def test_a_fallback_is_told_before_anything_else() -> None:
    gpu: dict[str, Any] = {"device": "simulated:GPU"}
    before = side(layer("a", 1.0, placement="simulated:GPU"), cores=None, **gpu)
    after = side(layer("a", 4.0, placement="simulated:CPU", precision="u8"), cores=None, **gpu)
    found = causes(before, after)
    assert found["fallback"].milliseconds == pytest.approx(3.0)


def test_more_threads_than_cores_and_other_numbers_of_threads() -> None:
    one, two, eight = (side(layer("a", ms), threads=threads) for threads, ms in ((1, 2.0), (2, 1.0), (8, 5.0)))
    assert list(causes(two, eight)) == ["oversubscription"]
    assert list(causes(one, two)) == ["threads"]
    assert causes(two, eight)["oversubscription"].milliseconds == pytest.approx(4.0)


def test_another_device_and_another_kernel() -> None:
    here = side(layer("a", 1.0, kernel="x"))
    there = side(layer("a", 2.0, kernel="y", placement="openvino:CPU"), device="openvino:CPU")
    assert list(causes(here, there)) == ["device"]
    assert list(causes(here, side(layer("a", 2.0, kernel="y")))) == ["other kernel"]


def test_time_between_kernels_and_counters_that_inflate() -> None:
    found = causes(side(layer("a", 1.0), clean=1.1), side(layer("a", 1.0), clean=1.6))
    assert found["between kernels"].milliseconds == pytest.approx(0.5)
    inflated = side(layer("a", 2.0), layer("q", 2.0, "QuantizeLinear", origins=()), clean=1.0)
    assert inflated.ms(inflated.profile.layers[0]) == pytest.approx(0.5)
    assert causes(side(layer("a", 0.5)), inflated)["conversion"].milliseconds == pytest.approx(0.5)


def test_drift_between_the_passes_is_taken_out() -> None:
    drifted = side(layer("a", 1.0), clean=2.0, beside_ns=1_000_000)
    assert drifted.ms(drifted.profile.layers[0]) == pytest.approx(2.0)
    assert drifted.between_ms() == 0.0


def test_models_without_a_common_name_are_matched_by_structure() -> None:
    before = side(layer("a", 1.0, shape=(1, 8)), layer("b", 1.0, shape=(1, 16)))
    after = side(
        layer("u", 3.0, "QLinearConv", precision="u8", shape=(1, 8)),
        layer("v", 0.5, "QLinearConv", precision="u8", shape=(1, 16)),
        layer("w", 0.2, shape=(1, 99)),
    )
    found = causes(before, after)
    assert found["no fast kernel"].nodes == ("u",)
    assert found["lower precision"].nodes == ("v",)
    assert found["work added"].nodes == ("w",)

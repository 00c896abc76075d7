"""Built cases of which the cause is known, on the real engines; and what holds of every explanation."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from studio.analysis.explain import explain
from studio.core.device import find_device
from studio.core.diagnosis.explanation import Cause, Explanation
from studio.core.recipe import Recipe, parse_step
from studio.jobs.pool import JobPool
from studio.jobs.tasks.subject import Subject
from studio.locations import load_registry
from studio.workbench import Workbench
from tests import models
from tests.analysis import cases
from tests.analysis.conftest import OPTIONS, SAMPLE, Save


def causes(work: Workbench, found: Explanation) -> dict[str, Cause]:
    """Check what holds of every explanation, and give its causes by kind."""
    explained = sum(cause.milliseconds for cause in found.causes) + found.remainder_ms
    assert explained == pytest.approx(found.difference.milliseconds)
    assert found.difference.low <= found.difference.milliseconds <= found.difference.high
    assert len({cause.kind for cause in found.causes}) == len(found.causes)
    nodes = {name for profile in (found.baseline, found.variant) for layer in profile.layers for name in layer.nodes}
    for cause in found.causes:
        if cause.layers:
            assert sum(delta.milliseconds for delta in cause.layers) == pytest.approx(cause.milliseconds)
        assert set(cause.nodes) <= nodes
        if cause.remedy is not None and cause.remedy.step:
            step = parse_step(cause.remedy.step)
            work.resolve(Recipe(steps=(step,)))
    return {cause.kind: cause for cause in found.causes}


def test_dynamic_integer_convolutions(work: Workbench, subject: Save) -> None:
    found = explain(work, subject(cases.depthwise(), "float"), subject(cases.dynamic(), "dynamic"), OPTIONS)
    assert found.ratio.verdict == "slower"
    known = causes(work, found)
    assert known["no fast kernel"].nodes == ("conv_quant",)
    assert known["no fast kernel"].layers[0].origins == ("conv",)
    assert known["no fast kernel"].milliseconds > 0
    assert {"q", "float", "conv"} <= set(known["conversion"].nodes)
    assert known["fusion lost"].nodes == ("y",)
    assert known["no fast kernel"].remedy is not None
    assert known["no fast kernel"].remedy.step == "quantize.dynamic:operators=MatMul|Gemm"


def test_quantizing_breaks_a_fusion(work: Workbench, subject: Save) -> None:
    found = explain(work, subject(cases.residual(), "float"), subject(cases.broken(), "qdq"), OPTIONS)
    known = causes(work, found)
    assert {"sum", "y"} <= set(known["fusion lost"].nodes)
    assert known["fusion lost"].milliseconds > 0
    assert known["conversion"].milliseconds > 0
    assert known["fusion lost"].remedy is not None
    assert known["fusion lost"].remedy.step == "quantize.static:between=true"
    (quantized,) = (layer for layer in found.variant.layers if layer.integer and layer.cores)
    assert quantized.origins == ("second",)


def test_a_transposed_layout(work: Workbench, subject: Save) -> None:
    found = explain(work, subject(cases.pointwise(), "first"), subject(cases.transposed(), "last"), OPTIONS)
    known = causes(work, found)
    moved = [delta for delta in known["reorder"].layers if "Transpose" in delta.variant_kernel]
    assert {name for delta in moved for name in delta.nodes} == {"last", "conv"}
    assert sum(delta.milliseconds for delta in moved) > 0


def test_more_threads_than_cores(work: Workbench, subject: Save) -> None:
    model = subject(cases.residual(), "model")
    cores = model.device.cores or 1
    wanted = OPTIONS.run.model_copy(update={"threads": cores})
    many = wanted.model_copy(update={"threads": 4 * cores})
    found = explain(work, model, model, OPTIONS.model_copy(update={"run": wanted}), variant_run=many)
    known = causes(work, found)
    heavy = {name for layer in found.variant.layers for name in layer.cores}
    assert heavy <= set(known["oversubscription"].nodes)
    assert set(known) <= {"oversubscription", "between kernels"}
    assert any(f"{4 * cores} threads on {cores} cores" in note for note in found.notes)


def test_one_model_on_two_devices(work: Workbench, subject: Save) -> None:
    first = subject(SAMPLE, "sample")
    second = subject(SAMPLE, "sample", "openvino:CPU")
    found = explain(work, first, second, OPTIONS)
    known = causes(work, found)
    assert "device" in known
    assert (found.baseline.device, found.variant.device) == ("onnxruntime:CPU", "openvino:CPU")
    heavy = {name for layer in found.baseline.layers for name in layer.cores}
    assert {name for layer in found.variant.layers for name in layer.cores} == heavy
    assert len(heavy) == sum(1 for item in onnx.load(SAMPLE).graph.node if item.op_type in ("Conv", "Gemm"))


def test_an_operator_that_falls_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_PLUGINS", str(Path(__file__).parents[1] / "fixtures" / "plugins"))
    monkeypatch.setenv("BURNISH_SIM_FALLBACK", "Sigmoid")
    monkeypatch.setenv("BURNISH_SIM_FALLBACK_MS", "20")
    with JobPool(workers=1, spare=False) as pool:
        work = Workbench(load_registry(), pool, tmp_path / "cache")
        device = find_device(work.detect().devices, "simulated:SIM.GPU.0")
        paths = [models.save(cases.activated(name), tmp_path / f"{name}.onnx") for name in ("Relu", "Sigmoid")]
        subjects = [Subject(name=path.stem, artifact=work.open_model(path).artifact, device=device) for path in paths]
        found = explain(work, subjects[0], subjects[1], OPTIONS)
        known = causes(work, found)
        work.close()
    assert known["fallback"].nodes == ("y",)
    assert known["fallback"].milliseconds > 10
    assert known["fallback"].remedy is not None
    assert "SIM.GPU.0" in known["fallback"].remedy.text
    assert found.ratio.verdict == "slower"

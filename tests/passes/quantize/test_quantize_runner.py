"""The passes through the runner, which verifies what they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.api import PassContext, Step, open_artifact
from studio.core.place import Place
from studio.core.runner import Work, run_step
from studio.core.verify import Check
from tests import models
from tests.passes.quantize.support import AVX2, Samples, get, images, registry, residual_cnn

STEPS: list[tuple[str, dict[str, Any], float]] = [
    ("quantize.static", {}, 30),
    ("quantize.dynamic", {"operators": ["Gemm", "Conv"]}, 30),
    ("quantize.float16", {}, 60),
    ("quantize.float16", {"keep_io_types": False}, 50),
]


@pytest.mark.parametrize(("name", "params", "bound"), STEPS, ids=str)
def test_results_pass_verification(name: str, params: dict[str, Any], bound: float, tmp_path: Path) -> None:
    source = open_artifact(models.save(residual_cnn(), tmp_path / "source.onnx"))
    workdir, probe = tmp_path / "work", tmp_path / "probe"
    workdir.mkdir()
    probe.mkdir()
    runtimes = registry().runtimes()
    places = tuple(Place(runtime, runtime.devices()[0]) for runtime in runtimes)
    context = PassContext(workdir=workdir, device=AVX2, calibration=Samples(images()))
    check = Check(places=places, dataset=Samples(images(16, seed=9)), workdir=probe)
    record = run_step(get(name), Step(pass_id=name, params=params), source, Work(context, check))
    assert record.verification is not None
    assert record.verification.sqnr_db is not None
    assert record.verification.sqnr_db > bound
    assert not [warning for warning in record.warnings if "cannot load" in warning]
    assert all(record.provenance[node.name] for node in _weighted(record.artifact.path))


def _weighted(path: Path) -> list[Any]:
    import onnx

    wanted = {"Conv", "Gemm", "ConvInteger", "MatMulInteger"}
    return [node for node in onnx.load(str(path)).graph.node if node.op_type in wanted]

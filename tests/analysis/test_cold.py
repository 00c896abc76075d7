"""Cold starts on the real engines: every stage is told, and what was kept is used."""

from __future__ import annotations

import pytest

from studio.analysis.cold import cold_start
from studio.core.runtime import RunOptions, Runtime
from studio.workbench import Workbench
from tests.analysis.conftest import OPTIONS, SAMPLE, Save
from tests.runtimes.plugins import runtime


@pytest.mark.parametrize(
    ("engine", "stages"),
    [("onnxruntime:CPU", {"session"}), ("openvino:CPU", {"read", "compile", "compile for the shapes"})],
)
def test_stages_memory_and_what_is_kept(engine: str, stages: set[str], work: Workbench, subject: Save) -> None:
    model = subject(SAMPLE, "sample", engine)
    found = cold_start(work, model, OPTIONS, rounds=2)
    assert set(found.plain.stages) == stages
    assert found.plain.rounds == len(found.runs) == len(found.cached_runs) == 2
    for run in (*found.runs, *found.cached_runs):
        assert min(run.import_ns, run.load_ns, run.first_ns, run.steady_ns, *run.stages_ns.values()) > 0
        assert run.load_ns >= sum(run.stages_ns.values()) - run.late_ns
        assert run.total_ns == run.import_ns + run.load_ns + run.late_ns + run.first_ns
        assert run.late_ns == run.stages_ns.get("compile for the shapes", 0)
    assert found.cached is not None
    assert found.cache_bytes > 1_000_000
    assert 0 < found.loaded_bytes.median <= found.peak_bytes.median
    assert found.weight_bytes == pytest.approx(7.7e6, rel=0.05)
    assert found.activation_bytes is not None
    assert 1e5 < found.activation_bytes < 1e6
    assert found.faults is None or found.faults.median > 0
    assert not list(work.cache.scratch.iterdir())


def test_a_runtime_that_keeps_nothing_says_so() -> None:
    simulated = runtime("simulated")
    assert type(simulated).load_cached is Runtime.load_cached
    device = simulated.devices()[0]
    assert simulated.load_cached(None, device, RunOptions(), None) is None  # type: ignore[arg-type]

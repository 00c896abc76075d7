"""The simulated accelerators misbehave as they are told to."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from studio.api import Artifact, Device, RunOptions, RuntimeLoadError
from tests.runtimes.models import conv, random, save
from tests.runtimes.plugins import runtime

FEEDS = {"image": random(1, 3, 8, 8)}


def device(name: str) -> Device:
    return next(found for found in runtime("simulated").devices() if found.id == name)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return save(conv(), tmp_path)


def test_operators_fall_back_and_say_so(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_SIM_FALLBACK", "Relu,Gemm")
    with runtime("simulated").load(artifact, device("SIM.NPU"), RunOptions()) as model:
        assert model.placement == {"simulated:SIM.NPU": 2, "simulated:CPU": 2}
        assert model.warnings == ("2 of 4 nodes fall back to the CPU: Relu (1), Gemm (1).",)
        placed = {item.name: item.placement for item in model.profile(FEEDS, 2) or ()}
    assert placed["relu"] == "simulated:CPU"
    assert placed["conv"] == "simulated:SIM.NPU"


def test_an_operator_is_refused_by_name(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_SIM_REFUSED", "Gemm")
    with pytest.raises(RuntimeLoadError, match="operator Gemm"):
        runtime("simulated").load(artifact, device("SIM.GPU.0"), RunOptions())


def test_a_device_disappears_while_running(artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    monkeypatch.setenv("BURNISH_SIM_LOST", str(gone))
    fragile = device("SIM.GPU.1")
    with runtime("simulated").load(artifact, fragile, RunOptions()) as model:
        call = model.bind(FEEDS)
        call()
        gone.touch()
        with pytest.raises(RuntimeLoadError, match=r"SIM\.GPU\.1 was lost"):
            call()
    assert [found.id for found in runtime("simulated").devices()] == ["SIM.GPU.0", "SIM.NPU"]
    assert [row.name for row in runtime("simulated").unavailable()] == ["SIM.GPU.1"]
    with pytest.raises(RuntimeLoadError, match="was lost"):
        runtime("simulated").load(artifact, fragile, RunOptions())


def test_a_device_is_lost_after_some_inferences(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    fragile = device("SIM.GPU.1")
    monkeypatch.setenv("BURNISH_SIM_LOSE_AFTER", "2")
    with runtime("simulated").load(artifact, fragile, RunOptions()) as model:
        model.run(FEEDS)
        model.run(FEEDS)
        with pytest.raises(RuntimeLoadError, match="was lost") as caught:
            model.run(FEEDS)
    assert caught.value.hint


def test_latency_is_added(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_SIM_LATENCY", "30")
    with runtime("simulated").load(artifact, device("SIM.GPU.0"), RunOptions()) as model:
        start = time.perf_counter()
        model.run(FEEDS)
        assert time.perf_counter() - start >= 0.03

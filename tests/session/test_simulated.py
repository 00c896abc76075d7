"""The paths of GPU and NPU, on the simulated accelerator of the tests, as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import models

ROOT = Path(__file__).resolve().parents[2]


def burnish(folder: Path, *arguments: object, **settings: str) -> tuple[int, Any, str]:
    env = {
        **os.environ,
        "BURNISH_PLUGINS": str(ROOT / "tests" / "fixtures" / "plugins"),
        "BURNISH_CACHE": str(folder / "cache"),
        "PYTHONPATH": str(ROOT),
        **settings,
    }
    done = subprocess.run(
        [sys.executable, "-m", "studio", *map(str, arguments), "--json"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return models.save(models.cnn(), tmp_path / "cnn.onnx")


def test_several_devices_are_listed(tmp_path: Path) -> None:
    status, found, _ = burnish(tmp_path, "devices")
    assert status == 0
    kinds = {device["spec"]: device["kind"] for device in found["devices"]}
    assert kinds["simulated:SIM.GPU.0"] == kinds["simulated:SIM.GPU.1"] == "gpu"
    assert kinds["simulated:SIM.NPU"] == "npu"


def test_a_fallback_is_said(model: Path, tmp_path: Path) -> None:
    status, found, _ = burnish(
        tmp_path, "bench", model, "--device", "simulated:SIM.GPU.0", "--seconds", "0.2", BURNISH_SIM_FALLBACK="Conv"
    )
    assert status == 0
    assert any("Conv" in warning for warning in found["models"][0]["warnings"])


def test_a_refused_operator_is_named(model: Path, tmp_path: Path) -> None:
    status, found, said = burnish(
        tmp_path, "bench", model, "--device", "simulated:SIM.NPU", "--seconds", "0.2", BURNISH_SIM_REFUSED="Gemm"
    )
    assert (status, found) == (1, None)
    assert "Gemm" in said


def test_a_slower_device_is_measured_slower(model: Path, tmp_path: Path) -> None:
    devices = ("--device", "onnxruntime:CPU", "--device", "simulated:SIM.GPU.0")
    status, found, _ = burnish(tmp_path, "bench", model, *devices, "--seconds", "0.5", BURNISH_SIM_LATENCY="5")
    assert status == 0
    assert found["pairs"][0]["device"] == "simulated:SIM.GPU.0"
    assert found["pairs"][0]["verdict"] == "slower"


def test_a_device_that_disappears_while_it_is_measured(model: Path, tmp_path: Path) -> None:
    devices = ("--device", "onnxruntime:CPU", "--device", "simulated:SIM.GPU.1")
    status, found, _ = burnish(tmp_path, "bench", model, *devices, "--seconds", "0.5", BURNISH_SIM_LOSE_AFTER="40")
    assert status == 1
    assert found["failures"][0]["device"] == "simulated:SIM.GPU.1"
    assert "lost" in found["failures"][0]["message"]
    assert found["failures"][0]["hint"]


def test_a_device_that_is_gone(model: Path, tmp_path: Path) -> None:
    (tmp_path / "gone").touch()
    status, found, said = burnish(
        tmp_path, "bench", model, "--device", "simulated:SIM.GPU.1", BURNISH_SIM_LOST=str(tmp_path / "gone")
    )
    assert found is None
    assert status in (1, 2)
    assert "error:" in said


def test_a_device_that_runs_a_variant_wrongly_is_named_and_warned_of(model: Path, tmp_path: Path) -> None:
    faulty = {"BURNISH_SIM_CPU": "1", "BURNISH_SIM_GARBAGE": "QuantizeLinear"}
    status, found, _ = burnish(tmp_path, "optimize", model, "-o", "int8.onnx", "--step", "quantize.static", **faulty)
    assert status == 0
    refused = {place["runtime"]: place["refused"] for place in found["steps"][0]["verification"]["places"]}
    assert "nothing in common" in refused["simulated:SIM.CPU"]
    assert refused["onnxruntime:CPU"] == refused["openvino:CPU"] == ""
    quick = ("bench", "int8.onnx", "--seconds", "0.2", "--device")
    _, bad, _ = burnish(tmp_path, *quick, "simulated:SIM.CPU", **faulty)
    assert any("Wrong results on simulated:SIM.CPU" in warning for warning in bad["models"][0]["warnings"])
    _, good, _ = burnish(tmp_path, *quick, "onnxruntime:CPU", **faulty)
    assert not any("Wrong results" in warning for warning in good["models"][0]["warnings"])


def test_an_accelerator_is_calibrated_and_swept(model: Path, tmp_path: Path) -> None:
    device = ("--device", "simulated:SIM.GPU.0")
    status, found, _ = burnish(tmp_path, "calibrate", *device, BURNISH_SIM_REFUSED="ConvInteger")
    assert status == 0
    rates = {(rate["kind"], rate["precision"]): rate for rate in found["profile"]["places"][0]["rates"]}
    assert rates["conv", "f32"]["macs_per_s"] > 0
    assert rates["conv", "int8-dynamic"]["macs_per_s"] is None
    assert "ConvInteger" in rates["conv", "int8-dynamic"]["why_not"]
    quick = ("--seconds", "0.2", "--batch", "1", "--threads", "1", "--streams", "1", "--hint", "latency")
    status, swept, _ = burnish(tmp_path, "sweep", model, *device, *quick, "--requests", "1,4", BURNISH_SIM_LATENCY="20")
    assert status == 0
    by_requests = {point["setting"]["requests"]: point["throughput"] for point in swept["points"]}
    # The device takes 20 ms for each, of any number at once.
    assert by_requests[4] > 2 * by_requests[1]

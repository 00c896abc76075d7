"""Calibrating, expecting, sweeping and the noise guard, on real workers."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tests import models
from tests.cli.conftest import Burnish, refused


@pytest.fixture
def own_cache(call: Burnish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is calibrated here from the other tests."""
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return models.save(models.mlp(64, 256, 32), tmp_path / "mlp.onnx")


def speed(found: Any, name: str) -> Any:
    return found["surveys"][name]["speed"]


def test_from_calibration_to_the_record(call: Burnish, own_cache: Path, model: Path) -> None:
    survey = ("survey", model, "--device", "onnxruntime:CPU", "--json")
    before = call(*survey).json
    assert not before["calibrated"]
    assert "not calibrated: run burnish calibrate" in speed(before, "quantize.dynamic")["reason"]
    assert "not calibrated: run burnish calibrate" in call(*survey[:-1]).stdout

    made = call("calibrate", "--device", "onnxruntime:CPU", "--json").json
    (place,) = made["profile"]["places"]
    assert made["measured"] == ["onnxruntime:CPU"]
    rates = {(rate["kind"], rate["precision"]): rate["macs_per_s"] for rate in place["rates"]}
    assert len(rates) == 25
    assert rates["gemm", "f32"] > rates["gemv", "f32"] > 1e7
    assert rates["conv", "int8"] > 1e7
    assert all(rate["why_not"] for rate in place["rates"] if rate["macs_per_s"] is None)
    assert place["dispatch_ns"] > 0
    assert set(place["element_ns"]) == {"simple", "heavy", "quantize", "dequantize", "dynamic", "cast"}
    assert place["seconds"] < 60
    assert call("calibrate", "--device", "onnxruntime:CPU", "--json").json["measured"] == []

    after = call(*survey).json
    assert after["calibrated"]
    assert speed(after, "quantize.dynamic")["calibrated"]
    assert speed(after, "graph.clean") == speed(before, "graph.clean")

    done = call(
        *("optimize", model, "-o", "out.onnx", "--step", "quantize.dynamic"),
        *("--device", "onnxruntime:CPU", "--bench", "--seconds", "0.3", "--json"),
    ).json
    (pair,) = done["bench"]["pairs"]
    assert pair["expected"] == speed(after, "quantize.dynamic")
    record = call("calibrate", "--record", "--json").json["record"]
    (row,) = record["rows"]
    assert (row["passes"], row["device"], row["calibrated"], row["results"]) == (
        ["quantize.dynamic"],
        "onnxruntime:CPU",
        True,
        1,
    )
    assert record["results"][0]["ratio"] == pair["ratio"]
    assert "quantize.dynamic" in call("calibrate", "--record").stdout


def test_an_empty_record_says_what_to_do(call: Burnish, own_cache: Path) -> None:
    ran = call("calibrate", "--record")
    assert ran.status == 0
    assert "--bench" in ran.stdout


def test_processes_show_their_spread(call: Burnish, own_cache: Path, model: Path) -> None:
    other = models.save(models.mlp(64, 512, 32), model.parent / "wide.onnx")
    found = call("bench", model, other, "--processes", "2", "--seconds", "0.2", "--threads", "1", "--json").json
    (pair,) = found["pairs"]
    between = pair["between_processes"]
    assert len(between["values"]) == 2
    assert min(between["values"]) == pytest.approx(between["low"])
    assert pair["verdict"] == "slower"
    for row in found["models"]:
        assert row["stability"]["verdict"] in ("stable", "noisy", "cannot tell")
        assert len(row["between_processes"]["values"]) == 2
    assert found["options"]["processes"] == 2
    shown = call("bench", model, "--seconds", "0.3", "--pin", "--threads", "1").stdout
    assert any(word in shown for word in ("stable", "noisy: ", "cannot tell"))


def test_a_sweep_goes_on_where_it_was(call: Burnish, own_cache: Path, model: Path) -> None:
    sweep = ("sweep", model, "--device", "onnxruntime:CPU", "--seconds", "0.2", "--threads", "1", "--requests", "1,2")
    first = call(*sweep, "--batch", "1", "--json").json
    assert first["complete"]
    assert first["resumed"] == 0
    assert first["possible"] == 2
    again = call(*sweep, "--batch", "1,8", "--csv", "sweep.csv", "--json").json
    assert again["resumed"] == len(first["points"]) >= 1
    assert len(again["points"]) <= again["possible"] == 4
    assert again["best"]["throughput"] == max(point["throughput"] for point in again["points"])
    assert again["best"]["setting"]["batch"] == 8
    with Path("sweep.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(again["points"])
    assert {row["batch"] for row in rows} >= {"1", "8"}
    shown = call(*sweep, "--batch", "1,8")
    assert "settings measured" in shown.stdout
    assert "by an earlier sweep" in shown.stdout


def test_no_setting_within_the_limit(call: Burnish, own_cache: Path, model: Path) -> None:
    sweep = ("sweep", model, "--device", "onnxruntime:CPU", "--seconds", "0.2", "--threads", "1", "--requests", "1")
    ran = call(*sweep, "--batch", "1", "--max-latency", "0.000001", "--json")
    assert ran.status == 1
    assert ran.json["best"] is None


def test_what_a_runtime_does_not_have_is_left_out(call: Burnish, own_cache: Path, model: Path) -> None:
    ran = call(
        *("sweep", model, "--device", "onnxruntime:CPU", "--seconds", "0.2", "--streams", "2"),
        *("--threads", "1", "--requests", "1", "--batch", "1", "--json"),
    )
    assert "--streams is left out" in ran.stderr
    assert ran.json["points"][0]["setting"]["streams"] is None


def test_wrong_settings(call: Burnish, own_cache: Path, tmp_path: Path) -> None:
    fixed = models.mlp()
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    path = models.save(fixed, tmp_path / "fixed.onnx")
    refused(call("sweep", path, "--batch", "1,4"), "batches of 2 only", 2)
    assert call("sweep", path, "--threads", "0,1").status == 2
    assert call("calibrate", "--device", "nothing:CPU").status == 2

"""``profile``, ``explain`` and ``bench --cold`` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

from tests import models
from tests.analysis import cases
from tests.cli.conftest import SAMPLES, Burnish, refused

MODEL = SAMPLES / "mnist-resnet.onnx"
FAST = ("--seconds", "0.2", "--threads", "1")


def test_a_profile_its_document_and_its_trace(call: Burnish, tmp_path: Path) -> None:
    ran = call("profile", MODEL, "--device", "onnxruntime:CPU", *FAST, "--trace", "trace.json", "--json")
    assert ran.status == 0, ran.stderr
    (row,) = ran.json["profiles"]
    layers = row["profile"]["layers"]
    assert row["counted_ms"] * 1e6 == sum(layer["nanoseconds"] for layer in layers)
    assert abs(row["beside_ms"] - row["counted_ms"] - row["unexplained_ms"]) < 1e-9
    assert all(layer["operator"] and layer["placement"] == "onnxruntime:CPU" for layer in layers)
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert len([event for event in trace["traceEvents"] if event["ph"] == "X"]) == len(layers) + 1


def test_people_read_layers_sums_and_kinds(call: Burnish) -> None:
    ran = call("profile", MODEL, "--device", "openvino:CPU", *FAST, "--top", "3")
    assert ran.status == 0, ran.stderr
    assert "more layers: --top" in ran.stdout
    for word in ("compute", "clean latency", "unexplained", "MACs", "Convolution", "stage"):
        assert word in ran.stdout


def test_an_explanation_and_its_document(call: Burnish, tmp_path: Path) -> None:
    models.save(cases.depthwise(), tmp_path / "a.onnx")
    models.save(cases.dynamic(), tmp_path / "b.onnx")
    ran = call("explain", "a.onnx", "b.onnx", "--device", "onnxruntime:CPU", *FAST, "--json")
    assert ran.status == 0, ran.stderr
    found = ran.json
    total = sum(cause["milliseconds"] for cause in found["causes"]) + found["remainder_ms"]
    assert abs(total - found["difference"]["milliseconds"]) < 1e-6
    assert {"no fast kernel", "conversion", "fusion lost"} <= {cause["kind"] for cause in found["causes"]}
    assert found["version"] == 1
    ran = call("explain", "a.onnx", "b.onnx", "--device", "onnxruntime:CPU", *FAST)
    for text in ("B is slower", "Remainder", "Sum: the measured difference", "--step 'quantize.dynamic:operators="):
        assert text in ran.stdout


def test_wrong_usage_is_one_sentence(call: Burnish, tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path / "m.onnx")
    models.save(models.cnn(), tmp_path / "other.onnx")
    alone = call("explain", "m.onnx")
    assert (alone.status, alone.stdout) == (2, "")
    assert "second model" in alone.stderr
    three = call("explain", "m.onnx", *("--device", "onnxruntime:CPU") * 3)
    assert three.status == 2
    refused(call("explain", "m.onnx", "missing.onnx", *FAST), "missing.onnx")
    refused(call("profile", "m.onnx", "--trace", "no/such/folder/t.json", *FAST), "no/such/folder", status=1)


def test_a_cold_start_and_its_document(call: Burnish, tmp_path: Path) -> None:
    models.save(models.cnn(), tmp_path / "m.onnx")
    ran = call("bench", "m.onnx", "--device", "onnxruntime:CPU", *FAST, "--cold", "--rounds", "1", "--json")
    assert ran.status == 0, ran.stderr
    (cold,) = ran.json["cold"]
    assert cold["plain"]["rounds"] == 1
    assert cold["plain"]["load"]["median"] > 0
    assert cold["cached"]["rounds"] == 1
    assert ran.json["models"][0]["latency_ms"]["p50"] > 0


def test_people_read_cold_starts(call: Burnish, tmp_path: Path) -> None:
    models.save(models.cnn(), tmp_path / "m.onnx")
    ran = call("bench", "m.onnx", "--device", "onnxruntime:CPU", *FAST, "--cold", "--rounds", "1")
    assert ran.status == 0, ran.stderr
    for text in ("starts in fresh processes", "from the cache", "page faults", "energy", "planned"):
        assert text in ran.stdout

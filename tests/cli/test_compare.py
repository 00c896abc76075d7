"""``compare`` puts any number of models beside the first."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests import models
from tests.cli import odd_models
from tests.cli.conftest import SAMPLES, Burnish, refused

MODEL = SAMPLES / "mnist-resnet.onnx"


def test_three_models_and_their_document(call: Burnish, tmp_path: Path) -> None:
    for name, step in (("folded", "graph.fold-batchnorm"), ("half", "quantize.float16")):
        assert call("optimize", MODEL, "-o", f"{name}.onnx", "--step", step).status == 0
    with np.load(SAMPLES / "mnist-eval.npz") as data:
        np.savez(tmp_path / "e.npz", image=data["image"][:100], labels=data["labels"][:100])
    ran = call("compare", MODEL, "folded.onnx", "half.onnx", "--data", "e.npz", "--seconds", "0.2", "--json")
    assert ran.status == 0, ran.stderr
    found = ran.json
    assert {"version", "models", "failures", "environment"} <= set(found)
    baseline, folded, half = found["models"]
    assert [row["name"] for row in found["models"]] == ["mnist-resnet.onnx", "folded.onnx", "half.onnx"]
    assert baseline["pair"] is None
    for row in (folded, half):
        assert row["pair"]["baseline"] == "mnist-resnet.onnx"
        assert row["pair"]["low"] <= row["pair"]["ratio"] <= row["pair"]["high"]
        assert row["pair"]["verdict"] in ("faster", "slower", "no significant difference")
        assert row["evaluations"][0]["metric"] == "top1"
        assert abs(row["evaluations"][0]["delta"]) < 0.05
    for row in found["models"]:
        assert row["bench"]["latency_ms"]["p50"] > 0
        assert row["evaluations"][0]["samples"] == 100
        assert row["bytes"] == Path(row["path"]).stat().st_size
    assert half["bytes"] < 0.6 * baseline["bytes"]
    assert folded["nodes"] < baseline["nodes"]
    assert baseline["macs"] == folded["macs"] > 0


def test_the_same_file_twice_is_two_models(call: Burnish, tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path / "m.onnx")
    ran = call("compare", "m.onnx", "m.onnx", "--seconds", "0.2", "--json")
    assert ran.status == 0, ran.stderr
    baseline, again = ran.json["models"]
    assert (baseline["name"], again["name"]) == ("m.onnx", "m.onnx (2)")
    assert baseline["pair"] is None
    assert again["pair"]["baseline"] == "m.onnx"
    assert again["evaluations"][0]["value"] > 0.999


def test_one_that_cannot_run_is_a_failure_beside_the_others(call: Burnish, tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path / "m.onnx")
    models.save(models.mlp(), tmp_path / "n.onnx")
    models.save(odd_models.unknown_domain(), tmp_path / "bad.onnx")
    ran = call("compare", "m.onnx", "bad.onnx", "n.onnx", "--seconds", "0.2", "--json")
    assert ran.status == 1
    (failure,) = ran.json["failures"]
    assert failure["name"] == "bad.onnx"
    assert "com.example.custom" in failure["message"]
    first, bad, other = ran.json["models"]
    assert bad["bench"] is None
    assert bad["evaluations"] == []
    assert first["bench"] is not None
    assert other["pair"] is not None
    assert other["evaluations"]


def test_models_of_other_inputs_are_told_apart_by_name(call: Burnish, tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path / "m.onnx")
    models.save(models.cnn(), tmp_path / "other.onnx")
    refused(call("evaluate", "other.onnx", "--baseline", "m.onnx"), "other.onnx does not take the baseline's inputs")


def test_people_read_every_figure(call: Burnish, tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path / "m.onnx")
    models.save(models.mlp(), tmp_path / "a-copy-of-m.onnx")
    ran = call("compare", "m.onnx", "a-copy-of-m.onnx", "--seconds", "0.2")
    assert ran.status == 0, ran.stderr
    assert "…" not in ran.stdout
    for title in ("parameters", "MACs", "p50", "samples", "ratio", "memory", "95 % interval"):
        assert title in ran.stdout
    assert ran.stdout.count("a-copy-of-m.onnx") >= 3

"""The whole loop on the real sample, as a user types it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from studio.core.artifact import sha256_file
from tests.cli.conftest import SAMPLES, Burnish

MODEL = SAMPLES / "mnist-resnet.onnx"
STEPS = ("--step", "graph.clean", "--step", "graph.fold-batchnorm", "--step", "quantize.static")


def test_optimize_bench_evaluate_report(burnish: Burnish, tmp_path: Path) -> None:
    ran = burnish(
        *("optimize", MODEL, "-o", "int8.onnx", *STEPS, "--json", "--bench", "--seconds", "0.5"),
        *("--data", SAMPLES / "mnist-calibration.npz", "--eval", SAMPLES / "mnist-eval.npz"),
        *("--report", "report.html", "--save-recipe", "recipe.toml"),
    )
    assert ran.status == 0, ran.stderr
    found = ran.json
    written = tmp_path / "int8.onnx"
    assert found["result"]["sha256"] == sha256_file(written)
    assert found["result"]["bytes"] < 0.4 * found["source"]["bytes"]
    assert [step["id"] for step in found["steps"]] == ["graph.clean", "graph.fold-batchnorm", "quantize.static"]
    assert found["verification"]["sqnr_db"] > 20
    assert found["verification"]["top1_agreement"] > 0.9
    assert not found["verification"]["synthetic"]
    pair = found["bench"]["pairs"][0]
    assert pair["low"] <= pair["ratio"] <= pair["high"]
    source, result = found["evaluations"]
    assert source["value"] > 0.98
    assert result["delta"] > -0.02
    assert result["samples"] == 1000
    assert "<svg" in (tmp_path / "report.html").read_text()

    again = burnish("optimize", MODEL, "-o", "same.onnx", "--recipe", "recipe.toml", "--json")
    assert again.status == 0, again.stderr


def test_a_repeated_step_comes_from_the_cache(burnish: Burnish) -> None:
    first = burnish("optimize", MODEL, "-o", "a.onnx", "--step", "graph.fold-batchnorm", "--json")
    second = burnish("optimize", MODEL, "-o", "b.onnx", "--step", "graph.fold-batchnorm", "--json")
    assert first.json["steps"] == second.json["steps"]
    assert first.json["result"]["sha256"] == second.json["result"]["sha256"]


def test_bench_of_two_devices(burnish: Burnish) -> None:
    ran = burnish(
        *("bench", MODEL, "--device", "onnxruntime:CPU", "--device", "openvino:CPU"),
        *("--seconds", "0.5", "--threads", "1", "--per-layer", "--json"),
    )
    assert ran.status == 0, ran.stderr
    rows = ran.json["models"]
    assert [row["device"] for row in rows] == ["onnxruntime:CPU", "openvino:CPU"]
    for row in rows:
        assert 0 < row["latency_ms"]["min"] <= row["latency_ms"]["p50"]
        assert row["load_ms"] > 0
        assert row["first_ms"] > 0
        assert row["peak_memory_bytes"] > 0
        assert row["layers"]
    assert len(ran.json["pairs"]) == 1


def test_evaluate_without_labels_compares(burnish: Burnish) -> None:
    burnish("optimize", MODEL, "-o", "half.onnx", "--step", "quantize.float16", "--json")
    ran = burnish("evaluate", "half.onnx", "--baseline", MODEL, "--json")
    assert ran.status == 0, ran.stderr
    assert {row["metric"] for row in ran.json["evaluations"]} >= {"cosine", "sqnr"}
    assert ran.json["synthetic"]


def test_export_is_deterministic(burnish: Burnish, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        ran = burnish("export", MODEL, "-o", name, "--no-bench", "--data", SAMPLES / "mnist-eval.npz", "--json")
        assert ran.status == 0, ran.stderr
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    names = zipfile.ZipFile(tmp_path / "one.zip").namelist()
    assert {"model.onnx", "run.py", "verify.py", "MANIFEST.json", "README.md", "recipe.toml"} <= set(names)


def test_the_listing_commands(burnish: Burnish) -> None:
    devices = burnish("devices", "--json").json
    assert {"onnxruntime:CPU", "openvino:CPU"} <= {device["spec"] for device in devices["devices"]}
    passes = {row["id"] for row in burnish("passes", "--json").json["passes"]}
    assert {"graph.clean", "graph.fold-batchnorm", "graph.fuse", "prune.unstructured"} <= passes
    assert {"quantize.dynamic", "quantize.static", "quantize.float16"} <= passes
    assert all(row["usable"] for row in burnish("plugins", "--json").json["plugins"])
    surveys = burnish("survey", MODEL, "--json").json["surveys"]
    assert surveys["graph.fold-batchnorm"]["applies"]
    info = burnish("inspect", MODEL, "--json").json["model"]
    assert info["parameters"] > 1_000_000


def test_the_memory_of_the_activations_is_planned(burnish: Burnish) -> None:
    plan = burnish("inspect", MODEL, "--memory", "--json").json["memory"]
    assert plan["peak_bytes"] <= plan["arena_bytes"] < plan["total_bytes"]
    assert {"tensor", "bytes", "offset", "first", "last", "maker", "reader"} == set(plan["tensors"][0])
    text = burnish("inspect", MODEL, "--memory").stdout
    assert "arena of" in text
    assert plan["tensors"][0]["maker"][:8] in text
    assert burnish("inspect", MODEL, "--json").json["memory"] is None

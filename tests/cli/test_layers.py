"""The commands that look into layers, samples and data, as a user calls them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests import models
from tests.analysis.support import damaged
from tests.cli.conftest import Burnish
from tests.passes.quantize.support import images, residual_cnn


@pytest.fixture
def files(tmp_path: Path) -> Path:
    proto = residual_cnn()
    models.save(proto, tmp_path / "a.onnx")
    models.save(damaged(damaged(proto, "w2", 3.0), "w4", 1.0), tmp_path / "b.onnx")
    np.savez(tmp_path / "d.npz", image=images(40)["image"])
    return tmp_path


def test_errors(burnish: Burnish, files: Path) -> None:
    shown = burnish("errors", "a.onnx", "b.onnx", "--data", "d.npz", "--worst", "3", "--csv", "e.csv")
    assert shown.status == 0
    assert "The error first jumps at conv2 (Conv)" in shown.stdout
    with (files / "e.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = burnish("errors", "a.onnx", "b.onnx", "--data", "d.npz", "--json").json
    assert found["first_jump"] == "conv2"
    assert [row["node"] for row in rows] == [item["node"] for item in found["tensors"]]


def test_disagreements_alone_and_with_an_evaluation(burnish: Burnish, files: Path) -> None:
    proto = models.mlp()
    models.save(proto, files / "a.onnx")
    models.save(damaged(proto, "w2", 1.0), files / "b.onnx")
    image = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    np.savez(files / "l.npz", image=image, labels=np.arange(40) % 4)
    found = burnish("disagreements", "a.onnx", "b.onnx", "--data", "l.npz", "--top", "3", "--json").json
    assert found["samples"] == 40
    assert 0 < len(found["listed"]) <= 3
    options = ("--baseline", "a.onnx", "--data", "l.npz", "--disagreements", "3", "--json")
    same = burnish("evaluate", "b.onnx", *options).json["disagreements"]
    assert same["listed"] == found["listed"]
    alone = burnish("evaluate", "b.onnx", "--data", "l.npz", "--disagreements", "3")
    assert (alone.status, "Give --baseline" in alone.stderr) == (2, True)


def test_sensitivity(burnish: Burnish, files: Path) -> None:
    options = ("--data", "d.npz", "--choice", "int8", "--samples", "8", "--device", "onnxruntime:CPU")
    found = burnish("sensitivity", "a.onnx", *options, "--budget", "10", "--csv", "s.csv", "--json").json
    assert found["complete"]
    assert {tuple(item["layers"]) for item in found["options"]} == {("conv1",), ("conv2",), ("depthwise",), ("fc",)}
    assert set(found["chosen"].values()) <= {"int8"}
    assert len((files / "s.csv").read_text().splitlines()) == 5
    wrong = burnish("sensitivity", "a.onnx", "--data", "d.npz", "--choice", "int9")
    assert (wrong.status, wrong.stdout) == (2, "")


def test_check_data(burnish: Burnish, files: Path) -> None:
    right = burnish("check-data", "a.onnx", "--data", "d.npz")
    assert (right.status, "Nothing speaks against this data" in right.stdout) == (0, True)
    np.savez(files / "n.npz", image=np.zeros_like(images(40)["image"]))
    found = burnish("check-data", "a.onnx", "--data", "n.npz", "--json")
    assert found.status == 1
    assert [item["kind"] for item in found.json["findings"]] == ["constant"]

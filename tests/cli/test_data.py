"""Data as a user says it: a preprocessing that reaches the bundle, parts of a split, samples that are in both sets."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import SAMPLES, Burnish, refused

MODEL = SAMPLES / "mnist-resnet.onnx"


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Eighty digits of the sample as pictures, a folder a class."""
    with np.load(SAMPLES / "mnist-eval.npz") as data:
        pixels, labels = data["image"][:80], data["labels"][:80]
    for index, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        (tmp_path / "digits" / str(label)).mkdir(parents=True, exist_ok=True)
        values = np.rint((picture[0] - picture.min()) / (np.ptp(picture) or 1) * 255).astype(np.uint8)
        Image.fromarray(values).save(tmp_path / "digits" / str(label) / f"{index}.png")
    return tmp_path / "digits"


def test_parts_are_disjoint_and_metrics_take_parameters(call: Burnish, digits: Path) -> None:
    split = "calibration=0.5,evaluation=0.5"
    ran = call("evaluate", MODEL, "--data", digits, "--split", split, "--metric", "top-k:k=2", "--json")
    assert ran.status == 0, ran.stderr
    assert ran.json["metric"] == "top-k:k=2"
    assert 20 < ran.json["samples"] < 60
    assert any("part evaluation" in note for note in ran.json["warnings"])


def test_the_bundle_prepares_a_picture_as_it_was_measured(call: Burnish, digits: Path, tmp_path: Path) -> None:
    how = "unit:mean=0.5,std=0.25"
    ran = call("export", MODEL, "-o", "b.zip", "--no-bench", "--data", digits, "--preprocess", how)
    assert ran.status == 0, ran.stderr
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        archive.extractall(tmp_path / "b")
    picture = sorted(digits.rglob("*.png"))[0]
    command = [sys.executable, "run.py", str(picture), "--out", "out.npz"]
    done = subprocess.run(command, cwd=tmp_path / "b", capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "run.py", "--out", "golden.npz"]
    subprocess.run(command, cwd=tmp_path / "b", capture_output=True, timeout=100, check=True)
    with np.load(tmp_path / "b" / "out.npz") as own, np.load(tmp_path / "b" / "golden.npz") as golden:
        assert np.allclose(own["logits"], golden["logits"], atol=1e-4)


def test_what_is_said_wrongly_is_one_sentence(call: Burnish, digits: Path) -> None:
    refused(call("evaluate", MODEL, "--preprocess", "unit"), "say how data is read", 2)
    refused(call("evaluate", MODEL, "--data", digits, "--preprocess", "imagnet"), "no preprocessing 'imagnet'", 2)
    refused(call("evaluate", MODEL, "--data", digits, "--split", "test=0.5"), "no command reads a part 'test'", 2)

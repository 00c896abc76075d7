"""Bad input: one sentence and a remedy, status 1 or 2, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import models
from tests.cli.conftest import SAMPLES, Burnish, Ran

MODEL = SAMPLES / "mnist-resnet.onnx"


def _refused(ran: Ran, text: str, status: int = 1) -> None:
    assert ran.status == status, ran.stderr
    assert text in ran.stderr
    assert ran.stdout == ""
    error = ran.stderr[ran.stderr.index("error: ") :]
    assert len(error.strip().splitlines()) == 2, error


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 whatever", "zip archive"),
        (MODEL.read_bytes()[:100_000], "not a complete ONNX model"),
        (b"hello world, this is no model", "ONNX model"),
    ],
)
def test_files_that_are_no_model(burnish: Burnish, tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    _refused(burnish("inspect", "bad.onnx", "--json"), text)


def test_a_folder_and_a_missing_file(burnish: Burnish, tmp_path: Path) -> None:
    _refused(burnish("inspect", tmp_path), "is a folder")
    _refused(burnish("inspect", "missing.onnx"), "There is no file")


def test_external_data_outside_the_folder(burnish: Burnish, tmp_path: Path) -> None:
    models.save_external(models.mlp(), tmp_path / "model.onnx", "weights.data")
    data = (tmp_path / "model.onnx").read_bytes().replace(b"weights.data", b"../../passwd")
    (tmp_path / "model.onnx").write_bytes(data)
    _refused(burnish("inspect", "model.onnx"), "outside its folder")


def test_unknown_names_suggest(burnish: Burnish) -> None:
    _refused(burnish("optimize", MODEL, "-o", "o.onnx", "--step", "graph.claen"), "graph.clean", 2)
    _refused(burnish("optimize", MODEL, "-o", "o.onnx", "--step", "graph.clean:limt=3"), "no parameter 'limt'", 2)
    _refused(burnish("bench", MODEL, "--device", "openvino:TPU"), "openvino:CPU", 2)


def test_calibration_data_that_does_not_fit(burnish: Burnish, tmp_path: Path) -> None:
    np.savez(tmp_path / "shape.npz", image=np.zeros((4, 3, 28, 28), np.float32))
    np.savez(tmp_path / "nan.npz", image=np.full((4, 1, 28, 28), np.nan, np.float32))
    np.savez(tmp_path / "none.npz", image=np.zeros((0, 1, 28, 28), np.float32))
    step = ("optimize", MODEL, "-o", "o.onnx", "--step", "quantize.static", "--data")
    _refused(burnish(*step, "shape.npz"), "[4, 3, 28, 28]")
    _refused(burnish(*step, "nan.npz"), "NaN")
    _refused(burnish(*step, "none.npz"), "no samples")
    _refused(burnish(*step, "missing.npz"), "missing.npz")
    assert sorted(path.name for path in tmp_path.glob("*.onnx")) == []


def test_labels_out_of_range(burnish: Burnish, tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", image=np.zeros((4, 1, 28, 28), np.float32), labels=np.array([1, 2, 3, 77]))
    _refused(burnish("evaluate", MODEL, "--data", "e.npz"), "77")


def test_targets_that_cannot_be_written(burnish: Burnish, tmp_path: Path) -> None:
    _refused(burnish("optimize", MODEL, "-o", "no/o.onnx", "--step", "graph.clean"), "no folder")
    _refused(burnish("export", MODEL, "-o", tmp_path, "--no-bench"), "is a folder")


def test_wrong_usage(burnish: Burnish) -> None:
    assert burnish("optimise", MODEL).status == 2
    assert burnish("optimize", MODEL).status == 2
    _refused(burnish("optimize", MODEL, "-o", "o.onnx"), "nothing to do", 2)

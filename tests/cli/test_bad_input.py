"""Bad input: one sentence and a remedy, status 1 or 2, nothing left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import models
from tests.cli.conftest import SAMPLES, Burnish, FakeWindow, left_over, refused

MODEL = SAMPLES / "mnist-resnet.onnx"
OPTIMIZE = ("optimize", MODEL, "-o", "out.onnx")
FOLD = (*OPTIMIZE, "--step", "graph.fold-batchnorm")

IMAGES = np.zeros((4, 1, 28, 28), np.float32)
WEIGHTS = "weights.data"


def _part_nan() -> Any:
    images = IMAGES.copy()
    images[2, 0, 3, 3] = np.nan
    return images


#: name to arrays of an .npz and what must be said of it
BAD_DATA: dict[str, tuple[dict[str, Any], str]] = {
    "wrong names": ({"imgae": IMAGES, "other": np.zeros((4, 1))}, "Did you mean 'imgae'"),
    "no arrays": ({}, "no array for the input 'image'"),
    "labels only": ({"labels": np.arange(4)}, "no array for the input 'image'"),
    "wrong shape": ({"image": np.zeros((4, 3, 28, 28), np.float32)}, "[4, 3, 28, 28]"),
    "no sample axis": ({"image": np.float32(3)}, "shape []"),
    "complex": ({"image": IMAGES.astype(np.complex64)}, "complex64"),
    "text": ({"image": np.full((4, 1, 28, 28), "a")}, "wants float32"),
    "objects": ({"image": np.array([None] * 4)}, "Python objects"),
    "one NaN": ({"image": _part_nan()}, "NaN in sample 2"),
    "infinity": ({"image": np.full((4, 1, 28, 28), np.inf, np.float32)}, "infinity"),
    "no samples": ({"image": IMAGES[:0]}, "no samples"),
    "label missing": ({"image": IMAGES, "labels": np.arange(3)}, "3 labels for 4 samples"),
    # floats are targets of a regression; these are nothing
    "labels of complex numbers": ({"image": IMAGES, "labels": np.full(4, 1j)}, "are complex128"),
}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 whatever", "zip archive"),
        (MODEL.read_bytes()[:100_000], "not a complete ONNX model"),
        (MODEL.read_bytes()[:-1], "not a complete ONNX model"),
        (b"hello world, this is no model", "ONNX model"),
        (b"\x00" * 1000, "ONNX model"),
    ],
)
def test_files_that_are_no_model(call: Burnish, tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    refused(call("inspect", "bad.onnx", "--json"), text)
    refused(call("optimize", "bad.onnx", "-o", "out.onnx", "--step", "graph.clean", "--json"), text)
    assert left_over(tmp_path) == []


def test_a_folder_and_a_missing_file(call: Burnish, tmp_path: Path) -> None:
    refused(call("inspect", tmp_path), "is a folder")
    refused(call("inspect", "missing.onnx"), "There is no file")
    refused(call("compare", MODEL, "missing.onnx"), "missing.onnx")
    refused(call("evaluate", MODEL, "--baseline", tmp_path), "is a folder")
    refused(call("export", tmp_path, "-o", "out.zip"), "is not a Burnish project")


@pytest.mark.parametrize("location", [b"../../passwd", b"/etc/passwdx", b"..\\..\\passwd"])
def test_external_data_outside_the_folder(call: Burnish, tmp_path: Path, location: bytes) -> None:
    models.save_external(models.mlp(), tmp_path / "model.onnx", WEIGHTS)
    data = (tmp_path / "model.onnx").read_bytes().replace(WEIGHTS.encode(), location)
    (tmp_path / "model.onnx").write_bytes(data)
    refused(call("inspect", "model.onnx"), "outside its folder")


def test_a_link_to_external_data_outside_the_folder(call: Burnish, tmp_path: Path) -> None:
    models.save_external(models.mlp(), tmp_path / "in" / "model.onnx", WEIGHTS)
    (tmp_path / "in" / WEIGHTS).rename(tmp_path / "secret")
    (tmp_path / "in" / WEIGHTS).symlink_to(tmp_path / "secret")
    refused(call("inspect", "in/model.onnx"), "outside its folder")


def test_external_data_that_is_missing_or_too_short(call: Burnish, tmp_path: Path) -> None:
    models.save_external(models.mlp(), tmp_path / "model.onnx", WEIGHTS)
    weights = tmp_path / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-10])
    refused(call("inspect", "model.onnx"), "too short")
    weights.unlink()
    for command in (("inspect",), ("survey",), ("bench",), ("export", "-o", "out.zip")):
        refused(call(command[0], "model.onnx", *command[1:], "--json"), f"'{WEIGHTS}' of model.onnx is missing")
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ("graph.claen", "Did you mean 'graph.clean'"),
        ("static", "Did you mean 'quantize.static'"),
        ("prune.unstructured:sparsty=0.3", "Did you mean 'sparsity'"),
        ("graph.clean:limt=3", "no parameter 'limt'"),
        ("prune.unstructured:sparsity=7", "cannot be '7'"),
        ("prune.unstructured:sparsity=half", "cannot be 'half'"),
        ("prune.unstructured:sparsity=nan", "sparsity"),
        ("quantize.static:method=entrpy", "'entropy'"),
        ("quantize.static:method", "not KEY=VALUE"),
        (":x=1", "names no pass"),
        ("graph.clean:scope.nams=a", "no scope.nams"),
        ("graph.fold-batchnorm:scope.names=stem/conv_b", "Did you mean 'stem/conv_bn'"),
    ],
)
def test_steps_that_are_wrong(call: Burnish, tmp_path: Path, step: str, text: str) -> None:
    refused(call(*OPTIMIZE, "--step", step, "--json"), text, 2)
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    "steps",
    [
        ("quantize.static", "quantize.dynamic"),
        ("quantize.dynamic", "quantize.dynamic"),
        ("quantize.float16", "quantize.static"),
    ],
)
def test_an_order_that_a_pass_refuses(call: Burnish, tmp_path: Path, steps: tuple[str, ...]) -> None:
    refused(call(*OPTIMIZE, *(part for step in steps for part in ("--step", step))), "cannot stand here", 2)
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"[[step]\n", "not valid TOML"),
        (b"step = 3\n", "not a recipe"),
        (b"[[steps]]\npass = 'graph.clean'\n", "key 'steps'"),
        (b"[[step]]\npas = 'graph.clean'\n", "not a recipe"),
        (b"[[step]]\npass = 'graph.claen'\n", "Did you mean 'graph.clean'"),
        (b"[[step]]\npass = 'graph.clean'\n[step.params]\nno_op = true\n", "Did you mean 'no_ops'"),
        (b"[[step]]\npass = 'graph.clean'\nversion = 99\n", "version 99"),
        (b"", "nothing to do"),
        (b"\xff\xfe\x00", "not text"),
    ],
)
def test_recipes_that_are_broken(call: Burnish, tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "r.toml").write_bytes(content)
    refused(call(*OPTIMIZE, "--recipe", "r.toml", "--json"), text, 2)
    assert left_over(tmp_path) == []


def test_recipes_that_cannot_be_read(call: Burnish, tmp_path: Path) -> None:
    refused(call(*OPTIMIZE, "--recipe", "gone.toml"), "cannot be read", 2)
    refused(call(*OPTIMIZE, "--recipe", tmp_path), "cannot be read", 2)
    refused(call("export", MODEL, "-o", "out.zip", "--recipe", "gone.toml"), "cannot be read", 2)


@pytest.mark.parametrize("name", BAD_DATA)
def test_calibration_data_that_does_not_fit(call: Burnish, tmp_path: Path, name: str) -> None:
    arrays, text = BAD_DATA[name]
    np.savez(tmp_path / "d.npz", **arrays)
    refused(call(*OPTIMIZE, "--step", "quantize.static", "--data", "d.npz", "--json"), text)
    assert left_over(tmp_path) == []


def test_other_commands_look_at_their_data_too(call: Burnish, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", image=_part_nan(), labels=np.arange(4))
    refused(call("evaluate", MODEL, "--data", "d.npz"), "NaN in sample 2")
    refused(call("export", MODEL, "-o", "out.zip", "--no-bench", "--data", "d.npz"), "NaN in sample 2")
    refused(call("bench", MODEL, "--data", "d.npz", "--batch", "8"), "fewer than the batch of 8")


def test_one_sample_is_enough(call: Burnish, tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", image=np.load(SAMPLES / "mnist-calibration.npz")["image"][:1])
    ran = call(*OPTIMIZE, "--step", "quantize.static", "--data", "one.npz", "--json")
    assert ran.status == 0, ran.stderr
    assert ran.json["verification"]["samples"] == 1


@pytest.mark.parametrize("label", [77, -1])
def test_labels_out_of_range(call: Burnish, tmp_path: Path, label: int) -> None:
    np.savez(tmp_path / "e.npz", image=IMAGES, labels=np.array([1, 2, 3, label]))
    refused(call("evaluate", MODEL, "--data", "e.npz", "--json"), str(label))


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("d.npz", (SAMPLES / "mnist-eval.npz").read_bytes()[:5000], "not a complete .npz"),
        ("d.npz", b"", "not a complete .npz"),
        ("d.csv", b"path,label\ngone.png,0\n", "gone.png"),
        ("d.csv", b"path,label\n", "no samples"),
        ("d.jsonl", b"{bad\n", "not valid JSON"),
        ("d.npy", b"\x93NUMPY", "d.npy"),
    ],
)
def test_data_files_that_are_damaged(call: Burnish, tmp_path: Path, name: str, content: bytes, text: str) -> None:
    (tmp_path / name).write_bytes(content)
    refused(call("evaluate", MODEL, "--data", name, "--json"), text)


def test_data_that_is_no_dataset(call: Burnish, tmp_path: Path) -> None:
    (tmp_path / "d.pt").write_bytes(b"abc")
    (tmp_path / "empty").mkdir()
    refused(call("evaluate", MODEL, "--data", "d.pt"), "no known kind", 2)
    refused(call("evaluate", MODEL, "--data", "empty"), "no known kind", 2)
    refused(call("evaluate", MODEL, "--data", "gone.npz"), "gone.npz")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("bench", MODEL, "--device", "openvino:TPU"), "openvino:CPU"),
        (("bench", MODEL, "--device", "cuda"), "no device 'cuda'"),
        (("bench", MODEL, "--seconds", "x"), "number of seconds"),
        (("bench", MODEL, "--seconds", "nan"), "number of seconds"),
        (("bench", MODEL, "--seconds", "inf"), "range"),
        (("bench", MODEL, "--dim", "batch=-1"), "NAME=SIZE"),
        (("bench", MODEL, "--dim", "bacth=2"), "Did you mean 'batch'"),
        (("inspect", MODEL, "--dim", "bacth=2"), "Did you mean 'batch'"),
        (("evaluate", MODEL, "--metric", "tpo1"), "Did you mean 'top1'"),
        (("export", MODEL, "-o", "o.zip", "--target", "onx-bundle"), "Did you mean 'onnx-bundle'"),
        (("passes", "quantize.statc"), "Did you mean 'quantize.static'"),
        ((*OPTIMIZE,), "nothing to do"),
        (("optimize", MODEL), "'-o'"),
        (("compare", MODEL), "two models or more"),
        (("inspect",), "MODEL"),
        (("optimise", MODEL), "optimise"),
        (("--nonsense",), "--nonsense"),
    ],
)
def test_wrong_usage(call: Burnish, arguments: tuple[object, ...], text: str) -> None:
    refused(call(*arguments), text, 2)


def test_open_refuses_what_it_cannot_open(call: Burnish, window: FakeWindow) -> None:
    refused(call("open", "gone.onnx"), "There is no file gone.onnx")
    refused(call("open", MODEL, "gone.burnish"), "gone.burnish")
    refused(call("open", "/dev/null"), "neither a file nor a folder")
    refused(call("gone.onnx"), "There is no file gone.onnx")
    assert window.shown == []
    assert call("open", MODEL).status == 0
    assert window.shown == [str(MODEL)]

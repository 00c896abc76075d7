"""Unusual models work with every command, or say clearly why not; wrong ones are refused by all."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests import models
from tests.cli import odd_models
from tests.cli.conftest import SAMPLES, Burnish, left_over, refused

QUICK = ("--seconds", "0.2", "--json")
STEPS = ("--step", "graph.clean", "--step", "graph.fuse", "--step", "quantize.dynamic")
#: measuring takes a fresh process for each figure, so only those whose inputs are the difficulty
MEASURED = ("nameless-dims", "zero-size", "loop", "lstm", "strings", "no-inputs")
COMMANDS = {
    "inspect": ("inspect", "bad.onnx"),
    "survey": ("survey", "bad.onnx"),
    "optimize": ("optimize", "bad.onnx", "-o", "out.onnx", "--step", "graph.clean", "--report", "out.html"),
    "bench": ("bench", "bad.onnx"),
    "evaluate": ("evaluate", "bad.onnx"),
    "export": ("export", "bad.onnx", "-o", "out.zip"),
    "compare": ("compare", SAMPLES / "mnist-resnet.onnx", "bad.onnx"),
}


@pytest.mark.parametrize("name", [name for name in odd_models.RIGHT if name != "duplicate-node-names"])
def test_unusual_models_go_all_the_way(call: Burnish, tmp_path: Path, name: str) -> None:
    models.save(odd_models.RIGHT[name](), tmp_path / "odd.onnx")
    info = call("inspect", "odd.onnx", "--json").json["model"]
    assert call("inspect", "odd.onnx").status == 0
    assert set(call("survey", "odd.onnx", "--json").json["surveys"]) >= {"graph.clean", "quantize.static"}
    ran = call("optimize", "odd.onnx", "-o", "out.onnx", *STEPS, "--json")
    assert ran.status == 0, ran.stderr
    steps = ran.json["steps"]
    assert len(steps) == 3
    assert all(step["unchanged"] or step["verification"]["sqnr_db"] is None or _close(step) for step in steps)
    made = onnx.load(tmp_path / "out.onnx")
    assert [value.name for value in made.graph.output] == [item["name"] for item in info["outputs"]]
    ran = call("evaluate", "out.onnx", "--baseline", "odd.onnx", "--json")
    assert ran.status == 0, ran.stderr
    ran = call("export", "out.onnx", "-o", "out.zip", "--no-bench", "--json")
    assert ran.status == 0, ran.stderr
    if name in MEASURED:
        ran = call("bench", "odd.onnx", *QUICK)
        assert ran.status == 0, ran.stderr
        assert ran.json["models"][0]["latency_ms"]["samples"] > 0


def _close(step: dict[str, dict[str, float]]) -> bool:
    return step["verification"]["sqnr_db"] > 10


def test_states_of_a_recurrent_model_have_the_batch_of_its_input(call: Burnish, tmp_path: Path) -> None:
    models.save(odd_models.lstm(), tmp_path / "lstm.onnx")
    call("export", "lstm.onnx", "-o", "b.zip", "--no-bench", "--json")
    with zipfile.ZipFile(tmp_path / "b.zip") as bundle:
        goldens = np.load(io.BytesIO(bundle.read("goldens.npz")))
    shapes = {array.shape for name in goldens.files if (array := goldens[name]).ndim == 3}
    assert {shape[1] for shape in shapes} == {1}


def test_strings_come_from_the_users_data_too(call: Burnish, tmp_path: Path) -> None:
    models.save(odd_models.strings(), tmp_path / "s.onnx")
    np.savez(tmp_path / "s.npz", text=np.array([["a", "bé"]] * 4), x=np.ones((4, 8), np.float32))
    ran = call("optimize", "s.onnx", "-o", "o.onnx", "--step", "quantize.static", "--data", "s.npz", "--json")
    assert ran.status == 0, ran.stderr
    assert not ran.json["verification"]["synthetic"]
    refused(call("bench", "s.onnx", "--device", "openvino:CPU", "--seconds", "0.2"), "strings")


def test_models_of_equal_node_names_run_where_the_engine_takes_them(call: Burnish, tmp_path: Path) -> None:
    models.save(odd_models.duplicate_node_names(), tmp_path / "twice.onnx")
    assert "more than once" in call("inspect", "twice.onnx").stdout
    ran = call("bench", "twice.onnx", "--device", "openvino:CPU", *QUICK)
    assert ran.status == 0, ran.stderr
    refused(call("bench", "twice.onnx", "--device", "onnxruntime:CPU"), "same node name")


def test_outputs_listed_twice_are_a_problem_that_is_shown(call: Burnish, tmp_path: Path) -> None:
    models.save(odd_models.output_named_twice(), tmp_path / "twice.onnx")
    assert "'logits' is listed 2 times" in call("inspect", "twice.onnx").stdout


@pytest.mark.parametrize("name", odd_models.WRONG)
def test_wrong_models_are_refused(call: Burnish, tmp_path: Path, name: str) -> None:
    make, text = odd_models.WRONG[name]
    models.save(make(), tmp_path / "bad.onnx")
    refused(call("inspect", "bad.onnx", "--json"), text)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_takes_a_wrong_model(call: Burnish, tmp_path: Path, command: str) -> None:
    models.save(odd_models.cycle(), tmp_path / "bad.onnx")
    refused(call(*COMMANDS[command], "--json"), "cycle")
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("make", "text"), [(odd_models.unknown_domain, "com.example.custom"), (odd_models.wrong_shapes, "Gemm")]
)
def test_what_no_runtime_takes_is_said_by_name(call: Burnish, tmp_path: Path, make: models.Maker, text: str) -> None:
    models.save(make(), tmp_path / "bad.onnx")
    assert call("inspect", "bad.onnx").status == 0
    assert call("survey", "bad.onnx").status == 0
    for device in ("onnxruntime:CPU", "openvino:CPU"):
        refused(call("bench", "bad.onnx", "--device", device, "--json"), text)
    refused(call("evaluate", "bad.onnx", "--baseline", "bad.onnx"), text)
    refused(call("export", "bad.onnx", "-o", "out.zip", "--no-bench"), text)
    ran = call("optimize", "bad.onnx", "-o", "out.onnx", "--step", "quantize.dynamic")
    refused(ran, "quantize")
    assert str(tmp_path.parent) not in ran.stderr
    assert left_over(tmp_path) == []

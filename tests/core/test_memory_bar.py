"""Memory of opening a model and of a pass on it, each in a process of its own: 1.5 times the weights and 300 MB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from tests import models

ROOT = Path(__file__).parents[2]
BASE = 300_000_000
SIDE, LAYERS = 2048, 9
MEASURE = """
import json, sys
from pathlib import Path
from studio.core.artifact import open_artifact
from studio.core.memory_usage import peak_bytes
from studio.core.report import SilentReporter
from studio.jobs.tasks import apply, open_model
path, folder = Path(sys.argv[2]), Path(sys.argv[3])
if sys.argv[1] == "open":
    open_model.run({"path": str(path)}, SilentReporter())
else:
    artifact = open_artifact(path).model_dump(mode="json")
    step = {"pass_id": "graph.clean"}
    done = apply.run({"artifact": artifact, "step": step, "folder": str(folder)}, SilentReporter())
    assert not done["unchanged"] and done["verification"]["identical"], done
print(peak_bytes())
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 150 MB of weights, with nodes that clean-up removes."""
    weight = np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32) / 45
    nodes, weights, last = [], {}, "x"
    for index in range(LAYERS):
        weights[f"w{index}"] = weight + np.float32(index)
        nodes.append(helper.make_node("MatMul", [last, f"w{index}"], [f"m{index}"], f"matmul{index}"))
        nodes.append(helper.make_node("Identity", [f"m{index}"], [f"i{index}"], f"same{index}"))
        last = f"i{index}"
    nodes.append(helper.make_node("Tanh", [last], ["y"], "tanh"))
    proto = models.model(nodes, {"x": ["batch", SIDE]}, {"y": ["batch", SIDE]}, weights)
    return models.save(proto, tmp_path_factory.mktemp("large") / "large.onnx")


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read exactly on Linux only")
@pytest.mark.parametrize("work", ["open", "apply"])
def test_the_peak_stays_below_the_bar(large: Path, tmp_path: Path, work: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, work, str(large), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    weights = SIDE * SIDE * 4 * LAYERS
    assert int(done.stdout.splitlines()[-1]) < 1.5 * weights + BASE

"""The bundle in a fresh virtual environment: it runs, re-checks itself, and notices damage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from studio.jobs.pool import JobPool
from studio.locations import assets, load_registry
from studio.sample import RECIPES, open_sample
from studio.session import Session
from studio.workbench import Workbench

SAMPLES = assets() / "samples"


@dataclass(frozen=True)
class Bundle:
    """An unpacked bundle and the interpreter of an environment with its requirements only."""

    folder: Path
    python: Path

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run one of its scripts as a user without Burnish would."""
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        command = [str(self.python), *map(str, arguments)]
        return subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = tmp_path_factory.mktemp("bundle")
    with JobPool() as pool:
        session = Session(Workbench(load_registry(), pool, root / "cache"))
        open_sample(session)
        variant = session.apply(RECIPES[1], name="int8").variant
        session.evaluate(["baseline", variant.id], ("top1",))
        written = session.export(variant.id, "onnx-bundle", root / "bundle.zip")
        session.close()
    with zipfile.ZipFile(written.path) as archive:
        archive.extractall(root / "bundle")
    venv.create(root / "venv", with_pip=True)
    python = root / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    install = [str(python), "-m", "pip", "install", "-q", "-r", str(root / "bundle" / "requirements.txt")]
    subprocess.run(install, check=True, capture_output=True, timeout=280)
    return Bundle(root / "bundle", python)


@pytest.fixture
def bundle(made: Bundle, tmp_path: Path) -> Bundle:
    """A copy that a test may damage."""
    return Bundle(Path(shutil.copytree(made.folder, tmp_path / "bundle")), made.python)


def test_burnish_is_not_there(bundle: Bundle) -> None:
    assert bundle.run("-c", "import studio").returncode != 0
    listed = bundle.run("-m", "pip", "list", "--format=json")
    assert "burnish" not in {row["name"] for row in json.loads(listed.stdout)}


def test_it_runs_its_golden_sample_and_a_users_own(bundle: Bundle, tmp_path: Path) -> None:
    golden = bundle.run("run.py")
    assert golden.returncode == 0, golden.stderr
    assert golden.stdout.startswith("logits: float32 [1, 10]")
    images = np.load(SAMPLES / "mnist-eval.npz")
    np.savez(tmp_path / "own.npz", image=images["image"][:50])
    own = bundle.run("run.py", tmp_path / "own.npz", "--out", tmp_path / "out.npz", "--repeat", 3)
    assert own.returncode == 0, own.stderr
    assert "median latency" in own.stdout
    predicted = np.load(tmp_path / "out.npz")["logits"].argmax(axis=1)
    assert (predicted == images["labels"][:50]).mean() > 0.9


def test_wrong_input_is_one_sentence(bundle: Bundle, tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=np.zeros(1), b=np.zeros(1))
    for argument, text in ((tmp_path / "two.npz", "no array named 'image'"), (tmp_path / "no.npz", "no file")):
        ran = bundle.run("run.py", argument)
        assert ran.returncode == 1
        assert text in ran.stderr
        assert "Traceback" not in ran.stderr


def test_it_verifies_itself(bundle: Bundle) -> None:
    ran = bundle.run("verify.py", "--json", "--runs", 20)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = json.loads(ran.stdout)
    assert report["ok"]
    assert report["sqnr_db"] is None or report["sqnr_db"] > 15
    assert report["latency_ms"] > 0
    assert "OK" in bundle.run("verify.py", "--runs", 2).stdout


@pytest.mark.parametrize("name", ["model.onnx", "recipe.toml", "goldens.npz"])
def test_damage_is_named(bundle: Bundle, name: str) -> None:
    data = bytearray((bundle.folder / name).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (bundle.folder / name).write_bytes(data)
    ran = bundle.run("verify.py")
    assert ran.returncode == 1
    assert f"{name} was changed or damaged" in ran.stdout


def test_a_missing_file_is_named(bundle: Bundle) -> None:
    (bundle.folder / "run.py").rename(bundle.folder / "other.py")
    (bundle.folder / "run.py").write_text((bundle.folder / "other.py").read_text() + "# mine\n")
    (bundle.folder / "requirements.txt").unlink()
    ran = bundle.run("verify.py")
    assert ran.returncode == 1
    assert "requirements.txt is missing" in ran.stdout
    assert "run.py was changed" in ran.stdout


def test_another_model_under_a_mended_manifest_is_caught_by_its_outputs(bundle: Bundle) -> None:
    shutil.copy(SAMPLES / "mnist-resnet.onnx", bundle.folder / "model.onnx")
    manifest = json.loads((bundle.folder / "MANIFEST.json").read_text())
    del manifest["files"]["model.onnx"]
    manifest["goldens"]["minimum_sqnr_db"] = 60.0
    (bundle.folder / "MANIFEST.json").write_text(json.dumps(manifest))
    ran = bundle.run("verify.py")
    assert ran.returncode == 1
    assert "the outputs differ too much" in ran.stdout


def test_the_manifest_tells_where_figures_come_from(bundle: Bundle) -> None:
    manifest = json.loads((bundle.folder / "MANIFEST.json").read_text())
    assert not manifest["goldens"]["synthetic"]
    assert manifest["evaluations"][0]["metric"] == "top1"
    assert manifest["source"]["name"] == "mnist-resnet.onnx"
    assert "quantize.static" in (bundle.folder / "recipe.toml").read_text()
    assert "99." in (bundle.folder / "README.md").read_text()

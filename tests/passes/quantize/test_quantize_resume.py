"""An interrupted calibration goes on from its statistics, and gives what an uninterrupted one gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from plugins.quantize import calibration
from plugins.quantize.calibration import Calibrator, Plan, Ranges
from studio.api import Cancelled, Memo, Reporter, SilentReporter
from tests import models
from tests.passes.quantize.support import Samples, apply, images, residual_cnn

ROOT = Path(__file__).parents[3]
TENSORS = ["image", "c1", "r1", "c2", "r2", "c3"]
CRASH = """
import os, sys
from pathlib import Path
from plugins.quantize import progress
from studio.api import SilentReporter
from tests.passes.quantize.test_quantize_resume import calibrate, Memo

progress.SAVE_SECONDS = 0.0

class Crash(SilentReporter):
    left = 5
    def check(self):
        self.left -= 1
        if not self.left:
            os._exit(9)

calibrate(Path(sys.argv[1]), "percentile", Memo(Path(sys.argv[2])), Crash())
"""


class Stop(SilentReporter):
    """Asks for the work to stop after some checks."""

    def __init__(self, after: int) -> None:
        self.left = after

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled


class Counted(Calibrator):
    """Counts the inferences."""

    runs = 0

    def _session(self, group: object) -> object:
        session = super()._session(group)  # type: ignore[arg-type]
        outer = self

        class Session:
            def run(self, *arguments: object) -> object:
                outer.runs += 1
                return session.run(*arguments)  # type: ignore[attr-defined]

        return Session()


def calibrate(
    folder: Path, method: str, memo: Memo | None, reporter: Reporter | None = None, seed: int = 1
) -> tuple[Ranges, int]:
    """Calibrate the small network on 96 samples, 8 at a time; gives the ranges and the number of inferences."""
    network = onnx.shape_inference.infer_shapes(residual_cnn())
    path = models.save(network, folder / "m.onnx")
    calibrator = Counted(path, TENSORS, Samples(images(96, seed=seed)), reporter or SilentReporter(), most=8)
    ranges = calibrator.run(Plan(method, 99.0, 1000), memo)  # type: ignore[arg-type]
    return ranges, calibrator.runs


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy", "mse"])
@pytest.mark.parametrize("after", [0, 5, 15])
def test_cancelled_and_repeated(method: str, after: int, tmp_path: Path) -> None:
    whole, runs = calibrate(tmp_path / "a", method, None)
    memo = Memo(tmp_path / "memo")
    done = after + 1
    if done < runs:
        with pytest.raises(Cancelled):
            calibrate(tmp_path / "b", method, memo, Stop(after))
    else:
        calibrate(tmp_path / "b", method, memo)
        done = runs
    again, more = calibrate(tmp_path / "c", method, memo)
    assert more == runs - done
    assert again == whole


def test_in_groups_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = calibrate(tmp_path / "a", "percentile", None)
    monkeypatch.setattr(calibration, "BUDGET", 600_000)
    memo = Memo(tmp_path / "memo")
    _, runs = calibrate(tmp_path / "b", "percentile", None)
    assert runs > 60, "several groups"
    with pytest.raises(Cancelled):
        calibrate(tmp_path / "c", "percentile", memo, Stop(40))
    again, more = calibrate(tmp_path / "d", "percentile", memo)
    assert more == runs - 41
    assert again == whole


def test_a_crash_loses_little(tmp_path: Path) -> None:
    whole, runs = calibrate(tmp_path / "a", "percentile", None)
    folder = tmp_path / "memo"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    crashed = subprocess.run(
        [sys.executable, "-c", CRASH, str(tmp_path / "b"), str(folder)], cwd=ROOT, env=environment, check=False
    )
    assert crashed.returncode == 9
    again, more = calibrate(tmp_path / "c", "percentile", Memo(folder))
    assert more == runs - 5
    assert again == whole


def test_other_data_and_other_methods_start_anew(tmp_path: Path) -> None:
    memo = Memo(tmp_path / "memo")
    _, runs = calibrate(tmp_path / "a", "percentile", memo)
    assert calibrate(tmp_path / "b", "percentile", memo)[1] == 0
    assert calibrate(tmp_path / "b", "mse", memo)[1] == 0, "both read the same histogram"
    assert calibrate(tmp_path / "b", "entropy", memo)[1] == runs
    assert calibrate(tmp_path / "b", "percentile", memo, seed=2)[1] == runs


def test_the_pass_uses_what_was_kept(tmp_path: Path) -> None:
    memo = Memo(tmp_path / "memo")
    results = []
    for name in "ab":
        data = Samples(images(64))
        _, result = apply(
            "quantize.static", residual_cnn(), tmp_path / name, data=data, memo=memo, params={"correct_bias": False}
        )
        results.append((result.artifact.sha256, data.read))
    assert results[0][0] == results[1][0]
    assert results[1][1] < results[0][1]
    assert len(list((tmp_path / "memo").glob("*.npz"))) == 1
    assert np.load(next((tmp_path / "memo").glob("*.npz")))["position"][0] == 1

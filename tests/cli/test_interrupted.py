"""Ctrl-C: status 1, one line, no file half-written, no process left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests import models
from tests.cli.conftest import ROOT, SAMPLES, left_over, process_environment
from tests.jobs.family import assert_ended

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process group gets SIGINT on POSIX")

MODEL = SAMPLES / "mnist-resnet.onnx"


@contextmanager
def started(folder: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start the command line as a shell does: in a process group of its own."""
    env = process_environment(folder / "cache")
    env["BURNISH_PLUGINS"] = str(ROOT / "tests" / "fixtures" / "plugins")
    process = subprocess.Popen(
        [sys.executable, "-m", "studio", *map(str, arguments)],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def interrupt(process: subprocess.Popen[str], sign: str) -> tuple[int, str, str]:
    """Wait until stderr shows that the work is under way, press Ctrl-C, and assert that nothing runs on."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if sign in line:
            break
    else:
        pytest.fail(f"it ended before {sign!r}: {''.join(seen)}")
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert_ended(family)
    return process.returncode, stdout, stderr


def test_optimize(tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path / "m.onnx")
    steps = ("--step", "graph.clean", "--step", "test.patient")
    with started(tmp_path, "optimize", "m.onnx", "-o", "out.onnx", *steps, "--report", "out.html", "--json") as process:
        status, stdout, stderr = interrupt(process, "half of it")
    assert (status, stdout) == (1, "")
    assert "Traceback" not in stderr
    assert stderr.strip().splitlines()[-1] == "Stopped; nothing was left half-written."
    assert left_over(tmp_path) == []
    assert list((tmp_path / "cache" / "tmp").iterdir()) == []


def test_bench(tmp_path: Path) -> None:
    with started(tmp_path, "bench", MODEL, MODEL, "--batch", "128", "--seconds", "600", "--json") as process:
        status, stdout, stderr = interrupt(process, "mnist-resnet.onnx")
    assert (status, stdout) == (1, "")
    assert "Traceback" not in stderr
    assert stderr.strip().splitlines()[-1] == "Stopped; nothing was left half-written."
    assert left_over(tmp_path) == []

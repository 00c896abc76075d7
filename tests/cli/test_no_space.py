"""Disks that are full, read-only or no disks: one sentence, and nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import SAMPLES, Burnish, Ran, left_over, process_environment, refused

MODEL = SAMPLES / "mnist-resnet.onnx"
FOLD = ("--step", "graph.fold-batchnorm")
#: bytes that a file may have: less than the model, more than what Python and the logs write
LIMIT = 200_000
LIMITED = f"""
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT}))
runpy.run_module("studio", run_name="__main__")
"""

posix = pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE and mount are POSIX")


def limited(folder: Path, cache: Path, *arguments: object) -> Ran:
    """Run the command line where no file can have more than `LIMIT` bytes: every large write fails, root's too."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, arguments)],
        cwd=folder,
        env=process_environment(cache),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


@posix
def test_a_result_that_cannot_be_written_to_the_cache(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    ran = limited(tmp_path, cache, "optimize", MODEL, "-o", "out.onnx", *FOLD, "--json")
    refused(ran, "cannot be written")
    assert left_over(tmp_path) == []
    assert [path for path in cache.rglob("*") if path.is_file()] == []


@posix
def test_a_result_that_cannot_be_written_to_its_target(call: Burnish, cache: Path, tmp_path: Path) -> None:
    assert call("optimize", MODEL, "-o", "first.onnx", *FOLD).status == 0
    (tmp_path / "out.onnx").write_bytes(b"older")
    ran = limited(tmp_path, cache, "optimize", MODEL, "-o", "out.onnx", *FOLD, "--report", "out.html", "--json")
    refused(ran, "out.onnx cannot be written")
    assert (tmp_path / "out.onnx").read_bytes() == b"older"
    assert left_over(tmp_path) == ["out.onnx"]
    refused(limited(tmp_path, cache, "export", MODEL, "-o", "out.zip", "--no-bench", "--json"), "out.zip")
    assert left_over(tmp_path) == ["out.onnx"]


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("file/out", "file is a file, not a folder"),
        ("gone/out", "There is no folder gone"),
        ("folder", "folder is a folder"),
        ("x" * 300, "its name is too long"),
        pytest.param("/proc/out", "/proc", marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux has it")),
    ],
)
def test_targets_that_cannot_be_written(call: Burnish, tmp_path: Path, target: str, text: str) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder").mkdir()
    for command in (
        ("optimize", MODEL, "-o", target, *FOLD),
        ("optimize", MODEL, "-o", "out.onnx", *FOLD, "--report", target),
        ("optimize", MODEL, "-o", "out.onnx", *FOLD, "--save-recipe", target),
        ("export", MODEL, "-o", target),
    ):
        refused(call(*command, "--json"), text)
    assert left_over(tmp_path) == []


def test_a_results_folder_that_cannot_be_made(call: Burnish, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    for target in ("file", "file/in", "x" * 300):
        refused(call("sample", "--headless", "-o", target, "--json"), "cannot be made")


def test_a_result_in_place_of_its_source(call: Burnish, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(MODEL.read_bytes())
    refused(call("optimize", "m.onnx", "-o", "./m.onnx", *FOLD), "cannot replace its source", 2)
    assert (tmp_path / "m.onnx").read_bytes() == MODEL.read_bytes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not sys.platform.startswith("linux") or os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system may not be mounted here; the limit on file sizes stands for it in the other tests")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("step", ["graph.fold-batchnorm", "quantize.static", "graph.fuse:engine=onnxruntime"])
def test_a_full_disk_under_the_cache(
    call: Burnish, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setenv("BURNISH_CACHE", str(small_disk / "cache"))
    data = ("--data", SAMPLES / "mnist-calibration.npz")
    ran = call("optimize", MODEL, "-o", "out.onnx", "--step", step, *data, "--json")
    refused(ran, "")
    said = ("disk is full", "no room for it", " MB are needed", "cannot be written")
    assert any(text in ran.stderr for text in said), ran.stderr
    assert left_over(tmp_path) == []
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []


def test_a_full_and_a_read_only_disk_under_the_target(call: Burnish, small_disk: Path) -> None:
    commands = {
        "out.onnx": ("optimize", MODEL, "-o", small_disk / "out.onnx", *FOLD),
        "out.zip": ("export", MODEL, "-o", small_disk / "out.zip", "--no-bench"),
    }
    for name, command in commands.items():
        refused(call(*command, "--json"), name)
        assert list(small_disk.iterdir()) == []
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for command in commands.values():
        refused(call(*command, "--json"), "read-only")
    refused(call("sample", "--headless", "-o", small_disk / "new"), "read-only")

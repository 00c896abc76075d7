from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from studio.cli.main import run
from studio.jobs.pool import JobPool

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "assets" / "samples"


@dataclass(frozen=True)
class Ran:
    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


Burnish = Callable[..., Ran]


class FakeWindow:
    """Stands for the studio: notes what it was asked to open."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def show(self, paths: list[str]) -> int:
        self.shown = paths
        return 0

    def screenshot(self, project: Path, target: Path) -> None:
        target.write_bytes(project.name.encode())


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def burnish(cache: Path, tmp_path: Path) -> Burnish:
    """Run the command line in a process of its own, as a user does."""

    def run_process(*arguments: object) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "studio", *map(str, arguments)],
            cwd=tmp_path,
            env=process_environment(cache),
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    return run_process


def process_environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "BURNISH_CACHE": str(cache), "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="package")
def pool() -> Iterator[JobPool]:
    with JobPool(workers=1, spare=False) as made:
        yield made


@pytest.fixture
def window() -> FakeWindow:
    return FakeWindow()


@pytest.fixture
def call(pool: JobPool, cache: Path, tmp_path: Path, window: FakeWindow, monkeypatch: pytest.MonkeyPatch) -> Burnish:
    """Run the command line in this process, its jobs on real workers that the tests share."""
    monkeypatch.setenv("BURNISH_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)

    def run_here(*arguments: object) -> Ran:
        stdout, stderr = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            status = run([str(argument) for argument in arguments], window, pool)
        assert "Traceback" not in stderr.getvalue(), stderr.getvalue()
        return Ran(status, stdout.getvalue(), stderr.getvalue())

    return run_here


def refused(ran: Ran, text: str, status: int = 1) -> None:
    """Assert that it ended with one sentence that says `text`, one remedy, and nothing on stdout."""
    assert ran.status == status, ran.stderr
    assert text in ran.stderr, ran.stderr
    assert ran.stdout == ""
    lines = ran.stderr[ran.stderr.index("error: ") :].strip().splitlines()
    assert len(lines) == 2, lines
    assert "Unexpected" not in lines[0], lines
    assert lines[0].endswith("."), lines
    assert lines[1].startswith("  "), lines
    assert len(lines[1].strip()) > 3, lines


def left_over(folder: Path) -> list[str]:
    """List what a failed command must not leave: models, bundles, reports, temporary files."""
    return sorted(
        path.name
        for path in folder.rglob("*")
        if path.name.startswith((".burnish", "out.")) or path.suffix in (".zip", ".html", ".tmp")
    )

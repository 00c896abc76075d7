"""Running the command line and the libraries, each in a process of its own, timed and with its peak memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PEERS = Path(__file__).with_name("peers.py")


@dataclass(frozen=True)
class Made:
    """A variant that a recipe made, or why there is none."""

    name: str
    path: Path
    seconds: float
    failure: str = ""


def burnish(*arguments: str | Path) -> Any:
    """Run a command of Burnish; gives its JSON document.

    Raises
    ------
    RuntimeError
        With what it said, when it failed.
    """
    command = [sys.executable, "-m", "studio", *(str(argument) for argument in arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if not done.stdout.strip():
        raise RuntimeError(_last_line(done.stderr))
    return json.loads(done.stdout)


def ours(name: str, model: Path, calibration: Path, out: Path, steps: Sequence[str]) -> Made:
    """Make a variant by some steps."""
    chosen = [word for step in steps for word in ("--step", step)]
    start = time.perf_counter()
    try:
        burnish("optimize", model, "-o", out, "--data", calibration, *chosen)
    except RuntimeError as error:
        return Made(name, out, time.perf_counter() - start, str(error))
    return Made(name, out, time.perf_counter() - start)


def theirs(name: str, python: Path, recipe: str, model: Path, calibration: Path, out: Path) -> Made:
    """Make a variant by a library's default recipe."""
    command = [str(part) for part in (python, PEERS, recipe, model, calibration, out)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    failure = _last_line(done.stderr) if done.returncode else ""
    return Made(name, out, time.perf_counter() - start, failure)


def peak_of_children() -> int:
    """Give the largest resident memory of a child so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    errors = [line for line in lines if "rror" in line]
    return (errors or lines or ["failed without a word"])[-1][:200]

"""The ends of processes that are not the test's own children."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

from tests.jobs.recorder import PATIENCE


def found(pid: int) -> list[psutil.Process]:
    """Look a process up that may be gone by now."""
    try:
        return [psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return []


def ended(process: psutil.Process) -> bool:
    """Tell whether a process runs no more; who reaps it, and when, is init's affair."""
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def assert_ended(family: Iterable[psutil.Process]) -> None:
    """Wait for the end of processes that were killed: a signal takes its time to arrive."""
    deadline = time.monotonic() + PATIENCE
    for process in family:
        while not ended(process):
            assert time.monotonic() < deadline, process
            with suppress(psutil.TimeoutExpired):
                process.wait(0.01)

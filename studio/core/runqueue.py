"""How long a thread was ready to run while others had the processor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

_SCHEDULER = Path("/proc/thread-self/schedstat")


def waited_ns(file: Path = _SCHEDULER) -> int | None:
    """Give the nanoseconds that the calling thread waited for a processor so far; None where none tells.

    Parameters
    ----------
    file
        Linux's count for the thread: time on a processor, time waiting for one, number of turns.
    """
    try:
        return int(file.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None


def undisturbed_ns(call: Callable[[], Any], file: Path = _SCHEDULER) -> int:
    """Time a call, less what the calling thread waited for a processor: what other programs took from it."""
    before = waited_ns(file)
    started = perf_counter_ns()
    call()
    lasted = perf_counter_ns() - started
    after = waited_ns(file)
    return lasted if before is None or after is None else max(1, lasted - (after - before))

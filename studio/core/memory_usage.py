"""Resident memory of this process, now and at its peak."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from pathlib import Path

from studio.core.measurement import Memory

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def resident_bytes() -> int:
    """Give the resident set size of this process in bytes."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """Give the largest resident set size since the start, or since `reset_peak` succeeded, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    marked = _high_water_mark()
    if marked is not None:
        return marked
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def reset_peak() -> bool:
    """Start a new peak where the system allows it (Linux: 5 written to ``/proc/self/clear_refs``).

    Returns
    -------
    bool
        Whether it did; if not, `peak_bytes` covers the process's whole life.
    """
    try:
        _CLEAR_REFS.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def page_faults() -> tuple[int, int] | None:
    """Count this process's page faults so far: those served from memory, and those from the disk."""
    if sys.platform == "win32":
        return None
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt, usage.ru_majflt


class MemoryWatch:
    """Watches the memory that loading and running a model takes: made before, told when loaded, asked at the end.

    Where the peak cannot be reset, a peak from before the model would be taken for the model's: then
    it counts only if it rose meanwhile, else the largest size seen does.
    """

    def __init__(self) -> None:
        reset_peak()
        self._mark = peak_bytes()
        self._before = resident_bytes()
        self._loaded = self._before

    def loaded(self) -> None:
        """Note the size once the model is loaded."""
        self._loaded = resident_bytes()

    def finish(self) -> Memory:
        """Give what was seen, in bytes."""
        seen = max(self._before, self._loaded, resident_bytes())
        peak = peak_bytes()
        return Memory(before=self._before, loaded=self._loaded, peak=max(seen, peak if peak > self._mark else 0))


def _high_water_mark() -> int | None:
    """Read VmHWM; None where there is none."""
    try:
        text = _STATUS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def give_back() -> None:
    """Return freed memory to the system, also where the C library keeps it (glibc): the next model needs the room."""
    gc.collect()  # graphs are full of cycles, and hold the files that they map
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)

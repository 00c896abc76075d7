from __future__ import annotations

import numpy as np
import pytest

from studio.core import memory_usage
from studio.core.memory_usage import MemoryWatch, peak_bytes, reset_peak, resident_bytes

MB = 1 << 20


def allocate(megabytes: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.ones(megabytes * MB, dtype=np.uint8)


def test_the_peak_remembers_what_was_freed() -> None:
    watch = MemoryWatch()
    held = allocate(40)
    watch.loaded()
    passing = allocate(60)
    del passing
    found = watch.finish()
    assert held.nbytes == 40 * MB
    assert 30 * MB < found.loaded - found.before < 60 * MB
    assert 90 * MB < found.peak_delta < 140 * MB


def test_an_earlier_peak_is_not_taken_for_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the peak cannot be reset, as in a sandbox or on macOS."""
    monkeypatch.setattr(memory_usage, "reset_peak", lambda: False)
    earlier = allocate(200)
    del earlier
    watch = MemoryWatch()
    held = allocate(20)
    watch.loaded()
    assert watch.finish().peak_delta < 60 * MB
    assert held.nbytes == 20 * MB


def test_without_a_status_file_the_system_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    marked = peak_bytes()
    nowhere = tmp_path_factory.mktemp("proc") / "nothing"
    monkeypatch.setattr(memory_usage, "_STATUS", nowhere)
    assert peak_bytes() >= 0.9 * min(marked, resident_bytes())
    monkeypatch.setattr(memory_usage, "_CLEAR_REFS", nowhere / "nothing")
    assert reset_peak() is False

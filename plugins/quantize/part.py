"""A part of a longer piece of work, as a reporter: its progress is a share of the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from studio.api import Reporter


class Part:
    """Passes everything on; progress from 0 to 1 becomes progress from `start` to `end`."""

    def __init__(self, reporter: Reporter, start: float, end: float) -> None:
        self._reporter, self._start, self._end = reporter, start, end

    def progress(self, done: float, total: float, label: str = "") -> None:
        """Say how much of the whole is done."""
        share = done / total if total else 0.0
        self._reporter.progress(self._start + share * (self._end - self._start), 1.0, label)

    def samples(self, series: str, values: Sequence[int], info: Mapping[str, Any] | None = None) -> None:
        """Pass samples on."""
        self._reporter.samples(series, values, info)

    def log(self, text: str, level: Literal["debug", "info", "warning", "error"] = "info") -> None:
        """Pass a line on."""
        self._reporter.log(text, level)

    def check(self) -> None:
        """Ask whether to stop."""
        self._reporter.check()

"""How long work tells its caller where it stands, and learns that it should stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

LogLevel = Literal["debug", "info", "warning", "error"]


class Reporter(Protocol):
    """What a job is given to talk to its caller; calls are cheap and never block for long."""

    def progress(self, done: float, total: float, label: str = "") -> None:
        """Say how much of the work is done, in the same unit as `total`; `total` 0 means unknown."""

    def samples(self, series: str, values: Sequence[int], info: Mapping[str, Any] | None = None) -> None:
        """Stream raw samples (nanoseconds) of a named series."""

    def log(self, text: str, level: LogLevel = "info") -> None:
        """Add a line to the job's log."""

    def check(self) -> None:
        """Raise `Cancelled` when the caller asked for the work to stop."""


class SilentReporter:
    """A reporter that nobody listens to."""

    def progress(self, done: float, total: float, label: str = "") -> None:
        """Drop it."""

    def samples(self, series: str, values: Sequence[int], info: Mapping[str, Any] | None = None) -> None:
        """Drop it."""

    def log(self, text: str, level: LogLevel = "info") -> None:
        """Drop it."""

    def check(self) -> None:
        """Never cancelled."""

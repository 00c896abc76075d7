"""Measure two models in pairs, or one alone, streaming the samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.core.frozen import Frozen
from studio.core.measurement import Measurement
from studio.core.report import Reporter
from studio.core.runtime import RunOptions
from studio.jobs.tasks.subject import Subject


class MeasurePair(Frozen):
    """What to measure, and how; without a variant the baseline is measured alone."""

    baseline: Subject
    variant: Subject | None = None
    run: RunOptions = RunOptions()
    batch: int = 1
    data: Path | None = None
    dims: dict[str, int] = {}
    seconds: float = 6.0
    seed: int = 0


class MeasuredPair(Frozen):
    """What was measured: the baseline first."""

    made: tuple[Measurement, ...]


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Measure a `MeasurePair` payload; gives a `MeasuredPair`. Samples stream as series of `Subject.key`."""
    raise NotImplementedError

"""Evaluate models on a dataset by metrics; the first model is the baseline of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.core.frozen import Frozen
from studio.core.report import Reporter
from studio.jobs.tasks.subject import Subject


class EvaluateModels(Frozen):
    """What to evaluate: by the given metrics, or by all that suit the data."""

    models: tuple[Subject, ...]
    data: Path | None = None
    metrics: tuple[str, ...] = ()
    batch: int = 32
    seed: int = 0


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Evaluate an `EvaluateModels` payload; gives ``{"evaluations": [...]}``."""
    raise NotImplementedError

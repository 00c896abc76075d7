"""Count the samples that calibration and evaluation data have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.core.artifact import Artifact
from studio.core.frozen import Frozen
from studio.core.report import Reporter
from studio.core.splitting import shared_samples
from studio.jobs.tasks.surroundings import data_for
from studio.locations import load_registry


class CountShared(Frozen):
    """Which data to compare, and the model that both are for."""

    artifact: Artifact
    calibration: Path
    evaluation: Path


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Compare the data of a `CountShared` payload; gives how many evaluation samples are ``shared``."""
    wanted = CountShared.model_validate(payload)
    registry = load_registry()
    first, second = (data_for(registry, wanted.artifact, path) for path in (wanted.calibration, wanted.evaluation))
    return {"shared": shared_samples(first, second, reporter), "samples": second.samples}

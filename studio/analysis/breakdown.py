"""Latency from the data to the score, stage by stage, in a job of its own."""

from __future__ import annotations

from pathlib import Path

from studio.core.runtime import RunOptions
from studio.jobs.tasks.breakdown import BreakDown, Breakdown
from studio.jobs.tasks.subject import Subject
from studio.workbench import Watch, Workbench


def break_down(
    work: Workbench, subject: Subject, data: Path | None, run: RunOptions | None = None, *, watch: Watch | None = None
) -> Breakdown:
    """Time reading, feeding, inference and postprocessing of single samples.

    Raises
    ------
    BurnishError
        When the model cannot be run, or the data does not fit it.
    """
    request = BreakDown(subject=subject, run=run or RunOptions(), data=data)
    label = f"break {subject.name} down on {subject.device.spec}"
    found = work.run_task("breakdown", request, label, artifact=subject.artifact, exclusive=True, watch=watch)
    return Breakdown.model_validate(found)

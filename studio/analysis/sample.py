"""One sample with what a source and its variant answer to it."""

from __future__ import annotations

from pathlib import Path

from studio.core.sampleview import SampleView
from studio.jobs.tasks.sample import LookAtSample
from studio.jobs.tasks.subject import Subject
from studio.workbench import Watch, Workbench


def look_at_sample(
    work: Workbench,
    source: Subject,
    variant: Subject,
    data: Path | None,
    index: int,
    *,
    seed: int = 0,
    watch: Watch | None = None,
) -> SampleView:
    """Read a sample and run both models on it, on the source's device.

    Raises
    ------
    BurnishError
        When there is no such sample, or a model cannot be run.
    """
    request = LookAtSample(source=source, variant=variant, data=data, index=index, seed=seed)
    label = f"look at sample {index}"
    found = work.run_task("sample", request, label, artifact=source.artifact, watch=watch)
    return SampleView.model_validate(found)

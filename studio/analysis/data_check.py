"""Whether data suits a model."""

from __future__ import annotations

from pathlib import Path

from studio.core.datacheck.findings import DataCheck
from studio.jobs.tasks.check_data import CheckData
from studio.jobs.tasks.subject import Subject
from studio.workbench import Watch, Workbench


def check_data(
    work: Workbench,
    subject: Subject,
    data: Path | None,
    *,
    samples: int = 64,
    seed: int = 0,
    watch: Watch | None = None,
) -> DataCheck:
    """Look for what speaks against data for a model, with evidence.

    Raises
    ------
    BurnishError
        When the data cannot be read, or the model cannot be run.
    """
    request = CheckData(subject=subject, data=data, samples=samples, seed=seed)
    label = f"check the data for {subject.name}"
    found = work.run_task("check_data", request, label, step="check-data", artifact=subject.artifact, watch=watch)
    return DataCheck.model_validate(found)

"""Check data against a model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from studio.core.datacheck.check import check_data
from studio.core.datacheck.findings import DataCheck
from studio.core.engine import Engine
from studio.core.frozen import Frozen
from studio.core.report import Reporter
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import data_for, find_place
from studio.locations import load_registry


class CheckData(Frozen):
    """What to check, and on how many samples."""

    subject: Subject
    data: Path | None = None
    samples: int = 64
    seed: int = 0


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Check as a `CheckData` payload asks; gives a `DataCheck`."""
    wanted = CheckData.model_validate(payload)
    registry = load_registry()
    subject = wanted.subject
    dataset = data_for(registry, subject.artifact, wanted.data, seed=wanted.seed)
    place = find_place(registry, subject.device.spec)
    with tempfile.TemporaryDirectory(prefix="check-") as name:
        engine = Engine([place], Path(name), reporter)
        found = check_data(engine, subject.artifact, dataset, Path(name), samples=wanted.samples, reporter=reporter)
    return DataCheck(
        model_sha256=subject.artifact.sha256,
        model_name=subject.name,
        dataset=dataset.name,
        dataset_digest=dataset.digest(),
        synthetic=dataset.synthetic,
        device=place.spec,
        samples=found.samples,
        inputs=found.inputs,
        readings=found.readings,
        findings=found.findings,
        limits=(*dataset.notes, *found.limits),
    ).model_dump(mode="json")

"""Check data against a model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from studio.core.artifact import Artifact
from studio.core.datacheck.check import check_data
from studio.core.datacheck.findings import DataCheck
from studio.core.dataset import Dataset
from studio.core.engine import Engine
from studio.core.errors import BurnishError, Cancelled
from studio.core.frozen import Frozen
from studio.core.place import Place
from studio.core.report import Reporter
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import data_for, find_place
from studio.locations import load_registry

#: samples for a look beside other work, and the largest model that is loaded once more for it, in bytes
GLANCE, LIGHT = 32, 500_000_000


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


def glance(
    place: Place, artifact: Artifact, dataset: Dataset, reporter: Reporter, *, thorough: bool
) -> tuple[str, ...]:
    """Say in sentences what speaks against data that is used for something else; empty when nothing does.

    Generated data and large models are not looked at.

    Parameters
    ----------
    thorough
        Whether to try other ways to read the data at once; else only when its values look odd.
    """
    if dataset.synthetic or artifact.bytes > LIGHT:
        return ()
    try:
        with tempfile.TemporaryDirectory(prefix="check-") as name:
            engine, folder = Engine([place], Path(name), reporter), Path(name)
            for ways in (False, True) if not thorough else (True,):
                found = check_data(
                    engine, artifact, dataset, folder, samples=GLANCE, ways=ways, reporter=reporter
                ).findings
                if not found:
                    return ()
    except (BurnishError, Cancelled):
        return ()
    return tuple(item.text for item in found)

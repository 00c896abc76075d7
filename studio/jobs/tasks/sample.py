"""Look at one sample, and at what two models answer to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.core.batching import run_batch
from studio.core.disagreeing import Picked
from studio.core.errors import DataError
from studio.core.frozen import Frozen
from studio.core.report import Reporter
from studio.core.runtime import RunOptions
from studio.core.sampleview import SampleView, view_input, view_outputs
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import data_for, find_place
from studio.locations import load_registry


class LookAtSample(Frozen):
    """The sample at an index of the data; both models run on the source's device."""

    source: Subject
    variant: Subject
    index: int
    data: Path | None = None
    seed: int = 0


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Look at the sample of a `LookAtSample` payload; gives a `SampleView`."""
    wanted = LookAtSample.model_validate(payload)
    registry = load_registry()
    reporter.progress(0, 0, f"reading sample {wanted.index}")
    dataset = data_for(registry, wanted.source.artifact, wanted.data, seed=wanted.seed)
    batch = next(iter(Picked(dataset, [wanted.index]).batches(1)), None)
    if batch is None:
        raise DataError(f"{dataset.name} has no sample {wanted.index}.", "Choose another sample.")
    place = find_place(registry, wanted.source.device.spec)
    answers = []
    for subject in (wanted.source, wanted.variant):
        with place.runtime.load(subject.artifact, place.device, RunOptions()) as model:
            answers.append(view_outputs(run_batch(model, batch)))
    return SampleView(
        index=wanted.index,
        label="" if batch.labels is None else str(batch.labels[0]),
        inputs=tuple(view_input(name, array[0], dataset.words(name, array[0])) for name, array in batch.feeds.items()),
        before=answers[0],
        after=answers[1],
    ).model_dump(mode="json")

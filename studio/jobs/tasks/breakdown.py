"""Where the time from a sample on the disk to a score goes: reading, feeding, inference, postprocessing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from studio.core.batching import Feed, feeds_for
from studio.core.dataset import Batch, Dataset
from studio.core.frozen import Frozen
from studio.core.metrics import DEFAULTS
from studio.core.report import Reporter
from studio.core.runtime import LoadedModel, RunOptions
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import data_for, find_place
from studio.locations import load_registry

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: samples that are timed one by one; the first are left out, since files and code are cold
MOST, FIRST = 64, 4

T = TypeVar("T")


class BreakDown(Frozen):
    """What to time: samples one by one through a model on a device."""

    subject: Subject
    run: RunOptions = RunOptions()
    data: Path | None = None
    seed: int = 0


class Stage(Frozen):
    """A stage of one sample: median time in nanoseconds; None where it cannot be measured, with the reason."""

    title: str
    nanoseconds: int | None
    note: str = ""


class Breakdown(Frozen):
    """The stages in order, over so many samples."""

    stages: tuple[Stage, ...]
    samples: int
    data: str
    synthetic: bool


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Time a `BreakDown` payload; gives a `Breakdown`."""
    wanted = BreakDown.model_validate(payload)
    registry = load_registry()
    place = find_place(registry, wanted.subject.device.spec)
    dataset = data_for(registry, wanted.subject.artifact, wanted.data, seed=wanted.seed)
    metric = registry.get_metric(DEFAULTS[dataset.label_kind][0]) if dataset.labelled else None
    times: dict[str, list[int]] = {"read": [], "feed": [], "infer": [], "score": []}
    with place.runtime.load(wanted.subject.artifact, place.device, wanted.run) as model:
        batches = iter(dataset.batches(1, limit=MOST))
        while (found := _timed(times["read"], lambda: next(batches, None))) is not None:
            reporter.check()
            feeds = _timed(times["feed"], partial(_feeds, model, found))
            outputs = _timed(times["infer"], partial(_outputs, model, feeds))
            if metric is not None:
                _timed(times["score"], partial(metric.scores, outputs[0], found.labels, None))
            reporter.progress(len(times["infer"]), min(MOST, dataset.samples), "samples")
    return _result(times, dataset, metric.title if metric is not None else "").model_dump(mode="json")


def _feeds(model: LoadedModel, batch: Batch) -> list[Feed]:
    return list(feeds_for(model.inputs, batch))


def _outputs(model: LoadedModel, feeds: Sequence[Feed]) -> list[dict[str, NDArray[Any]]]:
    return [model.run(feed.arrays) for feed in feeds]


def _timed(into: list[int], call: Callable[[], T]) -> T:
    began = time.perf_counter_ns()
    made = call()
    into.append(time.perf_counter_ns() - began)
    return made


def _result(times: dict[str, list[int]], dataset: Dataset, metric: str) -> Breakdown:
    return Breakdown(
        stages=tuple(_stages(times, dataset, metric)),
        samples=len(times["infer"]),
        data=dataset.name,
        synthetic=dataset.synthetic,
    )


def _stages(times: dict[str, list[int]], dataset: Dataset, metric: str) -> Iterator[Stage]:
    # Asking a reader that is at its end is no sample.
    reading = _middle(times["read"][:-1])
    if dataset.synthetic:
        yield Stage(title="Load data and preprocess", nanoseconds=None, note="Inputs were generated: choose data.")
    else:
        yield Stage(
            title="Load data and preprocess",
            nanoseconds=reading,
            note="Readers decode, resize and scale while they read, so the two are one figure.",
        )
    yield Stage(
        title="Lay inputs out", nanoseconds=_middle(times["feed"]), note="Types, batch and order of the inputs."
    )
    yield Stage(
        title="Inference", nanoseconds=_middle(times["infer"]), note="One sample at a time, results copied out."
    )
    if times["score"]:
        yield Stage(title="Postprocess", nanoseconds=_middle(times["score"]), note=f"From outputs to {metric}.")
    else:
        yield Stage(
            title="Postprocess", nanoseconds=None, note="Needs data with labels: nothing else is known of outputs."
        )


def _middle(values: list[int]) -> int:
    """Give the median without the first samples, where there are more."""
    return round(statistics.median(values[FIRST:] or values)) if values else 0

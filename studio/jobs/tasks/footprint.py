"""Load time, first inference and memory of a model, in a process that ran nothing else."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from studio.core.frozen import Frozen
from studio.core.measurement import Memory
from studio.core.memory_usage import MemoryWatch
from studio.core.report import Reporter
from studio.core.runtime import RunOptions
from studio.jobs.tasks.feeding import feed
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import find_place
from studio.locations import load_registry

#: inferences after the first, so that buffers made lazily count
SETTLE = 5


class MeasureFootprint(Frozen):
    """What to load, and how."""

    subject: Subject
    run: RunOptions = RunOptions()
    batch: int = 1
    data: Path | None = None
    dims: dict[str, int] = {}
    seed: int = 0


class Footprint(Frozen):
    """Times in nanoseconds, memory in bytes."""

    load_ns: int
    first_ns: int
    memory: Memory
    warnings: tuple[str, ...] = ()


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Measure a `MeasureFootprint` payload; gives a `Footprint`.

    The engine's library is imported before the clock starts and before memory is first read: both
    belong to the engine, not to the model.
    """
    wanted = MeasureFootprint.model_validate(payload)
    registry = load_registry()
    subject = wanted.subject
    feeds = feed(registry, subject.artifact, wanted.data, wanted.batch, wanted.dims, wanted.seed)
    place = find_place(registry, subject.device.spec)
    memory = MemoryWatch()
    reporter.progress(0, 2, "loading")
    started = time.perf_counter_ns()
    with place.runtime.load(subject.artifact, place.device, wanted.run) as model:
        loaded_at = time.perf_counter_ns()
        memory.loaded()
        reporter.progress(1, 2, "first inference")
        first_at = time.perf_counter_ns()
        model.run(feeds.arrays)
        first = time.perf_counter_ns() - first_at
        for _ in range(SETTLE):
            reporter.check()
            model.run(feeds.arrays)
        usage = memory.finish()
        warnings = tuple(model.warnings)
    found = Footprint(load_ns=loaded_at - started, first_ns=first, memory=usage, warnings=warnings)
    return found.model_dump(mode="json")

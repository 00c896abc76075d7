"""A cold start: importing the engine, loading, compiling, first inference, steady state; memory and page faults."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from studio.core.energy import EnergyMeter
from studio.core.frozen import Frozen
from studio.core.measurement import Memory
from studio.core.memory_usage import MemoryWatch, page_faults
from studio.core.report import Reporter
from studio.core.runtime import LoadedModel, RunOptions
from studio.jobs.tasks.feeding import Feeds, feed
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import find_place
from studio.locations import load_registry

#: seconds of inferences for the steady state and the energy
STEADY_SECONDS = 0.5
FEWEST = 5


class ColdStart(Frozen):
    """What to start, and how; with `cache` what an earlier load left there is used."""

    subject: Subject
    run: RunOptions = RunOptions()
    batch: int = 1
    data: Path | None = None
    dims: dict[str, int] = {}
    seed: int = 0
    cache: Path | None = None


class ColdRun(Frozen):
    """One start in a process of its own; times in nanoseconds.

    Attributes
    ----------
    import_ns
        Importing the engine's library and finding the device.
    load_ns
        Loading the model, all stages.
    stages_ns
        Parts of loading by the engine's stages.
    late_ns
        Of these what came with the first inference: compiling for the shapes that were fed.
    first_ns
        The first inference, compiling not counted.
    steady_ns
        Median of the inferences after it.
    faults, major_faults
        Pages that loading and running touched first, and those that came from the disk; None where unknown.
    joules
        Energy of one inference in the steady state, other programs' included; None where not readable.
    supported
        Whether the runtime keeps anything for a later load; without it all else is zero.
    """

    import_ns: int = 0
    load_ns: int = 0
    stages_ns: dict[str, int] = {}
    late_ns: int = 0
    first_ns: int = 0
    steady_ns: int = 0
    memory: Memory = Memory(before=0, loaded=0, peak=0)
    faults: int | None = None
    major_faults: int | None = None
    joules: float | None = None
    supported: bool = True

    @property
    def total_ns(self) -> int:
        """From an empty process to the first result, Python's own start not counted."""
        return self.import_ns + self.load_ns + self.late_ns + self.first_ns


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Run a `ColdStart` payload; gives a `ColdRun`."""
    wanted = ColdStart.model_validate(payload)
    registry = load_registry()
    subject = wanted.subject
    feeds = feed(registry, subject.artifact, wanted.data, wanted.batch, wanted.dims, wanted.seed)
    reporter.progress(0, 3, "importing the engine")
    started = time.perf_counter_ns()
    place = find_place(registry, subject.device.spec)
    place.runtime.version()
    imported = time.perf_counter_ns()
    memory, faults = MemoryWatch(), page_faults()
    reporter.progress(1, 3, "loading")
    loading = time.perf_counter_ns()
    if wanted.cache is None:
        model: LoadedModel | None = place.runtime.load(subject.artifact, place.device, wanted.run)
    else:
        model = place.runtime.load_cached(subject.artifact, place.device, wanted.run, wanted.cache)
    loaded = time.perf_counter_ns()
    if model is None:
        return ColdRun(supported=False).model_dump(mode="json")
    with model:
        memory.loaded()
        reporter.progress(2, 3, "first inference")
        first, late = _first(model, feeds)
        steady, joules = _steady(model, feeds, reporter)
        usage = memory.finish()
        after = page_faults()
        stages = dict(model.stages_ns)
    return ColdRun(
        import_ns=imported - started,
        load_ns=loaded - loading,
        stages_ns=stages,
        late_ns=late,
        first_ns=first,
        steady_ns=steady,
        memory=usage,
        faults=after[0] - faults[0] if after and faults else None,
        major_faults=after[1] - faults[1] if after and faults else None,
        joules=joules,
    ).model_dump(mode="json")


def _first(model: LoadedModel, feeds: Feeds) -> tuple[int, int]:
    """Time the first inference, less what the engine compiled during it, and that."""
    before = sum(model.stages_ns.values())
    started = time.perf_counter_ns()
    model.run(feeds.arrays)
    lasted = time.perf_counter_ns() - started
    late = sum(model.stages_ns.values()) - before
    return max(0, lasted - late), late


def _steady(model: LoadedModel, feeds: Feeds, reporter: Reporter) -> tuple[int, float | None]:
    call = model.bind(feeds.arrays)
    call()
    times: list[int] = []
    meter = EnergyMeter()
    until = time.perf_counter() + STEADY_SECONDS
    while len(times) < FEWEST or time.perf_counter() < until:
        reporter.check()
        started = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - started)
    joules = meter.joules()
    return round(statistics.median(times)), None if joules is None else joules / len(times)

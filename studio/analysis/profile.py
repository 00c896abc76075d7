"""Profiling a model: the clean latency, then every kernel with counters on, in jobs of their own."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from studio.benchmark import BenchOptions
from studio.core.artifact import Artifact
from studio.core.atomic import write_atomic
from studio.core.measurement import Measurement
from studio.core.profile import Profile
from studio.core.tracefile import chrome_trace
from studio.jobs.tasks.measure import MeasuredPair, MeasurePair
from studio.jobs.tasks.profile import Profiled, ProfileModel
from studio.jobs.tasks.subject import Subject
from studio.workbench import Watch, Workbench


def profile_model(
    work: Workbench,
    subject: Subject,
    options: BenchOptions,
    *,
    source: Artifact | None = None,
    watch: Watch | None = None,
) -> Profile:
    """Measure the clean latency of a model and profile its layers.

    Parameters
    ----------
    source
        The model that it was made from: layers are led back to its nodes.

    Raises
    ------
    BurnishError
        When it cannot be loaded or run.
    """
    request = MeasurePair(
        baseline=subject,
        run=options.run,
        batch=options.batch,
        data=options.data,
        dims=options.dims,
        seconds=options.seconds,
        seed=options.seed,
    )
    label = f"benchmark {subject.name} on {subject.device.spec}"
    found = work.run_task("measure", request, label, artifact=subject.artifact, exclusive=True, fresh=True, watch=watch)
    (clean,) = MeasuredPair.model_validate(found).made
    return with_clean(profile_layers(work, subject, options, source=source, watch=watch), clean)


def profile_layers(
    work: Workbench,
    subject: Subject,
    options: BenchOptions,
    *,
    source: Artifact | None = None,
    watch: Watch | None = None,
) -> Profile:
    """Profile the layers only: counters disturb time, so this is never mixed with clean timing."""
    request = ProfileModel(
        subject=subject,
        run=options.run,
        batch=options.batch,
        data=options.data,
        dims=options.dims,
        seed=options.seed,
        source=source,
    )
    label = f"profile {subject.name} on {subject.device.spec}"
    found = work.run_task("profile", request, label, artifact=subject.artifact, exclusive=True, watch=watch)
    return Profiled.model_validate(found).profile


def with_clean(profile: Profile, clean: Measurement) -> Profile:
    """Put a clean measurement beside the layers."""
    return profile.model_copy(
        update={
            "clean_ns": round(statistics.median(clean.samples_ns)),
            "samples": len(clean.samples_ns),
            "noise": clean.noise,
            "warnings": tuple(dict.fromkeys((*profile.warnings, *clean.warnings))),
        }
    )


def write_trace(profiles: Sequence[Profile], path: Path) -> None:
    """Write a Chrome trace, whole or not at all.

    Raises
    ------
    StoreError
        When it cannot be written.
    """
    write_atomic(path, json.dumps(chrome_trace(profiles), ensure_ascii=False) + "\n")

"""Measure two models in pairs, or one alone, streaming the samples."""

from __future__ import annotations

import random
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from studio.core.environment import fingerprint
from studio.core.errors import Cancelled
from studio.core.frozen import Frozen
from studio.core.machine.blocks import BlockWatch, Stability
from studio.core.measurement import Measurement
from studio.core.noise import describe_noise, observe
from studio.core.pairs import LatencySamples, TimingOptions, measure_alone, measure_pair
from studio.core.registry import Registry
from studio.core.report import Reporter
from studio.core.runtime import LoadedModel, RunOptions
from studio.jobs.tasks.feeding import Feeds, feed
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import find_place
from studio.locations import load_registry


class MeasurePair(Frozen):
    """What to measure, and how; without a variant the baseline is measured alone."""

    baseline: Subject
    variant: Subject | None = None
    run: RunOptions = RunOptions()
    batch: int = 1
    data: Path | None = None
    dims: dict[str, int] = {}
    seconds: float = 6.0
    seed: int = 0


class MeasuredPair(Frozen):
    """What was measured, the baseline first; `stopped` when it was cancelled but has complete pairs."""

    made: tuple[Measurement, ...]
    stopped: bool = False


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Measure a `MeasurePair` payload; gives a `MeasuredPair`. Samples stream as series of `Subject.key`.

    Stopping keeps the pairs that are complete; without any it is a cancellation like any other.
    """
    wanted = MeasurePair.model_validate(payload)
    registry = load_registry()
    subjects = [wanted.baseline, *([wanted.variant] if wanted.variant else [])]
    with ExitStack() as stack:
        rigs = _load(registry, subjects, wanted, stack)
        watch = BlockWatch(wanted.seconds, observe, describe_noise)
        samples, stopped, warnings = _time(rigs, wanted, reporter, watch)
        if not samples[0].samples_ns:
            raise Cancelled
        run_id = uuid.uuid4().hex[:12]
        made = [
            rig.measurement(series, wanted, run_id, watch.stability(), warnings)
            for rig, series in zip(rigs, samples, strict=True)
        ]
    if len(made) > 1:
        made[1] = made[1].model_copy(update={"paired_with": made[0].id})
    return MeasuredPair(made=tuple(made), stopped=stopped).model_dump(mode="json")


def _load(registry: Registry, subjects: list[Subject], wanted: MeasurePair, stack: ExitStack) -> list[_Rig]:
    """Load in random order: the model loaded first is slower by some 0.5 % for where its memory happens to lie."""
    order = random.Random(wanted.seed).sample(range(len(subjects)), len(subjects))
    loaded = {index: _Rig(registry, subjects[index], wanted, stack) for index in order}
    return [loaded[index] for index in range(len(subjects))]


def _time(
    rigs: list[_Rig], wanted: MeasurePair, reporter: Reporter, watch: BlockWatch
) -> tuple[tuple[LatencySamples, ...], bool, tuple[str, ...]]:
    options = TimingOptions(seconds=wanted.seconds, seed=wanted.seed)
    calls = [rig.model.bind(rig.feeds.arrays) for rig in rigs]
    if len(rigs) == 1:
        alone = measure_alone(calls[0], options, reporter, name=rigs[0].subject.key, watch=watch)
        return (alone.model,), alone.cancelled, alone.warnings
    names = (rigs[0].subject.key, rigs[1].subject.key)
    pair = measure_pair(calls[0], calls[1], options, reporter, names=names, watch=watch)
    return (pair.baseline, pair.variant), pair.cancelled, pair.warnings


class _Rig:
    """A model loaded for measuring, with its inputs."""

    def __init__(self, registry: Registry, subject: Subject, wanted: MeasurePair, stack: ExitStack) -> None:
        self.subject = subject
        self.place = find_place(registry, subject.device.spec)
        self.feeds: Feeds = feed(registry, subject.artifact, wanted.data, wanted.batch, wanted.dims, wanted.seed)
        self.model: LoadedModel = stack.enter_context(
            self.place.runtime.load(subject.artifact, self.place.device, wanted.run)
        )

    def measurement(
        self,
        series: LatencySamples,
        wanted: MeasurePair,
        run_id: str,
        stability: Stability,
        warnings: tuple[str, ...],
    ) -> Measurement:
        """Put the samples together with all that is needed to judge them; load and first are filled in later."""
        return Measurement(
            id=uuid.uuid4().hex[:16],
            model_sha256=self.subject.artifact.sha256,
            model_name=self.subject.name,
            device=self.place.device,
            runtime_version=self.place.runtime.version(),
            options=wanted.run,
            batch=self.feeds.batch,
            feeds=self.feeds.shapes,
            synthetic=self.feeds.synthetic,
            samples_ns=series.samples_ns,
            warmup_ns=series.warmup_ns,
            load_ns=0,
            first_ns=0,
            run=run_id,
            noise=stability.noise if stability.verdict == "noisy" else (),
            stability=stability,
            disturbed_ns=series.disturbed_ns,
            warnings=(*filter(None, (self.subject.refused,)), *self.model.warnings, *warnings),
            environment=fingerprint(),
            taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

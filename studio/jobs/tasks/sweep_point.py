"""Measure one setting of a sweep: a model loaded with its options, so many inferences in flight."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from studio.core.errors import BurnishError, Cancelled
from studio.core.flow import Flow
from studio.core.frozen import Frozen
from studio.core.machine.sweeping import Setting, SweepPoint
from studio.core.noise import NoiseGuard
from studio.core.pairs import collector_off
from studio.core.report import Reporter
from studio.core.runtime import LoadedModel
from studio.core.statistics import summarize
from studio.jobs.tasks.feeding import Feeds, feed
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import find_place
from studio.locations import load_registry

#: share of the seconds in which inferences run before they count, and the most of it
WARM, WARM_SECONDS = 0.3, 1.0
#: inferences that count at least, within three times the seconds
FEWEST = 5


class MeasureSetting(Frozen):
    """What to measure, and how long."""

    subject: Subject
    setting: Setting
    seconds: float
    data: Path | None = None
    dims: dict[str, int] = {}
    seed: int = 0
    pin: bool = False


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Measure a `MeasureSetting` payload; gives a `SweepPoint`, one that says why when the setting does not run."""
    wanted = MeasureSetting.model_validate(payload)
    subject, setting = wanted.subject, wanted.setting
    registry = load_registry()
    feeds = feed(registry, subject.artifact, wanted.data, setting.batch, wanted.dims, wanted.seed)
    place = find_place(registry, subject.device.spec)
    try:
        with place.runtime.load(subject.artifact, place.device, setting.options(pin=wanted.pin)) as model:
            point = _measure(model, feeds, wanted, reporter)
    except Cancelled:
        raise
    except BurnishError as error:
        point = SweepPoint(setting=setting, why_not=f"{error.message} {error.hint}".strip())
    return point.model_dump(mode="json")


def _measure(model: LoadedModel, feeds: Feeds, wanted: MeasureSetting, reporter: Reporter) -> SweepPoint:
    setting = wanted.setting
    model.bind(feeds.arrays)()
    _fly(model, feeds, setting, min(WARM_SECONDS, WARM * wanted.seconds), 1, reporter)
    guard = NoiseGuard()
    with collector_off():
        flow = _fly(model, feeds, setting, wanted.seconds, FEWEST * setting.requests, reporter)
    summary = summarize(flow.latencies_ns)
    return SweepPoint(
        setting=setting,
        throughput=flow.per_second * feeds.batch,
        p50_ms=summary.p50_ms,
        p90_ms=summary.p90_ms if summary.p90_supported else None,
        inferences=summary.samples,
        seconds=wanted.seconds,
        noisy=bool(guard.finish()),
        warnings=tuple(model.warnings),
    )


def _fly(model: LoadedModel, feeds: Feeds, setting: Setting, seconds: float, fewest: int, reporter: Reporter) -> Flow:
    """Run for some seconds, longer until there are a few inferences, and stop at once when told to."""
    begun: list[float] = []
    started = 0

    def go_on() -> bool:
        nonlocal started
        now = time.monotonic()
        if not begun:
            begun.append(now)
        reporter.check()
        elapsed = now - begun[0]
        started += 1
        return elapsed < seconds or (started <= fewest and elapsed < 3 * seconds)

    return model.run_async(feeds.arrays, setting.requests, go_on)

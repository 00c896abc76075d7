"""Sweeps: throughput against latency over batch, threads, streams, requests and hints; adaptive and resumable."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from studio.core.datasets import data_digest
from studio.core.device import Device
from studio.core.environment import fingerprint
from studio.core.errors import Cancelled
from studio.core.frozen import Frozen, digest
from studio.core.jsonlines import JsonLines
from studio.core.machine.profile import machine_key
from studio.core.machine.sweeping import (
    Hint,
    RunPrecision,
    Setting,
    SweepPoint,
    SweepSpace,
    best_point,
    pareto_front,
    propose,
    space_has,
)
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.sweep_point import MeasureSetting
from studio.workbench import Watch, Workbench

#: batches tried where the model takes any
BATCHES = (1, 2, 4, 8, 16, 32)
#: points that a sweep measures at most
MOST_POINTS = 200
SCHEMA = 1

OnPoint = Callable[[SweepPoint, "SweepResult"], None]


class SweepOptions(Frozen):
    """How to sweep.

    Attributes
    ----------
    space
        The settings that may be tried.
    seconds
        Time for a first look at a setting; the best are measured two and four times as long.
    max_latency_ms
        Latency that the best point must not exceed.
    fresh
        Forget what an earlier sweep measured.
    """

    space: SweepSpace
    seconds: float = 0.5
    max_latency_ms: float | None = None
    data: Path | None = None
    dims: dict[str, int] = {}
    seed: int = 0
    pin: bool = False
    fresh: bool = False


class SweepResult(Frozen):
    """What a sweep found so far.

    Attributes
    ----------
    points
        One for each setting, the longest measurement of it, in the order in which they were tried.
    front
        The Pareto front: no other point is both quicker and of more throughput; quickest first.
    best
        The highest throughput within the latency limit.
    possible
        Settings in the space; those that are not among `points` were not worth measuring.
    resumed
        Points that an earlier sweep had measured.
    complete
        Whether the search came to its end.
    """

    subject: Subject
    points: tuple[SweepPoint, ...]
    front: tuple[SweepPoint, ...]
    best: SweepPoint | None
    possible: int
    resumed: int
    complete: bool


def default_space(
    device: Device,
    honoured: frozenset[str],
    *,
    any_batch: bool,
    batch: tuple[int, ...] = (),
    threads: tuple[int, ...] = (),
    streams: tuple[int, ...] = (),
    requests: tuple[int, ...] = (),
    hint: tuple[Hint, ...] = (),
    precision: tuple[RunPrecision, ...] = (),
) -> SweepSpace:
    """Choose the settings to try on a device; what is given is taken, as far as the runtime has the option.

    Parameters
    ----------
    honoured
        Options that the runtime has there, see `Runtime.honours`.
    any_batch
        Whether the model takes any batch; else its own is the only one.
    """
    cores = device.cores or os.cpu_count() or 1
    doubling = tuple(2**power for power in range(cores.bit_length()) if 2**power <= cores)
    upto = doubling if doubling[-1] == cores else (*doubling, cores)
    has_streams = "streams" in honoured
    return SweepSpace(
        batch=(tuple(sorted(batch)) or BATCHES) if any_batch else (1,),
        threads=(tuple(sorted(threads)) or upto) if "threads" in honoured else (None,),
        streams=(tuple(sorted(streams)) or upto) if has_streams else (None,),
        requests=tuple(sorted(requests)) or (*upto, 2 * upto[-1]),
        hint=(hint or ("latency", "throughput")) if "hint" in honoured else ("latency",),
        precision=(precision or ("model",)) if "precision" in honoured else ("model",),
    )


def sweep(
    work: Workbench,
    subject: Subject,
    options: SweepOptions,
    *,
    on_point: OnPoint | None = None,
    watch: Watch | None = None,
) -> SweepResult:
    """Search a space of settings; each point is kept at once, and a sweep that was stopped goes on from there.

    Parameters
    ----------
    on_point
        Told of each point when it is measured, with all that was found so far.

    Raises
    ------
    BurnishError
        When the inputs do not fit the model, or a point cannot be kept.
    Cancelled
        When it was stopped before any point was complete; after that the result is incomplete instead.
    """
    subject = subject.model_copy(update={"refused": work.refusal(subject.artifact.sha256, subject.device.spec)})
    lines = _state(work, subject, options)
    if options.fresh:
        lines.path.unlink(missing_ok=True)
    known = _known(lines, options.space)
    resumed = len(known)
    try:
        while len(known) < MOST_POINTS:
            chosen = propose(options.space, known, options.seconds, options.max_latency_ms)
            if chosen is None:
                return _result(subject, options, known, resumed, complete=True)
            point = _measure(work, subject, options, *chosen, watch)
            known[point.setting] = point
            lines.append([point])
            if on_point is not None:
                on_point(point, _result(subject, options, known, resumed, complete=False))
    except (Cancelled, KeyboardInterrupt):
        if not known:
            raise
    return _result(subject, options, known, resumed, complete=False)


def _measure(
    work: Workbench, subject: Subject, options: SweepOptions, setting: Setting, seconds: float, watch: Watch | None
) -> SweepPoint:
    request = MeasureSetting(
        subject=subject,
        setting=setting,
        seconds=seconds,
        data=options.data,
        dims=options.dims,
        seed=options.seed,
        pin=options.pin,
    )
    label = f"sweep {subject.name} on {subject.device.spec}"
    found = work.run_task("sweep_point", request, label, artifact=subject.artifact, exclusive=True, watch=watch)
    point = SweepPoint.model_validate(found)
    # A setting that fails at its second, longer look would be proposed for ever.
    return point.model_copy(update={"seconds": seconds})


def _state(work: Workbench, subject: Subject, options: SweepOptions) -> JsonLines[SweepPoint]:
    """Name the file of a sweep by all that its points depend on but their settings."""
    key = digest(
        {
            "model": subject.artifact.sha256,
            "device": subject.device.spec,
            "machine": machine_key(fingerprint()),
            "data": data_digest(options.data),
            "dims": options.dims,
            "seed": options.seed,
            "pin": options.pin,
            "seconds": options.seconds,
        }
    )[:24]
    folder = work.cache.root / "sweeps"
    folder.mkdir(parents=True, exist_ok=True)
    return JsonLines(folder / f"{key}.jsonl", SweepPoint, SCHEMA, {})


def _known(lines: JsonLines[SweepPoint], space: SweepSpace) -> dict[Setting, SweepPoint]:
    points, _ = lines.read()
    return {point.setting: point for point in points if space_has(space, point.setting)}


def _result(
    subject: Subject, options: SweepOptions, known: Mapping[Setting, SweepPoint], resumed: int, *, complete: bool
) -> SweepResult:
    points = tuple(known.values())
    return SweepResult(
        subject=subject,
        points=points,
        front=pareto_front(points),
        best=best_point(points, options.max_latency_ms),
        possible=sum(1 for _ in options.space.settings()),
        resumed=resumed,
        complete=complete,
    )

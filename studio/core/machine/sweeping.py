"""The search for good settings: from one that was measured to its neighbours, along the Pareto front only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Literal

from studio.core.frozen import Frozen
from studio.core.runtime import RunOptions

Hint = Literal["latency", "throughput"]
RunPrecision = Literal["model", "engine", "f32", "f16", "bf16"]
#: A point this much below the front is on it for all that a short measurement can tell.
NEAR = 0.07
#: Points that are measured longer, and how much longer each time: a half goes on to the next round.
FINALISTS, ROUNDS, LONGER = 8, 2, 2.0
#: Latency may exceed the limit by so much and still be a way to settings within it.
OVER = 1.1
#: axes along which the search takes steps
_AXES = ("batch", "threads", "streams", "requests")


class Setting(Frozen):
    """How a model is run; None leaves the choice to the runtime."""

    batch: int = 1
    threads: int | None = None
    streams: int | None = None
    requests: int = 1
    hint: Hint = "latency"
    precision: RunPrecision = "model"

    def options(self, *, pin: bool = False) -> RunOptions:
        """Give the options to load a model with."""
        return RunOptions(threads=self.threads, streams=self.streams, hint=self.hint, precision=self.precision, pin=pin)


class SweepSpace(Frozen):
    """The settings that may be tried: all combinations that make sense, each axis in rising order."""

    batch: tuple[int, ...] = (1,)
    threads: tuple[int | None, ...] = (None,)
    streams: tuple[int | None, ...] = (None,)
    requests: tuple[int, ...] = (1,)
    hint: tuple[Hint, ...] = ("latency",)
    precision: tuple[RunPrecision, ...] = ("model",)

    def settings(self) -> Iterator[Setting]:
        """List them all."""
        axes = (self.batch, self.threads, self.streams, self.requests, self.hint, self.precision)
        for batch, threads, streams, requests, hint, precision in product(*axes):
            setting = Setting(
                batch=batch, threads=threads, streams=streams, requests=requests, hint=hint, precision=precision
            )
            if self.sensible(setting):
                yield setting

    def sensible(self, setting: Setting) -> bool:
        """Say whether a setting can differ from another: a stream needs a thread and a request of its own."""
        streams = setting.streams or 1
        if setting.threads is not None and streams > setting.threads:
            return False
        return streams <= setting.requests or setting.requests == max(self.requests)


class SweepPoint(Frozen):
    """A setting as it was measured; `why_not` says why it could not be.

    Attributes
    ----------
    throughput
        Samples a second: inferences a second times the batch.
    p50_ms, p90_ms
        Latency of an inference from its start to its end; p90 is None below 64 inferences.
    seconds
        How long it was measured.
    noisy
        Whether the noise guard saw a disturbance.
    """

    setting: Setting
    throughput: float = 0.0
    p50_ms: float = 0.0
    p90_ms: float | None = None
    inferences: int = 0
    seconds: float = 0.0
    noisy: bool = False
    warnings: tuple[str, ...] = ()
    why_not: str = ""

    @property
    def failed(self) -> bool:
        """Whether it could not be measured."""
        return bool(self.why_not)


Known = Mapping[Setting, SweepPoint]


def propose(
    space: SweepSpace, known: Known, seconds: float, max_latency_ms: float | None = None
) -> tuple[Setting, float] | None:
    """Choose what to measure next.

    Parameters
    ----------
    known
        What was measured so far; the choice depends on nothing else, so that a search that was
        interrupted goes on from its points.
    seconds
        Time for a first measurement.
    max_latency_ms
        Settings far above it are no way to anywhere.

    Returns
    -------
    tuple or None
        A setting and the seconds to measure it; None at the end.

    Notes
    -----
    Each lane (hint and precision) is entered at its smallest setting. From there only neighbours of
    points on the Pareto front of throughput and latency, or near it, are measured: one step along one
    axis. Throughput over threads, streams, requests and batch rises to a knee and falls behind it, so
    that a corner behind the knee has no neighbour on the front and is never measured. At the end the
    front is measured longer, in rounds that keep the better half (successive halving; Jamieson and
    Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016).
    """
    for seed in _seeds(space):
        if seed not in known:
            return seed, seconds
    measured = [point for point in known.values() if not point.failed and space_has(space, point.setting)]
    for point in _expandable(measured, max_latency_ms):
        for neighbour in _neighbours(space, point.setting):
            if neighbour not in known:
                return neighbour, seconds
    for number in range(1, ROUNDS + 1):
        longer = seconds * LONGER**number
        for point in _finalists(measured, FINALISTS >> (number - 1), max_latency_ms):
            if point.seconds < 0.9 * longer:
                return point.setting, longer
    return None


def space_has(space: SweepSpace, setting: Setting) -> bool:
    """Say whether a setting belongs to a space."""
    return all(
        getattr(setting, axis) in getattr(space, axis) for axis in (*_AXES, "hint", "precision")
    ) and space.sensible(setting)


def pareto_front(points: Sequence[SweepPoint]) -> tuple[SweepPoint, ...]:
    """Give the points that no other beats in both throughput and latency, quickest first."""
    front: list[SweepPoint] = []
    for point in sorted(
        (point for point in points if not point.failed), key=lambda item: (item.p50_ms, -item.throughput)
    ):
        if not front or point.throughput > front[-1].throughput:
            front.append(point)
    return tuple(front)


def best_point(points: Sequence[SweepPoint], max_latency_ms: float | None = None) -> SweepPoint | None:
    """Give the point of the highest throughput whose latency stays within a limit.

    The limit is held by p90 where there are inferences enough to know it, else by the median.
    """
    allowed = [
        point
        for point in points
        if not point.failed and (max_latency_ms is None or (point.p90_ms or point.p50_ms) <= max_latency_ms)
    ]
    return max(allowed, key=lambda point: point.throughput, default=None)


def _seeds(space: SweepSpace) -> Iterator[Setting]:
    lanes: dict[tuple[str, str], Setting] = {}
    for setting in space.settings():
        lanes.setdefault((setting.hint, setting.precision), setting)
    yield from lanes.values()


def _expandable(points: Sequence[SweepPoint], max_latency_ms: float | None) -> list[SweepPoint]:
    """Give the points on the front or near it, those first that promise most throughput."""
    front = pareto_front(points)
    near = [
        point
        for point in points
        if not any(_beats(other, point) for other in front)
        and (max_latency_ms is None or point.p50_ms <= max_latency_ms * OVER)
    ]
    return sorted(near, key=lambda point: -point.throughput)


def _beats(other: SweepPoint, point: SweepPoint) -> bool:
    """Say whether a point is clearly better in both."""
    return other.throughput * (1 - NEAR) > point.throughput and other.p50_ms < point.p50_ms * (1 + NEAR)


def _neighbours(space: SweepSpace, setting: Setting) -> Iterator[Setting]:
    """Give the settings one step away; streams and requests may also step together, as a stream needs a request."""
    for axes in (("threads",), ("requests",), ("streams",), ("streams", "requests"), ("batch",)):
        for step in (1, -1):
            moved = _moved(space, setting, axes, step)
            if moved is not None and space.sensible(moved):
                yield moved
    together = _moved(space, setting, ("threads", "streams", "requests"), 1)
    if together is not None and space.sensible(together):
        yield together


def _moved(space: SweepSpace, setting: Setting, axes: Sequence[str], step: int) -> Setting | None:
    changes = {}
    for axis in axes:
        values = getattr(space, axis)
        index = values.index(getattr(setting, axis)) + step
        if not 0 <= index < len(values):
            return None
        changes[axis] = values[index]
    return setting.model_copy(update=changes)


def _finalists(points: Sequence[SweepPoint], number: int, max_latency_ms: float | None) -> list[SweepPoint]:
    """Give the points of the front that are worth measuring longer, the highest throughput first."""
    front = [point for point in pareto_front(points) if max_latency_ms is None or point.p50_ms <= max_latency_ms * OVER]
    return sorted(front, key=lambda point: -point.throughput)[:number]

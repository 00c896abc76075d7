"""Calibrate one runtime on one device: small built models, timed side by side."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from studio.core.errors import BurnishError, RuntimeLoadError
from studio.core.frozen import Frozen
from studio.core.machine.blocks import BlockWatch
from studio.core.machine.profile import KINDS, Kind, PlaceProfile, Precision, Rate
from studio.core.machine.workloads import (
    CACHED,
    CONVERSIONS,
    ELEMENTS,
    FEW,
    MANY,
    SHAPES,
    UNCACHED,
    Workload,
    conversion_workload,
    dispatch_workload,
    layer_workloads,
    memory_workload,
)
from studio.core.modelfile import write_proto
from studio.core.noise import describe_noise, observe
from studio.core.place import Place
from studio.core.report import Reporter
from studio.core.runtime import RunOptions
from studio.jobs.tasks.surroundings import find_place
from studio.locations import load_registry

#: rounds in which all workloads of a group are timed once
ROUNDS, FEWEST_ROUNDS = 12, 2
#: seconds after which a group has no further round: on a busy machine all takes longer
GROUP_SECONDS = 1.5
#: nanoseconds of a workload in a round, and of a sample, one inference at least
TURN_NS, SAMPLE_NS = 12_000_000, 50_000
#: inferences before the clock starts
WARM = 3
#: a workload that takes longer has fewer rounds
LIMIT_NS = 1_000_000_000


class CalibratePlace(Frozen):
    """The device to calibrate, ``RUNTIME:DEVICE``, and the threads of an inference; the runtime chooses when None."""

    device: str
    threads: int | None = None


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Calibrate a `CalibratePlace` payload; gives a `PlaceProfile`.

    Raises
    ------
    RuntimeLoadError
        When the device runs none of the plain models.
    """
    wanted = CalibratePlace.model_validate(payload)
    place = find_place(load_registry(), wanted.device)
    began = time.monotonic()
    watch = BlockWatch(math.inf, observe, describe_noise)
    with _folder() as folder:
        bench = _Bench(place, folder, reporter, watch, wanted.threads)
        rates = [rate for kind in KINDS for rate in bench.rates(kind)]
        reads = bench.times([memory_workload(CACHED), memory_workload(UNCACHED)], "memory")
        dispatch, call = bench.dispatch()
        elements = bench.times([conversion_workload(name) for name in CONVERSIONS], "conversions")
    watch.mark(len(rates) + 1, time.monotonic() - began, last=True)
    profile = PlaceProfile(
        device=place.spec,
        name=place.device.name,
        runtime_version=place.runtime.version(),
        rates=tuple(rates),
        cache_bytes_per_s=_per_second(4 * CACHED**2, reads[0]),
        memory_bytes_per_s=_per_second(4 * UNCACHED**2, reads[1]),
        dispatch_ns=dispatch,
        call_ns=call,
        element_ns={
            name: max(0.0, taken - call) / ELEMENTS
            for name, taken in zip(CONVERSIONS, elements, strict=True)
            if isinstance(taken, float)
        },
        options=RunOptions(threads=wanted.threads),
        stability=watch.stability(),
        seconds=round(time.monotonic() - began, 2),
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return profile.model_dump(mode="json")


#: nanoseconds of an inference, or why there are none
Taken = float | str


class _Bench:
    """Times groups of workloads on one place."""

    def __init__(self, place: Place, folder: Path, reporter: Reporter, watch: BlockWatch, threads: int | None) -> None:
        self._threads = threads
        self._place, self._folder, self._reporter, self._watch = place, folder, reporter, watch
        self._began, self._groups = time.monotonic(), 0

    def rates(self, kind: Kind) -> Iterator[Rate]:
        """Measure one kind of layer at each precision."""
        loads = list(layer_workloads(kind))
        times = self.times([workload for _, workload in loads], kind)
        if isinstance(times[0], str) and kind == KINDS[0]:
            raise RuntimeLoadError(f"{self._place.spec} cannot be calibrated: {times[0]}", "Choose another device.")
        for (precision, _), taken in zip(loads, times, strict=True):
            yield _rate(kind, precision, taken)

    def dispatch(self) -> tuple[float, float]:
        """Give the nanoseconds that an operator and that a call cost."""
        few, many = self.times([dispatch_workload(FEW), dispatch_workload(MANY)], "operators")
        if isinstance(few, str) or isinstance(many, str):
            return 0.0, 0.0
        each = max(0.0, (many - few) / (MANY - FEW))
        return each, max(0.0, few - FEW * each)

    def times(self, workloads: Sequence[Workload], label: str) -> list[Taken]:
        """Time workloads in turn, so that what slows the machine down slows all of them alike.

        Returns
        -------
        list
            For each the nanoseconds of an inference, or why it does not run. It is the lowest decile: a
            machine that is busy with other things can only make it longer, and what the hardware can do is asked.
        """
        total = len(KINDS) + 3
        self._reporter.progress(self._groups, total, f"{self._place.spec}: {label}")
        self._groups += 1
        with ExitStack() as stack:
            turns = [self._load(workload, stack) for workload in workloads]
            stop = time.monotonic() + GROUP_SECONDS
            for number in range(ROUNDS):
                if number >= FEWEST_ROUNDS and time.monotonic() > stop:
                    break
                for turn in turns:
                    self._reporter.check()
                    if isinstance(turn, _Turn):
                        turn.take()
            self._watch.mark(self._groups, time.monotonic() - self._began)
            return [turn if isinstance(turn, str) else turn.typical() for turn in turns]

    def _load(self, workload: Workload, stack: ExitStack) -> _Turn | str:
        self._reporter.check()
        options = RunOptions.model_validate({"precision": workload.run_precision, "threads": self._threads})
        try:
            artifact = write_proto(workload.model, self._folder / f"{workload.key.replace(' ', '-')}.onnx")
            model = stack.enter_context(self._place.runtime.load(artifact, self._place.device, options))
            if workload.run_precision != "model" and model.warnings:
                return model.warnings[0]
            return _Turn(model.bind(workload.feeds), alone=self._alone)
        except BurnishError as error:
            return error.message

    @property
    def _alone(self) -> bool:
        """Whether one thread computes on a processor: then the time it computes leaves out waiting for others.

        Threads that wait for each other, and devices of their own, are timed by the clock on the wall only.
        """
        return self._threads == 1 and self._place.device.kind == "cpu"


class _Turn:
    """A workload that is timed for some milliseconds whenever it is its turn."""

    def __init__(self, call: Callable[[], Any], *, alone: bool) -> None:
        self._call, self._alone = call, alone
        self._samples: list[float] = []
        for _ in range(WARM):
            call()
        self._together = max(1, round(SAMPLE_NS / self._once(1)))

    def take(self) -> None:
        """Time for `TURN_NS`, one sample at least; a slow workload has fewer turns."""
        spent = sum(self._samples) * self._together
        stop = spent + TURN_NS
        while spent < min(stop, LIMIT_NS):
            self._samples.append(self._once(self._together))
            spent += self._samples[-1] * self._together

    def typical(self) -> float:
        """Give the lowest decile in nanoseconds."""
        return sorted(self._samples)[len(self._samples) // 10]

    def _once(self, inferences: int) -> float:
        computed = time.process_time_ns()
        start = time.perf_counter_ns()
        for _ in range(inferences):
            self._call()
        taken = time.perf_counter_ns() - start
        if self._alone:
            taken = min(taken, time.process_time_ns() - computed)
        return max(1.0, taken / inferences)


def _rate(kind: Kind, precision: Precision, taken: Taken) -> Rate:
    if isinstance(taken, str):
        return Rate(kind=kind, precision=precision, macs_per_s=None, why_not=taken)
    return Rate(kind=kind, precision=precision, macs_per_s=_per_second(SHAPES[kind].macs, taken))


def _per_second(amount: float, taken: Taken) -> float | None:
    return None if isinstance(taken, str) else amount / max(1.0, taken) * 1e9


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="burnish-calibrate-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

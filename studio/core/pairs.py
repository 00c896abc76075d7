"""Timing models: one alone, or two in pairs and random order within one process."""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from studio.core.errors import Cancelled
from studio.core.frozen import Frozen
from studio.core.machine.blocks import BlockWatch
from studio.core.params import param
from studio.core.report import Reporter
from studio.core.statistics import compare
from studio.core.warmup import Warmup

#: Nanoseconds now, monotonic.
Clock = Callable[[], int]
Call = Callable[[], Any]

#: A sample lasts this long at least: reading the clock twice takes some 100 ns, 0.2 % of it.
SHORTEST_NS = 50_000
#: Before each timed inference of a pair the model runs untimed for this long, once at least, to bring
#: its own weights back into the caches. Without it a model of 30 us took 50 us beside a neighbour of
#: 16 MB, and its ratio told of the neighbour's size.
PRIME_NS = 500_000
#: A model that takes longer reloads its caches in a small part of one inference.
PRIME_BELOW_NS = 300_000_000
#: Samples are streamed and progress is told every so many nanoseconds.
STREAM_NS = 100_000_000
#: Slow models may use this many times the seconds wanted to reach the least number of samples.
OVERRUN = 3
#: The width of the interval is looked at when there are so many times more pairs.
LOOK_GROWTH = 1.5


class TimingOptions(Frozen):
    """How long to measure; recorded nowhere, since the samples tell."""

    seconds: float = param(6.0, "Time to measure each pair, warm-up excluded.", unit="s", gt=0)
    min_samples: int = param(20, "Samples to take even when that lasts up to three times as long.", ge=1)
    max_samples: int = param(2000, "Samples that are enough.", ge=1)
    target_width: float = param(
        0.0, "Stop when the interval of the ratio is this narrow relative to it; 0 never does.", ge=0
    )
    seed: int = param(0, "Seed of the random order.", ge=0)
    warmup_limit_seconds: float = param(5.0, "Longest warm-up of each model.", unit="s", gt=0)


@dataclass(frozen=True)
class LatencySamples:
    """Latencies of one model in nanoseconds, in the order in which they were taken.

    Attributes
    ----------
    steady
        Whether the warm-up ended because latencies were steady.
    inner
        Inferences in one sample: above 1 a sample is the mean of so many, timed together.
    disturbed_ns
        Latencies of blocks that something disturbed and that were measured again.
    """

    name: str
    samples_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    steady: bool
    inner: int = 1
    disturbed_ns: tuple[int, ...] = ()


@dataclass(frozen=True)
class AloneSamples:
    """What `measure_alone` measured; `cancelled` when it was stopped before its time."""

    model: LatencySamples
    cancelled: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class PairSamples:
    """What `measure_pair` measured: sample i of one was taken beside sample i of the other."""

    baseline: LatencySamples
    variant: LatencySamples
    cancelled: bool
    warnings: tuple[str, ...]


def measure_alone(
    call: Call,
    options: TimingOptions,
    reporter: Reporter,
    clock: Clock = time.perf_counter_ns,
    name: str = "baseline",
    watch: BlockWatch | None = None,
) -> AloneSamples:
    """Time one model, one inference after the other; see `measure_pair`."""
    run = _Run((_Subject(name, call),), options, reporter, clock, watch)
    cancelled = run.measure()
    return AloneSamples(run.subjects[0].result(), cancelled, run.warnings())


def measure_pair(
    baseline: Call,
    variant: Call,
    options: TimingOptions,
    reporter: Reporter,
    clock: Clock = time.perf_counter_ns,
    names: tuple[str, str] = ("baseline", "variant"),
    watch: BlockWatch | None = None,
) -> PairSamples:
    """Time two models in pairs.

    Each is warmed up until it is steady. Then rounds follow in which both are timed once, in random
    order, each after untimed inferences of its own (`PRIME_NS`). Inferences below 50 us are timed
    several together. The garbage collector is off meanwhile.

    Parameters
    ----------
    baseline, variant
        Run one inference each, such as `LoadedModel.bind` gives.
    options
        Rounds end when `seconds` have passed and `min_samples` are there (or three times the seconds
        have passed), at `max_samples`, or when the ratio's interval is narrow enough.
    reporter
        Is sent the samples under the models' `names` ten times a second at most, with the ``phase``
        (``"warmup"`` or ``"steady"``) and ``inner``, the inferences in a sample; and asked before
        every sample whether to stop.
    clock
        Nanoseconds now.
    watch
        Watches the machine while rounds are taken; blocks that it has measured again do not count.

    Returns
    -------
    PairSamples
        Complete pairs only; those that were there when it was cancelled, perhaps none.
    """
    run = _Run((_Subject(names[0], baseline), _Subject(names[1], variant)), options, reporter, clock, watch)
    cancelled = run.measure()
    first, second = (subject.result() for subject in run.subjects)
    return PairSamples(first, second, cancelled, run.warnings())


def plan(options: TimingOptions, variants: int) -> tuple[TimingOptions, ...]:
    """Share a number of seconds among the pairs of a baseline with several variants, 1 s each at least.

    Each pair is measured by itself, so that no third model disturbs the caches, and in an order of
    its own. Without variants the baseline alone has all of it.
    """
    pairs = max(1, variants)
    seconds = max(1.0, options.seconds / pairs)
    return tuple(
        options.model_copy(update={"seconds": seconds, "seed": options.seed + index}) for index in range(pairs)
    )


@contextmanager
def collector_off() -> Iterator[None]:
    """Collect garbage, then keep the collector off; restored afterwards."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass
class _Subject:
    """A model being timed."""

    name: str
    call: Call
    samples: list[int] = field(default_factory=list)
    disturbed: list[int] = field(default_factory=list)
    warmup: Warmup = field(default_factory=Warmup)
    inner: int = 1
    primes: int = 0
    streamed: int = 0

    def settle(self, *, paired: bool) -> None:
        """Choose from the end of the warm-up how many inferences to time together and to run before."""
        seen = self.warmup.samples_ns
        typical = max(1, round(statistics.median(seen[-max(1, len(seen) // 3) :])))
        self.inner = math.ceil(SHORTEST_NS / typical)
        self.primes = math.ceil(PRIME_NS / typical) if paired and typical < PRIME_BELOW_NS else 0
        self.streamed = 0

    def time(self, clock: Clock) -> int:
        """Time one inference, or the mean of several."""
        call = self.call
        for _ in range(self.primes):
            call()
        if self.inner == 1:
            start = clock()
            call()
            return max(1, clock() - start)
        start = clock()
        for _ in range(self.inner):
            call()
        return max(1, round((clock() - start) / self.inner))

    def result(self) -> LatencySamples:
        return LatencySamples(
            self.name,
            tuple(self.samples),
            self.warmup.samples_ns,
            self.warmup.steady,
            inner=self.inner,
            disturbed_ns=tuple(self.disturbed),
        )

    def leave_out(self, kept: Sequence[bool]) -> None:
        """Keep apart the samples of rounds that do not count."""
        self.disturbed = [value for value, counts in zip(self.samples, kept, strict=True) if not counts]
        self.samples = [value for value, counts in zip(self.samples, kept, strict=True) if counts]


class _Run:
    """One run over one or two subjects."""

    def __init__(
        self,
        subjects: tuple[_Subject, ...],
        options: TimingOptions,
        reporter: Reporter,
        clock: Clock,
        watch: BlockWatch | None = None,
    ) -> None:
        self.subjects = subjects
        self._watch = watch
        self._options = options
        self._reporter = reporter
        self._clock = clock
        self._random = random.Random(options.seed)
        self._streamed_at = clock()
        self._next_look = options.min_samples
        self._elapsed = 0.0

    @property
    def rounds(self) -> int:
        """Complete rounds."""
        return min(len(subject.samples) for subject in self.subjects)

    def measure(self) -> bool:
        """Warm up and take samples; say whether it was cancelled."""
        cancelled = False
        with collector_off():
            try:
                for subject in self.subjects:
                    self._warm_up(subject)
                self._take_rounds()
            except Cancelled:
                cancelled = True
        for subject in self.subjects:
            del subject.samples[self.rounds :]
            self._stream(subject, subject.samples, "steady")
        if self._watch is not None:
            self._tell_noise(self._watch.mark(self.rounds, self._elapsed, last=True))
            kept = self._watch.kept(self.rounds)
            for subject in self.subjects:
                subject.leave_out(kept)
        return cancelled

    def warnings(self) -> tuple[str, ...]:
        """Say what limits the samples' worth."""
        found = [self._few()]
        for subject in self.subjects:
            if subject.samples:
                found += [subject.warmup.sentence(subject.name), _together(subject)]
        return tuple(sentence for sentence in found if sentence)

    def _warm_up(self, subject: _Subject) -> None:
        subject.warmup = Warmup(self._options.warmup_limit_seconds)
        self._reporter.progress(0, 0, f"warming up {subject.name}")
        taken: list[int] = []
        while True:
            self._reporter.check()
            taken.append(subject.time(self._clock))
            done = subject.warmup.feed(taken[-1])
            if done or self._due():
                self._stream(subject, taken, "warmup")
            if done:
                break
        subject.settle(paired=len(self.subjects) > 1)

    def _take_rounds(self) -> None:
        if self._watch is not None:
            self._watch.start()
        started = self._clock()
        while not self._enough():
            for subject in self._random.sample(self.subjects, len(self.subjects)):
                self._reporter.check()
                subject.samples.append(subject.time(self._clock))
            self._elapsed = (self._clock() - started) / 1e9
            if self._due():
                self._tell()
                if self._watch is not None:
                    self._tell_noise(self._watch.mark(self.rounds, self._elapsed))

    def _enough(self) -> bool:
        wanted = self._options
        if not self.rounds:
            return False
        extra = self._watch.extra if self._watch is not None else 0.0
        if self.rounds >= wanted.max_samples or self._elapsed >= OVERRUN * wanted.seconds:
            return True
        return self.rounds >= wanted.min_samples and (self._elapsed >= wanted.seconds + extra or self._narrow())

    def _narrow(self) -> bool:
        """Look, at growing numbers of pairs, whether the interval is narrow enough.

        Its width, not its verdict, is asked for: stopping when a difference looks significant would
        find one sooner or later between equal models.
        """
        if not self._options.target_width or len(self.subjects) < 2 or self.rounds < self._next_look:
            return False
        self._next_look = math.ceil(self.rounds * LOOK_GROWTH)
        estimate = compare(self.subjects[0].samples, self.subjects[1].samples, self._options.seed)
        return estimate.high - estimate.low <= self._options.target_width * estimate.ratio

    def _due(self) -> bool:
        now = self._clock()
        if now - self._streamed_at < STREAM_NS:
            return False
        self._streamed_at = now
        return True

    def _tell(self) -> None:
        for subject in self.subjects:
            self._stream(subject, subject.samples, "steady")
        label = f"{self.rounds} {'pairs' if len(self.subjects) > 1 else 'samples'}"
        wanted = self._options.seconds + (self._watch.extra if self._watch is not None else 0.0)
        self._reporter.progress(min(self._elapsed, wanted), wanted, label)

    def _tell_noise(self, found: tuple[int, int, str] | None) -> None:
        """Say which rounds something disturbed: no samples, their place in the info."""
        if found is not None:
            first, end, text = found
            for subject in self.subjects:
                self._reporter.samples(subject.name, [], {"phase": "noise", "first": first, "end": end, "text": text})

    def _stream(self, subject: _Subject, samples: Sequence[int], phase: str) -> None:
        fresh = samples[subject.streamed :]
        subject.streamed += len(fresh)
        if fresh:
            self._reporter.samples(subject.name, fresh, {"phase": phase, "inner": subject.inner})

    def _few(self) -> str:
        if not 0 < self.rounds < min(self._options.min_samples, self._options.max_samples):
            return ""
        slowest = max(statistics.median(subject.samples) for subject in self.subjects) / 1e9
        what = "pairs" if len(self.subjects) > 1 else "samples"
        return f"Only {self.rounds} {what} were taken in {self._elapsed:.1f} s (one inference takes {slowest:.2g} s)."


def _together(subject: _Subject) -> str:
    if subject.inner == 1:
        return ""
    microseconds = statistics.median(subject.samples) / 1e3
    return (
        f"{subject.name} takes only {microseconds:.2g} us, so {subject.inner} inferences are timed together: "
        "percentiles are those of their means."
    )

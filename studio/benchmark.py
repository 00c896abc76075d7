"""Benchmarking any number of models and devices: each in pairs with the baseline, alone on the machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from studio.core.errors import BurnishError, Cancelled
from studio.core.frozen import Frozen
from studio.core.machine.processes import ProcessSpread, process_spread
from studio.core.measurement import Measurement
from studio.core.passes import Range
from studio.core.runtime import ExecutedNode, RunOptions
from studio.core.statistics import RatioEstimate, compare
from studio.jobs.tasks.footprint import Footprint, MeasureFootprint
from studio.jobs.tasks.measure import MeasuredPair, MeasurePair
from studio.jobs.tasks.profile import Profiled, ProfileModel
from studio.jobs.tasks.subject import Subject
from studio.workbench import Watch, Workbench

#: a process measures for so many seconds at least, however many there are
SHORTEST_PROCESS = 1.0


class BenchOptions(Frozen):
    """How to measure.

    Attributes
    ----------
    run
        How models are loaded.
    batch
        Samples in one inference, where the model's batch axis is dynamic.
    data
        The user's data for inputs; None for synthetic.
    dims
        Sizes of named dynamic dimensions.
    seconds
        Time for each pair (or for a model alone), warm-up excluded; shared among the processes.
    processes
        Fresh processes that each pair is measured in, one after the other.
    """

    run: RunOptions = RunOptions()
    batch: int = 1
    data: Path | None = None
    dims: dict[str, int] = {}
    seconds: float = 6.0
    seed: int = 0
    layers: bool = False
    processes: int = 1


class PairResult(Frozen):
    """A variant against the baseline: ids of their measurements and the ratio of latencies.

    `estimate` is over all pairs of all processes; `between` is how the ratio varies from process to process;
    `expected` is what the surveys of the steps that made the variant expect.
    """

    baseline: str
    variant: str
    estimate: RatioEstimate
    between: ProcessSpread | None = None
    expected: Range | None = None


class Failure(Frozen):
    """A model that could not be measured on a device."""

    name: str
    device: str
    message: str
    hint: str


class BenchResult(Frozen):
    """What a benchmark found; `measurements` of the baseline come once for each pair."""

    subjects: tuple[Subject, ...]
    measurements: tuple[Measurement, ...]
    pairs: tuple[PairResult, ...]
    layers: dict[str, tuple[ExecutedNode, ...]] = {}
    failures: tuple[Failure, ...] = ()

    def of(self, subject: Subject) -> tuple[Measurement, ...]:
        """Give the measurements of one subject."""
        return tuple(
            item
            for item in self.measurements
            if (item.model_name, item.device.spec) == (subject.name, subject.device.spec)
        )


def measure(
    work: Workbench, subjects: Sequence[Subject], options: BenchOptions, *, watch: Watch | None = None
) -> BenchResult:
    """Measure the first subject as the baseline and each other in pairs with it.

    One that fails becomes a `Failure`; the others are measured all the same.

    Raises
    ------
    BurnishError
        When the baseline itself cannot be measured.
    """
    subjects = [_judged(work, subject) for subject in subjects]
    feet: dict[int, Footprint] = {}
    failures: list[Failure] = []
    for index, subject in enumerate(subjects):
        try:
            feet[index] = _footprint(work, subject, options, watch)
        except BurnishError as error:
            if index == 0:
                raise
            failures.append(_failure(subject, error))
    measurements: list[Measurement] = []
    pairs: list[PairResult] = []
    for index in [index for index in feet if index] or [0]:
        if index == 0 and len(subjects) > 1:
            break
        variant = subjects[index] if index else None
        try:
            rounds = _processes(work, subjects[0], variant, options, watch)
        except BurnishError as error:
            if variant is None:
                raise
            failures.append(_failure(variant, error))
            continue
        made = [
            [_with_footprint(item, feet[at]) for item, at in zip(measured.made, (0, index), strict=False)]
            for measured in rounds
        ]
        measurements.extend(item for group in made for item in group)
        if variant is not None:
            pairs.append(_ratio(made, options.seed))
        if rounds[-1].stopped:
            break
    return BenchResult(
        subjects=tuple(subjects),
        measurements=tuple(measurements),
        pairs=tuple(pairs),
        layers=_layers(work, [subjects[index] for index in feet], options, watch) if options.layers else {},
        failures=tuple(failures),
    )


def _judged(work: Workbench, subject: Subject) -> Subject:
    """Say with a subject that its device was found to run it wrongly: a fast wrong answer is no gain."""
    if subject.refused:
        return subject
    return subject.model_copy(update={"refused": work.refusal(subject.artifact.sha256, subject.device.spec)})


def _footprint(work: Workbench, subject: Subject, options: BenchOptions, watch: Watch | None) -> Footprint:
    """Load, first inference and memory, in a process that ran nothing else."""
    request = MeasureFootprint(
        subject=subject, run=options.run, batch=options.batch, data=options.data, dims=options.dims, seed=options.seed
    )
    label = f"load {subject.name} on {subject.device.spec}"
    found = work.run_task(
        "footprint", request, label, artifact=subject.artifact, exclusive=True, fresh=True, watch=watch
    )
    return Footprint.model_validate(found)


def _processes(
    work: Workbench, baseline: Subject, variant: Subject | None, options: BenchOptions, watch: Watch | None
) -> list[MeasuredPair]:
    """Measure in as many fresh processes as wanted, each with an order of its own."""
    rounds: list[MeasuredPair] = []
    each = max(SHORTEST_PROCESS, options.seconds / options.processes) if options.processes > 1 else options.seconds
    for number in range(options.processes):
        shared = options.model_copy(update={"seconds": each, "seed": options.seed + number})
        try:
            rounds.append(_pair(work, baseline, variant, shared, watch))
        except Cancelled:
            # What the processes before it measured is complete.
            if not rounds:
                raise
            rounds[-1] = rounds[-1].model_copy(update={"stopped": True})
        if rounds[-1].stopped:
            break
    return rounds


def _pair(
    work: Workbench, baseline: Subject, variant: Subject | None, options: BenchOptions, watch: Watch | None
) -> MeasuredPair:
    request = MeasurePair(
        baseline=baseline,
        variant=variant,
        run=options.run,
        batch=options.batch,
        data=options.data,
        dims=options.dims,
        seconds=options.seconds,
        seed=options.seed,
    )
    name = (variant or baseline).name
    label = f"benchmark {name} on {(variant or baseline).device.spec}"
    found = work.run_task(
        "measure",
        request,
        label,
        artifact=baseline.artifact,
        exclusive=True,
        fresh=True,
        partial=True,
        watch=watch,
    )
    return MeasuredPair.model_validate(found)


def _layers(
    work: Workbench, subjects: Sequence[Subject], options: BenchOptions, watch: Watch | None
) -> dict[str, tuple[ExecutedNode, ...]]:
    """Profile each subject with counters on: a pass of its own, since counters disturb time."""
    layers = {}
    for subject in subjects:
        request = ProfileModel(
            subject=subject,
            run=options.run,
            batch=options.batch,
            data=options.data,
            dims=options.dims,
            seed=options.seed,
        )
        found = work.run_task("profile", request, f"profile {subject.name}", exclusive=True, watch=watch)
        layers[subject.key] = Profiled.model_validate(found).nodes
    return layers


def _with_footprint(item: Measurement, foot: Footprint) -> Measurement:
    return item.model_copy(update={"load_ns": foot.load_ns, "first_ns": foot.first_ns, "memory": foot.memory})


def _ratio(made: Sequence[Sequence[Measurement]], seed: int) -> PairResult:
    """Estimate the ratio over all processes, and its spread between them."""
    before = [sample for group in made for sample in group[0].samples_ns]
    after = [sample for group in made for sample in group[1].samples_ns]
    each = [compare(group[0].samples_ns, group[1].samples_ns, seed).ratio for group in made]
    return PairResult(
        baseline=made[-1][0].id,
        variant=made[-1][1].id,
        estimate=compare(before, after, seed),
        between=process_spread(each) if len(each) > 1 else None,
    )


def _failure(subject: Subject, error: BurnishError) -> Failure:
    return Failure(name=subject.name, device=subject.device.spec, message=error.message, hint=error.hint)

"""Benchmarks beside what was expected: each pair whose steps are known gets its range and goes into the record."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from studio.benchmark import BenchOptions, BenchResult, PairResult, measure
from studio.core.errors import BurnishError, StoreError
from studio.core.machine.record import PredictedResult
from studio.core.passes import Range
from studio.core.runner import StepRecord
from studio.jobs.tasks.subject import Subject
from studio.workbench import Watch, Workbench

#: a range this narrow needs no calibration: the pass is free
NARROW = 0.2


def measure_expected(
    work: Workbench, subjects: Sequence[Subject], options: BenchOptions, *, watch: Watch | None = None
) -> BenchResult:
    """Measure as `studio.benchmark.measure` does, with the expected range of each variant that steps made here.

    The ranges are taken before anything is measured. What was measured is added to the record of
    predictions; a record that cannot be written takes nothing from the result.

    Raises
    ------
    BurnishError
        When the baseline itself cannot be measured.
    """
    expectations = {
        subject.key: found
        for subject in subjects[1:]
        if (found := expected(work, subjects[0], subject, watch=watch)) is not None
    }
    result = measure(work, subjects, options, watch=watch)
    by_id = {item.id: item for item in result.measurements}
    pairs: list[PairResult] = []
    facts: list[PredictedResult] = []
    for pair in result.pairs:
        variant = by_id[pair.variant]
        known = expectations.get(f"{variant.model_name} @ {variant.device.spec}")
        if known is None:
            pairs.append(pair)
            continue
        passes, speed = known
        pairs.append(pair.model_copy(update={"expected": speed}))
        facts.append(
            PredictedResult(
                passes=passes,
                device=variant.device.spec,
                baseline_sha256=by_id[pair.baseline].model_sha256,
                variant_sha256=variant.model_sha256,
                low=speed.low,
                high=speed.high,
                calibrated=speed.calibrated,
                reason=speed.reason,
                ratio=pair.estimate.ratio,
                ratio_low=pair.estimate.low,
                ratio_high=pair.estimate.high,
                batch=variant.batch,
                threads=options.run.threads,
                machine=work.machine().key,
                taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
        )
    if facts:
        with suppress(StoreError):
            work.predictions.append(facts)
    return result.model_copy(update={"pairs": tuple(pairs)})


def expected(
    work: Workbench, baseline: Subject, variant: Subject, *, watch: Watch | None = None
) -> tuple[tuple[str, ...], Range] | None:
    """Give the passes that made a variant of a baseline, and the ratio that their surveys expect together.

    Returns
    -------
    tuple or None
        None on different devices, for a model that no known steps lead to, and where a survey expects nothing.
    """
    if baseline.device.spec != variant.device.spec or baseline.artifact.sha256 == variant.artifact.sha256:
        return None
    ranges: list[Range] = []
    steps = _steps(work, baseline.artifact.sha256, variant.artifact.sha256)
    try:
        for record in steps:
            at_start = record.source_sha256 == baseline.artifact.sha256
            source = baseline.artifact if at_start else work.blobs.get(record.source_sha256)
            survey = work.survey(source, variant.device, (record.step,), watch=watch)[record.step.pass_id]
            if survey.speed is None:
                return None
            ranges.append(survey.speed)
    except BurnishError:
        return None
    if not ranges:
        return None
    return tuple(record.step.pass_id for record in steps), _product(ranges)


def _steps(work: Workbench, source: str, result: str) -> list[StepRecord]:
    """List the steps from one model to another, as they were recorded; empty when they are not known."""
    steps: list[StepRecord] = []
    seen: set[str] = set()
    while result != source:
        record = work.steps.making(result) if result not in seen else None
        if record is None:
            return []
        seen.add(result)
        steps.insert(0, record)
        result = record.source_sha256
    return steps


def _product(ranges: Sequence[Range]) -> Range:
    low, high = 1.0, 1.0
    for item in ranges:
        low, high = low * item.low, high * item.high
    # Steps that are free on this engine say nothing of the calibration, and need none.
    computed = [item for item in ranges if item.calibrated]
    open_ended = [item for item in ranges if not item.calibrated and item.high - item.low > NARROW]
    return Range(
        low=low,
        high=high,
        reason="; ".join(dict.fromkeys(item.reason for item in computed or ranges)),
        calibrated=bool(computed) and not open_ended,
    )

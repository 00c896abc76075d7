"""From what the session found to what ``--json`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from studio.benchmark import BenchOptions, BenchResult
from studio.core.environment import Environment
from studio.core.evaluation import Evaluation
from studio.core.machine.blocks import together
from studio.core.machine.processes import ProcessSpread, process_spread
from studio.core.measurement import Measurement
from studio.core.runner import StepRecord
from studio.core.statistics import LatencySummary, summarize
from studio.jobs.tasks.subject import Subject
from studio.report.shapes import BenchDocument, BenchModel, BenchPair, EvaluationRow, FailureRow, Latency, StepRow


def step_row(record: StepRecord) -> StepRow:
    """Describe an applied step."""
    return StepRow(
        id=record.step.pass_id,
        pass_version=record.step.version,
        params=record.step.params,
        scope=record.step.scope,
        unchanged=record.unchanged,
        nodes=record.nodes,
        nodes_changed=dict(Counter(change.change for change in record.changes)),
        seconds=round(record.seconds, 3),
        warnings=record.warnings,
        notes=record.notes,
        verification=record.verification,
    )


def bench_document(result: BenchResult, options: BenchOptions, environment: Environment) -> BenchDocument:
    """Describe a benchmark: one row for each model and device, one pair for each variant."""
    by_id = {item.id: item for item in result.measurements}
    rows = [_model(subject, result, options.processes) for subject in result.subjects if result.of(subject)]
    pairs = [
        BenchPair(
            baseline=by_id[pair.baseline].model_name,
            model=by_id[pair.variant].model_name,
            device=by_id[pair.variant].device.spec,
            ratio=pair.estimate.ratio,
            low=pair.estimate.low,
            high=pair.estimate.high,
            verdict=pair.estimate.verdict,
            pairs=pair.estimate.pairs,
            between_processes=pair.between,
            expected=pair.expected,
        )
        for pair in result.pairs
    ]
    return BenchDocument(
        models=tuple(rows),
        pairs=tuple(pairs),
        failures=tuple(FailureRow(**failure.model_dump()) for failure in result.failures),
        options=options.model_dump(mode="json"),
        environment=environment,
    )


def _model(subject: Subject, result: BenchResult, processes: int) -> BenchModel:
    """Describe one subject; the baseline's samples come from all its pairs."""
    made = result.of(subject)
    last: Measurement = made[-1]
    summary = summarize([sample for item in made for sample in item.samples_ns], last.batch)
    return BenchModel(
        name=subject.name,
        path=subject.artifact.path,
        sha256=subject.artifact.sha256,
        bytes=subject.artifact.bytes,
        device=subject.device.spec,
        runtime_version=last.runtime_version,
        batch=last.batch,
        synthetic=last.synthetic,
        latency_ms=latency(summary),
        throughput_per_s=summary.throughput_per_s,
        load_ms=last.load_ns / 1e6,
        first_ms=last.first_ns / 1e6,
        peak_memory_bytes=last.memory.peak_delta if last.memory else None,
        noise=_distinct(note for item in made for note in item.noise),
        warnings=_distinct(note for item in made for note in item.warnings),
        layers=result.layers.get(subject.key, ()),
        stability=together([item.stability for item in made if item.stability is not None]),
        between_processes=_between(made) if processes > 1 else None,
    )


def _between(made: Sequence[Measurement]) -> ProcessSpread:
    """Give how the median latency in milliseconds varies between the processes that measured a model."""
    return process_spread([summarize(item.samples_ns).p50_ms for item in made])


def latency(summary: LatencySummary) -> Latency:
    """Give the figures; a percentile that the samples do not support is None."""
    return Latency(
        p50=summary.p50_ms,
        p90=summary.p90_ms if summary.p90_supported else None,
        p99=summary.p99_ms if summary.p99_supported else None,
        mean=summary.mean_ms,
        min=summary.min_ms,
        samples=summary.samples,
    )


def evaluation_row(item: Evaluation) -> EvaluationRow:
    """Describe an evaluation."""
    gap = item.difference
    return EvaluationRow(
        model=item.model_name,
        device=item.device,
        dataset=item.dataset,
        synthetic=item.synthetic,
        metric=item.metric,
        value=item.estimate.value,
        low=item.estimate.low,
        high=item.estimate.high,
        samples=item.estimate.samples,
        unit=item.unit,
        delta=gap.value if gap else None,
        delta_low=gap.low if gap else None,
        delta_high=gap.high if gap else None,
        significant=gap.significant if gap else None,
        agreement=gap.agreement if gap else None,
        p=gap.p if gap else None,
        test=gap.test if gap else "",
        title=item.title,
        higher_is_better=item.higher_is_better,
        warnings=item.warnings,
        details=item.details,
    )


def _distinct(notes: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(notes))

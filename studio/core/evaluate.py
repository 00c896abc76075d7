"""Evaluating models on a dataset: one pass over the data, in memory that does not grow with its size."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from studio.core.batching import run_batch
from studio.core.classes import same_class
from studio.core.dataset import Batch, Dataset
from studio.core.errors import Cancelled, DataError
from studio.core.evaluation import Difference, Evaluation
from studio.core.intervals import mcnemar, paired_fraction, paired_mean, paired_p
from studio.core.metric import Metric
from studio.core.report import Reporter
from studio.core.runtime import LoadedModel
from studio.core.setmetric import SetMetric, paired_statistic, weight_of
from studio.core.source import LabelKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 32
SIGNIFICANT = 0.05
#: what labels are called
LABELS: Mapping[LabelKind, str] = {
    "class": "class indices",
    "multilabel": "several classes",
    "target": "numbers to predict",
    "text": "text",
    "boxes": "boxes",
    "mask": "masks",
}


@dataclass(frozen=True)
class Candidate:
    """A loaded model to evaluate, and what its evaluation is filed under."""

    model: LoadedModel
    sha256: str
    name: str
    device: str


def evaluate(
    candidates: Sequence[Candidate],
    dataset: Dataset,
    metrics: Sequence[Metric],
    reporter: Reporter,
    *,
    batch: int = BATCH,
    limit: int | None = None,
) -> tuple[Evaluation, ...]:
    """Evaluate models by some metrics, all on the same samples.

    Each batch is read once and run through every model, so that a baseline is run once however many
    models are compared with it. Kept are the scores alone.

    Parameters
    ----------
    candidates
        The baseline first. It is the reference of metrics that need one, which do not score the
        baseline itself.
    batch
        Samples read at once; a model with a fixed batch is run as `run_batch` does.
    limit
        Samples to evaluate at most.

    Returns
    -------
    tuple of Evaluation
        For each candidate in order, one for each metric that applies to it; those of variants with
        the difference from the baseline, unless the metric itself is against the baseline. When it
        was cancelled they tell of the samples done until then, with a warning that says so.

    Raises
    ------
    DataError
        When a metric needs labels that are not there or a baseline that is not given, or outputs do
        not suit a metric; the message names the samples.
    Cancelled
        When it was cancelled before the first batch was done.
    """
    _check(candidates, dataset, metrics)
    tally = _Tally(candidates, metrics)
    total = dataset.samples if limit is None else min(limit, dataset.samples)
    cancelled = False
    try:
        for piece in dataset.batches(batch, limit=limit):
            reporter.check()
            tally.add(piece)
            reporter.progress(tally.samples, total, "evaluating")
    except Cancelled:
        cancelled = True
        if not tally.samples:
            raise
    if not tally.samples:
        raise DataError(f"{dataset.name} has no samples.", "Give data with at least one sample.")
    stopped = (f"Stopped after {tally.samples:,} of {total:,} samples.",) if cancelled else ()
    return tuple(_evaluation(row, tally, dataset, (*dataset.notes, *stopped)) for row in tally.rows)


@dataclass
class _Row:
    """The scores of one candidate by one metric."""

    candidate: Candidate
    metric: Metric
    baseline: _Row | None
    scores: list[NDArray[np.float64]] = field(default_factory=list)

    def joined(self) -> NDArray[np.float64]:
        """Give all scores, float64 of shape ``(samples,)``, or all records."""
        import numpy as np

        return np.concatenate(self.scores)


class _Tally:
    """The scores so far."""

    def __init__(self, candidates: Sequence[Candidate], metrics: Sequence[Metric]) -> None:
        self.samples = 0
        self._candidates = tuple(candidates)
        self.baseline = candidates[0]
        own = {metric.name: _Row(candidates[0], metric, None) for metric in metrics if not metric.needs_reference}
        self.rows = list(own.values())
        for candidate in candidates[1:]:
            self.rows += [_Row(candidate, metric, own.get(metric.name)) for metric in metrics]
        self._agreements: dict[int, list[NDArray[np.float64]]] = {}

    def add(self, batch: Batch) -> None:
        """Run a batch through every model and score it."""
        reference = run_batch(self.baseline.model, batch)
        for index, candidate in enumerate(self._candidates):
            outputs = _run_variant(candidate, batch) if index else reference
            for row in self.rows:
                if row.candidate is candidate:
                    row.scores.append(_scores(row.metric, outputs, batch, reference if index else None))
            same = same_class(outputs, reference) if index else None
            if same is not None:
                self._agreements.setdefault(id(candidate), []).append(same)
        self.samples += batch.samples

    def agreement(self, candidate: Candidate) -> float | None:
        """Give the share of samples on which it chooses the baseline's class; None without classes."""
        import numpy as np

        same = self._agreements.get(id(candidate))
        return float(np.concatenate(same).mean()) if same else None


def _check(candidates: Sequence[Candidate], dataset: Dataset, metrics: Sequence[Metric]) -> None:
    for metric in metrics:
        if metric.needs_labels and dataset.labelled and dataset.label_kind not in metric.label_kinds:
            wanted = " or ".join(LABELS[kind] for kind in sorted(metric.label_kinds))
            raise DataError(
                f"{metric.title} needs {wanted} as labels, but those of {dataset.name} are "
                f"{LABELS[dataset.label_kind]}.",
                "Choose a metric for them ('burnish evaluate' without --metric does), or say --read labels=KIND.",
            )
        if metric.needs_labels and not dataset.labelled:
            raise DataError(
                f"{metric.title} needs labels, but {dataset.name} has none.",
                "Give labelled data, or a metric that compares with the baseline.",
            )
        if metric.needs_reference and len(candidates) < 2:
            raise DataError(
                f"{metric.title} compares a model with a baseline, but only one model is given.",
                "Give a baseline, or choose another metric.",
            )


def _run_variant(candidate: Candidate, batch: Batch) -> dict[str, NDArray[Any]]:
    """Run a model on data that was opened for the baseline."""
    try:
        return run_batch(candidate.model, batch)
    except DataError as error:
        raise DataError(
            f"{candidate.name} does not take the baseline's inputs: {error.message}", "Compare models of the same task."
        ) from None


def _scores(
    metric: Metric,
    outputs: Mapping[str, NDArray[Any]],
    batch: Batch,
    reference: Mapping[str, NDArray[Any]] | None,
) -> NDArray[np.float64]:
    try:
        return metric.scores(outputs, batch.labels, reference)
    except DataError as error:
        where = f"Samples {batch.first} to {batch.first + batch.samples - 1}"
        raise DataError(f"{where}: {error.message}", error.hint) from None


def _evaluation(row: _Row, tally: _Tally, dataset: Dataset, warnings: tuple[str, ...]) -> Evaluation:
    scores = row.joined()
    metric = row.metric
    figures = metric.figures(scores) if isinstance(metric, SetMetric) else scores
    return Evaluation(
        model_sha256=row.candidate.sha256,
        model_name=row.candidate.name,
        dataset=dataset.name,
        dataset_digest=dataset.digest(),
        synthetic=dataset.synthetic,
        device=row.candidate.device,
        metric=metric.name,
        title=metric.heading,
        unit=metric.unit,
        estimate=metric.estimate(scores),
        scores=tuple(figures.tolist()),
        details=metric.details(scores) if isinstance(metric, SetMetric) else {},
        higher_is_better=metric.higher_is_better,
        baseline_sha256=tally.baseline.sha256 if row.candidate is not tally.baseline else "",
        difference=_difference(scores, row, tally),
        warnings=warnings,
        taken_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _difference(scores: NDArray[np.float64], row: _Row, tally: _Tally) -> Difference | None:
    if row.baseline is None:
        return None
    before, agreement = row.baseline.joined(), tally.agreement(row.candidate)
    if isinstance(row.metric, SetMetric):
        return compare_records(row.metric, scores, before, agreement)
    return compare_scores(scores, before, agreement)


def compare_scores(
    variant: NDArray[np.float64], baseline: NDArray[np.float64], agreement: float | None = None
) -> Difference:
    """Compare two models' scores of the same samples, variant minus baseline.

    Scores of 0 and 1 are compared as `paired_fraction` does and tested as `mcnemar` does, others as
    `paired_mean` does. The difference is significant when its 95 % interval leaves out 0; of scores of
    0 and 1 only when the test says so too.
    """
    import numpy as np

    binary = bool(np.isin(variant, (0.0, 1.0)).all() and np.isin(baseline, (0.0, 1.0)).all())
    low, high = (paired_fraction if binary else paired_mean)(variant, baseline)
    value = float(variant.mean() - baseline.mean())
    low, high = min(low, value), max(high, value)
    p = mcnemar(variant, baseline) if binary else paired_p(variant, baseline)
    return Difference(
        value=value,
        low=low,
        high=high,
        significant=(low > 0 or high < 0) and (p < SIGNIFICANT or not binary),
        agreement=agreement,
        p=p,
        test="McNemar mid-p" if binary else "paired bootstrap",
    )


def compare_records(
    metric: SetMetric, variant: NDArray[Any], baseline: NDArray[Any], agreement: float | None = None
) -> Difference:
    """Compare two models' records of the same samples, resampled in pairs, variant minus baseline."""
    import numpy as np

    after, before = metric.statistic(variant), metric.statistic(baseline)
    ones = np.ones(len(variant))
    value = after(ones) - before(ones)
    low, high, p = paired_statistic(after, before, len(variant), weight_of(variant))
    low, high = min(low, value), max(high, value)
    significant = low > 0 or high < 0
    return Difference(
        value=value, low=low, high=high, significant=significant, agreement=agreement, p=p, test="paired bootstrap"
    )

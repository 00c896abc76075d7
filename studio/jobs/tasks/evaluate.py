"""Evaluate models on a dataset by metrics; the first model is the baseline of the others."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from studio.core.dataset import Dataset
from studio.core.errors import DataError
from studio.core.evaluate import Candidate, evaluate
from studio.core.evaluation import Evaluation
from studio.core.frozen import Frozen
from studio.core.metric import Metric
from studio.core.registry import Registry
from studio.core.report import Reporter
from studio.core.runtime import RunOptions
from studio.jobs.tasks.check_data import glance
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import data_for, find_place
from studio.locations import load_registry

#: below this accuracy it is asked whether the data is read rightly
POOR = 0.5


class EvaluateModels(Frozen):
    """What to evaluate: by the given metrics, or by all that suit the data."""

    models: tuple[Subject, ...]
    data: Path | None = None
    metrics: tuple[str, ...] = ()
    batch: int = 32
    seed: int = 0


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Evaluate an `EvaluateModels` payload; gives ``{"evaluations": [...]}``."""
    wanted = EvaluateModels.model_validate(payload)
    registry = load_registry()
    dataset = data_for(registry, wanted.models[0].artifact, wanted.data, seed=wanted.seed)
    metrics = _metrics(registry, wanted, dataset)
    with ExitStack() as stack:
        candidates = [_candidate(registry, subject, stack) for subject in wanted.models]
        found = evaluate(candidates, dataset, metrics, reporter, batch=wanted.batch)
    found = _with_doubts(registry, wanted, dataset, found, reporter)
    return {"evaluations": [item.model_dump(mode="json") for item in found]}


def _with_doubts(
    registry: Registry, wanted: EvaluateModels, dataset: Dataset, found: tuple[Evaluation, ...], reporter: Reporter
) -> tuple[Evaluation, ...]:
    """Add to the first model's evaluations what speaks against the data, which a low figure may come from."""
    first = wanted.models[0]
    poor = any(item.metric == "top1" and item.estimate.value < POOR and not item.baseline_sha256 for item in found)
    place = find_place(registry, first.device.spec)
    doubts = glance(place, first.artifact, dataset, reporter, thorough=poor)
    own = [item for item in found if item.model_sha256 == first.artifact.sha256] or list(found)
    return tuple(
        item.model_copy(update={"warnings": (*item.warnings, *doubts)}) if doubts and item in own else item
        for item in found
    )


def _candidate(registry: Registry, subject: Subject, stack: ExitStack) -> Candidate:
    place = find_place(registry, subject.device.spec)
    model = stack.enter_context(place.runtime.load(subject.artifact, place.device, RunOptions()))
    return Candidate(model, subject.artifact.sha256, subject.name, place.spec)


def _metrics(registry: Registry, wanted: EvaluateModels, dataset: Dataset) -> list[Metric]:
    """Take the metrics asked for; else top1 with labels, and without labels what compares with a baseline."""
    if wanted.metrics:
        return [registry.get_metric(name) for name in wanted.metrics]
    if dataset.labelled:
        return [registry.get_metric("top1")]
    if len(wanted.models) < 2:
        raise DataError(
            f"{dataset.name} has no labels, so a model alone cannot be evaluated on it.",
            "Give data with labels, or a baseline to compare with.",
        )
    return [registry.get_metric(name) for name in ("cosine", "sqnr")]

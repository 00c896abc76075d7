"""Evaluate models on a dataset by metrics; the first model is the baseline of the others."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from studio.core.adapted import AdaptedModel, RoundedModel
from studio.core.dataset import Dataset
from studio.core.errors import DataError
from studio.core.evaluate import Candidate, evaluate
from studio.core.evaluation import Evaluation
from studio.core.frozen import Frozen
from studio.core.interface import InterfaceChange, changes_of
from studio.core.metric import Metric
from studio.core.metrics import DEFAULTS, UNLABELLED, make_metric
from studio.core.registry import Registry
from studio.core.report import Reporter
from studio.core.runtime import LoadedModel, RunOptions
from studio.jobs.tasks.check_data import glance
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import data_for, find_place, original_data
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
    for text in wanted.metrics:
        make_metric(text, registry.get_metric)  # a typo is said before any data is read
    changes = [changes_of(subject.artifact) for subject in wanted.models]
    alike = all(one == changes[0] for one in changes)
    dataset = (data_for if alike else original_data)(registry, wanted.models[0].artifact, wanted.data, seed=wanted.seed)
    most: tuple[InterfaceChange, ...] = () if alike else max(changes, key=len)
    metrics = _metrics(registry, wanted, dataset)
    with ExitStack() as stack:
        candidates = [
            _candidate(registry, subject, stack, () if alike else own, most if dataset.synthetic else ())
            for subject, own in zip(wanted.models, changes, strict=True)
        ]
        found = evaluate(candidates, dataset, metrics, reporter, batch=wanted.batch)
    if alike or not changes[0]:
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


def _candidate(
    registry: Registry,
    subject: Subject,
    stack: ExitStack,
    own: tuple[InterfaceChange, ...],
    others: tuple[InterfaceChange, ...],
) -> Candidate:
    """Load a model so that it takes the data: what steps changed of its inputs is converted.

    Generated data is rounded for all models to what the changed ones take, such as whole pixels; real data is
    not, so that the rounding counts.
    """
    place = find_place(registry, subject.device.spec)
    model: LoadedModel = stack.enter_context(place.runtime.load(subject.artifact, place.device, RunOptions()))
    model = AdaptedModel(model, own) if own else model
    model = RoundedModel(model, others) if others else model
    return Candidate(model, subject.artifact.sha256, subject.name, place.spec)


def _metrics(registry: Registry, wanted: EvaluateModels, dataset: Dataset) -> list[Metric]:
    """Take the metrics asked for; else those that suit the labels, and without labels what compares with a baseline."""
    if wanted.metrics:
        return [make_metric(text, registry.get_metric) for text in wanted.metrics]
    if dataset.labelled:
        return [registry.get_metric(name) for name in DEFAULTS[dataset.label_kind]]
    if len(wanted.models) < 2:
        raise DataError(
            f"{dataset.name} has no labels, so a model alone cannot be evaluated on it.",
            "Give data with labels, or a baseline to compare with.",
        )
    return [registry.get_metric(name) for name in UNLABELLED]

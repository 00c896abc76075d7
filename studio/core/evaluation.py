"""Evaluations: a metric's value with its interval, and the score of every sample."""

from __future__ import annotations

from studio.core.frozen import Frozen
from studio.core.metric import Estimate


class Difference(Frozen):
    """Variant minus baseline on the same samples, with a 95 % interval and a verdict.

    `agreement` is the share of samples on which both give the same top-1 class; None where the
    outputs are no classes.
    """

    value: float
    low: float
    high: float
    significant: bool
    agreement: float | None = None


class Evaluation(Frozen):
    """How well one model does on one dataset by one metric."""

    model_sha256: str
    model_name: str
    dataset: str
    dataset_digest: str
    synthetic: bool
    device: str
    metric: str
    title: str
    unit: str
    estimate: Estimate
    scores: tuple[float, ...]
    baseline_sha256: str = ""
    difference: Difference | None = None
    #: what limits its worth, such as that it was stopped early
    warnings: tuple[str, ...] = ()
    taken_at: str

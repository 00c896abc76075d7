"""Evaluations: a metric's value with its interval, and the score of every sample."""

from __future__ import annotations

from typing import Any

from studio.core.frozen import Frozen
from studio.core.metric import Estimate


class Difference(Frozen):
    """Variant minus baseline on the same samples, with a 95 % interval and a verdict.

    `agreement` is the share of samples on which both give the same top-1 class; None where the
    outputs are no classes. `p` is the two-sided p-value of `test`: ``"McNemar mid-p"`` for answers that
    are right or wrong, else ``"paired bootstrap"``; both are unset in what older versions saved.
    """

    value: float
    low: float
    high: float
    significant: bool
    agreement: float | None = None
    p: float | None = None
    test: str = ""


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
    #: what else the metric found, such as a confusion matrix
    details: dict[str, Any] = {}
    #: whether a larger value is a better one
    higher_is_better: bool = True
    taken_at: str

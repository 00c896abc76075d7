"""Choosing metrics: by what is written on a command line, or by what the labels are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from studio.core.errors import UsageError
from studio.core.metric import Metric
from studio.core.params import parse_params
from studio.core.source import LabelKind

#: the metrics that suit labels of each kind, when none is asked for
DEFAULTS: Mapping[LabelKind, tuple[str, ...]] = {
    "class": ("top1",),
    "multilabel": ("f1", "roc-auc"),
    "target": ("mae", "rmse", "r2"),
    "text": ("cer", "wer"),
    "boxes": ("map",),
    "mask": ("miou",),
}
#: the same without labels, against a baseline
UNLABELLED = ("cosine", "sqnr")


def make_metric(text: str, find: Callable[[str], Metric]) -> Metric:
    """Make a metric from ``ID[:k=v,k=v]``.

    Parameters
    ----------
    find
        Gives a metric by its id, or raises `UsageError`.

    Raises
    ------
    UsageError
        For an unknown metric or parameter, or a value that it cannot have.
    """
    name, _, rest = text.strip().partition(":")
    metric = find(name)
    values: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise UsageError(f"--metric {text!r}: {part!r} is not KEY=VALUE.", "Write --metric top-k:k=3.")
        values[key] = value
    return type(metric)(parse_params(metric.Params, values, owner=name)) if values else metric

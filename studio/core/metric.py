"""Metrics: a score for each sample, and an estimate with its interval."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from studio.core.frozen import Frozen
from studio.core.params import Params as BaseParams
from studio.core.source import LabelKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class Estimate(Frozen):
    """A value with a 95 % confidence interval and the number of samples behind it."""

    value: float
    low: float
    high: float
    samples: int


class Metric(ABC):
    """A way to score a model's outputs.

    Attributes
    ----------
    needs_labels
        Whether it compares with labels.
    needs_reference
        Whether it compares with a baseline's outputs on the same samples.
    unit
        ``"fraction"`` (0 to 1, shown in per cent), ``"dB"``, ``"nats"`` or ``""``.
    label_kinds
        Which labels it compares with, as `studio.core.dataset.Batch` names them.
    Params
        What can be set, such as the k of top-k.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    needs_labels: ClassVar[bool] = False
    needs_reference: ClassVar[bool] = False
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    label_kinds: ClassVar[frozenset[LabelKind]] = frozenset({"class"})
    Params: ClassVar[type[BaseParams]] = BaseParams

    def __init__(self, params: BaseParams | None = None) -> None:
        #: a value of its `Params`
        self.params: Any = params if params is not None else self.Params()

    @property
    def name(self) -> str:
        """Its id with the parameters that are not at their default: ``top-k:k=3``."""
        known = self.Params().model_dump()
        changed = {key: value for key, value in self.params.model_dump().items() if value != known[key]}
        return f"{self.id}:{','.join(f'{key}={value}' for key, value in changed.items())}" if changed else self.id

    @property
    def heading(self) -> str:
        """Its title with the parameters that are not at their default."""
        _, _, changed = self.name.partition(":")
        return f"{self.title} ({changed.replace(',', ', ')})" if changed else self.title

    @abstractmethod
    def scores(
        self,
        outputs: Mapping[str, NDArray[Any]],
        labels: NDArray[Any] | None,
        reference: Mapping[str, NDArray[Any]] | None,
    ) -> NDArray[Any]:
        """Score each sample of a batch.

        Returns
        -------
        ndarray
            float64 of shape ``(samples,)``; the records of a `SetMetric` may have more axes.

        Raises
        ------
        DataError
            When the outputs or labels do not suit this metric.
        """

    @abstractmethod
    def estimate(self, scores: NDArray[Any]) -> Estimate:
        """Summarize the scores of all samples, float64 of shape ``(samples,)``, with a 95 % interval."""

"""Metrics: a score for each sample, and an estimate with its interval."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from studio.core.frozen import Frozen

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
        ``"fraction"`` (0 to 1, shown in per cent), ``"dB"`` or ``""``.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    needs_labels: ClassVar[bool] = False
    needs_reference: ClassVar[bool] = False
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""

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
            float64 of shape ``(samples,)``.

        Raises
        ------
        DataError
            When the outputs or labels do not suit this metric.
        """

    @abstractmethod
    def estimate(self, scores: NDArray[Any]) -> Estimate:
        """Summarize the scores of all samples, float64 of shape ``(samples,)``, with a 95 % interval."""

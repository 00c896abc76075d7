"""The figures beside each variant: the latest ratio and the latest change of accuracy on the chosen device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.core.continuation import pooled_pair
from studio.core.evaluation import Evaluation
from studio.core.measurement import Measurement
from studio.core.statistics import RatioEstimate, compare


@dataclass(frozen=True)
class Figures:
    """What is known of one model; None where nothing was measured."""

    speed: RatioEstimate | None = None
    accuracy: Evaluation | None = None


class FigureCache:
    """Computes figures; each bootstrap once. To be called on one background thread at a time."""

    def __init__(self) -> None:
        self._ratios: dict[str, RatioEstimate] = {}

    def compute(
        self, measurements: Sequence[Measurement], evaluations: Sequence[Evaluation], device: str
    ) -> dict[str, Figures]:
        """Give the figures of every model by its sha256; an empty `device` takes any."""
        by_id = {item.id: item for item in measurements}
        speeds: dict[str, RatioEstimate] = {}
        for item in measurements:
            pair = pooled_pair(item, by_id) if device in ("", item.device.spec) else None
            if pair is not None:
                speeds[item.model_sha256] = self._ratio(item.id, *pair)
        accuracies = {item.model_sha256: item for item in evaluations if device in ("", item.device)}
        return {sha: Figures(speeds.get(sha), accuracies.get(sha)) for sha in speeds.keys() | accuracies.keys()}

    def _ratio(self, key: str, baseline_ns: Sequence[int], variant_ns: Sequence[int]) -> RatioEstimate:
        if key not in self._ratios:
            self._ratios[key] = compare(baseline_ns, variant_ns)
        return self._ratios[key]

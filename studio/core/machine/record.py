"""The record of predictions against results: how far surveys can be trusted on this machine."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from studio.core.frozen import Frozen
from studio.core.intervals import wilson
from studio.core.jsonlines import JsonLines

SCHEMA = 1
#: bounds of the curve's bins: predicted ratios of latencies
BINS = (0.0, 0.5, 0.8, 0.95, 1.05, 1.25, 1.6, 2.0, 3.0, math.inf)


class PredictedResult(Frozen):
    """A ratio that was expected before it was measured, and what was measured.

    Attributes
    ----------
    passes
        The steps from the baseline to the variant.
    low, high
        The range that was expected.
    calibrated
        Whether it came from a calibration of this machine, for all steps.
    ratio, ratio_low, ratio_high
        The ratio measured in pairs, with its 95 % interval.
    machine
        Key of the hardware and versions, see `studio.core.machine.profile.machine_key`.
    """

    passes: tuple[str, ...]
    device: str
    baseline_sha256: str
    variant_sha256: str
    low: float
    high: float
    calibrated: bool
    reason: str
    ratio: float
    ratio_low: float
    ratio_high: float
    batch: int
    threads: int | None
    machine: str
    taken_at: str

    @property
    def middle(self) -> float:
        """The geometric middle of the range."""
        return math.sqrt(max(self.low, 1e-6) * max(self.high, 1e-6))

    @property
    def hit(self) -> bool:
        """Whether the measured ratio lies in the range."""
        return self.low <= self.ratio <= self.high

    @property
    def contradicted(self) -> bool:
        """Whether the whole interval of what was measured lies outside the range."""
        return self.ratio_high < self.low or self.ratio_low > self.high


class HitRow(Frozen):
    """How often the results of some passes on a device lay in the range that was expected.

    Attributes
    ----------
    hit_low, hit_high
        95 % interval of the share (Wilson).
    contradicted
        Results whose whole interval lies outside the range: those that noise does not explain.
    bias
        Median of measured over predicted middle: above 1 the passes bring more than was expected.
    """

    passes: tuple[str, ...]
    device: str
    calibrated: bool
    results: int
    hits: int
    hit_rate: float
    hit_low: float
    hit_high: float
    contradicted: int
    bias: float


class CurvePoint(Frozen):
    """Results whose predicted middle fell into a bin: geometric means of what was predicted and measured."""

    low: float
    high: float
    results: int
    predicted: float
    measured: float


class RecordSummary(Frozen):
    """The hit rate by passes and device, that of all, and the calibration curve."""

    results: tuple[PredictedResult, ...]
    rows: tuple[HitRow, ...]
    overall: HitRow | None
    curve: tuple[CurvePoint, ...]


def prediction_record(path: Path) -> JsonLines[PredictedResult]:
    """Open the record in a file, which need not exist."""
    return JsonLines(path, PredictedResult, SCHEMA, {})


def summarize_record(results: Iterable[PredictedResult]) -> RecordSummary:
    """Summarize a record; of a pair that was measured several times under one expectation the latest counts."""
    latest = {
        (item.baseline_sha256, item.variant_sha256, item.device, item.calibrated, item.threads): item
        for item in results
    }
    kept = tuple(latest.values())
    groups: dict[tuple[tuple[str, ...], str, bool], list[PredictedResult]] = {}
    for item in kept:
        groups.setdefault((item.passes, item.device, item.calibrated), []).append(item)
    rows = tuple(_row(*key, found) for key, found in sorted(groups.items()))
    calibrated = [item for item in kept if item.calibrated]
    overall = _row((), "", bool(calibrated), calibrated or kept) if kept else None
    return RecordSummary(results=kept, rows=rows, overall=overall, curve=tuple(_curve(calibrated or kept)))


def _row(passes: tuple[str, ...], device: str, calibrated: bool, found: Sequence[PredictedResult]) -> HitRow:
    hits = sum(item.hit for item in found)
    low, high = wilson(hits, len(found))
    return HitRow(
        passes=passes,
        device=device,
        calibrated=calibrated,
        results=len(found),
        hits=hits,
        hit_rate=hits / len(found),
        hit_low=low,
        hit_high=high,
        contradicted=sum(item.contradicted for item in found),
        bias=statistics.median(item.ratio / item.middle for item in found),
    )


def _curve(found: Sequence[PredictedResult]) -> Iterable[CurvePoint]:
    for low, high in pairwise(BINS):
        inside = [item for item in found if low <= item.middle < high]
        if inside:
            yield CurvePoint(
                low=low,
                high=high,
                results=len(inside),
                predicted=statistics.geometric_mean(item.middle for item in inside),
                measured=statistics.geometric_mean(item.ratio for item in inside),
            )

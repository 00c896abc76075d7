"""Figures of the latest benchmark of each model and device. Pure: computed off the GUI thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.core.measurement import Measurement
from studio.core.statistics import LatencySummary, RatioEstimate, compare, summarize


@dataclass(frozen=True)
class BenchRow:
    """One model on one device; `ratio` is None for a baseline."""

    name: str
    device: str
    summary: LatencySummary
    ratio: RatioEstimate | None
    load_ms: float
    first_ms: float
    memory_bytes: int | None
    notes: tuple[str, ...]
    synthetic: bool
    samples_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]

    @property
    def key(self) -> str:
        """Name its series, as `Subject.key` does."""
        return f"{self.name} @ {self.device}"


def latest_rows(measurements: Sequence[Measurement]) -> tuple[BenchRow, ...]:
    """Give a row for the latest measurement of each model and device, in the order of their first appearance."""
    by_id = {item.id: item for item in measurements}
    latest: dict[tuple[str, str], Measurement] = {}
    for item in measurements:
        if item.samples_ns:
            latest[item.model_name, item.device.spec] = item
    return tuple(_row(item, by_id.get(item.paired_with)) for item in latest.values())


def _row(item: Measurement, baseline: Measurement | None) -> BenchRow:
    return BenchRow(
        name=item.model_name,
        device=item.device.spec,
        summary=summarize(item.samples_ns, item.batch),
        ratio=compare(baseline.samples_ns, item.samples_ns) if baseline is not None else None,
        load_ms=item.load_ns / 1e6,
        first_ms=item.first_ns / 1e6,
        memory_bytes=item.memory.peak_delta if item.memory else None,
        notes=(*item.noise, *item.warnings),
        synthetic=item.synthetic,
        samples_ns=item.samples_ns,
        warmup_ns=item.warmup_ns,
    )

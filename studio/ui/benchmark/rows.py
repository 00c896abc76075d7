"""Figures of the latest benchmark of each model and device. Pure: computed off the GUI thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.core.continuation import chain, pooled_pair
from studio.core.machine.blocks import Stability, together
from studio.core.measurement import Measurement
from studio.core.statistics import LatencySummary, RatioEstimate, compare, summarize
from studio.ui.benchmark.series import LivePair, LiveSeries, past_pair


@dataclass(frozen=True)
class BenchRow:
    """One model on one device, with all runs that continue each other; `ratio` is None for a baseline.

    `spans` are the samples that something disturbed, as first and end; `baseline` is the key of its partner.
    """

    name: str
    sha256: str
    device: str
    summary: LatencySummary
    ratio: RatioEstimate | None
    load_ms: float
    first_ms: float
    memory_bytes: int | None
    loaded_bytes: int | None
    notes: tuple[str, ...]
    synthetic: bool
    samples_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    stability: Stability | None = None
    spans: tuple[tuple[int, int], ...] = ()
    pair: LivePair | None = None
    baseline: str = ""
    runs: int = 1

    @property
    def key(self) -> str:
        """Name its series, as `Subject.key` does."""
        return f"{self.name} @ {self.device}"

    def series(self) -> LiveSeries:
        """Give its samples ready to be drawn."""
        made = LiveSeries(self.key)
        made.add(self.warmup_ns, "warmup")
        made.add(self.samples_ns, "steady")
        text = " ".join(self.stability.noise) if self.stability else ""
        for first, end in self.spans:
            made.disturb(first, end, text)
        return made


def latest_rows(measurements: Sequence[Measurement]) -> tuple[BenchRow, ...]:
    """Give a row for the latest measurement of each model and device, in the order of their first appearance."""
    by_id = {item.id: item for item in measurements}
    latest: dict[tuple[str, str], Measurement] = {}
    for item in measurements:
        if item.samples_ns:
            latest[item.model_name, item.device.spec] = item
    return tuple(_row(item, by_id) for item in latest.values())


def _row(item: Measurement, by_id: dict[str, Measurement]) -> BenchRow:
    links = chain(item, by_id)
    samples = tuple(sample for link in links for sample in link.samples_ns)
    pair = pooled_pair(item, by_id)
    ratio = compare(*pair) if pair is not None else None
    baseline = by_id.get(item.paired_with)
    key = f"{item.model_name} @ {item.device.spec}"
    return BenchRow(
        name=item.model_name,
        sha256=item.model_sha256,
        device=item.device.spec,
        summary=summarize(samples, item.batch),
        ratio=ratio,
        load_ms=item.load_ns / 1e6,
        first_ms=item.first_ns / 1e6,
        memory_bytes=item.memory.peak_delta if item.memory else None,
        loaded_bytes=max(0, item.memory.loaded - item.memory.before) if item.memory else None,
        notes=tuple(dict.fromkeys(note for link in links for note in (*link.noise, *link.warnings))),
        synthetic=item.synthetic,
        samples_ns=samples,
        warmup_ns=links[0].warmup_ns,
        stability=together([link.stability for link in links if link.stability is not None]),
        spans=tuple(_spans(links)),
        pair=past_pair(key, *pair, ratio) if pair is not None and ratio is not None else None,
        baseline=f"{baseline.model_name} @ {baseline.device.spec}" if baseline is not None else "",
        runs=len(links),
    )


def _spans(links: Sequence[Measurement]) -> list[tuple[int, int]]:
    """List what was disturbed among the samples of all links."""
    found: list[tuple[int, int]] = []
    start = 0
    for link in links:
        spans = link.stability.spans if link.stability is not None else ()
        found.extend((start + first, start + end) for first, end in spans)
        start += len(link.samples_ns)
    return found

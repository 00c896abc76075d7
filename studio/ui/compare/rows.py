"""What is known of each variant on each device, and what it can be compared by. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from studio.core.energy import NOT_READABLE
from studio.core.evaluation import Evaluation
from studio.core.project import Variant
from studio.core.statistics import RatioEstimate
from studio.ui.benchmark.rows import BenchRow
from studio.ui.text import difference, size

UNKNOWN = "–"


@dataclass(frozen=True)
class Quantity:
    """Something to compare by: its title with the unit, whether less of it is better, and how it is written."""

    key: str
    title: str
    less_is_better: bool
    pattern: str = "{:,.2f}"

    def text(self, value: float) -> str:
        """Write a value."""
        return size(value) if self.pattern == "size" else self.pattern.format(value)


QUANTITIES = (
    Quantity("p50", "p50 latency (ms)", True, "{:.3f} ms"),
    Quantity("p90", "p90 latency (ms)", True, "{:.3f} ms"),
    Quantity("p99", "p99 latency (ms)", True, "{:.3f} ms"),
    Quantity("ratio", "times as fast as the baseline", False, "{:.2f}x"),
    Quantity("throughput", "throughput (samples/s)", False, "{:,.0f}/s"),
    Quantity("memory", "memory while running (bytes)", True, "size"),
    Quantity("load", "time to load (ms)", True, "{:.0f} ms"),
    Quantity("first", "first inference (ms)", True, "{:.1f} ms"),
    Quantity("size", "size on disk (bytes)", True, "size"),
    Quantity("nodes", "nodes", True, "{:,.0f}"),
    Quantity("accuracy", "accuracy", False, "{:.2f}"),
    Quantity("energy", "energy (mJ an inference)", True, "{:.2f} mJ"),
)
BY_KEY = {item.key: item for item in QUANTITIES}

#: title to tooltip
HEADS = {
    "Variant": "A double click shows it",
    "Device": "Where it was measured",
    "p50": "Median latency",
    "p90": "90 of 100 inferences are faster; in brackets where there are fewer than 64 samples",
    "p99": "99 of 100 inferences are faster; in brackets where there are fewer than 662 samples",
    "Ratio": "Baseline latency over this latency, measured in pairs, with its 95 % interval and verdict",
    "Throughput": "Samples a second, one inference after the other",
    "Memory": "What loading and running added to resident memory at most",
    "Load": "Time to load, in a process that ran nothing else",
    "First": "Time of the first inference",
    "Size": "Bytes of the model's files",
    "Nodes": "Nodes of the graph",
    "Accuracy": "Metric of the latest evaluation, with its 95 % interval",
    "Against the baseline": "Change of the metric on the same samples, with its 95 % interval",
    "Energy": "Energy of one inference, from Start and memory, where the system lets it be read",
}


@dataclass(frozen=True)
class CompareRow:
    """A variant on a device: what is shown of each column, by what it is sorted, and its quantities by key."""

    variant: str
    name: str
    device: str
    cells: tuple[str, ...]
    keys: tuple[float | str, ...]
    values: Mapping[str, float] = field(default_factory=dict)
    #: 95 % intervals of those quantities that have one
    spans: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The variant, and where it ran."""
        return f"{self.name} @ {self.device}" if self.device != UNKNOWN else self.name


def compare_rows(
    variants: Sequence[Variant],
    bench: Sequence[BenchRow],
    evaluations: Sequence[Evaluation],
    energy: Mapping[tuple[str, str], float] | None = None,
    *,
    readable: bool = True,
) -> tuple[CompareRow, ...]:
    """Join what is known of each variant; one that was measured on several devices has a row for each.

    Parameters
    ----------
    energy
        Joules of an inference by sha256 and device, where they were measured.
    readable
        Whether this system lets energy be read.
    """
    rows: list[CompareRow] = []
    for variant in variants:
        measured: list[BenchRow | None] = [row for row in bench if row.sha256 == variant.model]
        scored = [item for item in evaluations if item.model_sha256 == variant.model]
        for row in measured or [None]:
            joules = (energy or {}).get((variant.model, row.device if row else ""))
            rows.append(_row(variant, row, scored[-1] if scored else None, joules, readable=readable))
    return tuple(rows)


def front(rows: Sequence[CompareRow], x: Quantity, y: Quantity) -> list[CompareRow]:
    """Give the Pareto front, in the order of x: rows that no other is at least as good as in both and better in one."""
    known = [row for row in rows if x.key in row.values and y.key in row.values]
    places = [(_cost(row, x), _cost(row, y)) for row in known]
    kept = [
        row
        for row, (a, b) in zip(known, places, strict=True)
        if not any(c <= a and d <= b and (c, d) != (a, b) for c, d in places)
    ]
    return sorted(kept, key=lambda row: row.values[x.key])


def as_csv(rows: Sequence[CompareRow]) -> str:
    """Write the table as CSV: what is shown, then every quantity as a plain number with its interval."""
    sink = io.StringIO()
    writer = csv.writer(sink)
    numbers = [key for item in QUANTITIES for key in (item.key, f"{item.key} low", f"{item.key} high")]
    spanned = {key for row in rows for key in row.spans}
    numbers = [key for key in numbers if " " not in key or key.split()[0] in spanned]
    writer.writerow([*HEADS, *numbers])
    for row in rows:
        writer.writerow([*row.cells, *(_number(row, key) for key in numbers)])
    return sink.getvalue()


def _number(row: CompareRow, key: str) -> str:
    name, _, end = key.partition(" ")
    value = row.spans[name][end == "high"] if end and name in row.spans else row.values.get(name) if not end else None
    return "" if value is None else f"{value:.10g}"


def _cost(row: CompareRow, quantity: Quantity) -> float:
    value = row.values[quantity.key]
    return value if quantity.less_is_better else -value


def _row(
    variant: Variant, row: BenchRow | None, score: Evaluation | None, joules: float | None, *, readable: bool
) -> CompareRow:
    scale, unit = _scale(score)
    values = {"size": float(variant.bytes), "nodes": float(variant.nodes)}
    spans: dict[str, tuple[float, float]] = {}
    if row is not None:
        _add_bench(values, spans, row)
    if score is not None:
        values["accuracy"] = score.estimate.value * scale
        spans["accuracy"] = (score.estimate.low * scale, score.estimate.high * scale)
    if joules is not None:
        values["energy"] = joules * 1e3
    cells = {
        "Variant": variant.name,
        "Device": row.device if row else UNKNOWN,
        "p90": _percentile(row, "p90"),
        "p99": _percentile(row, "p99"),
        "Ratio": _ratio(row),
        "Accuracy": _accuracy(score, scale, unit),
        "Against the baseline": difference(score.difference, score.unit) if score and score.difference else UNKNOWN,
        "Energy": _energy(joules, readable=readable),
    }
    for quantity in QUANTITIES:
        head = quantity.key.capitalize() if quantity.key not in ("p50", "p90", "p99") else quantity.key
        if head not in cells:
            cells[head] = quantity.text(values[quantity.key]) if quantity.key in values else UNKNOWN
    gap = score.difference.value if score and score.difference else 0.0
    keys: dict[str, float | str] = {"Variant": variant.name, "Device": cells["Device"], "Against the baseline": gap}
    last = float("inf")
    return CompareRow(
        variant=variant.id,
        name=variant.name,
        device=cells["Device"],
        cells=tuple(cells[head] for head in HEADS),
        keys=tuple(keys[head] if head in keys else values.get(head.lower(), last) for head in HEADS),
        values=values,
        spans=spans,
    )


def _add_bench(values: dict[str, float], spans: dict[str, tuple[float, float]], row: BenchRow) -> None:
    summary = row.summary
    values.update(p50=summary.p50_ms, throughput=summary.throughput_per_s, load=row.load_ms, first=row.first_ms)
    if summary.p90_supported:
        values["p90"] = summary.p90_ms
    if summary.p99_supported:
        values["p99"] = summary.p99_ms
    if row.memory_bytes is not None:
        values["memory"] = float(row.memory_bytes)
    ratio: RatioEstimate | None = row.ratio
    values["ratio"] = ratio.ratio if ratio is not None else 1.0
    if ratio is not None:
        spans["ratio"] = (ratio.low, ratio.high)


def _scale(score: Evaluation | None) -> tuple[float, str]:
    if score is None:
        return 1.0, ""
    return (100.0, " %") if score.unit == "fraction" else (1.0, f" {score.unit}" if score.unit else "")


def _percentile(row: BenchRow | None, name: str) -> str:
    if row is None:
        return UNKNOWN
    value = row.summary.p90_ms if name == "p90" else row.summary.p99_ms
    supported = row.summary.p90_supported if name == "p90" else row.summary.p99_supported
    return f"{value:.3f} ms" if supported else f"({value:.3f} ms)"


def _ratio(row: BenchRow | None) -> str:
    if row is None:
        return UNKNOWN
    return f"{row.ratio.text} {row.ratio.verdict}" if row.ratio is not None else "baseline"


def _accuracy(score: Evaluation | None, scale: float, unit: str) -> str:
    if score is None:
        return UNKNOWN
    found = score.estimate
    return f"{found.value * scale:.2f}{unit} ({found.low * scale:.2f} to {found.high * scale:.2f})"


def _energy(joules: float | None, *, readable: bool) -> str:
    if joules is not None:
        return f"{joules * 1e3:.2f} mJ"
    return UNKNOWN if readable else NOT_READABLE

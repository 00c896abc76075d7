"""Tables of measurements and evaluations for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from studio.cli.grid import print_grid
from studio.core.machine.processes import ProcessSpread
from studio.core.passes import Range
from studio.core.runtime import ExecutedNode
from studio.report.shapes import BenchDocument, BenchModel, BenchPair, EvaluationRow, StepRow
from studio.report.text import expectation, size

BENCH = ("model", "device", "p50", "p90", "p99", "samples", "ratio", "load", "first", "memory", "size")
#: executed nodes shown; --json has them all
TOP_LAYERS = 15


def print_bench(console: Console, document: BenchDocument) -> None:
    """Write the latency table, then what disturbed it."""
    ratios = {(pair.model, pair.device): pair for pair in document.pairs}
    rows = []
    for row in document.models:
        pair = ratios.get((row.name, row.device))
        ratio = f"{pair.ratio:.2f}x ({pair.low:.2f}-{pair.high:.2f}) {pair.verdict}" if pair else "baseline"
        rows.append((row.name, row.device, *_latency(row), ratio, *_footprint(row)))
    print_grid(console, BENCH, rows, right=set(BENCH) - {"model", "device", "ratio"}, heads=2)
    for row in document.models:
        if row.stability is not None:
            style = "dim" if row.stability.verdict == "stable" else "yellow"
            console.print(f"{row.name} on {row.device}: {row.stability.text}", style=style, markup=False)
        for note in row.warnings:
            console.print(f"{row.name} on {row.device}: {note}", style="yellow", markup=False)
        if row.between_processes is not None:
            console.print(f"{row.name} on {row.device}: p50 {_between(row.between_processes, 'ms')}", markup=False)
        _layers(console, row)
    for pair in document.pairs:
        if pair.expected is not None:
            console.print(f"{pair.model} on {pair.device}: {_judged(pair, pair.expected)}", markup=False)
        if pair.between_processes is not None:
            console.print(f"{pair.model} on {pair.device}: ratio {_between(pair.between_processes, 'x')}", markup=False)
    if any(row.synthetic for row in document.models):
        console.print("Inputs were generated: latency may differ with real data (give --data).", style="dim")
    for failure in document.failures:
        console.print(f"FAILED {failure.name} on {failure.device}: {failure.message} {failure.hint}", markup=False)


def _judged(pair: BenchPair, expected: Range) -> str:
    inside = expected.low <= pair.ratio <= expected.high
    verdict = "as expected" if inside else "more than expected" if pair.ratio > expected.high else "less than expected"
    return f"{pair.ratio:.2f}x, {verdict} ({expectation(expected)}: {expected.reason})"


def _between(found: ProcessSpread, unit: str) -> str:
    each = ", ".join(f"{value:.3f}" for value in found.values)
    interval = f"{found.low:.3f}-{found.high:.3f}"
    return (
        f"{found.middle:.3f} {unit} ({interval}) over {len(found.values)} processes, "
        f"which differ by {found.spread:.1%} (standard deviation): {each}"
    )


def _latency(row: BenchModel) -> tuple[str, str, str, str]:
    figures = row.latency_ms
    few90, few99 = "-" if figures.p90 is None else f"{figures.p90:.3f}", "-"
    if figures.p99 is not None:
        few99 = f"{figures.p99:.3f}"
    return f"{figures.p50:.3f} ms", few90, few99, str(figures.samples)


def _footprint(row: BenchModel) -> tuple[str, str, str, str]:
    memory = "" if row.peak_memory_bytes is None else size(row.peak_memory_bytes)
    return f"{row.load_ms:.1f} ms", f"{row.first_ms:.2f} ms", memory, size(row.bytes)


def _layers(console: Console, row: BenchModel) -> None:
    if not row.layers:
        return
    total = sum(node.nanoseconds for node in row.layers)
    console.print(f"{row.name} on {row.device}: executed nodes (counters on: slower than the clean latency)")
    nodes = sorted(row.layers, key=lambda item: -item.nanoseconds)[:TOP_LAYERS]
    titles = ("operator", "time", "share", "node", "kernel", "runs")
    print_grid(console, titles, [_layer(node, total) for node in nodes])


def _layer(node: ExecutedNode, total: int) -> tuple[str, ...]:
    share = f"{100 * node.nanoseconds / total:.1f} %" if total else ""
    time = f"{node.nanoseconds / 1e6:.3f} ms"
    runs = ", ".join(node.sources)
    if node.inserted:
        runs = f"inserted before {', '.join(node.feeds[:1]) or 'the output'}"
    return (node.operator, time, share, node.name, f"{node.kernel} {node.precision}".strip(), runs)


def print_evaluations(console: Console, rows: Sequence[EvaluationRow]) -> None:
    """Write the accuracy table."""
    cells = []
    for row in rows:
        scale, unit = (100.0, " %") if row.unit == "fraction" else (1.0, f" {row.unit}" if row.unit else "")
        digits = 4 if row.unit == "" and abs(row.value) < 10 else 2
        interval = f"{row.low * scale:.{digits}f} to {row.high * scale:.{digits}f}"
        value = f"{row.value * scale:.{digits}f}{unit}"
        cells.append((row.model, row.metric, value, interval, str(row.samples), _delta(row, scale)))
    print_grid(console, ("model", "metric", "value", "95 % interval", "samples", "against the baseline"), cells)
    for note in dict.fromkeys(note for row in rows for note in row.warnings):
        console.print(note, style="yellow", markup=False)
    if any(row.synthetic for row in rows):
        console.print("Inputs were generated: this says little about real data (give --data).", style="yellow")


def _delta(row: EvaluationRow, scale: float) -> str:
    if row.delta is None or row.delta_low is None or row.delta_high is None:
        return ""
    points = " pp" if row.unit == "fraction" else ""
    verdict = "significant" if row.significant else "no significant difference"
    digits = 4 if row.unit == "" and abs(row.value) < 10 else 2
    low, high = (f"{end * scale:+.{digits}f}" for end in (row.delta_low, row.delta_high))
    text = f"{row.delta * scale:+.{digits}f}{points} ({low} to {high}): {verdict}"
    if row.p is not None and row.delta:
        text = f"{text}, p {row.p:.3f}" if row.p >= 0.001 else f"{text}, p < 0.001"
    return text if row.agreement is None else f"{text}; agreement {100 * row.agreement:.1f} %"


def print_steps(console: Console, rows: Sequence[StepRow]) -> None:
    """Write what each step did and how it was verified."""
    for row in rows:
        changed = ", ".join(f"{number} {kind}" for kind, number in row.nodes_changed.items()) or "nothing changed"
        console.print(f"{row.id}: {changed}, {row.nodes} nodes, {row.seconds:.1f} s", markup=False)
        check = row.verification
        if check is not None:
            sqnr = "identical" if check.identical else f"SQNR {check.sqnr_db:.1f} dB" if check.sqnr_db else "checked"
            data = "generated inputs" if check.synthetic else "samples"
            agree = "" if check.top1_agreement is None else f", top-1 agreement {100 * check.top1_agreement:.1f} %"
            console.print(f"  verified on {check.runtime}: {sqnr}{agree} over {check.samples} {data}", markup=False)
        for warning in row.warnings:
            console.print(f"  warning: {warning}", style="yellow", markup=False)

"""One self-contained HTML page: no script, no request, charts as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from studio import __version__
from studio.core.environment import Environment
from studio.core.modelinfo import ModelInfo
from studio.report.shapes import BenchDocument, BenchModel, BenchPair, EvaluationRow, StepRow
from studio.report.text import count, size

STYLE = """
:root { color-scheme: light dark; --ink: #1c2026; --dim: #59626e; --page: #ffffff; --line: #d5dae1; --bar: #2f6fb4;
  --mark: #b4472f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --dim: #a4adba; --page: #16191e; --line: #39404b;
  --bar: #6aa8e8; --mark: #f0937c; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } th { color: var(--dim); font-weight: 500; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1.5rem 0; } figure svg { max-width: 100%; height: auto; }
.dim { color: var(--dim); } .own text { fill: var(--ink); font: 13px system-ui, sans-serif; }
.bar { fill: var(--bar); } .mark { stroke: var(--mark); stroke-width: 2; } .axis { stroke: var(--dim); }
"""


@dataclass(frozen=True)
class Drawing:
    """A chart as a whole SVG document, drawn by the application."""

    title: str
    svg: str


@dataclass(frozen=True)
class Report:
    """What the page shows.

    Attributes
    ----------
    steps
        Those of each variant by name.
    table
        Heads and rows of an overview; None for none.
    """

    title: str
    info: ModelInfo | None
    steps: Mapping[str, Sequence[StepRow]]
    bench: BenchDocument | None
    evaluations: Sequence[EvaluationRow]
    chosen: str = ""
    drawings: Sequence[Drawing] = ()
    table: tuple[Sequence[str], Sequence[Sequence[str]]] | None = None


def report_html(report: Report) -> str:
    """Write the page; every text of a model is escaped."""
    parts = [f"<h1>{escape(report.title)}</h1>"]
    if report.info is not None:
        parts.append(_model(report.info))
    if report.table is not None:
        parts.append(f"<h2>Overview</h2>{_table(*report.table)}")
    parts += [_drawing(item) for item in report.drawings]
    if report.bench is not None:
        parts += [_latency(report.bench), _ratios(report.bench.pairs)]
    if report.evaluations:
        parts.append(_accuracy(report.evaluations))
    parts += [_steps(name, rows, report.chosen) for name, rows in report.steps.items()]
    if report.bench is not None:
        parts.append(_environment(report.bench.environment))
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{STYLE}</style></head>\n<body>{body}\n"
        f'<p class="dim">Made by Burnish {__version__}.</p></body></html>\n'
    )


def _drawing(drawing: Drawing) -> str:
    """Put a chart into the page as it is: its texts stay texts."""
    _, _, inner = drawing.svg.partition("<svg ")
    return f'<figure class="scroll" role="img" aria-label="{escape(drawing.title)}"><svg {inner}</figure>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>"
        + "".join(f"<td{' class=n' if i in numeric else ''}>{escape(cell)}</td>" for i, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _model(info: ModelInfo) -> str:
    operators = ", ".join(f"{name} {number}" for name, number in list(info.operators.items())[:12])
    macs = "unknown" if info.macs is None else count(info.macs)
    return (
        f"<p>{escape(info.path.name)}: {size(info.bytes)}, {count(info.parameters)} parameters, {macs} MACs, "
        f'{info.nodes} nodes.<br><span class="dim">{escape(operators)}</span></p>'
    )


def _latency(bench: BenchDocument) -> str:
    rows = [_latency_row(row) for row in bench.models]
    heads = ("model", "device", "p50", "p90", "p99", "samples", "load", "first", "peak memory", "size")
    notes = [f"{row.name} on {row.device}: {note}" for row in bench.models for note in (*row.noise, *row.warnings)]
    notes += [f"{item.name} on {item.device} failed: {item.message} {item.hint}" for item in bench.failures]
    if any(row.synthetic for row in bench.models):
        notes.append("Inputs were generated.")
    text = "".join(f'<p class="dim">{escape(note)}</p>' for note in dict.fromkeys(notes))
    return f"<h2>Latency</h2>{_table(heads, rows, range(2, 10))}{text}"


def _latency_row(row: BenchModel) -> list[str]:
    figures = row.latency_ms
    tail = ["-" if value is None else f"{value:.3f} ms" for value in (figures.p90, figures.p99)]
    memory = "-" if row.peak_memory_bytes is None else size(row.peak_memory_bytes)
    times = [f"{row.load_ms:.1f} ms", f"{row.first_ms:.2f} ms"]
    return [row.name, row.device, f"{figures.p50:.3f} ms", *tail, str(figures.samples), *times, memory, size(row.bytes)]


def _ratios(pairs: Sequence[BenchPair]) -> str:
    """Draw the ratios with their intervals; right of the line is faster than the baseline."""
    if not pairs:
        return ""
    left, width, height = 220, 420, 34
    top = max(1.2, *(pair.high for pair in pairs)) * 1.05
    scale = width / top
    lines = [f'<line class="axis" x1="{left + scale:.1f}" x2="{left + scale:.1f}" y1="0" y2="{height * len(pairs)}"/>']
    for index, pair in enumerate(pairs):
        y = index * height + 8
        middle = y + 9
        label = pair.model if len({item.device for item in pairs}) == 1 else f"{pair.model} · {pair.device}"
        verdict = f"{pair.ratio:.2f}x ({pair.low:.2f}-{pair.high:.2f}) {pair.verdict}"
        lines += [
            f'<text x="0" y="{middle + 4}">{escape(label[:32])}</text>',
            f'<rect class="bar" x="{left}" y="{y}" width="{pair.ratio * scale:.1f}" height="18" rx="2"/>',
            f'<line class="mark" x1="{left + pair.low * scale:.1f}" x2="{left + pair.high * scale:.1f}" '
            f'y1="{middle}" y2="{middle}"/>',
            f'<text x="{left + width + 8}" y="{middle + 4}">{escape(verdict)}</text>',
        ]
    drawn = "".join(lines)
    return (
        "<h2>Speed against the baseline</h2>"
        f'<div class="scroll"><svg class="own" width="960" height="{height * len(pairs) + 4}" role="img" '
        f'aria-label="Ratio of latencies, baseline over variant">{drawn}</svg></div>'
        f'<p class="dim">Baseline latency over variant latency, measured in pairs in random order; {pairs[0].pairs} '
        "pairs or so each; the line across a bar is the 95 % interval; the vertical line is 1.0x.</p>"
    )


def _accuracy(rows: Sequence[EvaluationRow]) -> str:
    cells = []
    for row in rows:
        scale, unit = (100.0, " %") if row.unit == "fraction" else (1.0, f" {row.unit}" if row.unit else "")
        delta = ""
        if row.delta is not None and row.delta_low is not None and row.delta_high is not None:
            verdict = "significant" if row.significant else "no significant difference"
            delta = (
                f"{row.delta * scale:+.2f} ({row.delta_low * scale:+.2f} to {row.delta_high * scale:+.2f}): {verdict}"
            )
        interval = f"{row.low * scale:.2f} to {row.high * scale:.2f}"
        cells.append([row.model, row.metric, f"{row.value * scale:.2f}{unit}", interval, str(row.samples), delta])
    heads = ("model", "metric", "value", "95 % interval", "samples", "against the baseline")
    return f"<h2>Accuracy</h2>{_table(heads, cells, (2, 4))}"


def _steps(name: str, rows: Sequence[StepRow], chosen: str) -> str:
    cells = []
    for row in rows:
        check = row.verification
        verified = "nothing changed"
        if check is not None:
            gap = "identical" if check.identical else "" if check.sqnr_db is None else f"{check.sqnr_db:.1f} dB SQNR"
            verified = (
                f"{gap} on {check.runtime}, {check.samples} {'generated inputs' if check.synthetic else 'samples'}"
            )
        changed = ", ".join(f"{number} {kind}" for kind, number in row.nodes_changed.items()) or "nothing"
        params = ", ".join(f"{key}={value}" for key, value in row.params.items())
        cells.append([row.id, changed, verified, f"{row.seconds:.1f} s", params, " ".join(row.warnings)])
    mark = " (chosen)" if name == chosen else ""
    heads = ("step", "nodes changed", "verified", "time", "parameters", "warnings")
    return f"<h2>{escape(name)}{mark}</h2>{_table(heads, cells)}"


def _environment(found: Environment) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in found.libraries.items())
    rows = [
        ["processor", f"{found.cpu}: {' '.join(found.instruction_sets)}"],
        ["cores", f"{found.physical_cores} physical, {found.logical_cores} logical"],
        ["memory", size(found.memory_bytes)],
        ["system", f"{found.system}, Python {found.python}{', virtual machine' if found.virtual_machine else ''}"],
        ["governor", found.governor or "not readable here"],
        ["libraries", libraries],
    ]
    return f"<h2>Measured on</h2>{_table(('what', 'value'), rows)}"

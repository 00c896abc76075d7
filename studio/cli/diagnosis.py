"""Profiles and explanations, as documents and as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from rich.console import Console

from studio.cli.grid import print_grid
from studio.core.diagnosis.explanation import Cause, Explanation
from studio.core.frozen import Frozen
from studio.core.profile import LayerProfile, Profile, slowest
from studio.report.shapes import VERSION, Document
from studio.report.text import count, size

#: nodes of a cause that are named; --json has all
_NAMED = 4
_KINDS = ("kind", "kernels", "time", "share")
_LAYERS = ("operator", "time", "share", "node", "precision", "layout", "kernel", "on", "MACs", "bytes")


class ProfileRow(Frozen):
    """A profile; times in milliseconds. `unexplained_ms` is `beside_ms`, without counters, less the sum of layers."""

    profile: Profile
    clean_ms: float | None
    beside_ms: float | None
    counted_ms: float
    unexplained_ms: float | None


class ProfileDocument(Document):
    """``profile --json``."""

    profiles: tuple[ProfileRow, ...]
    trace: Path | None = None

    @classmethod
    def of(cls, profiles: Sequence[Profile], trace: Path | None) -> Self:
        """Make it of profiles."""
        return cls(profiles=tuple(_row(profile) for profile in profiles), trace=trace and trace.absolute())


class ExplainDocument(Explanation):
    """``explain --json``."""

    version: int = VERSION


def print_profile(console: Console, profiles: Sequence[Profile], top: int, trace: Path | None) -> None:
    """Write the slowest layers of each profile, and the sum beside the clean latency."""
    for profile in profiles:
        console.print(f"{profile.model_name} on {profile.device} {_threads(profile)}".rstrip(), style="bold")
        if profile.layers:
            rows = [_layer(layer, profile) for layer in slowest(profile.layers)[:top]]
            print_grid(console, _LAYERS, rows, right={"time", "share", "MACs", "bytes"}, heads=1)
            hidden = len(profile.layers) - len(rows)
            if hidden > 0:
                console.print(f"{hidden} more layers: --top {len(profile.layers)}, or --json.", style="dim")
            print_grid(
                console, ("kind", "kernels", "time", "share"), _kinds(profile), right={"kernels", "time", "share"}
            )
        else:
            console.print("This runtime counts no layers.", style="yellow")
        console.print(_sum(profile), markup=False)
        for note in (*profile.warnings, *profile.noise):
            console.print(note, style="yellow", markup=False)
        if profile.synthetic:
            console.print("Inputs were generated: latency may differ with real data (give --data).", style="dim")
    if trace is not None:
        console.print(f"trace: {trace} (open it in ui.perfetto.dev or chrome://tracing)", markup=False)


def print_explanation(console: Console, found: Explanation) -> None:
    """Write the difference, then cause by cause what makes it."""
    first, second = found.baseline, found.variant
    print_grid(
        console,
        ("", "model", "device", "p50", "kernels", "sum of layers", "threads"),
        [(label, *_side(profile)) for label, profile in (("A", first), ("B", second))],
    )
    word = "slower" if found.difference.milliseconds > 0 else "faster"
    if found.ratio.verdict == "no significant difference":
        word = "not significantly different"
    console.print(f"B is {word}: {found.difference.text}, ratio {found.ratio.text}, {found.difference.pairs} pairs")
    rows = [(f"{cause.milliseconds:+.3f} ms", cause.title, *_about(cause)) for cause in found.causes]
    rows.append((f"{found.remainder_ms:+.3f} ms", "Remainder: what nothing above explains", "", ""))
    rows.append((f"{found.difference.milliseconds:+.3f} ms", "Sum: the measured difference", "", ""))
    print_grid(console, ("B - A", "cause", "seen", "nodes"), rows, right={"B - A"}, heads=2)
    for cause in found.causes:
        if cause.remedy is not None:
            step = f"  --step '{cause.remedy.step}'" if cause.remedy.step else ""
            console.print(f"{cause.milliseconds:+.3f} ms, {cause.kind}: {cause.remedy.text}{step}", markup=False)
    for note in found.notes:
        console.print(note, style="yellow", markup=False)


def _row(profile: Profile) -> ProfileRow:
    rest = profile.unexplained_ns
    return ProfileRow(
        profile=profile,
        clean_ms=None if profile.clean_ns is None else profile.clean_ns / 1e6,
        beside_ms=None if profile.beside_ns is None else profile.beside_ns / 1e6,
        counted_ms=profile.counted_ns / 1e6,
        unexplained_ms=None if rest is None else rest / 1e6,
    )


def _layer(layer: LayerProfile, profile: Profile) -> tuple[str, ...]:
    nodes = " + ".join(layer.nodes) or layer.name
    if layer.inserted:
        nodes = f"inserted before {', '.join(layer.feeds[:1]) or 'the output'}"
    return (
        layer.operator,
        f"{layer.milliseconds:.3f} ms",
        _share(layer.nanoseconds, profile.counted_ns),
        nodes,
        layer.precision,
        layer.layout,
        layer.kernel,
        layer.placement if layer.placement != profile.device else "",
        count(layer.macs) if layer.macs else "",
        size(layer.bytes) if layer.bytes else "",
    )


def _kinds(profile: Profile) -> list[tuple[str, ...]]:
    times: Counter[str] = Counter()
    for layer in profile.layers:
        times[layer.kind] += layer.nanoseconds
    numbers: Counter[str] = Counter(layer.kind for layer in profile.layers)
    return [
        (kind, str(numbers[kind]), f"{time / 1e6:.3f} ms", _share(time, profile.counted_ns))
        for kind, time in times.most_common()
    ]


def _sum(profile: Profile) -> str:
    text = f"sum of {len(profile.layers)} layers {profile.counted_ns / 1e6:.3f} ms (counters on, {profile.runs} runs)"
    if profile.clean_ns is None or profile.unexplained_ns is None:
        return text
    clean = f"clean latency {profile.clean_ns / 1e6:.3f} ms (median of {profile.samples})"
    if profile.beside_ns is not None:
        clean += f", {profile.beside_ns / 1e6:.3f} ms in turns with the counted runs"
    meaning = "between kernels" if profile.unexplained_ns >= 0 else "what counting costs"
    return f"{clean}; {text}; unexplained {profile.unexplained_ns / 1e6:+.3f} ms ({meaning})"


def _side(profile: Profile) -> tuple[str, ...]:
    clean = "" if profile.clean_ns is None else f"{profile.clean_ns / 1e6:.3f} ms"
    threads = str(profile.options.threads or "runtime's choice")
    counted = f"{profile.counted_ns / 1e6:.3f} ms"
    return profile.model_name, profile.device, clean, str(len(profile.layers)), counted, threads


def _about(cause: Cause) -> tuple[str, str]:
    more = f" and {len(cause.nodes) - _NAMED} more" if len(cause.nodes) > _NAMED else ""
    return cause.evidence, ", ".join(cause.nodes[:_NAMED]) + more


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def _threads(profile: Profile) -> str:
    threads = profile.options.threads
    return "" if threads is None else f"with {threads} thread{'s' if threads > 1 else ''}"

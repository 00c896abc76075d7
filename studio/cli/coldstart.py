"""Cold starts as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from studio.analysis.cold import ColdReport, Spread, StartFigures
from studio.cli.grid import print_grid
from studio.core.energy import NOT_READABLE
from studio.report.text import size

_TITLES = ("start", "import", "load", "stages of loading", "first", "steady", "to the first result")


def print_cold(console: Console, reports: Sequence[ColdReport]) -> None:
    """Write for each model what its starts took, and its memory."""
    for report in reports:
        rounds = report.plain.rounds
        console.print(f"{report.model_name} on {report.device}: {rounds} starts in fresh processes", style="bold")
        starts = (("plain", report.plain), ("first with a cache", report.filling), ("from the cache", report.cached))
        print_grid(console, _TITLES, [(name, *_row(figures)) for name, figures in starts if figures is not None])
        activations = "unknown" if report.activation_bytes is None else size(report.activation_bytes)
        console.print(
            f"memory: {_bytes(report.loaded_bytes)} after loading, {_bytes(report.peak_bytes)} at the peak; "
            f"weights {size(report.weight_bytes)} in the file, activations {activations} (planned)",
            markup=False,
        )
        if report.cached is not None:
            console.print(f"kept for a later start: {size(report.cache_bytes)}", markup=False)
        faults = "not known here" if report.faults is None else f"{report.faults.median:.0f}"
        disk = "" if report.major_faults is None else f", {report.major_faults.median:.0f} of them from the disk"
        energy = NOT_READABLE if report.joules is None else f"{1e3 * report.joules.median:.2f} mJ an inference"
        console.print(f"page faults: {faults}{disk}; energy: {energy}", markup=False)
        for note in report.notes:
            console.print(note, style="yellow", markup=False)


def _row(figures: StartFigures) -> tuple[str, ...]:
    stages = ", ".join(f"{name} {spread.median:.1f}" for name, spread in figures.stages.items())
    parts = (figures.engine_import, figures.load)
    after = (figures.first, figures.steady, figures.total)
    return (*map(_ms, parts), f"{stages} ms" if stages else "", *map(_ms, after))


def _ms(spread: Spread) -> str:
    digits = 1 if spread.median >= 10 else 2
    if spread.least == spread.most:
        return f"{spread.median:.{digits}f} ms"
    return f"{spread.median:.{digits}f} ms ({spread.least:.{digits}f}-{spread.most:.{digits}f})"


def _bytes(spread: Spread) -> str:
    return size(spread.median)

"""``burnish calibrate``."""

from __future__ import annotations

import math

import click
from rich.console import Console

from studio.analysis.calibrate import THREADS, Calibration
from studio.cli.app import App
from studio.cli.grid import print_grid
from studio.cli.options import common
from studio.cli.shapes import CalibrateDocument, RecordDocument
from studio.core.machine.profile import KINDS, PRECISIONS, PlaceProfile
from studio.core.machine.record import HitRow, RecordSummary, summarize_record


@click.command("calibrate")
@click.option("--device", "devices", multiple=True, metavar="RUNTIME:DEVICE", help="Only these; else all devices.")
@click.option("--renew", is_flag=True, help="Measure again what is known for this hardware and these versions.")
@click.option(
    "--threads", type=click.IntRange(0), default=THREADS, show_default=True, help="0: as many as the runtime chooses."
)
@click.option("--record", is_flag=True, help="Show what surveys expected beside what was measured, and nothing else.")
@common
def command(app: App, devices: tuple[str, ...], renew: bool, threads: int, record: bool) -> int:
    """Measure what this machine can do, so that surveys expect by it.

    Small built models are timed on every runtime and device, at each precision; it takes under a minute and is
    kept for the hardware and the versions of the runtimes.

    \b
    Examples:
      burnish calibrate
      burnish calibrate --device openvino:CPU --renew
      burnish calibrate --record
    """
    if record:
        facts, problems = app.work.predictions.read()
        summary = summarize_record(facts)
        app.show(RecordDocument(record=summary, problems=problems), lambda console: _print_record(console, summary))
        for problem in problems:
            app.warn(problem)
        return 0
    found = app.session.calibrate(devices, renew=renew, threads=threads or None, watch=app.watcher())
    document = CalibrateDocument(profile=found.profile, measured=found.measured, failures=found.failures)
    app.show(document, lambda console: _print(console, found))
    return 1 if found.failures and not found.profile.places else 0


def _print(console: Console, found: Calibration) -> None:
    console.print(f"{found.profile.cpu}: billions of multiply-accumulates a second", markup=False)
    rows = [
        (place.device, kind, *(_rate(place, kind, precision) for precision in PRECISIONS))
        for place in found.profile.places
        for kind in KINDS
    ]
    print_grid(console, ("device", "layer", *PRECISIONS), rows, right=set(PRECISIONS), heads=2)
    console.print()
    titles = ("device", "cache", "memory", "operator", "call", "add", "softmax", "quantize", "dequantize", "dynamic")
    print_grid(console, titles, list(map(_costs, found.profile.places)), right=set(titles[1:]))
    for place in found.profile.places:
        now = "measured now" if place.device in found.measured else f"measured {place.taken_at[:10]}"
        state = place.stability.text if place.stability else ""
        threads = (
            f"{place.options.threads or 'as many as it chooses'} thread{'' if place.options.threads == 1 else 's'}"
        )
        console.print(f"{place.device} {place.runtime_version}: {now}, {threads}, {place.seconds:.0f} s, {state}")
    for failure in found.failures:
        console.print(f"FAILED {failure.device}: {failure.message} {failure.hint}", style="yellow", markup=False)


def _rate(place: PlaceProfile, kind: str, precision: str) -> str:
    found = place.rate(kind, precision)  # type: ignore[arg-type]
    return "-" if found is None else f"{found / 1e9:.3g}"


def _costs(place: PlaceProfile) -> tuple[str, ...]:
    def speed(found: float | None) -> str:
        return "-" if found is None else f"{found / 1e9:.3g} GB/s"

    elements = ("simple", "heavy", "quantize", "dequantize", "dynamic")
    each = (f"{place.element_ns[name]:.3g} ns" if name in place.element_ns else "-" for name in elements)
    return (
        place.device,
        speed(place.cache_bytes_per_s),
        speed(place.memory_bytes_per_s),
        f"{place.dispatch_ns / 1e3:.3g} us",
        f"{place.call_ns / 1e3:.3g} us",
        *each,
    )


def _print_record(console: Console, found: RecordSummary) -> None:
    if found.overall is None:
        console.print("Nothing was predicted and measured yet: 'burnish optimize … --bench' does both.")
        return
    titles = (
        "passes",
        "device",
        "range from",
        "results",
        "inside",
        "95 % interval",
        "contradicted",
        "measured / predicted",
    )
    rows = [_hits(row) for row in (*found.rows, found.overall)]
    print_grid(console, titles, rows, right=set(titles[3:]))
    console.print()
    points = [
        (
            f"{point.low:g}-{point.high:g}x" if math.isfinite(point.high) else f"from {point.low:g}x",
            str(point.results),
            f"{point.predicted:.2f}x",
            f"{point.measured:.2f}x",
        )
        for point in found.curve
    ]
    print_grid(console, ("predicted", "results", "mean predicted", "mean measured"), points, right={"results"})


def _hits(row: HitRow) -> tuple[str, ...]:
    return (
        " ".join(row.passes) or "all",
        row.device or "all",
        "calibration" if row.calibrated else "pass",
        str(row.results),
        f"{row.hit_rate:.0%}",
        f"{row.hit_low:.0%}-{row.hit_high:.0%}",
        str(row.contradicted),
        f"{row.bias:.2f}",
    )

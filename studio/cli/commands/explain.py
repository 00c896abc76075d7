"""``burnish explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from studio.analysis.explain import explain
from studio.analysis.profile import write_trace
from studio.cli.app import App
from studio.cli.commands.bench import bench_options, make_options, open_subjects
from studio.cli.diagnosis import ExplainDocument, print_explanation
from studio.cli.live import LiveBench
from studio.cli.options import PATH, common, data_option
from studio.core.delivery import check_target


@click.command("explain")
@click.argument("baseline", type=PATH)
@click.argument("variant", type=PATH, required=False)
@click.option(
    "--device", "devices", multiple=True, metavar="RUNTIME:DEVICE", help="Given twice: the variant runs on the second."
)
@click.option("--variant-threads", type=click.IntRange(1), help="Threads of the variant, where they differ.")
@click.option("--trace", type=PATH, help="Write both profiles as a Chrome trace here.")
@data_option
@bench_options
@common
def command(
    app: App,
    baseline: Path,
    variant: Path | None,
    devices: tuple[str, ...],
    variant_threads: int | None,
    trace: Path | None,
    data: Path | None,
    **how: Any,
) -> None:
    """Say why VARIANT is slower or faster than BASELINE: milliseconds for each cause, and what to do.

    Without VARIANT the same model is compared on two devices, or with two numbers of threads. Causes
    and the remainder add up to the difference that was measured in pairs, with counters off.

    \b
    Examples:
      burnish explain model.onnx int8.onnx --device onnxruntime:CPU --threads 1
      burnish explain model.onnx --device onnxruntime:CPU --device openvino:CPU
      burnish explain model.onnx --threads 2 --variant-threads 8
    """
    if len(devices) > 2:
        raise click.UsageError("explain compares two devices at most.")
    if variant is None and len(devices) < 2 and variant_threads is None:
        raise click.UsageError("explain wants a second model, a second --device, or --variant-threads.")
    if trace is not None:
        check_target(trace)
    options = make_options(**how).model_copy(update={"data": data})
    places = [app.session.device(spec, watch=app.watcher()) for spec in devices or ("",)]
    first, second = open_subjects(app, [baseline, variant or baseline], places[:1], options.dims)
    if variant is None:
        first, second = (subject.model_copy(update={"name": baseline.name}) for subject in (first, second))
    second = second.model_copy(update={"device": places[-1]})
    run = options.run.model_copy(update={"threads": variant_threads}) if variant_threads else None
    with LiveBench(app) as live:
        found = explain(app.work, first, second, options, variant_run=run, watch=live)
    if trace is not None:
        write_trace((found.baseline, found.variant), trace)
    app.show(ExplainDocument(**dict(found)), lambda console: print_explanation(console, found))

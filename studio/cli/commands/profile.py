"""``burnish profile``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from studio.analysis.profile import profile_model, write_trace
from studio.cli.app import App
from studio.cli.commands.bench import bench_options, make_options, open_subjects
from studio.cli.diagnosis import ProfileDocument, print_profile
from studio.cli.live import LiveBench
from studio.cli.options import PATH, common, data_option
from studio.core.delivery import check_target


@click.command("profile")
@click.argument("model", type=PATH)
@click.option("--device", "devices", multiple=True, metavar="RUNTIME:DEVICE", help="May be given several times.")
@click.option("--source", type=PATH, help="The model that this one was made from: layers are led back to its nodes.")
@click.option("--trace", type=PATH, help="Write a Chrome trace here, for ui.perfetto.dev or chrome://tracing.")
@click.option("--top", default=25, type=click.IntRange(1), show_default=True, help="Layers shown; --json has all.")
@data_option
@bench_options
@common
def command(
    app: App,
    model: Path,
    devices: tuple[str, ...],
    source: Path | None,
    trace: Path | None,
    top: int,
    data: Path | None,
    **how: Any,
) -> None:
    """Show where the time of a model goes: every kernel that is executed, and the nodes it stands for.

    The sum of the layers stands beside the clean latency, which is measured without counters.

    \b
    Examples:
      burnish profile model.onnx --device openvino:CPU --threads 1
      burnish profile int8.onnx --source model.onnx --trace trace.json
    """
    if trace is not None:
        check_target(trace)
    options = make_options(**how).model_copy(update={"data": data})
    places = tuple(app.session.device(spec, watch=app.watcher()) for spec in devices or ("",))
    subjects = open_subjects(app, [model], places, options.dims)
    made_from = app.work.open_model(source, watch=app.watcher()).artifact if source is not None else None
    with LiveBench(app) as live:
        profiles = tuple(
            profile_model(app.work, subject, options, source=made_from, watch=live) for subject in subjects
        )
    if trace is not None:
        write_trace(profiles, trace)
    document = ProfileDocument.of(profiles, trace)
    app.show(document, lambda console: print_profile(console, profiles, top, trace))

"""``burnish bench``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from studio.analysis.cold import cold_start
from studio.analysis.expected import measure_expected
from studio.benchmark import BenchOptions, BenchResult
from studio.cli.app import App
from studio.cli.coldstart import print_cold
from studio.cli.live import LiveBench
from studio.cli.options import PATH, SECONDS, check_dims, common, data_option, parse_dims
from studio.cli.tables import print_bench
from studio.core.device import Device
from studio.core.runtime import RunOptions
from studio.jobs.tasks.subject import Subject
from studio.report.rows import bench_document
from studio.report.shapes import BenchDocument

F = TypeVar("F", bound=Callable[..., Any])


def bench_options(function: F) -> F:
    """Add the options that say how to measure."""
    options = (
        click.option("--batch", default=1, type=click.IntRange(1), show_default=True, help="Samples in an inference."),
        click.option("--threads", type=click.IntRange(1), help="Threads for one inference; else the runtime chooses."),
        click.option("--streams", type=click.IntRange(1), help="Inferences at once, where the runtime has streams."),
        click.option("--hint", type=click.Choice(["latency", "throughput"]), default="latency", show_default=True),
        click.option(
            "--precision",
            type=click.Choice(["model", "engine", "f32", "f16", "bf16"]),
            default="model",
            show_default=True,
            help="'model': compute in the model's own types; 'engine': the runtime may lower them.",
        ),
        click.option("--pin", is_flag=True, help="Pin threads to cores, where the runtime can."),
        click.option(
            "--processes",
            default=1,
            type=click.IntRange(1, 100),
            show_default=True,
            help="Measure in so many fresh processes, and show how they differ.",
        ),
        click.option("--seconds", default=6.0, type=SECONDS, show_default=True, help="Time for a pair."),
        click.option("--dim", "dims", multiple=True, metavar="NAME=SIZE", help="Size of a dynamic dimension."),
        click.option("--seed", default=0, type=int, help="Of generated inputs, the order in pairs, the bootstrap."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def make_options(
    batch: int, seconds: float, dims: Sequence[str], seed: int, processes: int, **run: Any
) -> BenchOptions:
    """Make the options from what the command line gave; `run` are the fields of `RunOptions`."""
    return BenchOptions(
        run=RunOptions(**run),
        batch=batch,
        seconds=seconds,
        dims=parse_dims(dims),
        seed=seed,
        processes=processes,
    )


@click.command("bench")
@click.argument("models", type=PATH, nargs=-1, required=True)
@click.option("--device", "devices", multiple=True, metavar="RUNTIME:DEVICE", help="May be given several times.")
@data_option
@bench_options
@click.option("--per-layer", is_flag=True, help="Also show the time of each executed node (a pass of its own).")
@click.option("--cold", is_flag=True, help="Also start each model in fresh processes: load, compile, cached, first.")
@click.option("--rounds", default=5, type=click.IntRange(1, 100), show_default=True, help="Starts with --cold.")
@common
def command(
    app: App,
    models: tuple[Path, ...],
    devices: tuple[str, ...],
    data: Path | None,
    per_layer: bool,
    cold: bool,
    rounds: int,
    **how: Any,
) -> int:
    """Measure models on devices, each in pairs with the first, in random order.

    A ratio above 1 is faster than the first; it comes with a 95 % interval and a verdict.

    \b
    Examples:
      burnish bench model.onnx small.onnx --device onnxruntime:CPU
      burnish bench model.onnx --device openvino:CPU --device onnxruntime:CPU --threads 1
      burnish bench model.onnx --per-layer --json > bench.json
      burnish bench model.onnx --cold --rounds 10 --device openvino:CPU
    """
    options = make_options(**how).model_copy(update={"data": data, "layers": per_layer})
    places = tuple(app.session.device(spec, watch=app.watcher()) for spec in devices or ("",))
    subjects = open_subjects(app, models, places, options.dims)
    document = run_bench(app, subjects, options)
    if cold:
        failed = {(row.name, row.device) for row in document.failures}
        starts = [subject for subject in subjects if (subject.name, subject.device.spec) not in failed]
        reports = tuple(cold_start(app.work, subject, options, rounds, watch=app.watcher()) for subject in starts)
        document = document.model_copy(update={"cold": reports})

    def write(console: Console) -> None:
        print_bench(console, document)
        print_cold(console, document.cold)

    app.show(document, write)
    return 1 if document.failures else 0


def open_subjects(
    app: App, models: Sequence[Path], places: Sequence[Device], dims: Mapping[str, int] | None = None
) -> list[Subject]:
    """Open models, and give each on each device; equal file names are told apart by their folder or a number.

    Sizes of dynamic dimensions that none of them has are refused.
    """
    labels = _labels(models)
    opened = [app.work.open_model(path, watch=app.watcher()) for path in models]
    check_dims(dims or {}, [item.info for item in opened])
    return [
        Subject(name=label, artifact=item.artifact, device=place)
        for place in places
        for label, item in zip(labels, opened, strict=True)
    ]


def _labels(models: Sequence[Path]) -> list[str]:
    names = [path.name for path in models]
    paths = [str(path) for path in models]
    labels = []
    for index, (name, path) in enumerate(zip(names, paths, strict=True)):
        again = paths[:index].count(path)
        labels.append(name if names.count(name) == 1 else f"{path} ({again + 1})" if again else path)
    return labels


def run_bench(app: App, subjects: Sequence[Subject], options: BenchOptions) -> BenchDocument:
    """Measure subjects live in the terminal."""
    with LiveBench(app) as live:
        result: BenchResult = measure_expected(app.work, subjects, options, watch=live)
    return bench_document(result, options, app.session.detect().environment)

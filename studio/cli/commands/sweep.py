"""``burnish sweep``."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from studio.analysis.sweep import SweepOptions, SweepResult, default_space, sweep
from studio.cli.app import App
from studio.cli.commands.bench import open_subjects
from studio.cli.grid import print_grid
from studio.cli.options import PATH, SECONDS, common, data_option, device_option, parse_dims
from studio.cli.shapes import SweepDocument
from studio.core.atomic import write_atomic
from studio.core.batching import fixed_batch
from studio.core.delivery import check_target
from studio.core.errors import UsageError
from studio.core.machine.sweeping import Setting, SweepPoint
from studio.core.modelfile import read_light_proto
from studio.core.modelinfo import model_inputs

F = TypeVar("F", bound=Callable[..., Any])

TITLES = ("batch", "threads", "streams", "requests", "hint", "precision", "samples/s", "p50", "p90", "inferences", "")
COLUMNS = ("batch", "threads", "streams", "requests", "hint", "precision")
FIGURES = ("throughput", "p50_ms", "p90_ms", "inferences", "seconds", "noisy", "why_not")


class Numbers(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Positive whole numbers joined by commas."""

    name = "N,N,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Read the numbers."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(part.isdigit() and 0 < int(part) <= 1_000_000 for part in parts):
            self.fail(f"{value!r} is not a list of positive whole numbers, such as 1,2,4.", param, ctx)
        return tuple(sorted({int(part) for part in parts}))


def axes(function: F) -> F:
    """Add the options that name the settings to try."""
    numbers = Numbers()
    options = (
        click.option("--batch", type=numbers, default=(), help="Batches to try; else 1 to 32, where any is taken."),
        click.option("--threads", type=numbers, default=(), help="Threads to try; else 1 to the number of cores."),
        click.option("--streams", type=numbers, default=(), help="Streams to try, where the runtime has them."),
        click.option("--requests", type=numbers, default=(), help="Inferences in flight; else 1 to twice the cores."),
        click.option("--hint", multiple=True, type=click.Choice(["latency", "throughput"]), help="Else both."),
        click.option(
            "--precision",
            multiple=True,
            type=click.Choice(["model", "engine", "f32", "f16", "bf16"]),
            help="Precision hints to try; else only 'model'.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command("sweep")
@click.argument("model", type=PATH)
@device_option
@data_option
@axes
@click.option("--max-latency", type=click.FloatRange(0, min_open=True), metavar="MS", help="Limit for the best point.")
@click.option("--seconds", default=0.5, type=SECONDS, show_default=True, help="Time for a first look at a setting.")
@click.option("--dim", "dims", multiple=True, metavar="NAME=SIZE", help="Size of a dynamic dimension.")
@click.option("--pin", is_flag=True, help="Pin threads to cores, where the runtime can.")
@click.option("--fresh", is_flag=True, help="Forget what an earlier sweep of these options measured.")
@click.option("--csv", "csv_path", type=PATH, help="Also write every point as a table.")
@common
def command(
    app: App, model: Path, device: str, data: Path | None, max_latency: float | None, csv_path: Path | None, **how: Any
) -> int:
    """Find the settings of the highest throughput, and what latency they cost.

    Only settings next to good ones are measured. Stopped, the same command goes on from where it was.

    \b
    Examples:
      burnish sweep model.onnx --device openvino:CPU --max-latency 20
      burnish sweep model.onnx --batch 1,8 --threads 1,2,4 --csv sweep.csv
    """
    if csv_path is not None:
        check_target(csv_path)
    place = app.session.device(device, watch=app.watcher())
    dims = parse_dims(how["dims"])
    (subject,) = open_subjects(app, [model], [place], dims)
    fixed = fixed_batch(model_inputs(read_light_proto(subject.artifact.path)))
    if fixed and how["batch"] not in ((), (fixed,)):
        raise UsageError(f"The model takes batches of {fixed} only.", "Leave --batch out, or use the pass graph.batch.")
    chosen = {name: how[name] for name in COLUMNS}
    space = default_space(place, app.session.honours(place), any_batch=not fixed, **chosen)
    options = SweepOptions(
        space=space,
        seconds=how["seconds"],
        max_latency_ms=max_latency,
        data=data and data.absolute(),
        dims=dims,
        pin=how["pin"],
        fresh=how["fresh"],
    )
    _say_dropped(app, chosen, app.session.honours(place))
    result = sweep(app.work, subject, options, on_point=lambda point, found: _tell(app, point, found))
    if csv_path is not None:
        write_atomic(csv_path, _csv(result))
    document = SweepDocument(
        model=model.absolute(),
        sha256=subject.artifact.sha256,
        device=place.spec,
        points=result.points,
        front=result.front,
        best=result.best,
        possible=result.possible,
        resumed=result.resumed,
        complete=result.complete,
        options=options.model_dump(mode="json"),
        environment=app.session.detect().environment,
    )
    app.show(document, lambda console: _print(console, result, max_latency))
    if not result.complete:
        app.say("Stopped before the end; the same command goes on from here.")
    return 0 if result.complete and result.best is not None else 1


def _say_dropped(app: App, chosen: dict[str, tuple[Any, ...]], honoured: frozenset[str]) -> None:
    for name in ("threads", "streams", "hint", "precision"):
        if chosen[name] and name not in honoured:
            app.warn(f"--{name} is left out: the runtime has no such option on this device.")


def _tell(app: App, point: SweepPoint, found: SweepResult) -> None:
    figures = point.why_not or f"{point.throughput:,.1f} samples/s, {point.p50_ms:.3f} ms"
    mark = " *" if point in found.front else ""
    app.console.print(f"  {len(found.points):3}  {_short(point.setting)}: {figures}{mark}", style="dim", markup=False)


def _short(setting: Setting) -> str:
    parts = [f"batch {setting.batch}"]
    for name in ("threads", "streams"):
        value = getattr(setting, name)
        parts += [f"{value} {name if value != 1 else name[:-1]}"] if value is not None else []
    parts.append(f"{setting.requests} in flight")
    return ", ".join([*parts, setting.hint, *([setting.precision] if setting.precision != "model" else [])])


def _print(console: Console, found: SweepResult, limit: float | None) -> None:
    share = f"{len(found.points)} of {found.possible} settings measured"
    share += f", {found.resumed} of them by an earlier sweep" if found.resumed else ""
    console.print(f"{found.subject.name} on {found.subject.device.spec}: {share}", markup=False)
    print_grid(
        console, TITLES, [_row(point, found.best) for point in found.front], right=set(TITLES[:4]) | set(TITLES[6:10])
    )
    failed = [point for point in found.points if point.failed]
    for reason in dict.fromkeys(point.why_not for point in failed):
        number = sum(point.why_not == reason for point in failed)
        console.print(f"{number} settings do not run: {reason}", style="yellow", markup=False)
    noisy = sum(point.noisy for point in found.front)
    if noisy:
        console.print(f"noisy: something disturbed {noisy} of the {len(found.front)} points above", style="yellow")
    within = f" within {limit:g} ms" if limit is not None else ""
    if found.best is None:
        console.print(f"No setting stays{within or ' measurable'}.", style="yellow", markup=False)
    else:
        best = found.best
        console.print(
            f"best{within}: {_short(best.setting)}: {best.throughput:,.1f} samples/s at {best.p50_ms:.3f} ms",
            markup=False,
        )


def _row(point: SweepPoint, best: SweepPoint | None) -> tuple[str, ...]:
    setting = point.setting
    chosen = [getattr(setting, name) for name in COLUMNS]
    return (
        *("-" if value is None else str(value) for value in chosen),
        f"{point.throughput:,.1f}",
        f"{point.p50_ms:.3f} ms",
        "-" if point.p90_ms is None else f"{point.p90_ms:.3f}",
        str(point.inferences),
        "best" if point == best else "",
    )


def _csv(found: SweepResult) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow((*COLUMNS, *FIGURES, "front"))
    for point in found.points:
        row = [getattr(point.setting, name) for name in COLUMNS] + [getattr(point, name) for name in FIGURES]
        table.writerow(["" if value is None else value for value in row] + [point in found.front])
    return text.getvalue()

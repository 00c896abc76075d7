"""``burnish sensitivity``."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import click
from rich.console import Console

from studio.analysis.sensitivity import SenseOptions, pick_choices, sensitivity
from studio.cli.app import App
from studio.cli.grid import print_grid
from studio.cli.options import PATH, common, data_option, device_option
from studio.cli.shapes import SensitivityDocument
from studio.core.atomic import write_atomic
from studio.core.delivery import check_target
from studio.core.recipe import parse_step
from studio.core.scope import Scope
from studio.core.sensitivity import LayerOption, Sensitivity, decibels
from studio.report.text import size

COLUMNS = ("layer", "operator", "form", "SQNR", "from", "agreement", "saves", "bytes")


@click.command("sensitivity")
@click.argument("model", type=PATH)
@data_option
@device_option
@click.option(
    "--choice", "labels", multiple=True, metavar="LABEL", help="A form to try, such as int8; else all precisions."
)
@click.option("--step", "steps", multiple=True, metavar="ID[:K=V,K=V]", help="Another form to try: any pass.")
@click.option("--samples", default=32, type=click.IntRange(1), show_default=True, help="Samples to measure on.")
@click.option("--layer", "patterns", multiple=True, metavar="GLOB", help="Only layers whose names match.")
@click.option("--seconds", type=click.FloatRange(0), help="Time for measuring; 0: the estimate alone. Else until done.")
@click.option("--budget", type=float, metavar="DB", help="Also choose the set that saves most time at this SQNR.")
@click.option("--csv", "table", type=PATH, help="Write all rows into a file.")
@common
def command(
    app: App,
    model: Path,
    data: Path | None,
    device: str,
    labels: tuple[str, ...],
    steps: tuple[str, ...],
    samples: int,
    patterns: tuple[str, ...],
    seconds: float | None,
    budget: float | None,
    table: Path | None,
) -> None:
    """Error at the outputs and time saved when one layer alone is changed, for each layer and form.

    A fast estimate comes first; then each change is run, the most sensitive first. What was measured is
    kept: stop with Ctrl-C and run it again to go on.

    \b
    Examples:
      burnish sensitivity model.onnx --data calibration.npz
      burnish sensitivity model.onnx --data calibration.npz --choice int8 --choice int4-weights --budget 30
      burnish sensitivity model.onnx --data calibration.npz --seconds 20 --csv layers.csv
    """
    if table is not None:
        check_target(table)
    place = app.session.device(device, watch=app.watcher())
    artifact = app.work.open_model(model, watch=app.watcher()).artifact
    choices = pick_choices(app.registry, labels) if labels or not steps else {}
    for text in steps:
        choices[text] = app.work.resolve_one(parse_step(text))
    options = SenseOptions(choices=choices, samples=samples, scope=Scope(patterns=patterns), seconds=seconds)
    chosen = data.absolute() if data else None
    found = sensitivity(app.work, artifact, place, chosen, options, name=model.name, watch=app.watcher())
    picked = found.choose(10 ** (-budget / 10)) if budget is not None else {}
    if table is not None:
        write_atomic(table, _csv(found))
    document = SensitivityDocument(**found.model_dump(), chosen=picked)
    app.show(document, lambda console: _print(console, found, picked, budget))


def _print(console: Console, found: Sensitivity, picked: dict[str, str], budget: float | None) -> None:
    ranked = sorted(found.options, key=lambda item: -(item.error or 0.0))
    rows = [_row(option) for option in ranked]
    print_grid(console, COLUMNS, rows, right={"SQNR", "agreement", "saves", "bytes"})
    for label, reasons in found.refused.items():
        for reason, names in reasons.items():
            behind = f": {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}" if names else ""
            console.print(f"{label}: {reason}{behind}", style="dim", markup=False)
    for warning in found.warnings:
        console.print(warning, style="yellow", markup=False)
    if found.synthetic:
        console.print("Inputs were generated: real data will differ (give --data).", style="yellow")
    if budget is not None:
        _print_choice(console, found, picked, budget)


def _print_choice(console: Console, found: Sensitivity, picked: dict[str, str], budget: float) -> None:
    chosen = [item for item in found.options if picked.get(item.output) == item.choice]
    saved = sum(item.milliseconds or 0.0 for item in chosen)
    noise = sum(item.error or 0.0 for item in chosen)
    whole = f" of {found.milliseconds:.3f} ms" if found.milliseconds else ""
    console.print(
        f"At {budget:g} dB: {len(chosen)} layers change, {saved:.3f} ms{whole} saved, "
        f"{decibels(noise):.1f} dB expected (errors added up):",
        markup=False,
    )
    for item in chosen:
        console.print(f"  {', '.join(item.layers)}: {item.choice}", markup=False)


def _row(option: LayerOption) -> tuple[str, ...]:
    return (
        ", ".join(option.layers),
        option.operator,
        option.choice,
        "" if option.sqnr_db is None else f"{option.sqnr_db:.1f} dB",
        "estimate" if option.noise is None else f"{option.samples} samples",
        "" if option.agreement is None else f"{100 * option.agreement:.1f} %",
        "" if option.milliseconds is None else f"{option.milliseconds:+.3f} ms",
        size(option.bytes),
    )


def _csv(found: Sensitivity) -> str:
    stream = io.StringIO()
    fields = [name for name in LayerOption.model_fields if name != "layers"]
    writer = csv.writer(stream)
    writer.writerow(["layers", *fields, "sqnr_db"])
    for option in found.options:
        values = [getattr(option, name) for name in fields]
        writer.writerow(
            [" ".join(option.layers), *("" if value is None else value for value in values), option.sqnr_db]
        )
    return stream.getvalue()

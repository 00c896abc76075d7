"""``burnish survey``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from studio.cli.app import App
from studio.cli.options import PATH, common, device_option
from studio.cli.shapes import SurveyDocument
from studio.core.machine.refine import NOT_CALIBRATED
from studio.core.passes import Survey
from studio.report.text import expectation


@click.command("survey")
@click.argument("model", type=PATH)
@device_option
@common
def command(app: App, model: Path, device: str) -> None:
    """Show what each pass would touch, and what gain to expect on a device and why.

    \b
    Examples:
      burnish survey model.onnx
      burnish survey model.onnx --device openvino:CPU --json
    """
    session = app.session
    session.open_model(model, watch=app.watcher())
    target = session.device(device, watch=app.watcher())
    surveys = session.survey(device=target.spec, watch=app.watcher())
    place = app.work.machine().place(target.spec)
    document = SurveyDocument(
        model=model.absolute(),
        sha256=session.artifact().sha256,
        device=target.spec,
        surveys=surveys,
        calibrated=place is not None,
    )
    basis = NOT_CALIBRATED if place is None else f"calibrated {place.taken_at[:10]}"
    app.show(document, lambda console: _print(console, surveys, f"{target.label} ({basis})"))


def _print(console: Console, surveys: dict[str, Survey], device: str) -> None:
    console.print(f"expected on {device}: ranges, not promises; 'bench' measures", markup=False)
    table = Table(box=None, pad_edge=False)
    for title in ("pass", "would touch", "speed", "size", "why"):
        table.add_column(title)
    for name, found in surveys.items():
        why = (found.speed.reason if found.speed else "") if found.applies else found.why_not
        table.add_row(name, found.summary, expectation(found.speed), expectation(found.size), why)
    console.print(table)
    for name, found in surveys.items():
        for warning in found.warnings:
            console.print(f"{name}: {warning}", style="yellow", markup=False)

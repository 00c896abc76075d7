"""``burnish check-data``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from studio.analysis.data_check import check_data
from studio.cli.app import App
from studio.cli.commands.bench import open_subjects
from studio.cli.grid import print_grid
from studio.cli.options import PATH, common, device_option
from studio.cli.shapes import DataCheckDocument
from studio.core.datacheck.findings import DataCheck, Reading


@click.command("check-data")
@click.argument("model", type=PATH)
@click.option("--data", type=PATH, required=True, help="The data to check, with labels where there are any.")
@device_option
@click.option("--samples", default=64, type=click.IntRange(1), show_default=True, help="Samples to look at.")
@common
def command(app: App, model: Path, data: Path, device: str, samples: int) -> int:
    """Check whether data suits a model: range, scale, channel order, layout, ids and labels.

    The exit status is 1 when something is certainly wrong.

    \b
    Examples:
      burnish check-data model.onnx --data photos/
      burnish check-data model.onnx --data eval.npz --samples 256 --json
    """
    place = app.session.device(device, watch=app.watcher())
    (subject,) = open_subjects(app, [model], [place])
    found = check_data(app.work, subject, data.absolute(), samples=samples, watch=app.watcher())
    app.show(DataCheckDocument(**found.model_dump()), lambda console: _print(console, found))
    return 1 if any(item.severity == "wrong" for item in found.findings) else 0


def _print(console: Console, found: DataCheck) -> None:
    rows = [
        (item.name, item.dtype, f"{item.low:.4g} to {item.high:.4g}", f"{item.mean:.4g}", f"{item.deviation:.4g}")
        for item in found.inputs
    ]
    print_grid(console, ("input", "type", "values", "mean", "deviation"), rows)
    titles = ("read", "accuracy", "confidence", "information", "mismatch")
    print_grid(console, titles, [_row(item) for item in found.readings], right=set(titles[1:]))
    for item in found.findings:
        style = "red" if item.severity == "wrong" else "yellow"
        console.print(f"{item.severity}: {item.message}", style=style, markup=False)
        console.print(f"  {item.evidence}", markup=False)
        console.print(f"  {item.remedy}", markup=False)
    if not found.findings:
        console.print(f"Nothing speaks against this data, over {found.samples} samples.", markup=False)
    for limit in found.limits:
        console.print(limit, style="dim", markup=False)


def _row(item: Reading) -> tuple[str, ...]:
    return (
        item.name,
        "" if item.accuracy is None else f"{100 * item.accuracy:.1f} %",
        "" if item.confidence is None else f"{item.confidence:.2f}",
        "" if item.information is None else f"{item.information:.2f} bits",
        "" if item.mismatch is None else f"{item.mismatch:.3g}",
    )

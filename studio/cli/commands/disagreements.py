"""``burnish disagreements``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from studio.analysis.disagreements import DisagreeOptions, disagreements
from studio.cli.app import App
from studio.cli.commands.bench import open_subjects
from studio.cli.grid import print_grid
from studio.cli.options import PATH, common, data_option, device_option
from studio.cli.shapes import DisagreementsDocument
from studio.core.disagreement import Disagreements, SampleDifference

COLUMNS = ("sample", "label", "source", "variant", "margin", "SQNR", "", "parts at")


@click.command("disagreements")
@click.argument("source", type=PATH)
@click.argument("variant", type=PATH)
@data_option
@device_option
@click.option("--top", "listed", default=20, type=click.IntRange(1), show_default=True, help="Samples to list.")
@click.option("--layers", "parted", default=8, type=click.IntRange(0), show_default=True, help="Samples to trace.")
@click.option(
    "--below", default=20.0, show_default=True, metavar="DB", help="SQNR below which outputs without classes differ."
)
@common
def command(
    app: App, source: Path, variant: Path, data: Path | None, device: str, listed: int, parted: int, below: float
) -> None:
    """List the samples on which two models differ, the gravest first, and the layer at which they part.

    \b
    Examples:
      burnish disagreements model.onnx int8.onnx --data eval.npz
      burnish disagreements model.onnx int8.onnx --data eval.npz --top 100 --json
    """
    place = app.session.device(device, watch=app.watcher())
    first, second = open_subjects(app, [source, variant], [place])
    options = DisagreeOptions(listed=listed, parted=parted, below=below)
    chosen = data.absolute() if data else None
    found = disagreements(app.work, first, second, chosen, options, watch=app.watcher())
    app.show(DisagreementsDocument(**found.model_dump()), lambda console: print_disagreements(console, found))


def print_disagreements(console: Console, found: Disagreements) -> None:
    """Write the summary and the list."""
    share = 100 * found.differing / max(1, found.samples)
    kinds = ", ".join(f"{number} {verdict}" for verdict, number in found.verdicts.items())
    console.print(
        f"{found.source_name} and {found.variant_name} differ on {found.differing:,} of {found.samples:,} samples "
        f"({share:.1f} %){f': {kinds}' if kinds else ''}",
        markup=False,
    )
    if found.listed:
        print_grid(console, COLUMNS, [_row(item) for item in found.listed], right={"sample", "margin", "SQNR"})
    if len(found.classes) > 1:
        most = ", ".join(f"{pair} ({number})" for pair, number in list(found.classes.items())[:5])
        console.print(f"Most often: {most}", markup=False)
    for warning in found.warnings:
        console.print(warning, style="yellow", markup=False)
    if found.synthetic:
        console.print("Inputs were generated: this says little about real data (give --data).", style="yellow")


def _row(item: SampleDifference) -> tuple[str, ...]:
    where = item.parting
    return (
        str(item.index),
        "" if item.label is None else str(item.label),
        "" if item.before is None else str(item.before),
        "" if item.after is None else str(item.after),
        "" if item.margin is None else f"{item.margin:.3f}",
        f"{item.sqnr_db:.1f} dB",
        item.verdict,
        "" if where is None else f"{where.node} ({where.sqnr_db:.1f} dB, {where.drop_db:+.1f})",
    )

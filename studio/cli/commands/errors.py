"""``burnish errors``."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import click
from rich.console import Console

from studio.analysis.layer_errors import layer_errors
from studio.cli.app import App
from studio.cli.commands.bench import open_subjects
from studio.cli.grid import print_grid
from studio.cli.options import PATH, common, data_option, device_option
from studio.cli.shapes import ErrorsDocument
from studio.core.atomic import write_atomic
from studio.core.delivery import check_target
from studio.core.layererrors import LayerErrors, TensorError

COLUMNS = ("node", "operator", "SQNR", "drop", "max error", "cosine", "")


@click.command("errors")
@click.argument("source", type=PATH)
@click.argument("variant", type=PATH)
@data_option
@device_option
@click.option("--samples", default=32, type=click.IntRange(1), show_default=True, help="Samples to run at most.")
@click.option(
    "--worst", type=click.IntRange(1), help="Show so many layers, those that add most error; else all in order."
)
@click.option("--csv", "table", type=PATH, help="Write all rows into a file.")
@common
def command(
    app: App,
    source: Path,
    variant: Path,
    data: Path | None,
    device: str,
    samples: int,
    worst: int | None,
    table: Path | None,
) -> None:
    """Error of a variant at every tensor that it has in common with its source, and where it jumps.

    \b
    Examples:
      burnish errors model.onnx int8.onnx --data eval.npz
      burnish errors model.onnx int8.onnx --data eval.npz --worst 10
      burnish errors model.onnx int8.onnx --data eval.npz --device openvino:CPU --json
    """
    if table is not None:
        check_target(table)
    place = app.session.device(device, watch=app.watcher())
    first, second = open_subjects(app, [source, variant], [place])
    chosen = data.absolute() if data else None
    found = layer_errors(app.work, first, second, chosen, samples=samples, watch=app.watcher())
    if table is not None:
        write_atomic(table, _csv(found))
    document = ErrorsDocument(**found.model_dump())
    app.show(document, lambda console: print_errors(console, found, worst))


def print_errors(console: Console, found: LayerErrors, worst: int | None = None) -> None:
    """Write the errors along the graph, or those of the layers that add most."""
    shown = found.tensors
    if worst is not None:
        shown = tuple(sorted(shown, key=lambda item: -item.added)[:worst])
    print_grid(console, COLUMNS, [_row(item) for item in shown], right={"SQNR", "drop", "max error", "cosine"})
    if found.first_jump:
        item = next(item for item in found.tensors if item.node == found.first_jump)
        console.print(
            f"The error first jumps at {item.node} ({item.operator}): {item.sqnr_db:.1f} dB, "
            f"{item.drop_db:.1f} dB below what it takes.",
            markup=False,
        )
    elif found.tensors:
        least = min(found.tensors, key=lambda item: item.sqnr_db)
        console.print(f"No jump: the lowest is {least.sqnr_db:.1f} dB at {least.node}.", markup=False)
    else:
        console.print("The models have no tensor in common that could be compared.", markup=False)
    for reason, names in found.unmatched.items():
        console.print(f"{len(names)} not compared, as {reason}: {', '.join(names[:3])}", style="dim", markup=False)
    for warning in found.warnings:
        console.print(warning, style="yellow", markup=False)
    if found.synthetic:
        console.print("Inputs were generated: this says little about real data (give --data).", style="yellow")


def _row(item: TensorError) -> tuple[str, ...]:
    return (
        item.node,
        item.operator,
        "identical" if item.sqnr_db >= 200 else f"{item.sqnr_db:.1f} dB",
        f"{item.drop_db:+.1f}",
        f"{item.max_abs_error:.3g} of {item.largest:.3g}",
        f"{item.cosine:.5f}",
        "<- jump" if item.jump else "",
    )


def _csv(found: LayerErrors) -> str:
    stream = io.StringIO()
    fields = [name for name in TensorError.model_fields if name != "inputs"]
    writer = csv.writer(stream)
    writer.writerow(fields)
    writer.writerows([getattr(item, name) for name in fields] for item in found.tensors)
    return stream.getvalue()

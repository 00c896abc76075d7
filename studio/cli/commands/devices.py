"""``burnish devices``."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from studio.cli.app import App
from studio.cli.options import common
from studio.cli.shapes import DevicesDocument, device_table
from studio.jobs.tasks.detect import Detected
from studio.report.text import size


@click.command("devices")
@common
def command(app: App) -> None:
    """List detected hardware with its capabilities, and what is missing for the rest.

    \b
    Examples:
      burnish devices
      burnish devices --json | jq '.devices[].spec'
    """
    found = app.session.detect(watch=app.watcher())
    document = DevicesDocument(
        devices=tuple(device_table(device) for device in found.devices),
        unavailable=found.unavailable,
        runtimes=found.runtimes,
        environment=found.environment,
    )
    app.show(document, lambda console: _print(console, found))


def _print(console: Console, found: Detected) -> None:
    machine = found.environment
    console.print(f"{machine.cpu}, {machine.logical_cores} cores, {size(machine.memory_bytes)}, {machine.system}")
    table = Table(box=None, pad_edge=False)
    for title in ("device", "name", "instruction sets", "precisions", "memory"):
        table.add_column(title)
    for device in found.devices:
        memory = size(device.memory_bytes) if device.memory_bytes else ""
        sets, precisions = " ".join(device.instruction_sets), " ".join(device.precisions)
        table.add_row(device.spec, device.name, sets, precisions, memory)
    console.print(table)
    for row in found.unavailable:
        console.print(f"not usable: {row.name} ({row.runtime}): {row.reason} {row.remedy}", markup=False)

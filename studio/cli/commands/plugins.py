"""``burnish plugins``."""

from __future__ import annotations

import click
from rich.console import Console

from studio.cli.app import App
from studio.cli.options import common
from studio.cli.shapes import PluginRowDocument, PluginsDocument
from studio.core.errors import PluginError
from studio.core.manifest import SECTIONS
from studio.core.registry import PluginRow, Registry


@click.command("plugins")
@common
def command(app: App) -> None:
    """List the plugins with what they offer; those that cannot be used with the reason and the remedy.

    \b
    Examples:
      burnish plugins
      BURNISH_PLUGINS=~/my-plugins burnish plugins
    """
    registry = app.registry
    _load_all(registry)
    rows = tuple(_row(row) for row in registry.rows)
    app.show(PluginsDocument(plugins=rows), lambda console: _print(console, rows))


def _load_all(registry: Registry) -> None:
    """Import everything, so that what fails only then is listed too."""
    for section in SECTIONS:
        for name in registry.ids(section):
            try:
                registry.find(section, name)
            except PluginError:
                continue


def _row(row: PluginRow) -> PluginRowDocument:
    offers: dict[str, tuple[str, ...]] = {}
    if row.manifest is not None:
        offers = {
            section: tuple(item.id for item in row.manifest.section(section))
            for section in SECTIONS
            if row.manifest.section(section)
        }
    return PluginRowDocument(
        id=row.name,
        title=row.manifest.title if row.manifest else row.folder.name,
        origin=row.origin,
        folder=row.folder,
        usable=not row.reason,
        reason=row.reason,
        remedy=row.remedy,
        offers=offers,
    )


def _print(console: Console, rows: tuple[PluginRowDocument, ...]) -> None:
    for row in rows:
        offers = "; ".join(f"{section}: {', '.join(names)}" for section, names in row.offers.items())
        mark = "ok     " if row.usable else "FAILED "
        console.print(f"{mark} {row.id} ({row.origin})  {offers}", markup=False)
        if not row.usable:
            console.print(f"        {row.reason} {row.remedy}", markup=False)

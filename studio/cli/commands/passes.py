"""``burnish passes``."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from studio.cli.app import App
from studio.cli.options import common
from studio.cli.shapes import PassesDocument, PassRow
from studio.core.params import ParamSpec, describe
from studio.core.registry import Registry
from studio.locations import assets


@click.command("passes")
@click.argument("name", metavar="[ID]", default="")
@common
def command(app: App, name: str) -> None:
    """List every pass, or one in full with its parameters and help page.

    \b
    Examples:
      burnish passes
      burnish passes quantize.static
    """
    registry = app.registry
    names = [name] if name else [item.id for item in registry.passes()]
    rows = tuple(_row(registry, item) for item in names)
    app.show(PassesDocument(passes=rows), lambda console: _one(console, rows[0]) if name else _list(console, rows))


def _row(registry: Registry, name: str) -> PassRow:
    the_pass = registry.get_pass(name)
    return PassRow(
        id=the_pass.id,
        title=the_pass.title,
        family=the_pass.family,
        pass_version=the_pass.version,
        exact=the_pass.exact,
        needs=tuple(sorted(str(need) for need in the_pass.needs_for(the_pass.Params()))),
        summary=the_pass.summary,
        plugin=registry.plugin_of("pass", name).name,
        params=describe(the_pass.Params),
    )


def _list(console: Console, rows: tuple[PassRow, ...]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("pass", "level", "what it does"):
        table.add_column(title)
    for row in rows:
        table.add_row(row.id, row.family, row.summary)
    console.print(table)
    console.print("'burnish passes ID' shows one with its parameters.", style="dim")


def _one(console: Console, row: PassRow) -> None:
    kind = "exact: outputs are preserved" if row.exact else "changes outputs: verified, and measured with evaluate"
    console.print(f"{row.id}  {row.title}\n{row.summary}\n{kind}; needs {', '.join(row.needs) or 'nothing else'}.\n")
    table = Table(box=None, pad_edge=False)
    for title in ("parameter", "default", "values", "meaning"):
        table.add_column(title)
    for spec in row.params:
        table.add_row(spec.name, str(spec.default), _values(spec), spec.help)
    console.print(table)
    page = assets() / "help" / f"pass-{row.id.replace('.', '-')}.md"
    if page.is_file():
        console.print("\n" + page.read_text(encoding="utf-8"), markup=False)


def _values(spec: ParamSpec) -> str:
    if spec.choices:
        return ", ".join(spec.choices)
    low = "" if spec.minimum is None else f"{'>' if spec.exclusive_minimum else '>='} {spec.minimum:g}"
    high = "" if spec.maximum is None else f"{'<' if spec.exclusive_maximum else '<='} {spec.maximum:g}"
    return " ".join(part for part in (spec.kind, low, high, spec.unit) if part)

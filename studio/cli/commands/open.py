"""``burnish open``."""

from __future__ import annotations

import click

from studio.cli.app import App
from studio.cli.options import common


@click.command("open")
@click.argument("paths", nargs=-1)
@common
def command(app: App, paths: tuple[str, ...]) -> int:
    """Open the studio on a model or project; the same as "burnish PATH".

    \b
    Examples:
      burnish open model.onnx
    """
    return app.window.show(list(paths))

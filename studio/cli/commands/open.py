"""``burnish open``."""

from __future__ import annotations

from pathlib import Path

import click

from studio.cli.app import App
from studio.cli.options import common
from studio.core.errors import ModelError


@click.command("open")
@click.argument("paths", nargs=-1)
@common
def command(app: App, paths: tuple[str, ...]) -> int:
    """Open the studio on a model or project; the same as "burnish PATH".

    \b
    Examples:
      burnish open model.onnx
    """
    for path in paths:
        if not Path(path).exists():
            raise ModelError(f"There is no file {path}.", "Check the path.")
        if not (Path(path).is_dir() or Path(path).is_file()):
            raise ModelError(f"{path} is neither a file nor a folder.", "Give an .onnx file or a .burnish folder.")
    return app.window.show(list(paths))

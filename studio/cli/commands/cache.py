"""``burnish cache``."""

from __future__ import annotations

import click
from rich.console import Console

from studio.cli.app import App
from studio.cli.options import common
from studio.cli.shapes import CacheDocument
from studio.core.resultcache import ResultCache
from studio.locations import cache_folder, cache_limit
from studio.report.text import size


@click.command("cache")
@click.option("--clear", is_flag=True, help="Remove every result that no running Burnish needs.")
@common
def command(app: App, clear: bool) -> None:
    """Show where results of steps are kept, so that a repeated step is instant, and how large they are.

    Those used longest ago are forgotten when they take more than 10 GB or a tenth of the disk, whichever is
    less; BURNISH_CACHE_GB sets another limit, BURNISH_CACHE another folder. Projects have copies of their own.

    \b
    Examples:
      burnish cache
      burnish cache --clear
      BURNISH_CACHE_GB=2 burnish optimize model.onnx -o small.onnx --step graph.clean
    """
    cache = ResultCache(cache_folder())
    limit = cache_limit()
    freed = cache.clear() if clear else 0
    document = CacheDocument(
        folder=cache.root, bytes=cache.bytes, results=cache.results, limit_bytes=limit, freed_bytes=freed
    )
    app.show(document, lambda console: _print(console, document, clear))


def _print(console: Console, document: CacheDocument, cleared: bool) -> None:
    if cleared:
        console.print(f"freed {size(document.freed_bytes)}")
    limit = f"at most {size(document.limit_bytes)}"
    console.print(f"{document.folder}  {document.results} results, {size(document.bytes)} ({limit})")

"""``burnish export``."""

from __future__ import annotations

from pathlib import Path

import click

from studio.benchmark import BenchOptions
from studio.cli.app import App
from studio.cli.live import LiveBench
from studio.cli.options import PATH, common, data_option, device_option
from studio.cli.shapes import ExportDocument
from studio.core.delivery import check_target
from studio.core.errors import UsageError
from studio.core.exporter import ExportResult
from studio.core.project import with_settings
from studio.core.recipe import Recipe, read_recipe
from studio.jobs.tasks.export import ExportModel
from studio.report.text import size


@click.command("export")
@click.argument("model", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The file to write.")
@click.option("--target", default="onnx-bundle", show_default=True, metavar="ID", help="What to make.")
@click.option("--recipe", type=PATH, help="The recipe that made the model, to go with it.")
@click.option("--bench/--no-bench", default=True, show_default=True, help="Measure it for the manifest.")
@data_option
@device_option
@common
def command(
    app: App,
    model: Path,
    output: Path,
    target: str,
    recipe: Path | None,
    bench: bool,
    data: Path | None,
    device: str,
) -> None:
    """Write a bundle that runs without Burnish: model, recipe, run.py, verify.py, golden outputs, manifest.

    MODEL may be a project folder: then "PROJECT.burnish" exports its baseline and
    "PROJECT.burnish#VARIANT" that variant, with its measurements.

    \b
    Examples:
      burnish export small.onnx -o bundle.zip --data eval.npz
      burnish export work.burnish#int8 -o bundle.zip
    """
    if target not in app.registry.ids("exporter"):
        app.registry.find("exporter", target)
    check_target(output)
    folder, _, variant = str(model).partition("#")
    result = (
        _from_project(app, Path(folder), variant, target, output, device)
        if Path(folder).is_dir()
        else _from_file(app, model, recipe, target, output, device, data, bench)
    )
    document = ExportDocument(**result.model_dump())
    app.show(document, lambda console: console.print(f"{result.path}  {size(result.bytes)}", markup=False))


def _from_project(app: App, folder: Path, variant: str, target: str, output: Path, device: str) -> ExportResult:
    app.session.open_project(folder, watch=app.watcher())
    return app.session.export(variant or "baseline", target, output, device=device, watch=app.watcher())


def _from_file(
    app: App,
    model: Path,
    recipe: Path | None,
    target: str,
    output: Path,
    device: str,
    data: Path | None,
    bench: bool,
) -> ExportResult:
    made_by = read_recipe(recipe) if recipe is not None else Recipe()
    if recipe is not None and not made_by.steps:
        raise UsageError(f"{recipe} has no steps.", "Leave --recipe out.")
    session = app.session
    session.open_model(model, watch=app.watcher())
    if data is not None:
        session.edit("data", lambda project: with_settings(project, evaluation=str(data.absolute())))
    place = session.device(device, watch=app.watcher())
    if bench:
        with LiveBench(app) as live:
            session.measure(["baseline"], BenchOptions(data=data, seconds=2.0), [place.spec], watch=live)
    request = ExportModel(
        artifact=session.artifact(),
        recipe=made_by,
        source_name=model.name,
        source_sha256=session.artifact().sha256,
        exporter=target,
        target=output.absolute(),
        device=place.spec,
        data=data.absolute() if data else None,
        measurements=session.measurements,
    )
    return app.work.export(request, watch=app.watcher())

"""``burnish evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from studio.cli.app import App
from studio.cli.commands.bench import open_subjects
from studio.cli.options import PATH, common, device_option, source_options
from studio.cli.rows import evaluation_row
from studio.cli.shapes import EvaluateDocument
from studio.cli.tables import print_evaluations
from studio.jobs.tasks.evaluate import EvaluateModels


@click.command("evaluate")
@click.argument("model", type=PATH)
@click.option("--data", type=PATH, help="Samples, with labels for most metrics; else generated inputs.")
@click.option("--baseline", type=PATH, help="Model to compare with, on the same samples.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="ID[:K=V,...]",
    help="Such as top-k:k=3; several times for several; else those that suit the labels.",
)
@click.option("--batch", default=32, type=click.IntRange(1), show_default=True)
@source_options
@device_option
@common
def command(
    app: App, model: Path, data: Path | None, baseline: Path | None, metrics: tuple[str, ...], batch: int, device: str
) -> None:
    """Evaluate a model: each metric with its 95 % interval, and the difference to a baseline.

    \b
    Examples:
      burnish evaluate model.onnx --data eval.npz
      burnish evaluate small.onnx --data eval.npz --baseline model.onnx --metric top1
      burnish evaluate small.onnx --data unlabelled.npz --baseline model.onnx
      burnish evaluate model.onnx --data photos --preprocess imagenet --metric f1:average=micro
      burnish evaluate encoder.onnx --data reviews.csv --read tokenizer=tokenizer.json,length=64 --metric recall-at-k
    """
    place = app.session.device(device, watch=app.watcher())
    paths = [model] if baseline is None else [baseline, model]
    subjects = tuple(open_subjects(app, paths, [place]))
    request = EvaluateModels(models=subjects, data=data.absolute() if data else None, metrics=metrics, batch=batch)
    found = [evaluation_row(item) for item in app.work.evaluate(request, watch=app.watcher())]
    own = [row for row in found if row.model == subjects[-1].name]
    document = EvaluateDocument(**own[0].model_dump(), evaluations=tuple(found))
    app.show(document, lambda console: print_evaluations(console, found))

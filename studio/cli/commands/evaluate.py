"""``burnish evaluate``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from studio.analysis.disagreements import DisagreeOptions, disagreements
from studio.cli.app import App
from studio.cli.commands.bench import open_subjects
from studio.cli.commands.disagreements import print_disagreements
from studio.cli.options import PATH, common, device_option, source_options
from studio.cli.shapes import EvaluateDocument
from studio.cli.tables import print_evaluations
from studio.core.disagreement import Disagreements
from studio.core.errors import UsageError
from studio.jobs.tasks.evaluate import EvaluateModels
from studio.report.rows import evaluation_row
from studio.report.shapes import EvaluationRow


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
@click.option("--disagreements", "listed", type=click.IntRange(1), help="Also list so many samples that differ.")
@click.option("--batch", default=32, type=click.IntRange(1), show_default=True)
@source_options
@device_option
@common
def command(
    app: App,
    model: Path,
    data: Path | None,
    baseline: Path | None,
    metrics: tuple[str, ...],
    listed: int | None,
    batch: int,
    device: str,
) -> None:
    """Evaluate a model: each metric with its 95 % interval, and the difference to a baseline.

    \b
    Examples:
      burnish evaluate model.onnx --data eval.npz
      burnish evaluate small.onnx --data eval.npz --baseline model.onnx --metric top1
      burnish evaluate small.onnx --data unlabelled.npz --baseline model.onnx
      burnish evaluate model.onnx --data photos --preprocess imagenet --metric f1:average=micro
      burnish evaluate encoder.onnx --data reviews.csv --read tokenizer=tokenizer.json,length=64 --metric recall-at-k
      burnish evaluate small.onnx --data eval.npz --baseline model.onnx --disagreements 10
    """
    if listed is not None and baseline is None:
        raise UsageError("--disagreements compares with a baseline, but none is given.", "Give --baseline MODEL.")
    place = app.session.device(device, watch=app.watcher())
    paths = [model] if baseline is None else [baseline, model]
    subjects = tuple(open_subjects(app, paths, [place]))
    request = EvaluateModels(models=subjects, data=data.absolute() if data else None, metrics=metrics, batch=batch)
    found = [evaluation_row(item) for item in app.work.evaluate(request, watch=app.watcher())]
    own = [row for row in found if row.model == subjects[-1].name]
    differing = None
    if listed is not None:
        options = DisagreeOptions(listed=listed)
        differing = disagreements(app.work, subjects[0], subjects[1], request.data, options, watch=app.watcher())
    document = EvaluateDocument(**own[0].model_dump(), evaluations=tuple(found), disagreements=differing)
    app.show(document, lambda console: _print(console, found, differing))


def _print(console: Console, found: list[EvaluationRow], differing: Disagreements | None) -> None:
    print_evaluations(console, found)
    if differing is not None:
        print_disagreements(console, differing)

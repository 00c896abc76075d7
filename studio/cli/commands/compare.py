"""``burnish compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from studio.cli.app import App
from studio.cli.commands.bench import bench_options, make_options, open_subjects, run_bench
from studio.cli.grid import print_grid
from studio.cli.options import PATH, common, data_option, device_option
from studio.cli.shapes import CompareDocument, CompareRow
from studio.cli.tables import print_bench, print_evaluations
from studio.core.modelinfo import ModelInfo
from studio.jobs.tasks.evaluate import EvaluateModels
from studio.jobs.tasks.subject import Subject
from studio.report.rows import evaluation_row
from studio.report.shapes import BenchDocument, EvaluationRow
from studio.report.text import count, size


@click.command("compare")
@click.argument("models", type=PATH, nargs=-1, required=True)
@data_option
@device_option
@bench_options
@common
def command(app: App, models: tuple[Path, ...], data: Path | None, device: str, **how: Any) -> int:
    """Compare models with the first: latency with interval and verdict, accuracy, size, memory, operators.

    \b
    Examples:
      burnish compare model.onnx int8.onnx pruned.onnx --data eval.npz
      burnish compare model.onnx int8.onnx --seconds 10 --json
    """
    if len(models) < 2:
        raise click.UsageError("compare wants two models or more.")
    place = app.session.device(device, watch=app.watcher())
    options = make_options(**how).model_copy(update={"data": data})
    subjects = open_subjects(app, models, [place], options.dims)
    infos = [app.work.summarize(subject.artifact, watch=app.watcher()) for subject in subjects]
    bench = run_bench(app, subjects, options)
    failed = {row.name for row in bench.failures}
    evaluations = _evaluate(app, [subject for subject in subjects if subject.name not in failed], data)
    document = CompareDocument(
        models=tuple(_row(subject, info, bench, evaluations) for subject, info in zip(subjects, infos, strict=True)),
        failures=bench.failures,
        environment=bench.environment,
    )
    app.show(document, lambda console: _print(console, document, bench, evaluations))
    return 1 if bench.failures else 0


def _evaluate(app: App, subjects: list[Subject], data: Path | None) -> list[EvaluationRow]:
    """Evaluate the models that run; one alone is compared with nothing."""
    if len(subjects) < 2:
        return []
    request = EvaluateModels(models=tuple(subjects), data=data.absolute() if data else None)
    return [evaluation_row(item) for item in app.work.evaluate(request, watch=app.watcher())]


def _row(subject: Subject, info: ModelInfo, bench: BenchDocument, evaluations: list[EvaluationRow]) -> CompareRow:
    return CompareRow(
        name=subject.name,
        path=subject.artifact.path,
        bytes=info.bytes,
        parameters=info.parameters,
        macs=info.macs,
        nodes=info.nodes,
        bench=next((row for row in bench.models if row.name == subject.name), None),
        pair=next((pair for pair in bench.pairs if pair.model == subject.name), None),
        evaluations=tuple(row for row in evaluations if row.model == subject.name),
    )


def _print(console: Console, document: CompareDocument, bench: BenchDocument, evaluations: list[EvaluationRow]) -> None:
    rows = [
        (
            row.name,
            size(row.bytes),
            count(row.parameters),
            "unknown" if row.macs is None else count(row.macs),
            str(row.nodes),
        )
        for row in document.models
    ]
    print_grid(console, ("model", "size", "parameters", "MACs", "nodes"), rows)
    print_bench(console, bench)
    print_evaluations(console, evaluations)

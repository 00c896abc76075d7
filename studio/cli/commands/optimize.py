"""``burnish optimize``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from studio.analysis.automatic import AutoOptions
from studio.benchmark import BenchOptions
from studio.cli.app import App
from studio.cli.auto import BUDGET, run_auto
from studio.cli.commands.bench import run_bench
from studio.cli.options import PATH, SECONDS, build_recipe, common, device_option, source_options
from studio.cli.shapes import OptimizeDocument
from studio.cli.tables import print_bench, print_evaluations, print_steps
from studio.core.artifact import Artifact
from studio.core.atomic import write_atomic
from studio.core.delivery import check_target, deliver
from studio.core.errors import UsageError
from studio.core.modelinfo import ModelInfo
from studio.core.preprocessing import preprocessing_text
from studio.core.recipe import recipe_toml
from studio.core.source import is_source, read_source
from studio.jobs.tasks.evaluate import EvaluateModels
from studio.jobs.tasks.subject import Subject
from studio.report.page import Report, report_html
from studio.report.rows import evaluation_row, step_row
from studio.report.shapes import BenchDocument, EvaluationRow, ModelFile
from studio.report.text import size
from studio.session import Applied
from studio.workbench import Data


@click.command("optimize")
@click.argument("model", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The model to write.")
@click.option("--step", "steps", multiple=True, metavar="ID[:K=V,K=V]", help="A pass; may be given several times.")
@click.option("--recipe", type=PATH, help="A recipe file (TOML); --step adds to it.")
@click.option("--data", type=PATH, help="Calibration data; also verifies. Generated inputs without it.")
@click.option("--eval", "evaluation", type=PATH, help="Held-out data to evaluate source and result on.")
@click.option("--auto", is_flag=True, help="Search for the fastest model inside --budget, instead of --step.")
@click.option("--budget", default=1.0, type=click.FloatRange(0, 100), show_default=True, help=BUDGET)
@click.option("--time-limit", default=600.0, type=SECONDS, show_default=True, help="Seconds that --auto may take.")
@click.option("--metric", default="", metavar="ID", help="Metric that --budget is about; else what suits the data.")
@click.option("--bench", is_flag=True, help="Measure the result in pairs with the source.")
@click.option("--seconds", default=6.0, type=SECONDS, show_default=True, help="Time for --bench.")
@click.option("--report", type=PATH, help="Write one self-contained HTML page.")
@click.option("--save-recipe", type=PATH, help="Write the recipe with all its parameters.")
@source_options
@device_option
@common
def command(
    app: App,
    model: Path,
    output: Path,
    steps: tuple[str, ...],
    recipe: Path | None,
    data: Path | None,
    evaluation: Path | None,
    device: str,
    **more: Any,
) -> int:
    """Apply passes in order, verify each result against its source, and write the model.

    \b
    Examples:
      burnish optimize model.onnx -o small.onnx --step graph.clean --step graph.fold-batchnorm
      burnish optimize model.onnx -o int8.onnx --step quantize.static:method=entropy \\
          --data calibration.npz --eval eval.npz --bench --report report.html
      burnish optimize model.onnx -o out.onnx --recipe recipe.toml --json
      burnish optimize model.onnx -o fast.onnx --auto --budget 0.5 --time-limit 300 \\
          --data calibration.npz --eval eval.npz
    """
    session = app.session
    if more["auto"]:
        return _auto(app, model, output, steps, recipe, data, evaluation, device, **more)
    wanted = build_recipe(recipe, steps)
    if not wanted.active:
        raise UsageError("There is nothing to do.", "Give --step ID or --recipe FILE; 'burnish passes' lists passes.")
    whole = app.work.resolve(wanted)
    for target in (output, more["report"], more["save_recipe"]):
        if target is not None:
            check_target(target)
    info = session.open_model(model, watch=app.watcher())
    if output.exists() and output.samefile(model):
        raise UsageError("The result cannot replace its source.", "Give another name with -o.")
    chosen = Data(calibration=data and data.absolute(), evaluation=evaluation and evaluation.absolute())
    shared = session.overlap(chosen, watch=app.watcher())
    if shared:
        app.warn(
            f"{shared:,} evaluation samples are calibration samples too: accuracy is flattered. "
            "Give other data, or --split calibration=0.2,evaluation=0.8."
        )
    place = session.device(device, watch=app.watcher())
    applied = session.apply(whole, data=chosen, device=device and place.spec, watch=app.watcher())
    source = session.artifact()
    made = session.artifact(applied.variant.id)
    written = deliver(made, output)
    if more["save_recipe"] is not None:
        write_atomic(more["save_recipe"], recipe_toml(whole.model_copy(update={"preprocess": _prepared(data)})))
    subjects = [
        Subject(name=path.name, artifact=item, device=place) for path, item in ((model, source), (output, written))
    ]
    if model.name == output.name:
        subjects = [subject.model_copy(update={"name": str(subject.artifact.path)}) for subject in subjects]
    options = BenchOptions(data=evaluation or data, seconds=more["seconds"])
    bench = run_bench(app, subjects, options) if more["bench"] else None
    document = OptimizeDocument(
        source=_file(source),
        result=_file(written),
        steps=tuple(step_row(record) for record in applied.records),
        verification=_overall(app, source, made, applied, chosen, place.spec),
        bench=bench,
        shared_samples=shared,
        evaluations=_evaluate(app, subjects, chosen) if evaluation is not None else (),
        report=more["report"] and more["report"].absolute(),
    )
    if more["report"] is not None:
        write_atomic(more["report"], report_html(_report(document, info, bench)))
    app.show(document, lambda console: _print(console, document, bench))
    return 0


def _auto(
    app: App,
    model: Path,
    output: Path,
    steps: tuple[str, ...],
    recipe: Path | None,
    data: Path | None,
    evaluation: Path | None,
    device: str,
    **more: Any,
) -> int:
    """Search instead of applying a recipe."""
    for name, given in (
        ("--step", steps),
        ("--recipe", recipe),
        ("--bench", more["bench"]),
        ("--report", more["report"]),
    ):
        if given:
            raise UsageError(f"{name} does not go with --auto, which chooses and measures by itself.", "Leave one out.")
    options = AutoOptions(budget=more["budget"], time_limit=more["time_limit"], metric=more["metric"])
    chosen = Data(calibration=data and data.absolute(), evaluation=evaluation and evaluation.absolute())
    return run_auto(app, model, output, chosen, options, device, more["save_recipe"])


def _prepared(data: Path | None) -> str:
    """Write how the pictures of described data are prepared; empty where nothing is said."""
    if data is None or not is_source(data):
        return ""
    found = read_source(data).preprocess
    return preprocessing_text(found) if found is not None else ""


def _file(artifact: Artifact) -> ModelFile:
    return ModelFile(path=artifact.path, sha256=artifact.sha256, bytes=artifact.bytes)


def _overall(app: App, source: Artifact, made: Artifact, applied: Applied, data: Data, device: str) -> Any:
    """Verify the result against the source: the one step's own verification, or all steps together."""
    verified = [record.verification for record in applied.records if record.verification is not None]
    if len(verified) < 2:
        return verified[0] if verified else None
    return app.work.verify(source, made, data, device, watch=app.watcher())


def _evaluate(app: App, subjects: list[Subject], data: Data) -> tuple[EvaluationRow, ...]:
    request = EvaluateModels(models=tuple(subjects), data=data.evaluation)
    return tuple(evaluation_row(item) for item in app.work.evaluate(request, watch=app.watcher()))


def _report(document: OptimizeDocument, info: ModelInfo, bench: BenchDocument | None) -> Report:
    name = document.result.path.name
    return Report(f"{info.path.name} optimized", info, {name: document.steps}, bench, document.evaluations, name)


def _print(console: Console, document: OptimizeDocument, bench: BenchDocument | None) -> None:
    print_steps(console, document.steps)
    share = document.result.bytes / document.source.bytes
    sizes = f"{size(document.source.bytes)} -> {size(document.result.bytes)} ({share:.2f}x)"
    console.print(f"{document.result.path}  {sizes}", markup=False)
    if bench is not None:
        print_bench(console, bench)
    if document.evaluations:
        print_evaluations(console, document.evaluations)
    if document.report is not None:
        console.print(f"report: {document.report}", markup=False)

"""``burnish sample``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from studio.benchmark import BenchOptions
from studio.cli.app import App
from studio.cli.live import LiveBench
from studio.cli.options import PATH, SECONDS, common, device_option
from studio.cli.shapes import ExportDocument, SampleDocument
from studio.cli.tables import print_bench, print_evaluations
from studio.core.atomic import explained, write_atomic
from studio.core.delivery import deliver
from studio.core.errors import BurnishError
from studio.core.recipe import recipe_toml
from studio.report.page import Report, report_html
from studio.report.rows import bench_document, evaluation_row, step_row
from studio.report.shapes import BenchDocument, EvaluationRow, StepRow
from studio.sample import RECIPES, open_sample
from studio.session import Session

#: the best variant may lose this much accuracy
BUDGET = 0.01


@click.command("sample")
@click.option("--headless", is_flag=True, help="Do the whole loop in the terminal instead of opening the studio.")
@click.option("-o", "--output", type=PATH, default=Path(".burnish/sample"), show_default=True, help="Results folder.")
@click.option("--seconds", default=4.0, type=SECONDS, show_default=True, help="Time for each pair.")
@device_option
@common
def command(app: App, headless: bool, output: Path, seconds: float, device: str) -> int:
    """Open the studio on the bundled sample; with --headless optimize, measure, evaluate and export it here.

    \b
    Examples:
      burnish sample
      burnish sample --headless -o results
    """
    if not headless:
        return app.window.show(["--sample"])
    folder = _folder(output)
    session = app.session
    open_sample(session, watch=app.watcher())
    place = session.device(device, watch=app.watcher())
    steps = _apply(app, session, place.spec)
    names = [variant.name for variant in session.project.variants if variant.name in ("baseline", *steps)]
    options = BenchOptions(seconds=seconds, data=session.data().evaluation)
    app.say(f"Measuring {len(names)} variants on {place.label}")
    with LiveBench(app) as live:
        result = session.measure(names, options, [place.spec], watch=live)
    bench = bench_document(result, options, session.detect().environment)
    app.say("Evaluating on held-out samples")
    found = session.evaluate(names, ("top1",), device=place.spec, watch=app.watcher())
    evaluations = tuple(evaluation_row(item) for item in found)
    document = _write(app, session, folder, steps, bench, evaluations, place.spec)
    app.show(document, lambda console: _print(console, document))
    return 0


def _print(console: Console, document: SampleDocument) -> None:
    print_bench(console, document.bench)
    print_evaluations(console, document.evaluations)
    console.print(f"chosen: {document.best}", markup=False)
    for name, path in document.results.items():
        console.print(f"{name}: {path}", markup=False)


def _folder(output: Path) -> Path:
    folder = output.absolute()
    with explained(folder, "made"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _apply(app: App, session: Session, device: str) -> dict[str, tuple[StepRow, ...]]:
    """Apply every recipe; one that fails is said and left out."""
    steps = {}
    for recipe in RECIPES:
        app.say(f"Applying {recipe.name}: {', '.join(step.pass_id for step in recipe.steps)}")
        try:
            applied = session.apply(recipe, name=recipe.name, device=device, watch=app.watcher())
        except BurnishError as error:
            app.warn(f"{recipe.name} left out: {error}")
            continue
        steps[applied.variant.name] = tuple(step_row(record) for record in applied.records)
    return steps


def _best(session: Session, bench: BenchDocument, evaluations: tuple[EvaluationRow, ...]) -> str:
    """Choose the fastest variant inside the accuracy budget; among those not measurably apart, the smallest."""
    kept = {row.model for row in evaluations if row.delta is None or row.delta >= -BUDGET}
    faster = [pair for pair in bench.pairs if pair.verdict == "faster" and pair.model in kept]
    if faster:
        return max(faster, key=lambda pair: pair.ratio).model
    slower = {pair.model for pair in bench.pairs if pair.verdict == "slower"}
    sizes = {variant.name: variant.bytes for variant in session.project.variants}
    return min(kept - slower, key=lambda name: sizes[name], default="baseline")


def _write(
    app: App,
    session: Session,
    folder: Path,
    steps: dict[str, tuple[StepRow, ...]],
    bench: BenchDocument,
    evaluations: tuple[EvaluationRow, ...],
    device: str,
) -> SampleDocument:
    best = _best(session, bench, evaluations)
    model = deliver(session.artifact(best), folder / "model.onnx")
    write_atomic(folder / "recipe.toml", recipe_toml(session.project.recipe_of(best)))
    exported = session.export(best, "onnx-bundle", folder / "bundle.zip", device=device, watch=app.watcher())
    report = Report("Burnish on the bundled sample", session.info, steps, bench, evaluations, best)
    write_atomic(folder / "report.html", report_html(report))
    project = _save(session, folder)
    results = {
        "project": project,
        "model": model.path,
        "recipe": folder / "recipe.toml",
        "bundle": exported.path,
        "report": folder / "report.html",
    }
    try:
        app.say("Drawing the window")
        session.close()
        app.window.screenshot(project, folder / "window.png")
        results["screenshot"] = folder / "window.png"
    except BurnishError as error:
        app.warn(f"no screenshot: {error}")
    return SampleDocument(
        best=best,
        results=results,
        bench=bench,
        evaluations=evaluations,
        steps=steps,
        export=ExportDocument(**exported.model_dump()),
    )


def _save(session: Session, folder: Path) -> Path:
    """Save the project under a name that is free: an older run's is kept."""
    names = ["sample.burnish", *(f"sample-{number}.burnish" for number in range(2, 1000))]
    target = next(folder / name for name in names if not (folder / name).exists())
    return session.save_as(target)

"""``burnish optimize --auto``: the search in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from studio.analysis.automatic import AutoOptions, AutoResult
from studio.automatic import optimize_for_me
from studio.cli.app import App
from studio.cli.grid import print_grid
from studio.cli.shapes import AutoDocument
from studio.core.artifact import Artifact
from studio.core.atomic import write_atomic
from studio.core.delivery import check_target, deliver
from studio.core.errors import UsageError
from studio.core.project import BASELINE, with_settings
from studio.core.recipe import recipe_toml
from studio.core.search.trial import Trial
from studio.report.shapes import ModelFile
from studio.report.text import size
from studio.workbench import Data

BUDGET = "Points of the metric that --auto may lose: percentage points of a share, else per cent of the baseline."
TITLES = ("recipe", "speed-up", "lost points", "metric", "size", "", "")
ENDS = {
    "exhausted": "Nothing else is expected to gain.",
    "time": "The time was up.",
    "asked": "Stopped.",
    "enough": "Enough was tried.",
    "": "",
}


def run_auto(
    app: App,
    model: Path,
    output: Path,
    data: Data,
    options: AutoOptions,
    device: str,
    save_recipe: Path | None,
) -> int:
    """Search, write the model that is proposed, and say all that was tried; gives the exit status.

    Raises
    ------
    UsageError
        When the result would replace its source.
    """
    session = app.session
    for target in (output, save_recipe):
        if target is not None:
            check_target(target)
    session.open_model(model, watch=app.watcher())
    if output.exists() and output.samefile(model):
        raise UsageError("The result cannot replace its source.", "Give another name with -o.")
    named = {"calibration": data.calibration, "evaluation": data.evaluation}
    settings = {name: str(path) for name, path in named.items() if path is not None}
    session.edit("data", lambda project: with_settings(project, **settings))
    found = optimize_for_me(session, options, device, on_trial=lambda result: _tell(app, result), watch=app.watcher())
    best = found.best
    written = None if best is None else deliver(session.artifact(best.variant), output)
    if best is not None and save_recipe is not None:
        write_atomic(save_recipe, recipe_toml(session.project.recipe_of(best.variant)))
    document = AutoDocument(
        source=_file(session.artifact(BASELINE)), result=None if written is None else _file(written), search=found
    )
    app.show(document, lambda console: _print(console, found, written))
    return 0 if written is not None else 1


def _file(artifact: Artifact) -> ModelFile:
    return ModelFile(path=artifact.path, sha256=artifact.sha256, bytes=artifact.bytes)


def _tell(app: App, result: AutoResult) -> None:
    if result.trying:
        app.say(f"Trying {result.trying}" if result.trials or result.levers else "Surveying the passes")
    elif result.trials and not result.ended:
        app.console.print("  " + "  ".join(part for part in _row(result.trials[-1], result) if part), style="dim")


def _row(trial: Trial, found: AutoResult) -> tuple[str, ...]:
    speed = trial.speed.text if trial.speed is not None else "-"
    loss = trial.loss
    lost = "-" if loss is None else f"{loss.points:+.2f} ({loss.low:+.2f} to {loss.high:+.2f})"
    mark = "best" if trial.name == found.choice.name else "front" if trial.name in found.front else ""
    place = trial.why or ("inside the budget" if trial.inside else "outside the budget")
    return trial.name, speed, lost, loss.metric if loss else "", size(trial.bytes) if trial.bytes else "-", mark, place


def _print(console: Console, found: AutoResult, written: Artifact | None) -> None:
    if found.trials:
        print_grid(console, TITLES, [_row(trial, found) for trial in found.trials])
    if any(trial.loss is not None and trial.loss.synthetic for trial in found.trials):
        console.print("Inputs were generated: what is lost on real data may differ (give --eval).", style="yellow")
    console.print(
        f"{ENDS[found.ended]} {len(found.trials)} recipes in {found.seconds:.0f} s on {found.device}.", markup=False
    )
    best = found.best
    if best is None or written is None:
        console.print(f"Nothing is written: {found.choice.reason}.", markup=False)
        return
    console.print(f"{best.name}: {found.choice.reason}.", markup=False)
    if best.loss is not None and best.loss.high > found.options.budget:
        console.print(
            f"Its loss may be up to {best.loss.high:.2f} points: more evaluation samples would tell.", style="yellow"
        )
    console.print(f"{written.path}  {size(written.bytes)}", markup=False)

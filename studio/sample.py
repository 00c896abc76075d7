"""The bundled sample: a trained classifier with calibration and evaluation data, and recipes to try on it."""

from __future__ import annotations

from pathlib import Path

from studio.core.errors import StoreError
from studio.core.project import with_settings
from studio.core.recipe import Recipe, Step
from studio.locations import assets
from studio.session import Session
from studio.workbench import Watch

MODEL = "mnist-resnet.onnx"
CALIBRATION = "mnist-calibration.npz"
EVALUATION = "mnist-eval.npz"

#: what the headless run tries, each from the baseline
RECIPES = (
    Recipe(name="folded", steps=(Step(pass_id="graph.clean"), Step(pass_id="graph.fold-batchnorm"))),
    Recipe(
        name="int8",
        steps=(Step(pass_id="graph.clean"), Step(pass_id="graph.fold-batchnorm"), Step(pass_id="quantize.static")),
    ),
    Recipe(name="float16", steps=(Step(pass_id="graph.clean"), Step(pass_id="quantize.float16"))),
    Recipe(
        name="sparse",
        steps=(Step(pass_id="graph.clean"), Step(pass_id="prune.unstructured", params={"sparsity": 0.5})),
    ),
)


def sample_file(name: str) -> Path:
    """Give a file of the sample.

    Raises
    ------
    StoreError
        When it is missing from the installation.
    """
    path = assets() / "samples" / name
    if not path.is_file():
        raise StoreError(f"The bundled sample {name} is missing.", "Install Burnish again.")
    return path


def open_sample(session: Session, *, watch: Watch | None = None) -> None:
    """Open the sample as a new project with its data and its first recipe."""
    session.open_model(sample_file(MODEL), watch=watch)
    calibration, evaluation = sample_file(CALIBRATION), sample_file(EVALUATION)
    session.edit(
        "sample data",
        lambda project: with_settings(project, calibration=str(calibration), evaluation=str(evaluation), metric="top1"),
    )

"""What the pages of the Accuracy tab compare: the shown variant with the baseline, on the project's data."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from studio.core.keepfloat import kept_in_float
from studio.core.project import BASELINE, Variant, with_recipe
from studio.jobs.tasks.subject import Subject
from studio.session import Session
from studio.ui.controller import Controller

CHOOSE = "Choose a variant at the left: the baseline is what it is compared with."


class Pair(NamedTuple):
    """A baseline and a variant on a device, and data."""

    source: Subject
    variant: Subject
    data: Path | None
    provenance: dict[str, tuple[str, ...]]


def shown_variant(controller: Controller) -> Variant | None:
    """Give the variant that is shown; None when it is the baseline, or nothing is open."""
    session = controller.session
    if not session.is_open or controller.variant == BASELINE:
        return None
    return session.project.variant(controller.variant)


def pair(session: Session, variant: str, device: str) -> Pair:
    """Give what is compared; called on a background thread, since devices may have to be detected."""
    place, made = session.device(device), session.project.variant(variant)
    data = session.data()
    return Pair(
        Subject(name=session.project.baseline.name, artifact=session.artifact(BASELINE), device=place),
        Subject(name=made.name, artifact=session.artifact(variant), device=place),
        data.evaluation or data.calibration,
        made.provenance,
    )


def keep_in_float(controller: Controller, node: str) -> None:
    """Edit the recipe so that a layer of the baseline is left in float; undoable."""
    session, variant = controller.session, controller.variant

    def is_precision(pass_id: str) -> bool:
        return session.work.registry.get_pass(pass_id).family == "precision"

    def work() -> None:
        recipe = kept_in_float(session.project, variant, node, is_precision)
        session.edit(f"keep {node} in float", lambda project: with_recipe(project, recipe))

    def done(_: object) -> None:
        controller.start_from(BASELINE)
        controller.notice.emit(f"The recipe leaves {node} in float now. Apply it to make the variant.")

    controller.background.serial(work, done, controller.failed.emit)

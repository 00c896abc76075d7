"""Apply one step to a model and verify the result."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from studio.core.artifact import Artifact
from studio.core.device import Device
from studio.core.engine import Engine
from studio.core.frozen import Frozen
from studio.core.memo import Memo
from studio.core.params import parse_params
from studio.core.passes import Need, PassContext
from studio.core.recipe import Step
from studio.core.report import Reporter
from studio.core.runner import StepRecord, Work, run_step
from studio.core.verify import Check, order_places
from studio.jobs.tasks.surroundings import data_for, find_places
from studio.locations import load_registry


class ApplyStep(Frozen):
    """What to apply.

    `folder` is an empty folder that the result is written into; `calibration` the user's data, None
    for synthetic; `evaluation` data to verify on when there is any, else the calibration data; `memo` the
    folder where long work keeps what it has found so far.
    """

    artifact: Artifact
    step: Step
    folder: Path
    device: Device | None = None
    calibration: Path | None = None
    evaluation: Path | None = None
    seed: int = 0
    memo: Path | None = None


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Apply the step of an `ApplyStep` payload; gives a `StepRecord`."""
    wanted = ApplyStep.model_validate(payload)
    registry = load_registry()
    the_pass = registry.get_pass(wanted.step.pass_id)
    params = parse_params(the_pass.Params, wanted.step.params, owner=the_pass.id)
    needs_data = Need.CALIBRATION in the_pass.needs_for(params)
    calibration = data_for(registry, wanted.artifact, wanted.calibration, seed=wanted.seed) if needs_data else None
    dataset = data_for(registry, wanted.artifact, wanted.evaluation or wanted.calibration, seed=wanted.seed + 1)
    with tempfile.TemporaryDirectory(prefix="probe-", dir=wanted.folder) as probe:
        places = order_places(find_places(registry), wanted.device)
        work = Work(
            PassContext(
                workdir=wanted.folder,
                scope=wanted.step.scope,
                device=wanted.device,
                calibration=calibration,
                reporter=reporter,
                engine=Engine(places, Path(probe), reporter),
                memo=None if wanted.memo is None else Memo(wanted.memo),
            ),
            Check(
                places=places,
                dataset=dataset,
                workdir=Path(probe),
                reporter=reporter,
            ),
        )
        record: StepRecord = run_step(the_pass, wanted.step, wanted.artifact, work)
    return record.model_dump(mode="json")

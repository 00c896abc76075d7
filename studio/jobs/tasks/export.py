"""Export a model: compute goldens, then let the exporter write."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from studio.core.artifact import Artifact
from studio.core.batching import feeds_for, fixed_batch
from studio.core.dataset import Batch
from studio.core.evaluation import Evaluation
from studio.core.exporter import ExportContext, Golden
from studio.core.frozen import Frozen
from studio.core.measurement import Measurement
from studio.core.recipe import Recipe
from studio.core.report import Reporter
from studio.core.runtime import LoadedModel, RunOptions
from studio.jobs.tasks.surroundings import data_for, find_place
from studio.locations import load_registry

#: inputs whose outputs are kept with the bundle: enough to notice a broken port, small enough to ship
GOLDENS = 4


class ExportModel(Frozen):
    """What to export, where to, and on what device the goldens are computed."""

    artifact: Artifact
    recipe: Recipe
    source_name: str
    source_sha256: str
    exporter: str
    target: Path
    device: str
    data: Path | None = None
    measurements: tuple[Measurement, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    seed: int = 0


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Export the model of an `ExportModel` payload; gives an `ExportResult`."""
    wanted = ExportModel.model_validate(payload)
    registry = load_registry()
    exporter = registry.get_exporter(wanted.exporter)
    place = find_place(registry, wanted.device)
    dataset = data_for(registry, wanted.artifact, wanted.data, seed=wanted.seed)
    with ExitStack() as stack:
        model = stack.enter_context(place.runtime.load(wanted.artifact, place.device, RunOptions()))
        size = fixed_batch(model.inputs) or 1
        goldens = tuple(_golden(model, batch) for batch in dataset.batches(size, limit=GOLDENS * size))
        inputs, outputs = model.inputs, model.outputs
    context = ExportContext(
        artifact=wanted.artifact,
        recipe=wanted.recipe,
        source_name=wanted.source_name,
        source_sha256=wanted.source_sha256,
        inputs=inputs,
        outputs=outputs,
        goldens=goldens,
        golden_runtime=place.spec,
        synthetic=dataset.synthetic,
        measurements=wanted.measurements,
        evaluations=wanted.evaluations,
        dataset=dataset,
        preprocessing=dataset.preprocessing,
        reporter=reporter,
    )
    return exporter.export(context, wanted.target).model_dump(mode="json")


def _golden(model: LoadedModel, batch: Batch) -> Golden:
    feeds = next(feeds_for(model.inputs, batch)).arrays
    return Golden(feeds, model.run(feeds))

"""Where along the graph a variant's error arises."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from studio.core.layererrors import LayerErrors
from studio.jobs.tasks.layer_errors import CompareLayers
from studio.jobs.tasks.subject import Subject
from studio.workbench import Watch, Workbench


def layer_errors(
    work: Workbench,
    source: Subject,
    variant: Subject,
    data: Path | None,
    *,
    samples: int = 32,
    seed: int = 0,
    provenance: Mapping[str, tuple[str, ...]] | None = None,
    watch: Watch | None = None,
) -> LayerErrors:
    """Run a source and its variant on the same samples and compare every tensor that both have.

    Parameters
    ----------
    source, variant
        The models; both run on the source's device.
    data
        Samples; generated when None.
    samples
        Most samples to run.
    provenance
        The variant's nodes to the source's, where it is known (`Variant.provenance` of a project).

    Raises
    ------
    BurnishError
        When a model cannot be run, or the data does not fit.
    """
    request = CompareLayers(
        source=source,
        variant=variant,
        provenance=dict(provenance or {}),
        data=data,
        samples=samples,
        seed=seed,
    )
    label = f"compare the layers of {variant.name} with {source.name}"
    found = work.run_task(
        "layer_errors", request, label, step="errors", artifact=source.artifact, partial=True, watch=watch
    )
    return LayerErrors.model_validate(found)

"""The samples on which a variant differs from its source, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from studio.core.disagreement import Disagreements
from studio.core.frozen import Frozen
from studio.jobs.tasks.disagreements import FindDisagreements
from studio.jobs.tasks.subject import Subject
from studio.workbench import Watch, Workbench


class DisagreeOptions(Frozen):
    """How many samples to list, how many of these to trace to a layer, and what counts as differing."""

    listed: int = 20
    parted: int = 8
    below: float = 20.0
    seed: int = 0


def disagreements(
    work: Workbench,
    source: Subject,
    variant: Subject,
    data: Path | None,
    options: DisagreeOptions | None = None,
    *,
    provenance: Mapping[str, tuple[str, ...]] | None = None,
    watch: Watch | None = None,
) -> Disagreements:
    """Compare two models sample by sample.

    Outputs are kept in the cache, so that the next variant is compared without running the source again.

    Raises
    ------
    BurnishError
        When a model cannot be run, or the data does not fit.
    """
    chosen = options or DisagreeOptions()
    request = FindDisagreements(
        source=source,
        variant=variant,
        outputs=work.cache.outputs,
        data=data,
        listed=chosen.listed,
        parted=chosen.parted,
        below=chosen.below,
        seed=chosen.seed,
        provenance=dict(provenance or {}),
    )
    label = f"disagreements of {variant.name} with {source.name}"
    found = work.run_task(
        "disagreements", request, label, step="disagreements", artifact=source.artifact, partial=True, watch=watch
    )
    return Disagreements.model_validate(found)

"""Compare a variant's inner tensors with its source's."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from studio.core.engine import Engine
from studio.core.frozen import Frozen
from studio.core.layercompare import compare_layers
from studio.core.layererrors import LayerErrors
from studio.core.matching import match_tensors
from studio.core.report import Reporter
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import data_for, find_place
from studio.locations import load_registry


class CompareLayers(Frozen):
    """What to compare, on the source's device; `provenance` leads from the variant's nodes to the source's."""

    source: Subject
    variant: Subject
    provenance: dict[str, tuple[str, ...]] = {}
    data: Path | None = None
    samples: int = 32
    seed: int = 0


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Compare as a `CompareLayers` payload asks; gives `LayerErrors`. Cancelled, it tells what it has."""
    wanted = CompareLayers.model_validate(payload)
    registry = load_registry()
    before, after = wanted.source.artifact, wanted.variant.artifact
    dataset = data_for(registry, before, wanted.data, seed=wanted.seed)
    place = find_place(registry, wanted.source.device.spec)
    matches, refused = match_tensors(before, after, wanted.provenance)
    with tempfile.TemporaryDirectory(prefix="layers-") as folder:
        engine = Engine([place], Path(folder), reporter)
        reporter.progress(0, 0, f"comparing {len(matches)} tensors")
        found = compare_layers(engine, before, after, matches, dataset, samples=wanted.samples)
    reasons = {**refused, **found.refused}
    return LayerErrors(
        source_sha256=before.sha256,
        source_name=wanted.source.name,
        variant_sha256=after.sha256,
        variant_name=wanted.variant.name,
        device=place.spec,
        dataset=dataset.name,
        dataset_digest=dataset.digest(),
        synthetic=dataset.synthetic,
        samples=max((item.samples for item in found.tensors), default=0),
        tensors=found.tensors,
        first_jump=next((item.node for item in found.tensors if item.jump), ""),
        unmatched={reason: tuple(names) for reason, names in reasons.items()},
        warnings=(*dataset.notes, *(("Stopped early.",) if found.stopped else ())),
    ).model_dump(mode="json")

"""Verify a result against a source that is several steps away."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from studio.core.artifact import Artifact
from studio.core.frozen import Frozen
from studio.core.report import Reporter
from studio.core.verify import Check, order_places, verify
from studio.jobs.tasks.surroundings import data_for, find_place, find_places
from studio.locations import load_registry


class VerifyModels(Frozen):
    """What to compare, on what device and data."""

    source: Artifact
    result: Artifact
    device: str
    data: Path | None = None
    seed: int = 1


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Verify a `VerifyModels` payload; gives a `Verification`."""
    wanted = VerifyModels.model_validate(payload)
    registry = load_registry()
    place = find_place(registry, wanted.device)
    with tempfile.TemporaryDirectory(prefix="burnish-") as folder:
        check = Check(
            places=order_places(find_places(registry), place.device),
            dataset=data_for(registry, wanted.source, wanted.data, seed=wanted.seed),
            workdir=Path(folder),
            reporter=reporter,
        )
        return verify(wanted.source, wanted.result, check, exact=False).model_dump(mode="json")

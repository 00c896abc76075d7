"""Time of each executed node, with the runtime's counters on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.core.frozen import Frozen
from studio.core.report import Reporter
from studio.core.runtime import ExecutedNode, RunOptions
from studio.jobs.tasks.feeding import feed
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import find_place
from studio.locations import load_registry

#: inferences averaged: counters are noisy, and this pass need not be long
RUNS = 50


class ProfileModel(Frozen):
    """What to profile, and how."""

    subject: Subject
    run: RunOptions = RunOptions()
    batch: int = 1
    data: Path | None = None
    dims: dict[str, int] = {}
    seed: int = 0


class Profile(Frozen):
    """Executed nodes in order; empty where the runtime has no counters."""

    nodes: tuple[ExecutedNode, ...]


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Profile a `ProfileModel` payload; gives a `Profile`."""
    wanted = ProfileModel.model_validate(payload)
    registry = load_registry()
    subject = wanted.subject
    feeds = feed(registry, subject.artifact, wanted.data, wanted.batch, wanted.dims, wanted.seed)
    place = find_place(registry, subject.device.spec)
    reporter.progress(0, 0, f"profiling {subject.name}")
    with place.runtime.load(subject.artifact, place.device, wanted.run) as model:
        nodes = model.profile(feeds.arrays, RUNS)
    return Profile(nodes=nodes or ()).model_dump(mode="json")

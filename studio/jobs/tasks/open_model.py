"""Open a model: check it, hash it, summarize it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.core.artifact import Artifact, open_artifact
from studio.core.frozen import Frozen
from studio.core.memoryplan import MemoryPlan, plan_memory
from studio.core.modelfile import read_light_proto
from studio.core.modelinfo import ModelInfo, inspect_model
from studio.core.report import Reporter
from studio.core.validity import check_artifact


class OpenModel(Frozen):
    """What to open.

    `dims` sizes named dynamic dimensions for the count of multiply-accumulates and the plan of the
    memory, which is made with `memory`.
    """

    path: Path
    dims: dict[str, int] = {}
    memory: bool = False


class OpenedModel(Frozen):
    """The checked model and its summary."""

    artifact: Artifact
    info: ModelInfo
    memory: MemoryPlan | None = None


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Open the model of an `OpenModel` payload; gives an `OpenedModel`."""
    wanted = OpenModel.model_validate(payload)
    reporter.progress(0, 3, "reading")
    artifact = open_artifact(wanted.path)
    reporter.check()
    reporter.progress(1, 3, "checking")
    problems = check_artifact(artifact)
    reporter.check()
    reporter.progress(2, 3, "summarizing")
    info = inspect_model(artifact, problems=problems, dims=wanted.dims)
    memory = plan_memory(read_light_proto(artifact.path), wanted.dims) if wanted.memory else None
    reporter.progress(3, 3, "done")
    return OpenedModel(artifact=artifact, info=info, memory=memory).model_dump(mode="json")

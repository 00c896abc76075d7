"""Match the nodes of two models whose history is not known."""

from __future__ import annotations

from typing import Any

from studio.core.artifact import Artifact
from studio.core.counterparts import by_structure
from studio.core.frozen import Frozen
from studio.core.report import Reporter


class MatchNodes(Frozen):
    """The two models."""

    first: Artifact
    second: Artifact


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Match the models of a `MatchNodes` payload; gives `Counterparts`."""
    wanted = MatchNodes.model_validate(payload)
    reporter.progress(0, 0, "matching the nodes of both models")
    return by_structure(wanted.first, wanted.second).model_dump(mode="json")

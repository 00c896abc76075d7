"""Count the zeros in a model's weights."""

from __future__ import annotations

from typing import Any

from studio.core.artifact import Artifact
from studio.core.frozen import Frozen
from studio.core.report import Reporter
from studio.core.sparsity import zero_shares


class CountZeros(Frozen):
    """The model whose weights to look at."""

    artifact: Artifact


class Zeros(Frozen):
    """Name of each node with weights to the share of zeros in them."""

    shares: dict[str, float]


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Look at the weights of a `CountZeros` payload; gives `Zeros`."""
    wanted = CountZeros.model_validate(payload)
    reporter.progress(0, 0, "reading the weights")
    return Zeros(shares=zero_shares(wanted.artifact)).model_dump(mode="json")

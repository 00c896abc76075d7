"""Describe one node of a model."""

from __future__ import annotations

from typing import Any

from studio.core.artifact import Artifact
from studio.core.frozen import Frozen
from studio.core.nodeinfo import describe_node
from studio.core.report import Reporter


class DescribeNode(Frozen):
    """The model, and the node's name."""

    artifact: Artifact
    node: str


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Describe the node of a `DescribeNode` payload; gives a `NodeInfo`."""
    wanted = DescribeNode.model_validate(payload)
    reporter.progress(0, 1, f"reading {wanted.node}")
    return describe_node(wanted.artifact, wanted.node).model_dump(mode="json")

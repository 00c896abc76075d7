"""Getting pictures of graphs and facts about nodes from workers. No widget: called on background threads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from studio.core.artifact import Artifact
from studio.core.drawing.picture import Picture
from studio.core.nodeinfo import NodeInfo
from studio.jobs.tasks.graph_layout import LayOutGraph
from studio.jobs.tasks.node import DescribeNode
from studio.ui.graph.scene import Scene
from studio.workbench import Watch, Workbench


def lay_out(work: Workbench, artifact: Artifact, opened: Iterable[str] | None, watch: Watch) -> Scene:
    """Lay a model's graph out in a worker, with some blocks opened."""
    with tempfile.TemporaryDirectory(prefix="burnish-graph-") as folder:
        target = Path(folder) / "picture.npz"
        keys = None if opened is None else tuple(sorted(opened))
        request = LayOutGraph(artifact=artifact, target=target, opened=keys)
        work.run_task("graph_layout", request, f"lay out {artifact.path.name}", watch=watch)
        return Scene(Picture.load(target))


def describe(work: Workbench, artifact: Artifact, node: str, watch: Watch) -> NodeInfo:
    """Describe a node in a worker."""
    found = work.run_task("node", DescribeNode(artifact=artifact, node=node), f"look at {node}", watch=watch)
    return NodeInfo.model_validate(found)

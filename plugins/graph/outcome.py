"""From an edited model to a survey or a result, the same way for every pass of the folder."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from studio.api import Artifact, Device, PassContext, PassResult, Range, Survey, write_model

if TYPE_CHECKING:
    import onnx_ir as ir

    from .workspace import Workspace

FREE = "both engines do this themselves when they load a model: fewer nodes, no time"


def speed_range(device: Device | None, reason: str = FREE) -> Range | None:
    """Give the expectation for a rewrite that engines do on load, as measured on CPUs."""
    return Range(low=0.97, high=1.03, reason=reason) if device is not None else None


def weight_bytes(model: ir.Model) -> int:
    """Give the bytes of all weights of a model, without reading them."""
    from .names import all_graphs

    tensors = (value.const_value for graph in all_graphs(model) for value in graph.initializers.values())
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)


def size_range(before: int, space: Workspace) -> Range | None:
    """Give the expected size from the weights before and after; a few per cent for the nodes."""
    if not before:
        return None
    ratio = weight_bytes(space.model) / before
    return Range(low=max(0.0, ratio - 0.05), high=ratio + 0.01, reason="the weights that go and come are counted")


def surveyed(space: Workspace, summary: str, why_not: str, speed: Range | None, size: Range | None) -> Survey:
    """Make the survey of what was tried on a copy of the model."""
    changes = space.changes()
    if not space.edits:
        return Survey(applies=False, summary=why_not, why_not=why_not, warnings=tuple(space.warnings))
    nodes = tuple(change.node for change in changes if change.change != "added")
    warnings = tuple(space.warnings)
    return Survey(applies=True, summary=summary, nodes=nodes, speed=speed, size=size, warnings=warnings)


def finished(space: Workspace, artifact: Artifact, context: PassContext, why_not: str) -> PassResult:
    """Write the edited model, or give the source back when nothing was to do."""
    if not space.edits:
        return PassResult(artifact=artifact, warnings=(why_not, *space.warnings))
    context.reporter.check()
    context.reporter.progress(9, 10, "writing")
    changes = space.changes()
    written = write_model(space.model, context.workdir / "model.onnx")
    counts = {kind: sum(change.change == kind for change in changes) for kind in ("removed", "rewritten", "added")}
    return PassResult(artifact=written, changes=changes, warnings=tuple(space.warnings), notes=dict(counts))


def own_operators(model: ir.Model) -> tuple[str, ...]:
    """Warn of operators beyond the standard."""
    from .names import all_nodes
    from .values import STANDARD_DOMAINS

    own = Counter(node.op_type for node in all_nodes(model) if node.domain not in STANDARD_DOMAINS)
    if not own:
        return ()
    listed = ", ".join(f"{count} {name}" for name, count in own.most_common())
    return (f"The model contains com.microsoft operators, which not every engine knows: {listed}.",)

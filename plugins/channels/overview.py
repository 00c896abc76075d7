"""Groups as plain data: what could be removed, what it holds, and why some may not go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.api import Scope

from .analysis import Analysis, analyze

if TYPE_CHECKING:
    import onnx_ir as ir


@dataclass(frozen=True)
class GroupRow:
    """One group, as plain values.

    Attributes
    ----------
    key, kind, size, locked
        As in `Group`.
    parts
        How many parts must stay alike; 1 for no such rule.
    makers, readers
        Names of the layers.
    parameters_share, macs_share
        What goes with all units of the group, as a share of the model's parameters, and of the
        multiply-accumulates that are counted (of dimensions that are not known, as 1).
    """

    key: str
    kind: str
    size: int
    parts: int
    makers: tuple[str, ...]
    readers: tuple[str, ...]
    locked: str
    parameters_share: float
    macs_share: float


def overview(model: ir.Model, scope: Scope, analysis: Analysis | None = None) -> tuple[list[GroupRow], tuple[str, ...]]:
    """List the groups of a model, in graph order, and what was left alone; nothing is changed."""
    analysis = analysis or analyze(model, scope)
    tracer = analysis.tracer
    parameters = sum(value.const_value.size for value in model.graph.initializers.values() if value.const_value)
    macs = sum(tracer.macs)
    rows = [
        GroupRow(
            key=group.key,
            kind=group.kind,
            size=group.size,
            parts=int(group.parts.max(initial=0)) + 1,
            makers=tuple(port.node for port in group.makers),
            readers=tuple(port.node for port in group.readers),
            locked=group.locked,
            parameters_share=min(1.0, group.size * group.parameters / max(1, parameters)),
            macs_share=min(1.0, group.size * group.macs / max(1.0, macs)),
        )
        for group in analysis.groups
    ]
    return rows, analysis.warnings

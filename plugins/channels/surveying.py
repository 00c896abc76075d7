"""What pruning of units would touch, and what to expect of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from studio.api import Device, Range, Scope, Survey

from .analysis import find_groups
from .channels import NOTHING, WHY_NOT, ChannelsParams
from .group import Group

if TYPE_CHECKING:
    import onnx_ir as ir

SPEED = (
    "time falls a little less than the multiply-accumulates do, on any hardware: what is not a layer stays, and small "
    "layers are less efficient"
)
LISTED = 3


def survey(
    model: ir.Model,
    params: ChannelsParams,
    device: Device | None,
    scope: Scope,
    kinds: Sequence[str],
    what: str,
) -> Survey:
    """List the groups of some kinds that may shrink, and the expected range."""
    groups, warnings = find_groups(model, scope)
    own = [group for group in groups if group.kind in kinds]
    free = [group for group in own if shrinks(group, params)]
    why_not = WHY_NOT if not free else NOTHING if not params.ratio and params.target != "accuracy" else ""
    if why_not:
        return Survey(applies=False, summary=why_not, why_not=why_not, warnings=warnings)
    share = params.ratio if params.target != "accuracy" else 0.3
    nodes = dict.fromkeys(port.node for group in free for port in (*group.makers, *group.readers))
    listed = ", ".join(f"{group.size} at {group.makers[0].node}" for group in _largest(free))
    more = f" and {len(free) - LISTED} more" if len(free) > LISTED else ""
    return Survey(
        applies=True,
        summary=f"{len(free)} groups of {what}: {listed}{more}",
        nodes=tuple(nodes),
        speed=Range(low=1.0, high=min(10.0, 1 / max(0.1, 1 - share)), reason=SPEED) if device is not None else None,
        size=_size(model, free, params, share),
        warnings=warnings,
    )


def shrinks(group: Group, params: ChannelsParams) -> bool:
    """Say whether any unit of a group may go under these parameters."""
    if group.locked or not group.makers:
        return False
    least = max(params.min_channels, group.size - int(params.most * group.size))
    unit = int(np.lcm(params.multiple, int(group.parts.max(initial=0)) + 1))
    return (group.size - 1) // unit * unit >= max(least, 1)


def _largest(groups: Sequence[Group]) -> list[Group]:
    return sorted(groups, key=lambda group: -group.parameters * group.size)[:LISTED]


def _size(model: ir.Model, groups: Sequence[Group], params: ChannelsParams, share: float) -> Range:
    whole = sum(value.const_value.size for value in model.graph.initializers.values() if value.const_value is not None)
    held = min(1.0, sum(group.parameters * group.size for group in groups) / max(whole, 1))
    low = max(0.05, 1 - held * min(params.most, 1.6 * share))
    return Range(low=low, high=1.0, reason="weights of what goes; which layers lose most is decided by sensitivity")

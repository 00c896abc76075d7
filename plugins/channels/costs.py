"""What a network costs with some units gone, and so what each unit is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio.api import Artifact, BurnishError, PassContext, RunOptions

from .group import Group
from .sites import Layer

#: inferences over which the time of a layer is taken
RUNS = 20


@dataclass(frozen=True)
class Costs:
    """A cost of each layer that shrinks with the units that it makes and reads.

    Attributes
    ----------
    layers
        Name of a layer to its cost with all units.
    groups
        The groups that may shrink.
    rest
        Cost of what does not shrink.
    """

    layers: Mapping[str, float]
    groups: Sequence[Group]
    rest: float = 0.0

    def total(self, gone: Mapping[str, int]) -> float:
        """Give the cost when so many units of each group are gone."""
        shares: dict[str, float] = {}
        for group in self.groups:
            share = gone.get(group.key, 0) / group.size
            for port in (*group.makers, *group.readers):
                held = float((port.units >= 0).mean())
                shares[port.node] = shares.get(port.node, 1.0) * (1 - share * held)
        return self.rest + sum(cost * shares.get(name, 1.0) for name, cost in self.layers.items())

    def each(self) -> dict[str, float]:
        """Give what one unit of each group costs while all others are there."""
        whole = self.total({})
        return {group.key: (whole - self.total({group.key: group.size})) / group.size for group in self.groups}


def weights_of(layers: Sequence[Layer]) -> dict[str, float]:
    """Give the parameters of each layer."""
    return {layer.name: float(math.prod(layer.linear.shape)) for layer in layers}


def macs_of(layers: Sequence[Layer], positions: Mapping[str, float]) -> dict[str, float]:
    """Give the multiply-accumulates of each layer for one sample."""
    return {
        layer.name: positions.get(layer.name, 0.0) * layer.linear.groups * layer.linear.inputs * layer.linear.outputs
        for layer in layers
    }


def times_of(
    artifact: Artifact, layers: Sequence[Layer], feed: Mapping[str, Any], context: PassContext
) -> tuple[dict[str, float], float] | None:
    """Measure the time of each layer here, on one thread, with what is fused into it.

    Returns
    -------
    tuple
        Nanoseconds by layer, and those of everything else; None where the engine has no counters.
    """
    assert context.engine is not None
    names = {layer.name for layer in layers}
    found = dict.fromkeys(names, 0.0)
    rest = 0.0
    try:
        with context.engine.load(artifact, RunOptions(threads=1)) as model:
            executed = model.profile(feed, RUNS)
    except BurnishError:
        return None
    for node in executed or ():
        own = [name for name in node.sources if name in names]
        for name in own:
            found[name] += node.nanoseconds / len(own)
        if not own:
            rest += node.nanoseconds
    return (found, rest) if sum(found.values()) else None

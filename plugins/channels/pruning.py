"""Pruning a network in rounds: look, choose, fit."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.api import Moments, PassContext

from .allocation import Curve, allocate, counts_for, uniform
from .costs import Costs
from .fitting import centred, energy, fit, relative, ridged
from .group import Group, Port
from .network import Line, Network
from .removal import Problem, removals
from .sites import Layer, waves
from .walking import Samples, Walk

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Settings:
    """How to prune.

    Attributes
    ----------
    most
        Largest share of a group's units that may go.
    probe
        Share of a group that is taken out to see what the output makes of it.
    """

    ridge: float = 0.003
    multiple: int = 8
    most: float = 0.8
    probe: float = 0.25
    probe_samples: int = 32
    reconstruct: bool = True
    fit_all: bool = True
    residual: bool = True
    ranking: str = "global"
    seconds: float = float("inf")


@dataclass
class Pruner:
    """A network that is being pruned, and the original."""

    context: PassContext
    line: Line
    layers: list[Layer]
    groups: list[Group]
    samples: Samples
    settings: Settings
    gone: dict[str, list[int]] = field(default_factory=dict)
    positions: dict[str, float] = field(default_factory=dict)
    clock: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.original = Network(self.line, self.context)
        self.network = Network(self.line, self.context)
        self.by_name = {layer.name: layer for layer in self.layers}

    def look(self) -> list[Curve]:
        """Order the units of each group, and say what the output loses as they go."""
        started = time.process_time()
        waiting: dict[str, Moments] = {}
        curves = []
        wanted = {port.node for group in self.groups for port in group.readers}
        chosen = [layer for layer in self.layers if layer.name in wanted or not self.positions]
        walk = Walk(self.network, self.network, self.samples, waves(self.line, chosen), targets=False)
        todo = list(self.groups)
        for wave, moments in walk:
            for layer in wave:
                self.positions[layer.name] = moments[layer.name].positions
                if layer.name in wanted:
                    waiting[layer.name] = moments[layer.name]
            for group in [one for one in todo if all(port.node in waiting for port in one.readers)]:
                todo.remove(group)
                curves.append(self._curve(group, waiting))
                still = {port.node for other in todo for port in other.readers}
                for port in group.readers:
                    if port.node not in still:
                        waiting.pop(port.node, None)
        self.clock["look"] = self.clock.get("look", 0) + time.process_time() - started
        return curves

    def _curve(self, group: Group, moments: Mapping[str, Moments]) -> Curve:
        problems = self._problems(group, moments)
        gone = self.gone.get(group.key, [])
        parts = int(group.parts.max()) + 1
        most = int(self.settings.most * group.size) - len(gone)
        found = removals(problems, group.parts, most=most, gone=gone)
        order = [*gone, *found.order]
        multiple = self.settings.multiple if group.kind != "heads" else 1
        counts = counts_for(group.size, len(order), multiple, len(gone), parts)
        losses = [found.losses[count - len(gone)] for count in counts]
        errors = losses
        if len(counts) > 1 and self.settings.ranking != "local":
            probe = min(counts[1:], key=lambda count: abs(count - len(gone) - self.settings.probe * group.size))
            scale = self._measure(group, moments, order[:probe]) / max(losses[counts.index(probe)], 1e-30)
            errors = [loss * scale for loss in losses]
        return Curve(group.key, group.size, tuple(order), counts, tuple(errors), 0.0)

    def _problems(self, group: Group, moments: Mapping[str, Moments]) -> list[Problem]:
        found = []
        for port in group.readers:
            layer, own = self.by_name[port.node], moments[port.node]
            matrix = layer.matrix(self.network)
            columns = columns_of(port, layer)
            whole = sum(energy(own, matrix, index, bias=bool(layer.bias)) for index in range(len(matrix)))
            for index in range(len(matrix)):
                _, covariance = centred(own, index, bias=bool(layer.bias))
                found.append(
                    Problem(
                        matrix[index],
                        ridged(covariance, self.settings.ridge),
                        columns[index],
                        1 / max(whole, 1e-30),
                    )
                )
        return found

    def _measure(self, group: Group, moments: Mapping[str, Moments], gone: Sequence[int]) -> float:
        """Measure the share of the outputs' energy that is lost when these units go."""
        started = time.process_time()
        changed: dict[str, NDArray[Any]] = {}
        for port in group.readers:
            layer, own = self.by_name[port.node], moments[port.node]
            kept = ~np.isin(columns_of(port, layer), gone)
            kept &= self._kept(layer)
            matrix, bias = fit(
                layer.matrix(self.network),
                layer.bias_of(self.network),
                own,
                kept,
                ridge=self.settings.ridge,
                changes_bias=bool(layer.bias),
                target=False,
            )
            changed |= layer.changed(self.network, matrix, bias)
        lost = self.difference(self.network.copy(changed), self.network, self.settings.probe_samples)
        self.clock["measure"] = self.clock.get("measure", 0) + time.process_time() - started
        return lost

    def difference(self, one: Network, other: Network, limit: int) -> float:
        """Give the share of the outputs' energy by which two networks differ, over some samples."""
        outputs = self.line.outputs
        first = self.samples.shelf.get(0)
        lost: dict[str, float] = {}
        whole: dict[str, float] = {}
        seen = 0
        with one.part(outputs, first) as left, other.part(outputs, first) as right:
            for index, size in enumerate(self.samples.sizes):
                if seen >= limit:
                    break
                seen += size
                feed = self.samples.shelf.get(index)
                a, b = left.run(feed), right.run(feed)
                for name in outputs:
                    if a[name].dtype.kind == "f":
                        wanted = b[name].astype(np.float64)
                        lost[name] = lost.get(name, 0.0) + float(np.square(a[name] - wanted).sum())
                        whole[name] = whole.get(name, 0.0) + float(np.square(wanted).sum())
        return float(np.mean([lost[name] / max(whole[name], 1e-30) for name in lost]))

    def _kept(self, layer: Layer) -> NDArray[np.bool_]:
        """Say which columns of a layer are there, ``(groups, inputs)``."""
        kept = np.ones((layer.linear.groups, layer.linear.inputs), dtype=bool)
        for group in self.groups:
            for port in group.readers:
                if port.node == layer.name:
                    kept &= ~np.isin(columns_of(port, layer), self.gone.get(group.key, []))
        return kept

    def choose(self, curves: Sequence[Curve], costs: Costs, target: float, share: float | None = None) -> bool:
        """Choose the units that go so that the cost is the target; says whether that is possible."""
        each = costs.each()
        priced = [Curve(c.key, c.size, c.order, c.counts, c.errors, each[c.key]) for c in curves]
        if share is not None:
            found, reached = uniform(priced, share), True
        else:
            found, reached = allocate(priced, costs.total, target)
        self.gone = {curve.key: list(curve.order[: found[curve.key]]) for curve in priced}
        return reached

    def fit(self) -> None:
        """Go through the network once and fit each layer to the original."""
        started = time.process_time()
        base = self.original
        readers = {port.node for group in self.groups for port in group.readers}
        chosen = self.layers if self.settings.fit_all else [one for one in self.layers if one.name in readers]
        for wave, moments in Walk(self.network, self.original, self.samples, waves(self.line, chosen)):
            for layer in wave:
                target = layer.fits
                matrix, bias = fit(
                    layer.matrix(base),
                    layer.bias_of(base),
                    moments[layer.name],
                    self._kept(layer),
                    ridge=self.settings.ridge,
                    changes_bias=bool(layer.bias) and target,
                    target=target,
                )
                self.network.changed |= layer.changed(self.network, matrix, bias)
        self.clock["fit"] = self.clock.get("fit", 0) + time.process_time() - started


def columns_of(port: Port, layer: Layer) -> NDArray[np.intp]:
    """Give the unit of each column of a layer's matrix, ``(groups, inputs)``."""
    linear = layer.linear
    cells = linear.window.cells if linear.window is not None and linear.operator == "Conv" else 1
    return np.repeat(port.units, cells).reshape(linear.groups, linear.inputs)


__all__ = ["Pruner", "Settings", "columns_of", "relative"]

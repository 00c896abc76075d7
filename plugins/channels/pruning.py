"""Pruning a network in rounds: look, choose, fit."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.api import Moments, PassContext

from .allocation import Curve, allocate, counts_for, uniform
from .costs import Costs
from .fitting import centred, energy, fit, ridged
from .group import Group, Port
from .network import Line, Network
from .removal import Problem, Removals, removals
from .scores import in_order, unit_scores
from .sites import Layer, waves
from .walking import Samples, Walk

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Settings:
    """How to prune.

    Attributes
    ----------
    least, most
        Units that stay in a group, and the largest share of it that may go.
    probe
        Share of a group that is taken out to see what the output makes of it.
    probe_samples
        Samples that it is seen on.
    fit_all
        Fit all layers, or only those that read what went.
    """

    ridge: float = 0.003
    multiple: int = 8
    least: int = 8
    most: float = 0.8
    probe: float = 0.25
    probe_samples: int = 24
    reconstruct: bool = True
    fit_all: bool = True
    ranking: str = "global"
    criterion: str = "second-order"
    seed: int = 0


@dataclass
class Pruner:
    """A network that is being pruned, and the original."""

    context: PassContext
    line: Line
    layers: list[Layer]
    groups: list[Group]
    samples: Samples
    held: Samples
    settings: Settings
    bare: ir.Model
    few: dict[str, None] = field(default_factory=dict)
    gone: dict[str, list[int]] = field(default_factory=dict)
    positions: dict[str, float] = field(default_factory=dict)
    clock: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before: list[dict[str, NDArray[Any]]] | None = None
        self.original = Network(self.line, self.context)
        self.network = Network(self.line, self.context)
        self.by_name = {layer.name: layer for layer in self.layers}

    def look(self) -> list[Curve]:
        """Order the units of each group, and say what the output loses as they go."""
        started = time.process_time()
        waiting: dict[str, Moments] = {}
        self._before = None
        curves: list[Curve] = []
        wanted = {port.node for group in self.groups for port in group.readers}
        chosen = [layer for layer in self.layers if layer.name in wanted or not self.positions]
        walk = Walk(
            self.network, self.network, self.samples, waves(self.line, chosen), targets=False, seed=self.settings.seed
        )
        todo = list(self.groups)
        for wave, moments in walk:
            for layer in wave:
                self.positions[layer.name] = moments[layer.name].positions
                if layer.name in wanted:
                    waiting[layer.name] = moments[layer.name]
            for group in [one for one in todo if all(port.node in waiting for port in one.readers)]:
                todo.remove(group)
                self.context.reporter.progress(len(curves), len(self.groups), "what the output makes of each group")
                curves.append(self._curve(group, waiting))
                still = {port.node for other in todo for port in other.readers}
                for port in group.readers:
                    if port.node not in still:
                        waiting.pop(port.node, None)
        self.clock["look"] = self.clock.get("look", 0) + time.process_time() - started
        return curves

    def _curve(self, group: Group, moments: Mapping[str, Moments]) -> Curve:
        gone = self.gone.get(group.key, [])
        parts = int(group.parts.max()) + 1
        most = max(0, min(int(self.settings.most * group.size), group.size - self.settings.least) - len(gone))
        found = self._removals(group, moments, gone, most)
        order = [*gone, *found.order]
        counts = counts_for(group.size, len(order), self.settings.multiple, len(gone), parts)
        losses = [found.losses[count - len(gone)] for count in counts]
        errors = losses
        if len(counts) > 1 and self.settings.ranking != "local":
            probe = min(counts[1:], key=lambda count: abs(count - len(gone) - self.settings.probe * group.size))
            scale = self._measure(group, moments, order[:probe]) / max(losses[counts.index(probe)], 1e-30)
            errors = [loss * scale for loss in losses]
        return Curve(group.key, group.size, tuple(order), counts, tuple(errors), 0.0)

    def _removals(self, group: Group, moments: Mapping[str, Moments], gone: Sequence[int], most: int) -> Removals:
        if self.settings.criterion == "second-order":
            return removals(self._problems(group, moments), group.parts, most=most, gone=gone)
        scores = unit_scores(self.settings.criterion, group, self.by_name, self.network, moments, self.bare)
        return in_order(scores, group.parts, gone, most)

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
                        ridged(covariance, self.settings.ridge, own.rows),
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
        limit = self.settings.probe_samples
        if self._before is None:
            self._before = self.answers(self.network, limit)
        lost = lost_energy(self.answers(self.network.copy(changed), limit), self._before)
        self.clock["measure"] = self.clock.get("measure", 0) + time.process_time() - started
        return lost

    def answers(self, network: Network, limit: int) -> list[dict[str, NDArray[Any]]]:
        """Give the outputs of a network for the samples that are held out, one entry a batch."""
        found, seen = [], 0
        with network.part(self.line.outputs, self.held.shelf.get(0)) as part:
            for index, size in enumerate(self.held.sizes):
                if seen >= limit:
                    break
                self.context.reporter.check()
                seen += size
                answer = part.run(self.held.shelf.get(index))
                found.append({name: array for name, array in answer.items() if array.dtype.kind == "f"})
        return found

    def _kept(self, layer: Layer) -> NDArray[np.bool_]:
        """Say which columns of a layer are there, ``(groups, inputs)``."""
        kept = np.ones((layer.linear.groups, layer.linear.inputs), dtype=bool)
        for group in self.groups:
            for port in group.readers:
                if port.node == layer.name:
                    kept &= ~np.isin(columns_of(port, layer), self.gone.get(group.key, []))
        return kept

    def choose(
        self, curves: Sequence[Curve], costs: Costs, target: float, share: float | None = None, *, local: bool = False
    ) -> bool:
        """Choose the units that go so that the cost is the target; says whether that is possible.

        Parameters
        ----------
        share
            Share of all units that goes, instead of a cost.
        local
            Whether each group loses the same share.
        """
        each = costs.each()
        total: Callable[[Mapping[str, int]], float] = costs.total
        if share is not None and not local:
            each = dict.fromkeys(each, 1.0)
            whole = sum(curve.size for curve in curves)
            target, total = whole * (1 - share), lambda gone: float(whole - sum(gone.values()))
        priced = [dataclasses.replace(curve, worth=each[curve.key]) for curve in curves]
        if share is not None and local:
            found, reached = uniform(priced, share), share < 1
        else:
            found, reached = allocate(priced, total, target)
        self.gone = {curve.key: list(curve.order[: found[curve.key]]) for curve in priced}
        return reached

    def clear(self) -> None:
        """Set what was chosen to zero, and fit nothing."""
        self.network.changed.clear()
        for layer in self.layers:
            kept = self._kept(layer)
            if not kept.all():
                matrix = layer.matrix(self.original) * kept[:, None]
                self.network.changed |= layer.changed(self.original, matrix, None)

    def restore(self, gone: Mapping[str, list[int]], changed: Mapping[str, NDArray[Any]]) -> None:
        """Go back to an earlier state."""
        self.gone = {key: list(units) for key, units in gone.items()}
        self.network.changed = dict(changed)

    def close(self) -> None:
        """Forget the samples."""
        self.samples.shelf.close()
        self.held.shelf.close()

    def fit(self) -> None:
        """Go through the network once and fit each layer to the original."""
        started = time.process_time()
        base = self.original
        readers = {port.node for group in self.groups for port in group.readers}
        chosen = self.layers if self.settings.fit_all else [one for one in self.layers if one.name in readers]
        done = 0
        for wave, moments in Walk(
            self.network, self.original, self.samples, waves(self.line, chosen), seed=self.settings.seed
        ):
            self.context.reporter.progress(done, len(chosen), "fitting layers")
            done += len(wave)
            for layer in wave:
                target = layer.fits
                if moments[layer.name].rows < layer.linear.inputs:
                    self.few[layer.name] = None
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


def lost_energy(found: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> float:
    """Give the share of the outputs' energy by which answers differ from others, averaged over the outputs."""
    shares = []
    for name in wanted[0]:
        right = [answer[name].astype(np.float64) for answer in wanted]
        gone = sum(float(np.square(one[name] - other).sum()) for one, other in zip(found, right, strict=True))
        shares.append(gone / max(sum(float(np.square(one).sum()) for one in right), 1e-30))
    return float(np.mean(shares)) if shares else 0.0


def columns_of(port: Port, layer: Layer) -> NDArray[np.intp]:
    """Give the unit of each column of a layer's matrix, ``(groups, inputs)``."""
    linear = layer.linear
    cells = linear.window.cells if linear.window is not None and linear.operator == "Conv" else 1
    return np.repeat(port.units, cells).reshape(linear.groups, linear.inputs)

"""Pruning from a model to a model: preparing, rounds, the best that was found, and what to say of it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from studio.api import (
    Artifact,
    DataError,
    NodeChange,
    PassContext,
    PassResult,
    left_alone,
    read_model,
    replace_content,
    write_model,
)

from .analysis import find_groups
from .channels import WHY_NOT, ChannelsParams
from .costs import Costs, macs_of, times_of, weights_of
from .cutting import Removal, remove
from .fidelity import Fidelity, fidelity
from .group import Group
from .network import Line
from .prepare import fold_batchnorms
from .pruning import Pruner, Settings
from .recurrent import recurrent_layers, with_recurrence
from .sites import Layer, add_biases, find_layers
from .surveying import shrinks
from .walking import read_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNREAD = "a layer that reads it has no weight that can be fitted"
FEW = (
    "{} layers (first: {}) had fewer rows of calibration data than inputs: the ridge keeps them near their weights; "
    "more samples fit them better."
)
#: smallest step towards the accuracy floor, as a share of the cost
LEAST_STEP = 0.02
#: samples that the output's sensitivity is measured on
PROBE = 24


@dataclass(frozen=True)
class Point:
    """A point of the curve."""

    share: float
    fidelity: Fidelity
    gone: Mapping[str, list[int]]
    changed: Mapping[str, NDArray[Any]]


def prune(artifact: Artifact, params: ChannelsParams, context: PassContext, kinds: Sequence[str]) -> PassResult:
    """Prune the groups of some kinds."""
    model = read_model(artifact)
    if context.calibration is None or context.engine is None:
        raise DataError("Pruning needs calibration data.", "Give a dataset of typical inputs.")
    bare = read_model(artifact)
    changes = fold_batchnorms(model, context.scope)
    add_biases(model, context.scope)
    groups, warnings = find_groups(model, context.scope)
    line = Line(model)
    layers = sorted(
        [*find_layers(line, context.scope), *recurrent_layers(line, context.scope)], key=lambda layer: layer.place
    )
    groups = [with_recurrence(group, layers) for group in groups]
    usable, refused = _usable([group for group in groups if group.kind in kinds], layers, params)
    warnings += left_alone(refused)
    if not usable:
        return PassResult(artifact=artifact, warnings=(WHY_NOT, *warnings))
    work = _Work(artifact, model, params, context, _pruner(artifact, line, layers, usable, params, context, bare))
    work.run()
    return work.result(changes, warnings)


def _usable(
    groups: Sequence[Group], layers: Sequence[Layer], params: ChannelsParams
) -> tuple[list[Group], dict[str, list[str]]]:
    names = {layer.name for layer in layers}
    usable, refused = [], defaultdict(list)
    for group in groups:
        if not shrinks(group, params):
            continue
        if not group.readers or any(port.node not in names for port in group.readers):
            refused[UNREAD].append(group.key)
        else:
            usable.append(group)
    return usable, refused


def _pruner(
    artifact: Artifact,
    line: Line,
    layers: list[Layer],
    groups: list[Group],
    params: ChannelsParams,
    context: PassContext,
    bare: ir.Model,
) -> Pruner:
    assert context.engine is not None and context.calibration is not None
    with context.engine.load(artifact) as loaded:
        inputs = loaded.inputs
    count = min(params.samples, context.calibration.samples)
    aside = round(params.held_out * count) if count > 1 else 0
    samples = read_samples(context, inputs, count - aside)
    held = read_samples(context, inputs, count, count - aside) if aside else samples
    settings = Settings(
        ridge=params.ridge,
        multiple=params.multiple,
        least=params.min_channels,
        most=params.most,
        probe_samples=PROBE,
        reconstruct=params.reconstruct,
        ranking=params.ranking,
        criterion=params.criterion,
        seed=params.seed,
    )
    return Pruner(context, line, layers, groups, samples, held, settings, bare)


@dataclass
class _Work:
    """One run of the pass."""

    artifact: Artifact
    model: ir.Model
    params: ChannelsParams
    context: PassContext
    pruner: Pruner
    points: list[Point] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    costs: Costs | None = None

    def run(self) -> None:
        """Go on in rounds until the target, the floor or the time is reached."""
        started, last = time.monotonic(), 0.0
        for number, share in enumerate(self._shares()):
            now = time.monotonic()
            if self.params.seconds is not None and number and now - started + last > self.params.seconds:
                self.notes.append(f"The time was over after {number} rounds: this is the best so far.")
                break
            self._round(number, share)
            last = time.monotonic() - now

    def _shares(self) -> Iterator[float]:
        """Give the share of the cost to go down to, for each round."""
        if self.params.target == "accuracy":
            yield from self._until_floor()
            return
        for number in range(self.params.rounds):
            yield (1 - self.params.ratio) ** ((number + 1) / self.params.rounds)

    def _until_floor(self) -> Iterator[float]:
        """Go down in steps; a step that falls below the floor is taken back and halved."""
        share, step = 1.0, 0.16
        while step >= LEAST_STEP and share - step > 0.1:
            yield share - step
            point = self.points[-1]
            if point.fidelity.score >= self.params.floor:
                share -= step
                continue
            self.points.pop()
            self.pruner.restore(
                self.points[-1].gone if self.points else {}, self.points[-1].changed if self.points else {}
            )
            step /= 2

    def _round(self, number: int, share: float) -> None:
        pruner, reporter = self.pruner, self.context.reporter
        curves = pruner.look()
        costs = self._costs()
        uniform = None
        if self.params.target == "ratio" or self.params.ranking == "local":
            uniform = 1 - share
        reached = pruner.choose(curves, costs, share * costs.total({}), uniform, local=self.params.ranking == "local")
        if not reached:
            self.notes.append("The target could not be reached with these limits: as much as they allow is gone.")
        if pruner.settings.reconstruct:
            pruner.fit()
        else:
            pruner.clear()
        found = fidelity(pruner.answers(pruner.network, 1 << 30), pruner.answers(pruner.original, 1 << 30))
        cost = costs.total({key: len(units) for key, units in pruner.gone.items()}) / max(costs.total({}), 1e-30)
        self.points.append(Point(cost, found, dict(pruner.gone), dict(pruner.network.changed)))
        reporter.log(f"round {number + 1}: {cost:.3f} of the cost, {found.text}")

    def _costs(self) -> Costs:
        """Give what the layers cost, in the unit that the ranking or the target counts in."""
        if self.costs is not None:
            return self.costs
        pruner = self.pruner
        if self.params.target == "parameters":
            self.costs = Costs(weights_of(pruner.layers), pruner.groups)
        elif self.params.target == "latency" or self.params.ranking == "latency":
            timed = self._times()
            if timed is None:
                self.notes.append("Layers could not be timed here: multiply-accumulates stand for the time.")
            else:
                self.costs = Costs(timed[0], pruner.groups, timed[1])
        self.costs = self.costs or Costs(macs_of(pruner.layers, pruner.positions), pruner.groups)
        return self.costs

    def _times(self) -> tuple[dict[str, float], float] | None:
        path = self.context.workdir / "timed.onnx"
        try:
            prepared = write_model(self.model, path)
            feed = self.pruner.samples.shelf.get(0)
            one = {
                name: array[:1] if len(array) == self.pruner.samples.sizes[0] else array for name, array in feed.items()
            }
            return times_of(prepared, self.pruner.layers, one, self.context)
        finally:
            path.unlink(missing_ok=True)

    def result(self, changes: Sequence[NodeChange], warnings: tuple[str, ...]) -> PassResult:
        """Take the units out of the model for good, and say what was done."""
        assert self.context.calibration is not None
        self.pruner.close()
        warnings += tuple(dict.fromkeys(self.notes))
        point = self.points[-1] if self.points else None
        if point is None or not any(point.gone.values()):
            return PassResult(artifact=self.artifact, warnings=("Nothing was taken out.", *warnings))
        _put(self.model, self.pruner.line, point.changed)
        removed = remove(self.model, {key: np.asarray(units) for key, units in point.gone.items() if units})
        if self.pruner.few:
            warnings += (FEW.format(len(self.pruner.few), next(iter(self.pruner.few))),)
        if self.context.calibration.synthetic:
            warnings += ("The channels were chosen on generated inputs: give real data for real accuracy.",)
        written = write_model(self.model, self.context.workdir / "model.onnx")
        return PassResult(
            artifact=written,
            changes=(*_changes(removed, self.pruner, point), *changes),
            warnings=warnings,
            provenance=removed.provenance,
            notes=self._numbers(point),
        )

    def _numbers(self, point: Point) -> dict[str, str | int | float | bool]:
        curve = "; ".join(f"{one.share:.3f}: {one.fidelity.score:.4f}" for one in self.points)
        pruner = self.pruner
        sizes = {group.key: group.size for group in pruner.groups}
        positions = macs_of(pruner.layers, pruner.positions)
        macs = Costs(positions, pruner.groups)
        weights = Costs(weights_of(pruner.layers), pruner.groups)
        gone = {key: len(units) for key, units in point.gone.items()}
        return {
            "units_removed": sum(gone.values()),
            "units": sum(sizes.values()),
            "macs_share": round(macs.total(gone) / max(macs.total({}), 1e-30), 4),
            "parameters_share": round(weights.total(gone) / max(weights.total({}), 1e-30), 4),
            "cost_share": round(point.share, 4),
            **point.fidelity.notes,
            "curve": curve,
        }


def _put(model: ir.Model, line: Line, changed: Mapping[str, NDArray[Any]]) -> None:
    """Write changed constants into a model."""
    holders = {str(node.outputs[0].name): node.outputs[0] for node in model.graph if node.op_type == "Constant"}
    for name, array in changed.items():
        holder = model.graph.initializers.get(name) or holders[name]
        replace_content(holder, ir.Tensor(np.ascontiguousarray(array), name=name, dtype=line.constants[name].dtype))


def _changes(removed: Removal, pruner: Pruner, point: Point) -> list[NodeChange]:
    """List what happened to each node: sizes, and fits where sizes stayed."""
    changes = list(removed.changes)
    listed = {change.node for change in changes}
    for layer in pruner.layers:
        node = layer.weight.name
        if node not in listed and str(layer.weight.holder.name) in point.changed:
            changes.append(
                NodeChange(node=node, operator=layer.weight.node.op_type, change="rewritten", detail="fitted")
            )
    return changes

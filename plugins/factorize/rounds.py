"""Factorizing a network from its input to its output, some layers at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from studio.api import (
    Artifact,
    DataError,
    Moments,
    NodeChange,
    PassContext,
    PassResult,
    gather_moments,
    left_alone,
    read_model,
    write_model,
)

from .choice import Choice, Rule, choose, dense, sample_shape
from .fit import fit
from .layers import Layer, find_layers
from .low_rank import LowRankParams
from .rewrite import Rewriter
from .shares import Shares, budget_shares, energy_share, fixed_shares
from .timing import Timer

if TYPE_CHECKING:
    import onnx_ir as ir


def factorize(artifact: Artifact, params: LowRankParams, context: PassContext) -> PassResult | None:
    """Factorize the layers of a model; None when it has none."""
    model = read_model(artifact)
    layers, warnings = find_layers(model, context.scope, params.min_weights, params.convolution != "none")
    if not layers:
        return PassResult(artifact=artifact, warnings=warnings) if warnings else None
    if context.calibration is None or context.engine is None:
        raise DataError("Low-rank factorization needs calibration data.", "Give a dataset of typical inputs.")
    work = _Work(artifact, model, params, context)
    work.run(layers)
    return work.result(warnings)


@dataclass
class _Work:
    artifact: Artifact
    model: ir.Model
    params: LowRankParams
    context: PassContext
    done: dict[str, Choice] = field(default_factory=dict)
    added: dict[str, tuple[str, ...]] = field(default_factory=dict)
    kept: dict[str, list[str]] = field(default_factory=dict)
    few: list[str] = field(default_factory=list)
    macs: list[float] = field(default_factory=lambda: [0.0, 0.0])
    #: by name of the layer: the nodes change as they are rewritten
    operators: dict[str, str] = field(default_factory=dict)

    def run(self, layers: Sequence[Layer]) -> None:
        """Go through the layers in rounds; each sees the network as the rounds before left it."""
        params, rewriter = self.params, Rewriter(self.model)
        shares = self._shares(layers)
        timed = params.time_check or params.criterion == "latency"
        timer = Timer(self.context.engine, self.context) if timed and self.context.engine else None
        by_name = {layer.name: layer for layer in layers}
        self.operators = {layer.name: layer.weight.node.op_type for layer in layers}
        for moments in self._observed(layers):
            layer = by_name[moments.site.key]
            self.context.reporter.progress(len(self.done) + self._kept(), len(layers), layer.name)
            self.context.reporter.check()
            self._one(layer, moments, shares, timer, rewriter)

    def _shares(self, layers: Sequence[Layer]) -> Shares:
        params = self.params
        if params.criterion == "ratio":
            return fixed_shares(layers, params.keep, params.multiple)
        if params.criterion in ("energy", "latency"):
            return {}
        return budget_shares(
            self.artifact,
            layers,
            params.keep,
            params.multiple,
            self.context,
            params.samples,
            parameters=params.criterion == "parameters",
        )

    def _observed(self, layers: Sequence[Layer]) -> Iterator[Moments]:
        assert self.context.engine is not None and self.context.calibration is not None
        rounds = min(self.params.rounds, len(layers)) if self.params.reconstruct else 1
        size = -(-len(layers) // rounds)
        for start in range(0, len(layers), size):
            sites = [layer.site for layer in layers[start : start + size]]
            with TemporaryDirectory(dir=self.context.workdir, prefix="round-") as folder:
                current = write_model(self.model, Path(folder) / "model.onnx") if self.done else self.artifact
                yield from gather_moments(
                    self.context.engine,
                    current,
                    sites,
                    self.context.calibration,
                    limit=self.params.samples,
                    reference=self.artifact,
                )

    def _one(self, layer: Layer, moments: Moments, shares: Shares, timer: Timer | None, rewriter: Rewriter) -> None:
        params = self.params
        correct = layer.bias_node is not None
        fitted = fit(
            layer.matrix(),
            moments,
            layer.bias(),
            correct=correct,
            reconstruct=params.reconstruct,
            ridge=params.ridge,
        )
        if moments.rows < layer.linear.inputs:
            self.few.append(layer.name)
        share = shares.get(layer.name, 1.0)
        if params.criterion == "energy":
            share = energy_share(layer, fitted, params.energy, params.multiple)
        rule = Rule(
            convolution=params.convolution,
            multiple=params.multiple,
            parameters=params.criterion == "parameters",
            fraction=params.keep if params.criterion == "latency" else None,
        )
        found = choose(layer, fitted, share, rule, timer, sample_shape(layer, moments))
        before = moments.positions * dense(layer)
        self.macs[0] += before
        self.macs[1] += before * (1.0 if isinstance(found, str) else found.cost)
        if isinstance(found, str):
            self.kept.setdefault(found, []).append(layer.name)
            return
        bias = layer.added() + fitted.bias(found.factors.matrix) if correct else None
        names = rewriter.replace(layer, found.factors, bias)
        self.added.update((name, (layer.name,)) for name in names)
        self.done[layer.name] = found

    def _kept(self) -> int:
        return sum(len(names) for names in self.kept.values())

    def result(self, warnings: tuple[str, ...]) -> PassResult:
        """Write the model and say what was done."""
        assert self.context.calibration is not None
        notes = (*warnings, *left_alone(self.kept))
        if not self.done:
            return PassResult(artifact=self.artifact, warnings=("No layer was factorized.", *notes))
        if self.few:
            notes += (
                f"{len(self.few)} layers (first: {self.few[0]}) had fewer rows of calibration data than inputs: "
                "the ridge keeps them near their weights; more samples fit them better.",
            )
        if self.context.calibration.synthetic:
            notes += ("The factors were fitted to generated inputs: give real data for real accuracy.",)
        written = write_model(self.model, self.context.workdir / "model.onnx")
        errors = [choice.error for choice in self.done.values()]
        return PassResult(
            artifact=written,
            changes=tuple(self._changes()),
            warnings=notes,
            provenance=self.added,
            notes={
                "layers": len(self.done),
                "layers_left": self._kept(),
                "macs_share": self.macs[1] / max(self.macs[0], 1.0),
                "mean_energy_lost": sum(errors) / len(errors),
                "worst_energy_lost": max(errors),
            },
        )

    def _changes(self) -> Iterator[NodeChange]:
        for name, choice in self.done.items():
            ranks = " and ".join(str(rank) for rank in choice.factors.ranks)
            clock = f", {choice.time:.2f} of the time alone" if choice.time is not None else ""
            detail = (
                f"{choice.factors.kind} of rank {ranks}: {choice.cost:.2f} of the multiply-accumulates{clock}, "
                f"{choice.error:.2%} of the outputs' energy lost"
            )
            yield NodeChange(node=name, operator=self.operators[name], change="rewritten", detail=detail)
        for name, (origin,) in self.added.items():
            yield NodeChange(
                node=name, operator=self.operators[origin], change="added", detail=f"first part of {origin}"
            )

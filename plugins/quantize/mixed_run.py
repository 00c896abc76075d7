"""The work of `quantize.mixed`: forms of the whole model, what each layer costs in each, the choice, the proof."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from studio.api import (
    Artifact,
    Assignment,
    BurnishError,
    DataError,
    Engine,
    Grafter,
    Group,
    Item,
    LayerOption,
    Limits,
    OptionTable,
    OutputError,
    Pass,
    PassContext,
    PassError,
    PassResult,
    Scion,
    Sensor,
    assign,
    decibels,
    grouped,
    layer_times,
    profile,
    read_model,
    read_proto,
)

from .dynamic import DynamicQuantization
from .finish import list_changes, unchanged
from .float16 import Float16
from .graph import operators_by_name
from .mixed_groups import bound_together
from .static import StaticQuantization
from .weights import WeightQuantization

if TYPE_CHECKING:
    from .mixed import MixedParams

#: a choice is corrected when its measured error leaves so much of the budget unused
SLACK = 0.6
#: each correction aims a little below the budget
AIM = 0.9


@dataclass(frozen=True)
class _Tried:
    """A choice that was built and run."""

    chosen: Mapping[str, str]
    solved: Assignment
    predicted: float
    cost: float
    found: OutputError


def run(artifact: Artifact, params: MixedParams, context: PassContext) -> PassResult:
    """Choose a precision for each layer and build the model.

    Raises
    ------
    DataError
        When there is no calibration data.
    PassError
        When no form can be made of the model.
    """
    if context.engine is None:
        raise PassError("Mixed precision runs the model, but nothing here can.", "Install onnxruntime or openvino.")
    if context.calibration is None:
        raise DataError("Mixed precision needs calibration data.", "Give a dataset of typical inputs.")
    folder = Path(mkdtemp(prefix="mixed-", dir=context.workdir))
    try:
        return _Mix(artifact, params, context, context.engine, folder).result()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Mix:
    """One model on its way to mixed precision."""

    def __init__(
        self, artifact: Artifact, params: MixedParams, context: PassContext, engine: Engine, folder: Path
    ) -> None:
        assert context.calibration is not None
        self._artifact, self._params, self._context, self._engine = artifact, params, context, engine
        self._folder, self._data = folder, context.calibration
        self._warnings: list[str] = []
        scions = self._forms()
        self._grafter = Grafter(artifact, scions, context.scope)
        self._sensor = Sensor(
            engine, self._grafter, artifact, self._data, params.test_samples, folder, context.reporter
        )
        self._scions = scions

    def result(self) -> PassResult:
        """Measure, choose, build and prove."""
        table = OptionTable(self._sensor, self._context.reporter)
        table.estimate(list(self._grafter.regions))
        table.measure(self._params.seconds, stop=False)
        options = [item for item in self._timed(table.options) if item.error is not None]
        groups = grouped(options, bound_together(self._grafter.source(), self._grafter.layers))
        best, tried = self._settle(groups)
        self._warnings += table.warnings
        if best is None or not best.chosen:
            why = "no layer can change within the budget and save anything"
            return unchanged(self._artifact, why).model_copy(
                update={"warnings": (f"Nothing was changed: {why}.", *self._warnings)}
            )
        made = self._grafter.hybrid(best.chosen, self._context.workdir / "model.onnx")
        return PassResult(
            artifact=made,
            changes=self._changes(made, best.chosen, options),
            warnings=tuple(self._warnings),
            notes={**self._notes(best, len(groups)), "rounds": tried, **self._proof(made)},
        )

    def _forms(self) -> list[Scion]:
        """Bring the whole model into each precision; those that cannot be made are left out with the reason."""
        made = []
        for number, label in enumerate(self._params.precisions):
            self._context.reporter.progress(number, len(self._params.precisions), f"making {label}")
            the_pass, values = _form(label, self._params)
            workdir = self._folder / f"form-{number}"
            workdir.mkdir()
            context = dataclasses.replace(self._context, workdir=workdir)
            try:
                result = the_pass.apply(self._artifact, the_pass.Params(**values), context)
            except BurnishError as error:
                self._warnings.append(f"No layer becomes {label}: {error.message}")
                continue
            if result.artifact.sha256 == self._artifact.sha256:
                self._warnings += [f"No layer becomes {label}: {warning}" for warning in result.warnings[:1]]
            else:
                made.append(Scion(label, result.artifact))
        if not made:
            raise PassError(f"No precision can be made of this model. {' '.join(self._warnings)}", "Choose others.")
        return made

    def _timed(self, options: Sequence[LayerOption]) -> list[LayerOption]:
        """Add the time that each layer saves, by the counters of the engine."""
        if self._params.minimize != "time":
            return list(options)
        before = profile(self._engine, self._artifact, self._data)
        times = {}
        for scion in self._scions:
            self._context.reporter.check()
            after = profile(self._engine, scion.artifact, self._data)
            times[scion.label] = layer_times(before, after, *self._grafter.owners(scion.label))
        if not any(times.values()):
            self._warnings.append("This runtime does not tell the time of layers: bytes were saved instead.")
        return [
            item.model_copy(update={"milliseconds": times.get(item.choice, {}).get(item.output)}) for item in options
        ]

    def _settle(self, groups: Sequence[Group]) -> tuple[_Tried | None, int]:
        """Solve, run the choice, and correct the budget by what it really costs; gives the best that keeps it."""
        limits = self._limits()
        scale = 1.0
        best: _Tried | None = None
        seen: set[frozenset[tuple[str, str]]] = set()
        for number in range(self._params.rounds):
            self._context.reporter.progress(number, self._params.rounds, "choosing")
            tried = self._try(groups, dataclasses.replace(limits, noise=_scaled(limits.noise, scale)), best)
            if tried is None or frozenset(tried.chosen.items()) in seen:
                return best, number + 1
            seen.add(frozenset(tried.chosen.items()))
            if self._keeps(tried, limits) and (best is None or tried.cost < best.cost):
                best = tried
            if not tried.chosen or not tried.predicted or limits.noise is None:
                if limits.flips is not None and not self._keeps(tried, limits):
                    limits = dataclasses.replace(limits, flips=limits.flips / 2)
                    continue
                return best, number + 1
            if self._keeps(tried, limits) and tried.found.noise > SLACK * limits.noise:
                return best, number + 1
            scale = AIM * tried.predicted / tried.found.noise if tried.found.noise > 0 else scale * 4
        return best, self._params.rounds

    def _try(self, groups: Sequence[Group], limits: Limits, best: _Tried | None) -> _Tried | None:
        items = [[Item(), *(self._item(forms) for forms in group.forms.values())] for group in groups]
        solved = assign(items, limits)
        if not solved.feasible:
            if best is None:
                self._warnings.append("The budget cannot be kept: the smallest or most faithful forms were taken.")
            else:
                return None
        picked = [group[index] for group, index in zip(items, solved.chosen, strict=True)]
        chosen = {}
        for group, index in zip(groups, solved.chosen, strict=True):
            if index:
                label = list(group.forms)[index - 1]
                chosen.update({option.output: label for option in group.forms[label]})
        found = self._sensor.measure(chosen)
        return _Tried(chosen, solved, sum(item.noise for item in picked), sum(item.cost for item in picked), found)

    def _item(self, options: Sequence[LayerOption]) -> Item:
        noise = sum(option.error or 0.0 for option in options)
        size = float(sum(option.bytes for option in options))
        times = [option.milliseconds for option in options if option.milliseconds is not None]
        cost = {"size": -size, "error": noise, "time": -sum(times) if times else -size * 1e-12}
        flips = sum(1 - option.agreement for option in options if option.agreement is not None)
        return Item(cost=cost[self._params.minimize], noise=noise, flips=flips, bytes=-size)

    def _limits(self) -> Limits:
        params = self._params
        regions = {
            region.layers: region.bytes_before for found in self._grafter.regions.values() for region in found.values()
        }
        whole = sum(regions.values())
        return Limits(
            noise=10 ** (-params.sqnr / 10) if params.sqnr else None,
            flips=1 - params.agreement if params.agreement else None,
            bytes=-(1 - params.size) * whole if params.size < 1 else None,
        )

    def _keeps(self, tried: _Tried, limits: Limits) -> bool:
        if limits.noise is not None and tried.found.noise > limits.noise and tried.solved.feasible:
            return False
        share = tried.found.agreement
        return not self._params.agreement or share is None or share >= self._params.agreement or not tried.chosen

    def _notes(self, best: _Tried, groups: int) -> dict[str, Any]:
        counts = Counter(
            label for output, label in best.chosen.items() for _ in self._grafter.regions[label][output].layers
        )
        notes: dict[str, Any] = {f"layers_{label}": number for label, number in sorted(counts.items())}
        notes["layers_float32"] = len(self._grafter.layers) - sum(counts.values())
        notes["groups"] = groups
        notes["predicted_sqnr_db"] = round(decibels(best.predicted), 2)
        notes["measured_sqnr_db"] = round(decibels(best.found.noise), 2)
        if best.found.agreement is not None:
            notes["measured_agreement"] = round(best.found.agreement, 4)
        if self._params.minimize == "time":
            notes["predicted_saving_ms"] = round(-best.cost, 4)
        notes["solver_gap"] = round(best.solved.gap, 6)
        return notes

    def _proof(self, made: Artifact) -> dict[str, Any]:
        """Compare the result with the source on every runtime: the prediction came from the first one."""
        notes: dict[str, Any] = {}
        for spec, engine in self._engine.each():
            try:
                notes[f"sqnr_db {spec}"] = round(decibels(self._sensor.compare(made, engine).noise), 2)
            except BurnishError as error:
                self._warnings.append(f"{spec} cannot run the result: {error.message}")
        return notes

    def _changes(self, made: Artifact, chosen: Mapping[str, str], options: Sequence[LayerOption]) -> Any:
        known = {(option.output, option.choice): option for option in options}
        rewritten = {}
        for output, label in chosen.items():
            option = known[output, label]
            detail = f"{label}: {decibels(option.error or 0.0):.1f} dB by itself"
            if option.milliseconds is not None:
                detail += f", {option.milliseconds:+.3f} ms saved"
            nodes = [str(node.name) for node in self._grafter.regions[label][output].nodes]
            for layer in option.layers:
                rewritten[layer if layer in nodes else nodes[-1]] = (layer, detail)
        before = operators_by_name(read_model(self._artifact).graph)
        return list_changes(before, read_proto(made.path).graph, rewritten)


def _form(label: str, params: MixedParams) -> tuple[Pass, dict[str, Any]]:
    """Give the pass that brings a whole model into a precision, and its parameters."""
    samples = params.samples
    forms: dict[str, tuple[Pass, dict[str, Any]]] = {
        "int8": (StaticQuantization(), {"samples": samples, "operators": ("Conv", "ConvTranspose", "Gemm", "MatMul")}),
        "int8-dynamic": (DynamicQuantization(), {}),
        "int8-weights": (WeightQuantization(), {"bits": 8}),
        "int4-weights": (WeightQuantization(), {"bits": 4}),
        "float16": (Float16(), {}),
    }
    return forms[label]


def _scaled(limit: float | None, scale: float) -> float | None:
    return None if limit is None else limit * scale

"""The work of `quantize.weights`: from a model to one with weights of few bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from studio.api import Artifact, NodeChange, PassContext, PassResult, write_model

from .editor import Editor
from .levels import Levels, Spill
from .opset import raise_opset
from .prepare import open_named
from .scaling import scale_activations
from .weight_forms import CONTRIB, Former
from .weight_plan import Plan, needed_opset
from .weight_rounding import Scaling, groups, inputs_curvature, is_finite, observed, quantize
from .weight_targets import Target, find_targets, reasons

if TYPE_CHECKING:
    import onnx_ir as ir

    from .gptq import Curvature

NOT_FINITE = "it has values that are not finite"


@dataclass
class _Done:
    changes: list[NodeChange] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    weights: int = 0
    layers: int = 0
    bits: int = 0
    few: list[str] = field(default_factory=list)
    wide: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Request:
    """What to quantize, and how."""

    plan: Plan
    operators: tuple[str, ...]
    least: int
    int8_activations: bool


def run(artifact: Artifact, request: Request, context: PassContext) -> PassResult:
    """Quantize the weights of a model one at a time.

    Raises
    ------
    DataError
        When a method that looks at data has none, or the data gives values that are not finite.
    PassError
        When the model cannot be brought to the opset that the form needs.
    """
    with TemporaryDirectory(dir=context.workdir, prefix="weights-") as folder:
        return _run(artifact, request, context, Path(folder))


def _run(artifact: Artifact, request: Request, context: PassContext, folder: Path) -> PassResult:
    plan, model = request.plan, open_named(artifact)
    typed = model.meta["typed"]
    targets, _ = find_targets(model, request.operators, context.scope, request.least)
    opset = needed_opset({target.kind for target in targets}, plan.form, plan.bits, plan.block)
    model, notes = raise_opset(model, opset, folder)
    targets, refused = find_targets(model, request.operators, context.scope, request.least)
    odd = {id(group[0].holder) for group in groups(targets) if not is_finite(group[0])}
    for target in targets:
        if id(target.holder) in odd:
            refused.setdefault(NOT_FINITE, []).append(target.name)
    targets = [target for target in targets if id(target.holder) not in odd]
    if not targets:
        return PassResult(artifact=artifact, warnings=("No weight was quantized.", *reasons(refused)))
    done, spill, editor = _Done(), Spill(folder), Editor(model.graph)
    former = Former(editor, spill, plan.form, int8_activations=request.int8_activations)
    members = {id(group[0]): group for group in groups(targets)}
    for number, (target, levels) in enumerate(_levels(artifact, targets, plan, context, editor, spill, done)):
        context.reporter.progress(number, len(members), target.name)
        _record(done, members[id(target)], levels, plan)
        former.use(members[id(target)], levels)
    if plan.form == "nbits":
        model.opset_imports.setdefault(CONTRIB, 1)
    forget_inferred(model, typed)
    written = write_model(model, context.workdir / "model.onnx")
    added = [NodeChange(node=name, operator=editor.operators[name], change="added") for name in editor.added]
    return PassResult(
        artifact=written,
        changes=(*_as_written(done.changes, model), *added),
        warnings=(*notes, *reasons(refused), *done.warnings, *_remarks(done, context, plan)),
        provenance=editor.added,
        notes={
            "layers": done.layers,
            "weights": done.weights,
            "stored_bits_per_weight": round(done.bits / max(1, done.weights), 3),
            "bytes_before": artifact.bytes,
            "bytes_after": written.bytes,
        },
    )


def _levels(
    artifact: Artifact,
    targets: list[Target],
    plan: Plan,
    context: PassContext,
    editor: Editor,
    spill: Spill,
    done: _Done,
) -> Iterator[tuple[Target, Levels]]:
    """Give each weight quantized, with the first of the targets that use it."""
    firsts = [group[0] for group in groups(targets)]
    seeing = [target for target in targets if target.kind == "matmul"]
    scaling = Scaling()
    if plan.method == "gptq" and seeing:
        for moments, readers in observed(artifact, seeing, plan, context):
            known: Curvature | None = inputs_curvature(moments, plan)
            for reader in readers:
                if known is None:
                    done.wide.append(reader.name)
                elif moments.rows < reader.inputs:
                    done.few.append(reader.name)
                yield reader, quantize(reader, plan, scaling, known, context)
        firsts = [target for target in firsts if target.kind != "matmul"]
    if plan.method == "awq" and seeing:
        scaled = scale_activations(observed(artifact, seeing, plan, context), targets, plan, editor, spill)
        scaling = scaled.scaling
        done.changes += scaled.changes
        if scaled.plain:
            first, more = scaled.plain[0], len(scaled.plain) - 1
            done.warnings.append(
                f"Rounded without a scale, as nothing before them can absorb one: {first}"
                f"{f' and {more} more' if more else ''}."
            )
    for target in firsts:
        yield target, quantize(target, plan, scaling, None, context)


def _record(done: _Done, group: list[Target], levels: Levels, plan: Plan) -> None:
    first = group[0]
    scales = 32 * levels.scales.size + (levels.bits * levels.zeros.size if levels.zeros is not None else 0)
    done.weights += first.size
    done.bits += levels.codes.size * levels.bits + scales
    done.layers += len(group)
    size = "row" if levels.size == first.inputs else f"block of {levels.size}"
    detail = f"{first.size:,} weights in {levels.bits} bits, a scale for each {size}"
    if plan.grid(first).bits != levels.bits:
        detail = f"{first.size:,} weights of {2 ** plan.grid(first).bits} levels in {levels.bits} bits"
    done.changes += [
        NodeChange(node=target.name, operator=target.node.op_type, change="rewritten", detail=detail)
        for target in group
    ]


def _as_written(changes: list[NodeChange], model: ir.Model) -> Iterator[NodeChange]:
    """Name the operators that the nodes have become."""
    operators = {node.name: node.op_type for node in model.graph}
    for change in changes:
        yield change.model_copy(update={"operator": operators.get(change.node, change.operator)})


def _remarks(done: _Done, context: PassContext, plan: Plan) -> Iterator[str]:
    if done.wide:
        yield f"Too wide for GPTQ, rounded by themselves: {', '.join(done.wide[:3])}."
    if done.few:
        yield (
            f"{len(done.few)} layers (first: {done.few[0]}) had fewer rows of calibration data than inputs: "
            "more samples make their correction more reliable."
        )
    if plan.method in ("gptq", "awq") and context.calibration is not None and context.calibration.synthetic:
        yield "The weights were rounded by generated inputs: give real data for real accuracy."


def forget_inferred(model: ir.Model, typed: set[str]) -> None:
    """Drop types that the source does not state: what reads the result infers them again."""
    for node in model.graph:
        for value in node.outputs:
            if value.name not in typed and not value.is_graph_output():
                value.type = value.shape = None

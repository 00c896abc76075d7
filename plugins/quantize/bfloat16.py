"""`quantize.bfloat16`: weights, or also arithmetic, in 16 bits with the range of float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from studio.api import (
    Artifact,
    Device,
    Family,
    Need,
    NodeChange,
    Params,
    Pass,
    PassContext,
    PassResult,
    Scope,
    Step,
    Survey,
    param,
    write_model,
)

from .brain import convert, find_layers, needed_opset, simulated
from .expectation import assumed, brain_speed
from .finish import unchanged
from .graph import count_operators, half_precision, operators_by_name, quantized_already
from .initializers import own_constants
from .notes import left_in_float, skipped_note
from .opset import raise_opset
from .prepare import open_named
from .quiet import scratch_folder
from .refusal import refusal
from .selection import NOTHING, Selection, check_operators
from .size import half_size
from .weight_run import forget_inferred

if TYPE_CHECKING:
    import onnx_ir as ir

_KNOWN = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class BFloat16Params(Params):
    """Parameters of `BFloat16`."""

    form: Literal["weights", "compute"] = param(
        "weights",
        "Store weights in BF16 and convert them on loading, which every engine runs, or compute in BF16 too, which "
        "ONNX Runtime cannot on a CPU.",
        candidates=("weights", "compute"),
    )
    operators: tuple[str, ...] = param(_KNOWN, "Operators to convert.", advanced=True)
    least: float = param(
        20.0,
        "A layer whose output differs more than this on calibration data stays float32; 0 looks at none.",
        unit="dB",
        ge=0,
        le=100,
        advanced=True,
    )


class BFloat16(Pass):
    """Convert weights, or also the arithmetic of layers, to bfloat16."""

    id: ClassVar[str] = "quantize.bfloat16"
    title: ClassVar[str] = "Brain floating point (BF16)"
    family: ClassVar[Family] = "precision"
    summary: ClassVar[str] = "Store weights in 16 bits that have the range of FP32: half the size, nothing overflows."
    Params: ClassVar[type[Params]] = BFloat16Params

    def survey(self, model: ir.Model, params: BFloat16Params, device: Device | None, scope: Scope) -> Survey:
        """Say what it would touch; see `Pass.survey`."""
        why_not, selection = _judge(model, params, scope)
        if why_not:
            return Survey(applies=False, summary="nothing to convert", why_not=f"Not applicable: {why_not}.")
        casts = len(selection.nodes) * (2 if params.form == "weights" else 3)
        return Survey(
            applies=True,
            summary=count_operators(selection.nodes),
            nodes=selection.names,
            speed=brain_speed(device, compute=params.form == "compute") if device else None,
            size=half_size(model, selection.weights(), casts),
            warnings=_advice(model, selection, params, device),
        )

    def apply(self, artifact: Artifact, params: BFloat16Params, context: PassContext) -> PassResult:
        """Convert; see `Pass.apply`.

        Raises
        ------
        PassError
            When the model cannot be brought to the opset that the form needs.
        """
        model = open_named(artifact)
        why_not, selection = _judge(model, params, context.scope)
        if why_not:
            return unchanged(artifact, why_not)
        warnings = _advice(model, selection, params, context.device)
        typed = model.meta["typed"]
        with scratch_folder(context.workdir) as scratch:
            opset = needed_opset(selection, params.form)
            model, raised = raise_opset(model, opset, scratch, "Choose the form weights, which needs opset 13 only")
            selection = find_layers(model, params.operators, context.scope)
            own_constants(model.graph, selection)
            before = operators_by_name(model.graph)
            kept, notes = simulated(model, selection, params.form, params.least, context, scratch)
            selection = Selection({node: name for node, name in selection.nodes.items() if name not in kept}, {})
            if not selection.nodes:
                return unchanged(artifact, "every layer would lose more than the bound allows")
            added = convert(model, selection, params.form)
            forget_inferred(model, typed)
            result = write_model(model, context.workdir / "model.onnx")
        detail = "weights bfloat16" if params.form == "weights" else "computes in bfloat16"
        operators = operators_by_name(model.graph)
        return PassResult(
            artifact=result,
            changes=(
                *(
                    NodeChange(node=name, operator=before[name], change="retyped", detail=detail)
                    for name in selection.names
                ),
                *(NodeChange(node=name, operator=operators[name], change="added") for name in added),
            ),
            warnings=(*warnings, *raised, *notes),
            provenance=added,
            notes={"form": params.form, "layers": len(selection.nodes), "kept_for_precision": len(kept)},
        )

    def needs_for(self, params: BFloat16Params) -> frozenset[Need]:
        """Say that it looks at data, unless told not to."""
        return frozenset({Need.CALIBRATION}) if params.least else frozenset()

    def refuses(self, earlier: tuple[Step, ...]) -> str:
        """Say why it may not follow these steps."""
        return refusal(earlier, half=True)


def _judge(model: ir.Model, params: BFloat16Params, scope: Scope) -> tuple[str, Selection]:
    """Say why the pass does not apply, or what it would convert."""
    check_operators(params.operators, _KNOWN, "quantize.bfloat16")
    already = quantized_already(model)
    if already:
        return already, NOTHING
    selection = find_layers(model, params.operators, scope)
    if selection.nodes:
        return "", selection
    if half_precision(model):
        return "its weights have 16 bits already", NOTHING
    reasons = "; ".join(note.rstrip(".") for note in skipped_note(selection.skipped))
    return reasons or f"no {' or '.join(params.operators)} with constant float32 weights in the scope", NOTHING


def _advice(model: ir.Model, selection: Selection, params: BFloat16Params, device: Device | None) -> tuple[str, ...]:
    notes = [*skipped_note(selection.skipped), *left_in_float(model, params.operators)]
    if brain_speed(assumed(device), compute=params.form == "compute").high <= 1.05:
        notes.append("This device has no BF16 arithmetic (AVX512-BF16, AMX): expect half the size, not less time.")
    if params.form == "compute":
        notes.append("ONNX Runtime has no BF16 kernels for these operators on a CPU: OpenVINO runs the result.")
    return tuple(notes)

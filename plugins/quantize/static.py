"""`quantize.static`: weights and activations in 8 bits, ranges from calibration data, as QDQ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from studio.api import (
    Artifact,
    Change,
    DataError,
    Device,
    Family,
    Need,
    Params,
    Pass,
    PassContext,
    PassResult,
    Scope,
    Step,
    Survey,
    UsageError,
    param,
)

from .calibration import Plan
from .expectation import Switch, reduce_range, static_speed
from .finish import list_changes, unchanged, write_checked
from .graph import count_operators, half_precision, operators_by_name, quantized_already
from .initializers import add_biases, own_constants
from .notes import data_notes, skipped_note, static_advice, upgrade_note
from .preparation import Wishes, prepare
from .prepare import PER_AXIS_OPSET, SIXTEEN_BIT_OPSET, open_named, save_prepared
from .qdq import Types
from .quiet import scratch_folder
from .refusal import refusal
from .selection import ACTIVATIONS, GLUE, MOVERS, NOTHING, Selection, StaticRule, check_operators, select
from .size import int8_size
from .smoothing import Smooth
from .static_run import Chosen, Request, calibrated
from .statistics import Method

if TYPE_CHECKING:
    import onnx_ir as ir

_KNOWN = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class StaticParams(Params):
    """Parameters of `StaticQuantization`."""

    method: Method = param(
        "minmax",
        "How the range of each activation is found: all values, a percentile, the least information lost, or the "
        "least squared error.",
        candidates=("minmax", "percentile", "entropy", "mse"),
    )
    percentile: float = param(
        99.999, "Share of the values kept by the percentile method.", unit="%", ge=90, le=100, advanced=True
    )
    samples: int = param(256, "Most calibration samples to use.", unit="samples", ge=1, le=100_000)
    per_channel: bool = param(True, "A scale for each output channel of the weights instead of one for all.")
    activation_type: Literal["uint8", "int8", "uint16"] = param(
        "uint8", "Type of activations; uint16 is for finding out what 8 bits cost: it is not faster than float."
    )
    weight_type: Literal["int8", "uint8"] = param("int8", "Type of weights; uint8 needs uint8 activations.")
    smooth: Smooth = param(
        "insert",
        "SmoothQuant: divide outlying channels before MatMul and Gemm and multiply their weights, where constants "
        "take the factor (absorb) or also by a Mul where it pays (insert).",
        candidates=("off", "absorb", "insert"),
    )
    smooth_strength: float = param(
        0.0,
        "How much of the outliers moves into the weights; 0 searches the best for each activation.",
        ge=0,
        le=1,
        advanced=True,
    )
    equalize: bool = param(
        False,
        "Cross-layer equalization: let the channels between two Conv use their ranges alike; helps depthwise "
        "networks without per-channel weights.",
        candidates=(False, True),
    )
    correct_bias: bool = param(
        True,
        "Correct each layer's bias by the error that calibration data shows on average, layer by layer.",
        candidates=(True, False),
    )
    symmetric_activations: bool = param(False, "Centre the range of activations on zero.", advanced=True)
    symmetric_weights: bool = param(True, "Centre the range of weights on zero.", advanced=True)
    reduce_range: Switch = param(
        "auto",
        "Use 7 bits for weights, against saturation on processors with AVX2 or AVX-512 but without VNNI.",
        advanced=True,
    )
    operators: tuple[str, ...] = param(
        ("Conv", "Gemm", "MatMul"),
        "Operators to quantize (ConvTranspose too, on request); a Relu or Clip that follows is merged.",
        candidates=(("Conv", "Gemm", "MatMul"), ("Gemm", "MatMul")),
    )
    between: bool = param(
        False,
        "Keep the operators between them (Add, pooling, Concat, Reshape) in 8 bits too.",
        candidates=(False, True),
    )
    float_outputs: tuple[str, ...] = param(
        ("Gemm", "MatMul"),
        "Operators that take 8 bits and give float32: more faithful where what follows is float anyway.",
        candidates=(("Gemm", "MatMul"), ()),
        advanced=True,
    )
    patch_embedding: bool = param(
        False,
        "Also quantize the Conv that cuts a vision transformer's picture into patches, which OpenVINO computes "
        "wrongly with a dynamic batch.",
        advanced=True,
    )
    activation_matmul: bool = param(
        False, "Also quantize a MatMul of two activations, as in attention; costs accuracy.", advanced=True
    )


class StaticQuantization(Pass):
    """Quantize weights and activations with ranges found on calibration data."""

    id: ClassVar[str] = "quantize.static"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Static INT8 (QDQ)"
    family: ClassVar[Family] = "precision"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.CALIBRATION})
    summary: ClassVar[str] = "Store weights and compute in 8 bits, with ranges found on calibration data."
    trials: ClassVar[Mapping[str, Mapping[str, Any]]] = {"int8": {}}
    Params: ClassVar[type[Params]] = StaticParams

    def survey(self, model: ir.Model, params: StaticParams, device: Device | None, scope: Scope) -> Survey:
        """Say what it would touch; see `Pass.survey`."""
        why_not, selection = _judge(model, params, scope)
        if why_not:
            return Survey(applies=False, summary="nothing to quantize", why_not=f"Not applicable: {why_not}.")
        return Survey(
            applies=True,
            summary=count_operators(selection.nodes),
            nodes=selection.names,
            speed=static_speed(device) if device else None,
            change=Change(precision="int8"),
            size=int8_size(model, selection, per_channel=params.per_channel, nodes_each=9),
            warnings=static_advice(model, selection, params.operators, params.activation_type),
        )

    def apply(self, artifact: Artifact, params: StaticParams, context: PassContext) -> PassResult:
        """Calibrate and quantize; see `Pass.apply`.

        Raises
        ------
        DataError
            When the calibration data is empty, not finite or does not fit.
        PassError
            When the result is not valid.
        """
        model = open_named(artifact)
        why_not, selection = _judge(model, params, context.scope)
        if why_not:
            return unchanged(artifact, why_not)
        data = context.calibration
        if data is None:
            raise DataError("Static quantization needs calibration data.", "Give a dataset of typical inputs.")
        opset = SIXTEEN_BIT_OPSET if params.activation_type == "uint16" else PER_AXIS_OPSET
        warnings = static_advice(model, selection, params.operators, params.activation_type)
        warnings += upgrade_note(model, opset)
        before = operators_by_name(model.graph)
        reduced = reduce_range(params.reduce_range, params.weight_type, context.device)
        with scratch_folder(context.workdir) as scratch:
            own_constants(model.graph, selection)
            if params.correct_bias:
                add_biases(model.graph, selection)
            readied = prepare(model, selection, _wishes(params, reduced), data, context.reporter, scratch)
            typed, scoped = model.meta["typed"], Chosen.of(selection, params.float_outputs)
            prepared = save_prepared(model, scratch, opset)
            del model, selection
            done = calibrated(prepared, scoped, data, context, _request(params, reduced))
            result = write_checked(done.proto, context.workdir, typed=typed)
        kinds = f"weights {params.weight_type}{' in 7 bits' if reduced else ''}, activations {params.activation_type}"
        rewritten = {name: (name, f"{kinds}{done.errors.said(name)}") for name in done.names}
        changes = list_changes(before, done.proto.graph, rewritten)
        known = {change.node for change in changes}
        return PassResult(
            artifact=result,
            changes=(*changes, *(change for change in readied.changes if change.node not in known)),
            warnings=(*warnings, *data_notes(done.ranges, synthetic=data.synthetic), *done.errors.warnings()),
            provenance=readied.added,
            notes={
                "calibration_samples": done.ranges.samples,
                "method": params.method,
                "reduce_range": reduced,
                **readied.notes,
                **done.errors.notes(),
            },
        )

    def refuses(self, earlier: tuple[Step, ...]) -> str:
        """Say why it may not follow these steps."""
        return refusal(earlier)


def _judge(model: ir.Model, params: StaticParams, scope: Scope) -> tuple[str, Selection]:
    """Say why the pass does not apply, or what it would quantize."""
    check_operators((*params.operators, *params.float_outputs), _KNOWN, "quantize.static")
    if params.weight_type == "uint8" and params.activation_type == "int8":
        raise UsageError("Weights of uint8 need activations of uint8.", "Set activation_type to uint8.")
    already = quantized_already(model)
    if already:
        return already, NOTHING
    operators = {*params.operators, *ACTIVATIONS, *((*GLUE, *MOVERS) if params.between else ())}
    rule = StaticRule(
        activation_matmul=params.activation_matmul,
        float_outputs=params.float_outputs,
        patch_embedding=params.patch_embedding,
    )
    selection = select(model.graph, operators, scope, rule)
    if any(node.op_type in _KNOWN for node in selection.nodes):
        return "", selection
    if half_precision(model):
        return "its weights are float16, and INT8 needs the float32 model", NOTHING
    reasons = "; ".join(note.rstrip(".") for note in skipped_note(selection.skipped))
    return reasons or f"no {' or '.join(params.operators)} with constant float32 weights in the scope", NOTHING


def _wishes(params: StaticParams, reduced: bool) -> Wishes:
    return Wishes(params.smooth, params.smooth_strength, params.equalize, 7 if reduced else 8, params.samples)


def _request(params: StaticParams, reduced: bool) -> Request:
    levels = 65536 if params.activation_type == "uint16" else 256
    types = Types(
        weight=params.weight_type,
        activation=params.activation_type,
        per_channel=params.per_channel,
        seven_bits=reduced,
        symmetric_weights=params.symmetric_weights,
        symmetric_activations=params.symmetric_activations,
        float_outputs=params.float_outputs,
    )
    return Request(Plan(params.method, params.percentile, params.samples, levels), types, params.correct_bias)

"""`quantize.weights`: weights in 8 to 1 bits; activations stay float."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from studio.api import (
    Artifact,
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
    param,
)

from .finish import unchanged
from .graph import count_operators, half_precision, quantized_already
from .notes import left_in_float
from .prepare import open_named
from .refusal import refusal
from .selection import check_operators
from .weight_expectation import advice, weights_size, weights_speed
from .weight_plan import Plan
from .weight_targets import KNOWN, Target, find_targets, reasons

if TYPE_CHECKING:
    import onnx_ir as ir


class WeightsParams(Params):
    """Parameters of `WeightQuantization`."""

    bits: Literal[8, 4, 3, 2, 1] = param(
        4, "Bits of a weight; 3 bits are stored in 4, and 1 in 2, as operators have no other types.", candidates=(8, 4)
    )
    block: Literal[0, 16, 32, 64, 128, 256] = param(
        32, "Weights that share a scale; 0 for one scale for each output channel.", candidates=(32, 128)
    )
    method: Literal["rtn", "hqq", "gptq", "awq"] = param(
        "rtn",
        "How weights are rounded: each to the nearest; with outliers set aside (HQQ); so that later ones make up for "
        "earlier ones (GPTQ); or with channels of large inputs scaled up (AWQ). The last two need calibration data.",
        candidates=("rtn", "hqq", "gptq", "awq"),
    )
    form: Literal["nbits", "qdq", "stored"] = param(
        "nbits",
        "Operators of the result: ONNX Runtime's MatMulNBits; the standard's DequantizeLinear; or a Cast and a Mul, "
        "which engines compute when they load the model.",
        candidates=("nbits", "qdq"),
    )
    symmetric: bool = param(
        True, "Centre the levels on zero; otherwise each block has a zero point.", candidates=(True, False)
    )
    search: bool = param(
        True, "Choose each scale for the least squared error instead of from the largest weight.", advanced=True
    )
    compute: Literal["int8", "float32"] = param(
        "int8",
        "What MatMulNBits asks of ONNX Runtime: activations rounded to 8 bits while it runs, or float; float is slow "
        "but for 4 bits.",
        advanced=True,
    )
    operators: tuple[str, ...] = param(
        ("MatMul", "Gemm"),
        "Operators to quantize: MatMul, Gemm, Gather (tables of embeddings) and Conv (always in 8 bits).",
        candidates=(("MatMul", "Gemm"), ("MatMul", "Gemm", "Gather")),
    )
    samples: int = param(128, "Most calibration samples to use.", unit="samples", ge=1, le=100_000)
    dampening: float = param(
        0.01, "Added to the Hessian's diagonal, relative to its mean; for gptq.", gt=0, le=10, advanced=True
    )
    act_order: bool = param(True, "Round the inputs with the largest values first; for gptq.", advanced=True)
    min_weights: int = param(1024, "Leave layers with fewer weights alone.", unit="weights", ge=1, advanced=True)


class WeightQuantization(Pass):
    """Store weights in few bits; what computes with them expands them again."""

    id: ClassVar[str] = "quantize.weights"
    title: ClassVar[str] = "Weight only (INT8 to INT1)"
    family: ClassVar[Family] = "precision"
    summary: ClassVar[str] = "Store weights in 8 to 1 bits, in blocks with a scale each; activations stay float."
    trials: ClassVar[Mapping[str, Mapping[str, Any]]] = {"int8-weights": {"bits": 8}, "int4-weights": {"bits": 4}}
    Params: ClassVar[type[Params]] = WeightsParams

    def needs_for(self, params: Any) -> frozenset[Need]:
        """Need data for the methods that look at it."""
        return frozenset({Need.CALIBRATION}) if params.method in ("gptq", "awq") else self.needs

    def survey(self, model: ir.Model, params: WeightsParams, device: Device | None, scope: Scope) -> Survey:
        """Say what it would touch; see `Pass.survey`."""
        why_not, targets, warnings = _judge(model, params, scope)
        if why_not:
            return Survey(
                applies=False, summary="nothing to quantize", why_not=f"Not applicable: {why_not}.", warnings=warnings
            )
        plan = _plan(params)
        kinds = {target.kind for target in targets}
        return Survey(
            applies=True,
            summary=count_operators(target.node for target in targets),
            nodes=tuple(target.name for target in targets),
            speed=weights_speed(device, plan, kinds, int8_activations=params.compute == "int8") if device else None,
            size=weights_size(model, targets, plan),
            warnings=(*advice(targets, plan), *warnings),
        )

    def apply(self, artifact: Artifact, params: WeightsParams, context: PassContext) -> PassResult:
        """Quantize; see `Pass.apply`.

        Raises
        ------
        DataError
            When a method that looks at data has none, or the data gives values that are not finite.
        PassError
            When the model cannot be brought to the opset that the form needs.
        """
        from .weight_run import Request, run

        model = open_named(artifact)
        why_not, targets, warnings = _judge(model, params, context.scope)
        if why_not:
            result = unchanged(artifact, why_not)
            return result.model_copy(update={"warnings": (*result.warnings, *warnings)})
        plan = _plan(params)
        notes = (*advice(targets, plan), *left_in_float(model, params.operators))
        del model, targets
        request = Request(plan, params.operators, params.min_weights, params.compute == "int8")
        result = run(artifact, request, context)
        return result.model_copy(update={"warnings": (*notes, *result.warnings)})

    def refuses(self, earlier: tuple[Step, ...]) -> str:
        """Say why it may not follow these steps."""
        return refusal(earlier)


def _plan(params: WeightsParams) -> Plan:
    return Plan(
        bits=params.bits,
        symmetric=params.symmetric,
        block=params.block,
        form=params.form,
        method=params.method,
        search=params.search,
        samples=params.samples,
        dampening=params.dampening,
        act_order=params.act_order,
    )


def _judge(model: ir.Model, params: WeightsParams, scope: Scope) -> tuple[str, list[Target], tuple[str, ...]]:
    """Say why the pass does not apply, or what it would quantize and what it leaves alone."""
    check_operators(params.operators, KNOWN, "quantize.weights")
    already = quantized_already(model)
    if already:
        return already, [], ()
    targets, refused = find_targets(model, params.operators, scope, params.min_weights)
    warnings = reasons(refused)
    if targets:
        return "", targets, warnings
    if half_precision(model):
        return "its weights are 16-bit, and this needs the float32 model", [], warnings
    return f"no {' or '.join(params.operators)} with constant float32 weights in the scope", [], warnings

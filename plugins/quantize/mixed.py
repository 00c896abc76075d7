"""`quantize.mixed`: a precision for each layer, from its measured error and time, within a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from studio.api import (
    Artifact,
    Device,
    Family,
    Need,
    Params,
    Pass,
    PassContext,
    PassResult,
    Range,
    Scope,
    Step,
    Survey,
    UsageError,
    nearest,
    param,
)

from .expectation import static_speed
from .finish import unchanged
from .graph import count_operators, half_precision, quantized_already
from .prepare import open_named
from .refusal import refusal
from .selection import NOTHING, Selection, StaticRule, select

if TYPE_CHECKING:
    import onnx_ir as ir

#: what a layer may become besides float32
FORMS = ("int8", "int8-dynamic", "int8-weights", "int4-weights", "float16")
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class MixedParams(Params):
    """Parameters of `MixedPrecision`."""

    precisions: tuple[str, ...] = param(
        ("int8", "int8-weights"),
        "What layers may become, besides float32: int8 (static), int8-dynamic, int8-weights, int4-weights, float16.",
        candidates=(("int8", "int8-weights"), ("int8", "int8-weights", "int4-weights")),
    )
    sqnr: float = param(
        30.0,
        "Least signal to noise ratio of the outputs; 0 for none.",
        unit="dB",
        ge=0,
        le=120,
        candidates=(25, 30, 35),
    )
    agreement: float = param(
        0.0, "Least share of samples that keep their top-1 class; 0 for none.", ge=0, le=1, candidates=(0.99,)
    )
    size: float = param(1.0, "Most bytes of the weights, as a share of what they take now; 1 for any.", gt=0, le=1)
    minimize: Literal["time", "size", "error"] = param(
        "time",
        "What to save within the budget: milliseconds on the chosen device, bytes, or error (with a budget of size).",
        candidates=("time", "size"),
    )
    samples: int = param(128, "Most calibration samples for the ranges.", unit="samples", ge=1, le=100_000)
    test_samples: int = param(
        32, "Samples on which each layer's error is measured.", unit="samples", ge=1, le=10_000, advanced=True
    )
    seconds: float = param(
        60.0, "Time for measuring layers; the rest is estimated.", unit="s", ge=0, le=86_400, advanced=True
    )
    rounds: int = param(
        4,
        "How often the choice is corrected by what it really costs: errors of layers do not simply add up.",
        ge=1,
        le=20,
        advanced=True,
    )


class MixedPrecision(Pass):
    """Choose a precision for each layer."""

    id: ClassVar[str] = "quantize.mixed"
    title: ClassVar[str] = "Mixed precision"
    family: ClassVar[Family] = "precision"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.CALIBRATION})
    summary: ClassVar[str] = "Choose a precision for each layer from its measured error and time, within a budget."
    Params: ClassVar[type[Params]] = MixedParams

    def survey(self, model: ir.Model, params: MixedParams, device: Device | None, scope: Scope) -> Survey:
        """Say what it would look at; see `Pass.survey`."""
        why_not, selection = _judge(model, params, scope)
        if why_not:
            return Survey(applies=False, summary="nothing to choose", why_not=f"Not applicable: {why_not}.")
        speed = static_speed(device) if device is not None else None
        if speed is not None:
            reason = f"only layers that are measured as faster change; {speed.reason}"
            speed = Range(low=min(1.0, speed.high), high=max(1.0, speed.high), reason=reason)
        return Survey(
            applies=True,
            summary=count_operators(selection.nodes),
            nodes=selection.names,
            speed=speed,
            size=Range(low=0.25, high=1.0, reason="8-bit weights in the layers that change, all or none of them"),
            warnings=("Each layer is run in each precision: this takes from half a minute to a few.",),
        )

    def apply(self, artifact: Artifact, params: MixedParams, context: PassContext) -> PassResult:
        """Measure, choose and build; see `Pass.apply`.

        Raises
        ------
        DataError
            When there is no calibration data, or it does not fit.
        PassError
            When no precision can be made of the model.
        """
        why_not, _ = _judge(open_named(artifact), params, context.scope)
        if why_not:
            return unchanged(artifact, why_not)
        from .mixed_run import run

        return run(artifact, params, context)

    def refuses(self, earlier: tuple[Step, ...]) -> str:
        """Say why it may not follow these steps."""
        return refusal(earlier)


def _judge(model: ir.Model, params: MixedParams, scope: Scope) -> tuple[str, Selection]:
    """Say why the pass does not apply, or which layers it would look at."""
    for name in params.precisions:
        if name not in FORMS:
            raise UsageError(f"quantize.mixed knows no precision {name!r}.", nearest(name, FORMS))
    already = quantized_already(model)
    if already:
        return already, NOTHING
    if half_precision(model):
        return "its weights are float16, and this needs the float32 model", NOTHING
    if params.minimize == "error" and params.size >= 1:
        return "the least error is the model as it is, unless size sets a budget", NOTHING
    selection = select(model.graph, _LAYERS, scope, StaticRule(activation_matmul=False))
    return ("", selection) if selection.nodes else ("no layer with constant float32 weights in the scope", NOTHING)

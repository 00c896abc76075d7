"""`factorize.low-rank`: layers as products of smaller ones, chosen by what their outputs lose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from studio.api import (
    Artifact,
    Change,
    Device,
    Need,
    Params,
    Pass,
    PassContext,
    PassResult,
    Range,
    Scope,
    Step,
    Survey,
    param,
)

if TYPE_CHECKING:
    import onnx_ir as ir

WHY_NOT = "There is no Conv, Gemm or MatMul whose weight can be factorized."
NOTHING_TO_DO = "Keeping all of it factorizes nothing."
SPEED = (
    "fewer multiply-accumulates in any engine: 1.3-3.3x was measured on a transformer at ranks of 1/2 to 1/8; "
    "convolutions gain less, and each layer becomes two or three"
)


class LowRankParams(Params):
    """How far to factorize, and how to choose."""

    criterion: Literal["macs", "parameters", "ratio", "energy", "latency"] = param(
        "macs",
        "What ranks are chosen by: a budget of multiply-accumulates or parameters shared out by sensitivity, the same "
        "share of the full rank everywhere, the energy kept, or each layer's measured time.",
        candidates=("macs", "energy"),
    )
    keep: float = param(
        0.5,
        "Share to keep of the multiply-accumulates, parameters, full rank or time, as the criterion says.",
        ge=0,
        le=1,
        candidates=(0.75, 0.5, 0.35),
    )
    energy: float = param(
        0.99, "Share of the outputs' energy that each layer keeps, for the criterion energy.", gt=0, le=1
    )
    convolution: Literal["auto", "channel", "spatial", "tucker", "none"] = param(
        "auto",
        "How convolutions larger than 1x1 are split: auto takes what loses least for the same cost; none leaves all "
        "convolutions alone.",
    )
    reconstruct: bool = param(
        True, "Fit each layer to the original network's outputs, given inputs from the network changed so far."
    )
    samples: int = param(128, "Most calibration samples to use.", unit="samples", ge=1, le=100_000)
    multiple: int = param(8, "Ranks are multiples of it.", ge=1, le=256, candidates=(8, 16))
    time_check: bool = param(
        True, "Time each factorized layer alone against the layer as it is, and keep it only when it is faster."
    )
    rounds: int = param(
        8, "In how many rounds the layers are done; more are more accurate and slower.", ge=1, le=1000, advanced=True
    )
    ridge: float = param(
        0.001, "Pull towards the original weights, relative to the inputs' mean square.", gt=0, le=10, advanced=True
    )
    min_weights: int = param(2048, "Leave layers with fewer weights alone.", unit="weights", ge=1, advanced=True)


class LowRank(Pass):
    """Factorize layers by a singular value decomposition weighed by the covariance of their inputs."""

    id = "factorize.low-rank"
    title = "Low-rank factorization"
    family = "structure"
    needs = frozenset({Need.CALIBRATION})
    summary = "Replace layers by products of smaller ones, fitted to calibration data."
    trials: ClassVar[Mapping[str, Mapping[str, Any]]] = {"low-rank": {"reconstruct": False}}
    Params: ClassVar[type[Params]] = LowRankParams

    def survey(self, model: ir.Model, params: LowRankParams, device: Device | None, scope: Scope) -> Survey:
        """List the layers that may be factorized."""
        from .choice import dense
        from .decompose import ranks_within
        from .layers import find_layers

        layers, warnings = find_layers(model, scope, params.min_weights, params.convolution != "none")
        layers = [
            layer
            for layer in layers
            if ranks_within(layer.linear, "matrix", dense(layer) * 0.999, params.multiple) is not None
        ]
        why_not = NOTHING_TO_DO if _keeps_all(params) else "" if layers else WHY_NOT
        if why_not:
            return Survey(applies=False, summary=why_not, why_not=why_not, warnings=warnings)
        most = 1 / max(params.keep, 0.3) if params.criterion != "energy" else 2.0
        return Survey(
            applies=True,
            summary=f"up to {len(layers):,} layers with {sum(layer.weight.tensor.size for layer in layers):,} weights",
            nodes=tuple(layer.name for layer in layers),
            speed=Range(low=0.95, high=max(1.05, most), reason=SPEED) if device is not None else None,
            change=Change(keep=(params.keep if params.criterion != "energy" else 0.5, (1 + params.keep) / 2)),
            size=_size(params),
            warnings=warnings,
        )

    def apply(self, artifact: Artifact, params: LowRankParams, context: PassContext) -> PassResult:
        """Factorize, round by round; see `Pass.apply`.

        Raises
        ------
        DataError
            When the calibration data is empty or gives values that are not finite.
        """
        from .rounds import factorize

        if _keeps_all(params):
            return PassResult(artifact=artifact, warnings=(NOTHING_TO_DO,))
        return factorize(artifact, params, context) or PassResult(artifact=artifact, warnings=(WHY_NOT,))

    def refuses(self, earlier: tuple[Step, ...]) -> str:
        """Refuse quantized weights."""
        before = next((step.pass_id for step in earlier if step.enabled and step.pass_id.startswith("quantize.")), "")
        if before in ("", "quantize.float16"):
            return ""
        return f"{before} came before, and quantized weights cannot be factorized: factorize first."


def _keeps_all(params: LowRankParams) -> bool:
    return params.energy == 1 if params.criterion == "energy" else params.keep == 1


def _size(params: LowRankParams) -> Range:
    reason = "what is factorized shrinks with its rank; embeddings and small layers stay"
    if params.criterion == "parameters":
        return Range(low=min(1.0, params.keep), high=1.0, reason=reason)
    return Range(low=min(0.9, max(0.1, 0.8 * params.keep)), high=1.0, reason=reason)

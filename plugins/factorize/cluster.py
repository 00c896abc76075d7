"""`factorize.cluster`: weights that share a few values, stored as indices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from studio.api import (
    Artifact,
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
    read_model,
)

if TYPE_CHECKING:
    import onnx_ir as ir

    from studio.api import Weight

WHY_NOT = "There is no weight that would take less room as indices."
SPEED = "engines put the weights together again when they load the model: the file is smaller, nothing else"


class ClusterParams(Params):
    """How many values, and what they are chosen by."""

    centroids: int = param(
        16,
        "How many different values a weight may have; up to 16 are stored in 4 bits or fewer, more in 8.",
        ge=2,
        le=256,
        candidates=(256, 64, 16),
    )
    tables: Literal["tensor", "channel"] = param(
        "tensor", "One table of values for each weight, or one for each of its output channels."
    )
    criterion: Literal["weights", "activations"] = param(
        "weights",
        "What the error is measured in: the weights alone, or weighed by how large their inputs are (needs data).",
        candidates=("weights", "activations"),
    )
    samples: int = param(128, "Most calibration samples to use.", unit="samples", ge=1, le=100_000)
    min_weights: int = param(1024, "Leave layers with fewer weights alone.", unit="weights", ge=1)


class Cluster(Pass):
    """Share weights by k-means (Han et al. 2016, "Deep Compression", arXiv:1510.00149)."""

    id = "factorize.cluster"
    title = "Weight sharing"
    family = "structure"
    summary = "Store weights as small indices into a table of a few values: a smaller file, the same speed."
    Params: ClassVar[type[Params]] = ClusterParams

    def needs_for(self, params: Any) -> frozenset[Need]:
        """Need data to weigh by activations."""
        return frozenset({Need.CALIBRATION}) if params.criterion == "activations" else self.needs

    def survey(self, model: ir.Model, params: ClusterParams, device: Device | None, scope: Scope) -> Survey:
        """List the layers whose weights it would share."""
        targets, warnings = find_targets(model, params, scope)
        if not targets:
            return Survey(applies=False, summary=WHY_NOT, why_not=WHY_NOT, warnings=warnings)
        before = sum(target.tensor.nbytes for target in targets)
        after = sum(clustered_bytes(target, params) for target in targets)
        return Survey(
            applies=True,
            summary=f"{sum(target.tensor.size for target in targets):,} weights in {len(targets):,} layers",
            nodes=tuple(target.name for target in targets),
            speed=Range(low=0.97, high=1.03, reason=SPEED) if device is not None else None,
            size=_size(model, before, after),
            warnings=warnings,
        )

    def apply(self, artifact: Artifact, params: ClusterParams, context: PassContext) -> PassResult:
        """Share the weights; see `Pass.apply`.

        Raises
        ------
        DataError
            When there is no data to weigh by, or it gives values that are not finite.
        """
        from .sharing import share

        model = read_model(artifact)
        targets, warnings = find_targets(model, params, context.scope)
        if not targets:
            return PassResult(artifact=artifact, warnings=(WHY_NOT, *warnings))
        return share(artifact, model, targets, params, context, warnings)

    def refuses(self, earlier: tuple[Step, ...]) -> str:
        """Refuse quantized weights."""
        before = next((step.pass_id for step in earlier if step.enabled and step.pass_id.startswith("quantize.")), "")
        if before in ("", "quantize.float16"):
            return ""
        return f"{before} came before, and quantized weights are small already."


def find_targets(model: ir.Model, params: ClusterParams, scope: Scope) -> tuple[list[Weight], tuple[str, ...]]:
    """List the weights that take less room as indices, and warnings about those left alone."""
    from studio.api import Linear, find_weights, left_alone

    weights, warnings = find_weights(model, scope, params.min_weights)
    refused: dict[str, list[str]] = {}
    targets = []
    for weight in weights:
        if Linear.of(weight) is None and (params.tables == "channel" or params.criterion == "activations"):
            refused.setdefault("its weight is a stack of matrices", []).append(weight.name)
        elif weight.inner and params.criterion == "activations":
            reason = "it stands inside If, Loop or Scan, where activations cannot be observed"
            refused.setdefault(reason, []).append(weight.name)
        elif weight.tensor.dtype.name == "BFLOAT16":
            refused.setdefault("not every engine looks up bfloat16 values", []).append(weight.name)
        elif clustered_bytes(weight, params) < weight.tensor.nbytes:
            targets.append(weight)
    return targets, (*warnings, *left_alone(refused))


def clustered_bytes(weight: Weight, params: ClusterParams) -> int:
    """Give the bytes of a weight as indices with its tables."""
    from studio.api import Linear

    from .codebook import stored_bytes

    channels = 0
    if params.tables == "channel":
        linear = Linear.of(weight)
        assert linear is not None
        channels = weight.shape[channel_axis(linear)]
    itemsize = weight.tensor.nbytes // max(1, weight.tensor.size)
    return stored_bytes(weight.tensor.size, params.centroids, itemsize, channels)


def channel_axis(linear: Any) -> int:
    """Give the stored weight's axis of output channels."""
    if linear.window is not None:
        return 1 if linear.operator == "ConvTranspose" else 0
    return 1 if linear.stored_transposed else 0


def _size(model: ir.Model, before: int, after: int) -> Range:
    whole = sum(
        value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value is not None
    )
    ratio = (max(whole, before) - before + after) / max(whole, before, 1)
    return Range(low=0.95 * ratio, high=min(1.0, 1.05 * ratio + 0.02), reason="indices and tables in place of weights")

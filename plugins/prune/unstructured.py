"""Unstructured pruning: by magnitude, or by what calibration data shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from studio.api import (
    Artifact,
    Device,
    Need,
    NodeChange,
    Params,
    Pass,
    PassContext,
    PassResult,
    Scope,
    Survey,
    param,
    read_model,
    write_model,
)

from .expectation import size, speed

if TYPE_CHECKING:
    import onnx_ir as ir

    from .magnitude import Cut
    from .targets import Target

WHY_NOT = "There is no weight to prune."
NO_SPARSITY = "A sparsity of 0 prunes nothing."


class UnstructuredParams(Params):
    """How much to prune, and how to choose."""

    sparsity: float = param(
        0.5, "Share of the weights to set to zero.", unit="of the weights", ge=0, lt=1, candidates=(0.5, 0.7, 0.8, 0.9)
    )
    criterion: Literal["magnitude", "wanda", "sparsegpt"] = param(
        "magnitude",
        "What goes: the smallest weights; those whose product with their input is smallest (Wanda); or that, with the "
        "weights that stay making up for it (SparseGPT). The last two need calibration data.",
        candidates=("magnitude", "wanda", "sparsegpt"),
    )
    ranking: Literal["layer", "global"] = param(
        "layer",
        "'layer' prunes each layer by the share; 'global' the smallest weights of the whole model, by magnitude only.",
    )
    samples: int = param(128, "Most calibration samples to use.", unit="samples", ge=1, le=100_000)
    dampening: float = param(0.01, "Dampening of the Hessian, for sparsegpt.", gt=0, le=10, advanced=True)
    min_weights: int = param(256, "Leave layers with fewer weights alone.", unit="weights", ge=1)


class Unstructured(Pass):
    """Set single weights to zero: Han et al. 2015, Wanda (arXiv:2306.11695) or SparseGPT (arXiv:2301.00774).

    It does not train afterwards: accuracy falls with the sparsity, so evaluate. Exactly the share asked for
    becomes zero, ties included.
    """

    id = "prune.unstructured"
    title = "Unstructured sparsity"
    family = "structure"
    exact = False
    summary = "Set single weights to zero."
    trials: ClassVar[Mapping[str, Mapping[str, Any]]] = {"sparse": {"sparsity": 0.5}}
    Params: ClassVar[type[Params]] = UnstructuredParams

    def needs_for(self, params: Any) -> frozenset[Need]:
        """Need data for the criteria that look at it."""
        return self.needs if params.criterion == "magnitude" else frozenset({Need.CALIBRATION})

    def survey(self, model: ir.Model, params: UnstructuredParams, device: Device | None, scope: Scope) -> Survey:
        """List the layers that it would prune."""
        targets, warnings = _targets(model, params, scope)
        why_not = NO_SPARSITY if params.sparsity == 0 else "" if targets else WHY_NOT
        if why_not:
            return Survey(applies=False, summary=why_not, why_not=why_not, warnings=warnings)
        weights = sum(target.tensor.size for target in targets)
        return Survey(
            applies=True,
            summary=f"{params.sparsity:.0%} of {weights:,} weights in {len(targets):,} layers",
            nodes=tuple(target.name for target in targets),
            speed=speed(device),
            size=size(),
            warnings=warnings,
        )

    def apply(self, artifact: Artifact, params: UnstructuredParams, context: PassContext) -> PassResult:
        """Choose the weights, and write the model with them set to zero.

        Raises
        ------
        DataError
            When a criterion that looks at data has none, or the data gives values that are not finite.
        """
        model = read_model(artifact)
        targets, warnings = _targets(model, params, context.scope)
        if params.sparsity == 0 or not targets:
            reason = NO_SPARSITY if params.sparsity == 0 else WHY_NOT
            return PassResult(artifact=artifact, warnings=(reason, *warnings))
        if params.criterion != "magnitude":
            return _by_data(artifact, model, targets, params, context, warnings)
        cuts = _choose(targets, params, context)
        for target, cut in zip(targets, cuts, strict=True):
            _rewrite(target, cut, context)
        written = write_model(model, context.workdir / "model.onnx")
        return PassResult(
            artifact=written,
            changes=tuple(_change(target, cut) for target, cut in zip(targets, cuts, strict=True)),
            warnings=warnings,
            notes=_notes(targets, cuts),
        )


def _targets(model: ir.Model, params: UnstructuredParams, scope: Scope) -> tuple[list[Target], tuple[str, ...]]:
    """List the weights to prune; those that data cannot judge are left alone where data is to judge."""
    from studio.api import left_alone, observe

    from .targets import find_targets

    targets, warnings = find_targets(model, scope, params.min_weights)
    if params.criterion == "magnitude":
        return targets, warnings
    sites, refused = observe(targets)
    seen = {site.key for site in sites}
    return [target for target in targets if target.name in seen], (*warnings, *left_alone(refused))


def _by_data(
    artifact: Artifact,
    model: ir.Model,
    targets: list[Target],
    params: UnstructuredParams,
    context: PassContext,
    warnings: tuple[str, ...],
) -> PassResult:
    from .informed import Plan, prune_by_data
    from .masks import Share

    assert params.criterion != "magnitude"
    if params.ranking == "global":
        warnings += (f"{params.criterion} compares weights within a layer: every layer was pruned by the share.",)
    plan = Plan(params.criterion, Share(params.sparsity), params.samples, params.dampening)
    result = prune_by_data(artifact, model, targets, plan, context)
    return result.model_copy(update={"warnings": (*warnings, *result.warnings)})


def _choose(targets: list[Target], params: UnstructuredParams, context: PassContext) -> list[Cut]:
    from .magnitude import choose

    loads = [target.tensor.numpy for target in targets]
    context.reporter.progress(0, 2, "ranking")
    if params.ranking == "global":
        count = round(params.sparsity * sum(target.tensor.size for target in targets))
        return choose(loads, count, context.reporter.check)
    cuts = []
    for number, (load, target) in enumerate(zip(loads, targets, strict=True)):
        context.reporter.progress(number, 2 * len(targets), "ranking")
        cuts += choose([load], round(params.sparsity * target.tensor.size), context.reporter.check)
    return cuts


def _rewrite(target: Target, cut: Cut, context: PassContext) -> None:
    """Put a tensor in place that is computed when it is written, so that one weight at a time is in memory."""
    import onnx_ir as ir

    from .magnitude import zeroed
    from .targets import replace_content

    source = target.tensor

    def make() -> ir.TensorProtocol:
        context.reporter.check()
        return ir.tensor(zeroed(source.numpy(), cut), dtype=source.dtype)

    shape = ir.Shape([int(str(size)) for size in source.shape])
    replace_content(target.holder, ir.LazyTensor(make, source.dtype, shape, name=source.name))


def _change(target: Target, cut: Cut) -> NodeChange:
    detail = f"{cut.zeros:,} of {target.tensor.size:,} weights are zero"
    return NodeChange(node=target.name, operator=target.node.op_type, change="rewritten", detail=detail)


def _notes(targets: list[Target], cuts: list[Cut]) -> dict[str, str | int | float | bool]:
    zeros, weights = sum(cut.zeros for cut in cuts), sum(target.tensor.size for target in targets)
    return {"sparsity": zeros / weights, "zeros": zeros, "weights": weights, "layers": len(targets)}

"""Unstructured magnitude pruning."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from studio.api import (
    Artifact,
    Device,
    NodeChange,
    Params,
    Pass,
    PassContext,
    PassResult,
    Range,
    Scope,
    Survey,
    param,
    read_model,
    write_model,
)

if TYPE_CHECKING:
    import onnx_ir as ir

    from .magnitude import Cut
    from .targets import Target

WHY_NOT = "There is no weight to prune."
NO_SPARSITY = "A sparsity of 0 prunes nothing."
SPEED = "zeros are multiplied like other numbers: only hardware with sparse kernels gains"
SIZE = "the file stays as large; compressed (zip, gzip) it shrinks with the sparsity"


class UnstructuredParams(Params):
    """How much to prune, and how to choose."""

    sparsity: float = param(
        0.5, "Share of the weights to set to zero.", unit="of the weights", ge=0, lt=1, candidates=(0.5, 0.7, 0.8, 0.9)
    )
    ranking: Literal["layer", "global"] = param(
        "layer", "'layer' prunes each layer by the share; 'global' the smallest weights of the whole model."
    )
    min_weights: int = param(256, "Leave layers with fewer weights alone.", unit="weights", ge=1)


class Unstructured(Pass):
    """Set the weights of least magnitude to zero (Han et al. 2015, "Learning both Weights and Connections").

    It does not train afterwards: accuracy falls with the sparsity, so evaluate. Exactly the share asked for
    becomes zero, ties included.
    """

    id = "prune.unstructured"
    title = "Unstructured sparsity"
    family = "structure"
    exact = False
    summary = "Set the smallest weights to zero."
    Params: ClassVar[type[Params]] = UnstructuredParams

    def survey(self, model: ir.Model, params: UnstructuredParams, device: Device | None, scope: Scope) -> Survey:
        """List the layers that it would prune."""
        from .targets import find_targets

        targets, warnings = find_targets(model, scope, params.min_weights)
        why_not = NO_SPARSITY if params.sparsity == 0 else "" if targets else WHY_NOT
        if why_not:
            return Survey(applies=False, summary=why_not, why_not=why_not, warnings=warnings)
        weights = sum(target.tensor.size for target in targets)
        return Survey(
            applies=True,
            summary=f"{params.sparsity:.0%} of {weights:,} weights in {len(targets):,} layers",
            nodes=tuple(target.name for target in targets),
            speed=Range(low=0.97, high=1.04, reason=SPEED) if device is not None else None,
            size=Range(low=1.0, high=1.0, reason=SIZE),
            warnings=warnings,
        )

    def apply(self, artifact: Artifact, params: UnstructuredParams, context: PassContext) -> PassResult:
        """Choose the weights, and write the model with them set to zero."""
        from .targets import find_targets

        model = read_model(artifact)
        targets, warnings = find_targets(model, context.scope, params.min_weights)
        if params.sparsity == 0 or not targets:
            reason = NO_SPARSITY if params.sparsity == 0 else WHY_NOT
            return PassResult(artifact=artifact, warnings=(reason, *warnings))
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

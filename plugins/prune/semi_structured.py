"""N:M sparsity: at most N of every M weights in a row stay."""

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
    Scope,
    Step,
    Survey,
    left_alone,
    param,
    read_model,
)

from .expectation import size, speed
from .refusal import after_quantization

if TYPE_CHECKING:
    import onnx_ir as ir

    from studio.api import Weight

WHY_NOT = "There is no weight to prune in this pattern."


class SemiStructuredParams(Params):
    """The pattern, and how to choose."""

    pattern: Literal["2:4", "4:8", "1:4", "2:8", "1:2"] = param(
        "2:4", "How many of how many weights stay, along the channels that are summed over.", candidates=("2:4", "4:8")
    )
    criterion: Literal["magnitude", "wanda", "sparsegpt"] = param(
        "magnitude",
        "What goes: the smallest weights; those whose product with their input is smallest (Wanda); or that, with the "
        "weights that stay making up for it (SparseGPT). The last two need calibration data.",
        candidates=("magnitude", "wanda", "sparsegpt"),
    )
    samples: int = param(128, "Most calibration samples to use.", unit="samples", ge=1, le=100_000)
    dampening: float = param(0.01, "Dampening of the Hessian, for sparsegpt.", gt=0, le=10, advanced=True)
    min_weights: int = param(256, "Leave layers with fewer weights alone.", unit="weights", ge=1)


class SemiStructured(Pass):
    """Prune to a pattern that sparse tensor cores skip (Mishra et al. 2021, arXiv:2104.08378)."""

    id = "prune.semi-structured"
    title = "N:M sparsity"
    family = "structure"
    summary = "Keep at most N of every M weights, as sparse tensor cores want."
    Params: ClassVar[type[Params]] = SemiStructuredParams

    def needs_for(self, params: Any) -> frozenset[Need]:
        """Need data for the criteria that look at it."""
        return self.needs if params.criterion == "magnitude" else frozenset({Need.CALIBRATION})

    def survey(self, model: ir.Model, params: SemiStructuredParams, device: Device | None, scope: Scope) -> Survey:
        """List the layers that it would prune."""
        targets, warnings = _targets(model, params, scope)
        if not targets:
            return Survey(applies=False, summary=WHY_NOT, why_not=WHY_NOT, warnings=warnings)
        weights = sum(target.tensor.size for target in targets)
        return Survey(
            applies=True,
            summary=f"{params.pattern} of {weights:,} weights in {len(targets):,} layers",
            nodes=tuple(target.name for target in targets),
            speed=speed(device, params.pattern),
            size=size(),
            warnings=warnings,
        )

    def apply(self, artifact: Artifact, params: SemiStructuredParams, context: PassContext) -> PassResult:
        """Prune; see `Pass.apply`.

        Raises
        ------
        DataError
            When a criterion that looks at data has none, or the data gives values that are not finite.
        """
        from .informed import Plan, prune_by_data
        from .masks import Pattern
        from .patterns import prune_by_magnitude

        model = read_model(artifact)
        targets, warnings = _targets(model, params, context.scope)
        if not targets:
            return PassResult(artifact=artifact, warnings=(WHY_NOT, *warnings))
        pattern = Pattern.parse(params.pattern)
        if params.criterion == "magnitude":
            result = prune_by_magnitude(model, targets, pattern, context)
        else:
            plan = Plan(params.criterion, pattern, params.samples, params.dampening)
            result = prune_by_data(artifact, model, targets, plan, context)
        return result.model_copy(update={"warnings": (*warnings, *result.warnings)})

    def refuses(self, earlier: tuple[Step, ...]) -> str:
        """Refuse quantized weights."""
        return after_quantization(earlier)


def _targets(model: ir.Model, params: SemiStructuredParams, scope: Scope) -> tuple[list[Weight], tuple[str, ...]]:
    """List the weights that the pattern fits, and warnings about the others."""
    from studio.api import Linear

    from .informed import fits
    from .masks import Pattern
    from .targets import find_targets

    pattern = Pattern.parse(params.pattern)
    targets, warnings = find_targets(model, scope, params.min_weights)
    fitting = []
    refused: dict[str, list[str]] = {}
    for target in targets:
        linear = Linear.of(target)
        if linear is None:
            refused.setdefault("its weight is a stack of matrices", []).append(target.name)
        elif not fits(linear, pattern):
            reason = f"it does not sum over a multiple of {pattern.of} channels"
            refused.setdefault(reason, []).append(target.name)
        elif target.inner and params.criterion != "magnitude":
            reason = "it stands inside If, Loop or Scan, where activations cannot be observed"
            refused.setdefault(reason, []).append(target.name)
        else:
            fitting.append(target)
    return fitting, (*warnings, *left_alone(refused))

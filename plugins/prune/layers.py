"""`prune.layers`: whole residual blocks go, those that the output misses least."""

from __future__ import annotations

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
    Survey,
    param,
    read_model,
)

if TYPE_CHECKING:
    import onnx_ir as ir

WHY_NOT = "There is no residual block: no sum of a branch with weights and of what it starts from."
NOTHING = "Dropping no block changes nothing."


class LayersParams(Params):
    """How many blocks to drop, and what stands for them."""

    ratio: float = param(
        0.25, "Share of the residual blocks to drop.", unit="of the blocks", ge=0, le=1, candidates=(0.1, 0.25, 0.4)
    )
    most_error: float | None = param(
        None,
        "Stop before the outputs lose more than this share of their energy, measured before the correction; no limit "
        "when empty.",
        ge=0,
        candidates=(0.02, 0.1),
    )
    correction: Literal["affine", "bias", "none"] = param(
        "affine",
        "What stands for a block: a scale and a bias of each channel by least squares, a bias, or nothing.",
        candidates=("affine", "none"),
    )
    samples: int = param(64, "Most calibration samples to use.", unit="samples", ge=1, le=100_000)


class Layers(Pass):
    """Drop residual branches by their measured worth, one at a time (after ShortGPT, arXiv:2403.03853)."""

    id = "prune.layers"
    title = "Drop blocks"
    family = "structure"
    needs = frozenset({Need.CALIBRATION})
    summary = "Remove the residual blocks that the output misses least."
    Params: ClassVar[type[Params]] = LayersParams

    def survey(self, model: ir.Model, params: LayersParams, device: Device | None, scope: Scope) -> Survey:
        """List the blocks that it may drop."""
        from .residual import find_blocks

        blocks, warnings = find_blocks(model, scope)
        count = int(params.ratio * len(blocks) + 1e-9)
        why_not = WHY_NOT if not blocks else "" if count else NOTHING
        if why_not:
            return Survey(applies=False, summary=why_not, why_not=why_not, warnings=warnings)
        reason = f"{count} of {len(blocks)} blocks are not computed any more, on any hardware; it depends on their size"
        nodes = dict.fromkeys(name for block in blocks for name in (*block.members, block.name))
        return Survey(
            applies=True,
            summary=f"up to {count} of {len(blocks)} residual blocks",
            nodes=tuple(nodes),
            speed=Range(low=1.0, high=min(10.0, 1 / max(0.1, 1 - params.ratio)), reason=reason) if device else None,
            change=Change(keep=(1 - count / len(blocks), min(1.0, 1 - 0.7 * count / len(blocks)))),
            size=_size(model, [block.weights for block in blocks], count),
            warnings=warnings,
        )

    def apply(self, artifact: Artifact, params: LayersParams, context: PassContext) -> PassResult:
        """Measure, drop, correct; see `Pass.apply`.

        Raises
        ------
        DataError
            When the calibration data is empty or gives values that are not finite.
        """
        from .residual import find_blocks
        from .shortening import shorten

        model = read_model(artifact)
        blocks, warnings = find_blocks(model, context.scope)
        count = int(params.ratio * len(blocks) + 1e-9)
        if not count:
            return PassResult(artifact=artifact, warnings=(NOTHING if blocks else WHY_NOT, *warnings))
        return shorten(artifact, model, blocks, count, params, context, warnings)


def _size(model: ir.Model, weights: list[int], count: int) -> Range:
    whole: Any = sum(value.const_value.size for value in model.graph.initializers.values() if value.const_value)
    ordered = sorted(weights)
    low = 1 - min(0.95, sum(ordered[len(ordered) - count :]) / max(whole, 1))
    high = 1 - sum(ordered[:count]) / max(whole, 1)
    return Range(low=low, high=max(low, min(1.0, high + 0.01)), reason="the weights of the blocks that go")

"""Folding of batch normalization into the layers around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from studio.api import Artifact, Device, Params, Pass, PassContext, PassResult, Scope, Survey, param, read_model

if TYPE_CHECKING:
    import onnx_ir as ir

    from .workspace import Workspace

WHY_NOT = "No BatchNormalization can be folded."
NONE = "There is no BatchNormalization."


class FoldBatchNormParams(Params):
    """Where batch normalization may go."""

    into_next: bool = param(
        True, "Fold one that stands before a layer into that layer, where no padding is in the way."
    )


class FoldBatchNorm(Pass):
    """Multiply the scale and shift of BatchNormalization into Conv, ConvTranspose, Gemm or MatMul.

    In inference it is ``scale * x + shift`` for each channel (Jacob et al. 2018, "Quantization and Training
    of Neural Networks for Efficient Integer-Arithmetic-Only Inference", section 3.2), which the layer's
    weights can hold. It is computed in float64 and rounded once.
    """

    id = "graph.fold-batchnorm"
    title = "Fold batch normalization"
    family = "graph"
    exact = True
    prepares = True
    summary = "Fold BatchNormalization into the weights of the layer before or after it."
    Params: ClassVar[type[Params]] = FoldBatchNormParams

    def survey(self, model: ir.Model, params: FoldBatchNormParams, device: Device | None, scope: Scope) -> Survey:
        """Fold in a copy whose weights are never computed, and count; only the vectors are read."""
        from .batchnorm import fold_batchnorms
        from .infer import for_survey
        from .outcome import size_range, speed_range, surveyed, weight_bytes
        from .workspace import Workspace

        space = Workspace(for_survey(model), scope)
        folded = fold_batchnorms(space, into_next=params.into_next)
        targets = ", ".join(f"{count} {operator}" for operator, count in folded.items())
        summary = f"{sum(folded.values())} BatchNormalization into {targets}"
        return surveyed(space, summary, _why_not(space), speed_range(device), size_range(weight_bytes(model), space))

    def apply(self, artifact: Artifact, params: FoldBatchNormParams, context: PassContext) -> PassResult:
        """Fold what can be folded."""
        from .batchnorm import fold_batchnorms
        from .infer import infer_shapes
        from .outcome import finished
        from .workspace import Workspace

        model = read_model(artifact)
        if any(node.op_type == "MatMul" for node in model.graph):
            infer_shapes(model)  # only the ranks of its matrices are asked for
        space = Workspace(model, context.scope, context.reporter)
        fold_batchnorms(space, into_next=params.into_next)
        return finished(space, artifact, context, _why_not(space))


def _why_not(space: Workspace) -> str:
    """Say that there is none, or that none can be folded: the warnings have the reasons."""
    return WHY_NOT if space.warnings else NONE

"""Operator fusion: several nodes become one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from studio.api import Artifact, Device, Params, Pass, PassContext, PassResult, Scope, Survey, param, read_model

if TYPE_CHECKING:
    import onnx_ir as ir

WHY_NOT = "No fusion fits this model."
SCOPED = "ONNX Runtime fuses the whole model; it cannot be kept to some nodes."


class FuseParams(Params):
    """Which fusions to make, and into which operators."""

    engine: Literal["portable", "microsoft", "onnxruntime"] = param(
        "portable",
        "'portable' makes operators of the ONNX standard; 'microsoft' also those of com.microsoft, which ONNX Runtime "
        "has and OpenVINO reads; 'onnxruntime' lets ONNX Runtime fuse, and then the switches below do not count.",
    )
    affine: bool = param(True, "Multiply constant scales and shifts after a layer into its weights.")
    pads: bool = param(True, "Let Conv do the zero padding before it.")
    clips: bool = param(True, "Merge Relu and Clip in a row.")
    gemm: bool = param(True, "Merge MatMul and Add of matrices into Gemm.")
    layer_norm: bool = param(True, "Merge a written-out LayerNormalization (from opset 17).")
    gelu: bool = param(True, "Merge a written-out Gelu (from opset 20).")
    attention: bool = param(
        True, "Merge a written-out attention, heads found in the graph (from opset 23; 'microsoft' from any)."
    )
    rms_norm: bool = param(True, "Merge a written-out RMSNormalization (from opset 23).", title="RMS norm")
    hard_swish: bool = param(True, "Merge a written-out HardSwish (from opset 14) or HardSigmoid.")
    conv_activation: bool = param(True, "Merge Conv and activation; with 'microsoft' only.")
    conv_add: bool = param(True, "Merge Conv, Add of a residual and activation; with 'microsoft' only.")
    skip_layer_norm: bool = param(True, "Merge Add of a residual and LayerNormalization; with 'microsoft' only.")
    bias_gelu: bool = param(True, "Merge Add of a bias and Gelu; with 'microsoft' only.")


class Fuse(Pass):
    """Merge chains of nodes into single operators, exact up to rounding."""

    id = "graph.fuse"
    title = "Fuse operators"
    family = "graph"
    version = 2
    exact = True
    summary = "Merge chains of nodes into single operators."
    Params: ClassVar[type[Params]] = FuseParams

    def survey(self, model: ir.Model, params: FuseParams, device: Device | None, scope: Scope) -> Survey:
        """Fuse a copy whose weights are never computed, and count."""
        from .fusions import fuse_portably
        from .infer import for_survey
        from .outcome import own_operators, size_range, speed_range, surveyed, weight_bytes
        from .workspace import Workspace

        if params.engine == "onnxruntime":
            return self._survey_engine(model, device, scope)
        space = Workspace(for_survey(model), scope)
        counts = fuse_portably(space, params)
        space.warnings.extend(own_operators(space.model))
        summary = ", ".join(f"{count} {name}" for name, count in counts.items())
        return surveyed(space, summary, WHY_NOT, speed_range(device), size_range(weight_bytes(model), space))

    def apply(self, artifact: Artifact, params: FuseParams, context: PassContext) -> PassResult:
        """Fuse the model."""
        from .fusions import fuse_portably
        from .infer import infer_shapes
        from .outcome import finished, own_operators
        from .workspace import Workspace

        if params.engine == "onnxruntime":
            from .ort_engine import fuse_by_engine

            return fuse_by_engine(artifact, context)
        model = read_model(artifact)
        infer_shapes(model)
        space = Workspace(model, context.scope, context.reporter)
        fuse_portably(space, params)
        space.warnings.extend(own_operators(space.model))
        return finished(space, artifact, context, WHY_NOT)

    def _survey_engine(self, model: ir.Model, device: Device | None, scope: Scope) -> Survey:
        from .outcome import FREE, speed_range

        if not scope.everything:
            return Survey(applies=False, summary=SCOPED, why_not=SCOPED)
        if not len(model.graph):
            return Survey(applies=False, summary=WHY_NOT, why_not=WHY_NOT)
        return Survey(
            applies=True,
            summary="what ONNX Runtime fuses on load, at its extended level",
            speed=speed_range(device, FREE),
            warnings=("The result may hold com.microsoft operators, which not every engine knows.",),
        )

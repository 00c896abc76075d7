"""Another version of the standard operator set."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from studio.api import (
    Artifact,
    Device,
    Params,
    Pass,
    PassContext,
    PassError,
    PassResult,
    Scope,
    Survey,
    param,
    read_model,
)

if TYPE_CHECKING:
    import onnx_ir as ir

WHY_NOT = "The model has this operator set already."
SCOPED = "An operator set is that of the whole model; it cannot be kept to some nodes."
SPEED = "another version of an operator computes the same: it matters only whether an engine knows it"


class ConvertOpsetParams(Params):
    """Which version to convert to."""

    opset: int = param(21, "Version of the ONNX standard operator set.", title="Operator set", ge=11, le=24)


class ConvertOpset(Pass):
    """Convert the model to another version of the standard operator set, with ONNX's own converter.

    Subgraphs are converted too; functions are written out first; operators of other domains stay.
    """

    id = "graph.convert-opset"
    title = "Convert operator set"
    family = "graph"
    exact = True
    summary = "Bring the model to another version of the ONNX operator set."
    Params: ClassVar[type[Params]] = ConvertOpsetParams

    def survey(self, model: ir.Model, params: ConvertOpsetParams, device: Device | None, scope: Scope) -> Survey:
        """Convert a copy without its weights, and count."""
        from .converter import convert
        from .outcome import size_range, speed_range, surveyed, weight_bytes
        from .workspace import Workspace

        if not scope.everything:
            return Survey(applies=False, summary=SCOPED, why_not=SCOPED)
        space = Workspace(model.clone(), scope)
        old = space.opset
        convert(space, params.opset)
        summary = f"operator set {old} to {params.opset}"
        return surveyed(space, summary, WHY_NOT, speed_range(device, SPEED), size_range(weight_bytes(model), space))

    def apply(self, artifact: Artifact, params: ConvertOpsetParams, context: PassContext) -> PassResult:
        """Convert the model."""
        from .converter import convert
        from .outcome import finished
        from .workspace import Workspace

        if not context.scope.everything:
            raise PassError(SCOPED, "Clear the scope of this step.")
        space = Workspace(read_model(artifact), context.scope, context.reporter)
        convert(space, params.opset)
        return finished(space, artifact, context, WHY_NOT)

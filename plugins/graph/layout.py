"""Layouts: which axis is the channels, at the model's edges and inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from studio.api import Artifact, Device, Params, Pass, PassContext, PassResult, Range, Scope, Survey, param, read_model

if TYPE_CHECKING:
    import onnx_ir as ir

    from .workspace import Workspace

WHY_NOT = "No Transpose can go, and the inputs and outputs stay as they are."
SPEED = (
    "convolutions of ONNX take channels first whatever this step does. ONNX Runtime and OpenVINO move Transposes "
    "together themselves when they load a model, so that mostly little is left to gain; engines that do not gain a "
    "copy of the tensor for each that goes"
)
Side = Literal["keep", "nhwc", "nchw"]


class LayoutParams(Params):
    """The layout at the edges, and whether to cancel Transposes inside."""

    cancel: bool = param(True, "Move Transposes through the graph where several then cancel each other.")
    inputs: Side = param("keep", "Layout of pictures at the inputs from now on.")
    outputs: Side = param("keep", "Layout of outputs with four axes from now on.")


class Layout(Pass):
    """Change the layout of inputs and outputs, and take Transposes out that cancel each other.

    A changed input or output is recorded in the model: data prepared for the original one is converted,
    wherever it is used.
    """

    id = "graph.layout"
    title = "Layout"
    family = "graph"
    exact = True
    changes_interface = True
    summary = "Take Transposes out, and choose the layout of inputs and outputs."
    Params: ClassVar[type[Params]] = LayoutParams

    def survey(self, model: ir.Model, params: LayoutParams, device: Device | None, scope: Scope) -> Survey:
        """Try it on a copy whose weights are not read."""
        from .infer import for_survey
        from .outcome import size_range, surveyed, weight_bytes
        from .workspace import Workspace

        space = Workspace(for_survey(model), scope)
        how = relayout(space, params)
        speed = Range(low=0.95, high=1.1, reason=SPEED) if device is not None else None
        return surveyed(space, how, WHY_NOT, speed, size_range(weight_bytes(model), space))

    def apply(self, artifact: Artifact, params: LayoutParams, context: PassContext) -> PassResult:
        """Change the layouts."""
        from .infer import infer_shapes
        from .outcome import finished
        from .workspace import Workspace

        model = read_model(artifact)
        infer_shapes(model)
        space = Workspace(model, context.scope, context.reporter)
        how = relayout(space, params)
        result = finished(space, artifact, context, WHY_NOT)
        if not space.edits:
            return result
        kept = {change.node: (change.node,) for change in result.changes if change.change == "rewritten"}
        return result.model_copy(update={"notes": {**result.notes, "layout": how}, "provenance": kept})


def relayout(space: Workspace, params: LayoutParams) -> str:
    """Change the layouts of a model; says what was done."""
    from .edges import turn_edges
    from .transposes import cancel_transposes, count_transposes

    before = count_transposes(space)
    turned = turn_edges(space, params.inputs, params.outputs)
    if params.cancel:
        cancel_transposes(space)
    after = count_transposes(space)
    moved = f"{before} to {after} Transposes" if before or after else ""
    return "; ".join(filter(None, (", ".join(turned), moved)))

"""A part of a model, as a model of its own."""

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

WHY_NOT = "The part between these tensors is the whole model."
ASK = "Name the tensors at which the part begins and ends."
SCOPED = "A part is chosen by its tensors, not by a scope."


class ExtractParams(Params):
    """Where the part begins and ends."""

    inputs: tuple[str, ...] = param(
        (), "Tensors that become the inputs; the model's own inputs when none is given.", title="From"
    )
    outputs: tuple[str, ...] = param(
        (), "Tensors that become the outputs; the model's own outputs when none is given.", title="To"
    )


class Extract(Pass):
    """Keep the nodes between some tensors and others, with their weights.

    The result is compared with its source by feeding it the source's own tensors.
    """

    id = "graph.extract"
    title = "Extract a part"
    family = "graph"
    exact = True
    changes_interface = True
    extracts = True
    summary = "Keep the part of the model between given tensors."
    Params: ClassVar[type[Params]] = ExtractParams

    def survey(self, model: ir.Model, params: ExtractParams, device: Device | None, scope: Scope) -> Survey:
        """Cut a copy, and count."""
        from .outcome import size_range, surveyed, weight_bytes
        from .part import cut
        from .workspace import Workspace

        if not (params.inputs or params.outputs):
            return Survey(applies=False, summary=ASK, why_not=ASK)
        if not scope.everything:
            return Survey(applies=False, summary=SCOPED, why_not=SCOPED)
        space = Workspace(model.clone(), scope)
        before = len(space.nodes())
        cut(space, params.inputs, params.outputs)
        summary = f"{len(space.nodes()):,} of {before:,} nodes"
        return surveyed(space, summary, WHY_NOT, None, size_range(weight_bytes(model), space))

    def apply(self, artifact: Artifact, params: ExtractParams, context: PassContext) -> PassResult:
        """Cut the model."""
        from .outcome import finished
        from .part import cut
        from .workspace import Workspace

        if not (params.inputs or params.outputs):
            return PassResult(artifact=artifact, warnings=(ASK,))
        if not context.scope.everything:
            raise PassError(SCOPED, "Clear the scope of this step.")
        space = Workspace(read_model(artifact), context.scope, context.reporter)
        cut(space, params.inputs, params.outputs)
        return finished(space, artifact, context, WHY_NOT)

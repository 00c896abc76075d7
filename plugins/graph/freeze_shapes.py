"""Dynamic dimensions become fixed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from studio.api import Artifact, Device, Params, Pass, PassContext, PassResult, Range, Scope, Survey, param, read_model

if TYPE_CHECKING:
    import onnx_ir as ir

    from .dims import Sizes
    from .workspace import Workspace

WHY_NOT = "Every dimension of the inputs is fixed already."
ASK = "Say which dimension gets which size, such as dims=batch=1|seq=128."
SPEED = (
    "shape arithmetic goes and memory is planned for one size; engines that compile for a shape gain, "
    "those that plan at each run little"
)


class FreezeShapesParams(Params):
    """Which dimensions to fix."""

    dims: tuple[str, ...] = param(
        (), "Sizes, each NAME=SIZE or, for a dimension without a name, INPUT:AXIS=SIZE.", title="Sizes"
    )
    others: int = param(
        0, "Size of every dynamic dimension that is not listed; 0 leaves them dynamic.", ge=0, candidates=(1,)
    )
    fold: bool = param(True, "Compute the shape arithmetic that has become constant.", title="Fold shapes")


class FreezeShapes(Pass):
    """Fix dynamic dimensions of the inputs, infer all shapes anew, and fold what only computed shapes.

    The result takes inputs of these sizes alone. The scope says which nodes may be folded; the sizes
    are those of the whole model.
    """

    id = "graph.freeze-shapes"
    title = "Freeze shapes"
    family = "graph"
    exact = True
    changes_interface = True
    summary = "Fix dynamic dimensions, and fold the shape arithmetic that becomes constant."
    Params: ClassVar[type[Params]] = FreezeShapesParams

    def survey(self, model: ir.Model, params: FreezeShapesParams, device: Device | None, scope: Scope) -> Survey:
        """Freeze a copy whose weights are not read, and count."""
        from .dims import dynamic_dims, known_names, read_sizes
        from .outcome import size_range, surveyed, weight_bytes
        from .workspace import Workspace

        sizes = read_sizes(model, params.dims, params.others)
        if not sizes.label:
            dynamic = known_names(dynamic_dims(model))
            why_not = f"{ASK} Dynamic: {', '.join(dynamic)}." if dynamic else WHY_NOT
            return Survey(applies=False, summary=f"{len(dynamic)} dynamic dimensions", why_not=why_not)
        space = Workspace(model.clone(), scope)
        count = freeze(space, sizes, fold=params.fold, survey=True)
        summary = f"{sizes.label}: {count:,} dimensions fixed"
        speed = Range(low=0.98, high=1.15, reason=SPEED) if device is not None else None
        return surveyed(space, summary, WHY_NOT, speed, size_range(weight_bytes(model), space))

    def apply(self, artifact: Artifact, params: FreezeShapesParams, context: PassContext) -> PassResult:
        """Freeze the model."""
        from .dims import dynamic_dims, read_sizes
        from .outcome import finished
        from .workspace import Workspace

        model = read_model(artifact)
        sizes = read_sizes(model, params.dims, params.others)
        if not sizes.label:
            return PassResult(artifact=artifact, warnings=(ASK if dynamic_dims(model) else WHY_NOT,))
        space = Workspace(model, context.scope, context.reporter)
        freeze(space, sizes, fold=params.fold, survey=False)
        result = finished(space, artifact, context, WHY_NOT)
        return result.model_copy(update={"notes": {"frozen": sizes.label, **result.notes}})


def freeze(space: Workspace, sizes: Sizes, *, fold: bool, survey: bool) -> int:
    """Fix the sizes and fold; give how many dimensions were fixed.

    Raises
    ------
    PassError
        When the model cannot take these sizes, with the node at which it cannot.
    """
    from .contradictions import contradictions, refuse_contradictions
    from .dims import set_sizes
    from .infer import infer_shapes

    known = contradictions(space.model)
    count = set_sizes(space.model, sizes)
    space.edits += count
    refuse_contradictions(space.model, known, sizes.label)
    infer_shapes(space.model, outputs=True)
    if fold:
        fold_shapes(space, survey=survey)
        refuse_contradictions(space.model, known, sizes.label)
    return count


def fold_shapes(space: Workspace, *, survey: bool) -> None:
    """Fold what shapes alone decide, as long as that makes more shapes known."""
    from .clean import ROUNDS
    from .fold_constants import Budget, fold_constants
    from .infer import infer_shapes
    from .shape_arithmetic import shape_nodes

    budget = Budget(64 * 1024)
    for _ in range(ROUNDS):
        space.reporter.check()
        before = space.edits
        only = shape_nodes(space)
        fold_constants(space, budget, survey=survey, only=only)
        if space.edits == before:
            break
        infer_shapes(space.model, outputs=True)
    space.drop_unread_weights()

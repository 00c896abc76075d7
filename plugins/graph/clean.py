"""Clean-up: the same graph with fewer nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from studio.api import Artifact, Device, Params, Pass, PassContext, PassResult, Scope, Survey, param, read_model

if TYPE_CHECKING:
    import onnx_ir as ir

    from .workspace import Workspace

WHY_NOT = "There is nothing to clean up."
#: each round can open the way for another; more than this many never helped
ROUNDS = 8


class CleanParams(Params):
    """What to clean up."""

    constants: bool = param(True, "Compute now what depends on weights or known shapes alone.", title="Fold constants")
    growth: int = param(
        64, "How much the results of constant folding may add to the model in all.", unit="KiB", ge=0, le=1_048_576
    )
    no_ops: bool = param(True, "Remove nodes that give back their input, such as Identity, Dropout or x + 0.")
    chains: bool = param(True, "Merge two Transpose, Reshape or Cast in a row.")
    duplicates: bool = param(True, "Keep one of several nodes or weights that are the same.")
    dead_code: bool = param(True, "Remove nodes, weights and functions that no output needs.")
    shapes: bool = param(True, "Write the inferred shapes of inner tensors into the model.", title="Infer shapes")


class Clean(Pass):
    """Fold constants, drop no-ops, duplicates and dead code, and infer shapes.

    Inputs and outputs keep names, order, types and shapes. Subgraphs of If, Loop and Scan are cleaned
    like the main graph; bodies of functions are left alone.
    """

    id = "graph.clean"
    title = "Clean up"
    family = "graph"
    exact = True
    prepares = True
    summary = "Remove the nodes that the result does not need."
    Params: ClassVar[type[Params]] = CleanParams

    def survey(self, model: ir.Model, params: CleanParams, device: Device | None, scope: Scope) -> Survey:
        """Clean a copy without reading large weights, and count."""
        from .names import all_nodes
        from .outcome import size_range, speed_range, surveyed, weight_bytes
        from .workspace import Workspace

        space = Workspace(model.clone(), scope)
        before, weights = len(space.nodes()), weight_bytes(model)
        clean(space, params, survey=True)
        summary = f"{before:,} to {len(all_nodes(space.model)):,} nodes"
        return surveyed(space, summary, WHY_NOT, speed_range(device), size_range(weights, space))

    def apply(self, artifact: Artifact, params: CleanParams, context: PassContext) -> PassResult:
        """Clean the model."""
        from .outcome import finished
        from .workspace import Workspace

        space = Workspace(read_model(artifact), context.scope, context.reporter)
        clean(space, params, survey=False)
        return finished(space, artifact, context, WHY_NOT)


def clean(space: Workspace, params: CleanParams, *, survey: bool) -> None:
    """Apply the rules that are switched on until none finds anything more.

    Parameters
    ----------
    survey
        Whether large weights must not be read.
    """
    from .dead_code import remove_dead_functions
    from .fold_constants import Budget
    from .infer import SURVEY_INFERS, infer_shapes, inner_types, restore_types

    budget = Budget(params.growth * 1024)
    declared = {} if params.shapes else inner_types(space.model)
    infers = not survey or len(space.nodes()) <= SURVEY_INFERS
    known = -1
    for number in range(ROUNDS):
        before = space.edits
        if infers and space.discoveries != known:
            known = space.discoveries
            infer_shapes(space.model)
        for rule in _rules(space, params, budget, survey=survey):
            space.reporter.check()
            rule()
        space.reporter.progress(number + 1, ROUNDS + 2, "cleaning")
        if space.edits == before:
            break
    if params.dead_code and space.scope.everything and remove_dead_functions(space.model):
        space.edits += 1
    restore_types(declared)


def _rules(space: Workspace, params: CleanParams, budget: Any, *, survey: bool) -> list[Any]:
    from .branches import inline_known_branches
    from .chains import merge_chains
    from .dead_code import remove_dead_nodes
    from .duplicates import merge_duplicate_nodes, merge_duplicate_weights
    from .fold_constants import fold_constants, lift_constants
    from .no_ops import remove_no_ops
    from .workspace import SMALL

    rules: list[Any] = []
    if params.constants:
        rules += [lambda: lift_constants(space), lambda: fold_constants(space, budget, survey=survey)]
        rules += [lambda: inline_known_branches(space)]
    if params.no_ops:
        rules += [lambda: remove_no_ops(space)]
    if params.chains:
        rules += [lambda: merge_chains(space)]
    if params.duplicates:
        limit = SMALL if survey else None
        rules += [lambda: merge_duplicate_weights(space, limit=limit), lambda: merge_duplicate_nodes(space)]
    if params.dead_code:
        rules += [lambda: remove_dead_nodes(space)]
    idle = params.dead_code and space.scope.everything
    return [*rules, lambda: space.drop_unread_weights(idle=idle)]

"""Another batch: of a fixed size, or dynamic."""

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
    Range,
    Scope,
    Survey,
    param,
    read_model,
)

if TYPE_CHECKING:
    import onnx_ir as ir

    from .workspace import Workspace

WHY_NOT = "The batch is of that size already."
SCOPED = "A batch is that of the whole model; it cannot be kept to some nodes."
SPEED = "one inference stays as fast; several samples in one inference cost less each where a core is not busy yet"


class BatchParams(Params):
    """Which batch, and where it is."""

    size: int = param(0, "Samples of one inference; 0 makes the batch dynamic.", unit="samples", ge=0)
    name: str = param("batch", "Name of the dimension when it is dynamic.")
    axes: tuple[str, ...] = param(
        (), "Inputs whose samples are not along the first axis, each INPUT:AXIS; INPUT:none for one without samples."
    )


class Batch(Pass):
    """Set or free the batch axis, and mend the nodes that hard-code its size.

    The source is then run sample by sample, and the result on several samples at once: each sample must
    come out the same.
    """

    id = "graph.batch"
    title = "Batch size"
    family = "graph"
    exact = True
    changes_interface = True
    summary = "Fix the batch to a size, or make it dynamic."
    Params: ClassVar[type[Params]] = BatchParams

    def survey(self, model: ir.Model, params: BatchParams, device: Device | None, scope: Scope) -> Survey:
        """Change a copy whose weights are not read, and count."""
        from .outcome import size_range, surveyed, weight_bytes
        from .rebatch import rebatch
        from .workspace import Workspace

        if not scope.everything:
            return Survey(applies=False, summary=SCOPED, why_not=SCOPED)
        space = Workspace(model.clone(), scope)
        rebatch(space, params.size, params.name, params.axes)
        summary = f"{_label(params)}; {len(space.changes())} nodes hard-code another"
        speed = Range(low=0.97, high=1.03, reason=SPEED) if device is not None else None
        return surveyed(space, summary, WHY_NOT, speed, size_range(weight_bytes(model), space))

    def apply(self, artifact: Artifact, params: BatchParams, context: PassContext) -> PassResult:
        """Change the batch, and compare several samples at once with one by one."""
        from .batch_check import check_samples
        from .outcome import finished
        from .rebatch import rebatch
        from .workspace import Workspace

        if not context.scope.everything:
            raise PassError(SCOPED, "Clear the scope of this step.")
        space = Workspace(read_model(artifact), context.scope, context.reporter)
        places = rebatch(space, params.size, params.name, params.axes)
        result = finished(space, artifact, context, WHY_NOT)
        if result.artifact == artifact:
            return result
        compared = check_samples(artifact, result.artifact, places, params.size, context)
        warnings = result.warnings if compared else (*result.warnings, "Several samples at once were not compared.")
        notes = {"batch": _label(params), "compared at batch sizes": compared or "none", **_counts(space)}
        return result.model_copy(update={"warnings": warnings, "notes": notes})


def _label(params: BatchParams) -> str:
    return f"batch of {params.size}" if params.size else f"dynamic batch '{params.name}'"


def _counts(space: Workspace) -> dict[str, str | int | float | bool]:
    return {"nodes changed": len(space.changes())}

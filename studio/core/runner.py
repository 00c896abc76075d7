"""Running a pass: nothing is returned that was not checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.core.artifact import Artifact, rehash
from studio.core.errors import BurnishError, Cancelled, ModelError, PassError, UsageError, VerificationError, nearest
from studio.core.frozen import Frozen
from studio.core.modelfile import read_light_proto, read_model
from studio.core.modelinfo import tensor_info
from studio.core.params import Params, parse_params
from studio.core.passes import NodeChange, Pass, PassContext, PassResult
from studio.core.provenance import node_names, trace
from studio.core.recipe import Recipe, Step
from studio.core.validity import check_artifact
from studio.core.verification import Verification
from studio.core.verify import Check, verify

if TYPE_CHECKING:
    import onnx


class StepRecord(Frozen):
    """What one applied step gave; kept in the step cache.

    `provenance` leads to the nodes of the step's own source. `unchanged` says that there was nothing
    to do, and that `artifact` is the source itself.
    """

    step: Step
    source_sha256: str
    artifact: Artifact
    nodes: int
    unchanged: bool
    changes: tuple[NodeChange, ...]
    warnings: tuple[str, ...]
    notes: dict[str, str | int | float | bool]
    provenance: dict[str, tuple[str, ...]]
    verification: Verification | None
    seconds: float


@dataclass(frozen=True)
class Work:
    """What `run_step` needs besides the pass: the context for it and how to verify its result."""

    context: PassContext
    check: Check


def resolve_step(the_pass: Pass, step: Step) -> Step:
    """Validate a step against its pass and fill in every default.

    Raises
    ------
    UsageError
        For an unknown parameter, a value out of bounds, or a version of the future.
    """
    if step.version > the_pass.version:
        raise UsageError(
            f"The recipe wants version {step.version} of {the_pass.id}; this Burnish has {the_pass.version}.",
            "Update Burnish.",
        )
    params = parse_params(the_pass.Params, step.params, owner=the_pass.id)
    plain = params.model_dump(mode="json")
    return step.model_copy(update={"version": the_pass.version, "params": plain})


def resolve_recipe(recipe: Recipe, find: Callable[[str], Pass]) -> Recipe:
    """Validate the active steps of a recipe, their order included.

    Parameters
    ----------
    find
        Gives a pass by its id, or raises `UsageError`.

    Raises
    ------
    UsageError
        For an unknown pass, a wrong parameter, or an order that a pass refuses.
    """
    resolved: tuple[Step, ...] = ()
    for step in recipe.active:
        the_pass = find(step.pass_id)
        reason = the_pass.refuses(resolved)
        if reason:
            raise UsageError(f"{step.pass_id} cannot stand here: {reason}", "Change the order of the steps.")
        resolved = (*resolved, resolve_step(the_pass, step))
    return recipe.model_copy(update={"steps": resolved})


def run_step(the_pass: Pass, step: Step, source: Artifact, work: Work) -> StepRecord:
    """Apply one step and verify what it made.

    Raises
    ------
    PassError
        When the pass fails; what it raises itself is passed on.
    VerificationError
        When its result is not valid or does not compute what it must.
    """
    started = time.monotonic()
    params = parse_params(the_pass.Params, step.params, owner=the_pass.id)
    _check_scope(step, source)
    result = _apply(the_pass, params, source, work.context)
    if rehash(source) != source.sha256:
        raise PassError(
            f"The pass {the_pass.id} modified its source file.", "This is a fault of the pass; do not use it."
        )
    unchanged = result.artifact.sha256 == source.sha256
    verification = None if unchanged else _verified(the_pass, source, result, work.check)
    before, after = read_light_proto(source.path).graph, read_light_proto(result.artifact.path).graph
    return StepRecord(
        step=step,
        source_sha256=source.sha256,
        artifact=result.artifact,
        nodes=len(after.node),
        unchanged=unchanged,
        changes=result.changes,
        warnings=(*result.warnings, *(verification.warnings if verification else ())),
        notes=result.notes,
        provenance=trace(before, after, result.provenance),
        verification=verification,
        seconds=time.monotonic() - started,
    )


def _check_scope(step: Step, source: Artifact) -> None:
    """Refuse names in the scope that the model does not have: a typo must not mean "nothing to do"."""
    if not step.scope.names:
        return
    names = set(node_names(read_light_proto(source.path).graph))
    for name in step.scope.names:
        if name not in names:
            raise UsageError(
                f"The scope of {step.pass_id} names a node that is not there: {name!r}.", nearest(name, names)
            )


def _apply(the_pass: Pass, params: Params, source: Artifact, context: PassContext) -> PassResult:
    try:
        return the_pass.apply(source, params, context)
    except (BurnishError, Cancelled, MemoryError, OSError):
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise PassError(
            f"{the_pass.id} failed: {type(error).__name__}: {first[:300]}.",
            "Leave the step out or narrow its scope; --debug shows where it failed.",
        ) from error


def _verified(the_pass: Pass, source: Artifact, result: PassResult, check: Check) -> Verification:
    try:
        warnings = check_artifact(result.artifact)
        read_model(result.artifact)
    except ModelError as error:
        raise VerificationError(
            f"{the_pass.id} made an invalid model: {error.message}", "The parent is unchanged; leave the step out."
        ) from error
    _same_interface(the_pass, source, result.artifact)
    known = set(check_artifact(source)) if warnings else set()
    verification = verify(
        source, result.artifact, check, exact=the_pass.exact, everywhere=the_pass.family == "precision"
    )
    fresh = tuple(warning for warning in warnings if warning not in known)
    return verification.model_copy(update={"warnings": (*verification.warnings, *fresh)})


def _same_interface(the_pass: Pass, source: Artifact, result: Artifact) -> None:
    """Refuse a result whose inputs or outputs have other names or types: callers would break.

    A pass may be allowed other types, or to give a part of the model.
    """
    if the_pass.extracts:
        return
    before, after = read_light_proto(source.path).graph, read_light_proto(result.path).graph
    for kind in ("input", "output"):
        old, new = (_interface(values, the_pass) for values in (getattr(before, kind), getattr(after, kind)))
        given = {item.name for item in before.initializer} | {item.name for item in after.initializer}
        lost = [name for name, dtype in old if (name, dtype) not in new and not (kind == "input" and name in given)]
        if lost:
            raise VerificationError(
                f"{the_pass.id} changed the {kind} {lost[0]!r} of the model.", "The parent is unchanged; leave it out."
            )


def _interface(values: Iterable[onnx.ValueInfoProto], the_pass: Pass) -> list[tuple[str, str]]:
    """Give the names that must stay, each with its type where that must stay too."""
    return [(value.name, "" if the_pass.changes_interface else tensor_info(value).dtype) for value in values]

"""`quantize.float16`: weights and arithmetic in half precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from studio.api import (
    Artifact,
    Change,
    Device,
    Family,
    Need,
    Params,
    Pass,
    PassContext,
    PassResult,
    Scope,
    Step,
    Survey,
    param,
)

from .expectation import assumed, half_speed
from .finish import list_changes, unchanged, write_checked
from .graph import count_operators, is_float, node_names, operators_by_name, quantized_already
from .half import KEPT, convert, float_weights, losses, overflows, refuse_control_flow
from .initializers import lift_constants, part_outputs
from .overflow import find_overflow
from .prepare import open_named, save_prepared
from .quiet import scratch_folder
from .refusal import refusal
from .size import half_size

if TYPE_CHECKING:
    import onnx_ir as ir


class Float16Params(Params):
    """Parameters of `Float16`."""

    keep_io_types: bool = param(True, "Inputs and outputs stay float32, so that callers need not change.")
    samples: int = param(
        32,
        "Samples of calibration data to look for values that FP16 cannot hold; the operators that take or give "
        "them stay float32. 0 looks at weights only.",
        unit="samples",
        ge=0,
        le=100_000,
    )
    block: tuple[str, ...] = param(
        (), "Further operators to leave in float32, such as LayerNormalization or Softmax.", advanced=True
    )


class Float16(Pass):
    """Convert weights and arithmetic to float16."""

    id: ClassVar[str] = "quantize.float16"
    title: ClassVar[str] = "Half precision (FP16)"
    family: ClassVar[Family] = "precision"
    version: ClassVar[int] = 2
    changes_interface: ClassVar[bool] = True
    summary: ClassVar[str] = "Store weights and compute in 16-bit floating point: half the size, little error."
    trials: ClassVar[Mapping[str, Mapping[str, Any]]] = {"float16": {}}
    Params: ClassVar[type[Params]] = Float16Params

    def survey(self, model: ir.Model, params: Float16Params, device: Device | None, scope: Scope) -> Survey:
        """Say what it would touch; see `Pass.survey`."""
        why_not, nodes = _judge(model, params, scope)
        if why_not:
            return Survey(applies=False, summary="nothing to convert", why_not=f"Not applicable: {why_not}.")
        casts = len(model.graph.inputs) + len(model.graph.outputs) + 2 * (len(model.graph) - len(nodes))
        return Survey(
            applies=True,
            summary=count_operators(nodes),
            nodes=tuple(nodes.values()),
            speed=half_speed(device) if device else None,
            change=Change(precision="f16"),
            size=half_size(model, float_weights(model, nodes), casts),
            warnings=_advice(model, params, device),
        )

    def apply(self, artifact: Artifact, params: Float16Params, context: PassContext) -> PassResult:
        """Convert; see `Pass.apply`.

        Raises
        ------
        PassError
            When the model cannot be converted or the result is not valid.
        """
        model = open_named(artifact)
        why_not, nodes = _judge(model, params, context.scope)
        if why_not:
            return unchanged(artifact, why_not)
        refuse_control_flow(model, KEPT | set(params.block), nodes)
        before = operators_by_name(model.graph)
        overflow = find_overflow(model, nodes, context, params.samples)
        nodes = {node: name for node, name in nodes.items() if name not in overflow.nodes}
        if not nodes:
            return unchanged(artifact, f"{overflow.warnings[0].rstrip('.')}")
        lift_constants(model.graph)
        part_outputs(model.graph)
        chosen = set(nodes.values())
        left = [name for name in before if name not in chosen]
        warnings = (*overflow.warnings, *losses(float_weights(model, nodes)), *_advice(model, params, context.device))
        with scratch_folder(context.workdir) as scratch:
            typed = model.meta["typed"]
            prepared = save_prepared(model, scratch, 0)
            del model, nodes
            context.reporter.progress(1, 3, "converting to float16")
            context.reporter.check()
            proto = convert(prepared, params.block, left, keep_io_types=params.keep_io_types)
            context.reporter.progress(2, 3, "checking the result")
            context.reporter.check()
            result = write_checked(proto, context.workdir, typed=typed)
        changes = list_changes(before, proto.graph, {name: (name, "float16") for name in chosen})
        retyped = {"rewritten": "retyped"}
        return PassResult(
            artifact=result,
            changes=tuple(
                change.model_copy(update={"change": retyped.get(change.change, change.change)}) for change in changes
            ),
            warnings=warnings,
            notes={"kept_for_overflow": len(overflow.nodes)},
        )

    def needs_for(self, params: Float16Params) -> frozenset[Need]:
        """Say that it looks at data, unless told not to."""
        return frozenset({Need.CALIBRATION}) if params.samples else frozenset()

    def refuses(self, earlier: tuple[Step, ...]) -> str:
        """Say why it may not follow these steps."""
        return refusal(earlier, half=True)


def _judge(model: ir.Model, params: Float16Params, scope: Scope) -> tuple[str, dict[ir.Node, str]]:
    """Say why the pass does not apply, or which nodes would compute in float16."""
    already = quantized_already(model)
    if already:
        return already, {}
    blocked = KEPT | set(params.block)
    nodes = {
        node: name
        for node, name in node_names(model.graph).items()
        if node.op_type not in blocked | {"Constant"}
        and scope.selects(name, node.op_type)
        and any(is_float(value) for value in (*node.inputs, *node.outputs))
        and not overflows(node)
    }
    if any(node.op_type != "Cast" for node in nodes):
        return "", nodes
    return "no operator on float32 values in the scope", {}


def _advice(model: ir.Model, params: Float16Params, device: Device | None) -> tuple[str, ...]:
    notes = []
    large = [name for node, name in node_names(model.graph).items() if overflows(node)]
    if large:
        notes.append(f"{len(large)} operators with weights beyond 65504 stay float32, such as {large[0]}.")
    if half_speed(assumed(device)).high <= 1.05:
        notes.append("This device has no FP16 arithmetic: expect half the size, not less time.")
    if not params.keep_io_types:
        notes.append("Inputs and outputs become float16: what calls the model must convert.")
    return tuple(notes)

"""An order of execution that holds less memory."""

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
    from collections.abc import Callable

    import onnx_ir as ir

    from studio.api import Dataflow

    from .schedule import Schedule

SCOPED = "An order is that of the whole graph; it cannot be kept to some nodes."
SPEED = (
    "the same nodes in another order. ONNX Runtime and OpenVINO order the nodes themselves when they load a model, so "
    "that neither time nor memory changes there; engines that keep the order of the file need less memory"
)
#: sets of nodes that a survey may extend
SURVEY_WORK = 2_000


class MemoryPlanParams(Params):
    """What to plan for."""

    dims: tuple[str, ...] = param(
        (), "Sizes to plan for, each NAME=SIZE or INPUT:AXIS=SIZE; 1 for dynamic dimensions not listed.", title="Sizes"
    )
    effort: int = param(
        20,
        "How many thousand sets of nodes to look at; more find better orders of wide graphs, and take longer.",
        unit="thousand",
        ge=1,
        le=1000,
        candidates=(20,),
        advanced=True,
    )


class MemoryPlan(Pass):
    """Reorder the nodes so that less activation memory is held at once.

    Ahn et al. 2020, "Ordering Chaos: Memory-Aware Scheduling of Irregularly Wired Neural Networks for Edge
    Devices"; Liberis and Lane 2019, "Neural networks on microcontrollers: saving memory at inference via
    operator reordering". Nodes keep what they compute; only the main graph is reordered.
    """

    id = "graph.memory-plan"
    title = "Memory plan"
    family = "graph"
    exact = True
    summary = "Run the nodes in an order that holds less memory at once."
    Params: ClassVar[type[Params]] = MemoryPlanParams

    def survey(self, model: ir.Model, params: MemoryPlanParams, device: Device | None, scope: Scope) -> Survey:
        """Look for an order, with little effort."""
        if not scope.everything:
            return Survey(applies=False, summary=SCOPED, why_not=SCOPED)
        flow, found = _plan(model, params, min(SURVEY_WORK, 1000 * params.effort), lambda: None)
        moved = _moved(flow, found)
        if not moved:
            return Survey(applies=False, summary=_mega(found.before), why_not=_why_not(found), warnings=_unknown(flow))
        return Survey(
            applies=True,
            summary=f"{_mega(found.before)} to {_mega(found.after)} of activations held at most",
            nodes=moved,
            speed=Range(low=0.97, high=1.03, reason=SPEED) if device is not None else None,
            size=Range(low=1.0, high=1.0, reason="weights and nodes stay"),
            warnings=_unknown(flow),
        )

    def apply(self, artifact: Artifact, params: MemoryPlanParams, context: PassContext) -> PassResult:
        """Reorder the nodes."""
        from studio.api import NodeChange, plan_order, write_model

        from .names import name_nodes

        if not context.scope.everything:
            raise PassError(SCOPED, "Clear the scope of this step.")
        context.reporter.progress(0, 3, "looking for an order")
        model = read_model(artifact)
        flow, found = _plan(model, params, 1000 * params.effort, context.reporter.check)
        moved = _moved(flow, found)
        if not moved:
            return PassResult(artifact=artifact, warnings=(_why_not(found), *_unknown(flow)))
        context.reporter.progress(2, 3, "writing")
        name_nodes(model)
        nodes = list(model.graph)
        model.graph.remove(nodes)
        model.graph.extend([nodes[number] for number in found.order])
        before, after = (plan_order(flow, order) for order in (range(len(flow.names)), found.order))
        operators = {str(node.name): node.op_type for node in nodes}
        return PassResult(
            artifact=write_model(model, context.workdir / "model.onnx"),
            changes=tuple(
                NodeChange(node=name, operator=operators[name], change="rewritten", detail="runs at another place")
                for name in moved
            ),
            warnings=_unknown(flow),
            notes={
                "peak bytes before": found.before,
                "peak bytes after": found.after,
                "no order below": found.bound,
                "arena bytes before": before.arena_bytes,
                "arena bytes after": after.arena_bytes,
            },
        )


def _plan(model: ir.Model, params: MemoryPlanParams, work: int, check: Callable[[], None]) -> tuple[Dataflow, Schedule]:
    """Read the dataflow without the weights, for the sizes asked for, and look for an order."""
    import onnx_ir as ir

    from studio.api import read_dataflow

    from .dims import read_sizes
    from .infer import without_weights
    from .names import name_nodes
    from .schedule import schedule

    sizes = read_sizes(model, params.dims)
    axes = {f"{name}[{axis}]": size for (name, axis), size in sizes.axes.items()}
    light = without_weights(model)
    name_nodes(light)
    flow = read_dataflow(ir.to_proto(light), {**sizes.named, **axes})
    return flow, schedule(flow, check, work)


def _moved(flow: Dataflow, found: Schedule) -> tuple[str, ...]:
    """Name the nodes that run after another one than before."""
    if found.after >= found.before:
        return ()
    before = [-1, *found.order]
    return tuple(flow.names[node] for last, node in zip(before, found.order, strict=False) if last != node - 1)


def _why_not(found: Schedule) -> str:
    if found.after == found.bound:
        return f"No order of the nodes holds less than this one, {_mega(found.before)}."
    return f"No better order was found than this one, {_mega(found.before)}; none holds less than {_mega(found.bound)}."


def _unknown(flow: Dataflow) -> tuple[str, ...]:
    warnings = []
    if flow.unknown:
        warnings.append(f"{len(flow.unknown)} tensors of unknown size, such as {flow.unknown[0]!r}, are not counted.")
    if flow.assumed:
        listed = ", ".join(f"{name}={size}" for name, size in flow.assumed.items())
        warnings.append(f"Planned for {listed}.")
    return tuple(warnings)


def _mega(size: int) -> str:
    return f"{size / 1e6:,.3f} MB"

"""Walking a graph from its inputs to its outputs, one rule an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import rules_contrib, rules_einsum, rules_indexing, rules_layout, rules_linear, rules_pointwise, rules_recurrent
from .arithmetic import AWARE, follow, uses
from .rules import Rule, give_up
from .sizes import DOMAINS
from .tracer import Tracer

if TYPE_CHECKING:
    import onnx_ir as ir

RULES: dict[str, Rule] = {
    name: rule
    for rules in (rules_pointwise, rules_layout, rules_indexing, rules_linear, rules_recurrent, rules_einsum)
    for name, rule in rules.RULES.items()
}


def walk(model: ir.Model) -> Tracer:
    """Follow the elements of a model's main graph through all its nodes."""
    tracer = Tracer(model)
    for node in model.graph:
        rules = RULES if node.domain in DOMAINS else rules_contrib.RULES if node.domain == rules_contrib.DOMAIN else {}
        rule = rules.get(node.op_type)
        if follow(tracer, node):
            continue
        _sizes_used(tracer, node)
        if rule is None:
            give_up(tracer, node, _unknown(tracer, node))
        else:
            rule(tracer, node)
        _captured(tracer, node)
    for value in model.graph.outputs:
        tracer.lock_value(value, f"{value.name} is an output of the model")
        if str(value.name) in tracer.known:
            _lock_sizes(tracer, value, f"its size is told by {value.name}, an output of the model")
    return tracer


def _unknown(tracer: Tracer, node: ir.Node) -> str:
    inside = any(key[:2] == (node.domain, node.op_type) for key in tracer.model.functions)
    return f"{tracer.describe(node)} is {'a function of the model' if inside else 'an operator'} that is not followed"


def _sizes_used(tracer: Tracer, node: ir.Node) -> None:
    """Lock the axes whose sizes a node computes with in a way that is not followed."""
    for index, value in enumerate(node.inputs):
        if value is not None and str(value.name) in tracer.known and (node.op_type, index) not in AWARE:
            _lock_sizes(tracer, value, f"{tracer.describe(node)} computes with its size")


def _lock_sizes(tracer: Tracer, value: ir.Value, reason: str) -> None:
    for ids in uses(tracer.known[str(value.name)]):
        tracer.lock(ids, reason)


def _captured(tracer: Tracer, node: ir.Node) -> None:
    """Lock what the subgraphs of a node take from outside."""
    import onnx_ir as ir

    for attribute in node.attributes.values():
        if attribute.is_ref() or attribute.type not in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS):
            continue
        graphs = [attribute.as_graph()] if attribute.type == ir.AttributeType.GRAPH else attribute.as_graphs()
        for graph in graphs:
            for inner in graph.all_nodes():
                for value in inner.inputs:
                    if value is not None and value.graph is tracer.model.graph:
                        tracer.lock_value(value, f"a subgraph of {tracer.describe(node)} uses it")
            for value in graph.outputs:
                if value.graph is tracer.model.graph:
                    tracer.lock_value(value, f"a subgraph of {tracer.describe(node)} uses it")

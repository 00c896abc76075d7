"""ONNX's version converter, around a model whose weights it never sees.

The converter drops functions, gives tensors of unknown rank the shape of a scalar, and takes a copy of
every weight: so functions are written out before, and types and weights are put back after.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import onnx_ir as ir

from studio.api import PassError

from .fold_constants import lift_constants
from .infer import infer_shapes, without_weights
from .names import all_graphs, all_nodes, name_nodes
from .same_operator import same_but_types, version_of
from .values import STANDARD_DOMAINS, constant_tensor, integer, is_op, rank_of
from .workspace import Workspace

if TYPE_CHECKING:
    import onnx

#: domain of the operators that the converter shall not see
ASIDE = "burnish.aside"
_NO_ADAPTER = re.compile(r"No Adapter (?:From|To) Version \$?(\d+) for (\w+)")
_OPERATOR = re.compile(r"No Previous Version of (\w+) exists|(?:op_type|operator|node|for)[: ]+'?([A-Z]\w+)")
_HINTS = {
    "BatchNormalization": "Fold it first with graph.fold-batchnorm, or choose another operator set.",
    "Dropout": "Take it out first with graph.clean, or choose another operator set.",
    "Constant": "Constants inside subgraphs cannot be converted downwards; choose another operator set.",
}
#: from here on Softmax is over one axis; before, it was over all from an axis on
SOFTMAX_OPSET = 13
HINT = "Choose another operator set, or export the model with the one that is needed."


def convert(space: Workspace, opset: int) -> None:
    """Convert a model in place to an operator set; nothing is done when it has it.

    Raises
    ------
    PassError
        When the converter cannot, with the operator.
    """
    if space.opset == opset:
        return
    _write_out_functions(space)
    if opset < space.opset:
        lift_constants(space)  # the converter knows no way back for a Constant, which a weight replaces
    before = {str(node.name): (_key(node), _version(node, space.opset)) for node in space.nodes()}
    infer_shapes(space.model)
    _keep_softmax(space, opset)
    light = without_weights(space.model)
    _one_domain(light)
    converted = ir.from_proto(_converted(light, space.opset, opset))
    _take_over(space, converted, opset)
    space.rebase()
    for node in space.nodes():
        version = _version(node, opset)
        if before.get(str(node.name)) != (_key(node), version):
            space.rewritten(node, f"{node.op_type} of version {version}")
    space.edits += 1


def _keep_softmax(space: Workspace, opset: int) -> None:
    """Say the axis of every Softmax: before version 13 another one was meant, and all axes after it too.

    Raises
    ------
    PassError
        For one over an axis that is not the last.
    """
    if not opset < SOFTMAX_OPSET <= space.opset:
        return
    for node in space.nodes():
        if not is_op(node, "Softmax", "LogSoftmax", "Hardmax"):
            continue
        axis, rank = integer(node, "axis", -1), rank_of(node.inputs[0])
        if axis != -1 and (rank is None or axis != rank - 1):
            raise PassError(
                f"The {node.op_type} {node.name!r} over axis {axis} cannot be converted to operator set {opset}, "
                "where it takes all axes from there on.",
                HINT,
            )
        node.attributes.add(ir.AttrInt64("axis", axis))


def _version(node: ir.Node, opset: int) -> int:
    return version_of(node, opset) if is_op(node, node.op_type) else 0


def _write_out_functions(space: Workspace) -> None:
    if not space.model.functions:
        return
    from onnx_ir.passes import common

    count = len(space.model.functions)
    common.InlinePass()(space.model)
    space.rebase()
    name_nodes(space.model)
    space.warnings.append(f"{count} functions were written out: the converter does not know functions.")


def _one_domain(model: ir.Model) -> None:
    version = max(model.opset_imports.get(domain, 0) for domain in STANDARD_DOMAINS)
    model.opset_imports.pop("ai.onnx", None)
    model.opset_imports[""] = version


def _converted(light: ir.Model, old: int, opset: int) -> onnx.ModelProto:
    """Run the converter; downwards it knows few operators, so those that need no change are kept from it then."""
    import onnx.version_converter

    try:
        return onnx.version_converter.convert_version(ir.to_proto(light), opset)
    except Exception as error:
        kept = [node for node in all_nodes(light) if opset < old and same_but_types(node, old, opset)]
        if not kept:
            raise _refusal(str(error), opset) from error
    for node in kept:
        node.domain = ASIDE
    light.opset_imports[ASIDE] = 1
    try:
        return onnx.version_converter.convert_version(ir.to_proto(light), opset)
    except Exception as error:
        raise _refusal(str(error), opset) from error


def _refusal(text: str, opset: int) -> PassError:
    """Say which operator the converter stopped at."""
    adapter = _NO_ADAPTER.search(text)
    if adapter is not None:
        version, name = adapter.groups()
        return PassError(
            f"{name} cannot be converted to operator set {opset}: ONNX knows no way at version {version}.",
            _HINTS.get(name, HINT),
        )
    reason = (text.strip().splitlines() or ["it failed"])[-1]
    reason = reason.rsplit("failed: ", 1)[-1].strip().rstrip(".")
    operator = _OPERATOR.search(reason)
    name = next(filter(None, operator.groups())) if operator else "The model"
    return PassError(f"{name} cannot be converted to operator set {opset}: {reason[:200]}.", HINT)


def _take_over(space: Workspace, converted: ir.Model, opset: int) -> None:
    """Put the converted nodes into the model: its weights, inputs, outputs and types stay its own."""
    model = space.model
    old, new = model.graph, converted.graph
    for node in all_nodes(converted):
        node.domain = "" if node.domain == ASIDE else node.domain
    types = {str(value.name): value for graph in all_graphs(model) for value in _values(graph)}
    for graph in all_graphs(converted):
        for value in _values(graph):
            known = types.get(str(value.name))
            value.type = known.type if known is not None else value.type
            value.shape = known.shape if known is not None else None
    _name_new_values(space, converted, types)
    weights = {name: value.const_value for name, value in old.initializers.items()}
    inputs = {str(value.name): value for value in new.inputs}
    for name, tensor in weights.items():
        weight = new.initializers.get(name) or inputs.get(name)
        if weight is not None:
            weight.const_value = tensor
            new.initializers[name] = weight
    for node in all_nodes(model):
        _restore_constant(node, inputs, new)
    listed = [str(value.name) for value in old.inputs]
    new.inputs.clear()
    new.inputs.extend(inputs[name] for name in listed)
    new.name, new.doc_string = old.name, old.doc_string
    new.metadata_props.update(old.metadata_props)
    new.opset_imports.clear()
    new.opset_imports.update({**model.opset_imports, "": opset})
    new.opset_imports.pop("ai.onnx", None)
    model.graph = new
    model.ir_version = max(model.ir_version or 0, _ir_version(opset))


def _values(graph: ir.Graph) -> list[ir.Value]:
    return [*graph.inputs, *graph.outputs, *(value for node in graph for value in node.outputs)]


def _name_new_values(space: Workspace, converted: ir.Model, known: dict[str, ir.Value]) -> None:
    """Give what the converter added names that nothing else has: it counts anew in each subgraph."""
    for node in all_nodes(converted):
        for value in node.outputs:
            if value.name and value.name not in known:
                value.name = space.fresh(f"converted{value.name}")


def _restore_constant(node: ir.Node, inputs: dict[str, ir.Value], graph: ir.Graph) -> None:
    """Make a large Constant, which the converter did not see, the weight that it is."""
    tensor = constant_tensor(node) if is_op(node, "Constant") else None
    value = inputs.get(str(node.outputs[0].name)) if tensor is not None else None
    if value is not None and not value.is_initializer():
        value.const_value = tensor
        graph.initializers[str(value.name)] = value


def _ir_version(opset: int) -> int:
    import onnx.helper

    return int(onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)], ignore_unknown=True))


def _key(node: ir.Node) -> tuple[object, ...]:
    attributes = {
        name: str(attribute.value)
        for name, attribute in node.attributes.items()
        if attribute.type not in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS, ir.AttributeType.TENSOR)
    }
    names = tuple(value.name if value is not None else "" for value in node.inputs)
    return (node.op_type, names, tuple(sorted(attributes.items())))

"""Shape inference that leaves the model's inputs and outputs as they are declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx_ir as ir

from .names import all_graphs, all_nodes
from .values import constant_tensor, is_op, sizes

if TYPE_CHECKING:
    import onnx

#: bytes of a weight above which its content is not shown to the inference
LARGE = 1024
#: models above this many nodes are surveyed with the shapes they bring along
SURVEY_INFERS = 3000

Declared = dict[ir.Value, tuple[ir.TypeProtocol | None, ir.Shape | None]]


def infer_shapes(model: ir.Model, *, outputs: bool = False) -> None:
    """Fill in types and shapes of the values inside a model, with ONNX's own inference.

    Large weights are not read. A model that inference does not understand stays as it is. Inputs and
    outputs of the graphs keep the type and shape that they declare.

    Parameters
    ----------
    outputs
        Whether dimensions that the main graph's outputs leave open are fixed where they are known.
    """
    import onnx

    edges = {value for graph in all_graphs(model) for value in (*graph.inputs, *graph.outputs)}
    try:
        inferred = onnx.shape_inference.infer_shapes(ir.to_proto(without_weights(model)), data_prop=True)
    except Exception:
        return
    for mine, theirs in zip(all_graphs(model), _proto_graphs(inferred.graph), strict=True):
        found = {info.name: info.type for info in theirs.value_info}
        for node in mine:
            for value in node.outputs:
                known = found.get(value.name or "")
                if known is not None and (value not in edges or value.type is None):
                    _set_type(value, known)
    if outputs:
        for value, info in zip(model.graph.outputs, inferred.graph.output, strict=True):
            _fix_dims(value, info.type)


def _proto_graphs(main: onnx.GraphProto) -> list[onnx.GraphProto]:
    """List graphs in the order of `all_graphs`."""
    graphs = [main]
    for graph in graphs:
        for node in graph.node:
            for attribute in node.attribute:
                graphs.extend([attribute.g] if attribute.HasField("g") else attribute.graphs)
    return graphs


def _set_type(value: ir.Value, proto: onnx.TypeProto) -> None:
    type_ = ir.serde.deserialize_type_proto_for_type(proto)
    shape = ir.serde.deserialize_type_proto_for_shape(proto)
    value.type = type_ if type_ is not None else value.type
    value.shape = shape if shape is not None else value.shape


def _fix_dims(value: ir.Value, proto: onnx.TypeProto) -> None:
    found = ir.serde.deserialize_type_proto_for_shape(proto)
    if found is None or (value.shape is not None and len(value.shape) != len(found)):
        return
    declared = list(value.shape) if value.shape is not None else list(found)
    dims = [
        theirs if isinstance(theirs, int) and (not isinstance(mine, int) or mine < 0) else mine
        for mine, theirs in zip(declared, found, strict=True)
    ]
    value.shape = ir.Shape(dims)


def without_weights(model: ir.Model) -> ir.Model:
    """Give a copy in which large weights of the main graph are inputs: only their shapes are left."""
    copy = model.clone()
    graph = copy.graph
    for name, value in list(graph.initializers.items()):
        tensor = value.const_value
        if tensor is None or tensor.nbytes > LARGE or isinstance(tensor, ir.LazyTensor):
            graph.initializers.pop(name)
            if not value.is_graph_input():
                graph.inputs.append(value)
    for node in list(graph):
        tensor = constant_tensor(node) if is_op(node, "Constant") else None
        old = node.outputs[0]
        if tensor is None or tensor.nbytes <= LARGE or old.is_graph_output():
            continue
        new = ir.Value(name=old.name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(sizes(tensor)))
        old.replace_all_uses_with(new)
        graph.remove(node, safe=True)
        graph.inputs.append(new)
    return copy


def for_survey(model: ir.Model) -> ir.Model:
    """Give a copy of a model to try a pass on; shapes are inferred where it has none and is not too large."""
    copy = model.clone()
    nodes = all_nodes(copy)
    if len(nodes) <= SURVEY_INFERS and any(value.type is None for node in nodes for value in node.outputs):
        infer_shapes(copy)
    return copy


def inner_types(model: ir.Model) -> Declared:
    """Give the type and shape that every value made by a node has now."""
    return {value: (value.type, value.shape) for node in all_nodes(model) for value in node.outputs}


def restore_types(declared: Declared) -> None:
    """Put types and shapes back; a shape that was unknown stays as it was found."""
    for value, (type_, shape) in declared.items():
        value.type = type_
        value.shape = shape

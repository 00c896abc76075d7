"""Making a model's layers ready to be fitted: batch normalization inside them, a bias on each."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from studio.api import NodeChange, Scope, named_nodes

FOLDED = "folded into {}"


def fold_batchnorms(model: ir.Model, scope: Scope) -> list[NodeChange]:
    """Fold each BatchNormalization that stands right after a convolution into it, in place; exact.

    Least squares then fits the convolution to what the normalization gave.
    """
    changes = []
    names = {node: name for name, node in named_nodes(model)}
    for node in list(model.graph):
        found = _parts(node)
        if found is None:
            continue
        conv, vectors = found
        if not scope.selects(names[conv], conv.op_type):
            continue
        _fold(model, node, conv, vectors)
        changes.append(
            NodeChange(
                node=names[node], operator="BatchNormalization", change="removed", detail=FOLDED.format(names[conv])
            )
        )
    return changes


def _parts(node: ir.Node) -> tuple[ir.Node, list[Any]] | None:
    """Give the convolution before a normalization and the normalization's four vectors."""
    if node.op_type != "BatchNormalization" or node.domain or len(node.inputs) != 5 or len(node.outputs) > 1:
        return None
    if "training_mode" in node.attributes and node.attributes["training_mode"].as_int():
        return None
    conv = node.inputs[0].producer() if node.inputs[0] is not None else None
    if conv is None or conv.op_type != "Conv" or conv.domain or conv.graph is not node.graph:
        return None
    if len(conv.outputs[0].uses()) != 1 or conv.outputs[0].is_graph_output():
        return None
    values = [*node.inputs[1:], *conv.inputs[1:]]
    if any(
        value is not None and (value.const_value is None or value.producer() or value.is_graph_input())
        for value in values
    ):
        return None
    weight = conv.inputs[1]
    if weight is None or len(weight.uses()) != 1 or weight.is_graph_output():
        return None
    if weight.const_value is None or weight.const_value.dtype.name not in ("FLOAT", "DOUBLE"):
        return None
    return conv, [value.const_value.numpy().astype(np.float64) for value in node.inputs[1:]]  # type: ignore[union-attr]


def _fold(model: ir.Model, node: ir.Node, conv: ir.Node, vectors: list[Any]) -> None:
    scale, shift, mean, variance = vectors
    epsilon = node.attributes["epsilon"].as_float() if "epsilon" in node.attributes else 1e-5
    factor = scale / np.sqrt(variance + epsilon)
    weight = conv.inputs[1]
    assert weight is not None and weight.const_value is not None
    array = weight.const_value.numpy()
    dtype = array.dtype
    bias: Any = 0.0
    if len(conv.inputs) > 2 and conv.inputs[2] is not None and conv.inputs[2].const_value is not None:
        bias = conv.inputs[2].const_value.numpy().astype(np.float64)
    scaled = array.astype(np.float64) * factor.reshape(-1, *(1,) * (array.ndim - 1))
    weight.const_value = ir.Tensor(scaled.astype(dtype), name=weight.name)
    set_bias(model, conv, (shift + (bias - mean) * factor).astype(dtype))
    result, out = conv.outputs[0], node.outputs[0]
    if out.is_graph_output():
        model.graph.outputs[list(model.graph.outputs).index(out)] = result
    out.replace_all_uses_with(result)
    unused = [value for value in node.inputs[1:] if value is not None and len(value.uses()) == 1]
    model.graph.remove(node, safe=True)
    for value in unused:
        if not value.is_graph_output():
            model.graph.initializers.pop(str(value.name), None)
    name, result.name = out.name, out.name
    out.name = f"{name}:folded"


def set_bias(model: ir.Model, node: ir.Node, bias: Any) -> str:
    """Give a Conv or Gemm a bias of its own; returns its name."""
    taken = set(model.graph.initializers) | {str(value.name) for other in model.graph for value in other.outputs}
    stem = f"{node.inputs[1].name}_bias" if node.inputs[1] is not None else "bias"
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    value = ir.Value(
        name=name,
        const_value=ir.Tensor(np.ascontiguousarray(bias), name=name),
        shape=ir.Shape(bias.shape),
        type=ir.TensorType(ir.DataType.from_numpy(bias.dtype)),
    )
    model.graph.register_initializer(value)
    if len(node.inputs) < 3:
        node.resize_inputs(3)
    old = node.inputs[2]
    node.replace_input_with(2, value)
    if old is not None and not old.uses() and not old.is_graph_output() and not old.is_graph_input():
        model.graph.initializers.pop(str(old.name), None)
    return name

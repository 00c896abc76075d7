"""Sums before a normalization or a Gelu, as operators of ONNX Runtime's own, which OpenVINO reads too."""

from __future__ import annotations

import onnx_ir as ir

from .fuse_conv import same_shape
from .patterns import made_by, replace
from .values import graph_of, integer, is_op, rank_of, static_shape
from .workspace import MICROSOFT, Workspace

#: place of the sum among the outputs of SkipLayerNormalization
SUM = 3


def fuse_skip_layer_norm(space: Workspace, node: ir.Node) -> bool:
    """Merge the Add of a residual and the LayerNormalization after it; others may read the sum too."""
    value = node.inputs[0] if is_op(node, "LayerNormalization") else None
    add = value.producer() if value is not None else None
    if value is None or add is None or not _normalizes_sum(space, node, add):
        return False
    first, second = add.inputs
    if first is None or second is None or first is second or not same_shape(first, second):
        return False
    used = [output for output in value.uses() if output.node is not node]
    outputs = SUM + 1 if used or value.is_graph_output() else 1
    new = ir.Node(
        MICROSOFT,
        "SkipLayerNormalization",
        [first, second, *node.inputs[1:]],
        [ir.AttrFloat32("epsilon", node.attributes.get_float("epsilon", 1e-5))],
        num_outputs=outputs,
        name=node.name,
    )
    for empty in new.outputs[1:SUM]:
        empty.name = ""
    _put(space, new, node, add)
    return True


def _normalizes_sum(space: Workspace, node: ir.Node, add: ir.Node) -> bool:
    scale = [space.tensor(value) for value in node.inputs[1:]]
    alone = not any(value.uses() or value.is_graph_output() for value in node.outputs[1:])
    rank = rank_of(node.inputs[0])
    last = integer(node, "axis", -1) in (-1, (rank or 0) - 1)
    same = add.graph is node.graph and is_op(add, "Add") and space.selects(node, add)
    floats = node.outputs[0].dtype == ir.DataType.FLOAT
    return same and alone and last and rank == 3 and floats and None not in scale


def _put(space: Workspace, new: ir.Node, node: ir.Node, add: ir.Node) -> None:
    """Put the merged node where the Add stood, before all that read the sum."""
    graph_of(add).insert_before(add, new)
    pairs = [(node.outputs[0], new.outputs[0])]
    if len(new.outputs) > SUM:
        pairs.append((add.outputs[0], new.outputs[SUM]))
    for old, made in pairs:
        made.name, made.type, made.shape = old.name, old.type, old.shape
    node.replace_input_with(0, None)
    for old, made in pairs:
        old.replace_all_uses_with(made, replace_graph_outputs=True)
    graph_of(node).remove(node, safe=True)
    space.rewritten(new, f"stands for {add.name} and {node.name}")
    space.remove(add, f"merged into {new.name}")


def fuse_bias_gelu(space: Workspace, node: ir.Node) -> bool:
    """Merge the Add of a bias and the exact Gelu after it."""
    standard = is_op(node, "Gelu") and node.attributes.get_string("approximate", "none") == "none"
    if not standard and (node.domain, node.op_type) != (MICROSOFT, "Gelu"):
        return False
    add = made_by(node.inputs[0], node, "Add")
    if add is None or not space.selects(add, node) or node.outputs[0].dtype != ir.DataType.FLOAT:
        return False
    for source, bias in ((0, 1), (1, 0)):
        value, vector = add.inputs[source], add.inputs[bias]
        tensor, shape = space.tensor(vector), value.shape if value is not None else None
        if tensor is None or shape is None or not len(shape) or static_shape(vector) != (shape[-1],):
            continue
        new = ir.Node(MICROSOFT, "BiasGelu", [value, vector], [])
        return replace(space, [add, node], new, f"stands for {add.name} and {node.name}")
    return False

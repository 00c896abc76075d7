"""Attention written out, its heads found in the graph."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from .patterns import made_by, number, replace
from .values import graph_of, integer, integers, is_op, only_reader, rank_of
from .workspace import MICROSOFT, Workspace

FIRST_OPSET = 23
HEADS_APART = [0, 2, 1, 3]
KEYS_TURNED = [0, 2, 3, 1]


@dataclass(frozen=True)
class _Match:
    """Softmax(scale * query @ key' + mask) @ value, of tensors (batch, heads, length, size of a head)."""

    query: ir.Value
    key: ir.Value
    value: ir.Value
    mask: ir.Value | None
    scale: float
    #: whether `key` has its heads behind its length
    apart: bool
    nodes: list[ir.Node]


def fuse_attention(space: Workspace, node: ir.Node, *, microsoft: bool = False) -> bool:
    """Merge ``Softmax(scale * Q K' + mask) V`` into Attention, or before operator set 23 into MultiHeadAttention.

    Where the heads are split off and joined around it, as ``(batch, length, heads * size)``, these steps go too.
    Vaswani et al. 2017, "Attention Is All You Need".
    """
    if not is_op(node, "MatMul") or not (microsoft or space.opset >= FIRST_OPSET):
        return False
    match = _match(space, node)
    if match is None or not space.selects(node, *match.nodes):
        return False
    whole = _with_heads(space, node, match, standard=space.opset >= FIRST_OPSET)
    return whole or (space.opset >= FIRST_OPSET and _by_heads(space, node, match))


def _match(space: Workspace, node: ir.Node) -> _Match | None:
    softmax = made_by(node.inputs[0], node, "Softmax")
    value = node.inputs[1]
    if softmax is None or value is None or node.outputs[0].dtype != ir.DataType.FLOAT:
        return None
    if rank_of(value) != 4 or integer(softmax, "axis", -1) not in (-1, 3) or space.opset < 13:
        return None
    add = made_by(softmax.inputs[0], softmax, "Add")
    for scores, other in ((0, 1), (1, 0)) if add is not None else ((0, None),):
        reader = add or softmax
        found = _scores(space, reader.inputs[scores], reader)
        if found is None:
            continue
        query, key, apart, scale, nodes = found
        mask = add.inputs[other] if add is not None and other is not None else None
        nodes = [*nodes, *([add] if add is not None else []), softmax]
        return _Match(query, key, value, mask, scale, apart, nodes)
    return None


def _scores(
    space: Workspace, value: ir.Value | None, reader: ir.Node
) -> tuple[ir.Value, ir.Value, bool, float, list[ir.Node]] | None:
    """Match ``scale * query @ key'``, where query and key may have been scaled before."""
    value, scale, nodes = _unscaled(space, value, reader)
    product = made_by(value, nodes[0] if nodes else reader, "MatMul")
    if product is None or rank_of(product.outputs[0]) != 4:
        return None
    query, of_query, query_nodes = _unscaled(space, product.inputs[0], product)
    turned, of_key, key_nodes = _unscaled(space, product.inputs[1], product)
    transpose = made_by(turned, key_nodes[0] if key_nodes else product, "Transpose")
    perm = integers(transpose, "perm") if transpose is not None else None
    key = transpose.inputs[0] if transpose is not None else None
    scale *= of_query * of_key
    if query is None or key is None or transpose is None or not math.isfinite(scale) or scale <= 0:
        return None
    if perm not in ([0, 1, 3, 2], KEYS_TURNED):
        return None
    return query, key, perm == KEYS_TURNED, scale, [*query_nodes, transpose, *key_nodes, product, *nodes]


def _unscaled(
    space: Workspace, value: ir.Value | None, reader: ir.Node
) -> tuple[ir.Value | None, float, list[ir.Node]]:
    """Walk back over products with numbers; the nodes in order."""
    scale, nodes = 1.0, list[ir.Node]()
    while (node := made_by(value, nodes[0] if nodes else reader, "Mul", "Div")) is not None:
        places = ((0, 1), (1, 0)) if is_op(node, "Mul") else ((0, 1),)
        known = [(index, number(space, node.inputs[other], node.inputs[index])) for index, other in places]
        index, factor = next(((index, found) for index, found in known if found), (0, None))
        if factor is None:
            break
        scale = scale * factor if is_op(node, "Mul") else scale / factor
        nodes.insert(0, node)
        value = node.inputs[index]
    return value, scale, nodes


def _with_heads(space: Workspace, node: ir.Node, match: _Match, *, standard: bool) -> bool:
    """Merge the splitting and joining of heads too, where that is how the tensors were made."""
    join = only_reader(node.outputs[0])
    if join is None or not is_op(join, "Transpose") or integers(join, "perm") != HEADS_APART:
        return False
    flat = only_reader(join.outputs[0])
    tokens = [_tokens(match.query), _tokens(match.key, behind=match.apart), _tokens(match.value)]
    if flat is None or not is_op(flat, "Reshape") or not space.selects(join, flat) or flat.inputs[0] is None:
        return False
    sources = [found[0] for found in tokens if found is not None]
    heads = {found[1] for found in tokens if found is not None}
    if len(sources) != 3 or len(heads) != 1 or not _joins(flat, node.outputs[0]):
        return False
    count = heads.pop()
    mask = _mask(space, node, match)
    if match.mask is not None and mask is None:
        return False
    scale = ir.AttrFloat32("scale", match.scale)
    if standard:
        inputs: list[ir.Value | None] = [*sources, *([mask] if mask is not None else [])]
        attributes = [ir.AttrInt64("q_num_heads", count), ir.AttrInt64("kv_num_heads", count), scale]
        new = ir.Node("", "Attention", inputs, attributes)
    else:
        inputs = [*sources, *([None, None, mask] if mask is not None else [])]
        new = ir.Node(MICROSOFT, "MultiHeadAttention", inputs, [ir.AttrInt64("num_heads", count), scale])
    before = [value.producer() for value in (match.query, match.key, match.value)]
    done = replace(space, [*match.nodes, node, join, flat], new, f"stands for attention of {count} heads")
    _sweep(space, before, str(new.name))
    return done


def _sweep(space: Workspace, nodes: list[ir.Node | None], name: str) -> None:
    """Take out what split heads off, where nothing reads it any more."""
    for node in nodes:
        while node is not None and node.graph is not None and is_op(node, "Transpose", "Reshape"):
            if any(value.uses() or value.is_graph_output() for value in node.outputs):
                break
            source = node.inputs[0]
            space.remove(node, f"merged into {name}")
            node = source.producer() if source is not None else None


def _tokens(value: ir.Value, *, behind: bool = False) -> tuple[ir.Value, int] | None:
    """Give the tensor (batch, length, heads * size) that heads were split off, and their number."""
    node = value.producer()
    if not behind:
        if node is None or not is_op(node, "Transpose") or integers(node, "perm") != HEADS_APART:
            return None
        node = node.inputs[0].producer() if node.inputs[0] is not None else None
    source = node.inputs[0] if node is not None and is_op(node, "Reshape") else None
    if node is None or source is None or source.shape is None or node.outputs[0].shape is None:
        return None
    before, after = list(source.shape), list(node.outputs[0].shape)
    if len(before) != 3 or len(after) != 4:
        return None
    heads, size, width = after[2], after[3], before[2]
    if not isinstance(heads, int) or not isinstance(size, int) or width != heads * size:
        return None
    return (source, heads) if _same_rows(before[:2], after[:2]) else None


def _same_rows(before: list[int | ir.SymbolicDim], after: list[int | ir.SymbolicDim]) -> bool:
    """Say whether batch and length are the same: when one is, the number of elements makes the other so."""
    return any(one == other and (isinstance(one, int) or one.value) for one, other in zip(before, after, strict=True))


def _joins(flat: ir.Node, context: ir.Value) -> bool:
    """Say whether a Reshape joins heads again: (batch, length, heads, size) to (batch, length, heads * size)."""
    shape, heads = flat.outputs[0].shape, context.shape
    if shape is None or heads is None or len(shape) != 3 or len(heads) != 4:
        return False
    count, size, width = heads[1], heads[3], shape[2]
    if not isinstance(count, int) or not isinstance(size, int) or width != count * size:
        return False
    return _same_rows([heads[0], heads[2]], list(shape[:2]))


def _mask(space: Workspace, node: ir.Node, match: _Match) -> ir.Value | None:
    """Give the mask with a row for each query, which engines ask for; None where its shape is not known."""
    mask = match.mask
    scores = match.nodes[-1].outputs[0].shape
    if mask is None or mask.shape is None or scores is None or len(mask.shape) != 4 or len(scores) != 4:
        return None
    if mask.dtype != ir.DataType.FLOAT or mask.shape[3] != scores[3] or not isinstance(mask.shape[3], int):
        return None
    if mask.shape[2] == scores[2] and isinstance(scores[2], int):
        return mask
    if mask.shape[2] != 1 or not isinstance(scores[2], int):
        return None
    expand = _shared_expand(mask, scores[2])
    if expand is not None:
        return expand
    rows = space.initializer(graph_of(node), f"{mask.name}_rows", ir.tensor(np.asarray([1, 1, scores[2], 1])))
    name = space.fresh(f"{mask.name}_expanded")
    made = ir.node("Expand", [mask, rows], name=name)
    made.outputs[0].name, made.outputs[0].type = name, mask.type
    made.outputs[0].shape = ir.Shape([mask.shape[0], mask.shape[1], scores[2], mask.shape[3]])
    producer = mask.producer()
    if producer is not None and producer.graph is node.graph:
        graph_of(producer).insert_after(producer, made)
    else:
        graph_of(node).insert_before(match.nodes[0], made)
    space.rewritten(made, "gives the mask a row for each query")
    return made.outputs[0]


def _shared_expand(mask: ir.Value, rows: int) -> ir.Value | None:
    """Find the Expand that an attention before this one made of the mask."""
    for use in mask.uses():
        made = use.node.outputs[0]
        if is_op(use.node, "Expand") and made.shape is not None and len(made.shape) == 4 and made.shape[2] == rows:
            return made
    return None


def _by_heads(space: Workspace, node: ir.Node, match: _Match) -> bool:
    """Merge into Attention of tensors that have their heads apart already."""
    mask = _mask(space, node, match)
    heads = [value.shape[1] if value.shape is not None else None for value in (match.query, match.value)]
    if (match.mask is not None and mask is None) or match.apart or not isinstance(heads[0], int):
        return False
    if heads[0] != heads[1] or rank_of(match.query) != 4 or rank_of(match.key) != 4:
        return False
    inputs = [match.query, match.key, match.value, *([mask] if mask is not None else [])]
    new = ir.Node("", "Attention", inputs, [ir.AttrFloat32("scale", match.scale)])
    return replace(space, [*match.nodes, node], new, f"stands for attention of {heads[0]} heads")

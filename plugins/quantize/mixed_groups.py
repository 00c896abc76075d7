"""Which layers must have the same precision, since engines compute them together or share their weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .graph import constant, node_names

if TYPE_CHECKING:
    import onnx_ir as ir

#: operators between a layer and an addition that engines fuse with them
_BETWEEN = frozenset({"Relu", "Clip", "BatchNormalization", "Identity"})


def bound_together(model: ir.Model, layers: Sequence[str]) -> list[tuple[str, ...]]:
    """List sets of layers that must have one precision.

    Layers whose results meet in one Add (engines fuse Conv, Add and Relu, and can do so in 8 bits only
    when both sides are), MatMuls that read the same tensor (fused into one, as query, key and value),
    and layers that share a weight.
    """
    names = {node: name for node, name in node_names(model.graph).items() if name in set(layers)}
    found = [*_meeting(model, names), *_sharing(names)]
    return [tuple(dict.fromkeys(group)) for group in found if len(set(group)) > 1]


def _meeting(model: ir.Model, names: dict[ir.Node, str]) -> Iterator[list[str]]:
    for node in model.graph:
        if node.op_type in ("Add", "Sum"):
            yield [names[layer] for value in node.inputs if (layer := _layer(value, names)) is not None]


def _layer(value: ir.Value | None, names: dict[ir.Node, str]) -> ir.Node | None:
    """Give the layer that makes an operand, where nothing else reads what it makes."""
    while value is not None and len(value.uses()) == 1:
        node = value.producer()
        if node is None:
            return None
        if node in names:
            return node
        if node.op_type not in _BETWEEN:
            return None
        value = node.inputs[0]
    return None


def _sharing(names: dict[ir.Node, str]) -> Iterator[list[str]]:
    readers: dict[int, list[str]] = defaultdict(list)
    for node, name in names.items():
        for index, value in enumerate(node.inputs):
            if value is None:
                continue
            if (constant(value) is not None and index == 1) or (node.op_type == "MatMul" and constant(value) is None):
                readers[id(value)].append(name)
    yield from readers.values()

"""How large a model's file becomes when some of its weights are stored in fewer bits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from studio.api import Range

from .graph import text_bytes, weight_bytes
from .selection import Selection

if TYPE_CHECKING:
    import onnx_ir as ir


def int8_size(model: ir.Model, selection: Selection, *, per_channel: bool, nodes_each: int) -> Range:
    """Expect the size of a model whose selected weights become 8-bit.

    Parameters
    ----------
    model
        The float model.
    selection
        The nodes whose weights change.
    per_channel
        Whether each output channel gets a scale (4 bytes) and a zero point (1 byte) of its own.
    nodes_each
        About how many nodes are inserted for each selected node.
    """
    weights = selection.weights()
    before = weight_bytes(model) + text_bytes(model.graph)
    saved = sum(tensor.nbytes - tensor.size for tensor in weights.values())
    scales = sum(5 * (max(tensor.numpy().shape) if per_channel else 1) for tensor in weights.values())
    added = len(selection.nodes) * nodes_each * (200 + 6 * _name_length(model.graph))
    return _range(before, before - saved, scales + added, weights.values())


def half_size(model: ir.Model, weights: dict[str, ir.TensorProtocol], casts: int) -> Range:
    """Expect the size of a model whose given float32 weights become float16."""
    before = weight_bytes(model) + text_bytes(model.graph)
    saved = sum(tensor.nbytes // 2 for tensor in weights.values())
    added = casts * (200 + 6 * _name_length(model.graph)) + text_bytes(model.graph)
    text = text_bytes(model.graph) // 2
    return _range(before, before - saved - text, added + text, weights.values())


def _range(before: int, least: int, added: int, weights: Iterable[ir.TensorProtocol]) -> Range:
    touched = sum(tensor.nbytes for tensor in weights)
    low, high = least / max(1, before), (least + added) / max(1, before)
    return Range(
        low=round(low, 3), high=round(high, 3), reason=f"{touched:,} of {before:,} bytes are weights that it converts"
    )


def _name_length(graph: ir.Graph) -> int:
    names = [len(value.name or "") for node in graph for value in node.outputs]
    return sum(names) // max(1, len(names))

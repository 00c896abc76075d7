"""How large the ids that a model looks up in tables may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

#: operators that pass ids on unchanged
_PASS_ON = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Expand", "Slice"})


def id_bounds(model: ir.Model) -> dict[str, int]:
    """Find the inputs that index tables.

    Parameters
    ----------
    model
        Is not modified; weights are not read.

    Returns
    -------
    dict
        Name of an input to the number of rows of the smallest table (an initializer) that a Gather
        looks up with it; only inputs that do.
    """
    found = {}
    for value in model.graph.inputs:
        rows = _rows(value, set())
        if value.name and rows:
            found[value.name] = min(rows)
    return found


def _rows(value: ir.Value, seen: set[int]) -> list[int]:
    if id(value) in seen:
        return []
    seen.add(id(value))
    rows: list[int] = []
    for node, index in value.uses():
        if node.op_type == "Gather" and index == 1:
            rows += _table(node)
        elif node.op_type in _PASS_ON and index == 0:
            rows += _rows(node.outputs[0], seen)
    return rows


def _table(gather: ir.Node) -> list[int]:
    table = gather.inputs[0]
    axis = gather.attributes.get_int("axis", 0)
    if table is None or table.const_value is None:
        return []
    shape = table.const_value.shape.numpy()
    return [shape[axis]] if shape[axis] > 0 else []

"""Another layout at the inputs and outputs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import onnx_ir as ir

from studio.api import METADATA, InterfaceChange, parse_changes

from .interface import describe, ordered, record, turn
from .values import set_input
from .workspace import Workspace

#: axes in the order of the other layout
ORDERS: dict[str, tuple[int, ...]] = {"nhwc": (0, 2, 3, 1), "nchw": (0, 3, 1, 2)}
COLOURS = (1, 3, 4)


def turn_edges(space: Workspace, inputs: str, outputs: str) -> list[str]:
    """Give pictures at the inputs and outputs of four axes another layout; names what was turned.

    An input has the layout that its channels tell, one of 1, 3 or 4; where they do not tell, and for outputs,
    the layout is taken to be the opposite of the one that is asked for, unless the model records another.
    """
    turned = []
    if inputs != "keep":
        for value in list(space.model.graph.inputs):
            if value.name not in space.model.graph.initializers and _takes(value) and _layout(value) != inputs:
                _turn_input(space, value, ORDERS[inputs])
                turned.append(f"input {value.name} in {inputs.upper()}")
    if outputs != "keep":
        for index, value in enumerate(list(space.model.graph.outputs)):
            known = _recorded(space, value)
            if _takes(value) and value.producer() is not None and known != outputs:
                _turn_output(space, index, value, ORDERS[outputs])
                turned.append(f"output {value.name} in {outputs.upper()}")
    return turned


def _takes(value: ir.Value) -> bool:
    return value.shape is not None and len(value.shape) == 4 and value.dtype is not None


def _layout(value: ir.Value) -> str:
    """Tell the layout of a picture from its channels; empty where they do not tell."""
    shape = list(value.shape or ())
    first, last = shape[1] in COLOURS, shape[3] in COLOURS
    return "" if first == last else "nchw" if first else "nhwc"


def _recorded(space: Workspace, value: ir.Value) -> str:
    """Give the layout that an earlier step gave an output."""
    changes = parse_changes(space.model.metadata_props.get(METADATA, ""))
    orders = [change.order for change in changes if change.kind == "output" and change.name == value.name]
    return next((name for name, order in ORDERS.items() if orders and order == orders[-1]), "")


def _turn_input(space: Workspace, value: ir.Value, order: Sequence[int]) -> None:
    before = describe(value)
    change = _change("input", value, order)
    readers = [(use.node, use.idx) for use in value.uses()]
    node = _transpose(space, value, [int(axis) for axis in np.argsort(order)])
    made = node.outputs[0]
    made.shape, made.type = ir.Shape(before.shape or ()), value.type
    for reader, index in readers:
        set_input(reader, index, made)
    first = next(iter(space.model.graph), None)
    if first is None:
        space.model.graph.append(node)
    else:
        space.model.graph.insert_before(first, node)
    turn(value, change.after)
    record(space.model, change)


def _turn_output(space: Workspace, index: int, value: ir.Value, order: Sequence[int]) -> None:
    change = _change("output", value, order)
    name = str(value.name)
    value.name = space.fresh(f"{name}_inner")
    node = _transpose(space, value, list(order))
    made = node.outputs[0]
    made.name, made.type = name, value.type
    turn(made, change.after)
    space.model.graph.outputs[index] = made
    space.model.graph.append(node)
    record(space.model, change)


def _change(kind: Literal["input", "output"], value: ir.Value, order: Sequence[int]) -> InterfaceChange:
    before = describe(value)
    return InterfaceChange(
        kind=kind, before=before, after=ordered(before, order), order=tuple(order), channel_axis=order[-1]
    )


def _transpose(space: Workspace, value: ir.Value, perm: list[int]) -> ir.Node:
    name = space.fresh(f"{value.name}_layout")
    node = ir.node("Transpose", [value], {"perm": perm}, name=name)
    node.outputs[0].name = name
    space.rewritten(node, "changes the layout")
    return node

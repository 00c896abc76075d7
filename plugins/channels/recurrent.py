"""Recurrent layers as matrices: what they multiply their input with, and what their own states."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from studio.api import Linear, Scope, Weight, named_nodes

from .group import Group, Port
from .network import Line
from .sites import Layer

OPERATORS = ("LSTM", "GRU", "RNN")
RECURRENT = "{} (recurrent)"


def recurrent_layers(line: Line, scope: Scope) -> Iterator[Layer]:
    """List the input and recurrent matrices of recurrent layers.

    The states of both directions are taken as rows alike.
    """
    places = {id(node): place for place, node in enumerate(line.nodes)}
    for name, node in named_nodes(line.model):
        if node.op_type not in OPERATORS or node.domain or id(node) not in places or not node.outputs[0].name:
            continue
        if not scope.selects(name, node.op_type):
            continue
        for index, label, tensor in ((1, name, node.inputs[0]), (2, RECURRENT.format(name), node.outputs[0])):
            holder = node.inputs[index]
            if holder is None or tensor is None or len(holder.uses()) != 1 or holder.is_graph_input():
                continue
            constant = line.constants.get(str(holder.name))
            if constant is None or constant.dtype.name not in ("FLOAT", "FLOAT16", "DOUBLE"):
                continue
            shape = tuple(int(str(size)) for size in constant.shape)
            linear = Linear(node.op_type, shape, 1, math.prod(shape[:-1]), shape[-1], -1, False)
            weight = Weight(node, name, index, holder, constant, False)
            output = str(node.outputs[0].name)
            yield Layer(label, weight, linear, str(tensor.name), output, "", places[id(node)])


def with_recurrence(group: Group, layers: Sequence[Layer]) -> Group:
    """Add to a group of states the matrices that the states are multiplied with from step to step."""
    makers = {port.node for port in group.makers}
    own = []
    for layer in layers:
        node = layer.weight.name
        if group.kind == "states" and layer.name == RECURRENT.format(node) and node in makers:
            own.append(Port(layer.name, layer.input, np.arange(group.size, dtype=np.intp)))
    return replace(group, makers=(*group.makers, *own), readers=(*group.readers, *own))

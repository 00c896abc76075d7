"""The layers that are fitted: where they stand, what they take, and what they should give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from studio.api import Linear, Scope, Weight, find_weights

from .network import Line, Network
from .prepare import set_bias

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """A layer that can be fitted.

    Attributes
    ----------
    name
        Of its node.
    input, output
        Tensors; the output has the bias in it.
    bias
        The constant that holds its bias; empty when it has none that could be changed.
    total, skip
        Where the output is added to a tensor that is known by then: the sum and that tensor, so that the layer can
        make up for what the other lacks; empty else.
    place
        Position in the line.
    """

    name: str
    weight: Weight
    linear: Linear
    input: str
    output: str
    bias: str
    place: int
    total: str = ""
    skip: str = ""

    @property
    def fits(self) -> bool:
        """Say whether its outputs are rows that it can be fitted to."""
        return self.linear.operator in ("Conv", "Gemm", "MatMul") and not self.linear.left

    def matrix(self, network: Network) -> Matrix:
        """Give its weight as ``(groups, outputs, inputs)``."""
        return self.linear.matrix(self._array(network, str(self.weight.holder.name)))

    def bias_of(self, network: Network) -> Matrix:
        """Give its bias as ``(groups, outputs)``; zeros when it has none."""
        if not self.bias:
            return np.zeros((self.linear.groups, self.linear.outputs))
        array = self._array(network, self.bias).astype(np.float64)
        return np.broadcast_to(array.reshape(-1), (self.linear.groups * self.linear.outputs,)).reshape(
            self.linear.groups, -1
        )

    def changed(self, network: Network, matrix: Matrix, bias: Matrix | None) -> dict[str, NDArray[Any]]:
        """Give the constants that make it this matrix and bias."""
        name = str(self.weight.holder.name)
        found = {name: self.linear.stored(matrix).astype(self._array(network, name).dtype)}
        if self.bias and bias is not None:
            old = self._array(network, self.bias)
            shape = old.shape if old.size == bias.size else (bias.size,)
            found[self.bias] = bias.reshape(shape).astype(old.dtype)
        return found

    def _array(self, network: Network, name: str) -> NDArray[Any]:
        if name in network.changed:
            return network.changed[name]
        return network.line.constants[name].numpy()


def add_biases(model: ir.Model, scope: Scope) -> None:
    """Give every Conv that may be fitted a bias; least squares needs one to meet the mean."""
    weights, _ = find_weights(model, scope, operators=("Conv",))
    for weight in weights:
        node = weight.node
        if (len(node.inputs) < 3 or node.inputs[2] is None) and not weight.inner:
            set_bias(model, node, np.zeros(weight.shape[0], dtype=weight.tensor.dtype.numpy()))


def find_layers(line: Line, scope: Scope) -> list[Layer]:
    """List the layers of a line that may be fitted, in order."""
    weights, _ = find_weights(line.model, scope)
    places = {id(node): place for place, node in enumerate(line.nodes)}
    found = []
    for weight in weights:
        linear = Linear.of(weight)
        if linear is None or weight.inner or weight.other is None or id(weight.node) not in places:
            continue
        if not _plain(weight.node):
            continue
        found.append(_layer(line, weight, linear, places[id(weight.node)]))
    return sorted(found, key=lambda layer: layer.place)


def _plain(node: ir.Node) -> bool:
    return not any(name in node.attributes and node.attributes[name].as_float() != 1 for name in ("alpha", "beta"))


def _layer(line: Line, weight: Weight, linear: Linear, place: int) -> Layer:
    assert weight.other is not None
    output, bias = str(weight.node.outputs[0].name), ""
    if weight.node.op_type in ("Conv", "ConvTranspose", "Gemm"):
        value = weight.node.inputs[2] if len(weight.node.inputs) > 2 else None
        if value is not None and _own(line, value, linear):
            bias = str(value.name)
    elif not linear.left:
        added = _only_reader(line, output, "Add")
        if added is not None:
            other = next((value for value in added.inputs if value is not None and value.name != output), None)
            if other is not None and _own(line, other, linear) and _last_axis(line, str(other.name)):
                output, bias = str(added.outputs[0].name), str(other.name)
    total, skip = _sum(line, output)
    return Layer(weight.name, weight, linear, str(weight.other.name), output, bias, place, total, skip)


def _own(line: Line, value: ir.Value, linear: Linear) -> bool:
    """Say whether a value is a bias of one layer alone, one number for each of its outputs."""
    tensor = line.constants.get(str(value.name))
    outputs = linear.outputs // (linear.window.cells if linear.operator == "ConvTranspose" and linear.window else 1)
    if tensor is None or value.is_graph_input() or value.is_graph_output() or len(value.uses()) != 1:
        return False
    return tensor.size == linear.groups * outputs


def _last_axis(line: Line, name: str) -> bool:
    sizes = [int(str(size)) for size in line.constants[name].shape]
    return not sizes or int(np.prod(sizes[:-1])) == 1


def _only_reader(line: Line, tensor: str, operator: str) -> ir.Node | None:
    readers = line.readers.get(tensor, [])
    if len(readers) != 1 or tensor in line.outputs:
        return None
    node = line.nodes[readers[0]]
    return node if node.op_type == operator and not node.domain else None


def _sum(line: Line, output: str) -> tuple[str, str]:
    """Find the sum that an output goes into, and its other operand where that is known earlier."""
    node = _only_reader(line, output, "Add")
    if node is None:
        return "", ""
    others = [str(value.name) for value in node.inputs if value is not None and value.name != output]
    if len(others) != 1 or others[0] in line.constants or line.depends(others[0], output):
        return "", ""
    if line.made.get(others[0], -1) > line.made.get(output, -1):
        return "", ""
    return str(node.outputs[0].name), others[0]


def waves(line: Line, layers: Sequence[Layer]) -> list[list[Layer]]:
    """Put layers together, in order, that do not depend on one another."""
    found: list[list[Layer]] = []
    depth: dict[str, int] = {}
    by_place: dict[int, list[Layer]] = {}
    for layer in layers:
        by_place.setdefault(layer.place, []).append(layer)
    wave_of: dict[str, int] = {}
    for place, node in enumerate(line.nodes):
        level = max((depth.get(name, 0) for name in line.reads[place]), default=0)
        own = by_place.get(place, [])
        level = max([level, *(depth.get(layer.skip, 0) for layer in own if layer.skip)])
        wave_of.update((layer.name, level) for layer in own)
        level += bool(own)
        for value in node.outputs:
            if value.name:
                depth[str(value.name)] = level
    for layer in layers:
        while len(found) <= wave_of[layer.name]:
            found.append([])
        found[wave_of[layer.name]].append(layer)
    return [wave for wave in found if wave]

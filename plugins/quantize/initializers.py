"""Weights: each selected node gets its own, as initializers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .graph import constant, float_constant
from .selection import GLUE, WEIGHT_INPUT, Selection, number, output_channels

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray


class Initializers:
    """Adds initializers to a main graph under names that are free."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._taken = {value.name for node in graph.all_nodes() for value in node.outputs}
        self._taken |= {value.name for value in graph.inputs} | set(graph.initializers)

    def add(self, name: str, array: NDArray[Any]) -> ir.Value:
        """Register an array; primes are added to the name until it is free."""
        import numpy as np
        import onnx_ir as ir

        while name in self._taken:
            name += "'"
        self._taken.add(name)
        tensor = ir.Tensor(np.ascontiguousarray(array).reshape(array.shape), name=name)
        value = ir.Value(name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor)
        self._graph.register_initializer(value)
        return value

    def rename(self, value: ir.Value) -> str:
        """Take a value's name away, so that an initializer can have it; gives the name."""
        name = str(value.name)
        value.name = f"{name}_replaced"
        self._taken.discard(name)
        return name


def lift_constants(graph: ir.Graph) -> None:
    """Turn Constant nodes that hold float32 into initializers of the same name."""
    initializers = Initializers(graph)
    for node in list(graph):
        value = node.outputs[0]
        tensor = float_constant(value) if node.op_type == "Constant" else None
        if tensor is not None and not value.is_graph_output():
            value.replace_all_uses_with(initializers.add(initializers.rename(value), tensor.numpy()))
            graph.remove(node, safe=True)


def part_outputs(graph: ir.Graph) -> None:
    """Let an Identity give each output that is an initializer: the converter would make such an output twice."""
    import onnx_ir as ir

    initializers = Initializers(graph)
    for index, value in enumerate(graph.outputs):
        tensor = value.const_value if value.is_initializer() and not value.is_graph_input() else None
        if tensor is None:
            continue
        name = str(value.name)
        held = initializers.add(f"{name}_held", tensor.numpy())
        for user, at in list(value.uses()):
            user.replace_input_with(at, held)
        del graph.initializers[name]
        given = ir.node("Identity", [held], name=f"{name}_given")
        given.outputs[0].name, given.outputs[0].type, given.outputs[0].shape = name, value.type, value.shape
        value.name = f"{name}_replaced"
        graph.append(given)
        graph.outputs[index] = given.outputs[0]


def own_constants(graph: ir.Graph, selection: Selection) -> None:
    """Give each selected node weights and bias of its own, as initializers that no other node reads.

    The quantizers replace a weight for all its readers; nodes out of the scope must keep theirs.
    """
    initializers = Initializers(graph)
    for node in selection.nodes:
        for index in _constant_inputs(node):
            value = node.inputs[index] if index < len(node.inputs) else None
            if value is not None and float_constant(value) is not None:
                node.replace_input_with(index, _own(initializers, node, index, value, selection))
                _drop_unused(graph, value)
        _forget_factors(node)


def add_biases(graph: ir.Graph, selection: Selection) -> None:
    """Give each selected Conv, ConvTranspose and Gemm that has no bias one of zeros, which can be corrected."""
    import numpy as np

    initializers = Initializers(graph)
    for node in selection.nodes:
        given = len(node.inputs) > 2 and node.inputs[2] is not None
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm") or given:
            continue
        zeros = initializers.add(f"{node.name}_bias", np.zeros(output_channels(node), np.float32))
        node.resize_inputs(3)
        node.replace_input_with(2, zeros)


def _constant_inputs(node: ir.Node) -> tuple[int, ...]:
    """Give the inputs of a node whose constants are quantized."""
    if node.op_type in WEIGHT_INPUT:
        return (WEIGHT_INPUT[node.op_type], 2)
    return tuple(range(len(node.inputs))) if node.op_type in GLUE else ()


def _own(initializers: Initializers, node: ir.Node, index: int, value: ir.Value, selection: Selection) -> ir.Value:
    tensor = constant(value)
    assert tensor is not None  # the caller looked
    row = node.op_type == "Gemm" and index == 2 and len(tensor.shape) == 2
    alike = all(user.op_type == node.op_type and at == index and user in selection.nodes for user, at in value.uses())
    shared = value.is_graph_output() or not alike or (index == 2 and len(value.uses()) > 1)
    factor = _factor(node, index)
    if value.is_initializer() and not shared and not row and factor == 1.0:
        return value
    array = tensor.numpy().reshape(output_channels(node)) if row else tensor.numpy()
    return initializers.add(f"{value.name}_{node.name}", array if factor == 1.0 else array * array.dtype.type(factor))


def _factor(node: ir.Node, index: int) -> float:
    """Give what a Gemm multiplies an input by: ONNX Runtime's QDQ quantizer loses beta, so it goes into the bias."""
    if node.op_type != "Gemm":
        return 1.0
    return number(node, "alpha" if index == 1 else "beta", 1.0)


def _forget_factors(node: ir.Node) -> None:
    """Set to 1 the factors of a Gemm that its constants have taken in."""
    import onnx_ir as ir

    for index, name in ((1, "alpha"), (2, "beta")):
        given = len(node.inputs) > index and float_constant(node.inputs[index]) is not None
        if node.op_type == "Gemm" and given and name in node.attributes:
            node.attributes.add(ir.AttrFloat32(name, 1.0))


def _drop_unused(graph: ir.Graph, value: ir.Value) -> None:
    """Remove a weight that nothing reads any more."""
    producer = value.producer()
    if value.uses() or value.is_graph_output():
        return
    if producer is not None:
        graph.remove(producer, safe=True)
    else:
        graph.initializers.pop(str(value.name), None)

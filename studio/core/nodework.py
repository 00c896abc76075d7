"""How much work the nodes of a model are: multiply-accumulates, and bytes that go in and out."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.core.modelinfo import with_fixed_dims
from studio.core.provenance import node_names

if TYPE_CHECKING:
    import onnx

#: operators that multiply and accumulate: the inputs that hold the activations and the weights
_OPERANDS = {
    "Conv": (0, 1),
    "ConvTranspose": (0, 1),
    "ConvInteger": (0, 1),
    "QLinearConv": (0, 3),
    "Gemm": (0, 1),
    "MatMul": (0, 1),
    "MatMulInteger": (0, 1),
    "QLinearMatMul": (0, 3),
}


@dataclass(frozen=True)
class NodeWork:
    """What one node does: `macs` multiply-accumulates; `reads` and `makes` name tensors."""

    macs: int
    reads: tuple[str, ...]
    makes: tuple[str, ...]


@dataclass(frozen=True)
class ModelWork:
    """The work of every node of the main graph, and the bytes of every tensor whose shape is known."""

    nodes: Mapping[str, NodeWork]
    bytes: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]
    #: tensor to the nodes that read it
    readers: Mapping[str, frozenset[str]]
    #: tensors that somebody besides the nodes needs: outputs of the model
    kept: frozenset[str]

    def macs(self, names: Collection[str]) -> int:
        """Count the multiply-accumulates of nodes together."""
        return sum(self.nodes[name].macs for name in names if name in self.nodes)

    def traffic(self, names: Collection[str]) -> int:
        """Count the bytes that nodes, executed as one kernel, must read and write at least.

        Tensors that only they themselves make and use stay inside the kernel.
        """
        inside = [self.nodes[name] for name in names if name in self.nodes]
        made = {tensor for work in inside for tensor in work.makes}
        read = {tensor for work in inside for tensor in work.reads}
        own = frozenset(names)
        outside = {tensor for tensor in made if self.readers.get(tensor, frozenset()) - own}
        needed = (read - made) | outside | (made & self.kept)
        return sum(self.bytes.get(tensor, 0) for tensor in needed)


def model_work(proto: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> ModelWork:
    """Work out what every node does for inputs of given shapes.

    Parameters
    ----------
    proto
        The model; the content of its weights is not looked at.
    shapes
        Shape of each input that is fed.
    """
    fixed, _ = with_fixed_dims(proto, input_dims(proto, shapes))
    known = _tensors(fixed)
    shapes_of = {tensor: shape for tensor, (shape, _) in known.items()}
    nodes = {}
    for name, node in zip(node_names(fixed.graph), fixed.graph.node, strict=True):
        nodes[name] = NodeWork(
            _macs(node, shapes_of),
            tuple(filter(None, node.input)),
            tuple(filter(None, node.output)),
        )
    sizes = {tensor: math.ceil(math.prod(shape) * bits / 8) for tensor, (shape, bits) in known.items()}
    readers: dict[str, set[str]] = {}
    for name, work in nodes.items():
        for tensor in work.reads:
            readers.setdefault(tensor, set()).add(name)
    return ModelWork(
        nodes,
        sizes,
        shapes_of,
        {tensor: frozenset(names) for tensor, names in readers.items()},
        frozenset(value.name for value in fixed.graph.output),
    )


def input_dims(proto: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Give the sizes of dynamic dimensions that inputs of these shapes mean, as `with_fixed_dims` names them."""
    sizes = {}
    for value in proto.graph.input:
        dims = value.type.tensor_type.shape.dim
        for axis, (dim, size) in enumerate(zip(dims, shapes.get(value.name, ()), strict=False)):
            sizes[dim.dim_param or f"{value.name}[{axis}]"] = size
    return sizes


def _tensors(proto: onnx.ModelProto) -> dict[str, tuple[tuple[int, ...], int]]:
    """Give shape and bits of an element for each tensor where both are known."""
    import onnx
    import onnx_ir as ir

    try:
        graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
    except Exception:  # inference is best effort: what it does not find stays unknown
        graph = proto.graph
    found = {item.name: (tuple(item.dims), item.data_type) for item in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            found[value.name] = (tuple(dim.dim_value for dim in dims), value.type.tensor_type.elem_type)
    known = {}
    for name, (shape, kind) in found.items():
        try:
            known[name] = (shape, int(ir.DataType(kind).bitwidth))
        except (ValueError, TypeError):  # strings have no fixed size
            continue
    return known


def _macs(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> int:
    places = _OPERANDS.get(node.op_type)
    if places is None or len(node.input) <= places[1]:
        return 0
    output, (first, weight) = shapes.get(node.output[0]), (shapes.get(node.input[place]) for place in places)
    if output is None or first is None or weight is None:
        return 0
    if node.op_type == "ConvTranspose":
        return math.prod(first) * math.prod(weight[1:])
    if node.op_type.endswith(("Conv", "ConvInteger")):
        return math.prod(output) * math.prod(weight[1:])
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    inner = first[0] if transposed and len(first) == 2 else first[-1] if first else 1
    return math.prod(output) * inner

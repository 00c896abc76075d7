"""What each node of a model costs: multiply-accumulates, bytes and elements."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.core.batching import has_batch_axis
from studio.core.errors import DataError
from studio.core.frozen import Frozen
from studio.core.machine.profile import Kind, Precision
from studio.core.modelinfo import dtype_name, model_inputs, node_macs, tensor_info, with_fixed_dims
from studio.core.synthetic import sample_shapes

if TYPE_CHECKING:
    import onnx

    Shapes = Mapping[str, tuple[int, ...] | None]

#: operators with multiply-accumulates, and what they are without quantization
_LINEAR = {
    "Conv": "Conv",
    "ConvTranspose": "ConvTranspose",
    "ConvInteger": "Conv",
    "QLinearConv": "Conv",
    "FusedConv": "Conv",
    "Gemm": "Gemm",
    "MatMul": "MatMul",
    "FusedMatMul": "MatMul",
    "MatMulInteger": "MatMul",
}
#: operators that engines do on the way: no data moves, or the layer before does them
_FREE = frozenset(
    [
        "Reshape",
        "Flatten",
        "Identity",
        "Constant",
        "Squeeze",
        "Unsqueeze",
        "Shape",
        "Cast",
        "QuantizeLinear",
        "DequantizeLinear",
        "Dropout",
        "ConstantOfShape",
        "Range",
        "Size",
        "DynamicQuantizeLinear",
    ]
)
#: what engines fuse into the layer that makes their input
_FUSED = frozenset(
    [
        "Relu",
        "Clip",
        "LeakyRelu",
        "PRelu",
        "Sigmoid",
        "HardSigmoid",
        "HardSwish",
        "Add",
        "Sub",
        "Mul",
        "Div",
        "BatchNormalization",
        "Pad",
    ]
)
#: what stays with the layer before it when that is quantized
_MERGED = frozenset({"Relu", "Clip"})
#: operators with exponentials, roots or reductions for each element
_HEAVY = frozenset(
    [
        "Softmax",
        "LogSoftmax",
        "LayerNormalization",
        "SkipLayerNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "Erf",
        "Gelu",
        "FastGelu",
        "BiasGelu",
        "Exp",
        "Log",
        "Sqrt",
        "Pow",
        "Tanh",
        "Sigmoid",
        "ReduceMean",
        "ReduceSum",
        "Attention",
    ]
)
#: rows up to which a matrix product reads its matrix and does little else
FEW_ROWS = 4


class LayerCost(Frozen):
    """A node of the main graph.

    Attributes
    ----------
    kind
        Its kind when it multiplies; ``"simple"`` or ``"heavy"`` for other work by the element, ``"free"``
        for what costs nothing of its own.
    weight_bytes
        Bytes of its weights as they are stored.
    inputs, outputs
        Elements of the activations that it reads and writes.
    precision
        What it computes in.
    feeds
        Names of the nodes that read its output, with what is free between them left out.
    """

    name: str
    operator: str
    kind: Kind | str
    macs: int = 0
    weight_bytes: int = 0
    weights: int = 0
    inputs: int = 0
    outputs: int = 0
    precision: Precision = "f32"
    feeds: tuple[str, ...] = ()


def layers_of(proto: onnx.ModelProto) -> tuple[LayerCost, ...]:
    """Describe the nodes of the main graph, dynamic dimensions taken as for generated inputs.

    Nodes whose shapes are not known cost nothing here. Those of subgraphs are left out.
    """
    from studio.core.provenance import node_names

    fixed, _ = with_fixed_dims(proto, _usual_dims(proto))
    values = _Values(fixed)
    names = node_names(fixed.graph)
    readers = _readers(fixed.graph, names)
    return tuple(values.layer(name, node, readers) for name, node in zip(names, fixed.graph.node, strict=True))


def _usual_dims(proto: onnx.ModelProto) -> dict[str, int]:
    inputs = model_inputs(proto)
    try:
        samples = sample_shapes(inputs)
    except DataError:
        return {}
    dims: dict[str, int] = {}
    for info in inputs:
        shape = samples[info.name]
        whole = (1, *shape) if has_batch_axis(inputs, info.name) else shape
        for axis, (size, chosen) in enumerate(zip(info.shape or (), whole, strict=False)):
            if not isinstance(size, int):
                dims[size if isinstance(size, str) else f"{info.name}[{axis}]"] = chosen
    return dims


@dataclass(frozen=True)
class _Tensor:
    shape: tuple[int, ...] | None
    dtype: str


class _Values:
    """Shapes and types of a graph's tensors, and which of them are weights."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        import onnx

        try:
            graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
        except Exception:  # inference is best effort: what it does not find costs nothing
            graph = proto.graph
        self.tensors = {item.name: _Tensor(tuple(item.dims), dtype_name(item.data_type)) for item in graph.initializer}
        self.weights = set(self.tensors)
        for value in (*graph.input, *graph.value_info, *graph.output):
            info = tensor_info(value)
            known = info.shape is not None and all(isinstance(size, int) for size in info.shape)
            sizes = tuple(size for size in info.shape or () if isinstance(size, int)) if known else None
            self.tensors.setdefault(value.name, _Tensor(sizes, info.dtype))
        self.shapes: Shapes = {name: tensor.shape for name, tensor in self.tensors.items()}
        self.makers = {name: node for node in graph.node for name in node.output if name}
        self._consumers = Counter(name for node in graph.node for name in node.input)

    def layer(self, name: str, node: onnx.NodeProto, readers: Mapping[str, tuple[str, ...]]) -> LayerCost:
        """Describe one node."""
        linear = _LINEAR.get(node.op_type)
        read = [given for given in node.input if given and not self.is_weight(given)]
        common = {
            "name": name,
            "operator": node.op_type,
            "inputs": sum(self.elements(given) for given in read),
            "outputs": sum(self.elements(made) for made in node.output if made),
            "feeds": readers[name],
        }
        if linear is None:
            return LayerCost(kind=self._plain_kind(node), **common)
        held = [given for given in node.input if given and self.is_weight(given)]
        return LayerCost(
            kind=self._linear_kind(node, linear),
            macs=self._macs(node, linear),
            weight_bytes=sum(self.stored_bytes(given) for given in held),
            weights=sum(self.elements(given) for given in held),
            precision=self._precision(node),
            **common,
        )

    def elements(self, name: str) -> int:
        """Count a tensor's elements; 0 when its shape is not known."""
        shape = self.shapes.get(name)
        return math.prod(shape) if shape is not None else 0

    def is_weight(self, name: str) -> bool:
        """Say whether a tensor is a weight, perhaps behind a DequantizeLinear or Cast."""
        maker = self.makers.get(name)
        if name in self.weights or (maker is not None and maker.op_type == "Constant"):
            return True
        passes = maker is not None and maker.op_type in ("DequantizeLinear", "Cast", "Identity", "Transpose", "Reshape")
        return bool(passes and maker is not None and maker.input and self.is_weight(maker.input[0]))

    def stored_bytes(self, name: str) -> int:
        """Count the bytes in which a weight is stored."""
        maker = self.makers.get(name)
        if name not in self.weights and maker is not None and maker.input:
            return self.stored_bytes(maker.input[0])
        tensor = self.tensors.get(name)
        return math.ceil(self.elements(name) * _bytes(tensor.dtype)) if tensor else 0

    def _macs(self, node: onnx.NodeProto, linear: str) -> int:
        import onnx

        plain = onnx.NodeProto()
        plain.CopyFrom(node)
        plain.op_type = linear
        if node.op_type == "QLinearConv":
            plain.input[1] = node.input[3]
        return node_macs(plain, self.shapes) or 0

    def _linear_kind(self, node: onnx.NodeProto, linear: str) -> Kind:
        if linear.startswith("Conv"):
            weight = self.shapes.get(node.input[3 if node.op_type == "QLinearConv" else 1]) or ()
            groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
            if groups > 1 and len(weight) > 1 and weight[1] <= 2:
                return "depthwise"
            return "pointwise" if math.prod(weight[2:]) == 1 else "conv"
        output = self.shapes.get(node.output[0]) or (1,)
        rows = math.prod(output[:-1])
        return "gemv" if rows <= FEW_ROWS else "gemm"

    def _precision(self, node: onnx.NodeProto) -> Precision:
        if node.op_type in ("ConvInteger", "MatMulInteger"):
            return "int8-dynamic"
        maker = self.makers.get(node.input[0])
        if node.op_type.startswith("QLinear") or (maker is not None and maker.op_type == "DequantizeLinear"):
            return "int8"
        dtype = self.tensors[node.input[0]].dtype if node.input[0] in self.tensors else ""
        return {"float16": "f16", "bfloat16": "bf16"}.get(dtype, "f32")  # type: ignore[return-value]

    def _plain_kind(self, node: onnx.NodeProto) -> str:
        if node.op_type in _FREE:
            return "free"
        maker = next((self.makers[name] for name in node.input if name in self.makers), None)
        if node.op_type in _FUSED and maker is not None and self._ends_in_linear(maker, 3):
            return "free"
        return "heavy" if node.op_type in _HEAVY else "simple"

    def _ends_in_linear(self, node: onnx.NodeProto, steps: int) -> bool:
        """Say whether a node is a layer, or fused into one."""
        if node.op_type in _LINEAR:
            return True
        if steps == 0 or node.op_type not in _FUSED | {"QuantizeLinear", "DequantizeLinear"}:
            return False
        return any(self._ends_in_linear(self.makers[name], steps - 1) for name in node.input if name in self.makers)


def _readers(graph: onnx.GraphProto, names: list[str]) -> dict[str, tuple[str, ...]]:
    """Give for each node the nodes that read what it makes, looking through those that are free."""
    direct: dict[str, list[int]] = {}
    for index, node in enumerate(graph.node):
        for given in node.input:
            direct.setdefault(given, []).append(index)
    found: dict[int, tuple[str, ...]] = {}
    for index in range(len(graph.node) - 1, -1, -1):
        seen: dict[str, None] = {}
        for made in graph.node[index].output:
            for reader in direct.get(made, ()):
                through = graph.node[reader].op_type in _FREE | _MERGED and reader in found
                seen.update(dict.fromkeys(found[reader] if through else (names[reader],)))
        found[index] = tuple(seen)
    return {names[index]: seen for index, seen in found.items()}


def _bytes(dtype: str) -> float:
    import ml_dtypes
    import numpy as np

    special = getattr(ml_dtypes, dtype, None)
    if special is not None:
        return 0.5 if dtype in ("int4", "uint4") else np.dtype(special).itemsize
    try:
        return np.dtype(dtype).itemsize
    except TypeError:
        return 0

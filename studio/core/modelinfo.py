"""What is in a model: inputs, outputs, operators, parameters, multiply-accumulates, bytes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from studio.core.artifact import Artifact, iterate_tensors
from studio.core.frozen import Frozen
from studio.core.modelfile import read_light_proto
from studio.core.runtime import Dimension, TensorInfo

if TYPE_CHECKING:
    import onnx

#: operators that cost time and whose multiply-accumulates are not counted here
_UNCOUNTED = {"Attention", "GRU", "RNN", "LSTM", "Einsum", "MatMulInteger", "ConvInteger", "QLinearConv"}


class ModelInfo(Frozen):
    """A summary of a model.

    `macs` counts multiply-accumulates of one inference with dynamic dimensions taken as in
    `assumed` (1 unless told); None when a shape that it needs is not known. `precision_bytes` maps
    a weight type to the bytes stored in it.
    """

    path: Path
    sha256: str
    bytes: int
    model_bytes: int
    external_bytes: int
    name: str
    producer: str
    ir_version: int
    opsets: dict[str, int]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    nodes: int
    operators: dict[str, int]
    subgraphs: int
    functions: int
    parameters: int
    precision_bytes: dict[str, int]
    macs: int | None
    macs_uncounted: tuple[str, ...]
    assumed: dict[str, int]
    problems: tuple[str, ...]


def inspect_model(
    artifact: Artifact, *, problems: tuple[str, ...] = (), dims: Mapping[str, int] | None = None
) -> ModelInfo:
    """Summarize a model without reading its external weights.

    Parameters
    ----------
    problems
        What a check found, shown with the rest.
    dims
        Sizes of named dynamic dimensions to count multiply-accumulates for.

    Raises
    ------
    ModelError
        When the file cannot be read.
    """
    proto = read_light_proto(artifact.path)
    nodes = list(all_nodes(proto.graph))
    tensors = [tensor for tensor in iterate_tensors(proto) if tensor.dims or tensor.raw_data or tensor.external_data]
    macs, uncounted, assumed = count_macs(proto, dims or {})
    return ModelInfo(
        path=artifact.path,
        sha256=artifact.sha256,
        bytes=artifact.bytes,
        model_bytes=artifact.model_bytes,
        external_bytes=artifact.bytes - artifact.model_bytes,
        name=proto.graph.name,
        producer=f"{proto.producer_name} {proto.producer_version}".strip(),
        ir_version=proto.ir_version,
        opsets={entry.domain or "ai.onnx": entry.version for entry in proto.opset_import},
        inputs=model_inputs(proto),
        outputs=tuple(tensor_info(value) for value in proto.graph.output),
        nodes=len(proto.graph.node),
        operators=dict(Counter(operator_name(node) for node in nodes).most_common()),
        subgraphs=sum(1 for node in nodes for _ in node_graphs(node)),
        functions=len(proto.functions),
        parameters=sum(math.prod(tensor.dims) for tensor in tensors),
        precision_bytes=_precision_bytes(tensors),
        macs=macs,
        macs_uncounted=uncounted,
        assumed=assumed,
        problems=problems,
    )


def model_inputs(proto: onnx.ModelProto) -> tuple[TensorInfo, ...]:
    """Describe what a caller must feed: graph inputs that no initializer gives a default."""
    given = {item.name for item in proto.graph.initializer}
    return tuple(tensor_info(value) for value in proto.graph.input if value.name not in given)


def tensor_info(value: onnx.ValueInfoProto) -> TensorInfo:
    """Describe an input or output; sequences, maps and optionals have their kind as dtype."""
    kind = value.type.WhichOneof("value") or ""
    if kind != "tensor_type":
        return TensorInfo(name=value.name, dtype=kind.removesuffix("_type") or "unknown", shape=None)
    tensor = value.type.tensor_type
    shape: tuple[Dimension, ...] | None = None
    if tensor.HasField("shape"):
        shape = tuple(dimension(dim) for dim in tensor.shape.dim)
    return TensorInfo(name=value.name, dtype=dtype_name(tensor.elem_type), shape=shape)


def dimension(dim: onnx.TensorShapeProto.Dimension) -> Dimension:
    """Give a dimension; a negative size, which some exporters write, is a dynamic one."""
    if dim.HasField("dim_value"):
        return dim.dim_value if dim.dim_value >= 0 else None
    return dim.dim_param or None


def dtype_name(elem_type: int) -> str:
    """Name an ONNX element type as numpy or ml_dtypes do; ``"object"`` for strings."""
    import onnx_ir as ir

    try:
        data_type = ir.DataType(elem_type)
        return "object" if data_type == ir.DataType.STRING else str(data_type.numpy().name)
    except (ValueError, TypeError):
        return "unknown"


def operator_name(node: onnx.NodeProto) -> str:
    """Name a node's operator, with its domain when that is not ONNX's own."""
    return f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Walk all nodes, those of subgraphs too."""
    for node in graph.node:
        yield node
        for inner in node_graphs(node):
            yield from all_nodes(inner)


def node_graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Give the subgraphs of a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def count_macs(proto: onnx.ModelProto, dims: Mapping[str, int]) -> tuple[int | None, tuple[str, ...], dict[str, int]]:
    """Count multiply-accumulates of the main graph's Conv, ConvTranspose, Gemm and MatMul.

    Returns
    -------
    tuple
        The count (None when a needed shape is unknown), operators that were not counted, and the
        sizes assumed for dynamic dimensions.
    """
    per_node, unknown, assumed = macs_by_node(proto, dims)
    present = {node.op_type for node in all_nodes(proto.graph)}
    uncounted = tuple(sorted(present & _UNCOUNTED))
    return (None if unknown else sum(per_node.values())), uncounted, assumed


def macs_by_node(proto: onnx.ModelProto, dims: Mapping[str, int]) -> tuple[dict[str, int], bool, dict[str, int]]:
    """Count multiply-accumulates of each node of the main graph, by `provenance.node_names`."""
    from studio.core.provenance import node_names

    fixed, assumed = with_fixed_dims(proto, dims)
    shapes = _shapes(fixed)
    counts: dict[str, int] = {}
    unknown = False
    for name, node in zip(node_names(fixed.graph), fixed.graph.node, strict=True):
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul") or node.domain not in ("", "ai.onnx"):
            continue
        count = node_macs(node, shapes)
        unknown = unknown or count is None
        counts[name] = count or 0
    return counts, unknown, assumed


def with_fixed_dims(proto: onnx.ModelProto, dims: Mapping[str, int]) -> tuple[onnx.ModelProto, dict[str, int]]:
    """Give a copy whose inputs have fixed sizes and whose other shapes are to be inferred, and the sizes assumed.

    Parameters
    ----------
    dims
        Size of a dynamic dimension, by its name or ``INPUT[AXIS]``; 1 where it is not given.
    """
    import onnx

    fixed = onnx.ModelProto()
    fixed.CopyFrom(proto)
    assumed: dict[str, int] = {}
    for value in fixed.graph.input:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.HasField("dim_value") and dim.dim_value >= 0:
                continue
            name = dim.dim_param or f"{value.name}[{axis}]"
            assumed[name] = dims.get(name, 1)
            dim.dim_value = assumed[name]
    # stale shapes with the old dynamic names would win over what inference finds
    del fixed.graph.value_info[:]
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    return fixed, assumed


def _shapes(proto: onnx.ModelProto) -> dict[str, tuple[int, ...] | None]:
    import onnx

    try:
        graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
    except Exception:  # inference is best effort: what it does not find stays unknown
        graph = proto.graph
    shapes: dict[str, tuple[int, ...] | None] = {item.name: tuple(item.dims) for item in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shape = tensor_info(value).shape
        known = shape is not None and all(isinstance(dim, int) for dim in shape)
        shapes[value.name] = tuple(dim for dim in shape or () if isinstance(dim, int)) if known else None
    return shapes


def node_macs(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...] | None]) -> int | None:
    """Count the multiply-accumulates of a Conv, ConvTranspose, Gemm or MatMul; None when a shape is not known."""
    output = shapes.get(node.output[0])
    operands = [shapes.get(name) for name in node.input[:2]]
    if output is None or len(operands) < 2 or operands[0] is None or operands[1] is None:
        return None
    first, weight = operands[0], operands[1]
    if node.op_type == "Conv":
        return math.prod(output) * math.prod(weight[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(first) * math.prod(weight[1:])
    if node.op_type == "Gemm":
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        return math.prod(output) * first[0 if transposed else 1]
    return math.prod(output) * (first[-1] if first else 1)


def _precision_bytes(tensors: list[onnx.TensorProto]) -> dict[str, int]:
    import onnx_ir as ir

    total: Counter[str] = Counter()
    for tensor in tensors:
        try:
            bits = ir.DataType(tensor.data_type).bitwidth
        except (ValueError, TypeError):
            continue
        total[ir.DataType(tensor.data_type).name.lower()] += math.ceil(math.prod(tensor.dims) * bits / 8)
    return dict(total.most_common())

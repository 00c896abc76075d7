"""Bring a model into the form that ONNX Runtime's quantizers handle without surprises."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from studio.api import Artifact, PassError, read_model

from .graph import constant, float_constant, node_names
from .selection import GLUE, WEIGHT_INPUT, Selection, output_channels

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

#: first opset with DynamicQuantizeLinear, with per-axis DequantizeLinear, and with 16-bit QuantizeLinear
DYNAMIC_OPSET = 11
PER_AXIS_OPSET = 13
SIXTEEN_BIT_OPSET = 21
#: the IR versions that go with them
_IR_VERSIONS = {DYNAMIC_OPSET: 6, PER_AXIS_OPSET: 7, SIXTEEN_BIT_OPSET: 10}
#: tensors below this many bytes stay in the model file itself
_SMALL = 1024


def open_named(artifact: Artifact) -> ir.Model:
    """Open a model with every node named, types inferred, and no weight that is also an input.

    Before IR version 4 every weight had to be an input; that was a matter of form, so those inputs go.
    """
    import onnx_ir.passes.common as common

    model = read_model(artifact)
    if model.ir_version < 4:
        common.RemoveInitializersFromInputsPass()(model)
        model.ir_version = _IR_VERSIONS[PER_AXIS_OPSET]
    for node, name in node_names(model.graph).items():
        node.name = name
    try:
        model = common.ShapeInferencePass()(model).model
    except Exception:  # inference is best effort: what stays unknown stays in float
        return model
    return model


def own_constants(graph: ir.Graph, selection: Selection) -> None:
    """Give each selected node weights and bias of its own, as initializers that no other node reads.

    The quantizers replace a weight for all its readers; nodes out of the scope must keep theirs.
    """
    for node in selection.nodes:
        if node.op_type in WEIGHT_INPUT:
            indices: tuple[int, ...] = (WEIGHT_INPUT[node.op_type], 2)
        else:
            indices = tuple(range(len(node.inputs))) if node.op_type in GLUE else ()
        for index in indices:
            value = node.inputs[index] if index < len(node.inputs) else None
            if value is not None and float_constant(value) is not None:
                node.replace_input_with(index, _own(graph, node, index, value, selection))
                _drop_unused(graph, value)


def lift_constants(graph: ir.Graph) -> None:
    """Turn Constant nodes that hold float32 into initializers, in place."""
    for node in list(graph):
        value = node.outputs[0]
        tensor = float_constant(value)
        if node.op_type == "Constant" and tensor is not None and not value.is_graph_output():
            value.replace_all_uses_with(add_initializer(graph, str(value.name), tensor))
            graph.remove(node, safe=True)


def _drop_unused(graph: ir.Graph, value: ir.Value) -> None:
    """Remove a weight that nothing reads any more."""
    if value.uses() or value.is_graph_output():
        return
    producer = value.producer()
    if producer is not None:
        graph.remove(producer, safe=True)
    elif value.name in graph.initializers:
        del graph.initializers[value.name]


def _own(graph: ir.Graph, node: ir.Node, index: int, value: ir.Value, selection: Selection) -> ir.Value:
    tensor = constant(value)
    assert tensor is not None  # the caller looked
    squeeze = node.op_type == "Gemm" and index == 2 and len(tensor.shape) == 2
    alike = all(user.op_type == node.op_type and at == index and user in selection.nodes for user, at in value.uses())
    shared = value.is_graph_output() or not alike or (index == 2 and len(value.uses()) > 1)
    if value.is_initializer() and not shared and not squeeze:
        return value
    return add_initializer(
        graph, f"{value.name}_{node.name}", tensor.numpy().reshape(output_channels(node)) if squeeze else tensor
    )


def add_initializer(graph: ir.Graph, name: str, content: object) -> ir.Value:
    """Register an initializer under a name that is not taken yet.

    Parameters
    ----------
    graph
        The main graph.
    name
        The name wished for; primes are added until it is free.
    content
        A numpy array or a tensor.
    """
    import numpy as np
    import onnx_ir as ir

    name = _free_name(graph, name)
    array = content if isinstance(content, np.ndarray) else content.numpy()  # type: ignore[attr-defined]
    tensor = ir.Tensor(np.ascontiguousarray(array), name=name)
    value = ir.Value(name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


def _free_name(graph: ir.Graph, name: str) -> str:
    taken = {value.name for node in graph.all_nodes() for value in node.outputs}
    taken |= {value.name for value in graph.inputs} | set(graph.initializers)
    while name in taken:
        name += "'"
    return name


def save_prepared(model: ir.Model, folder: Path, opset: int) -> Path:
    """Write the prepared model, weights beside it, in at least the given opset.

    Raises
    ------
    PassError
        When the model cannot be brought to that opset.
    """
    import onnx_ir as ir

    path = folder / "prepared.onnx"
    current = model.opset_imports.get("", 0)
    if current < opset:
        model = _upgraded(model, current, opset)
    ir.save(model, path, external_data="prepared.data", size_threshold_bytes=_SMALL)
    return path


def _upgraded(model: ir.Model, current: int, opset: int) -> ir.Model:
    import onnx
    import onnx_ir as ir
    import onnx_ir.passes.common as common

    try:
        proto = onnx.version_converter.convert_version(ir.to_proto(model), opset)
        converted = ir.from_proto(proto)
        converted.ir_version = max(converted.ir_version, _IR_VERSIONS[opset])
        return common.ShapeInferencePass()(converted).model
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise PassError(
            f"The model is opset {current} and cannot be converted to opset {opset}, which this needs: {first}.",
            f"Export it again with opset {opset} or later.",
        ) from error


def load_prepared(path: Path) -> onnx.ModelProto:
    """Read the prepared model with its weights, marked so that ONNX Runtime infers nothing again."""
    import onnx
    from onnxruntime.quantization.quant_utils import add_infer_metadata

    proto = onnx.load(str(path))
    add_infer_metadata(proto)
    return proto

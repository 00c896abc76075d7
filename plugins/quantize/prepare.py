"""Bring a model into the form that ONNX Runtime's quantizers handle without surprises."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from studio.api import Artifact, PassError, read_model

from .graph import node_names

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
    ``meta["typed"]`` holds the names of the inner tensors whose types the file itself states.
    """
    import onnx_ir.passes.common as common

    model = read_model(artifact)
    if model.ir_version < 4:
        common.RemoveInitializersFromInputsPass()(model)
        model.ir_version = _IR_VERSIONS[PER_AXIS_OPSET]
    for node, name in node_names(model.graph).items():
        node.name = name
    typed = {value.name for node in model.graph for value in node.outputs if value.type is not None}
    try:
        model = common.ShapeInferencePass()(model).model
    except Exception as error:  # inference is best effort: what stays unknown stays in float
        model.meta["untyped"] = str(error)
    model.meta["typed"] = typed
    return model


def save_prepared(model: ir.Model, folder: Path, opset: int) -> Path:
    """Write the prepared model, weights beside it, in at least the given opset.

    The caller drops its model then: the quantizers read the weights anew from the file.

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
    import gc

    import onnx
    from onnxruntime.quantization.quant_utils import add_infer_metadata

    gc.collect()  # nodes and values refer to each other: the dropped model goes only now
    proto = onnx.load(str(path))
    add_infer_metadata(proto)
    return proto

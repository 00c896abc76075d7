"""Bring a model to a later opset without reading its weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from studio.api import PassError

if TYPE_CHECKING:
    import onnx_ir as ir

#: the least IR version of an opset's types
_IR_VERSIONS = {13: 7, 21: 10, 22: 10}
#: tensors below this many bytes are converted with the graph
_SMALL = 4096


def raise_opset(
    model: ir.Model,
    opset: int,
    folder: Path,
    other: str = "Choose the form nbits, which needs no later opset",
) -> tuple[ir.Model, tuple[str, ...]]:
    """Give a model of at least an opset, types inferred, and a warning when it was raised.

    Its weights go to a file in `folder` and are mapped from there, where it had to be raised.

    Raises
    ------
    PassError
        When the model cannot be brought to that opset.
    """
    import onnx
    import onnx_ir as ir
    import onnx_ir.passes.common as common

    current = model.opset_imports.get("", 0)
    if current >= opset:
        return model, ()
    path = folder / "raised.onnx"
    ir.save(model, path, external_data="raised.data", size_threshold_bytes=_SMALL)
    try:
        proto = onnx.load(str(path), load_external_data=False)
        raised = ir.from_proto(onnx.version_converter.convert_version(proto, opset))
        ir.external_data.set_base_dir(raised.graph, folder)
        raised.ir_version = max(raised.ir_version, _IR_VERSIONS[opset])
        raised = common.ShapeInferencePass()(raised).model
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise PassError(
            f"The model is opset {current} and cannot be converted to opset {opset}, which this form needs: {first}.",
            f"{other}, or export the model again with opset {opset}.",
        ) from error
    return raised, (f"The opset is raised from {current} to {opset}.",)

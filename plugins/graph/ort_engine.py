"""Fusion by ONNX Runtime's own offline optimization."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from studio.api import Artifact, NodeChange, PassContext, PassError, PassResult, StoreError, read_model, write_model

from .fuse import SCOPED, WHY_NOT
from .names import all_nodes, name_nodes
from .outcome import own_operators
from .values import STANDARD_DOMAINS

#: above this ONNX Runtime writes weights to a file beside the model
EXTERNAL_BYTES = "1024"
LAYER_NORM_OPSET = 17


def fuse_by_engine(artifact: Artifact, context: PassContext) -> PassResult:
    """Let ONNX Runtime optimize at its extended level, which OpenVINO can load too.

    The level above it would lay weights out for this processor. Quantize and Dequantize nodes stay as
    they are. The model is loaded whole, so that memory is some three times its weights.

    Raises
    ------
    PassError
        When ONNX Runtime cannot load the model, or a scope was given.
    """
    if not context.scope.everything:
        raise PassError(SCOPED, "Clear the scope of this step, or choose the portable engine.")
    source = read_model(artifact)
    name_nodes(source)
    context.reporter.progress(0, 3, "ONNX Runtime optimizes")
    optimized = _optimize(artifact, context.workdir, _disabled(source))
    context.reporter.check()
    context.reporter.progress(2, 3, "writing")
    model = read_model(optimized)
    name_nodes(model)
    changes = _differences(source, model)
    if not changes:
        for file in optimized.files:
            file.unlink()
        return PassResult(artifact=artifact, warnings=(WHY_NOT,))
    _check_standard(model)
    _restore_signature(source, model)
    _drop_unused_opsets(model)
    model.metadata_props.update(source.metadata_props)
    warnings = own_operators(model)
    written = write_model(model, context.workdir / "model.onnx")
    for file in optimized.files:
        file.unlink()
    return PassResult(artifact=written, changes=changes, warnings=warnings)


def _disabled(source: ir.Model) -> tuple[str, ...]:
    """List the engine's fusions whose operators it counts to the standard, and the standard does not have."""
    opset = max(source.opset_imports.get(domain, 0) for domain in STANDARD_DOMAINS)
    late = ("LayerNormFusionL1", "LayerNormFusionL2") if opset < LAYER_NORM_OPSET else ()
    return ("SimplifiedLayerNormFusion", *late)


def _optimize(artifact: Artifact, folder: Path, disabled: tuple[str, ...]) -> Artifact:
    import onnxruntime

    from studio.api import open_artifact

    path = folder / "optimized.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "optimized.data")
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", EXTERNAL_BYTES)
    try:
        onnxruntime.InferenceSession(
            str(artifact.path), options, providers=["CPUExecutionProvider"], disabled_optimizers=list(disabled)
        )
    except Exception as error:
        if "Failed to write" in str(error):
            raise StoreError(f"{path} cannot be written.", "Free some space on that disk.") from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise PassError(
            f"ONNX Runtime cannot load the model: {reason}.", "Use the portable engine of this pass instead."
        ) from error
    return open_artifact(path)


def _differences(source: ir.Model, model: ir.Model) -> tuple[NodeChange, ...]:
    before = {str(node.name): node for node in all_nodes(source)}
    after = {str(node.name): node for node in all_nodes(model)}
    removed = [
        NodeChange(node=name, operator=node.op_type, change="removed", detail="fused by ONNX Runtime")
        for name, node in before.items()
        if name not in after
    ]
    rest = []
    for name, node in after.items():
        old = before.get(name)
        if old is None:
            rest.append(NodeChange(node=name, operator=node.op_type, change="added", detail=_called(node)))
        elif _key(old) != _key(node):
            rest.append(NodeChange(node=name, operator=node.op_type, change="rewritten", detail=_called(node)))
    return (*removed, *rest)


def _called(node: ir.Node) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def _key(node: ir.Node) -> tuple[str, str, int]:
    return (node.domain, node.op_type, len(node.inputs))


def _check_standard(model: ir.Model) -> None:
    """Refuse operators that are said to be of the standard and are not: no other engine could load them."""
    import onnx

    opset = max(model.opset_imports.get(domain, 0) for domain in STANDARD_DOMAINS)
    for name in {node.op_type for node in all_nodes(model) if node.domain in STANDARD_DOMAINS}:
        try:
            onnx.defs.get_schema(name, opset, "")
        except onnx.defs.SchemaError:
            raise PassError(
                f"ONNX Runtime made a {name}, which operator set {opset} does not have.",
                "Use the portable engine of this pass instead.",
            ) from None


def _restore_signature(source: ir.Model, model: ir.Model) -> None:
    """Declare inputs and outputs as the source does: the engine rewrites some dimensions."""
    for mine, theirs in ((source.graph.inputs, model.graph.inputs), (source.graph.outputs, model.graph.outputs)):
        declared = {value.name: value for value in mine}
        for value in theirs:
            if value.name in declared:
                value.type, value.shape = declared[value.name].type, declared[value.name].shape


def _drop_unused_opsets(model: ir.Model) -> None:
    """Take out the operator sets that the engine imports whether or not a node needs them."""
    from onnx_ir.passes.common import RemoveUnusedOpsetsPass

    RemoveUnusedOpsetsPass()(model)

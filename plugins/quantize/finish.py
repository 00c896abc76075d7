"""Check a quantized model, write it, and list what changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from studio.api import Artifact, BurnishError, NodeChange, PassError, PassResult, write_proto

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

RESULT = "model.onnx"
#: what ONNX Runtime says before it says what is wrong
_NOISE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed:|Fatal error: ")


def write_checked(proto: onnx.ModelProto, workdir: Path, *, typed: set[str]) -> Artifact:
    """Write a model, run the ONNX checker on it and load it in ONNX Runtime.

    Parameters
    ----------
    proto
        The result.
    workdir
        Where to write it.
    typed
        Names of the inner tensors whose types the source states; the others' are not written either.

    Raises
    ------
    PassError
        When either refuses it; the file is removed.
    """
    import onnx

    path = workdir / RESULT
    stated = [value for value in proto.graph.value_info if value.name in typed]
    del proto.graph.value_info[:]
    proto.graph.value_info.extend(stated)
    try:
        artifact = write_proto(proto, path)
        onnx.checker.check_model(str(path))
        open_session(path)
    except BurnishError:
        raise
    except Exception as error:
        for left in (path, path.with_name(f"{path.name}.data")):
            left.unlink(missing_ok=True)
        raise PassError(
            f"The quantized model cannot be loaded: {first_line(error)}.",
            "Leave the operator it names out of the step's scope, or see whether 'burnish bench' runs its source.",
        ) from error
    return artifact


def open_session(path: Path, *, lean: bool = False) -> object:
    """Load a model in ONNX Runtime on the CPU.

    Parameters
    ----------
    path
        The model file.
    lean
        Keep every tensor's name and give memory back after each run, for calibration.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    if lean:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def first_line(error: Exception) -> str:
    """Give the first line of a library's message, without status codes, our own file names and its last full stop."""
    return _NOISE.sub("", (str(error).strip().splitlines() or [type(error).__name__])[0]).rstrip(".")


def finished(proto: onnx.ModelProto, tidy: Callable[[ir.Graph], None] | None = None) -> onnx.ModelProto:
    """Name and sort the nodes of a library's result, whose own sorting overlooks subgraphs.

    Parameters
    ----------
    proto
        The result.
    tidy
        What else to do to its graph before it is sorted.
    """
    import onnx_ir as ir

    _drop_marks(proto)
    name_all(proto.graph)
    model = ir.from_proto(proto)
    if tidy is not None:
        tidy(model.graph)
    model.graph.sort()
    result: onnx.ModelProto = ir.to_proto(model)
    return result


def _drop_marks(proto: onnx.ModelProto) -> None:
    """Remove the quantizer's note that types were inferred: a later pass changes them."""
    kept = [entry for entry in proto.metadata_props if entry.key != "onnx.infer"]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)


def list_changes(
    before: Mapping[str, str], after: onnx.GraphProto, rewritten: Mapping[str, tuple[str, str]]
) -> tuple[NodeChange, ...]:
    """Compare the nodes of source and result.

    Parameters
    ----------
    before
        Name of each node of the source to its operator.
    after
        The result's graph.
    rewritten
        Name of a node of the result to the source node it replaces and what was done to it.
    """
    names = {node.name for node in after.node}
    replaced = {source for result, (source, _) in rewritten.items() if result in names}
    changes = []
    for node in after.node:
        if node.name in rewritten:
            detail = rewritten[node.name][1]
            changes.append(NodeChange(node=node.name, operator=node.op_type, change="rewritten", detail=detail))
        elif node.name not in before:
            changes.append(NodeChange(node=node.name, operator=node.op_type, change="added"))
    changes.extend(
        NodeChange(node=name, operator=operator, change="removed")
        for name, operator in before.items()
        if name not in names and name not in replaced
    )
    return tuple(changes)


def name_all(graph: onnx.GraphProto) -> None:
    """Name the nodes that a library added without a name, and make every name unique."""
    seen: set[str] = set()
    for index, node in enumerate(graph.node):
        name = node.name or f"{node.op_type}_{next((out for out in node.output if out), index)}"
        while name in seen:
            name += "'"
        node.name = name
        seen.add(name)


def unchanged(artifact: Artifact, why: str) -> PassResult:
    """Give the source back with the reason why nothing was done."""
    return PassResult(artifact=artifact, warnings=(f"Nothing was changed: {why}.",))

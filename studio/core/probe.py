"""Models with inner tensors as further outputs, to look inside."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from studio.core.artifact import Artifact, describe_artifact
from studio.core.modelfile import read_light_proto, read_proto
from studio.core.provenance import node_names

if TYPE_CHECKING:
    import onnx


def common_tensors(source: Artifact, result: Artifact) -> dict[str, str]:
    """List the tensors made by nodes in both models.

    Returns
    -------
    dict
        Tensor to the name of the node that makes it in `result`, in the order of `result`.
    """
    before, after = read_light_proto(source.path).graph, read_light_proto(result.path).graph
    known = {out for node in before.node for out in node.output if out}
    return {
        out: name
        for name, node in zip(node_names(after), after.node, strict=True)
        for out in node.output
        if out in known
    }


def interface_tensors(source: Artifact, result: Artifact) -> list[str]:
    """List the inner tensors of a source that a result which is a part of it takes or gives."""
    before, after = read_proto(source.path).graph, read_proto(result.path).graph
    edges = {value.name for value in (*before.input, *before.output)} | {item.name for item in before.initializer}
    inner = {out for node in before.node for out in node.output if out} - edges
    return list(dict.fromkeys(value.name for value in (*after.input, *after.output) if value.name in inner))


def with_outputs(artifact: Artifact, tensors: Sequence[str], folder: Path, *, only: bool = False) -> Artifact:
    """Write a copy of a model that also gives `tensors` into a new folder; external data is linked or copied there.

    With `only` it gives nothing else; tensors that are inputs are then left out (but for one output
    that a graph must have).
    """
    import onnx

    proto = read_proto(artifact.path)
    types = tensor_types(proto)
    if only:
        tensors = _keep_only(proto.graph, tensors)
    present = {value.name for value in proto.graph.output}
    for tensor in tensors:
        if tensor not in present:
            proto.graph.output.append(types.get(tensor, onnx.ValueInfoProto(name=tensor)))
    folder.mkdir(parents=True)
    for file in artifact.external:
        target = folder / file.location
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(artifact.path.parent / file.location, target)
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return describe_artifact(path, proto)


def tensor_types(proto: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    """Give the types of a graph's tensors, inner ones as far as they can be inferred."""
    import onnx

    try:
        graph = onnx.shape_inference.infer_shapes(proto).graph
    except Exception:  # inference is best effort; a runtime may still find the type by itself
        graph = proto.graph
    return {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}


def _keep_only(graph: onnx.GraphProto, tensors: Sequence[str]) -> list[str]:
    """Drop the outputs that are not asked for; give the tensors that nodes make."""
    inputs = {value.name for value in graph.input}
    wanted = [tensor for tensor in tensors if tensor not in inputs]
    kept = [value for value in graph.output if value.name in wanted]
    if not wanted:
        kept = [graph.output[0]]
    del graph.output[:]
    graph.output.extend(kept)
    return wanted


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)

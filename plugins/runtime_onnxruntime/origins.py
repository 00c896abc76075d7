"""Which nodes of the model a node of ONNX Runtime's optimized graph executes."""

from __future__ import annotations

from collections import defaultdict, deque
from pathlib import Path
from typing import TYPE_CHECKING

from studio.api import node_names, read_proto, trace

if TYPE_CHECKING:
    import onnx

_BLOCKED_DOMAIN = "com.microsoft.nchwc"
#: The layout pass names a node after the tensor that the node it replaces made.
_BLOCKED_SUFFIX = "_nchwc"


class Origins:
    """Looks up source nodes by the name that the profiler gives; see `find_origins`."""

    def __init__(self, known: dict[str, deque[tuple[str, ...]]], by_name: dict[str, str]) -> None:
        self._known = known
        self._by_name = by_name

    def sources(self, name: str) -> tuple[str, ...]:
        """Give the source nodes of an executed node; nodes that share a name are taken in turn."""
        waiting = self._known.get(name)
        if waiting:
            return waiting.popleft() if len(waiting) > 1 else waiting[0]
        source = self._by_name.get(name) or self._by_name.get(name.removesuffix(_BLOCKED_SUFFIX))
        return (source,) if source else ()


def find_origins(model: Path, optimized: Path | None) -> Origins:
    """Lead the optimized graph back to the model's.

    Parameters
    ----------
    model
        The model's file.
    optimized
        The optimized graph as the engine wrote it; without it nodes are found by name only.
    """
    source = read_proto(model).graph
    by_name = {out: name for node, name in zip(source.node, node_names(source), strict=True) for out in node.output}
    by_name.update((node.name, node.name) for node in source.node if node.name)
    known: dict[str, deque[tuple[str, ...]]] = defaultdict(deque)
    if optimized is not None:
        result = read_proto(optimized).graph
        _restore_blocked_names(result)
        traced = trace(source, result)
        for node, name in zip(result.node, node_names(result), strict=True):
            known[node.name].append(traced[name])
    return Origins(dict(known), by_name)


def _restore_blocked_names(graph: onnx.GraphProto) -> None:
    """Give nodes in the NCHWc layout the tensors back that they compute in the model."""
    makers = {out: node for node in graph.node for out in node.output}
    renamed: dict[str, str] = {}
    for node in graph.node:
        if node.domain == _BLOCKED_DOMAIN and node.name.endswith(_BLOCKED_SUFFIX) and node.output:
            tensor = node.name.removesuffix(_BLOCKED_SUFFIX)
            if tensor in makers:
                renamed[tensor] = f"{tensor}:reordered"
            renamed[node.output[0]] = tensor
    for node in graph.node:
        node.output[:] = [renamed.get(out, out) for out in node.output]
        node.input[:] = [renamed.get(item, item) for item in node.input]

"""Which nodes of the model a node of ONNX Runtime's optimized graph executes."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studio.api import attribute, by_kernel, node_names, read_proto

if TYPE_CHECKING:
    import onnx

_BLOCKED_DOMAIN = "com.microsoft.nchwc"
#: The layout pass names a node after the tensor that the node it replaces made.
_BLOCKED_SUFFIX = "_nchwc"
#: What the engine appends where it makes a name from another, such as ``conv1_token_7``.
_TOKEN = re.compile(r"_token_\d+$")
#: Operators that the engine inserts; one of the model's own has the same operator there.
_INSERTED = frozenset(["ReorderInput", "ReorderOutput", "Transpose", "Cast", "MemcpyFromHost", "MemcpyToHost"])


@dataclass(frozen=True)
class Origin:
    """What an executed node stands for.

    Attributes
    ----------
    sources
        The nodes of the model that it executes; none when the engine inserted it.
    feeds
        The nodes of the model that the kernels after it execute: what an inserted one is there for.
    inserted
        Whether the engine put it there.
    """

    sources: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    inserted: bool = False


class Origins:
    """Looks up source nodes by the name that the profiler gives; see `find_origins`."""

    def __init__(self, known: dict[str, deque[Origin]], by_name: dict[str, str]) -> None:
        self._known = known
        self._by_name = by_name

    def of(self, name: str) -> Origin:
        """Give what an executed node stands for; nodes that share a name are taken in turn."""
        waiting = self._known.get(name)
        if waiting:
            return waiting.popleft() if len(waiting) > 1 else waiting[0]
        source = self._by_name.get(name) or self._by_name.get(name.removesuffix(_BLOCKED_SUFFIX))
        return Origin((source,) if source else ())


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
    by_name = _names(source)
    known: dict[str, deque[Origin]] = defaultdict(deque)
    if optimized is not None:
        result = read_proto(optimized).graph
        for node, origin in zip(result.node, _origins(source, result, by_name), strict=True):
            known[node.name].append(origin)
    return Origins(dict(known), by_name)


def _names(source: onnx.GraphProto) -> dict[str, str]:
    """Map the tensors that nodes make, and the names that they have, to `node_names`."""
    by_name = {out: name for node, name in zip(source.node, node_names(source), strict=True) for out in node.output}
    by_name.update((node.name, name) for node, name in zip(source.node, node_names(source), strict=True) if node.name)
    return by_name


def _origins(source: onnx.GraphProto, result: onnx.GraphProto, by_name: dict[str, str]) -> list[Origin]:
    operators = dict(zip(node_names(source), (node.op_type for node in source.node), strict=True))
    claims: dict[str, int] = {}
    stated: list[str] = []
    for index, node in enumerate(result.node):
        found = _claimed(node, by_name)
        if node.op_type in _INSERTED:
            found = [name for name in found if operators[name] == node.op_type]
        stated.append(found[0] if found else "")
        for name in found:
            claims.setdefault(name, index)
    groups = by_kernel(attribute(source, claims))
    # A kernel whose claim another one made first is a part of that node: dequantizing, say, before a fused one.
    sources = [groups.get(index) or ((name,) if name else ()) for index, name in enumerate(stated)]
    after = _users(result)
    return [
        Origin(found, tuple(dict.fromkeys(name for user in after[index] for name in sources[user])), not found)
        for index, found in enumerate(sources)
    ]


def _claimed(node: onnx.NodeProto, by_name: dict[str, str]) -> list[str]:
    """Name the nodes of the model that a node's own name and its outputs speak of."""
    names = [node.name]
    if node.domain == _BLOCKED_DOMAIN:
        names = [node.name.removesuffix(_BLOCKED_SUFFIX)]
    elif (short := _TOKEN.sub("", node.name)) != node.name:
        names.append(short)
    reordered = node.op_type in ("ReorderInput", "ReorderOutput")
    tensors = [] if reordered else list(node.output)
    return list(dict.fromkeys(by_name[name] for name in (*names, *tensors) if name in by_name))


def _users(graph: onnx.GraphProto) -> list[list[int]]:
    makers = {out: index for index, node in enumerate(graph.node) for out in node.output if out}
    users: list[list[int]] = [[] for _ in graph.node]
    for index, node in enumerate(graph.node):
        for name in dict.fromkeys(node.input):
            if name in makers:
                users[makers[name]].append(index)
    return users

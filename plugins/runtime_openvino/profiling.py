"""Node times from OpenVINO's performance counters, led back to the nodes of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from studio.api import Artifact, Device, ExecutedNode, node_names, read_proto


def profile_model(
    compiled: Any, request: Any, execute: Callable[[], None], artifact: Artifact, device: Device, runs: int
) -> tuple[ExecutedNode, ...]:
    """Execute a model compiled with counters.

    The counters are means over all inferences so far, so the first one, which is slower, is taken out again.

    Parameters
    ----------
    execute
        Runs one inference of `request`.
    """
    execute()
    first = _microseconds(request)
    for _ in range(runs):
        execute()
    total = _microseconds(request)
    means = {name: (total[name] * (runs + 1) - first.get(name, 0.0)) / runs for name in total}
    return tuple(_nodes(compiled, means, find_sources(artifact), device))


def find_sources(artifact: Artifact) -> dict[str, str]:
    """Map what OpenVINO calls an operator (the node's name, or the tensor it makes) to the node."""
    graph = read_proto(artifact.path).graph
    names = node_names(graph)
    found = {out: name for node, name in zip(graph.node, names, strict=True) for out in node.output if out}
    found.update((node.name, name) for node, name in zip(graph.node, names, strict=True) if node.name)
    return found


def _microseconds(request: Any) -> dict[str, float]:
    return {
        info.node_name: info.real_time.total_seconds() * 1e6
        for info in request.profiling_info
        if info.status.name == "EXECUTED"
    }


def _nodes(compiled: Any, means: dict[str, float], sources: dict[str, str], device: Device) -> Iterator[ExecutedNode]:
    for node in compiled.get_runtime_model().get_ordered_ops():
        name = node.get_friendly_name()
        if name not in means:
            continue
        known = {key: str(getattr(value, "value", value)) for key, value in node.get_rt_info().items()}
        yield ExecutedNode(
            name=name,
            operator=known.get("layerType", node.get_type_name()),
            nanoseconds=max(0, int(means[name] * 1000)),
            precision=known.get("runtimePrecision", ""),
            layout=known.get("outputLayouts", ""),
            kernel=known.get("primitiveType", ""),
            placement=device.spec,
            sources=_originals(known.get("originalLayersNames", ""), sources),
        )


def _originals(listed: str, sources: dict[str, str]) -> tuple[str, ...]:
    """Look up each name; OpenVINO appends parts of its own, as in ``conv1/WithoutBiases``."""
    found: dict[str, None] = {}
    for name in filter(None, listed.split(",")):
        while name not in sources and "/" in name:
            name = name.rpartition("/")[0]
        if name in sources:
            found[sources[name]] = None
    return tuple(found)

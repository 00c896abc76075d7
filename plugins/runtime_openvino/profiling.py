"""Node times from OpenVINO's performance counters, led back to the nodes of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from studio.api import Artifact, Device, ExecutedNode, attribute, by_kernel, node_names, read_proto

if TYPE_CHECKING:
    import onnx

#: kernels that OpenVINO puts between others, to change the layout or the type
_INSERTED = frozenset(["Reorder", "Convert"])
_INTEGER = frozenset(["ConvInteger", "MatMulInteger"])
#: what does arithmetic in the model, and what OpenVINO calls it
_HEAVY = frozenset(["LSTM", "GRU", "RNN", "Conv", "ConvTranspose", "Gemm", "MatMul", *_INTEGER])
_HEAVY_KERNELS = frozenset(["RNNSeq", "RNNCell", "Convolution", "Deconvolution", "FullyConnected", "MatMul"])
#: operators of a model that OpenVINO makes several kernels of
_TAKEN_APART = frozenset(["QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"])


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
    return tuple(_nodes(compiled, means, read_proto(artifact.path).graph, device))


def find_sources(graph: onnx.GraphProto) -> dict[str, str]:
    """Map what OpenVINO calls an operator (the node's name, or the tensor it makes) to the node."""
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


def _nodes(compiled: Any, means: dict[str, float], graph: onnx.GraphProto, device: Device) -> Iterator[ExecutedNode]:
    kernels = [node for node in compiled.get_runtime_model().get_ordered_ops() if node.get_friendly_name() in means]
    details = [_details(node) for node in kernels]
    origins = _origins(kernels, details, graph)
    for node, known, origin in zip(kernels, details, origins, strict=True):
        sources, feeds, inserted = origin
        yield ExecutedNode(
            name=node.get_friendly_name(),
            operator=known.get("layerType", node.get_type_name()),
            nanoseconds=max(0, int(means[node.get_friendly_name()] * 1000)),
            precision=known.get("runtimePrecision", ""),
            layout=known.get("outputLayouts", ""),
            kernel=known.get("primitiveType", ""),
            placement=device.spec,
            sources=sources,
            feeds=feeds,
            inserted=inserted,
        )


def _details(node: Any) -> dict[str, str]:
    return {key: str(getattr(value, "value", value)) for key, value in node.get_rt_info().items()}


def _origins(
    kernels: list[Any], details: list[dict[str, str]], graph: onnx.GraphProto
) -> list[tuple[tuple[str, ...], tuple[str, ...], bool]]:
    """Give for each kernel the nodes it executes, those that the kernels after it do, and whether it was inserted.

    OpenVINO takes some nodes apart. A kernel that it names after no node is a part of the quantization that the
    kernel after it belongs to, else it was inserted, as reorders are.
    """
    known = find_sources(graph)
    claims = [
        (source, index)
        for index, detail in enumerate(details)
        for source in _originals(detail.get("originalLayersNames", ""), known)
    ]
    groups = by_kernel(attribute(graph, dict(reversed(claims))), claims)
    sources = [groups.get(index, ()) for index in range(len(kernels))]
    users = _users(kernels)
    serves = list(sources)
    for index in reversed(range(len(kernels))):
        serves[index] = serves[index] or next((serves[user] for user in users[index] if serves[user]), ())
    operators = dict(zip(node_names(graph), (node.op_type for node in graph.node), strict=True))
    _give_the_nameless(sources, details, operators)
    found = []
    for index, detail in enumerate(details):
        between = detail.get("layerType") in _INSERTED
        parts = () if between else tuple(name for name in serves[index] if operators[name] in _TAKEN_APART)
        own = sources[index] or parts
        # subtracting the zero point is a kernel of its own before an integer operator
        helps = any(operators[name] in _INTEGER for name in serves[index])
        feeds = tuple(dict.fromkeys(name for user in users[index] for name in serves[user]))
        found.append((own, feeds, not own and (between or helps)))
    return found


def _give_the_nameless(
    sources: list[tuple[str, ...]], details: list[dict[str, str]], operators: dict[str, str]
) -> None:
    """Give kernels that lost every name (a recurrent layer, say) the heavy nodes that no kernel has, in order."""
    owned = {name for names in sources for name in names}
    left = [name for name, operator in operators.items() if operator in _HEAVY and name not in owned]
    nameless = [
        index
        for index, detail in enumerate(details)
        if not sources[index] and detail.get("layerType") in _HEAVY_KERNELS
    ]
    if len(left) == len(nameless):
        for index, name in zip(nameless, left, strict=True):
            sources[index] = (name,)


def _users(kernels: list[Any]) -> list[list[int]]:
    places = {node.get_friendly_name(): index for index, node in enumerate(kernels)}
    return [
        [
            places[name]
            for output in node.outputs()
            for target in output.get_target_inputs()
            if (name := target.get_node().get_friendly_name()) in places
        ]
        for node in kernels
    ]


def _originals(listed: str, sources: dict[str, str]) -> tuple[str, ...]:
    """Look up each name; OpenVINO appends parts of its own, as in ``conv1/WithoutBiases``."""
    found: dict[str, None] = {}
    for name in filter(None, listed.split(",")):
        while name not in sources and "/" in name:
            name = name.rpartition("/")[0]
        if name in sources:
            found[sources[name]] = None
    return tuple(found)

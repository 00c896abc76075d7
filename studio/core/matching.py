"""Which tensors of a variant stand for which tensors of its source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.core.artifact import Artifact
from studio.core.modelfile import read_light_proto
from studio.core.modelinfo import dtype_name
from studio.core.probe import tensor_types
from studio.core.provenance import node_names

if TYPE_CHECKING:
    import onnx

#: operators that engines merge into the layer before them, where what lies between cannot be seen
_MERGED = frozenset({"Relu", "Clip", "LeakyRelu", "HardSwish", "Sigmoid"})
_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_FLOATS = ("float16", "float32", "float64", "bfloat16", "unknown")


@dataclass(frozen=True)
class Match:
    """A tensor of the source and what stands for it; `inputs` are the nearest matched tensors before it."""

    tensor: str
    other: str
    node: str
    operator: str
    other_node: str
    inputs: tuple[str, ...] = ()


def match_tensors(
    source: Artifact, variant: Artifact, provenance: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[list[Match], dict[str, list[str]]]:
    """Match the float tensors that nodes of both main graphs make.

    They are matched by name, else by a node of the same name and operator, else by provenance: a
    variant's node whose last origin makes a tensor that nothing else stands for. Where a variant rounds
    a tensor (QuantizeLinear, then DequantizeLinear) the rounded one is taken: later layers read that
    one, and watching the other would keep engines from fusing the layer as they do.

    Parameters
    ----------
    provenance
        Nodes of the variant to nodes of the source.

    Returns
    -------
    tuple
        The matches in the source's order, and the source's nodes without one by the reason.
    """
    before, after = (read_light_proto(item.path) for item in (source, variant))
    old, new = _Graph(before), _Graph(after)
    pairs = {name: name for name in old.makers if name in new.makers and old.floats(name)}
    _by_node(pairs, old, new)
    _by_provenance(pairs, old, new, provenance or {})
    refused: dict[str, list[str]] = defaultdict(list)
    found: dict[str, Match] = {}
    for tensor, index in old.makers.items():
        node = before.graph.node[index]
        name = old.names[index]
        if node.op_type == "Constant" or not old.floats(tensor):
            continue
        if tensor not in pairs:
            refused["the variant has no tensor that stands for its output"].append(name)
            continue
        other = new.rounded(pairs[tensor])
        if other == pairs[tensor] and new.is_merged(other):
            refused["engines compute it together with the activation behind it"].append(name)
            continue
        found[tensor] = Match(tensor, other, name, node.op_type, new.names[new.makers[pairs[tensor]]])
    return [_with_inputs(match, old, found) for match in found.values()], dict(refused)


class _Graph:
    """A main graph with what it makes and who reads it."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.graph = proto.graph
        self.names = node_names(proto.graph)
        self.makers = {out: index for index, node in enumerate(proto.graph.node) for out in node.output if out}
        self.readers: dict[str, list[int]] = defaultdict(list)
        for index, node in enumerate(proto.graph.node):
            for name in node.input:
                self.readers[name].append(index)
        self._types = tensor_types(proto)
        self._outputs = {value.name for value in proto.graph.output}

    def floats(self, tensor: str) -> bool:
        """Say whether a tensor is of floats, as far as is known."""
        value = self._types.get(tensor)
        return value is None or dtype_name(value.type.tensor_type.elem_type) in _FLOATS

    def rounded(self, tensor: str) -> str:
        """Give the dequantized tensor behind a tensor that only a QuantizeLinear reads; else itself."""
        readers = [self.graph.node[index] for index in self.readers[tensor]]
        if tensor in self._outputs or not readers or {node.op_type for node in readers} != {"QuantizeLinear"}:
            return tensor
        after = [self.graph.node[index] for index in self.readers[readers[0].output[0]]]
        return next((node.output[0] for node in after if node.op_type == "DequantizeLinear"), tensor)

    def is_merged(self, tensor: str) -> bool:
        """Say whether a layer's tensor goes into an activation alone, in a graph that is quantized around it."""
        maker = self.graph.node[self.makers[tensor]]
        readers = [self.graph.node[index] for index in self.readers[tensor]]
        if maker.op_type not in _LAYERS or len(readers) != 1 or readers[0].op_type not in _MERGED:
            return False
        made = self.makers.get(maker.input[0])
        quantized = made is not None and self.graph.node[made].op_type == "DequantizeLinear"
        return quantized and tensor not in self._outputs


def _by_node(pairs: dict[str, str], old: _Graph, new: _Graph) -> None:
    """Match outputs of nodes of the same name and operator."""
    known = {name: index for index, name in enumerate(new.names)}
    taken = set(pairs.values())
    for tensor, index in old.makers.items():
        node, at = old.graph.node[index], known.get(old.names[index])
        if tensor in pairs or at is None or not old.floats(tensor) or new.graph.node[at].op_type != node.op_type:
            continue
        place = list(node.output).index(tensor)
        if place < len(new.graph.node[at].output) and (other := new.graph.node[at].output[place]) not in taken:
            pairs[tensor] = other


def _by_provenance(pairs: dict[str, str], old: _Graph, new: _Graph, provenance: Mapping[str, tuple[str, ...]]) -> None:
    """Match the output of the last node of an origin with the last node that came from it."""
    position = {name: index for index, name in enumerate(old.names)}
    taken = set(pairs.values())
    for index, name in enumerate(new.names):
        origins = [position[origin] for origin in provenance.get(name, ()) if origin in position]
        if not origins or not new.graph.node[index].output:
            continue
        last, other = old.graph.node[max(origins)], new.graph.node[index].output[0]
        tensor = last.output[0] if last.output else ""
        if (
            tensor
            and old.floats(tensor)
            and new.floats(other)
            and other not in taken
            and tensor not in _named(pairs, new)
        ):
            pairs[tensor] = other


def _named(pairs: Mapping[str, str], new: _Graph) -> set[str]:
    return {tensor for tensor, other in pairs.items() if tensor == other and tensor in new.makers}


def _with_inputs(match: Match, old: _Graph, found: Mapping[str, Match]) -> Match:
    """Find the nearest matched tensors before a tensor."""
    ends: dict[str, None] = {}
    seen = {match.tensor}
    stack = list(old.graph.node[old.makers[match.tensor]].input)
    while stack:
        name = stack.pop()
        if name in seen or name not in old.makers:
            continue
        seen.add(name)
        if name in found:
            ends[name] = None
        else:
            stack.extend(old.graph.node[old.makers[name]].input)
    return Match(match.tensor, match.other, match.node, match.operator, match.other_node, tuple(ends))

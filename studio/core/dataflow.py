"""What flows between the nodes of a graph: buffers with their bytes, who makes and who reads them.

Memory depends on the order of execution: a buffer is held from the node that makes it until the last
one that reads it. Operators that only look at their input anew (Reshape and the like) share its buffer,
as engines do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.core.modelinfo import tensor_info, with_fixed_dims
from studio.core.provenance import node_names
from studio.core.validity import captured

if TYPE_CHECKING:
    import onnx

#: IR version from which on a weight that is listed as an input may be fed
LISTED = 4
#: operators whose result is their first input under another shape
VIEWS = frozenset(["Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"])


@dataclass(frozen=True)
class Dataflow:
    """The main graph of a model, for planning its memory. Nodes and buffers are numbered.

    Inputs belong to the caller; weights, and what depends on constants alone, to the model: they are not
    counted, and neither is what happens inside a subgraph.

    Attributes
    ----------
    names
        Name of each node, by `provenance.node_names`, in the order of the file.
    tensors
        The tensor that each buffer is named after.
    sizes
        Bytes of each buffer; 0 where they are not known.
    makes, reads
        Buffers that each node makes and reads.
    needs
        Nodes that each node must follow.
    kept
        Buffers that are held to the end, for they are outputs.
    unknown
        Tensors whose size is not known.
    assumed
        Sizes taken for dynamic dimensions.
    """

    names: tuple[str, ...]
    tensors: tuple[str, ...]
    sizes: tuple[int, ...]
    makes: tuple[tuple[int, ...], ...]
    reads: tuple[tuple[int, ...], ...]
    needs: tuple[tuple[int, ...], ...]
    kept: frozenset[int]
    unknown: tuple[str, ...] = ()
    assumed: Mapping[str, int] | None = None


def read_dataflow(proto: onnx.ModelProto, dims: Mapping[str, int] | None = None) -> Dataflow:
    """Read the dataflow of a model.

    Parameters
    ----------
    dims
        Sizes of dynamic dimensions, as for `modelinfo.with_fixed_dims`.
    """
    fixed, assumed = with_fixed_dims(proto, dims or {})
    known = _tensor_bytes(fixed)
    graph = fixed.graph
    constant = _constants(fixed)
    makers = {out: index for index, node in enumerate(graph.node) for out in node.output if out}
    buffers: dict[str, int] = {}
    tensors: list[str] = []
    makes: list[tuple[int, ...]] = []
    reads: list[tuple[int, ...]] = []
    needs: list[tuple[int, ...]] = []
    for node in graph.node:
        sources = dict.fromkeys(name for name in (*node.input, *captured(node)) if name in makers)
        needs.append(tuple(dict.fromkeys(makers[name] for name in sources)))
        reads.append(tuple(dict.fromkeys(buffers[name] for name in sources if name in buffers)))
        if node.op_type in VIEWS and node.domain in ("", "ai.onnx") and node.input and node.input[0] in buffers:
            buffers[node.output[0]] = buffers[node.input[0]]
            makes.append(())
            continue
        fresh = [out for out in node.output if out and out not in constant]
        buffers.update((out, len(tensors) + place) for place, out in enumerate(fresh))
        makes.append(tuple(range(len(tensors), len(tensors) + len(fresh))))
        tensors.extend(fresh)
    return Dataflow(
        names=tuple(node_names(graph)),
        tensors=tuple(tensors),
        sizes=tuple(known.get(name, 0) for name in tensors),
        makes=tuple(makes),
        reads=tuple(reads),
        needs=tuple(needs),
        kept=frozenset(buffers[value.name] for value in graph.output if value.name in buffers),
        unknown=tuple(name for name in tensors if name not in known),
        assumed=assumed,
    )


def lifetimes(flow: Dataflow, order: Sequence[int]) -> list[tuple[int, int]]:
    """Give for each buffer the steps of an order at which it is first and last held."""
    first, last = [0] * len(flow.sizes), [0] * len(flow.sizes)
    for step, node in enumerate(order):
        for buffer in flow.makes[node]:
            first[buffer] = last[buffer] = step
        for buffer in flow.reads[node]:
            last[buffer] = step
    for buffer in flow.kept:
        last[buffer] = len(order) - 1
    return list(zip(first, last, strict=True))


def peak_bytes(flow: Dataflow, order: Sequence[int]) -> int:
    """Give the most bytes that are held at any step of an order: no plan of the memory can do with less."""
    change = [0] * (len(order) + 1)
    for (first, last), size in zip(lifetimes(flow, order), flow.sizes, strict=True):
        change[first] += size
        change[last + 1] -= size
    held = peak = 0
    for delta in change:
        held += delta
        peak = max(peak, held)
    return peak


def least_bytes(flow: Dataflow) -> int:
    """Give a bound that no order can go below: what a node reads and makes is held at once, and so are all outputs."""
    touched = (set(made) | set(read) for made, read in zip(flow.makes, flow.reads, strict=True))
    most = max((sum(flow.sizes[buffer] for buffer in buffers) for buffers in touched), default=0)
    return max(most, sum(flow.sizes[buffer] for buffer in flow.kept))


def _constants(proto: onnx.ModelProto) -> set[str]:
    """List the tensors that depend on constants alone: engines compute them once, on load."""
    graph = proto.graph
    weights = {item.name for item in graph.initializer}
    if proto.ir_version >= LISTED:
        weights -= {value.name for value in graph.input}
    found: set[str] = set()
    for node in graph.node:
        if node.op_type.startswith("Random") or list(captured(node)):
            continue
        if all(name in weights or name in found for name in node.input if name):
            found.update(node.output)
    return found - {value.name for value in graph.output}


def _tensor_bytes(proto: onnx.ModelProto) -> dict[str, int]:
    import onnx
    import onnx_ir as ir

    try:
        graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
    except Exception:  # inference is best effort: what it does not find is listed as unknown
        graph = proto.graph
    found = {}
    for value in (*graph.value_info, *graph.output):
        shape = tensor_info(value).shape
        sizes = [size for size in shape or () if isinstance(size, int)]
        if shape is None or len(sizes) < len(shape):
            continue
        try:
            bits = ir.DataType(value.type.tensor_type.elem_type).bitwidth
        except (ValueError, TypeError):  # strings have no fixed size
            continue
        found[value.name] = math.ceil(math.prod(sizes) * bits / 8)
    return found

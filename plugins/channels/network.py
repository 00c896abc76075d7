"""A network as a line of nodes that can be run from any tensors to any others, with weights that change."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import onnx
import onnx_ir as ir

from studio.api import LoadedModel, PassContext, write_proto

if TYPE_CHECKING:
    from numpy.typing import NDArray

Arrays = Mapping[str, "NDArray[Any]"]


class Line:
    """The nodes of a model's main graph in order, and what they read and write.

    Attributes
    ----------
    nodes
        The main graph's nodes but for constants.
    made
        Tensor to the position of the node that makes it; inputs of the graph are not in it.
    readers
        Tensor to the positions of the nodes that read it, from inside subgraphs too.
    """

    def __init__(self, model: ir.Model) -> None:
        self.model = model
        self.constants: dict[str, ir.TensorProtocol] = {
            name: value.const_value for name, value in model.graph.initializers.items() if value.const_value is not None
        }
        self.nodes: list[ir.Node] = []
        for node in model.graph:
            tensor = _constant(node)
            if tensor is not None:
                self.constants[str(node.outputs[0].name)] = tensor
            else:
                self.nodes.append(node)
        self.reads = [tuple(dict.fromkeys(_reads(node))) for node in self.nodes]
        self.made = {str(out.name): place for place, node in enumerate(self.nodes) for out in node.outputs if out.name}
        self.inputs = [str(value.name) for value in model.graph.inputs if value.name not in self.constants]
        self.outputs = [str(value.name) for value in model.graph.outputs]
        self.readers: dict[str, list[int]] = {}
        for place, names in enumerate(self.reads):
            for name in names:
                self.readers.setdefault(name, []).append(place)
        self._protos: dict[int, onnx.NodeProto] = {}

    def live(self, position: int) -> list[str]:
        """List the tensors that the nodes from a position on, or the caller, read of what stands before it."""
        found = [name for name in self.inputs if any(place >= position for place in self.readers.get(name, ()))]
        for name, place in self.made.items():
            later = name in self.outputs or any(reader >= position for reader in self.readers.get(name, ()))
            if place < position and later:
                found.append(name)
        return found

    def needed(self, wanted: Iterable[str], given: Iterable[str]) -> tuple[list[int], list[str]]:
        """Give the nodes between the given tensors and the wanted ones, and which of the given are used."""
        known, used = set(given), dict[str, None]()
        places: set[int] = set()
        stack = list(wanted)
        while stack:
            name = stack.pop()
            if name in known:
                used[name] = None
                continue
            place = self.made.get(name)
            if place is not None and place not in places:
                places.add(place)
                stack.extend(self.reads[place])
        return sorted(places), [name for name in dict.fromkeys(given) if name in used]

    def depends(self, name: str, on: str) -> bool:
        """Say whether a tensor is computed from another one."""
        places, _ = self.needed([name], [])
        return name == on or self.made.get(on, -1) in places

    def proto(self, place: int) -> onnx.NodeProto:
        """Give a node as it is written."""
        if place not in self._protos:
            self._protos[place] = ir.to_proto(self.nodes[place])
        return self._protos[place]


@dataclass
class Network:
    """A line of nodes with weights of its own.

    Attributes
    ----------
    changed
        Constants that are not what the model says, by name.
    """

    line: Line
    context: PassContext
    changed: dict[str, NDArray[Any]] = field(default_factory=dict)

    def copy(self, changed: Arrays) -> Network:
        """Give the same network with some further constants changed."""
        return Network(self.line, self.context, {**self.changed, **changed})

    @contextmanager
    def part(self, wanted: Sequence[str], sample: Arrays) -> Iterator[Part]:
        """Load what computes some tensors from given ones.

        Parameters
        ----------
        sample
            The given tensors, as they will come: their types are taken from it.
        """
        places, used = self.line.needed(wanted, sample)
        made = [name for name in wanted if name not in sample]
        with ExitStack() as stack:
            model = None
            if made:
                folder = Path(mkdtemp(prefix="part-", dir=self.context.workdir))
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
                artifact = write_proto(self._proto(places, used, made, sample), folder / "part.onnx")
                assert self.context.engine is not None
                model = stack.enter_context(self.context.engine.load(artifact))
            yield Part(model, tuple(used), tuple(made), tuple(name for name in wanted if name in sample))

    def _proto(
        self, places: Sequence[int], used: Sequence[str], made: Sequence[str], sample: Arrays
    ) -> onnx.ModelProto:
        line = self.line
        read = dict.fromkeys(name for place in places for name in line.reads[place])
        graph = onnx.GraphProto(name="part")
        graph.node.extend(line.proto(place) for place in places)
        graph.initializer.extend(self._tensor(name) for name in read if name in line.constants and name not in used)
        for name in used:
            array = sample[name]
            dims = [f"{name}:{axis}" for axis in range(array.ndim)]
            kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            graph.input.append(onnx.helper.make_tensor_value_info(name, kind, dims))
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
        model = line.model
        proto = onnx.ModelProto(ir_version=model.ir_version or 8, graph=graph)
        proto.opset_import.extend(
            onnx.OperatorSetIdProto(domain=domain, version=version) for domain, version in model.opset_imports.items()
        )
        proto.functions.extend(ir.to_proto(function) for function in model.functions.values())
        return proto

    def _tensor(self, name: str) -> onnx.TensorProto:
        if name in self.changed:
            return onnx.numpy_helper.from_array(self.changed[name], name)
        tensor = ir.to_proto(_inside(self.line.constants[name]))
        tensor.name = name
        return tensor


@dataclass(frozen=True)
class Part:
    """A loaded part of a network."""

    model: LoadedModel | None
    inputs: tuple[str, ...]
    made: tuple[str, ...]
    passed: tuple[str, ...]

    def run(self, given: Arrays) -> dict[str, NDArray[Any]]:
        """Compute the tensors that were wanted."""
        found = {} if self.model is None else self.model.run({name: given[name] for name in self.inputs})
        return {**{name: found[name] for name in self.made}, **{name: given[name] for name in self.passed}}


def _constant(node: ir.Node) -> ir.TensorProtocol | None:
    attribute = node.attributes.get("value") if node.op_type == "Constant" and node.domain == "" else None
    return attribute.as_tensor() if attribute is not None and not attribute.is_ref() else None


def _inside(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    """Give a tensor whose bytes are written into the model, whatever holds them now."""
    if isinstance(tensor, ir.ExternalTensor):
        return ir.Tensor(tensor.numpy(), dtype=tensor.dtype, name=tensor.name)
    return tensor


def _reads(node: ir.Node) -> Iterator[str]:
    """List what a node reads, its subgraphs' outer values included."""
    yield from (str(value.name) for value in node.inputs if value is not None and value.name)
    for attribute in node.attributes.values():
        if attribute.is_ref():
            continue
        graphs = (
            [attribute.as_graph()]
            if attribute.type == ir.AttributeType.GRAPH
            else list(attribute.as_graphs())
            if attribute.type == ir.AttributeType.GRAPHS
            else []
        )
        for graph in graphs:
            own = {str(value.name) for value in (*graph.inputs, *graph.initializers.values())}
            own |= {str(value.name) for child in graph for value in child.outputs}
            for child in graph:
                yield from (name for name in _reads(child) if name not in own)
            yield from (str(value.name) for value in graph.outputs if value.name not in own)

"""Run a model over a few samples piece by piece, so that what one layer gives can be looked at and changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .finish import open_session

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

Arrays = dict[str, "NDArray[Any]"]


class Stages:
    """A model cut at some tensors; only what those depend on is run, and each node once.

    The tensors that later pieces need are held for all samples: give few.

    Parameters
    ----------
    path
        The model, its nodes sorted, its weights in files beside it; the pieces are written there too.
    cuts
        Tensors, each made after those before it.
    batches
        The samples, as feeds of one inference each.
    """

    def __init__(self, path: Path, cuts: Sequence[str], batches: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        import onnx

        self._path = path
        self._model = onnx.load(str(path), load_external_data=False)
        self._weights = {item.name: item for item in self._model.graph.initializer}
        self._held: list[Arrays] = [dict(batch) for batch in batches]
        self._pieces = _pieces(self._model.graph, cuts)
        self._last_use = _last_uses(self._pieces)
        self._at = 0

    def run(self, changed: Mapping[str, onnx.TensorProto] | None = None) -> list[NDArray[Any]]:
        """Run up to the next cut; gives its tensor for each batch, which may be changed in place.

        Parameters
        ----------
        changed
            Weights to use instead of the model's from now on.
        """
        if changed:
            self._weights |= changed
        cut, nodes = self._pieces[self._at]
        inputs, outputs = self._edges(cut, nodes)
        if nodes:
            session: Any = self._session(nodes, inputs, outputs)
            for held in self._held:
                found = session.run(outputs, {name: held[name] for name in inputs})
                held.update(zip(outputs, found, strict=True))
            del session
        found = [held[cut] for held in self._held]
        self._at += 1
        for held in self._held:
            for name in [name for name in held if self._last_use.get(name, -1) < self._at]:
                del held[name]
        return found

    def replace(self, name: str, arrays: Sequence[NDArray[Any]]) -> None:
        """Give later pieces other values of a tensor."""
        for held, array in zip(self._held, arrays, strict=True):
            if name in held:
                held[name] = array

    def _edges(self, cut: str, nodes: Sequence[onnx.NodeProto]) -> tuple[list[str], list[str]]:
        made = {out for node in nodes for out in node.output if out}
        read = {name for node in nodes for name in reads(node)}
        inputs = sorted(name for name in read - made if name not in self._weights)
        outputs = [out for out in sorted(made) if out == cut or self._last_use.get(out, -1) > self._at]
        return inputs, outputs

    def _session(self, nodes: Sequence[onnx.NodeProto], inputs: Sequence[str], outputs: Sequence[str]) -> object:
        import onnx

        graph = onnx.GraphProto(name="piece")
        graph.node.extend(nodes)
        graph.initializer.extend(
            self._weights[name] for name in {name for node in nodes for name in reads(node)} if name in self._weights
        )
        for name in inputs:
            kind = onnx.helper.np_dtype_to_tensor_dtype(self._held[0][name].dtype)
            graph.input.append(onnx.helper.make_tensor_value_info(name, kind, None))
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
        model = onnx.ModelProto(ir_version=self._model.ir_version, graph=graph)
        model.opset_import.extend(self._model.opset_import)
        model.functions.extend(self._model.functions)
        path = self._path.with_name("piece.onnx")
        path.write_bytes(model.SerializeToString())
        return open_session(path, lean=True)


def reads(node: onnx.NodeProto) -> set[str]:
    """Name all tensors that a node reads, those that its subgraphs capture included."""
    found = {name for name in node.input if name}
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            inner = {name for item in graph.node for name in reads(item)} | {value.name for value in graph.output}
            own = {out for item in graph.node for out in item.output}
            own |= {value.name for value in graph.input} | {item.name for item in graph.initializer}
            found |= inner - own
    return found


def _pieces(graph: onnx.GraphProto, cuts: Sequence[str]) -> list[tuple[str, list[onnx.NodeProto]]]:
    """Give for each cut the nodes that it needs and no earlier one did, in the graph's order."""
    makers = {out: index for index, node in enumerate(graph.node) for out in node.output if out}
    done: set[int] = set()
    pieces = []
    for cut in cuts:
        needed: set[int] = set()
        stack = [makers[cut]] if cut in makers else []
        while stack:
            index = stack.pop()
            if index in done or index in needed:
                continue
            needed.add(index)
            stack.extend(makers[name] for name in reads(graph.node[index]) if name in makers)
        done |= needed
        pieces.append((cut, [graph.node[index] for index in sorted(needed)]))
    return pieces


def _last_uses(pieces: Sequence[tuple[str, Sequence[onnx.NodeProto]]]) -> dict[str, int]:
    """Give the last piece that reads each tensor."""
    return {name: index for index, (_, nodes) in enumerate(pieces) for node in nodes for name in reads(node)}


def few_batches(batches: Iterator[Mapping[str, NDArray[Any]]], most: int) -> list[Mapping[str, NDArray[Any]]]:
    """Take as many inferences as together have at most `most` samples, one at least."""
    found: list[Mapping[str, NDArray[Any]]] = []
    count = 0
    for batch in batches:
        count += len(next(iter(batch.values()), "1"))
        if found and count > most:
            break
        found.append(batch)
    return found

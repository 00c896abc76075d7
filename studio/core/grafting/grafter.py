"""Building models that are a source with some of its layers as variants have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studio.core.artifact import Artifact
from studio.core.errors import PassError
from studio.core.grafting.regions import Region, Regions, weighted_nodes
from studio.core.modelfile import read_model, write_model
from studio.core.scope import Scope

if TYPE_CHECKING:
    import onnx_ir as ir

#: the least IR version of opsets; 13 and 21 are what quantized operators need
_IR_VERSIONS = {13: 7, 21: 10}
_RAW = "float"


@dataclass(frozen=True)
class Scion:
    """A variant whose layers can be taken over; `label` marks what comes from it."""

    label: str
    artifact: Artifact


class Grafter:
    """Takes layers of variants over into their source.

    Parameters
    ----------
    source
        The model that the variants were made from.
    scions
        The variants; each must compute with the same values at the tensors that it shares with the
        source, which holds for changes of precision, rank or zeros, but not where values were rescaled.
    scope
        The layers to look at.

    Attributes
    ----------
    layers
        The source's layers in order.
    regions
        For each label, the regions that may be taken over, by the tensor that they make.
    refused
        For each label, the layers that cannot, by the reason.
    order
        Position of each tensor that nodes of the source make.
    """

    def __init__(self, source: Artifact, scions: Sequence[Scion], scope: Scope | None = None) -> None:
        self._artifact = source
        variants = {scion.label: _typed(read_model(scion.artifact)) for scion in scions}
        self._opset = max(model.opset_imports.get("", 0) for model in variants.values()) if variants else 0
        self._version = max((model.ir_version or 0 for model in variants.values()), default=0)
        self._domains = {key: value for model in variants.values() for key, value in model.opset_imports.items() if key}
        plain = _typed(self.source())
        self._types = {value.name: value.dtype for node in plain.graph for value in node.outputs}
        self._types |= {value.name: value.dtype for value in plain.graph.inputs}
        self.layers = tuple(weighted_nodes(plain, scope))
        self.regions: dict[str, dict[str, Region]] = {}
        self.refused: dict[str, dict[str, list[str]]] = {}
        self.order = {
            str(value.name): index for index, node in enumerate(plain.graph) for value in node.outputs if value.name
        }
        for label, model in variants.items():
            found, refused = Regions(plain, model, self.layers).find()
            self.regions[label] = {region.output: region for region in found}
            self.refused[label] = refused

    def source(self) -> ir.Model:
        """Read the source anew, in the opset that the variants need."""
        model = read_model(self._artifact)
        if model.opset_imports.get("", 0) < self._opset:
            model = _raised(model, self._opset)
        model.ir_version = max(model.ir_version or 0, self._version)
        for domain, version in self._domains.items():
            model.opset_imports.setdefault(domain, version)
        return model

    def owners(self, label: str) -> tuple[dict[str, str], dict[str, str]]:
        """Give the source's nodes, and a variant's, each with the tensor that its region makes."""
        regions = self.regions[label]
        old = {name: output for output, region in regions.items() for name in region.replaced}
        new = {str(node.name): output for output, region in regions.items() for node in region.nodes}
        return old, new

    def hybrid(self, chosen: Mapping[str, str], path: Path) -> Artifact:
        """Write the source with some regions taken over.

        Parameters
        ----------
        chosen
            Tensor that a region makes to the label of the variant.
        path
            The file to write; its folder is made.
        """
        model = self.source()
        bench = _Bench(model, self._types)
        for output in sorted(chosen, key=lambda name: self.order[name]):
            label = chosen[output]
            bench.replace(self.regions[label][output], label)
        _finish(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_model(model, path)

    def beside(self, label: str, path: Path) -> tuple[Artifact, dict[str, tuple[str, str]]]:
        """Write the source with every region of a variant beside what it stands for, both fed by the source.

        Returns
        -------
        tuple
            The model, and for each region's output the names of two scalar outputs: the energy of the
            region's error, and of the source's tensor.
        """
        model = self.source()
        bench = _Bench(model, self._types)
        del model.graph.outputs[:]
        named = {region.output: bench.compare(region, label) for region in self.regions[label].values()}
        _finish(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_model(model, path), named

    def energies(self, tensors: Sequence[str], path: Path) -> tuple[Artifact, dict[str, str]]:
        """Write the source with the energy of some tensors as its outputs; gives the outputs' names by tensor."""
        model = self.source()
        bench = _Bench(model, self._types)
        del model.graph.outputs[:]
        named = {tensor: bench.energy(tensor) for tensor in tensors}
        _finish(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_model(model, path), named


class _Bench:
    """One model under the knife."""

    def __init__(self, model: ir.Model, types: Mapping[str | None, ir.DataType | None]) -> None:
        self._model, self._graph, self._types = model, model.graph, types
        self._view: dict[str, ir.Value] = {str(v.name): v for node in model.graph for v in node.outputs if v.name}
        self._view |= {str(value.name): value for value in model.graph.inputs}
        self._memo: dict[tuple[str, str], ir.Value] = {}
        self._taken = set(self._view) | set(model.graph.initializers)
        self._fresh: list[ir.Node] = []

    def replace(self, region: Region, label: str) -> None:
        """Put a region in the place of what it stands for."""
        old = self._view[region.output]
        native = self._clone(region, label)
        self._memo[label, region.output] = native
        value = self._finished(region, label, native, keep=True)
        name = str(old.name)
        old.name = self._free(f"{name}.{_RAW}")
        value.name = name
        if old.type is not None:
            value.type = old.type
        value.shape = old.shape
        skip = {id(node) for node in self._fresh}
        for user, index in tuple(old.uses()):
            if id(user) not in skip:
                user.replace_input_with(index, value)
        for index, output in enumerate(self._graph.outputs):
            if output is old:
                self._graph.outputs[index] = value
        self._view[region.output] = value

    def compare(self, region: Region, label: str) -> tuple[str, str]:
        """Compute a region beside what it stands for; gives the names of the energies of error and signal."""
        import onnx_ir as ir

        mine = self._view[region.output]
        theirs = self._finished(region, label, self._clone(region, label), keep=False)
        # What reads this tensor next must read the source's own.
        self._memo.pop((label, region.output))
        dtype = self._types.get(region.output)
        if dtype != ir.DataType.FLOAT:
            mine, theirs = (self._cast(value, ir.DataType.FLOAT) for value in (mine, theirs))
        error = self._node("Sub", [mine, theirs], ir.DataType.FLOAT)
        return self._energy(error), self._energy(mine)

    def energy(self, tensor: str) -> str:
        """Give the sum of a tensor's squares as an output; gives its name."""
        import onnx_ir as ir

        value = self._view[tensor]
        known = self._types.get(tensor) == ir.DataType.FLOAT
        return self._energy(value if known else self._cast(value, ir.DataType.FLOAT))

    def _energy(self, value: ir.Value) -> str:
        import onnx_ir as ir

        result = self._node("ReduceSumSquare", [value], ir.DataType.FLOAT, keepdims=0)
        result.shape = ir.Shape([])
        self._graph.outputs.append(result)
        return str(result.name)

    def _clone(self, region: Region, label: str) -> ir.Value:
        """Copy a region's nodes; gives what it makes, in the variant's own type."""
        import onnx_ir as ir

        self._fresh = []
        inside = {value for node in region.nodes for value in node.outputs}
        for node in region.nodes:
            made = [(label, str(value.name)) for value in node.outputs if value.name]
            if all(key in self._memo for key in made) and not any(key[1] == region.output for key in made):
                continue
            inputs = [None if value is None else self._input(value, inside, label, region) for value in node.inputs]
            outputs = []
            for value in node.outputs:
                copy = ir.Value(name=self._free(f"{value.name}.{label}") if value.name else "", type=value.type)
                outputs.append(copy)
                if value.name:
                    self._memo[label, str(value.name)] = copy
            self._append(ir.Node(node.domain, node.op_type, inputs, node.attributes, outputs=outputs, name=node.name))
        return self._memo[label, region.output]

    def _input(self, value: ir.Value, inside: set[ir.Value], label: str, region: Region) -> ir.Value:
        key = (label, str(value.name))
        if value in inside or value.name in region.inputs:
            if key not in self._memo:
                self._memo[key] = self._adapted(self._view[str(value.name)], value.dtype)
            return self._memo[key]
        if key not in self._memo:
            assert value.const_value is not None
            self._memo[key] = self._constant(value.const_value, f"{value.name}.{label}")
        return self._memo[key]

    def _adapted(self, value: ir.Value, dtype: ir.DataType | None) -> ir.Value:
        """Cast a tensor of the source to the type that the variant has there."""
        mine = self._types.get(str(value.name))
        return value if dtype is None or mine is None or mine == dtype else self._cast(value, dtype)

    def _finished(self, region: Region, label: str, native: ir.Value, *, keep: bool) -> ir.Value:
        """Give what a region makes as the source's readers take it; `keep` what the label's next region may share."""
        quantized = self._quantized(region, label, native, keep=keep)
        if quantized is not None:
            return quantized
        wanted = self._types.get(region.output)
        if native.dtype is None or wanted is None or wanted == native.dtype:
            return native
        return self._cast(native, wanted)

    def _quantized(self, region: Region, label: str, native: ir.Value, *, keep: bool) -> ir.Value | None:
        """Quantize and dequantize what a region makes, where the variant does: engines fuse the three."""
        import onnx_ir as ir

        value = native
        for node in _rounding(region):
            key = (label, str(node.outputs[0].name))
            rest = [self._input(item, set(), label, region) if item is not None else None for item in node.inputs[1:]]
            result = ir.Value(name=self._free(f"{key[1]}.{label}"), type=node.outputs[0].type)
            self._append(
                ir.Node(node.domain, node.op_type, [value, *rest], node.attributes, outputs=[result], name=node.name)
            )
            value = result
            if keep:
                self._memo[key] = value
        return None if value is native else value

    def _constant(self, tensor: ir.TensorProtocol, name: str) -> ir.Value:
        import onnx_ir as ir

        free = self._free(name)
        shape, kind = ir.Shape([int(str(size)) for size in tensor.shape]), ir.TensorType(tensor.dtype)
        value = ir.Value(name=free, shape=shape, type=kind, const_value=tensor)
        self._graph.register_initializer(value)
        return value

    def _cast(self, value: ir.Value, dtype: ir.DataType) -> ir.Value:
        return self._node("Cast", [value], dtype, to=int(dtype))

    def _node(self, operator: str, inputs: Sequence[ir.Value], dtype: ir.DataType, **attributes: int) -> ir.Value:
        import onnx_ir as ir

        attached = [ir.AttrInt64(name, value) for name, value in attributes.items()]
        name = self._free(f"{inputs[0].name}.{operator.lower()}")
        output = ir.Value(name=name, type=ir.TensorType(dtype))
        self._append(ir.Node("", operator, inputs, attached, outputs=[output], name=name))
        return output

    def _append(self, node: ir.Node) -> None:
        self._graph.append(node)
        self._fresh.append(node)

    def _free(self, name: str) -> str:
        while name in self._taken:
            name += "'"
        self._taken.add(name)
        return name


def _rounding(region: Region) -> tuple[ir.Node, ...]:
    """Give the QuantizeLinear and DequantizeLinear that read a region's output in its variant, if there are."""
    made = next(value for node in region.nodes for value in node.outputs if value.name == region.output)
    if made.is_graph_output():
        return ()
    user = next((user for user, index in made.uses() if user.op_type == "QuantizeLinear" and index == 0), None)
    after = user.outputs[0].uses() if user is not None else ()
    back = next((last for last, _ in after if last.op_type == "DequantizeLinear"), None)
    return () if user is None or back is None else (user, back)


def _typed(model: ir.Model) -> ir.Model:
    import onnx_ir.passes.common as common

    try:
        return common.ShapeInferencePass()(model).model
    except Exception:  # inference is best effort: where a type stays unknown no cast is made
        return model


def _raised(model: ir.Model, opset: int) -> ir.Model:
    """Bring a model to a later opset.

    Raises
    ------
    PassError
        When it cannot be.
    """
    import onnx
    import onnx_ir as ir

    try:
        raised = ir.from_proto(onnx.version_converter.convert_version(ir.to_proto(model), opset))
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise PassError(
            f"The model cannot be converted to opset {opset}, which the variant has: {first}.",
            "Convert the source with graph.convert-opset first.",
        ) from error
    raised.ir_version = max(raised.ir_version or 0, *(v for k, v in _IR_VERSIONS.items() if k <= opset), 4)
    return raised


def _finish(model: ir.Model) -> None:
    """Drop what nothing reads, sort, and give every node a name of its own."""
    import onnx_ir.passes.common as common

    common.RemoveUnusedNodesPass()(model)
    model.graph.sort()
    seen: set[str] = set()
    for node, name in _names(model):
        while name in seen:
            name += "'"
        seen.add(name)
        node.name = name


def _names(model: ir.Model) -> Iterator[tuple[ir.Node, str]]:
    for node in model.graph:
        yield node, node.name or f"{node.op_type}:{node.outputs[0].name}"

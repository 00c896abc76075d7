"""Small constants that several nodes share get a copy for each, so that they do not tie layers together.

Exporters and clean-up passes let layers share equal vectors: zero biases, zero initial states. Matrices that
are shared stay so: they are meant to be the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from .sizes import constant, is_op, tensor_sizes


@dataclass
class Swap:
    """One use of a shared constant, and the copy that may take its place."""

    user: ir.Node
    index: int
    original: ir.Value
    copy: ir.Value


@dataclass
class Copies:
    """The copies of a model's shared vectors; they are in the model only between `put_in` and `take_out`."""

    model: ir.Model
    swaps: list[Swap] = field(default_factory=list)

    @classmethod
    def of(cls, model: ir.Model) -> Copies:
        """Find the shared vectors of a model; the first user keeps the original."""
        copies = cls(model)
        if (model.ir_version or 0) < 4:  # initializers had to be inputs then, and new inputs would be seen
            return copies
        values = [*model.graph.initializers.values(), *(node.outputs[0] for node in model.graph if _is_constant(node))]
        taken = {str(value.name) for node in model.graph for value in node.outputs} | set(model.graph.initializers)
        for value in values:
            uses = [use for use in value.uses() if use.node.graph is model.graph]
            inside = len(uses) == len(value.uses())
            if (
                len(uses) < 2
                or not inside
                or value.is_graph_output()
                or value.is_graph_input()
                or not _is_vector(value)
            ):
                continue
            for number, use in enumerate(uses[1:], start=2):
                name = f"{value.name}_copy{number}"
                while name in taken:
                    name += "'"
                taken.add(name)
                copies.swaps.append(Swap(use.node, use.idx, value, _copy(value, name)))
        return copies

    def put_in(self) -> None:
        """Let every user have a copy of its own."""
        for swap in self.swaps:
            swap.user.replace_input_with(swap.index, swap.copy)
            maker = swap.copy.producer()
            if maker is None:
                self.model.graph.register_initializer(swap.copy)
            else:
                self.model.graph.insert_before(swap.user, maker)

    def take_out(self) -> None:
        """Let the users share the originals again."""
        for swap in self.swaps:
            self._undo(swap)

    def settle(self) -> None:
        """Keep the copies that differ from their originals now, and take out the others."""
        for swap in self.swaps:
            if _same(swap.original, swap.copy):
                self._undo(swap)

    def _undo(self, swap: Swap) -> None:
        swap.user.replace_input_with(swap.index, swap.original)
        maker = swap.copy.producer()
        if maker is None:
            self.model.graph.initializers.pop(str(swap.copy.name), None)
        elif maker.graph is self.model.graph:
            self.model.graph.remove(maker)


def _is_constant(node: ir.Node) -> bool:
    return is_op(node, "Constant", "ConstantOfShape") and len(node.outputs) == 1


def _is_vector(value: ir.Value) -> bool:
    """Say whether at most one axis is longer than 1, or all that is stored of a constant is its shape."""
    node = value.producer()
    if node is not None and node.op_type == "ConstantOfShape":
        fill = node.attributes.get("value")
        return fill is None or fill.as_tensor().dtype.is_floating_point()
    tensor = constant(value)
    if tensor is None or tensor.size < 2:
        return False
    return tensor.dtype.is_floating_point() and sum(size > 1 for size in tensor_sizes(tensor)) == 1


def _copy(value: ir.Value, name: str) -> ir.Value:
    node, tensor = value.producer(), constant(value)
    if node is None or tensor is not None:
        assert tensor is not None
        kind, shape = ir.TensorType(tensor.dtype), ir.Shape(tensor_sizes(tensor))
        return ir.Value(name=name, const_value=tensor, type=kind, shape=shape)
    output = ir.Value(name=name, type=value.type, shape=value.shape)
    ir.Node("", node.op_type, node.inputs, node.attributes.values(), outputs=[output], name=f"{node.name}_{name}")
    return output


def _same(one: ir.Value, other: ir.Value) -> bool:
    first, second = one.producer(), other.producer()
    if second is None:
        return constant(one) is other.const_value
    return first is not None and list(first.inputs) == list(second.inputs)

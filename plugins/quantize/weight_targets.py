"""The weights that weight-only quantization stores in few bits, and why others stay."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from studio.api import Linear, Scope, Weight, left_alone

from .graph import constant, float_constant, is_standard, node_names
from .selection import WEIGHT_INPUT, integer, number

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

Kind = Literal["matmul", "gather", "conv"]
KNOWN = ("MatMul", "Gemm", "Gather", "Conv")
_KINDS: dict[str, Kind] = {"MatMul": "matmul", "Gemm": "matmul", "Gather": "gather", "Conv": "conv"}


@dataclass(frozen=True)
class Target:
    """A node whose weight is to be stored in few bits, as rows of inputs that are summed over.

    Attributes
    ----------
    holder
        The value that holds the weight; other targets may share it.
    inputs
        Length of a row: what a MatMul sums over, the width of an embedding, channels times kernel of a Conv.
    outputs
        Number of rows.
    transposed
        Whether the weight is stored as ``(inputs, outputs)``.
    factor
        What the weight is multiplied by (a Gemm's alpha).
    """

    node: ir.Node
    name: str
    kind: Kind
    holder: ir.Value
    tensor: ir.TensorProtocol
    inputs: int
    outputs: int
    transposed: bool
    factor: float

    @property
    def size(self) -> int:
        """Number of weights."""
        return self.inputs * self.outputs

    def rows(self, start: int, end: int) -> NDArray[Any]:
        """Read some rows, float32 ``(end - start, inputs)``, as they are stored (without the factor)."""
        import numpy as np

        array = self.tensor.numpy()
        part = array[:, start:end].T if self.transposed else array[start:end].reshape(end - start, self.inputs)
        return np.ascontiguousarray(part, dtype=np.float32)

    def linear(self) -> Linear:
        """Describe it as a layer, to observe what it takes."""
        found = Linear.of(Weight(self.node, self.name, 1, self.holder, self.tensor, inner=False))
        assert found is not None  # only matrices are targets
        return found


def find_targets(
    model: ir.Model, operators: Sequence[str], scope: Scope, least: int
) -> tuple[list[Target], dict[str, list[str]]]:
    """List what can be quantized in the main graph, and the nodes left alone by the reason; reads no weight."""
    found: list[Target] = []
    refused: dict[str, list[str]] = defaultdict(list)
    for node, name in node_names(model.graph).items():
        if node.op_type not in operators or not is_standard(node) or not scope.selects(name, node.op_type):
            continue
        result = _target(node, name)
        if isinstance(result, Target):
            if result.size >= least:
                found.append(result)
        elif result:
            refused[result].append(name)
    return _without_float_readers(found, refused), dict(refused)


def reasons(refused: dict[str, list[str]]) -> tuple[str, ...]:
    """Say which nodes were left alone; the first few by name."""
    shown = {
        reason: [*names[:3], *([f"{len(names) - 3} more"] if len(names) > 3 else [])]
        for reason, names in refused.items()
    }
    return left_alone(shown)


def _target(node: ir.Node, name: str) -> Target | str:
    """Describe a node's weight, or say why it stays; empty when that is not worth a word."""
    index = WEIGHT_INPUT[node.op_type]
    holder = node.inputs[index] if len(node.inputs) > index else None
    tensor = float_constant(holder)
    if holder is None or tensor is None:
        return _why_no_weight(node, index)
    shape = tuple(int(str(size)) for size in tensor.shape)
    if holder.is_graph_output():
        return "its weight is an output of the model"
    why_not = _why_not(node, shape)
    if why_not:
        return why_not
    kind = _KINDS[node.op_type]
    if kind == "conv":
        return Target(node, name, kind, holder, tensor, math.prod(shape[1:]), shape[0], False, 1.0)
    transposed = kind == "matmul" and not integer(node, "transB", 0)
    inputs, outputs = shape if transposed else shape[::-1]
    return Target(node, name, kind, holder, tensor, inputs, outputs, transposed, number(node, "alpha", 1.0))


def _why_no_weight(node: ir.Node, index: int) -> str:
    if node.op_type == "Gather":
        return ""
    if constant(node.inputs[index] if len(node.inputs) > index else None) is not None:
        return "its weight is not float32"
    if node.op_type == "MatMul":  # attention multiplies two activations: no word about that
        return "its weight is the left operand" if float_constant(node.inputs[0]) is not None else ""
    return "its weight is computed"


def _why_not(node: ir.Node, shape: tuple[int, ...]) -> str:
    if node.op_type == "Conv":
        return "" if len(shape) > 2 else "its weight is not a kernel"
    if node.op_type == "Gather":
        return "" if len(shape) == 2 and integer(node, "axis", 0) == 0 else "it does not pick rows of a table"
    if len(shape) != 2:
        return "its weight is a stack of matrices" if len(shape) > 2 else "its weight is a vector"
    given = node.inputs[0]
    if given is not None and given.shape is not None and len(given.shape) < 2:
        return "its input is a vector"
    if node.op_type == "Gemm" and integer(node, "transA", 0):
        return "it transposes its input"
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None and number(node, "beta", 1.0) != 1.0 and float_constant(bias) is None:
        return "it scales a computed bias"
    return ""


def _without_float_readers(found: list[Target], refused: dict[str, list[str]]) -> list[Target]:
    """Drop targets whose weight another node needs in float: storing it twice would save nothing."""
    nodes = {target.node for target in found}
    kept = []
    for target in found:
        index = WEIGHT_INPUT[target.node.op_type]
        if all(user in nodes and at == index for user, at in target.holder.uses()):
            kept.append(target)
        else:
            refused["its weight is shared with a node that keeps it in float"].append(target.name)
    return kept if len(kept) == len(found) else _without_float_readers(kept, refused)

"""Which nodes a quantization would touch: the same answer for the survey and for the work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from studio.api import Scope, UsageError, nearest

from .graph import constant, float_constant, is_float, is_standard, node_names

if TYPE_CHECKING:
    import onnx_ir as ir

#: operator to the index of its weights
WEIGHT_INPUT = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1, "LSTM": 1, "Gather": 0}
#: operators that ONNX Runtime merges into the quantization of their input
ACTIVATIONS = ("Relu", "Clip")
#: operators that only move values: quantized when their input is
MOVERS = ("MaxPool", "AveragePool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze")
#: operators that combine or average values
GLUE = ("Add", "Mul", "GlobalAveragePool", "Concat")


@dataclass(frozen=True)
class Selection:
    """Nodes to quantize, in the graph's order.

    Attributes
    ----------
    nodes
        Node to its name.
    skipped
        Why nodes that were asked for are left in float: name to reason.
    """

    nodes: dict[ir.Node, str]
    skipped: dict[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the nodes."""
        return tuple(self.nodes.values())

    def weights(self) -> dict[str, ir.TensorProtocol]:
        """Give each distinct weight that becomes 8-bit, by the name of its value."""
        found: dict[str, ir.TensorProtocol] = {}
        for node in self.nodes:
            index = WEIGHT_INPUT.get(node.op_type)
            for at in () if index is None else (index, 2) if node.op_type == "LSTM" else (index,):
                tensor = float_constant(node.inputs[at])
                if tensor is not None:
                    found[str(node.inputs[at].name)] = tensor  # type: ignore[union-attr]
        return found


#: a selection of no node
NOTHING = Selection({}, {})


def check_operators(operators: Iterable[str], known: Iterable[str], owner: str) -> None:
    """Refuse operators that the pass does not know.

    Raises
    ------
    UsageError
        With the nearest name.
    """
    choices = tuple(known)
    for name in operators:
        if name not in choices:
            raise UsageError(f"{owner} cannot quantize the operator {name!r}.", nearest(name, choices))


def select(
    graph: ir.Graph, operators: Iterable[str], scope: Scope, why_not: Callable[[ir.Node], str | None]
) -> Selection:
    """Select the nodes of the main graph that a pass can quantize.

    Parameters
    ----------
    graph
        The main graph.
    operators
        Operators to look at.
    scope
        The nodes that may be touched.
    why_not
        Says why a node cannot be quantized; empty when it can, None when that is not worth a word.
    """
    wanted = set(operators)
    nodes: dict[ir.Node, str] = {}
    skipped: dict[str, str] = {}
    for node, name in node_names(graph).items():
        if node.op_type not in wanted or not is_standard(node) or not scope.selects(name, node.op_type):
            continue
        reason = why_not(node)
        if reason == "":
            nodes[node] = name
        elif reason is not None:
            skipped[name] = reason
    return Selection(nodes, skipped)


class StaticRule:
    """Why a node cannot be quantized statically; asked in the graph's order.

    It follows ONNX Runtime's QDQ quantizer: operators that only move values, and activations, are
    quantized when their input already is.
    """

    def __init__(
        self, *, activation_matmul: bool, float_outputs: Collection[str] = (), patch_embedding: bool = True
    ) -> None:
        self._activation_matmul = activation_matmul
        self._float_outputs = frozenset(float_outputs)
        self._patch_embedding = patch_embedding
        self._quantized: set[ir.Value] = set()

    def __call__(self, node: ir.Node) -> str | None:
        """Give the reason; empty when the node can be quantized, None when it is not worth a word."""
        reason = self._judge(node)
        if reason == "":
            made = () if node.op_type in self._float_outputs else node.outputs
            values = (*(node.inputs[:1] if node.op_type in MOVERS else node.inputs), *made)
            self._quantized.update(value for value in values if value is not None and constant(value) is None)
        return reason

    def _judge(self, node: ir.Node) -> str | None:
        if node.op_type in ACTIVATIONS:
            return "" if node.inputs[0] in self._quantized and passes_zero(node) else None
        if node.op_type in MOVERS:
            return "" if node.inputs[0] in self._quantized and len(node.outputs) == 1 else None
        if node.op_type in GLUE:
            usable = all(is_float(value) and not _empty(value) for value in node.inputs)
            return "" if usable and not _feeds_softmax(node) else None
        if not (is_float(node.inputs[0]) and is_float(node.outputs[0])):
            return "its input is not float32, or its type cannot be inferred"
        if node.op_type == "MatMul":
            return self._matmul(node)
        if float_constant(node.inputs[1]) is None:
            return "its weights are not a float32 constant"
        if not self._patch_embedding and embeds_patches(node):
            return "it cuts a picture into patches, which OpenVINO computes wrongly in 8 bits with a dynamic batch"
        return self._bias(node)

    def _matmul(self, node: ir.Node) -> str:
        weight = float_constant(node.inputs[1])
        if weight is not None:
            return "" if len(weight.shape) >= 2 else "its weights have one dimension only"
        if not self._activation_matmul:
            return "it multiplies two activations"
        computed = all(is_float(value) and constant(value) is None for value in node.inputs)
        return "" if computed else "its inputs are not two float32 activations"

    def _bias(self, node: ir.Node) -> str:
        """Only a bias of one value for each output channel keeps its meaning when quantized."""
        bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
        if bias is None:
            return ""
        shape = tuple(size for size in bias.shape if isinstance(size, int))
        channels = output_channels(node)
        if shape in ((channels,), (1, channels)):
            return ""
        return "its bias is not one value for each channel"


def output_channels(node: ir.Node) -> int:
    """Give the output channels of a Conv, ConvTranspose or Gemm with constant weights."""
    weight = float_constant(node.inputs[1])
    shape: tuple[int, ...] = () if weight is None else weight.numpy().shape
    if node.op_type == "Conv":
        return shape[0]
    if node.op_type == "ConvTranspose":
        return shape[1] * integer(node, "group", 1)
    return shape[0] if integer(node, "transB", 0) else shape[1]


def embeds_patches(node: ir.Node) -> bool:
    """Say whether a Conv cuts the model's picture into patches that do not overlap, for a transformer."""
    given, graph = node.inputs[0], node.graph
    if node.op_type != "Conv" or given is None or not given.is_graph_input() or graph is None:
        return False
    kernel, strides = (node.attributes.get(name) for name in ("kernel_shape", "strides"))
    if kernel is None or strides is None or tuple(kernel.as_ints()) != tuple(strides.as_ints()):
        return False
    return max(strides.as_ints()) > 1 and any(has_attention(other) for other in graph)


def has_attention(node: ir.Node) -> bool:
    """Say whether a node is the Softmax of an attention, or an attention in one."""
    if node.op_type in ("Attention", "MultiHeadAttention", "GroupQueryAttention"):
        return True
    return node.op_type == "Softmax" and any(user.op_type == "MatMul" for user, _ in node.outputs[0].uses())


def passes_zero(node: ir.Node) -> bool:
    """Say whether a Relu or Clip leaves zero alone; only then does a quantized range stand for it."""
    if node.op_type == "Relu":
        return True
    low, high = (_bound(node, name, index) for name, index in (("min", 1), ("max", 2)))
    return (low is None or low <= 0) and (high is None or high >= 0)


def integer(node: ir.Node, name: str, default: int) -> int:
    """Give an integer attribute."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def number(node: ir.Node, name: str, default: float) -> float:
    """Give a float attribute."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_float()


def _bound(node: ir.Node, name: str, index: int) -> float | None:
    """Give a bound of a Clip: an attribute before opset 11, an input since; NaN when it is computed."""
    if name in node.attributes:
        return number(node, name, 0.0)
    if len(node.inputs) <= index or node.inputs[index] is None:
        return None
    tensor = constant(node.inputs[index])
    return float("nan") if tensor is None else float(tensor.numpy().reshape(-1)[0])


def _feeds_softmax(node: ir.Node) -> bool:
    """Say whether these are the scores of an attention: a mask of -10,000 among them leaves no level for the rest."""
    return any(user.op_type == "Softmax" for out in node.outputs for user, _ in out.uses())


def _empty(value: ir.Value | None) -> bool:
    return value is not None and value.shape is not None and any(size == 0 for size in value.shape)

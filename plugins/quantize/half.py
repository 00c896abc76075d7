"""Convert a model to float16 with ONNX Runtime's converter, and guard what it gets wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from studio.api import PassError

from .casts import drop_round_trips
from .finish import finished, first_line
from .graph import constant, float_constant
from .prepare import load_prepared
from .quiet import quiet

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

#: operators without a float16 kernel in common engines, of those in onnxruntime.transformers.float16
KEPT = frozenset(
    {"CumSum", "Max", "Min", "NonMaxSuppression", "RandomUniformLike", "Range", "RoiAlign", "TopK", "Upsample"}
)
#: operators whose weights scale or normalize: clipping one changes the result, unlike a mask of -1e9
_SCALING = frozenset(
    {
        "BatchNormalization",
        "Conv",
        "ConvTranspose",
        "Gemm",
        "GroupNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "MatMul",
    }
)
_CONTROL = frozenset({"If", "Loop", "Scan", "SequenceMap"})
#: largest finite float16, and smallest positive one (subnormal)
LARGEST, SMALLEST = 65504.0, 5.96e-8


def float_weights(model: ir.Model, nodes: Iterable[ir.Node]) -> dict[str, ir.TensorProtocol]:
    """Give each float32 constant that these nodes read, by name, those of subgraphs included."""
    import onnx_ir as ir

    values = [value for node in nodes for value in node.inputs if value is not None]
    values += [value for graph in model.graph.subgraphs() for value in graph.initializers.values()]
    found = {}
    for value in values:
        tensor = constant(value)
        if tensor is not None and tensor.dtype == ir.DataType.FLOAT:
            found[str(value.name)] = tensor
    return found


def overflows(node: ir.Node) -> bool:
    """Say whether a node computes with weights beyond the largest float16, and so must stay float32."""
    import numpy as np

    if node.op_type not in _SCALING:
        return False
    tensors = (float_constant(value) for value in node.inputs)
    return any(
        max(abs(float(np.max(array))), abs(float(np.min(array)))) > LARGEST
        for array in (tensor.numpy() for tensor in tensors if tensor is not None)
    )


def losses(weights: dict[str, ir.TensorProtocol]) -> tuple[str, ...]:
    """Report weights that float16 cannot hold: clipped at 65504, or below its smallest value."""
    import numpy as np

    clipped: dict[str, int] = {}
    lost: dict[str, int] = {}
    for name, tensor in weights.items():
        size = np.abs(tensor.numpy())
        clipped[name] = int(np.count_nonzero((size > LARGEST) & np.isfinite(size)))
        lost[name] = int(np.count_nonzero((size > 0) & (size < SMALLEST)))
    notes = []
    if any(clipped.values()):
        where = max(clipped, key=lambda name: clipped[name])
        notes.append(f"{sum(clipped.values())} weights beyond 65504 are clipped, most of them in {where!r}.")
    if any(lost.values()):
        where = max(lost, key=lambda name: lost[name])
        notes.append(f"{sum(lost.values())} weights below 6e-8 become 6e-8, most of them in {where!r}.")
    return tuple(notes)


def refuse_control_flow(model: ir.Model, blocked: Iterable[str], nodes: dict[ir.Node, str]) -> None:
    """Refuse what the converter turns into an invalid graph: float32 islands in or around subgraphs.

    Raises
    ------
    PassError
        Naming the operator.
    """
    stay = set(blocked)
    inside = next((node.op_type for graph in model.graph.subgraphs() for node in graph if node.op_type in stay), "")
    if inside:
        raise PassError(
            f"{inside} inside If, Loop or Scan must stay float32, which this conversion cannot do.",
            "Leave the model in float32, or export it without control flow.",
        )
    outside = next((node for node in model.graph if node.op_type in _CONTROL and node not in nodes), None)
    if outside is not None:
        raise PassError(
            f"The subgraphs of {outside.name!r} read values that would become float16, but it is not in the scope.",
            "Add it to the scope.",
        )


def convert(prepared: Path, block: Sequence[str], left: list[str], *, keep_io_types: bool) -> onnx.ModelProto:
    """Convert, restore the order of the nodes, and drop needless casts.

    Parameters
    ----------
    prepared
        The model as `save_prepared` wrote it, with inferred types.
    block
        Further operators that stay float32.
    left
        Names of nodes that stay float32.
    keep_io_types
        Whether inputs and outputs stay float32.

    Raises
    ------
    PassError
        When the converter cannot do it.
    """
    try:
        with quiet(prepared.parent):
            from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

            proto = convert_float_to_float16(
                _without_weight_types(load_prepared(prepared)),
                keep_io_types=keep_io_types,
                disable_shape_infer=True,
                op_block_list=[*DEFAULT_OP_BLOCK_LIST, *KEPT, *block],
                node_block_list=left,
            )
        return finished(proto, drop_round_trips)
    except Exception as error:
        raise PassError(
            f"The model cannot be converted to float16: {first_line(error)}.",
            "Leave the operator it names out of the step's scope.",
        ) from error


def _without_weight_types(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the stated types of weights: the converter takes them for activations and casts weights that stay."""
    weights = {item.name for item in proto.graph.initializer}
    kept = [value for value in proto.graph.value_info if value.name not in weights]
    del proto.graph.value_info[:]
    proto.graph.value_info.extend(kept)
    return proto

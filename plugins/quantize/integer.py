"""Replace operators by their integer forms with ONNX Runtime's quantizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .finish import finished
from .prepare import load_prepared
from .quiet import quiet

if TYPE_CHECKING:
    import onnx


def use_integer_operators(
    prepared: Path, names: Sequence[str], *, weight_type: str, per_channel: bool, seven_bits: bool
) -> onnx.ModelProto:
    """Quantize the weights of the named nodes; their inputs are quantized at run time.

    Parameters
    ----------
    prepared
        The model as `save_prepared` wrote it, every Gemm to be quantized already split.
    names
        Nodes to replace.
    weight_type
        ``"int8"`` or ``"uint8"``.
    per_channel
        Whether each output channel of a MatMul gets its own scale.
    seven_bits
        Whether weights use half of their range.
    """
    with quiet(prepared.parent):
        from onnxruntime.quantization import QuantType
        from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
        from onnxruntime.quantization.quant_utils import QuantizationMode

        class ScopedQuantizer(ONNXQuantizer):  # type: ignore[misc]
            """Leaves Gemm out of the scope as it is: the library splits every Gemm of the model."""

            def __setattr__(self, name: str, value: Any) -> None:
                if name == "model":
                    value.replace_gemm_with_matmul = dict
                super().__setattr__(name, value)

        quantizer = ScopedQuantizer(
            load_prepared(prepared),
            per_channel,
            seven_bits,
            QuantizationMode.IntegerOps,
            False,
            QuantType.QInt8 if weight_type == "int8" else QuantType.QUInt8,
            QuantType.QUInt8,
            None,
            list(names),
            [],
            ["MatMul", "Conv", "LSTM", "Gather"],
            {"MatMulConstBOnly": True},
        )
        quantizer.quantize_model()
    return finished(quantizer.model.model)


def origins(graph: onnx.GraphProto, made: Mapping[str, Sequence[str]], tensors: set[str]) -> dict[str, tuple[str, ...]]:
    """Give the inserted nodes their origin: all that stands between a source node's outputs and its inputs.

    Parameters
    ----------
    graph
        The result.
    made
        Name of each quantized source node to its output tensors.
    tensors
        All tensors that nodes of the source make.
    """
    makers = {out: node for node in graph.node for out in node.output}
    found: dict[str, tuple[str, ...]] = {}
    for name, outputs in made.items():
        stack = [makers[tensor] for tensor in outputs if tensor in makers]
        while stack:
            node = stack.pop()
            if node.name not in found:
                found[node.name] = (name,)
                stack.extend(makers[item] for item in node.input if item in makers and item not in tensors)
    return found

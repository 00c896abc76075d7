"""Insert QuantizeLinear and DequantizeLinear with ONNX Runtime's quantizer, from ranges already found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studio.api import DataError

from .calibration import Ranges
from .finish import finished
from .graph import constant, is_float
from .prepare import load_prepared
from .quiet import quiet
from .selection import ACTIVATIONS, Selection

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Types:
    """Number formats of the result."""

    weight: str
    activation: str
    per_channel: bool
    seven_bits: bool
    symmetric_weights: bool
    symmetric_activations: bool
    float_outputs: tuple[str, ...] = ()


def observed_tensors(selection: Selection, float_outputs: Collection[str] = ()) -> list[str]:
    """List the tensors whose ranges are needed, in the graph's order; not what some operators give in float."""
    found = {
        str(value.name): None
        for node in selection.nodes
        for value in (*node.inputs, *(() if node.op_type in float_outputs else node.outputs))
        if value is not None and is_float(value) and constant(value) is None
    }
    return list(found)


@dataclass(frozen=True)
class Target:
    """A node to quantize, free of the model it came from, so that the model's memory can be given back."""

    name: str
    operator: str
    tensors: frozenset[str]


def targets(selection: Selection) -> tuple[Target, ...]:
    """Describe the selected nodes and the tensors that they touch."""
    return tuple(
        Target(
            name,
            node.op_type,
            frozenset(str(value.name) for value in (*node.inputs, *node.outputs) if value is not None),
        )
        for node, name in selection.nodes.items()
    )


def without_unusable(chosen: tuple[Target, ...], ranges: Ranges) -> tuple[Target, ...]:
    """Leave out the nodes that touch a tensor with infinite or undefined values.

    Raises
    ------
    DataError
        When no node is left.
    """
    kept = tuple(target for target in chosen if not target.tensors.intersection(ranges.unusable))
    if not any(target.operator not in ACTIVATIONS for target in kept):
        raise DataError(
            f"The model computes NaN or infinity on the calibration data, first in {ranges.unusable[0]!r}.",
            "Check that the data is scaled as the model expects.",
        )
    return kept


def insert_qdq(prepared: Path, chosen: tuple[Target, ...], ranges: Ranges, types: Types) -> onnx.ModelProto:
    """Quantize the selected nodes.

    Parameters
    ----------
    prepared
        The model as `save_prepared` wrote it.
    chosen
        Nodes of that model.
    ranges
        The range of every activation that they read or make.
    types
        Number formats.
    """
    with quiet(prepared.parent):
        import numpy as np
        from onnxruntime.quantization import QuantType
        from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

        kinds = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8, "uint16": QuantType.QUInt16}
        data = {
            name: TensorData(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
            for name, (low, high) in ranges.values.items()
        }
        quantizer = QDQQuantizer(
            load_prepared(prepared),
            types.per_channel,
            types.seven_bits,
            kinds[types.weight],
            kinds[types.activation],
            TensorsData(CalibrationMethod.MinMax, data),
            [target.name for target in chosen],
            [],
            sorted({target.operator for target in chosen}),
            {
                "ActivationSymmetric": types.symmetric_activations,
                "WeightSymmetric": types.symmetric_weights,
                "OpTypesToExcludeOutputQuantization": list(types.float_outputs),
            },
        )
        quantizer.quantize_model()
    result = finished(quantizer.model.model)
    _restore_float_readers(result.graph, {target.name for target in chosen}, types.float_outputs)
    return result


def _restore_float_readers(graph: onnx.GraphProto, chosen: set[str], float_outputs: Collection[str]) -> None:
    """Let nodes that stay float read a float tensor itself, not what is left of it after 8 bits.

    The quantizer reroutes all readers of a tensor, a residual addition too, though only one takes 8 bits. What a
    layer gives in 8 bits stays rerouted: engines fuse its output's quantization into it.
    """
    makers = {out: node for node in graph.node for out in node.output if out}
    floats: dict[str, str] = {}
    for node in graph.node:
        source = makers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if source is None or source.op_type != "QuantizeLinear":
            continue
        maker = makers.get(source.input[0])
        if maker is None or maker.name not in chosen or maker.op_type in float_outputs:
            floats[node.output[0]] = source.input[0]
    for node in graph.node:
        if node.name in chosen:
            continue
        for index, name in enumerate(node.input):
            if name in floats:
                node.input[index] = floats[name]

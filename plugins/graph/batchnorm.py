"""Folding BatchNormalization into the layer before or after it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from .producers import Layer, absorb_input, absorb_output, finite, layer_of
from .values import integer, integers, is_op, only_reader
from .workspace import Workspace

#: channels above which a parameter is not believed to be one
MOST_CHANNELS = 1 << 20


@dataclass(frozen=True)
class Affine:
    """What a BatchNormalization does in inference: ``scale * x + shift`` for each channel, in float64."""

    scale: NDArray[np.float64]
    shift: NDArray[np.float64]


def fold_batchnorms(space: Workspace, *, into_next: bool) -> dict[str, int]:
    """Fold every BatchNormalization in the scope that can be; the others become warnings with the reason.

    Parameters
    ----------
    into_next
        Whether one that stands before a layer may go into that layer.

    Returns
    -------
    dict
        Operator to how many took one over.
    """
    folded: dict[str, int] = defaultdict(int)
    refused: dict[str, list[str]] = defaultdict(list)
    norms = [n for n in space.nodes() if is_op(n, "BatchNormalization") and space.selects(n)]
    for number, node in enumerate(norms):
        space.reporter.check()
        space.reporter.progress(number, len(norms), "folding")
        result = _fold(space, node, into_next=into_next)
        if isinstance(result, Layer):
            folded[result.node.op_type] += 1
        else:
            refused[result].append(str(node.name))
    for reason, names in refused.items():
        space.warnings.append(f"Not folded, {reason}: {', '.join(names)}.")
    space.drop_unread_weights()
    return dict(folded)


def _fold(space: Workspace, node: ir.Node, *, into_next: bool) -> Layer | str:
    affine = affine_of(space, node)
    if isinstance(affine, str):
        return affine
    reason = _into_producer(space, node, affine)
    if isinstance(reason, Layer) or not into_next:
        return reason
    after = _into_consumer(space, node, affine)
    return after if isinstance(after, Layer) else reason


def affine_of(space: Workspace, node: ir.Node) -> Affine | str:
    """Read a BatchNormalization as a scale and a shift, or say why it is none.

    Y = (X - mean) / sqrt(var + epsilon) * scale + B, as the ONNX specification has it; the parameters
    are vectors of one number for each channel.
    """
    if integer(node, "training_mode", 0) or any(value.name for value in node.outputs[1:]):
        return "it is in training mode"
    if integer(node, "spatial", 1) == 0:
        return "it does not normalize by channel"
    arrays = [space.array(value, MOST_CHANNELS) for value in node.inputs[1:5]]
    parameters = [array.astype(np.float64) for array in arrays if array is not None]
    if len(parameters) != 4:
        return "its parameters are not constants"
    gain, offset, mean, variance = parameters
    with np.errstate(all="ignore"):
        scale = gain / np.sqrt(variance + node.attributes.get_float("epsilon", 1e-5))
        return Affine(scale, offset - mean * scale)


def _into_producer(space: Workspace, node: ir.Node, affine: Affine) -> Layer | str:
    source = node.inputs[0]
    producer = source.producer() if source is not None else None
    if source is None or producer is None or producer.graph is not node.graph:
        return "no layer of its graph stands before it"
    layer = layer_of(space, producer)
    if isinstance(layer, str):
        return layer
    if only_reader(source) is not node:
        return "the result of the layer is used elsewhere too"
    reason = _unfit(space, layer, affine, layer.outputs)
    if reason:
        return reason
    if not space.alias(node.outputs[0], source, keep_name=True):
        return "the layer cannot take its place as an output"
    absorb_output(space, layer, affine.scale, affine.shift, f"took over {node.name}")
    space.remove(node, f"folded into {producer.name}")
    return layer


def _into_consumer(space: Workspace, node: ir.Node, affine: Affine) -> Layer | str:
    source, consumer = node.inputs[0], only_reader(node.outputs[0])
    if source is None or consumer is None or consumer.graph is not node.graph:
        return "its result is used in several places"
    layer = layer_of(space, consumer)
    if isinstance(layer, str) or consumer.inputs[0] is not node.outputs[0] or is_op(consumer, "ConvTranspose"):
        return "no layer can take it over"
    if is_op(consumer, "Gemm") and integer(consumer, "transA", 0):
        return "its input is transposed"
    if affine.shift.any() and _pads(consumer):
        return "the layer after it pads its input"
    reason = _unfit(space, layer, affine, layer.inputs)
    if reason:
        return reason
    consumer.replace_input_with(0, source)
    absorb_input(space, layer, affine.scale, affine.shift, f"took over {node.name}")
    space.remove(node, f"folded into {consumer.name}")
    return layer


def _unfit(space: Workspace, layer: Layer, affine: Affine, channels: int) -> str:
    if not space.selects(layer.node):
        return "the layer is outside the scope"
    if any(part.shape != (channels,) for part in (affine.scale, affine.shift)):
        return "its channels are not those of the layer"
    if not finite(layer, affine.scale, affine.shift):
        return "its scale is not finite"
    return ""


def _pads(node: ir.Node) -> bool:
    if not is_op(node, "Conv"):
        return False
    if node.attributes.get_string("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
        return True
    return any(integers(node, "pads") or ())

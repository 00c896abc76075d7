"""Cross-layer equalization: channels of two layers in a row share their ranges alike.

Source: M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
arXiv:1906.04721.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from studio.api import NodeChange

from .editor import Editor
from .graph import constant, float_constant
from .grid import Floats
from .selection import Selection, integer

if TYPE_CHECKING:
    import onnx_ir as ir

#: operators between the two layers that a positive factor passes through
_HOMOGENEOUS = frozenset({"Relu", "LeakyRelu", "Identity", "Dropout", "MaxPool", "AveragePool", "GlobalAveragePool"})
#: times over all pairs: a layer between two others has a say twice
_ROUNDS = 20
#: a Clip's bound is kept this far from what calibration has shown of a channel
_MARGIN = 1.1
#: how uneven channels may become
_MOST = 1e4


@dataclass(frozen=True)
class Pair:
    """Two Conv in a row, of which the first one's output channels are the second one's input channels.

    Attributes
    ----------
    clipped
        Name of the tensor that a Clip with an upper bound between them reads; empty without.
    bound
        That upper bound.
    """

    first: ir.Node
    second: ir.Node
    channels: int
    clipped: str = ""
    bound: float = float("inf")


def find_pairs(selection: Selection) -> list[Pair]:
    """List the pairs of selected Conv that nothing else reads in between, in the graph's order."""
    pairs = []
    for node in selection.nodes:
        if node.op_type == "Conv" and float_constant(node.inputs[1]) is not None and _bias_is_ours(node):
            pair = _follow(node, selection)
            if pair is not None:
                pairs.append(pair)
    return pairs


def _follow(first: ir.Node, selection: Selection) -> Pair | None:
    value, clipped, bound = first.outputs[0], "", float("inf")
    channels = int(str(_tensor(first, 1).shape[0]))
    while True:
        users = tuple(value.uses())
        if value.is_graph_output() or len(users) != 1:
            return None
        user, index = users[0]
        if index != 0:
            return None
        if user.op_type == "Conv":
            return Pair(first, user, channels, clipped, bound) if _reads_channels(user, channels, selection) else None
        if user.op_type == "Clip" and not clipped:
            limits = [_limit(user, at) for at in (1, 2)]
            if limits[0] != 0.0 or limits[1] is None or not np.isfinite(limits[1]):
                return None
            clipped, bound = str(value.name), limits[1]
        elif user.op_type not in _HOMOGENEOUS:
            return None
        value = user.outputs[0]


def _reads_channels(node: ir.Node, channels: int, selection: Selection) -> bool:
    """Say whether a Conv is selected and each channel has weights of its own there."""
    tensor = float_constant(node.inputs[1])
    if node not in selection.nodes or tensor is None:
        return False
    groups, shape = integer(node, "group", 1), tensor.numpy().shape
    return bool((groups == 1 and shape[1] == channels) or (groups == channels == shape[0] and shape[1] == 1))


def _bias_is_ours(node: ir.Node) -> bool:
    return len(node.inputs) < 3 or node.inputs[2] is None or float_constant(node.inputs[2]) is not None


def equalize(model: ir.Model, pairs: Sequence[Pair], peaks: Mapping[str, Floats]) -> list[NodeChange]:
    """Scale the channels between the two layers of each pair, so that both use their range alike.

    Through a Clip, a channel is scaled only when calibration never reached its bound, and only so far that it
    still does not: the result computes the same on data like that.

    Parameters
    ----------
    peaks
        The largest absolute value of each channel before a Clip, by the tensor's name.
    """
    arrays = {node: _tensor(node, 1).numpy().astype(np.float64) for pair in pairs for node in (pair.first, pair.second)}
    totals = [np.ones(pair.channels) for pair in pairs]
    for _ in range(_ROUNDS):
        moved = 0.0
        for total, pair in zip(totals, pairs, strict=True):
            scale = _factor(arrays[pair.first], arrays[pair.second])
            scale = _allowed(total * scale, pair, peaks.get(pair.clipped)) / total
            arrays[pair.first] /= scale.reshape(-1, *(1,) * (arrays[pair.first].ndim - 1))
            arrays[pair.second] *= _along_inputs(arrays[pair.second], scale)
            total *= scale
            moved = max(moved, float(np.abs(np.log(scale)).max()))
        if moved < 1e-3:
            break
    editor = Editor(model.graph)
    changes: dict[str, NodeChange] = {}
    for node, array in arrays.items():
        _replace(editor, node, 1, array)
        changes[str(node.name)] = NodeChange(
            node=str(node.name), operator=node.op_type, change="rewritten", detail="ranges equalized"
        )
    for total, pair in zip(totals, pairs, strict=True):
        if len(pair.first.inputs) > 2 and pair.first.inputs[2] is not None:
            _replace(editor, pair.first, 2, _tensor(pair.first, 2).numpy() / total)
    return list(changes.values())


def _factor(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Give what each channel of the first layer is divided by: ``sqrt(r1 r2) / r2``."""
    mine = np.abs(first).reshape(len(first), -1).max(axis=1)
    theirs = np.abs(second) if second.shape[1] == 1 and len(second) == len(first) else np.abs(second).swapaxes(0, 1)
    others = theirs.reshape(len(first), -1).max(axis=1)
    usable = (mine > 0) & (others > 0)
    found: NDArray[np.float64] = np.where(usable, np.sqrt(mine / np.where(usable, others, 1.0)), 1.0)
    return np.clip(np.where(usable, found, 1.0), 1 / _MOST, _MOST)


def _allowed(total: NDArray[np.float64], pair: Pair, peaks: Floats | None) -> NDArray[np.float64]:
    """Keep a Clip's upper bound from acting where it did not, and leave channels alone where it does."""
    total = np.clip(total, 1 / _MOST, _MOST)
    if not pair.clipped:
        return total
    if peaks is None:
        return np.ones_like(total)
    reach = peaks.astype(np.float64) * _MARGIN
    return np.where(reach >= pair.bound, 1.0, np.maximum(total, reach / pair.bound))


def _along_inputs(array: NDArray[Any], scale: NDArray[Any]) -> NDArray[Any]:
    depthwise = array.shape[1] == 1 and len(array) == len(scale)
    shape = (-1, *(1,) * (array.ndim - 1)) if depthwise else (1, -1, *(1,) * (array.ndim - 2))
    return scale.reshape(shape)


def _limit(node: ir.Node, index: int) -> float | None:
    name = ("min", "max")[index - 1]
    if name in node.attributes:
        return node.attributes[name].as_float()
    tensor = constant(node.inputs[index]) if len(node.inputs) > index else None
    return None if tensor is None else float(tensor.numpy().reshape(-1)[0])


def _tensor(node: ir.Node, index: int) -> ir.TensorProtocol:
    tensor = float_constant(node.inputs[index])
    assert tensor is not None  # the finder looked
    return tensor


def _replace(editor: Editor, node: ir.Node, index: int, array: NDArray[Any]) -> None:
    """Give a node a constant of its own in place of the one it has."""
    import onnx_ir as ir

    old = node.inputs[index]
    assert old is not None  # it held a constant
    new = editor.initializer(ir.Tensor(np.ascontiguousarray(array, np.float32), name=f"{old.name}_equalized"))
    node.replace_input_with(index, new)
    editor.forget(old)

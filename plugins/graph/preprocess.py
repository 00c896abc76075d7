"""Folding a scale, a shift, a layout, an order of channels and a type into a model's input."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from studio.api import InterfaceChange, PassError, TensorInfo, nearest

from .interface import describe, ordered, record, turn
from .patterns import single
from .producers import Array, Layer, absorb_input, finite, layer_of
from .values import integer, integers, is_op, lazy, set_input, sizes
from .workspace import Workspace

if TYPE_CHECKING:
    from .fold_preprocessing import FoldPreprocessingParams

TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE, ir.DataType.BFLOAT16)
#: channels that pictures have
COLOURS = (1, 3, 4)


@dataclass(frozen=True)
class _Normalization:
    """``old = new * factor + shift`` for each channel in the order of the old input; float64 ``(channels,)``."""

    factor: Array
    shift: Array
    axis: int
    reverse: bool

    @property
    def nothing(self) -> bool:
        return not self.reverse and bool((self.factor == 1).all()) and not self.shift.any()


def fold(space: Workspace, params: FoldPreprocessingParams) -> str:
    """Fold a normalization into the model, and change its input; says where it went.

    Raises
    ------
    PassError
        When there is no such input, or the numbers do not suit it.
    """
    value = _picture(space, params.input)
    before = describe(value)
    axis, channels = _channels(value)
    change = _change(value, before, params, axis, channels)
    numbers = _numbers(change, channels)
    if before == change.after and numbers.nothing:
        return ""
    if numbers.reverse and channels == 1:
        raise PassError(f"The input {value.name!r} has one channel: its order cannot be reversed.", "Leave it out.")
    how = []
    rest, absorbed = _into_layer(space, value, numbers)
    if absorbed:
        how.append(f"folded into {absorbed}")
    how += _with_nodes(space, value, change, rest)
    record(space.model, change)
    space.edits += 1
    return "; ".join(how)


def _picture(space: Workspace, name: str) -> ir.Value:
    inputs = [value for value in space.model.graph.inputs if value.name not in space.model.graph.initializers]
    pictures = [value for value in inputs if value.shape is not None and len(value.shape) == 4 and value.dtype in TYPES]
    if name:
        found = next((value for value in inputs if value.name == name), None)
        if found is None:
            raise PassError(f"The model has no input {name!r}.", nearest(name, [str(value.name) for value in inputs]))
        if found not in pictures:
            raise PassError(f"The input {name!r} does not take pictures of floats, of four axes.", "Name another one.")
    elif len(pictures) != 1:
        many = f"takes pictures at {len(pictures)} inputs" if pictures else "has no input of pictures of floats"
        raise PassError(f"The model {many}.", "Name the input." if pictures else "This step is for picture models.")
    else:
        found = pictures[0]
    if found.is_graph_output():
        raise PassError(f"The input {found.name!r} is an output too, so it cannot change.", "Leave the step out.")
    return found


def _channels(value: ir.Value) -> tuple[int, int]:
    """Give the axis of the channels and their number.

    Raises
    ------
    PassError
        When neither the second nor the last axis is that of a picture's channels.
    """
    shape = list(value.shape or ())
    axis = next((axis for axis in (1, 3) if shape[axis] in COLOURS), 1)
    size = shape[axis]
    if not isinstance(size, int):
        raise PassError(f"How many channels {value.name!r} has is not known.", "Freeze its shape first.")
    return axis, size


def _change(
    value: ir.Value, before: TensorInfo, params: FoldPreprocessingParams, axis: int, channels: int
) -> InterfaceChange:
    scale = number(params.scale)
    mean, std = (tuple(number(text) for text in texts) for texts in (params.mean, params.std))
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (0, 1, channels):
            raise PassError(
                f"{name} has {len(values)} numbers; {value.name!r} has {channels} channels.",
                f"Give one, or {channels} joined by '|'.",
            )
    if scale == 0 or any(one <= 0 for one in std):
        raise PassError("The scale must not be 0, and std must be above 0.", "Give what the model was trained with.")
    wanted = {"nhwc": 3, "nchw": 1}.get(params.layout, axis)
    order = () if wanted == axis else (0, 2, 3, 1) if wanted == 3 else (0, 3, 1, 2)
    dtype = "uint8" if params.dtype == "uint8" else before.dtype
    after = ordered(before, order).model_copy(update={"dtype": dtype})
    return InterfaceChange(
        kind="input", before=before, after=after, order=order, channel_axis=axis, reverse=params.reverse,
        scale=scale, mean=mean, std=std,
    )  # fmt: skip


def number(text: str) -> float:
    """Read a number or a quotient.

    Raises
    ------
    PassError
        When it is neither.
    """
    above, slash, below = text.partition("/")
    try:
        found = float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        found = math.nan
    if not math.isfinite(found):
        raise PassError(f"{text!r} is not a number.", "Write 0.5 or 1/255.")
    return found


def _numbers(change: InterfaceChange, channels: int) -> _Normalization:
    mean = np.broadcast_to(np.asarray(change.mean or (0.0,)), channels)
    std = np.broadcast_to(np.asarray(change.std or (1.0,)), channels)
    return _Normalization(change.scale / std, -mean / std, change.channel_axis, change.reverse)


def _into_layer(space: Workspace, value: ir.Value, numbers: _Normalization) -> tuple[_Normalization, str]:
    """Fold what is exact there into the Conv that alone reads the input; give what is left, and its name.

    A Conv that pads pads with zeros, which are not shifted: the shift then stays before it, and takes the
    unit of what is fed, so that padding stays zero.
    """
    uses = tuple(value.uses())
    conv = uses[0].node if len(uses) == 1 else None
    if conv is None or not is_op(conv, "Conv") or not single(value, conv) or numbers.axis != 1:
        return numbers, ""
    layer = layer_of(space, conv) if space.selects(conv) and conv.graph is space.model.graph else ""
    if not isinstance(layer, Layer) or layer.inputs != len(numbers.factor) or numbers.nothing:
        return numbers, ""
    ones, zeros = np.ones_like(numbers.factor), np.zeros_like(numbers.shift)
    padded = _pads(conv)
    if not finite(layer, numbers.factor, numbers.shift / numbers.factor):
        return numbers, ""
    absorb_input(space, layer, numbers.factor, zeros if padded else numbers.shift, "takes raw pixels")
    reverse = numbers.reverse and layer.group == 1
    if reverse:
        _reverse_inputs(space, conv)
    left = numbers.shift / numbers.factor if padded else zeros
    rest = _Normalization(ones, left[::-1] if reverse else left, 1, numbers.reverse and not reverse)
    return rest, str(conv.name)


def _pads(conv: ir.Node) -> bool:
    if conv.attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return True
    return any(integers(conv, "pads") or ())


def _reverse_inputs(space: Workspace, conv: ir.Node) -> None:
    tensor = space.tensor(conv.inputs[1])
    if tensor is None or integer(conv, "group", 1) != 1:
        raise ValueError(f"{conv.name} has no constant weight")
    flipped = lazy(tensor, lambda: np.ascontiguousarray(tensor.numpy()[:, ::-1]), sizes(tensor))
    space.rewrite_weight(conv, 1, flipped)


def _with_nodes(space: Workspace, value: ir.Value, change: InterfaceChange, rest: _Normalization) -> list[str]:
    """Put nodes between the input and what read it, for all that no weight could take."""
    graph, dtype = space.model.graph, value.dtype or ir.DataType.FLOAT
    nodes: list[ir.Node] = []
    readers = [(use.node, use.idx) for use in value.uses()]
    last = value
    if change.after.dtype != change.before.dtype:
        last = _add(space, nodes, "Cast", [last], {"to": int(dtype)}, dtype, change.after)
    if change.order:
        back = [int(axis) for axis in np.argsort(change.order)]
        last = _add(space, nodes, "Transpose", [last], {"perm": back}, dtype, change.before)
    if rest.reverse:
        indices = np.arange(len(rest.factor), dtype=np.int64)[::-1].copy()
        order = space.initializer(graph, f"{value.name}_order", ir.tensor(indices))
        last = _add(space, nodes, "Gather", [last, order], {"axis": rest.axis}, dtype, change.before)
    shape = [1] * 4
    shape[rest.axis] = -1
    for operator, array in (("Mul", rest.factor), ("Add", rest.shift)):
        if bool((array == (1 if operator == "Mul" else 0)).all()):
            continue
        content = ir.tensor(array.reshape(shape).astype(dtype.numpy()), dtype=dtype)
        weight = space.initializer(graph, f"{value.name}_{operator.lower()}", content)
        last = _add(space, nodes, operator, [last, weight], {}, dtype, change.before)
    for node, index in readers:
        set_input(node, index, last)
    first = next(iter(graph), None)
    if first is None:
        graph.extend(nodes)
    else:
        graph.insert_before(first, nodes)
    turn(value, change.after)
    return [f"{', '.join(node.op_type for node in nodes)} at the input"] if nodes else []


def _add(
    space: Workspace,
    nodes: list[ir.Node],
    operator: str,
    inputs: list[ir.Value],
    attributes: dict[str, int | list[int]],
    dtype: ir.DataType,
    like: TensorInfo,
) -> ir.Value:
    name = space.fresh(f"{inputs[0].name}_{operator.lower()}")
    node = ir.node(operator, inputs, attributes, name=name)
    made = node.outputs[0]
    made.name, made.type, made.shape = name, ir.TensorType(dtype), ir.Shape(like.shape or ())
    nodes.append(node)
    space.rewritten(node, "preprocessing")
    return made

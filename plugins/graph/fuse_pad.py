"""Padding with zeros before a Conv is padding by the Conv."""

from __future__ import annotations

import onnx_ir as ir

from .patterns import made_by
from .values import integers, is_op, rank_of
from .workspace import Workspace


def fuse_pad(space: Workspace, node: ir.Node) -> bool:
    """Move a Pad of zeros along the spatial axes into the Conv that alone reads it."""
    pad = made_by(node.inputs[0], node, "Pad") if is_op(node, "Conv") else None
    if pad is None or space.opset < 11 or not space.selects(node, pad) or pad.outputs[0] in node.inputs[1:]:
        return False
    extra = _spatial_pads(space, pad)
    own = _own_pads(node, len(extra) if extra is not None else 0)
    if extra is None or own is None:
        return False
    node.replace_input_with(0, pad.inputs[0])
    node.attributes.pop("auto_pad", None)
    node.attributes.add(ir.AttrInt64s("pads", [mine + more for mine, more in zip(own, extra, strict=True)]))
    space.rewritten(node, f"took over {pad.name}")
    space.remove(pad, f"merged into {node.name}")
    return True


def _spatial_pads(space: Workspace, pad: ir.Node) -> list[int] | None:
    """Give the padding as Conv's attribute has it, or None where it is not zeros around the spatial axes."""
    if pad.attributes.get_string("mode", "constant") != "constant":
        return None
    value = pad.inputs[2] if len(pad.inputs) > 2 else None
    if value is not None and space.scalar(value) != 0:
        return None
    pads = space.array(pad.inputs[1])
    axes = pad.inputs[3] if len(pad.inputs) > 3 else None
    chosen = space.array(axes)
    if pads is None or (axes is not None and chosen is None):
        return None
    numbers = [int(number) for number in pads.reshape(-1)]
    rank = len(numbers) // 2
    if axes is not None and chosen is not None:
        known = rank_of(pad.inputs[0])
        if known is None:
            return None
        numbers = _for_all_axes(numbers, [int(axis) % known for axis in chosen.reshape(-1)], known)
        rank = known
    if rank < 3 or any(number < 0 for number in numbers):
        return None
    if any(numbers[axis] or numbers[rank + axis] for axis in (0, 1)):
        return None
    return [*numbers[2:rank], *numbers[rank + 2 :]]


def _for_all_axes(pads: list[int], axes: list[int], rank: int) -> list[int]:
    full = [0] * (2 * rank)
    for index, axis in enumerate(axes):
        full[axis], full[rank + axis] = pads[index], pads[len(axes) + index]
    return full


def _own_pads(node: ir.Node, length: int) -> list[int] | None:
    if node.attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return None
    own = list(integers(node, "pads") or [0] * length)
    return own if len(own) == length else None

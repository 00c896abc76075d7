"""What to expect of weights in few bits: size, time by instruction sets, and what to know before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from studio.api import Device, Range

from .graph import text_bytes, weight_bytes
from .weight_plan import Plan, block_size, container_bits

if TYPE_CHECKING:
    import onnx_ir as ir

    from .weight_targets import Kind, Target

_FOLDED = "engines expand the weights when they load the model: the file is smaller, nothing else"
_NO_DOT = (
    "{}: each use expands the weights, which costs more than it saves unless memory is the limit; 0.7-1.0x was "
    "measured without 8-bit dot products"
)
_DOT = "{} has 8-bit dot products: few rows at a time (batch 1, text one token at a time) gain, large batches do not"
_SLOW = "ONNX Runtime has a fast float kernel for 4 bits only: others expand all weights on every run"
_GPU = "{}: layers with few rows are limited by reading weights"
_CONV = "; ONNX Runtime expands a DequantizeLinear before Conv on every run"


def weights_speed(device: Device, plan: Plan, kinds: set[Kind], *, int8_activations: bool) -> Range:
    """Expect of weight-only quantization on a device."""
    name = device.name or device.kind.upper() if device.kind != "cpu" else _processor(device)
    if plan.form == "stored" or (kinds == {"conv"} and plan.form == "nbits"):
        return Range(low=0.97, high=1.03, reason=_FOLDED)
    low, high, reason = 0.6, 1.2, _NO_DOT.format(name)
    if device.kind != "cpu":
        low, high, reason = 0.8, 2.5, _GPU.format(name)
    elif plan.form == "nbits" and not int8_activations and plan.bits != 4:
        low, high, reason = 0.03, 0.9, _SLOW
    elif device.fast_int8:
        low, high, reason = 0.7, 2.5, _DOT.format(name)
    if plan.form == "qdq" and "conv" in kinds:
        low, reason = 0.5 * low, reason + _CONV
    return Range(low=low, high=high, reason=reason)


def weights_size(model: ir.Model, targets: Iterable[Target], plan: Plan) -> Range:
    """Expect the size of the file."""
    unique = {(id(target.holder), target.kind): target for target in targets}
    before = weight_bytes(model) + text_bytes(model.graph)
    held = {id(target.holder): target.size * 4 for target in unique.values()}
    saved = sum(held.values()) - sum(stored_bytes(target, plan) for target in unique.values())
    nodes = 6 * 200 * len(unique)
    low, high = (before - saved) / max(1, before), (before - saved + nodes) / max(1, before)
    reason = f"{sum(held.values()):,} of {before:,} bytes are weights that it stores in fewer bits, with their scales"
    return Range(low=round(0.97 * low, 4), high=round(1.03 * high + 0.01, 4), reason=reason)


def stored_bytes(target: Target, plan: Plan) -> int:
    """Give the bytes of a weight's codes, scales and zero points."""
    bits = container_bits(target.kind, plan.form, plan.bits, target.inputs)
    size = block_size(target.kind, plan.form, plan.block, target.inputs)
    blocks = -(-target.inputs // size)
    zeros = 0 if plan.symmetric or plan.bits == 1 or target.kind != "matmul" else -(-blocks * bits // 8)
    return target.outputs * (-(-blocks * size * bits // 8) + 4 * blocks + zeros)


def advice(targets: list[Target], plan: Plan) -> tuple[str, ...]:
    """Give what a user should know before."""
    notes = []
    matrices = [target for target in targets if target.kind == "matmul"]
    stored = {container_bits("matmul", plan.form, plan.bits, target.inputs) for target in matrices}
    wider = [bits for bits in stored if bits != plan.bits]
    if wider:
        notes.append(
            f"Weights of {plan.bits} bit{'s' if plan.bits > 1 else ''} are stored in {wider[0]}: no operator that "
            "engines read has a smaller type."
        )
    if plan.bits == 1 and not plan.symmetric:
        notes.append("Weights of 1 bit are -1 and 1 times a scale: there is no zero point.")
    if plan.form == "qdq" and plan.block:
        whole = [
            target.name for target in matrices if plan.size(target) == target.inputs and target.inputs > plan.block
        ]
        if whole:
            notes.append(
                f"One scale for each output channel where the inputs cannot be cut into equal blocks: {whole[0]}"
                f"{f' and {len(whole) - 1} more' if len(whole) > 1 else ''}; the form nbits has blocks there too."
            )
    if any(target.kind == "conv" for target in targets) and plan.bits < 8:
        notes.append("Convolutions get 8 bits, with a scale for each output channel.")
    tables = [target for target in targets if target.kind == "gather"]
    if plan.bits < 8 and any(plan.container(target) == 8 for target in tables):
        notes.append("Embeddings get 8 bits: this form, or their width, has no operator for fewer.")
    elif plan.bits < 4 and tables:
        notes.append("Embeddings get 4 bits.")
    return tuple(notes)


def _processor(device: Device) -> str:
    best = device.best_instruction_set
    return f"{best} without VNNI" if best.startswith("AVX") and not device.fast_int8 else best or "this processor"

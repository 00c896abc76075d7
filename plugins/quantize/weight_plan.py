"""How weights are to be stored: bits, blocks and operators. Nothing is computed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .weight_targets import Kind, Target

if TYPE_CHECKING:
    from .grid import Grid

Method = Literal["rtn", "hqq", "gptq", "awq"]
Form = Literal["nbits", "qdq", "stored"]
#: least and greatest block of MatMulNBits and GatherBlockQuantized
LEAST, MOST = 16, 256
#: opset with per-axis DequantizeLinear, and with blocks and 4-bit types
PER_AXIS, BLOCKED = 13, 21


@dataclass(frozen=True)
class Plan:
    """How to round, as the pass's parameters of the same names say."""

    bits: int
    symmetric: bool
    block: int
    form: Form
    method: Method
    search: bool
    samples: int
    dampening: float
    act_order: bool

    def grid(self, target: Target) -> Grid:
        """Give the codes of a target: convolutions and embeddings have 4 or 8 bits, and are symmetric."""
        from .grid import Grid

        if target.kind == "matmul":
            return Grid(self.bits, self.symmetric)
        return Grid(self.container(target), symmetric=True)

    def container(self, target: Target) -> int:
        """Give the bits in which its codes are stored."""
        return container_bits(target.kind, self.form, self.bits, target.inputs)

    def size(self, target: Target) -> int:
        """Give the inputs that share a scale."""
        return block_size(target.kind, self.form, self.block, target.inputs)


def container_bits(kind: Kind, form: Form, bits: int, inputs: int) -> int:
    """Give the bits in which a code is stored: what the form's operators have, not always what was asked for."""
    if kind == "conv":
        return 8
    if kind == "gather":
        return 4 if bits <= 4 and form == "nbits" and common_block(inputs, MOST) else 8
    if bits == 8:
        return 8
    return 2 if form == "nbits" and bits <= 2 else 4


def block_size(kind: Kind, form: Form, block: int, inputs: int) -> int:
    """Give the inputs that share a scale; `inputs` itself for one scale a row.

    Parameters
    ----------
    block
        What was asked for; 0 for one scale a row.
    """
    if kind == "conv":
        return inputs
    if kind == "gather":
        return common_block(inputs, block or MOST) if form == "nbits" and common_block(inputs, MOST) else inputs
    if not block:
        return inputs
    if form == "nbits":
        return min(block, fitting(inputs))
    if form == "stored":
        return min(block, inputs)
    return inputs if block >= inputs else common_block(inputs, block) or inputs


def common_block(inputs: int, most: int) -> int:
    """Give the largest power of two from 16 to `most` that divides the inputs; 0 when none does."""
    size = MOST
    while size >= LEAST:
        if size <= most and inputs % size == 0:
            return size
        size //= 2
    return 0


def needed_opset(kinds: set[Kind], form: Form, bits: int, block: int) -> int:
    """Give the least opset whose operators the form takes."""
    if "matmul" in kinds and ((form != "nbits" and bits < 8) or (form == "qdq" and block)):
        return BLOCKED
    return PER_AXIS if form != "nbits" or kinds != {"matmul"} else 1


def fitting(inputs: int) -> int:
    """Give the least power of two from 16 on that holds a row."""
    return max(LEAST, 1 << (inputs - 1).bit_length())

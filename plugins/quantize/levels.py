"""Codes of a weight as they are stored: small unsigned or signed numbers, several in a byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .grid import Blocks, Grid

if TYPE_CHECKING:
    import onnx_ir as ir


@dataclass(frozen=True)
class Levels:
    """A quantized weight.

    Attributes
    ----------
    codes
        uint8 of shape ``(outputs, blocks, size)``; signed codes are shifted by half of the levels.
    scales
        float32 of shape ``(outputs, blocks)``.
    zeros
        uint8 of shape ``(outputs, blocks)``; None where every zero point is half of the levels.
    inputs
        Length of a row; what the last block has beyond it are fillers.
    bits
        In which a code is stored: 2, 4 or 8.
    """

    codes: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.uint8] | None
    inputs: int
    bits: int

    @property
    def half(self) -> int:
        """The zero point of signed codes."""
        return 1 << (self.bits - 1)

    @property
    def size(self) -> int:
        """Inputs of a block."""
        return int(self.codes.shape[2])

    def resized(self, size: int) -> Levels:
        """Cut one block a row into smaller ones that repeat its scale."""
        rows, blocks, _ = self.codes.shape
        assert blocks == 1
        filler = self.half if self.zeros is None else self.zeros[:, :, None]
        count = -(-self.inputs // size)
        codes = np.broadcast_to(np.asarray(filler, np.uint8), (rows, 1, count * size)).copy()
        codes[:, :, : self.inputs] = self.codes[:, :, : self.inputs]
        zeros = None if self.zeros is None else np.repeat(self.zeros, count, axis=1)
        return Levels(
            codes.reshape(rows, count, size), np.repeat(self.scales, count, axis=1), zeros, self.inputs, self.bits
        )


class LevelsWriter:
    """Collects the rows of a weight as they are quantized, one byte a weight."""

    def __init__(self, outputs: int, inputs: int, size: int, grid: Grid, bits: int) -> None:
        count = -(-inputs // size)
        self._grid, self._half = grid, 1 << (bits - 1)
        zeros = None if grid.signed else np.empty((outputs, count), np.uint8)
        codes, scales = np.empty((outputs, count, size), np.uint8), np.empty((outputs, count), np.float32)
        self.levels = Levels(codes, scales, zeros, inputs, bits)

    def put(self, start: int, blocks: Blocks) -> None:
        """Take in rows from `start` on."""
        end, shift = start + len(blocks.codes), self._half if self._grid.signed else 0
        self.levels.codes[start:end] = (blocks.codes + np.float32(shift)).astype(np.uint8)
        self.levels.scales[start:end] = blocks.scales
        if self.levels.zeros is not None:
            self.levels.zeros[start:end] = blocks.zeros.astype(np.uint8)
        filler = self.levels.codes.reshape(len(self.levels.codes), -1)[start:end, self.levels.inputs :]
        filler[...] = self._half if self.levels.zeros is None else self.levels.zeros[start:end, -1:]


def packed(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Put codes into bytes along the last axis, the first one lowest; it is filled up with zeros."""
    count = 8 // bits
    if count == 1:
        return codes
    padded = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, -codes.shape[-1] % count)])
    parts = padded.reshape(*padded.shape[:-1], -1, count)
    found = parts[..., 0].copy()
    for part in range(1, count):
        found |= parts[..., part] << np.uint8(bits * part)
    return found


class Spill:
    """Keeps the new weights of a model in mapped files, so that memory holds one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def array(self, array: NDArray[Any], name: str) -> ir.TensorProtocol:
        """Give a tensor of the array's type."""
        import onnx_ir as ir

        return ir.Tensor(self._mapped(array), name=name)

    def small(self, codes: NDArray[np.uint8], bits: int, name: str, *, signed: bool) -> ir.TensorProtocol:
        """Give a tensor of a whole type of 4 or 8 bits.

        Parameters
        ----------
        codes
            As in `Levels`: shifted by half of the levels when `signed`.
        """
        import onnx_ir as ir

        if signed:
            # Turning the sign bit subtracts half of the levels in two's complement.
            codes = codes ^ np.uint8(1 << (bits - 1))
        if bits == 8:
            return self.array(codes.view(np.int8) if signed else codes, name)
        kind = ir.DataType.INT4 if signed else ir.DataType.UINT4
        content = self._mapped(packed(codes.reshape(-1), 4))
        return ir.PackedTensor(content, kind, shape=ir.Shape(codes.shape), name=name)

    def _mapped(self, array: NDArray[Any]) -> NDArray[Any]:
        if array.nbytes < 1 << 16:
            return np.ascontiguousarray(array).reshape(array.shape)
        self._count += 1
        file = self._folder / str(self._count)
        np.ascontiguousarray(array).tofile(file)
        return np.memmap(file, dtype=array.dtype, mode="r", shape=array.shape)

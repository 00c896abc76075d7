"""Weights in blocks, each on a grid of few levels: ``w = scale * (code - zero)``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """The codes that a weight may have.

    Attributes
    ----------
    bits
        1, 2, 3, 4 or 8. One bit means -1 and 1, always symmetric.
    symmetric
        Codes are signed and zero is code 0; otherwise they start at 0 and each block has a zero point.
    """

    bits: int
    symmetric: bool

    @property
    def signed(self) -> bool:
        """Whether codes are signed and no zero point is needed."""
        return self.symmetric or self.bits == 1

    @property
    def low(self) -> int:
        """The least code."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The greatest code."""
        if self.bits == 1:
            return 1
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    def encode(self, values: Floats, scales: Floats, zeros: Floats) -> Floats:
        """Give the nearest codes, as whole float32 numbers; scales and zeros broadcast over the values."""
        if self.bits == 1:
            signs: Floats = np.where(values * scales >= 0, np.float32(1), np.float32(-1))
            return signs
        with np.errstate(divide="ignore", invalid="ignore"):
            codes: Floats = values / scales
        np.nan_to_num(codes, copy=False, posinf=0, neginf=0)  # a scale of zero: all values are zero
        codes += zeros
        np.rint(codes, out=codes)
        np.clip(codes, self.low, self.high, out=codes)
        return codes


@dataclass(frozen=True)
class Blocks:
    """Quantized rows of a matrix.

    Attributes
    ----------
    codes
        float32 whole numbers of shape ``(rows, blocks, size)``.
    scales, zeros
        float32 of shape ``(rows, blocks)``; zeros are whole numbers.
    """

    codes: Floats
    scales: Floats
    zeros: Floats

    def values(self) -> Floats:
        """Give what the codes stand for: ``(rows, blocks, size)``."""
        found: Floats = self.scales[..., None] * (self.codes - self.zeros[..., None])
        return found

    def matrix(self, inputs: int) -> Floats:
        """Give what the codes stand for as rows without padding: ``(rows, inputs)``."""
        return self.values().reshape(len(self.codes), -1)[:, :inputs]


def in_blocks(rows: NDArray[Any], size: int) -> Floats:
    """Cut rows ``(rows, inputs)`` into blocks ``(rows, blocks, size)``, the last one filled up with zeros."""
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % size)))
    return np.ascontiguousarray(padded.reshape(len(rows), -1, size), dtype=np.float32)


def importance(squares: NDArray[Any] | None, inputs: int, size: int) -> Floats:
    """Give the weight of each input in the error, in blocks ``(blocks, size)``; fillers have none.

    Parameters
    ----------
    squares
        Mean square of each input; all count the same when None.
    """
    weights = np.ones(inputs) if squares is None or not np.any(squares > 0) else squares / squares.mean()
    found: Floats = in_blocks(weights[None], size)[0]
    return found

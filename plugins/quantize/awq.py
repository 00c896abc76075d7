"""Activation-aware scaling: channels with large inputs get finer steps, and what makes them is divided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grid import Floats, Grid, importance, in_blocks
from .rounding import round_blocks

#: exponents of the inputs' size that are tried
_EXPONENTS = np.linspace(0.0, 1.0, 11)
#: rows of a weight that the choice looks at
ROWS = 256


def choose_scale(
    weights: Sequence[Floats], hessian: NDArray[np.float64], grid: Grid, sizes: Sequence[int], *, search: bool
) -> tuple[Floats, float, float]:
    """Choose a scale for each channel of an activation (Lin et al. 2023, arXiv:2306.00978).

    The scale is the root mean square of the channel to the power of an exponent between 0 and 1: the one with
    which the outputs change least, over all layers that read the activation, by their inputs' covariance.

    Parameters
    ----------
    weights
        Rows of each layer that reads it, ``(rows, inputs)``.
    hessian
        Mean of ``x x'``, ``(inputs, inputs)``, or of squares, ``(inputs,)``.
    sizes
        Inputs of a block, for each layer.

    Returns
    -------
    tuple
        The scale ``(inputs,)``, all ones when nothing is better; the exponent; and the outputs' error with it
        relative to that without.
    """
    squares = np.diag(hessian) if hessian.ndim == 2 else hessian
    size = np.sqrt(np.maximum(squares, 1e-12 * max(float(squares.max()), 1e-30)))
    best, exponent, least, plain = np.ones(len(size), np.float32), 0.0, np.inf, np.inf
    for power in _EXPONENTS:
        scale = size**power
        scale = (scale / np.sqrt(scale.max() * scale.min())).astype(np.float32)
        loss = sum(
            _loss(rows, scale, hessian, grid, block, search=search) for rows, block in zip(weights, sizes, strict=True)
        )
        if power == 0.0:
            plain = loss
        if loss < least:
            best, exponent, least = scale, float(power), loss
    return best, exponent, least / max(plain, 1e-30)


def _loss(rows: Floats, scale: Floats, hessian: NDArray[np.float64], grid: Grid, size: int, *, search: bool) -> float:
    squares = np.diag(hessian) if hessian.ndim == 2 else hessian
    inputs = rows.shape[1]
    blocks = in_blocks(rows * scale, size)
    found = round_blocks(blocks, grid, importance(squares / scale**2, inputs, size), search=search)
    error: NDArray[Any] = (found.matrix(inputs) / scale - rows).astype(np.float64)
    product = error @ hessian if hessian.ndim == 2 else error * hessian
    return float((product * error).sum())

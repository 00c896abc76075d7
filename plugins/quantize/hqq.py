"""Half-quadratic quantization: scales and zero points that let a few large weights be wrong."""

from __future__ import annotations

import numpy as np

from .grid import Blocks, Floats, Grid
from .rounding import extremes, round_blocks

#: exponent of the norm, strength of the coupling in units of a step, its growth, and rounds
NORM, COUPLING, GROWTH, ROUNDS = 0.7, 10.0, 1.01, 20


def half_quadratic(blocks: Floats, grid: Grid, weights: Floats) -> Blocks:
    """Quantize each block by the half-quadratic splitting of HQQ; no data is needed.

    The error is measured in an lp norm with p = 0.7, which outliers hardly touch: they go to an auxiliary variable
    by a shrinkage step, and scale and zero point are fitted to the rest in closed form, in turns (Badri and Shaji
    2023, "Half-Quadratic Quantization of Large Machine Learning Models"). Zero points are whole numbers here, as
    the operators that the result runs in want them, and the scale is fitted too. A block keeps its best round by the
    mean magnitude of the error, the plain rounding included.

    Parameters
    ----------
    blocks
        Values ``(rows, blocks, size)``.
    weights
        How much each input counts ``(blocks, size)``; zero for fillers.
    """
    if grid.bits == 1:
        return round_blocks(blocks, grid, weights, search=False)
    scales, zeros = extremes(blocks, grid)
    step = np.abs(scales)
    best = Blocks(grid.encode(blocks, scales[..., None], zeros[..., None]), scales, zeros)
    least = _magnitude(blocks - best.values(), weights)
    current, coupling = best, COUPLING
    for _ in range(ROUNDS):
        kept = blocks - _shrunk(blocks - current.values(), step[..., None], coupling)
        current = _fitted(kept, current, grid, weights)
        codes = grid.encode(blocks, current.scales[..., None], current.zeros[..., None])
        current = Blocks(codes, current.scales, current.zeros)
        error = _magnitude(blocks - current.values(), weights)
        better = error < least
        if not better.any():
            break
        best = Blocks(
            np.where(better[..., None], current.codes, best.codes),
            np.where(better, current.scales, best.scales),
            np.where(better, current.zeros, best.zeros),
        )
        least = np.where(better, error, least)
        coupling *= GROWTH
    return best


def _fitted(kept: Floats, current: Blocks, grid: Grid, weights: Floats) -> Blocks:
    """Fit zero point and scale to what is not an outlier, the codes as they are."""
    zeros = current.zeros
    if not grid.signed:
        with np.errstate(divide="ignore", invalid="ignore"):
            offsets = np.nan_to_num(current.codes - kept / current.scales[..., None], posinf=0, neginf=0)
        mean = (offsets * weights).sum(axis=-1) / np.maximum(weights.sum(axis=-1), 1e-30)
        zeros = np.clip(np.rint(mean), grid.low, grid.high).astype(np.float32)
    codes = grid.encode(kept, current.scales[..., None], zeros[..., None])
    centred = codes - zeros[..., None]
    energy = (centred * centred * weights).sum(axis=-1)
    found = (kept * centred * weights).sum(axis=-1) / np.maximum(energy, 1e-30)
    usable = (energy > 0) & (found * current.scales > 0)
    return Blocks(codes, np.where(usable, found, current.scales).astype(np.float32), zeros)


def _shrunk(error: Floats, step: Floats, coupling: float) -> Floats:
    """Give the auxiliary variable: the error, shrunk by the proximal step of the lp norm."""
    unit = np.abs(error) / np.maximum(step, 1e-30)
    threshold = (NORM / coupling) * np.power(np.maximum(unit, 1e-8), NORM - 1)
    found: Floats = np.sign(error) * np.maximum(unit - threshold, 0) * step
    return found


def _magnitude(error: Floats, weights: Floats) -> Floats:
    total: Floats = (np.abs(error) * (weights > 0)).sum(axis=-1)
    return total

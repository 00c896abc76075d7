"""Round-to-nearest: scales from the extremes of each block, or those of the least squared error."""

from __future__ import annotations

import numpy as np

from .grid import Blocks, Floats, Grid

#: how many shrunk ranges are tried at up to 4 bits, and at 8
_TRIES, _FEW_TRIES = 16, 4


def round_blocks(blocks: Floats, grid: Grid, weights: Floats, *, search: bool) -> Blocks:
    """Quantize each block by itself.

    Parameters
    ----------
    blocks
        Values ``(rows, blocks, size)``.
    weights
        How much each input counts ``(blocks, size)``; zero for fillers.
    search
        Try smaller ranges than the extremes span, refit each scale to its codes by least squares, and keep
        what has the least squared error; the extremes only otherwise.
    """
    if grid.bits == 1:
        return _signs(blocks, weights)
    best: Blocks | None = None
    least: Floats | None = None
    for scales, zeros in _ranges(blocks, grid, search=search):
        found = _coded(blocks, grid, scales, zeros)
        if not search:
            return found
        error = squared_error(blocks, found, weights)
        best, least = _better(best, least, found, error)
    assert best is not None and least is not None
    refitted = _refitted(blocks, best, grid, weights)
    return _better(best, least, refitted, squared_error(blocks, refitted, weights))[0]


def squared_error(blocks: Floats, found: Blocks, weights: Floats) -> Floats:
    """Give each block's squared error ``(rows, blocks)``."""
    difference = found.values()
    difference -= blocks
    np.square(difference, out=difference)
    difference *= weights
    total: Floats = difference.sum(axis=-1)
    return total


def extremes(blocks: Floats, grid: Grid) -> tuple[Floats, Floats]:
    """Give scales and zero points that span each block's values and zero.

    A symmetric grid has one more code below zero than above: the value of largest magnitude gets it,
    through a scale that may be negative.
    """
    low, high = np.minimum(blocks.min(axis=-1), 0), np.maximum(blocks.max(axis=-1), 0)
    if grid.signed:
        peak = np.where(high >= -low, high, low)
        return (peak / np.float32(grid.low)).astype(np.float32), np.zeros_like(peak)
    scales = ((high - low) / np.float32(grid.high)).astype(np.float32)
    return scales, _zero_points(low, scales, grid)


def _zero_points(low: Floats, scales: Floats, grid: Grid) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.nan_to_num(-low / scales, posinf=0, neginf=0)
    points: Floats = np.clip(np.rint(found), grid.low, grid.high).astype(np.float32)
    return points


def _ranges(blocks: Floats, grid: Grid, *, search: bool) -> list[tuple[Floats, Floats]]:
    """List scales and zero points to try, those of the extremes first."""
    scales, zeros = extremes(blocks, grid)
    tries = _TRIES if grid.bits <= 4 else _FEW_TRIES
    factors = np.linspace(1.0, 0.4 if grid.bits <= 2 else 0.6 if grid.bits <= 4 else 0.94, tries, dtype=np.float32)
    if not search:
        return [(scales, zeros)]
    if not grid.signed:
        return [(scales * factor, zeros) for factor in factors]
    both = (scales, -scales * np.float32(grid.low / -grid.high))
    return [(side * factor, zeros) for factor in factors for side in both]


def _coded(blocks: Floats, grid: Grid, scales: Floats, zeros: Floats) -> Blocks:
    return Blocks(grid.encode(blocks, scales[..., None], zeros[..., None]), scales, zeros)


def _better(best: Blocks | None, least: Floats | None, found: Blocks, error: Floats) -> tuple[Blocks, Floats]:
    if best is None or least is None:
        return found, error
    mask = error < least
    chosen = Blocks(
        np.where(mask[..., None], found.codes, best.codes),
        np.where(mask, found.scales, best.scales),
        np.where(mask, found.zeros, best.zeros),
    )
    return chosen, np.where(mask, error, least)


def _refitted(blocks: Floats, found: Blocks, grid: Grid, weights: Floats) -> Blocks:
    """Fit each scale to its codes by least squares, and round to it again."""
    centred = found.codes - found.zeros[..., None]
    energy = (weights * centred * centred).sum(axis=-1)
    product = (weights * centred * blocks).sum(axis=-1)
    scales = np.where(energy > 0, product / np.maximum(energy, 1e-30), found.scales).astype(np.float32)
    return _coded(blocks, grid, scales, found.zeros)


def _signs(blocks: Floats, weights: Floats) -> Blocks:
    """Keep the signs and the mean magnitude, which has the least squared error (Rastegari et al. 2016)."""
    total = np.maximum(weights.sum(axis=-1), 1e-30)
    scales = ((np.abs(blocks) * weights).sum(axis=-1) / total).astype(np.float32)
    return _coded(blocks, Grid(1, symmetric=True), scales, np.zeros_like(scales))

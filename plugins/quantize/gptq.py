"""GPTQ: columns are rounded one after the other, and those still to come make up for the error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grid import Blocks, Floats, Grid, importance, in_blocks
from .rounding import round_blocks

#: columns whose corrections are carried to the rest of the matrix together
LAZY = 128


@dataclass(frozen=True)
class Curvature:
    """What GPTQ knows of a layer's inputs.

    Attributes
    ----------
    factor
        Upper Cholesky factor of the inverse Hessian, ``(inputs, inputs)``, in the order of `order`.
    order
        The columns in the order in which they are rounded.
    squares
        Mean square of each input, in the layer's order.
    """

    factor: Floats
    order: NDArray[np.intp]
    squares: NDArray[np.float64]


def curvature(hessian: NDArray[np.float64], dampening: float, *, act_order: bool) -> Curvature:
    """Factorize a Hessian (the mean of ``x x'`` over calibration data).

    Parameters
    ----------
    hessian
        ``(inputs, inputs)``; not changed. Inputs that are always zero get a curvature of one.
    dampening
        Added to the diagonal, relative to its mean; raised until the matrix can be factorized.
    act_order
        Take the columns with the largest inputs first.
    """
    squares = np.diag(hessian).copy()
    order = np.argsort(-squares, kind="stable") if act_order else np.arange(len(squares))
    matrix = hessian[np.ix_(order, order)]
    diagonal = np.diag_indices_from(matrix)
    dead = matrix[diagonal] <= 0
    mean = float(matrix[diagonal].mean()) or 1.0
    matrix[diagonal] = np.where(dead, mean, matrix[diagonal])
    while True:
        damped = matrix.copy()
        damped[diagonal] += dampening * mean
        try:
            inverse = _inverse(damped)
            return Curvature(np.linalg.cholesky(inverse).T.astype(np.float32), order, squares)
        except np.linalg.LinAlgError:
            dampening *= 10


def gptq(rows: Floats, known: Curvature, grid: Grid, size: int, *, search: bool) -> Blocks:
    """Quantize rows of a matrix so that the layer's outputs change least (Frantar et al. 2022, arXiv:2210.17323).

    Parameters
    ----------
    rows
        ``(rows, inputs)``; any rows of a layer, each is independent of the others.
    known
        The layer's inputs.
    size
        Inputs of a block. Where columns are taken in another order, each block's scale is found on
        the weights before any correction, so that blocks stay as they are stored.
    search
        Whether each block's scale is searched, see `round_blocks`.
    """
    work, inputs = rows.astype(np.float32), rows.shape[1]
    weights = importance(known.squares, inputs, size)
    reordered = bool(np.any(np.diff(known.order) < 0))
    found = round_blocks(in_blocks(work, size), grid, weights, search=search)
    scales, zeros = found.scales.copy(), found.zeros.copy()
    codes = found.codes.reshape(len(rows), -1).copy()  # fillers keep theirs
    work = work[:, known.order]
    # Blocks must not straddle two steps, whose corrections come late.
    step = LAZY if reordered or size > inputs else max(LAZY, size)
    for start in range(0, inputs, step):
        end = min(inputs, start + step)
        part, errors = work[:, start:end], np.empty((len(rows), end - start), np.float32)
        for at in range(start, end):
            column = known.order[at]
            block = column // size
            if not reordered and column % size == 0 and column > 0:
                fresh = in_blocks(part[:, at - start : at - start + size], size)
                again = round_blocks(fresh, grid, weights[block : block + 1], search=search)
                scales[:, block], zeros[:, block] = again.scales[:, 0], again.zeros[:, 0]
            value = part[:, at - start]
            code = grid.encode(value, scales[:, block], zeros[:, block])
            codes[:, column] = code
            error = (value - scales[:, block] * (code - zeros[:, block])) / known.factor[at, at]
            part[:, at - start :] -= np.outer(error, known.factor[at, at:end])
            errors[:, at - start] = error
        work[:, end:] -= errors @ known.factor[start:end, end:]
    return Blocks(codes.reshape(found.codes.shape), scales, zeros)


def _inverse(matrix: NDArray[np.float64]) -> NDArray[Any]:
    """Invert a symmetric positive definite matrix.

    Raises
    ------
    LinAlgError
        When it is not positive definite.
    """
    lower = np.linalg.cholesky(matrix)
    half = np.linalg.solve(lower, np.eye(len(matrix)))
    return half.T @ half

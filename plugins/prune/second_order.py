"""SparseGPT: setting weights to zero while the others make up for it (Optimal Brain Surgeon, column by column).

Frantar and Alistarh 2023, arXiv:2301.00774. The inputs' second moments are the Hessian of a layer's squared
output error. Columns are gone through once; the error of what is set to zero is spread over the columns to the
right by the Cholesky factor of the inverse Hessian.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .masks import Pattern, Rule, Share, mask

#: columns between two choices of what goes
BLOCK = 128


def prune_and_repair(
    matrix: NDArray[np.float64], moments: NDArray[np.float64], rule: Rule, dampening: float
) -> NDArray[np.float64]:
    """Prune a matrix and let the weights that stay make up for those that went.

    Parameters
    ----------
    matrix
        Shape ``(outputs, inputs)``; finite.
    moments
        Sum or mean of ``x x'``: ``(inputs, inputs)``.
    rule
        What goes.
    dampening
        Added to the diagonal, relative to its mean: more for fewer samples.
    """
    weights, result = matrix.copy(), matrix.copy()
    inverse = _inverse_factor(weights, moments, dampening)
    columns, block = matrix.shape[1], _block(rule)
    gone = 0
    for start in range(0, columns, block):
        stop = min(start + block, columns)
        part, own = weights[:, start:stop].copy(), inverse[start:stop, start:stop]
        marked = None
        if isinstance(rule, Share):
            wanted = round(rule.share * len(matrix) * stop) - gone
            marked = _smallest(part**2 / np.diag(own) ** 2, wanted)
            gone += wanted
        errors = _sweep(part, own, marked, rule)
        result[:, start:stop] = part
        weights[:, stop:] -= errors @ inverse[start:stop, stop:]
    return result


def _sweep(
    part: NDArray[np.float64], inverse: NDArray[np.float64], marked: NDArray[np.bool_] | None, rule: Rule
) -> NDArray[np.float64]:
    """Set the marked weights of a block to zero from left to right; give the errors to spread beyond it."""
    errors = np.zeros_like(part)
    diagonal = np.diag(inverse)
    chosen = marked if marked is not None else np.zeros(part.shape, dtype=bool)
    for column in range(part.shape[1]):
        if isinstance(rule, Pattern) and column % rule.of == 0:
            ahead = slice(column, column + rule.of)
            chosen[:, ahead] = mask(part[:, ahead] ** 2 / diagonal[ahead] ** 2, rule)
        kept = np.where(chosen[:, column], 0.0, part[:, column])
        errors[:, column] = (part[:, column] - kept) / diagonal[column]
        part[:, column:] -= np.outer(errors[:, column], inverse[column, column:])
        part[:, column] = kept
    return errors


def _inverse_factor(
    weights: NDArray[np.float64], moments: NDArray[np.float64], dampening: float
) -> NDArray[np.float64]:
    """Give ``U`` with ``U' U = H^-1``; inputs that are never active lose their weights, which nothing notices."""
    hessian = moments.copy()
    dead = np.diag(hessian) <= 0
    weights[:, dead] = 0
    mean = float(np.diag(hessian).mean())
    hessian[np.diag_indices_from(hessian)] += np.where(dead, max(mean, 1.0), 0.0) + max(dampening * mean, 1e-12)
    inverse = np.linalg.inv(hessian)
    return np.asarray(np.linalg.cholesky((inverse + inverse.T) / 2).T)


def _smallest(scores: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """Mark exactly `count` elements."""
    chosen = np.zeros(scores.size, dtype=bool)
    chosen[np.argsort(scores, axis=None, kind="stable")[:count]] = True
    return chosen.reshape(scores.shape)


def _block(rule: Rule) -> int:
    return BLOCK if isinstance(rule, Share) else -(-BLOCK // rule.of) * rule.of

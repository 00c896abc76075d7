"""Least squares: what a layer should be so that it gives what the original network gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from studio.api import Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

#: how much a ridge grows with the inputs for each row: neighbouring rows say much the same
FEW = 30.0


def centred(moments: Moments, group: int, *, bias: bool) -> tuple[Matrix, Matrix]:
    """Give the mean ``(inputs,)`` and the covariance ``(inputs, inputs)`` of a layer's inputs.

    Without a bias that could make up for the mean, it is 0 and the second moments are given.
    """
    rows = max(1, moments.rows)
    mean = moments.x[group] / rows if bias else np.zeros_like(moments.x[group])
    return mean, moments.xx[group] / rows - np.outer(mean, mean)


def ridged(covariance: Matrix, ridge: float, rows: int) -> Matrix:
    """Add a ridge relative to the mean of the diagonal; more where rows are few for so many inputs."""
    diagonal = np.diag(covariance)
    shift = max(
        ridge * (1 + FEW * len(covariance) / max(1, rows)) * float(diagonal.mean()),
        1e-9 * float(diagonal.max(initial=0.0)),
        1e-20,
    )
    return covariance + shift * np.eye(len(covariance))


def fit(
    matrix: Matrix,
    bias: Matrix,
    moments: Moments,
    kept: NDArray[np.bool_],
    *,
    ridge: float,
    changes_bias: bool,
    target: bool = True,
) -> tuple[Matrix, Matrix]:
    """Fit a layer to its target with some columns only.

    Minimizes ``|y - A x - b|^2 + ridge |A - W|^2`` over the rows, `A` zero in the columns that go.

    Parameters
    ----------
    matrix, bias
        ``(groups, outputs, inputs)`` and ``(groups, outputs)`` of the layer as it was.
    kept
        ``(groups, inputs)``.
    target
        Whether the moments have outputs; else it is fitted to what it gave itself for these inputs.

    Returns
    -------
    tuple
        The new matrix and bias.
    """
    found, offset = np.zeros_like(matrix), bias.copy()
    for group in range(len(matrix)):
        stays = kept[group]
        if not stays.any():
            continue
        found[group], offset[group] = _fit_group(
            matrix[group], bias[group], moments, group, stays, ridge, changes_bias, target
        )
    return found, offset


def _fit_group(
    weights: Matrix,
    bias: Matrix,
    moments: Moments,
    group: int,
    stays: NDArray[np.bool_],
    ridge: float,
    changes_bias: bool,
    target: bool,
) -> tuple[Matrix, Matrix]:
    rows = max(1, moments.rows)
    mean, covariance = centred(moments, group, bias=changes_bias)
    if target:
        expected = moments.y[group] / rows if changes_bias else bias
        cross = moments.xy[group] / rows - np.outer(moments.x[group] / rows, expected)
    else:
        expected = weights @ mean + bias
        cross = covariance @ weights.T
    own = ridged(covariance, ridge, rows)[np.ix_(stays, stays)]
    wanted = (cross - covariance[:, stays] @ weights[:, stays].T)[stays]
    found = np.zeros_like(weights)
    found[:, stays] = weights[:, stays] + _solve(own, wanted).T
    return found, expected - found @ mean if changes_bias else bias


def _solve(left: Matrix, right: Matrix) -> Matrix:
    """Solve a positive definite system; by least squares where rounding made it indefinite."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    try:
        return np.asarray(cho_solve(cho_factor(left, check_finite=False), right, check_finite=False))
    except LinAlgError:
        return np.asarray(np.linalg.lstsq(left, right, rcond=None)[0])


def energy(moments: Moments, matrix: Matrix, group: int, *, bias: bool) -> float:
    """Give the mean square of what a group of a layer gives, about its mean where it has a bias."""
    _, covariance = centred(moments, group, bias=bias)
    return float(((matrix[group] @ covariance) * matrix[group]).sum())

"""Matrices and kernels as products of smaller ones, with the least error in the outputs.

The metric of a `Fit` stands for the covariance of the inputs, so what is minimized is the error of the
outputs, not of the weights: SVD-LLM (arXiv:2403.07378) for matrices, carried over to the channel
decomposition (Zhang et al. 2016, arXiv:1505.06798), the spatial one (Jaderberg et al. 2014, arXiv:1405.3866)
and Tucker-2 (Kim et al. 2016, arXiv:1511.06530) of convolutions. Each factor after the first is the least squares
solution given those before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from studio.api import Linear

from .fit import Fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[Any]

Kind = Literal["matrix", "spatial", "tucker"]
#: what a factor's pseudo-inverse may be regularized by, relative to its mean diagonal
TINY = 1e-9


@dataclass(frozen=True)
class Factors:
    """A layer as a chain of smaller ones.

    Attributes
    ----------
    kind
        ``matrix``: ``(r, inputs)`` then ``(outputs, r)``, for Conv the k x k kernel first, then 1 x 1.
        ``spatial``: ``(r, channels, kh, 1)`` then ``(outputs, r, 1, kw)``.
        ``tucker``: ``(r1, channels)``, ``(r2, r1, *kernel)``, ``(outputs, r2)``.
    arrays
        The factors in the order in which they are applied.
    matrix
        Their product as one matrix ``(outputs, inputs)``.
    """

    kind: Kind
    arrays: tuple[Matrix, ...]
    matrix: Matrix

    @property
    def ranks(self) -> tuple[int, ...]:
        """Sizes of the tensors between the factors."""
        return tuple(len(array) for array in self.arrays[:-1])


def kinds_of(linear: Linear) -> tuple[Kind, ...]:
    """List the decompositions that a layer has."""
    if linear.window is None or linear.window.cells == 1:
        return ("matrix",)
    both = len(linear.window.kernel) == 2 and min(linear.window.kernel) > 1
    return ("matrix", "spatial", "tucker") if both else ("matrix", "tucker")


def cost(linear: Linear, kind: Kind, ranks: tuple[int, ...], *, parameters: bool = False) -> float:
    """Give parameters, or multiply-accumulates for each position of the output, of a factorized layer."""
    window = linear.window
    if kind == "matrix" or window is None:
        return ranks[0] * (linear.inputs + linear.outputs)
    channels, strides = linear.inputs // window.cells, window.strides
    if kind == "spatial":
        wide = 1 if parameters else strides[1]
        return ranks[0] * (channels * window.kernel[0] * wide + window.kernel[1] * linear.outputs)
    wide = 1 if parameters else math.prod(strides)
    return ranks[0] * channels * wide + ranks[0] * ranks[1] * window.cells + ranks[1] * linear.outputs


def ranks_within(
    linear: Linear, kind: Kind, budget: float, multiple: int, *, parameters: bool = False
) -> tuple[int, ...] | None:
    """Find the largest ranks, multiples where they are not smaller, whose cost is within a budget; None for none."""
    lengths = (linear.outputs, linear.inputs)
    if kind == "matrix":
        most: tuple[int, ...] = (min(lengths),)
    elif kind == "spatial":
        assert linear.window is not None
        vertical, horizontal = linear.window.kernel
        channels = linear.inputs // linear.window.cells
        most = (min(channels * vertical, linear.outputs * horizontal),)
    else:
        assert linear.window is not None
        most = (linear.inputs // linear.window.cells, linear.outputs)
    best = None
    for step in range(1, 1 + -(-max(most) // multiple)):
        share = min(1.0, step * multiple / max(most))
        ranks = tuple(min(size, max(multiple, multiple * round(size * share / multiple))) for size in most)
        if cost(linear, kind, ranks, parameters=parameters) > budget:
            break
        best = ranks
    return best


def decompose(linear: Linear, kind: Kind, ranks: tuple[int, ...], fit: Fit) -> Factors:
    """Factorize the target of a fit."""
    if kind == "matrix":
        return _matrix(linear, ranks[0], fit)
    return _spatial(linear, ranks[0], fit) if kind == "spatial" else _tucker(linear, ranks, fit)


def spectrum(fit: Fit) -> Matrix:
    """Give the energies of the outputs' principal components, largest first: what each rank adds."""
    import numpy as np

    gram = _output_gram(fit) if _outputs_fewer(fit) else _input_gram(fit)[0]
    return np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0)


def _outputs_fewer(fit: Fit) -> bool:
    outputs, inputs = fit.target.shape
    return bool(outputs <= inputs)


def _output_gram(fit: Fit) -> Matrix:
    product: Matrix = fit.weighed(fit.target) @ fit.target.T
    return product


def _input_gram(fit: Fit) -> tuple[Matrix, Matrix]:
    """Give ``L' A' A L`` and ``L``, where ``L L'`` is the metric."""
    import numpy as np

    root = np.linalg.cholesky(fit.metric) if fit.metric.ndim == 2 else np.diag(np.sqrt(fit.metric))
    seen = fit.target @ root
    return seen.T @ seen, root


def _top(gram: Matrix, rank: int) -> Matrix:
    """Give the eigenvectors of the largest eigenvalues as columns."""
    import numpy as np

    return np.ascontiguousarray(np.linalg.eigh(gram)[1][:, ::-1][:, :rank])


def _matrix(linear: Linear, rank: int, fit: Fit) -> Factors:
    """Project the outputs on their principal components: the best of this rank (Eckart and Young)."""
    import numpy as np

    if _outputs_fewer(fit):
        second = _top(_output_gram(fit), rank)
        first = second.T @ fit.target
    else:
        gram, root = _input_gram(fit)
        basis = _top(gram, rank)
        first, second = np.linalg.solve(root.T, basis).T, fit.target @ root @ basis
    if linear.window is None:
        return Factors("matrix", (first, second), second @ first)
    channels = linear.inputs // linear.window.cells
    return Factors("matrix", (first.reshape(rank, channels, *linear.window.kernel), second), second @ first)


def _spatial(linear: Linear, rank: int, fit: Fit) -> Factors:
    """Vertical filters first, by the covariance of the columns of a patch; horizontal ones by least squares."""
    import numpy as np

    assert linear.window is not None
    (high, wide), outputs = linear.window.kernel, linear.outputs
    channels = linear.inputs // linear.window.cells
    metric = fit.metric.reshape(channels, high, wide, channels, high, wide)
    columns = np.einsum("chwdkw->chdk", metric).reshape(channels * high, channels * high)
    kernels = fit.target.reshape(outputs, channels, high, wide).transpose(0, 3, 1, 2).reshape(-1, channels * high)
    first = _whitened_basis(kernels, columns, rank)
    whole = np.zeros((rank, wide, channels, high, wide))
    for column in range(wide):
        whole[:, column, :, :, column] = first.reshape(rank, channels, high)
    middle = whole.reshape(rank * wide, linear.inputs)
    second = _least_squares(fit, middle)
    arrays = (first.reshape(rank, channels, high, 1), second.reshape(outputs, rank, 1, wide))
    return Factors("spatial", arrays, second @ middle)


def _tucker(linear: Linear, ranks: tuple[int, ...], fit: Fit) -> Factors:
    """Reduce the channels that come in, then those that go out."""
    import numpy as np

    assert linear.window is not None
    cells, outputs = linear.window.cells, linear.outputs
    channels = linear.inputs // cells
    metric = fit.metric.reshape(channels, cells, channels, cells)
    kernels = fit.target.reshape(outputs, channels, cells).transpose(0, 2, 1).reshape(-1, channels)
    first = _whitened_basis(kernels, np.einsum("ckdk->cd", metric), ranks[0])
    middle = np.kron(first, np.eye(cells))
    core = _least_squares(fit, middle)
    seen = middle @ fit.weighed(middle).T
    last = _top(core @ seen @ core.T, ranks[1])
    inner = last.T @ core
    arrays = (first, inner.reshape(ranks[1], ranks[0], *linear.window.kernel), last)
    return Factors("tucker", arrays, last @ inner @ middle)


def _whitened_basis(kernels: Matrix, covariance: Matrix, rank: int) -> Matrix:
    """Give the `rank` combinations of inputs ``(rank, inputs)`` that keep most of ``kernels @ x``."""
    import numpy as np

    root = np.linalg.cholesky(covariance)
    seen = kernels @ root
    return np.ascontiguousarray(np.linalg.solve(root.T, _top(seen.T @ seen, rank)).T)


def _least_squares(fit: Fit, middle: Matrix) -> Matrix:
    """Solve for the factor that makes the target's outputs of ``middle @ x``."""
    import numpy as np

    seen = fit.weighed(middle)
    gram = seen @ middle.T
    gram += TINY * max(float(np.diag(gram).mean()), 1e-30) * np.eye(len(gram))
    return np.linalg.solve(gram, seen @ fit.target.T).T

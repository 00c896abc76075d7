"""What a factorized layer shall compute, from the moments of its activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.api import Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[Any]


@dataclass(frozen=True)
class Fit:
    """The best full matrix for a layer, and how much an error in it weighs.

    Attributes
    ----------
    target
        ``(outputs, inputs)``: what reproduces the original outputs best from the inputs as they are now.
    metric
        Second moments of the inputs with ridge, ``(inputs, inputs)``; only its diagonal ``(inputs,)``
        for very wide layers: the error of another matrix is weighed by it.
    x, y
        Means of inputs and outputs, for the bias; zeros when there is none to correct.
    rows
        Rows that were seen.
    """

    target: Matrix
    metric: Matrix
    x: Matrix
    y: Matrix
    rows: int

    def weighed(self, matrix: Matrix) -> Matrix:
        """Give ``matrix @ metric``."""
        return matrix @ self.metric if self.metric.ndim == 2 else matrix * self.metric

    @property
    def energy(self) -> float:
        """Mean square of the outputs of the target, summed over the outputs."""
        return float((self.weighed(self.target) * self.target).sum())

    def error(self, matrix: Matrix) -> float:
        """Give the share of the outputs' energy that is lost when `matrix` stands for the target."""
        gone = self.target - matrix
        return max(0.0, float((self.weighed(gone) * gone).sum())) / max(self.energy, 1e-30)

    def bias(self, matrix: Matrix) -> Matrix:
        """Give the bias with which `matrix` meets the mean output."""
        return np_array(self.y - matrix @ self.x)


def fit(
    weight: Matrix, moments: Moments, bias: Matrix | None, *, correct: bool, reconstruct: bool, ridge: float
) -> Fit:
    """Fit a layer to its moments.

    With the ridge pulling towards the weights that are there, minimizes ``|y - A x|^2 + ridge |A - W|^2``: the
    closed form is ``A = W + (Cyx - W Cxx) (Cxx + ridge)^-1``. Few rows then leave the weights nearly as they are.

    Parameters
    ----------
    weight
        ``W``: ``(outputs, inputs)``.
    moments
        Inputs of the network as it is now, outputs of the original one.
    bias
        The layer's bias, zeros when it has none; None when it is not known: nothing is reconstructed then.
    correct
        Whether the bias can be changed: moments are then taken about the means.
    reconstruct
        Whether to fit the outputs; else the target is the weight itself.
    ridge
        Relative to the mean of the moments' diagonal.
    """
    import numpy as np

    rows = moments.rows
    mean = moments.x[0] / rows if correct else np.zeros_like(moments.x[0])
    xx = moments.xx[0] / rows
    xx = xx - np.outer(mean, mean) if xx.ndim == 2 else xx - mean * mean
    diagonal = np.diag(xx) if xx.ndim == 2 else xx
    shift = max(ridge * float(diagonal.mean()), 1e-12 * float(diagonal.max(initial=0.0)), 1e-30)
    metric = xx + shift * (np.eye(len(mean)) if xx.ndim == 2 else 1.0)
    known = bias if bias is not None else np.zeros(len(weight))
    if not reconstruct or bias is None or xx.ndim == 1 or not moments.xy.shape[2]:
        return Fit(weight, metric, mean, weight @ mean + known if correct else np.zeros(len(weight)), rows)
    y = moments.y[0] / rows if correct else np.zeros(len(weight))
    offset = y if correct else known
    # covariance with what the outputs are beyond mean or bias
    xy = moments.xy[0] / rows - np.outer(mean if correct else moments.x[0] / rows, offset)
    change = np.linalg.solve(metric, xy - xx @ weight.T).T
    return Fit(weight + change, metric, mean, y, rows)


def np_array(value: Any) -> Matrix:
    """Give a float64 array."""
    import numpy as np

    return np.asarray(value, dtype=np.float64)

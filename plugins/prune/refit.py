"""What a layer should compute in a network that was changed before it, from the moments of its activations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from studio.api import Linear, Moments, Weight


def known_bias(weight: Weight, linear: Linear) -> NDArray[np.float64] | None:
    """Give the bias in a layer's output, ``(groups, outputs)``; None where the output is not ``W x`` plus one."""
    node = weight.node
    if linear.operator == "ConvTranspose" or linear.left:
        return None
    if any(name in node.attributes and node.attributes[name].as_float() != 1 for name in ("alpha", "beta")):
        return None
    value = node.inputs[2] if len(node.inputs) > 2 else None
    if value is None:
        return np.zeros((linear.groups, linear.outputs))
    if value.const_value is None or value.is_graph_input() or value.const_value.size != linear.groups * linear.outputs:
        return None
    return np.asarray(value.const_value.numpy(), dtype=np.float64).reshape(linear.groups, linear.outputs)


def refitted(
    matrix: NDArray[np.float64], moments: Moments, bias: NDArray[np.float64], ridge: float
) -> NDArray[np.float64]:
    """Give the matrix that meets the original outputs best from the inputs as they are now.

    Minimizes ``|y - b - A x|^2 + ridge |A - W|^2``, so that few rows leave the weights nearly as they are.

    Parameters
    ----------
    matrix
        ``W``, shape ``(groups, outputs, inputs)``.
    ridge
        Relative to the mean square of the inputs.
    """
    result = matrix.copy()
    for group, weights in enumerate(matrix):
        xx = moments.xx[group]
        xy = moments.xy[group] - np.outer(moments.x[group], bias[group])
        pull = ridge * max(float(np.diag(xx).mean()), 1e-30) * np.eye(len(xx))
        result[group] += np.linalg.solve(xx + pull, xy - xx @ weights.T).T
    return result

"""What a unit is worth by simpler measures than the second-order one.

L1 and L2 norm: Li et al. 2017, "Pruning Filters for Efficient ConvNets", arXiv:1608.08710. Scale of batch
normalization: Liu et al. 2017, "Network Slimming", arXiv:1708.06519. Geometric median: He et al. 2019, "FPGM",
arXiv:1811.00250. Activation: weights times the norm of what they meet, Sun et al. 2023, "Wanda", arXiv:2306.11695.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .group import Group, Port
from .removal import Removals
from .sites import Layer

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from studio.api import Moments

    from .network import Network

    Matrix = NDArray[np.float64]


def unit_scores(
    criterion: str,
    group: Group,
    layers: Mapping[str, Layer],
    network: Network,
    moments: Mapping[str, Moments],
    bare: ir.Model,
) -> Matrix:
    """Give a number for each unit of a group; the smallest goes first."""
    if criterion == "activation":
        return _by_activation(group, layers, network, moments)
    if criterion == "batchnorm-scale":
        scales = _scales(group, bare)
        if scales is not None:
            return scales
        criterion = "l2"
    rows = _maker_rows(group, layers, network)
    if criterion == "geometric-median":
        return np.asarray(np.linalg.norm(rows[:, None] - rows[None], axis=-1).sum(axis=1))
    return np.asarray(np.abs(rows).sum(axis=1) if criterion == "l1" else np.linalg.norm(rows, axis=1))


def in_order(scores: Matrix, parts: NDArray[np.intp], gone: Sequence[int], most: int) -> Removals:
    """Order units by their scores, as many from each part at any time; losses add up the squares."""
    alive = np.ones(len(scores), dtype=bool)
    alive[list(gone)] = False
    columns = []
    for part in range(int(parts.max(initial=0)) + 1):
        own = np.flatnonzero((parts == part) & alive)
        columns.append(own[np.argsort(scores[own], kind="stable")])
    order = [int(unit) for units in zip(*columns, strict=False) for unit in units][:most]
    return Removals(order, [0.0, *np.cumsum(np.square(scores[order])).tolist()])


def _by_activation(
    group: Group, layers: Mapping[str, Layer], network: Network, moments: Mapping[str, Moments]
) -> Matrix:
    found = np.zeros(group.size)
    for port in group.readers:
        layer = layers[port.node]
        matrix, own = layer.matrix(network), moments[port.node]
        squares = np.stack([np.diag(own.xx[index]) for index in range(len(matrix))]) / max(1, own.rows)
        energies = np.square(matrix).sum(axis=1) * squares
        units = np.repeat(port.units, energies.size // len(port.units))
        inside = units >= 0
        total = max(float(energies.sum()), 1e-30)
        np.add.at(found, units[inside], energies.reshape(-1)[inside] / total)
    return np.asarray(np.sqrt(found))


def _maker_rows(group: Group, layers: Mapping[str, Layer], network: Network) -> Matrix:
    """Give all weights that make each unit, ``(units, weights)``, each layer scaled to the same norm."""
    pieces = []
    for port in group.makers:
        layer = layers.get(port.node)
        if layer is None:
            continue
        matrix = layer.matrix(network)
        rows = matrix.reshape(matrix.shape[0] * matrix.shape[1], -1)
        pieces.append(_gathered(rows, port, group.size) / max(float(np.linalg.norm(rows)), 1e-30))
    return np.concatenate(pieces, axis=1) if pieces else np.ones((group.size, 1))


def _gathered(rows: Matrix, port: Port, size: int) -> Matrix:
    """Put the rows of each unit beside each other."""
    units = np.repeat(port.units, max(1, len(rows) // max(1, len(port.units))))
    most = max(1, int(np.bincount(units[units >= 0], minlength=size).max(initial=0)))
    found = np.zeros((size, most * rows.shape[1]))
    for unit in range(size):
        own = rows[: len(units)][units == unit].reshape(-1)
        found[unit, : len(own)] = own
    return found


def _scales(group: Group, bare: ir.Model) -> Matrix | None:
    """Give the scale that batch normalization puts on each unit; None where there is none."""
    from studio.api import named_nodes

    makers = {port.node: port for port in group.makers}
    found = np.zeros(group.size)
    seen = False
    for name, node in named_nodes(bare):
        port = makers.get(name)
        uses = list(node.outputs[0].uses()) if port is not None else []
        after = uses[0].node if len(uses) == 1 else None
        if port is None or after is None or after.op_type != "BatchNormalization" or after.inputs[1] is None:
            continue
        scale = after.inputs[1].const_value
        if scale is None or scale.size != len(port.units):
            continue
        inside, seen = port.units >= 0, True
        np.add.at(found, port.units[inside], np.abs(scale.numpy().astype(np.float64))[inside])
    return found if seen else None

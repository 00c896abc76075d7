"""How much of a relative error at an inner tensor arrives at a model's outputs, estimated without running variants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from studio.core.grafting.regions import constant_of
from studio.core.weights import DOMAINS

if TYPE_CHECKING:
    import onnx_ir as ir

#: operators whose operands' errors weigh as much as their share of the result
SUMS = frozenset({"Add", "Sub", "Sum", "Concat"})
#: operators whose results hold no value of their operands
_BLIND = frozenset({"Shape", "Size", "ConstantOfShape", "ArgMax", "ArgMin", "NonZero"})
#: a sum whose operands cancel does not make an error larger than this many times
_MOST = 100.0


def summed_tensors(model: ir.Model) -> list[str]:
    """List the tensors whose energies `gains` needs: operands and results of sums."""
    found: dict[str, None] = {}
    for node in model.graph:
        if node.op_type in SUMS and node.domain in DOMAINS:
            values = (*node.inputs, node.outputs[0])
            found |= {str(value.name): None for value in values if value is not None and constant_of(value) is None}
    return list(found)


def gains(model: ir.Model, energy: Mapping[str, float]) -> dict[str, float]:
    """Estimate the share of a tensor's relative error power that arrives at the outputs.

    Errors are taken as independent of each other and of the signal, and every operator but a sum as
    one that keeps the relation of error and signal, as random rounding does in wide layers.

    Parameters
    ----------
    energy
        Sum of squares of the tensors that `summed_tensors` names.
    """
    found: dict[str, float] = defaultdict(float)
    outputs = [str(value.name) for value in model.graph.outputs]
    for name in outputs:
        found[name] += 1.0 / len(outputs)
    for node in reversed(list(model.graph)):
        if node.op_type in _BLIND:
            continue
        arriving = sum(found[str(value.name)] for value in node.outputs)
        if arriving == 0.0:
            continue
        for value in node.inputs:
            if value is not None and constant_of(value) is None:
                found[str(value.name)] += arriving * _weight(node, str(value.name), energy)
    return dict(found)


def _weight(node: ir.Node, operand: str, energy: Mapping[str, float]) -> float:
    if node.op_type not in SUMS or node.domain not in DOMAINS:
        return 1.0
    whole = energy.get(str(node.outputs[0].name), 0.0)
    return min(_MOST, energy.get(operand, whole) / whole) if whole > 0 else 1.0

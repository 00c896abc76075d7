"""AWQ over a model: scales chosen for each activation, moved into what makes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from studio.api import Moments, NodeChange

from .absorb import Absorber, find_absorber
from .awq import ROWS, choose_scale
from .editor import Editor
from .graph import float_constant
from .grid import Floats
from .levels import Spill
from .weight_plan import Plan
from .weight_rounding import Scaling, mean_moments
from .weight_targets import Target

if TYPE_CHECKING:
    import onnx_ir as ir


@dataclass
class Scaled:
    """What AWQ did.

    Attributes
    ----------
    changes
        Nodes whose constants took up a scale.
    plain
        Layers without anything before them that can, by name.
    """

    scaling: Scaling = field(default_factory=Scaling)
    changes: list[NodeChange] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    layers: int = 0


def scale_activations(
    seen: Iterable[tuple[Moments, list[Target]]], targets: list[Target], plan: Plan, editor: Editor, spill: Spill
) -> Scaled:
    """Choose a scale for each activation, and divide what makes it; the weights' factors are given back.

    Parameters
    ----------
    seen
        What calibration data shows of each activation, and who reads it.
    """
    done, by_node = Scaled(), {target.node: target for target in targets if target.kind == "matmul"}
    for moments, readers in seen:
        hessian = mean_moments(moments)
        squares = np.diag(hessian).copy() if hessian.ndim == 2 else hessian
        done.scaling.squares.update((reader.name, squares) for reader in readers)
        value = readers[0].node.inputs[0]
        absorber = _usable(value, readers, by_node)
        if value is None or absorber is None:
            done.plain += [reader.name for reader in readers]
            continue
        rows = [_sample(reader, plan) for reader in readers]
        sizes = [plan.size(reader) for reader in readers]
        scale, exponent, _ = choose_scale(rows, hessian, plan.grid(readers[0]), sizes, search=plan.search)
        if exponent:
            done.layers += len(readers)
            done.scaling.columns.update((reader.name, scale) for reader in readers)
            done.changes += _absorb(absorber, scale, done.scaling, editor, spill)
    return done


def _usable(value: ir.Value | None, readers: list[Target], by_node: dict[ir.Node, Target]) -> Absorber | None:
    """Find what absorbs a scale of an activation whose readers all have weights of their own."""
    if value is None or any(len(reader.holder.uses()) > 1 for reader in readers):
        return None
    if {user for user, _ in value.uses()} != {reader.node for reader in readers}:
        return None
    return find_absorber(value, readers[0].inputs, by_node)


def _sample(target: Target, plan: Plan) -> Floats:
    """Read some rows of a weight, spread over it."""
    step = max(1, target.outputs // ROWS)
    found: Floats = target.rows(0, target.outputs)[::step][:ROWS]
    return found if plan.form == "stored" or target.factor == 1.0 else found * np.float32(target.factor)


def _absorb(absorber: Absorber, scale: Floats, scaling: Scaling, editor: Editor, spill: Spill) -> list[NodeChange]:
    """Divide constants by a scale; other nodes that read them keep theirs."""
    for node, index in absorber.vectors:
        old = node.inputs[index]
        tensor = float_constant(old)
        assert old is not None and tensor is not None  # the finder looked
        divided = (tensor.numpy() / scale).astype(np.float32)
        node.replace_input_with(index, editor.initializer(spill.array(divided, f"{old.name}_scaled")))
        editor.forget(old)
    if absorber.producer is not None:
        scaling.rows[absorber.producer.name] = (1 / scale).astype(np.float32)
    nodes = {node: None for node, _ in absorber.vectors if node.op_type != "Gemm"}
    return [
        NodeChange(node=str(node.name), operator=node.op_type, change="rewritten", detail="scaled for what reads it")
        for node in nodes
    ]

"""SmoothQuant: move the outliers of an activation's channels into the weights that multiply them.

Source: G. Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language
Models", arXiv:2211.10438.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from studio.api import NodeChange, Scope

from .absorb import find_absorber
from .editor import Editor
from .graph import float_constant
from .grid import Floats
from .selection import Selection
from .weight_targets import Target, find_targets

if TYPE_CHECKING:
    import onnx_ir as ir

Smooth = Literal["off", "absorb", "insert"]
#: strengths that the search tries: 0.5 shares the difficulty alike, more moves more of it into the weights
STRENGTHS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
#: samples to look at, and rows of each activation that the search uses
SAMPLES, ROWS = 32, 128
#: a scale is moved into constants when it lowers the error to this, and gets a Mul of its own only at that
WORTH, WORTH_A_NODE = 0.97, 0.7


@dataclass
class Seen:
    """What calibration shows of an activation: peaks of its channels ``(width,)`` and some rows ``(n, width)``."""

    width: int
    peaks: Floats = field(init=False)
    rows: list[Floats] = field(default_factory=list)
    held: int = 0
    finite: bool = True

    def __post_init__(self) -> None:
        self.peaks = np.zeros(self.width, np.float32)

    def update(self, values: NDArray[Any], most: int) -> None:
        """Take in an activation ``(..., width)``; keeps at most `most` of its rows, and `ROWS` in all."""
        flat = values.reshape(-1, self.width)
        if not len(flat):
            return
        self.peaks = np.maximum(self.peaks, np.abs(flat).max(axis=0))
        self.finite = self.finite and bool(np.isfinite(self.peaks).all())
        take = min(most, ROWS - self.held)
        if take > 0:
            chosen = np.unique(np.linspace(0, len(flat) - 1, take).astype(int))
            self.rows.append(np.array(flat[chosen], np.float32))
            self.held += len(chosen)


@dataclass
class Smoothed:
    """What was done: changes, and the names of nodes that were added with those that they serve."""

    changes: list[NodeChange] = field(default_factory=list)
    added: dict[str, tuple[str, ...]] = field(default_factory=dict)
    layers: int = 0


def candidates(model: ir.Model, selection: Selection) -> dict[str, list[Target]]:
    """List the layers that share each activation, by its name, where all its width is summed over."""
    found, _ = find_targets(model, ("MatMul", "Gemm"), Scope(), 1)
    groups: dict[str, list[Target]] = {}
    for target in found:
        value = target.node.inputs[0]
        if target.node in selection.nodes and value is not None and len(target.holder.uses()) == 1:
            groups.setdefault(str(value.name), []).append(target)
    return groups


def smooth(
    model: ir.Model, groups: dict[str, list[Target]], seen: dict[str, Seen], mode: Smooth, strength: float, bits: int
) -> Smoothed:
    """Scale activations down and weights up, channel by channel, where that lowers the error.

    Parameters
    ----------
    groups
        From `candidates`.
    seen
        What calibration shows of each activation.
    mode
        ``"absorb"``: only where constants before the activation take the scale; ``"insert"``: elsewhere by a Mul.
    strength
        The exponent; searched for each activation when 0.
    bits
        Of the weights.
    """
    done, editor = Smoothed(), Editor(model.graph)
    by_node = {target.node: target for targets in groups.values() for target in targets}
    for name, targets in groups.items():
        shown = seen.get(name)
        if shown is None or not shown.held or not shown.finite:
            continue
        scale, ratio = _choose(shown, [_matrix(target) for target in targets], strength, bits)
        if scale is None or ratio > WORTH:
            continue
        _apply(editor, targets, scale, ratio, mode, by_node, done)
    done.added = dict(editor.added)
    return done


def _choose(shown: Seen, weights: Sequence[Floats], strength: float, bits: int) -> tuple[Floats | None, float]:
    """Choose a scale ``(width,)`` that the activation is divided by; gives the error relative to none."""
    rows = np.concatenate(shown.rows)
    heights = np.max([np.abs(weight).max(axis=0) for weight in weights], axis=0)
    exact = [rows @ weight.T for weight in weights]
    plain = _error(rows, weights, exact, np.ones(shown.width, np.float32), shown.peaks, bits)
    best: tuple[Floats | None, float] = (None, 1.0)
    for power in (strength,) if strength else STRENGTHS:
        scale = _scale(shown.peaks, heights, power)
        ratio = _error(rows, weights, exact, scale, shown.peaks, bits) / max(plain, 1e-30)
        if ratio < best[1]:
            best = (scale, ratio)
    return best


def _scale(peaks: Floats, heights: Floats, power: float) -> Floats:
    """Give ``peaks^power / heights^(1 - power)``, about 1 in the middle; 1 where a channel is always zero."""
    usable = (peaks > 1e-5 * max(float(peaks.max()), 1e-30)) & (heights > 1e-5 * max(float(heights.max()), 1e-30))
    with np.errstate(divide="ignore", invalid="ignore"):
        raw = peaks.astype(np.float64) ** power / heights.astype(np.float64) ** (1 - power)
    if not usable.any():
        return np.ones(len(peaks), np.float32)
    middle = np.exp(np.mean(np.log(raw[usable])))
    return np.where(usable, np.clip(raw / middle, 1e-3, 1e3), 1.0).astype(np.float32)


def _error(
    rows: Floats, weights: Sequence[Floats], exact: Sequence[Floats], scale: Floats, peaks: Floats, bits: int
) -> float:
    """Give the squared error of the outputs with activation and weights on their grids."""
    scaled = rows / scale
    low, high = min(0.0, float(scaled.min())), max(0.0, float(scaled.max()))
    reach = float((peaks / scale).max())
    low, high = (min(low, -reach) if low < 0 else low), max(high, reach if low >= 0 else high)
    step = max(high - low, 1e-30) / 255
    activations = np.rint(scaled / step) * step
    total = 0.0
    for weight, output in zip(weights, exact, strict=True):
        stretched = weight * scale
        steps = np.maximum(np.abs(stretched).max(axis=1, keepdims=True), 1e-30) / (2 ** (bits - 1) - 1)
        rounded = np.rint(stretched / steps) * steps
        total += float(np.square(activations @ rounded.T - output, dtype=np.float64).sum())
    return total


def _matrix(target: Target) -> Floats:
    """Read a weight as rows ``(outputs, inputs)``."""
    found: Floats = target.rows(0, target.outputs)
    return found


def _apply(
    editor: Editor,
    targets: list[Target],
    scale: Floats,
    ratio: float,
    mode: Smooth,
    by_node: dict[ir.Node, Target],
    done: Smoothed,
) -> None:
    value = targets[0].node.inputs[0]
    assert value is not None  # a candidate has one
    whole = {user for user, _ in value.uses()} == {target.node for target in targets}
    absorber = find_absorber(value, targets[0].inputs, by_node) if whole else None
    if absorber is not None:
        for node, index in absorber.vectors:
            _replace(editor, node, index, _constant(node, index) / scale)
            if node.op_type not in ("MatMul", "Gemm"):
                done.changes.append(_change(node, "scaled for what reads it"))
        if absorber.producer is not None:
            before = absorber.producer
            column = scale[:, None] if not before.transposed else scale[None, :]
            _replace(editor, before.node, 1, _constant(before.node, 1) / column)
    elif mode == "insert" and ratio <= WORTH_A_NODE:
        _insert(editor, targets, value, scale)
    else:
        return
    for target in targets:
        column = scale[:, None] if target.transposed else scale[None, :]
        _replace(editor, target.node, 1, _constant(target.node, 1) * column)
    done.layers += len(targets)


def _insert(editor: Editor, targets: list[Target], value: ir.Value, scale: Floats) -> None:
    """Multiply the activation by the inverse for these layers only; other readers keep it."""
    import onnx_ir as ir

    factor = editor.initializer(ir.Tensor((1 / scale).astype(np.float32), name=f"{value.name}_smooth"))
    scaled = editor.before(targets[0].node, "Mul", [value, factor], ir.DataType.FLOAT)
    scaled.shape = value.shape
    for target in targets:
        target.node.replace_input_with(0, scaled)


def _replace(editor: Editor, node: ir.Node, index: int, array: NDArray[Any]) -> None:
    """Give a node a constant of its own in place of the one it has."""
    import onnx_ir as ir

    old = node.inputs[index]
    assert old is not None  # it held a constant
    new = editor.initializer(ir.Tensor(np.ascontiguousarray(array, np.float32), name=f"{old.name}_smoothed"))
    node.replace_input_with(index, new)
    editor.forget(old)


def _constant(node: ir.Node, index: int) -> NDArray[Any]:
    tensor = float_constant(node.inputs[index])
    assert tensor is not None  # the finder looked
    return tensor.numpy()


def _change(node: ir.Node, detail: str) -> NodeChange:
    return NodeChange(node=str(node.name), operator=node.op_type, change="rewritten", detail=detail)

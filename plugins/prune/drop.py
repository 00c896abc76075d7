"""Taking blocks out, and letting a correction of the skip stand for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from studio.api import Artifact, DataError, PassContext, write_model

from .residual import Block

Correction = Literal["none", "bias", "affine"]
#: samples of one inference
BATCH = 8
#: pull of the scale towards 1, relative to the mean square
RIDGE = 1e-3


@dataclass
class ChannelSums:
    """Sums over all positions of each channel of two tensors: what a straight line through them needs."""

    count: int = 0
    x: Any = 0.0
    y: Any = 0.0
    xx: Any = 0.0
    xy: Any = 0.0

    def add(self, x: NDArray[Any], y: NDArray[Any], axis: int) -> None:
        """Take in two arrays of the same shape.

        Raises
        ------
        DataError
            When they are not finite.
        """
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise DataError(
                "The calibration data gives NaN or infinity at a residual sum.",
                "Give data that the model computes finite values for.",
            )
        a, b = (np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis]).astype(np.float64) for array in (x, y))
        self.count += len(a)
        self.x, self.y = self.x + a.sum(0), self.y + b.sum(0)
        self.xx, self.xy = self.xx + (a * a).sum(0), self.xy + (a * b).sum(0)

    def line(self, *, scaled: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give scale and bias of each channel by least squares; scale 1 when only the bias is asked for."""
        x, y = self.x / self.count, self.y / self.count
        if not scaled:
            return np.ones_like(x), y - x
        spread, both = self.xx / self.count - x * x, self.xy / self.count - x * y
        scale = 1 + (both - spread) / (spread + RIDGE * max(float((self.xx / self.count).mean()), 1e-30))
        return scale, y - scale * x


def channel_shape(array: NDArray[Any], rank: int, axis: int) -> NDArray[Any]:
    """Shape a vector of channels so that it broadcasts to a tensor of this rank."""
    return array.reshape(-1, *(1,) * (rank - 2)) if axis == 1 and rank > 2 else array


def take_out(model: ir.Model, block: Block) -> None:
    """Let the skip plus zero stand for a block; the branch goes, and the constants that only it used.

    The Add stays, so that every tensor that others use keeps its name.
    """
    branch = block.add.inputs[1 - block.skip]
    dtype = _dtype(block, branch)
    zero = _constant(model, np.zeros(1, dtype.numpy()), dtype, f"{block.name}_rest")
    block.add.replace_input_with(1 - block.skip, zero)
    remove_unused(model, block)


def remove_unused(model: ir.Model, block: Block) -> None:
    """Remove the nodes of a branch, last first, as far as nothing uses them."""
    left = set(block.branch)
    while True:
        dead = [
            node
            for node in left
            if node.graph is not None and not any(out.uses() or out.is_graph_output() for out in node.outputs)
        ]
        if not dead:
            return
        for node in dead:
            values = [value for value in node.inputs if value is not None]
            model.graph.remove(node, safe=True)
            left.discard(node)
            for value in values:
                if value.is_initializer() and not value.uses() and not value.is_graph_input():
                    model.graph.initializers.pop(str(value.name), None)


def correct(
    artifact: Artifact, model: ir.Model, blocks: Sequence[Block], how: Correction, context: PassContext, samples: int
) -> None:
    """Fit each skip, in order, to what the original network has after the block."""
    for number, block in enumerate(blocks):
        context.reporter.progress(number, len(blocks), "correcting")
        if how == "none":
            _bypass(block)
            continue
        sums, rank = ChannelSums(), 0
        with TemporaryDirectory(dir=context.workdir, prefix="current-") as folder:
            current = write_model(model, Path(folder) / "model.onnx")
            for x, y in in_step(artifact, current, block, context, samples):
                sums.add(x, y, _axis(block, x.ndim))
                rank = x.ndim
        _put(model, block, sums.line(scaled=how == "affine"), rank)


def in_step(
    artifact: Artifact, current: Artifact, block: Block, context: PassContext, samples: int
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Give the skip of a model and the sum of the original one for the same samples."""
    assert context.engine is not None and context.calibration is not None
    skip, total = block.add.inputs[block.skip], block.add.outputs[0]
    assert skip is not None
    how: dict[str, Any] = {"limit": samples, "batch": BATCH, "together": True}
    left = context.engine.activations(current, [str(skip.name)], context.calibration, **how)
    right = context.engine.activations(artifact, [str(total.name)], context.calibration, **how)
    for (_, x), (_, y) in zip(left, right, strict=True):
        yield x[str(skip.name)], y[str(total.name)]


def _axis(block: Block, rank: int) -> int:
    return 1 if block.axis == 1 and rank > 2 else rank - 1


def _put(model: ir.Model, block: Block, line: tuple[NDArray[Any], NDArray[Any]], rank: int) -> None:
    scale, bias = (channel_shape(array, rank, _axis(block, rank)) for array in line)
    skip, old = block.add.inputs[block.skip], block.add.inputs[1 - block.skip]
    assert skip is not None and old is not None and old.const_value is not None
    dtype = old.const_value.dtype
    if not np.all(scale == 1):
        factor = _constant(model, scale.astype(dtype.numpy()), dtype, f"{block.name}_scale")
        output = ir.Value(name=_free(model, f"{block.name}_scaled"), type=ir.TensorType(dtype))
        node = ir.Node("", "Mul", [skip, factor], outputs=[output], name=_free(model, f"{block.name}_scaling"))
        model.graph.insert_before(block.add, node)
        block.add.replace_input_with(block.skip, output)
    value = _constant(model, bias.astype(dtype.numpy()), dtype, f"{block.name}_bias")
    block.add.replace_input_with(1 - block.skip, value)
    model.graph.initializers.pop(str(old.name), None)


def _bypass(block: Block) -> None:
    """Give the skip to whoever uses the sum, unless the sum is an output of the model."""
    skip, output, zero = block.add.inputs[block.skip], block.add.outputs[0], block.add.inputs[1 - block.skip]
    graph = block.add.graph
    if output.is_graph_output() or skip is None or zero is None or not isinstance(graph, ir.Graph):
        return
    for user, index in list(output.uses()):
        user.replace_input_with(index, skip)
    graph.remove(block.add, safe=True)
    graph.initializers.pop(str(zero.name), None)


def _dtype(block: Block, branch: ir.Value | None) -> ir.DataType:
    for value in (block.add.outputs[0], branch, block.add.inputs[block.skip]):
        if value is not None and value.dtype is not None:
            return value.dtype
    return ir.DataType.FLOAT


def _constant(model: ir.Model, array: NDArray[Any], dtype: ir.DataType, name: str) -> ir.Value:
    name = _free(model, name)
    tensor = ir.Tensor(array, dtype=dtype, name=name)
    value = ir.Value(name=name, const_value=tensor, type=ir.TensorType(dtype), shape=tensor.shape)
    model.graph.register_initializer(value)
    return value


def _free(model: ir.Model, name: str) -> str:
    taken = set(model.graph.initializers) | {str(value.name) for value in model.graph.inputs}
    taken |= {str(node.name) for node in model.graph.all_nodes()}
    taken |= {str(out.name) for node in model.graph.all_nodes() for out in node.outputs}
    while name in taken:
        name += "'"
    return name

"""What the output loses by a block: one model with a switch for each, so that nothing is loaded twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from studio.api import (
    Artifact,
    Batch,
    DataError,
    LoadedModel,
    PassContext,
    PassError,
    TensorInfo,
    feeds_for,
    fixed_batch,
    named_nodes,
    read_model,
    write_model,
)

from .residual import Block

#: samples of one inference
BATCH = 8
_GATE = "burnish_gate_{}"


class Gates:
    """A loaded model in which blocks can be switched off.

    Parameters
    ----------
    model
        Made by `gated_model`, loaded.
    blocks
        Names of the blocks in the order of their gates.
    """

    def __init__(self, model: LoadedModel, blocks: Sequence[str], types: Mapping[str, Any]) -> None:
        self._model, self._blocks, self._types = model, list(blocks), types
        gates = {_GATE.format(number) for number in range(len(blocks))}
        self.inputs: tuple[TensorInfo, ...] = tuple(info for info in model.inputs if info.name not in gates)

    def losses(self, gone: Sequence[str], tried: Sequence[str], context: PassContext, samples: int) -> dict[str, float]:
        """Give the share of the outputs' energy that is lost without `gone` and each one of `tried`.

        Raises
        ------
        DataError
            When there is no sample or the model gives values that are not finite.
        """
        assert context.calibration is not None
        lost: dict[str, dict[str, float]] = {name: {} for name in tried}
        energy: dict[str, float] = {}
        for batch in context.calibration.batches(fixed_batch(self.inputs) or BATCH, samples):
            for feed in self._feeds(batch):
                context.reporter.check()
                right = self._run(feed, ())
                for output, array in right.items():
                    energy[output] = energy.get(output, 0.0) + float(np.square(array).sum())
                for name in tried:
                    for output, array in self._run(feed, (*gone, name)).items():
                        more = float(np.square(array - right[output]).sum())
                        lost[name][output] = lost[name].get(output, 0.0) + more
        if not energy:
            raise DataError("The calibration data holds no sample.", "Give a dataset with some typical inputs.")
        return {
            name: float(np.mean([found[output] / max(energy[output], 1e-30) for output in energy]))
            for name, found in lost.items()
        }

    def _feeds(self, batch: Batch) -> Iterator[Mapping[str, NDArray[Any]]]:
        for feed in feeds_for(self.inputs, batch):
            yield feed.arrays

    def _run(self, feed: Mapping[str, NDArray[Any]], gone: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        gates = {
            _GATE.format(number): np.array(name not in gone, dtype=self._types[name])
            for number, name in enumerate(self._blocks)
        }
        found = {
            name: array.astype(np.float64)
            for name, array in self._model.run({**feed, **gates}).items()
            if array.dtype.kind in "fV"
        }
        if not found:
            raise PassError("The model has no output of floats to compare.", "Leave the step out.")
        if not gone and not all(np.isfinite(array).all() for array in found.values()):
            raise DataError(
                "The model gives NaN or infinity on the calibration data.",
                "Give data that it computes finite values for.",
            )
        return {name: np.nan_to_num(array, posinf=1e30, neginf=-1e30) for name, array in found.items()}


def gated_model(
    artifact: Artifact, blocks: Sequence[Block], means: Mapping[str, NDArray[Any]], folder: Path
) -> Artifact:
    """Write a copy of a model with a gate on each block's branch: 1 lets it through, 0 gives its mean.

    Parameters
    ----------
    means
        Mean of each block's branch by block, of a shape that broadcasts to it.
    """
    model = read_model(artifact)
    nodes = {name: node for name, node in named_nodes(model) if node.graph is model.graph}
    for number, block in enumerate(blocks):
        add = nodes[block.name]
        branch = add.inputs[1 - block.skip]
        mean = means[block.name]
        dtype = ir.DataType.from_numpy(mean.dtype)
        gate = ir.Value(name=_GATE.format(number), type=ir.TensorType(dtype), shape=ir.Shape([]))
        model.graph.inputs.append(gate)
        tensor = ir.Tensor(mean, dtype=dtype, name=f"{gate.name}_mean")
        constant = ir.Value(name=tensor.name, const_value=tensor, type=gate.type, shape=tensor.shape)
        model.graph.register_initializer(constant)
        value = branch
        for step, (operator, operand) in enumerate((("Sub", constant), ("Mul", gate), ("Add", constant))):
            output = ir.Value(name=f"{gate.name}_{step}", type=gate.type)
            model.graph.insert_before(
                add, ir.Node("", operator, [value, operand], outputs=[output], name=f"{gate.name}_{step}")
            )
            value = output
        add.replace_input_with(1 - block.skip, value)
    folder.mkdir()
    return write_model(model, folder / "model.onnx")

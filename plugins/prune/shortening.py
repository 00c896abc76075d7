"""Dropping blocks one at a time, always the one that the output misses least."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from studio.api import Artifact, DataError, NodeChange, PassContext, PassResult, write_model

from .drop import BATCH, ChannelSums, channel_shape, correct, remove_unused, take_out
from .layers import LayersParams
from .residual import Block
from .worth import Gates, gated_model

MISMATCH = "Left alone, skip and sum have different shapes when they run: {}."


def shorten(
    artifact: Artifact,
    model: ir.Model,
    blocks: Sequence[Block],
    count: int,
    params: LayersParams,
    context: PassContext,
    warnings: tuple[str, ...],
) -> PassResult:
    """Drop `count` blocks, or fewer where the outputs would lose too much; `model` is changed."""
    if context.calibration is None or context.engine is None:
        raise DataError("Dropping blocks needs calibration data.", "Give a dataset of typical inputs.")
    means = _means(artifact, blocks, params, context)
    odd = [block.name for block in blocks if block.name not in means]
    warnings += (MISMATCH.format(", ".join(odd)),) if odd else ()
    usable = [block for block in blocks if block.name in means]
    gone = _search(artifact, usable, means, min(count, len(usable)), params, context)
    if not gone:
        return PassResult(artifact=artifact, warnings=("No block can go within the error that was allowed.", *warnings))
    dropped = [block for block in usable if block.name in gone]
    for block in dropped:
        take_out(model, block)
    kept = [block for block in dropped if block.add.graph is not None]
    correct(artifact, model, kept, params.correction, context, params.samples)
    for block in dropped:
        remove_unused(model, block)
    if context.calibration.synthetic:
        warnings += ("The blocks were judged on generated inputs: give real data for real accuracy.",)
    return PassResult(
        artifact=write_model(model, context.workdir / "model.onnx"),
        changes=tuple(_changes(dropped, gone)),
        warnings=warnings,
        notes={
            "blocks": len(blocks),
            "dropped": len(dropped),
            "energy_lost_before_correction": max(gone.values()),
            "weights_removed": sum(block.weights for block in dropped),
        },
    )


def _means(
    artifact: Artifact, blocks: Sequence[Block], params: LayersParams, context: PassContext
) -> dict[str, NDArray[Any]]:
    """Measure what each branch adds to each channel on average; blocks whose shapes differ are left out."""
    assert context.engine is not None and context.calibration is not None
    found: dict[str, NDArray[Any]] = {}
    for block in blocks:
        skip, total = str(block.add.inputs[block.skip].name), str(block.add.outputs[0].name)  # type: ignore[union-attr]
        sums, rank, dtype = ChannelSums(), 0, np.dtype(np.float32)
        for _, arrays in context.engine.activations(
            artifact, [skip, total], context.calibration, limit=params.samples, batch=BATCH, together=True
        ):
            x, y = arrays[skip], arrays[total]
            if x.shape != y.shape or not x.ndim:
                break
            axis = 1 if block.axis == 1 and x.ndim > 2 else x.ndim - 1
            sums.add(x, y, axis)
            rank, dtype = x.ndim, x.dtype
        else:
            if not sums.count:
                raise DataError("The calibration data holds no sample.", "Give a dataset with some typical inputs.")
            mean = sums.line(scaled=False)[1] * (params.correction != "none")
            found[block.name] = channel_shape(mean, rank, 1 if block.axis == 1 else -1).astype(dtype)
    return found


def _search(
    artifact: Artifact,
    blocks: Sequence[Block],
    means: Mapping[str, NDArray[Any]],
    count: int,
    params: LayersParams,
    context: PassContext,
) -> dict[str, float]:
    """Choose the blocks to drop; gives what the outputs lose after each, in the order of the choice."""
    assert context.engine is not None
    folder = context.workdir / "gates"
    gone: dict[str, float] = {}
    inside = {block.name: set(block.members) for block in blocks}
    try:
        probe = gated_model(artifact, blocks, means, folder)
        with context.engine.load(probe) as loaded:
            gates = Gates(loaded, [block.name for block in blocks], {name: mean.dtype for name, mean in means.items()})
            while len(gone) < count:
                context.reporter.progress(len(gone), count, "measuring blocks")
                swallowed = {name for one in gone for name in inside[one]}
                tried = [block.name for block in blocks if block.name not in gone and block.name not in swallowed]
                if not tried:
                    break
                losses = gates.losses(tuple(gone), tried, context, params.samples)
                best = min(tried, key=lambda name: losses[name])
                if params.most_error is not None and losses[best] > params.most_error:
                    break
                gone[best] = losses[best]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return gone


def _changes(dropped: Sequence[Block], gone: Mapping[str, float]) -> list[NodeChange]:
    changes = []
    seen: set[str] = set()
    for block in dropped:
        detail = f"its branch is gone; the outputs had then lost {gone[block.name]:.2%} of their energy"
        if block.name not in seen:
            changes.append(NodeChange(node=block.name, operator="Add", change="rewritten", detail=detail))
        fresh = {name: operator for name, operator in block.members.items() if name not in seen}
        changes += [NodeChange(node=name, operator=operator, change="removed") for name, operator in fresh.items()]
        seen |= {block.name, *block.members}
    return changes

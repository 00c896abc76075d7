"""N:M pruning by magnitude alone; each weight is computed when it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from studio.api import Linear, NodeChange, PassContext, PassResult, Weight, replace_content, write_model

from .informed import channels_last
from .masks import Pattern, mask


def prune_by_magnitude(
    model: ir.Model, targets: Sequence[Weight], pattern: Pattern, context: PassContext
) -> PassResult:
    """Keep the largest weights of each group."""
    zeros: dict[str, int] = {}
    for number, target in enumerate(targets):
        context.reporter.progress(number, len(targets), "counting")
        context.reporter.check()
        zeros[target.name] = int(np.count_nonzero(_pruned(target, pattern) == 0))
        _put(target, pattern, context)
    written = write_model(model, context.workdir / "model.onnx")
    weights = sum(target.tensor.size for target in targets)
    return PassResult(
        artifact=written,
        changes=tuple(
            NodeChange(
                node=target.name,
                operator=target.node.op_type,
                change="rewritten",
                detail=f"{zeros[target.name]:,} of {target.tensor.size:,} weights are zero",
            )
            for target in targets
        ),
        notes={
            "sparsity": sum(zeros.values()) / weights,
            "zeros": sum(zeros.values()),
            "weights": weights,
            "layers": len(targets),
        },
    )


def _pruned(target: Weight, pattern: Pattern) -> NDArray[Any]:
    linear, array = Linear.of(target), target.tensor.numpy()
    assert linear is not None
    order = channels_last(linear)
    matrix = linear.matrix(array)[:, :, order]
    # NaN and infinity count as the largest, and stay
    marked = mask(np.nan_to_num(np.abs(matrix.reshape(-1, linear.inputs)), nan=np.inf), pattern).reshape(matrix.shape)
    gone = linear.stored(marked[:, :, np.argsort(order)])
    return np.where(gone, np.zeros((), dtype=array.dtype), array)


def _put(target: Weight, pattern: Pattern, context: PassContext) -> None:
    def make() -> ir.TensorProtocol:
        context.reporter.check()
        return ir.Tensor(_pruned(target, pattern), dtype=target.tensor.dtype)

    lazy = ir.LazyTensor(make, target.tensor.dtype, ir.Shape(list(target.shape)), name=target.tensor.name)
    replace_content(target.holder, lazy)

"""Clustering the weights of a model, one in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.api import (
    Artifact,
    DataError,
    Linear,
    NodeChange,
    PassContext,
    PassResult,
    Site,
    Weight,
    gather_moments,
    left_alone,
    observe,
    write_model,
)

from .cluster import ClusterParams, channel_axis
from .codebook import Codebook, bits_of, insert
from .kmeans import cluster, entropy_bits
from .tidy import Names, drop_unused

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray


def share(
    artifact: Artifact,
    model: ir.Model,
    targets: Sequence[Weight],
    params: ClusterParams,
    context: PassContext,
    warnings: tuple[str, ...],
) -> PassResult:
    """Put codebooks in the place of weights; `model`, whose weights these are, is changed."""
    changes: list[NodeChange] = []
    added: dict[str, tuple[str, ...]] = {}
    refused: dict[str, list[str]] = {}
    names = Names(model)
    bits = before = after = 0.0
    for number, (target, squares) in enumerate(_with_squares(artifact, targets, params, context)):
        context.reporter.progress(number, len(targets), target.name)
        context.reporter.check()
        array = target.tensor.numpy()
        if not np.isfinite(array).all():
            refused.setdefault("it has weights that are not finite", []).append(target.name)
            continue
        book = _codebook(target, array, squares, params)
        operator, old = target.node.op_type, target.node.inputs[target.index]
        nodes = insert(target, book, names.prefix(f"{target.name}_shared"))
        drop_unused(old)
        added.update((str(node.name), (target.name,)) for node in nodes)
        bits += entropy_bits(book.indices) + 8 * book.tables.size * array.itemsize
        before, after = before + array.nbytes, after + _bytes(book, array.itemsize)
        detail = f"{array.size:,} weights share {book.tables.shape[-1]} values{_each(book)}"
        changes.append(NodeChange(node=target.name, operator=operator, change="rewritten", detail=detail))
        changes += [NodeChange(node=str(node.name), operator=node.op_type, change="added") for node in nodes]
    warnings += left_alone(refused)
    if not changes:
        return PassResult(artifact=artifact, warnings=("No weight was shared.", *warnings))
    if params.criterion == "activations" and context.calibration is not None and context.calibration.synthetic:
        warnings += ("The values were weighed by generated inputs: give real data for real accuracy.",)
    return PassResult(
        artifact=write_model(model, context.workdir / "model.onnx"),
        changes=tuple(changes),
        warnings=warnings,
        provenance=added,
        notes={
            "layers": sum(change.change == "rewritten" for change in changes),
            "weight_bytes_before": int(before),
            "weight_bytes_after": int(after),
            "entropy_coded_bytes": round(bits / 8),
            "in_memory": "as before: engines expand the weights when they load the model",
        },
    )


def _with_squares(
    artifact: Artifact, targets: Sequence[Weight], params: ClusterParams, context: PassContext
) -> Iterator[tuple[Weight, NDArray[Any] | None]]:
    """Give each weight, with the mean square of the input that each of its elements meets where asked for."""
    if params.criterion == "weights":
        yield from ((target, None) for target in targets)
        return
    if context.calibration is None or context.engine is None:
        raise DataError("Weighing by activations needs calibration data.", "Give a dataset of typical inputs.")
    by_name = {target.name: target for target in targets}
    sites = [Site(site.key, site.linear, site.input, diagonal=True) for site in observe(targets)[0]]
    for moments in gather_moments(context.engine, artifact, sites, context.calibration, limit=params.samples):
        linear = moments.site.linear
        each = np.broadcast_to(moments.xx[:, None, :], (linear.groups, linear.outputs, linear.inputs))
        yield by_name[moments.site.key], linear.stored(np.ascontiguousarray(each)) / moments.rows


def _codebook(target: Weight, array: NDArray[Any], squares: NDArray[Any] | None, params: ClusterParams) -> Codebook:
    if params.tables == "tensor":
        table, indices = cluster(array.reshape(-1), None if squares is None else squares.reshape(-1), params.centroids)
        return Codebook(table, indices.reshape(array.shape))
    linear = Linear.of(target)
    assert linear is not None
    axis = channel_axis(linear)
    rows = np.moveaxis(array, axis, 0)
    heavy = None if squares is None else np.moveaxis(squares, axis, 0).reshape(len(rows), -1)
    tables, indices = np.zeros((len(rows), params.centroids)), np.zeros(rows.shape, np.uint8)
    for channel, row in enumerate(rows):
        table, found = cluster(row.reshape(-1), None if heavy is None else heavy[channel], params.centroids)
        tables[channel, : len(table)] = table
        indices[channel] = found.reshape(row.shape)
    return Codebook(tables, np.ascontiguousarray(np.moveaxis(indices, 0, axis)), axis)


def _bytes(book: Codebook, itemsize: int) -> int:
    from .codebook import stored_bytes

    channels = len(book.tables) if book.tables.ndim == 2 else 0
    return stored_bytes(book.indices.size, book.tables.shape[-1], itemsize, channels)


def _each(book: Codebook) -> str:
    channels = book.tables.ndim == 2
    bits = bits_of(book.tables.shape[-1], channels=channels)
    return f"{' in each channel' if channels else ''}, {bits} bits an index"

"""Running a source and a variant on the same samples and comparing their inner tensors, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from studio.core.artifact import Artifact
from studio.core.batching import fixed_batch
from studio.core.dataset import Dataset
from studio.core.engine import BUDGET, Engine
from studio.core.errors import Cancelled, DataError
from studio.core.layererrors import CLEAN_DB, TensorError, with_growth
from studio.core.matching import Match
from studio.core.modelfile import read_light_proto
from studio.core.modelinfo import model_inputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: samples of one inference where the models take any number
BATCH = 4


@dataclass
class _Sums:
    """Running comparison of one tensor; energies are float64 sums of squares."""

    samples: int = 0
    signal: float = 0.0
    error: float = 0.0
    largest_error: float = 0.0
    largest: float = 0.0
    cosine: float = 0.0
    broken: bool = False
    #: signal to noise ratio of each sample in dB, where samples are told apart
    each: list[float] = field(default_factory=list)

    def add(self, right: NDArray[Any], found: NDArray[Any], samples: int, *, each: bool) -> None:
        import numpy as np

        right, found = right.astype(np.float64), found.astype(np.float64)
        rows, others = (_rows(array, samples) for array in (right, found))
        usable = np.isfinite(rows)
        self.broken = self.broken or bool((usable & ~np.isfinite(others)).any())
        rows, others = (np.where(usable & np.isfinite(others), array, 0.0) for array in (rows, others))
        lost = rows - others
        signal, error = np.square(rows).sum(axis=1), np.square(lost).sum(axis=1)
        self.samples += samples
        self.signal += float(signal.sum())
        self.error += float(error.sum())
        if rows.size:
            self.largest_error = max(self.largest_error, float(np.abs(lost).max()))
            self.largest = max(self.largest, float(np.abs(rows).max()))
        norms = np.sqrt(signal * np.square(others).sum(axis=1))
        cosine = np.where(error == 0, 1.0, (rows * others).sum(axis=1) / np.where(norms > 0, norms, 1.0))
        self.cosine += float(cosine.mean()) * samples
        if each:
            self.each += [sqnr(float(one), float(other)) for one, other in zip(signal, error, strict=True)]

    def result(self, match: Match) -> TensorError:
        return TensorError(
            tensor=match.tensor,
            other=match.other,
            node=match.node,
            operator=match.operator,
            other_node=match.other_node,
            inputs=match.inputs,
            samples=self.samples,
            sqnr_db=-CLEAN_DB if self.broken else sqnr(self.signal, self.error),
            max_abs_error=self.largest_error,
            largest=self.largest,
            cosine=self.cosine / max(1, self.samples),
        )


@dataclass(frozen=True)
class Compared:
    """What a comparison found, in the source's order.

    Attributes
    ----------
    tensors
        With the growth of the error along the graph.
    each
        Tensor to the SQNR of each sample in dB, where that was asked for.
    refused
        Nodes that could not be compared, by the reason.
    """

    tensors: tuple[TensorError, ...]
    each: Mapping[str, list[float]]
    refused: Mapping[str, list[str]]
    stopped: bool = False


def compare_layers(
    engine: Engine,
    source: Artifact,
    variant: Artifact,
    matches: Sequence[Match],
    dataset: Dataset,
    *,
    samples: int,
    each: bool = False,
) -> Compared:
    """Compare matched tensors over a dataset.

    So many tensors share a run over the data that both models' fit in the engine's budget. When it is
    cancelled, what was compared until then is given.

    Parameters
    ----------
    samples
        Most samples.
    each
        Whether to keep the SQNR of each sample.

    Raises
    ------
    DataError
        When there is no sample, or the models take batches that do not go together.
    Cancelled
        When it was cancelled before anything was compared.
    """
    sums = {match.tensor: _Sums() for match in matches}
    shapes: list[str] = []
    stopped = False
    batch = _batch(source, variant)
    try:
        for group in _groups(engine, source, variant, matches, batch):
            for count, right, found in _in_step(engine, source, variant, group, dataset, samples, batch):
                for match in group:
                    mine, theirs = right[match.tensor], found[match.other]
                    if mine.shape != theirs.shape:
                        shapes.append(match.tensor)
                        continue
                    sums[match.tensor].add(mine, theirs, count, each=each)
    except Cancelled:
        stopped = True
        if not any(item.samples for item in sums.values()):
            raise
    odd = set(shapes)
    known = [match for match in matches if match.tensor not in odd and sums[match.tensor].samples]
    if not known and not odd and matches and not stopped:
        raise DataError("There is no sample to compare with.", "Give a dataset with at least one sample.")
    refused = [match.node for match in matches if match.tensor in odd]
    return Compared(
        with_growth([sums[match.tensor].result(match) for match in known]),
        {match.tensor: sums[match.tensor].each for match in known} if each else {},
        {"its output has another shape in the variant": refused} if refused else {},
        stopped,
    )


def sqnr(signal: float, error: float) -> float:
    """Give a signal to noise ratio in dB, within -200 and 200."""
    if error <= 0:
        return CLEAN_DB
    return max(-CLEAN_DB, min(CLEAN_DB, 10 * math.log10(signal / error))) if signal > 0 else -CLEAN_DB


def _batch(source: Artifact, variant: Artifact) -> int:
    """Give the samples of one inference that both models take.

    Raises
    ------
    DataError
        When both fix it, differently.
    """
    sizes = [fixed_batch(model_inputs(read_light_proto(item.path))) for item in (source, variant)]
    fixed = {size for size in sizes if size}
    if len(fixed) > 1:
        raise DataError(
            f"The models take {sizes[0]} and {sizes[1]} samples at once, so that their tensors cannot be compared.",
            "Give both the same batch size with graph.batch.",
        )
    return fixed.pop() if fixed else BATCH


def _groups(
    engine: Engine, source: Artifact, variant: Artifact, matches: Sequence[Match], batch: int
) -> Iterator[list[Match]]:
    mine = engine.sample_bytes(source, [match.tensor for match in matches])
    theirs = engine.sample_bytes(variant, [match.other for match in matches])
    group: list[Match] = []
    held = 0
    for match in matches:
        # Both tensors, and the float64 copies that are compared.
        size = 3 * (mine[match.tensor] + theirs[match.other]) * batch
        if group and held + size > BUDGET:
            yield group
            group, held = [], 0
        group.append(match)
        held += size
    if group:
        yield group


def _in_step(
    engine: Engine,
    source: Artifact,
    variant: Artifact,
    group: Sequence[Match],
    dataset: Dataset,
    samples: int,
    batch: int,
) -> Iterator[tuple[int, Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]]:
    wanted = list(dict.fromkeys(match.tensor for match in group))
    others = list(dict.fromkeys(match.other for match in group))
    left = engine.activations(source, wanted, dataset, limit=samples, batch=batch, together=True)
    right = engine.activations(variant, others, dataset, limit=samples, batch=batch, together=True)
    for (count, mine), (_, theirs) in zip(left, right, strict=True):
        yield count, mine, theirs


def _rows(array: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
    """Flatten each sample; a tensor without a batch axis counts as one for each."""
    if array.ndim and samples and len(array) % samples == 0:
        return array.reshape(samples, -1)
    return array.reshape(1, -1).repeat(max(1, samples), axis=0)

"""Parts of a dataset that have no sample in common, and how many samples two datasets share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from studio.core.dataset import Batch, Dataset
from studio.core.errors import DataError
from studio.core.frozen import digest
from studio.core.report import Reporter, SilentReporter
from studio.core.runtime import TensorInfo
from studio.core.source import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: bytes of a hash that are kept: among a hundred million samples two meet by chance once in a thousand times
KEY_BYTES = 8
#: samples read at once from the whole when only some are wanted
CHUNK = 32


class PartOfDataset(Dataset):
    """The samples whose content hashes into a part; the same ones whatever their order or names.

    Equal samples are always in the same part. Their hashes, 8 bytes each, are computed once, in pieces.

    Raises
    ------
    DataError
        When no sample is in the part.
    """

    def __init__(self, whole: Dataset, part: Part) -> None:
        import numpy as np

        keys = np.fromiter((number(key) for key in whole.fingerprints()), np.float64)
        self._chosen: NDArray[np.bool_] = (keys >= part.start) & (keys < part.end)
        self._whole = whole
        self._part = part
        self.name = f"{whole.name} ({part.name})"
        self.samples = int(self._chosen.sum())
        self.labelled, self.label_kind = whole.labelled, whole.label_kind
        self.synthetic, self.preprocessing = whole.synthetic, whole.preprocessing
        self.notes = (
            *whole.notes,
            f"The part {part.name} of {whole.name}: {self.samples:,} of {whole.samples:,} samples, chosen by content.",
        )
        if not self.samples:
            raise DataError(
                f"No sample of {whole.name} is in the part {part.name}.", "Give more samples or a larger share."
            )

    def words(self, name: str, sample: NDArray[Any]) -> str:
        """Ask the whole."""
        return self._whole.words(name, sample)

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        """Go through the part's samples in order."""
        end = self.samples if limit is None else min(limit, self.samples)
        waiting: list[Batch] = []
        first = held = 0
        for batch in self._whole.batches(min(size, CHUNK)) if end else ():
            chosen = self._chosen[batch.first : batch.first + batch.samples]
            if chosen.any():
                waiting.append(_rows(batch, chosen))
                held += waiting[-1].samples
            while held >= size or (held and first + held >= end):
                whole = _joined(waiting)
                count = min(size, held, end - first)
                yield _cut(whole, 0, count, first)
                first, held = first + count, held - count
                waiting = [_cut(whole, count, count + held, 0)] if held else []
                if first >= end:
                    return

    def fingerprints(self) -> Iterator[bytes]:
        """Give the hashes of the part's samples."""
        return (key for key, chosen in zip(self._whole.fingerprints(), self._chosen, strict=True) if chosen)

    def fitted(self, inputs: Sequence[TensorInfo]) -> Dataset:
        """Give the part itself: it is real data."""
        return self

    def digest(self) -> str:
        """Name the content: that of the whole, and the part."""
        return digest([self._whole.digest(), self._part.model_dump()])


def number(key: bytes) -> float:
    """Turn a hash into a number from 0 to below 1."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=6).digest(), "big") / (1 << 48)


def shared_samples(first: Dataset, second: Dataset, reporter: Reporter | None = None) -> int:
    """Count the samples of the second that the first holds too, by the hash of their content.

    Memory is 8 bytes and a set's entry for each sample of the first.
    """
    told = reporter or SilentReporter()
    known = set()
    for key in first.fingerprints():
        told.check()
        known.add(key[:KEY_BYTES])
    shared = 0
    for done, key in enumerate(second.fingerprints()):
        told.check()
        told.progress(done, second.samples, "comparing calibration and evaluation data")
        shared += key[:KEY_BYTES] in known
    return shared


def _rows(batch: Batch, chosen: NDArray[np.bool_]) -> Batch:
    labels = None if batch.labels is None else batch.labels[chosen]
    return Batch(batch.first, {name: array[chosen] for name, array in batch.feeds.items()}, labels)


def _cut(batch: Batch, start: int, end: int, first: int) -> Batch:
    labels = None if batch.labels is None else batch.labels[start:end]
    return Batch(first, {name: array[start:end] for name, array in batch.feeds.items()}, labels)


def _joined(batches: Sequence[Batch]) -> Batch:
    import numpy as np

    if len(batches) == 1:
        return batches[0]
    labels: Any = None
    if batches[0].labels is not None:
        labels = np.concatenate([batch.labels for batch in batches if batch.labels is not None])
    feeds = {name: _concatenated([batch.feeds[name] for batch in batches], name) for name in batches[0].feeds}
    return Batch(0, feeds, labels)


def _concatenated(arrays: Sequence[NDArray[Any]], name: str) -> NDArray[Any]:
    import numpy as np

    try:
        return np.concatenate(arrays)
    except ValueError:
        raise DataError(
            f"Samples of {name!r} have different shapes, so they cannot be one batch.", "Use a batch size of 1."
        ) from None

"""Data to calibrate and evaluate with: batches of named inputs with optional labels."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from studio.core.preprocessing import Preprocessing
from studio.core.runtime import TensorInfo
from studio.core.source import LabelKind, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: samples read at once to hash them
HASHED = 16


@dataclass(frozen=True)
class Batch:
    """Some samples.

    Attributes
    ----------
    first
        Index of its first sample in the dataset.
    feeds
        Input name to array; the first axis is the samples (one sample per feed for an input without a
        batch axis), dtype and shape as the model wants them.
    labels
        One for each sample along the first axis, or None. What they are is the dataset's `label_kind`:
        ``"class"``: int64 of shape ``(samples,)``; ``"multilabel"``: int64 0 or 1 of shape ``(samples,
        classes)``; ``"target"``: float64 of shape ``(samples,)`` or ``(samples, targets)``; for the others
        an object array of shape ``(samples,)`` with, for each sample, ``"text"``: a str; ``"boxes"``: float64
        of shape ``(boxes, 5)``, left, top, right, bottom in pixels of the model's input and the class;
        ``"mask"``: int64 of shape ``(height, width)`` with the class of each pixel, -1 where it is unknown.
    """

    first: int
    feeds: Mapping[str, NDArray[Any]]
    labels: NDArray[Any] | None = None

    @property
    def samples(self) -> int:
        """How many samples it holds; a model without inputs has one."""
        return len(next(iter(self.feeds.values()), "1"))


class Dataset(ABC):
    """Samples that fit a model's inputs; read in pieces, never wholly into memory."""

    #: where it came from, for people
    name: str
    #: how many samples there are
    samples: int
    #: whether there are labels
    labelled: bool = False
    #: what the labels are; see `Batch`
    label_kind: LabelKind = "class"
    #: how its pictures are prepared, to go with an exported model; None where there are none
    preprocessing: Preprocessing | None = None
    #: generated, not real data: every figure from it says so
    synthetic: bool = False
    #: what was done to make it fit the model, in sentences, such as a conversion of types
    notes: tuple[str, ...] = ()

    @abstractmethod
    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        """Go through the samples in order, `size` at a time (the last batch may be smaller), at most `limit`."""

    def fitted(self, inputs: Sequence[TensorInfo]) -> Dataset:
        """Give the data for a model that takes the same inputs in narrower shapes.

        Generated data is generated in these shapes; real data stays what it is, and need not fit.
        """
        return self

    def words(self, name: str, sample: NDArray[Any]) -> str:
        """Say as text what a sample's input stands for, such as that of its tokens; empty where it is no text."""
        return ""

    def fingerprints(self) -> Iterator[bytes]:
        """Give a hash of the content of each sample, in order: equal samples have equal ones, labels aside."""
        for batch in self.batches(HASHED):
            for row in range(batch.samples):
                yield _key([array[row] for array in batch.feeds.values()])

    @abstractmethod
    def digest(self) -> str:
        """Give a sha256 of the content (or of what identifies it), part of the step cache's key."""


class DatasetReader(ABC):
    """A kind of dataset on disk; chosen by what the path is."""

    id: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def matches(self, path: Path) -> bool:
        """Say, from the name or the folder's listing, whether it can read this path."""

    @abstractmethod
    def open(self, path: Path, inputs: Sequence[TensorInfo], how: Source | None = None) -> Dataset:
        """Open it and check names, shapes, dtypes and labels against the model's inputs.

        Parameters
        ----------
        how
            How it is read; what does not concern this kind is ignored. The part is not the reader's concern.

        Raises
        ------
        DataError
            When it cannot be read or does not fit, saying what was found and what is wanted.
        """


def _key(arrays: Sequence[NDArray[Any]]) -> bytes:
    content = hashlib.sha256()
    for array in arrays:
        content.update(f"{array.dtype} {array.shape}".encode())
        content.update(repr(array.tolist()).encode() if array.dtype.kind == "O" else array.tobytes())
    return content.digest()

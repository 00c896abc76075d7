"""Data to calibrate and evaluate with: batches of named inputs with optional labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from studio.core.runtime import TensorInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
        Class indices, int64 of shape ``(samples,)``, or None.
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
    def open(self, path: Path, inputs: Sequence[TensorInfo]) -> Dataset:
        """Open it and check names, shapes, dtypes and labels against the model's inputs.

        Raises
        ------
        DataError
            When it cannot be read or does not fit, saying what was found and what is wanted.
        """

"""What a model is fed while it is measured: one batch of the user's data, or generated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.core.artifact import Artifact
from studio.core.datasets import open_dataset
from studio.core.errors import DataError
from studio.core.modelfile import read_proto
from studio.core.modelinfo import model_inputs
from studio.core.registry import Registry
from studio.core.synthetic import synthetic_dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Feeds:
    """Inputs for one inference, and whether they were generated."""

    arrays: Mapping[str, NDArray[Any]]
    batch: int
    synthetic: bool

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each input."""
        return {name: tuple(array.shape) for name, array in self.arrays.items()}


def feed(
    registry: Registry, artifact: Artifact, data: Path | None, batch: int, dims: Mapping[str, int], seed: int
) -> Feeds:
    """Prepare the inputs of one inference.

    Raises
    ------
    DataError
        When the data does not fit the model or holds too few samples for the batch.
    """
    inputs = model_inputs(read_proto(artifact.path))
    if data is None:
        dataset = synthetic_dataset(inputs, batch, seed, sizes=dims)
    else:
        dataset = open_dataset(data, inputs, registry.readers())
        if dataset.samples < batch:
            raise DataError(
                f"{dataset.name} holds {dataset.samples} samples, fewer than the batch of {batch}.",
                "Give more samples or a smaller --batch.",
            )
    first = next(iter(dataset.batches(batch, limit=batch)))
    return Feeds(first.feeds, first.samples, dataset.synthetic)

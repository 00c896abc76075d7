"""What a model is fed while it is measured: one batch of the user's data, or generated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.core.artifact import Artifact
from studio.core.batching import feeds_for, fixed_batch
from studio.core.errors import DataError
from studio.core.modelfile import read_light_proto
from studio.core.modelinfo import model_inputs
from studio.core.registry import Registry
from studio.jobs.tasks.surroundings import generate, open_data

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
    inputs = model_inputs(read_light_proto(artifact.path))
    fixed = fixed_batch(inputs)
    if data is None:
        dataset = generate(artifact, fixed or batch, seed, dims)
    else:
        dataset = open_data(registry, artifact, data)
        if not fixed and dataset.samples < batch:
            raise DataError(
                f"{dataset.name} holds {dataset.samples} samples, fewer than the batch of {batch}.",
                "Give more samples or a smaller --batch.",
            )
    first = next(iter(dataset.batches(fixed or batch, limit=fixed or batch)))
    given = next(feeds_for(inputs, first))
    return Feeds(given.arrays, given.fed, dataset.synthetic)

"""Opening data with the bundled readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.core.dataset import Dataset
from studio.core.datasets import open_dataset
from studio.core.registry import scan
from studio.core.runtime import TensorInfo
from tests.core.engines import tensor

REGISTRY = scan(Path(__file__).parents[2] / "plugins")
IMAGE = tensor("image", "batch", 1, 4, 4)
IDS = tensor("ids", "batch", "seq", dtype="int64")


def opened(path: Path, *inputs: TensorInfo) -> Dataset:
    return open_dataset(path, inputs or (IMAGE,), REGISTRY.readers())


def read(dataset: Dataset, size: int = 3, limit: int | None = None) -> dict[str, NDArray[Any]]:
    """Put the batches of a dataset together, labels under ``labels``."""
    batches = list(dataset.batches(size, limit))
    assert [batch.first for batch in batches] == [size * index for index in range(len(batches))]
    joined = {name: np.concatenate([batch.feeds[name] for batch in batches]) for name in batches[0].feeds}
    labels = [batch.labels for batch in batches if batch.labels is not None]
    return {**joined, "labels": np.concatenate(labels)} if labels else joined


def images(samples: int = 7, dtype: Any = np.float32) -> NDArray[Any]:
    return np.arange(samples * 16).reshape(samples, 1, 4, 4).astype(dtype)

"""Loaded models in plain numpy, with any batch axis: what evaluation and batching run against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.core.feeds import check_feeds
from studio.core.runtime import Dimension, LoadedModel, TensorInfo

Arrays = dict[str, NDArray[Any]]


def tensor(name: str, *shape: Dimension, dtype: str = "float32") -> TensorInfo:
    return TensorInfo(name=name, dtype=dtype, shape=shape)


class NumpyModel(LoadedModel):
    """Computes a function; refuses feeds that are not its inputs, as a real engine does."""

    def __init__(self, compute: Callable[..., Arrays], *inputs: TensorInfo) -> None:
        self.inputs = inputs
        self.outputs = ()
        self.fed: list[dict[str, tuple[int, ...]]] = []
        self._compute = compute

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        check_feeds(self.inputs, feeds)
        self.fed.append({name: array.shape for name, array in feeds.items()})
        return self._compute(**feeds)


def linear(weights: NDArray[Any], batch: int | str = "batch") -> NumpyModel:
    """`x` float32 [batch, inputs] -> `logits` float32 [batch, classes]."""
    return NumpyModel(lambda x: {"logits": x @ weights}, tensor("x", batch, len(weights)))


def eye(classes: int) -> NDArray[np.float32]:
    return np.eye(classes, dtype=np.float32)

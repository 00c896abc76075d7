"""Engines, data and variants for the tests of what is asked about layers and data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from studio.core.artifact import Artifact, open_artifact
from studio.core.engine import Engine
from studio.core.passes import PassContext
from studio.core.place import Place
from tests import models
from tests.passes.calibrated import Samples
from tests.passes.graph.harness import REGISTRY


def engine(folder: Path, runtime: str = "onnxruntime") -> Engine:
    found = REGISTRY.get_runtime(runtime)
    return Engine([Place(found, found.devices()[0])], folder)


def given(arrays: Mapping[str, NDArray[Any]]) -> Samples:
    """Give arrays as a dataset."""
    named: dict[str, Any] = dict(arrays)
    return Samples(**named)


def stored(path: Path, **arrays: Any) -> Path:
    """Write arrays as a dataset."""
    np.savez(path, **arrays)
    return path


def saved(proto: onnx.ModelProto, path: Path) -> Artifact:
    return open_artifact(models.save(proto, path))


def variant(pass_id: str, source: Artifact, data: Samples, folder: Path, **params: Any) -> Artifact:
    """Apply a pass to the whole model."""
    the_pass = REGISTRY.find("pass", pass_id)
    folder.mkdir(parents=True)
    context = PassContext(workdir=folder, calibration=data, engine=engine(folder.parent))
    result: Artifact = the_pass.apply(source, the_pass.Params(**params), context).artifact
    return result


def damaged(proto: onnx.ModelProto, weight: str, noise: float, seed: int = 0) -> onnx.ModelProto:
    """Give a copy with relative noise on one weight."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    tensor = next(item for item in copy.graph.initializer if item.name == weight)
    array = onnx.numpy_helper.to_array(tensor)
    random = np.random.default_rng(seed)
    moved = array + noise * array.std() * random.standard_normal(array.shape)
    tensor.CopyFrom(onnx.numpy_helper.from_array(moved.astype(array.dtype), weight))
    return copy


def decibels(right: NDArray[Any], found: NDArray[Any]) -> float:
    lost = np.square(right.astype(np.float64) - found).sum()
    return float(10 * np.log10(np.square(right.astype(np.float64)).sum() / lost))

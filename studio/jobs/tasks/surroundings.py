"""What every task builds for itself: the registry, places to run, datasets, a folder for temporary files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from studio.core.adapted import AdaptedDataset
from studio.core.artifact import Artifact
from studio.core.dataset import Dataset
from studio.core.datasets import open_dataset
from studio.core.device import find_device
from studio.core.errors import DataError, PluginError
from studio.core.idbounds import id_bounds
from studio.core.interface import before_changes, read_changes
from studio.core.modelfile import read_light_proto, read_model
from studio.core.modelinfo import model_inputs
from studio.core.place import Place
from studio.core.registry import Registry
from studio.core.synthetic import synthetic_dataset

#: samples generated when the user has no data
SYNTHETIC_SAMPLES = 64


def find_places(registry: Registry) -> tuple[Place, ...]:
    """List every device of every runtime that works here."""
    return tuple(Place(runtime, device) for runtime in registry.runtimes() for device in runtime.devices())


def find_place(registry: Registry, spec: str) -> Place:
    """Find a runtime and device by ``RUNTIME:DEVICE``, asking only the runtime that it names.

    Raises
    ------
    UsageError
        When there is none.
    """
    runtime_id = spec.partition(":")[0].lower()
    if runtime_id in registry.ids("runtime"):
        runtime = registry.get_runtime(runtime_id)
        return Place(runtime, find_device(runtime.devices(), spec))
    places = find_places(registry)
    if not places:
        raise PluginError("No runtime works here.", "'burnish plugins' says why.")
    device = find_device(tuple(place.device for place in places), spec)
    return next(place for place in places if place.device == device)


def data_for(registry: Registry, artifact: Artifact, path: Path | None, *, seed: int = 0) -> Dataset:
    """Open the user's data for a model, or generate synthetic data when there is none."""
    if path is None:
        return generate(artifact, SYNTHETIC_SAMPLES, seed)
    return open_data(registry, artifact, path)


def open_data(registry: Registry, artifact: Artifact, path: Path) -> Dataset:
    """Open the user's data for a model.

    Data of a model whose interface steps have changed may be prepared for its original inputs, and is then
    converted, or for those that it has now. Numbers alone do not tell: they are taken for the original's,
    but for whole numbers where the model takes these now.

    Raises
    ------
    DataError
        When it fits neither.
    """
    proto = read_light_proto(artifact.path)
    inputs, changes = model_inputs(proto), read_changes(proto)
    if not any(change.kind == "input" for change in changes):
        return open_dataset(path, inputs, registry.readers())
    whole = any(change.after.dtype != change.before.dtype for change in changes if change.kind == "input")
    if whole:
        try:
            return open_dataset(path, inputs, registry.readers())
        except DataError:
            return AdaptedDataset(original_data(registry, artifact, path), changes)
    try:
        return AdaptedDataset(original_data(registry, artifact, path), changes)
    except DataError as error:
        try:
            return open_dataset(path, inputs, registry.readers())
        except DataError:
            raise error from None


def original_data(registry: Registry, artifact: Artifact, path: Path | None, *, seed: int = 0) -> Dataset:
    """Open or generate data for the inputs that a model had before steps changed them.

    Raises
    ------
    DataError
        When it does not fit.
    """
    proto = read_light_proto(artifact.path)
    inputs = before_changes(model_inputs(proto), read_changes(proto), "input")
    if path is None:
        return synthetic_dataset(inputs, SYNTHETIC_SAMPLES, seed, bounds=id_bounds(read_model(artifact)))
    return open_dataset(path, inputs, registry.readers())


def generate(artifact: Artifact, samples: int, seed: int, sizes: Mapping[str, int] | None = None) -> Dataset:
    """Generate data for a model; token ids stay below the rows of the tables that they look up."""
    inputs = model_inputs(read_light_proto(artifact.path))
    return synthetic_dataset(inputs, samples, seed, sizes=sizes, bounds=id_bounds(read_model(artifact)))

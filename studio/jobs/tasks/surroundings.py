"""What every task builds for itself: the registry, places to run, datasets, a folder for temporary files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from studio.core.artifact import Artifact
from studio.core.dataset import Dataset
from studio.core.datasets import open_dataset
from studio.core.device import find_device
from studio.core.errors import PluginError
from studio.core.idbounds import id_bounds
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
    return open_dataset(path, model_inputs(read_light_proto(artifact.path)), registry.readers())


def generate(artifact: Artifact, samples: int, seed: int, sizes: Mapping[str, int] | None = None) -> Dataset:
    """Generate data for a model; token ids stay below the rows of the tables that they look up."""
    inputs = model_inputs(read_light_proto(artifact.path))
    return synthetic_dataset(inputs, samples, seed, sizes=sizes, bounds=id_bounds(read_model(artifact)))

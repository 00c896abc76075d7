"""Data and models that follow a changed interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from studio.core.artifact import Artifact
from studio.core.dataset import Batch, Dataset
from studio.core.device import Device
from studio.core.interface import InterfaceChange, before_changes, changes_of
from studio.core.place import Place
from studio.core.runtime import LoadedModel, RunOptions, Runtime, TensorInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

Changes = Sequence[InterfaceChange]


class AdaptedDataset(Dataset):
    """Samples prepared for the original inputs of a model, as the model takes them now."""

    def __init__(self, dataset: Dataset, changes: Changes) -> None:
        self._dataset, self._changes = dataset, tuple(changes)
        self.name, self.samples = dataset.name, dataset.samples
        self.labelled, self.synthetic = dataset.labelled, dataset.synthetic
        names = ", ".join(dict.fromkeys(change.name for change in changes if change.kind == "input"))
        self.notes = (*dataset.notes, f"Taken as prepared for the original model, and converted for {names}.")

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        """Go through the samples, converted."""
        for batch in self._dataset.batches(size, limit=limit):
            yield replace(batch, feeds=converted(batch.feeds, self._changes))

    def words(self, name: str, sample: NDArray[Any]) -> str:
        """Ask the data that is adapted."""
        return self._dataset.words(name, sample)

    def fitted(self, inputs: Sequence[TensorInfo]) -> Dataset:
        """Give the data for narrower shapes of the same inputs."""
        return AdaptedDataset(self._dataset.fitted(before_changes(inputs, self._changes, "input")), self._changes)

    def digest(self) -> str:
        """Name the content: that of the data, and how it is converted."""
        from studio.core.frozen import digest

        return digest([self._dataset.digest(), [change.model_dump(mode="json") for change in self._changes]])


class AdaptedModel(LoadedModel):
    """A model that takes and gives what it did before some changes."""

    def __init__(self, model: LoadedModel, changes: Changes) -> None:
        self._model, self._changes = model, tuple(changes)
        self.inputs = before_changes(model.inputs, changes, "input")
        self.outputs = before_changes(model.outputs, changes, "output")
        self.placement, self.warnings = model.placement, model.warnings

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run it on converted inputs, and convert its outputs back."""
        found = self._model.run(converted(feeds, self._changes))
        for change in reversed(self._changes):
            if change.kind == "output" and change.name in found:
                found[change.name] = change.backward(found[change.name])
        return found

    def close(self) -> None:
        """Free the model."""
        self._model.close()


class RoundedModel(LoadedModel):
    """A model whose inputs are rounded to what can be fed after some changes, such as whole pixels."""

    def __init__(self, model: LoadedModel, changes: Changes) -> None:
        self._model, self._changes = model, tuple(changes)
        self.inputs, self.outputs = model.inputs, model.outputs
        self.placement, self.warnings = model.placement, model.warnings

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run it on the nearest inputs that the changed model can be given."""
        return self._model.run(rounded(feeds, self._changes))

    def close(self) -> None:
        """Free the model."""
        self._model.close()


class AdaptingRuntime(Runtime):
    """A runtime that loads a result with new changes so that it takes what its source takes, on equal terms."""

    def __init__(self, runtime: Runtime, known: int, changes: Changes) -> None:
        self._runtime, self._known, self._changes = runtime, known, tuple(changes)
        self.id, self.title = runtime.id, runtime.title  # type: ignore[misc]

    def version(self) -> str:
        """Give the version of the engine."""
        return self._runtime.version()

    def devices(self) -> tuple[Device, ...]:
        """List what it can run on."""
        return self._runtime.devices()

    def load(self, artifact: Artifact, device: Device, options: RunOptions) -> LoadedModel:
        """Load a model: one with the changes is adapted, its source is fed what both can take."""
        model = self._runtime.load(artifact, device, options)
        changed = len(changes_of(artifact)) > self._known
        return AdaptedModel(model, self._changes) if changed else RoundedModel(model, self._changes)


def adapting(places: Sequence[Place], known: int, changes: Changes) -> tuple[Place, ...]:
    """Give the places with runtimes that follow the changes a result has beyond the `known` first of its source."""
    return tuple(Place(AdaptingRuntime(place.runtime, known, changes), place.device) for place in places)


def converted(feeds: Mapping[str, NDArray[Any]], changes: Changes) -> dict[str, NDArray[Any]]:
    """Turn feeds for a model before some changes into those for it after them."""
    found = dict(feeds)
    for change in changes:
        if change.kind == "input" and change.name in found:
            found[change.name] = change.forward(found[change.name])
    return found


def rounded(feeds: Mapping[str, NDArray[Any]], changes: Changes) -> dict[str, NDArray[Any]]:
    """Give the nearest feeds that the model after the changes can be given too."""
    found = converted(feeds, changes)
    for change in reversed(changes):
        if change.kind == "input" and change.name in found:
            found[change.name] = change.backward(found[change.name])
    return found

"""How sensitive a model's layers are: an estimate for all of them, then measurements, the most sensitive first."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from studio.core.artifact import Artifact
from studio.core.device import Device
from studio.core.engine import Engine
from studio.core.errors import BurnishError, Cancelled, StoreError
from studio.core.frozen import Frozen
from studio.core.grafting.grafter import Grafter, Scion
from studio.core.jsonlines import JsonLines
from studio.core.report import Reporter
from studio.core.scope import Scope
from studio.core.sensing import OutputError, Sensor
from studio.core.sensitivity import LayerOption
from studio.core.verify import order_places
from studio.jobs.tasks.surroundings import data_for, find_places
from studio.locations import load_registry

SCHEMA = 1


class FormedVariant(Frozen):
    """A variant with all layers in another form."""

    label: str
    artifact: Artifact


class SenseLayers(Frozen):
    """What to find out.

    Attributes
    ----------
    variants
        Made from `artifact`, each a form that its layers may take.
    records
        File that measurements are kept in as they are made, so that stopping loses none; they are read from it first.
    seconds
        Time for measuring; None for as long as it takes, 0 for the estimate alone.
    """

    artifact: Artifact
    variants: tuple[FormedVariant, ...]
    device: Device
    data: Path | None = None
    samples: int = 32
    scope: Scope = Scope()
    seed: int = 0
    seconds: float | None = None
    records: Path | None = None


class SensedLayers(Frozen):
    """What was found, the layers in the model's order, and what limits its worth."""

    options: tuple[LayerOption, ...]
    refused: dict[str, dict[str, tuple[str, ...]]]
    #: label to the source's nodes, and to the variant's nodes, by the tensor that a layer is named after
    before: dict[str, dict[str, tuple[str, ...]]]
    after: dict[str, dict[str, tuple[str, ...]]]
    dataset: str
    dataset_digest: str
    synthetic: bool
    complete: bool
    warnings: tuple[str, ...] = ()


class MeasuredOption(Frozen):
    """One line of the records: a layer in a form, which a variant's sha256 names."""

    output: str
    variant: str
    noise: float
    agreement: float | None
    samples: int


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Do what a `SenseLayers` payload asks; gives `SensedLayers`. Options stream as the series ``"sensitivity"``."""
    wanted = SenseLayers.model_validate(payload)
    registry = load_registry()
    places = order_places(find_places(registry), wanted.device)
    dataset = data_for(registry, wanted.artifact, wanted.data, seed=wanted.seed)
    grafter = Grafter(wanted.artifact, [Scion(item.label, item.artifact) for item in wanted.variants], wanted.scope)
    with tempfile.TemporaryDirectory(prefix="sensitivity-") as name:
        folder = Path(name)
        engine = Engine(places, folder, reporter)
        sensor = Sensor(engine, grafter, wanted.artifact, dataset, wanted.samples, folder, reporter)
        work = _Work(sensor, wanted, reporter)
        work.estimate(list(grafter.regions))
        complete = work.measure()
    order = {tensor: index for index, tensor in enumerate(grafter.order)}
    return SensedLayers(
        options=tuple(sorted(work.options.values(), key=lambda item: (order[item.output], item.choice))),
        refused={
            label: {reason: tuple(names) for reason, names in found.items()}
            for label, found in grafter.refused.items()
            if found
        },
        before={
            label: {output: region.replaced for output, region in regions.items()}
            for label, regions in grafter.regions.items()
        },
        after={
            label: {output: tuple(str(node.name) for node in region.nodes) for output, region in regions.items()}
            for label, regions in grafter.regions.items()
        },
        dataset=dataset.name,
        dataset_digest=dataset.digest(),
        synthetic=dataset.synthetic,
        complete=complete,
        warnings=(*dataset.notes, *work.warnings),
    ).model_dump(mode="json")


Key = tuple[str, str]


class _Work:
    """The options as they become known."""

    def __init__(self, sensor: Sensor, wanted: SenseLayers, reporter: Reporter) -> None:
        self._sensor, self._reporter, self._seconds = sensor, reporter, wanted.seconds
        self.options: dict[Key, LayerOption] = {(item.output, item.choice): item for item in sensor.options()}
        self.warnings: list[str] = []
        self._records = JsonLines(wanted.records, MeasuredOption, SCHEMA, {}) if wanted.records else None
        self._variants = {item.label: item.artifact.sha256 for item in wanted.variants}
        labels = {sha256: label for label, sha256 in self._variants.items()}
        for known in self._known():
            key = (known.output, labels.get(known.variant, ""))
            if key in self.options:
                self._set(key, noise=known.noise, agreement=known.agreement, samples=known.samples)

    def estimate(self, labels: list[str]) -> None:
        """Estimate every option, form by form; a form that cannot be estimated is measured all the same."""
        for number, label in enumerate(labels):
            self._reporter.progress(number, len(labels), f"estimating {label}")
            try:
                found = self._sensor.estimates(label)
            except BurnishError as error:
                self.warnings.append(f"{label} could not be estimated: {error.message}")
                continue
            for output, noise in found.items():
                self._set((output, label), estimate=noise)

    def measure(self) -> bool:
        """Measure what is not known yet, the largest estimate first; says whether all is measured."""
        started = time.monotonic()
        waiting = [key for key, option in self.options.items() if option.noise is None]
        waiting.sort(key=lambda key: -(self.options[key].estimate or float("inf")))
        total = len(self.options)
        try:
            for number, key in enumerate(waiting):
                if self._seconds is not None and time.monotonic() - started >= self._seconds:
                    self._stopped(len(waiting) - number, total)
                    return False
                self._reporter.progress(total - len(waiting) + number, total, f"measuring {key[0]} as {key[1]}")
                self._measure_one(key)
        except Cancelled:
            self._stopped(sum(option.noise is None for option in self.options.values()), total)
            return False
        finally:
            self._scale_estimates()
        return all(option.noise is not None for option in self.options.values())

    def _measure_one(self, key: Key) -> None:
        try:
            found: OutputError = self._sensor.measure({key[0]: key[1]})
        except BurnishError as error:
            self.warnings.append(f"{', '.join(self.options[key].layers)} as {key[1]} cannot be run: {error.message}")
            self.options.pop(key)
            return
        self._set(key, noise=found.noise, agreement=found.agreement, samples=found.samples)
        if self._records is not None:
            line = MeasuredOption(
                output=key[0],
                variant=self._variants[key[1]],
                noise=found.noise,
                agreement=found.agreement,
                samples=found.samples,
            )
            self._records.append([line])

    def _scale_estimates(self) -> None:
        """Bring the estimates to the level of what was measured: their order is better than their size."""
        ratios: dict[str, list[float]] = {}
        for option in self.options.values():
            if option.noise and option.estimate:
                ratios.setdefault(option.choice, []).append(option.noise / option.estimate)
        for key, option in list(self.options.items()):
            if option.estimate is not None and ratios.get(option.choice):
                scale = statistics.median(ratios[option.choice])
                self.options[key] = option.model_copy(update={"estimate": option.estimate * scale})

    def _stopped(self, left: int, total: int) -> None:
        self.warnings.append(f"Stopped with {left} of {total} options estimated only.")

    def _set(self, key: Key, **values: Any) -> None:
        option = self.options[key].model_copy(update=values)
        self.options[key] = option
        self._reporter.samples("sensitivity", (), option.model_dump(mode="json"))

    def _known(self) -> Iterator[MeasuredOption]:
        if self._records is None or not self._records.path.exists():
            return
        try:
            yield from self._records.read()[0]
        except StoreError as error:
            self.warnings.append(f"What was measured before cannot be read: {error.message}")


def owners(nodes: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Turn layers with their nodes into nodes with their layer."""
    return {name: output for output, names in nodes.items() for name in names}

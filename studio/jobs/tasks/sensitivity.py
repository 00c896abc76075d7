"""How sensitive a model's layers are: an estimate for all of them, then measurements, the most sensitive first."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from studio.core.artifact import Artifact
from studio.core.device import Device
from studio.core.engine import Engine
from studio.core.errors import StoreError
from studio.core.frozen import Frozen
from studio.core.grafting.grafter import Grafter, Scion
from studio.core.jsonlines import JsonLines
from studio.core.optiontable import Listeners, OptionTable
from studio.core.report import Reporter
from studio.core.scope import Scope
from studio.core.sensing import Sensor
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
    #: label to the source's nodes, and to the variant's nodes, each with the tensor that its layer is named after
    before: dict[str, dict[str, str]]
    after: dict[str, dict[str, str]]
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
        records = _Records(wanted)

        def changed(option: LayerOption) -> None:
            reporter.samples("sensitivity", (), option.model_dump(mode="json"))

        table = OptionTable(sensor, reporter, records.known(), Listeners(changed, records.add))
        table.estimate(list(grafter.regions))
        complete = table.measure(wanted.seconds)
    owners = {label: grafter.owners(label) for label in grafter.regions}
    return SensedLayers(
        options=tuple(sorted(table.options, key=lambda item: (grafter.order[item.output], item.choice))),
        refused={
            label: {reason: tuple(names) for reason, names in found.items()}
            for label, found in grafter.refused.items()
            if found
        },
        before={label: old for label, (old, _) in owners.items()},
        after={label: new for label, (_, new) in owners.items()},
        dataset=dataset.name,
        dataset_digest=dataset.digest(),
        synthetic=dataset.synthetic,
        complete=complete,
        warnings=(*dataset.notes, *table.warnings),
    ).model_dump(mode="json")


class _Records:
    """What was measured before, and what is measured now, in a file."""

    def __init__(self, wanted: SenseLayers) -> None:
        self._file = JsonLines(wanted.records, MeasuredOption, SCHEMA, {}) if wanted.records else None
        self._variants = {item.label: item.artifact.sha256 for item in wanted.variants}

    def known(self) -> list[LayerOption]:
        """Give what is in the file of these variants; a file that cannot be read is as good as none."""
        labels = {sha256: label for label, sha256 in self._variants.items()}
        try:
            lines = self._file.read()[0] if self._file is not None else ()
        except StoreError:
            return []
        return [
            LayerOption(
                layers=(),
                operator="",
                output=line.output,
                choice=labels[line.variant],
                noise=line.noise,
                agreement=line.agreement,
                samples=line.samples,
            )
            for line in lines
            if line.variant in labels
        ]

    def add(self, option: LayerOption) -> None:
        """Keep a measurement at once, so that stopping loses none."""
        if self._file is None or option.noise is None:
            return
        line = MeasuredOption(
            output=option.output,
            variant=self._variants[option.choice],
            noise=option.noise,
            agreement=option.agreement,
            samples=option.samples,
        )
        self._file.append([line])

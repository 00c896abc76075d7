"""Find the samples on which two models differ, and the layers at which they part."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.core.batching import run_batch
from studio.core.dataset import Dataset
from studio.core.disagreeing import PIECE, Differences, Picked, partings
from studio.core.disagreement import Disagreements, SampleDifference
from studio.core.engine import Engine
from studio.core.errors import BurnishError, Cancelled, DataError
from studio.core.frozen import Frozen, digest
from studio.core.layercompare import compare_layers
from studio.core.matching import match_tensors
from studio.core.outputstore import Kept, OutputWriter, find_outputs
from studio.core.place import Place
from studio.core.report import Reporter
from studio.core.runtime import RunOptions
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import data_for, find_place
from studio.locations import load_registry

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FindDisagreements(Frozen):
    """What to compare.

    Attributes
    ----------
    outputs
        Folder where every model's outputs are kept, and looked for.
    listed
        Samples to list at most, the gravest.
    parted
        Samples to find the parting layer of at most.
    below
        Outputs that are no classes differ when their SQNR is below this, in dB.
    provenance
        The variant's nodes to the source's, where it is known.
    """

    source: Subject
    variant: Subject
    outputs: Path
    data: Path | None = None
    listed: int = 20
    parted: int = 8
    below: float = 20.0
    seed: int = 0
    provenance: dict[str, tuple[str, ...]] = {}


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Do what a `FindDisagreements` payload asks; gives `Disagreements`. Cancelled, it tells of the samples so far."""
    wanted = FindDisagreements.model_validate(payload)
    registry = load_registry()
    source = wanted.source
    dataset = data_for(registry, source.artifact, wanted.data, seed=wanted.seed)
    key = dataset.digest()
    warnings = list(dataset.notes)
    kept: list[Kept] = []
    for subject in (source, wanted.variant):
        place = find_place(registry, subject.device.spec)
        kept.append(_outputs(wanted, subject, place, dataset, key, reporter))
    found = Differences(wanted.listed, wanted.below)
    samples = min(item.samples for item in kept)
    if samples < dataset.samples:
        warnings.append(f"Only the first {samples:,} of {dataset.samples:,} samples were compared.")
    pieces = zip(*(item.batches(PIECE, samples) for item in kept), _labels(dataset, samples), strict=True)
    for before, after, labels in pieces:
        found.add(before, after, labels)
    gravest, counts = found.gravest, Counter[str]()
    try:
        gravest = _parted(wanted, gravest, dataset, find_place(registry, source.device.spec), reporter)
        counts = Counter(item.parting.node for item in gravest if item.parting is not None)
    except Cancelled:
        warnings.append("Stopped before the layers were found at which they part.")
    except BurnishError as error:
        warnings.append(f"Where they part could not be found: {error.message}")
    return Disagreements(
        source_sha256=source.artifact.sha256,
        source_name=source.name,
        variant_sha256=wanted.variant.artifact.sha256,
        variant_name=wanted.variant.name,
        device=source.device.spec,
        dataset=dataset.name,
        dataset_digest=key,
        synthetic=dataset.synthetic,
        samples=found.samples,
        differing=found.differing,
        verdicts=dict(found.verdicts),
        classes=dict(found.classes.most_common()),
        partings=dict(counts.most_common()),
        listed=tuple(gravest),
        warnings=tuple(warnings),
    ).model_dump(mode="json")


def _outputs(
    wanted: FindDisagreements, subject: Subject, place: Place, dataset: Dataset, key: str, reporter: Reporter
) -> Kept:
    """Give a model's outputs, kept from an earlier time or made now.

    Raises
    ------
    Cancelled
        When it was cancelled before all samples were run; those that were are kept all the same.
    """
    name = digest([subject.artifact.sha256, key, place.spec, place.runtime.version()])
    folder = wanted.outputs / name
    known = find_outputs(folder)
    if known is not None and known.index.complete:
        return known
    done = 0
    with place.runtime.load(subject.artifact, place.device, RunOptions()) as model, OutputWriter(folder) as writer:
        for batch in dataset.batches(PIECE):
            reporter.check()
            writer.add(run_batch(model, batch))
            done += batch.samples
            reporter.progress(done, dataset.samples, f"running {subject.name}")
            if writer.full:
                break
    found = find_outputs(folder)
    if found is None or not found.samples:
        raise DataError(f"{subject.name} has no output of numbers to compare.", "Compare models that give numbers.")
    return found


def _labels(dataset: Dataset, samples: int) -> Iterator[NDArray[Any] | None]:
    """Give the labels in the pieces that outputs are read in; reads nothing of a dataset without labels."""
    if not dataset.labelled:
        yield from itertools.repeat(None, -(-samples // PIECE))
        return
    for batch in dataset.batches(PIECE, samples):
        yield batch.labels


def _parted(
    wanted: FindDisagreements, gravest: list[SampleDifference], dataset: Dataset, place: Place, reporter: Reporter
) -> list[SampleDifference]:
    """Find the layers at which the gravest samples part."""
    first = gravest[: wanted.parted]
    if not first:
        return gravest
    before, after = wanted.source.artifact, wanted.variant.artifact
    matches, _ = match_tensors(before, after, wanted.provenance)
    picked = Picked(dataset, [item.index for item in first])
    with tempfile.TemporaryDirectory(prefix="parting-") as folder:
        engine = Engine([place], Path(folder), reporter)
        reporter.progress(0, 0, "finding where they part")
        found = compare_layers(engine, before, after, matches, picked, samples=picked.samples, each=True)
    ends = dict(zip(picked.indices, partings(found.tensors, found.each, picked.samples), strict=True))
    return [item.model_copy(update={"parting": ends.get(item.index)}) for item in gravest]

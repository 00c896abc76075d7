"""Finding out how sensitive a model's layers are: first by one run that estimates, then by running each change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from studio.core.artifact import Artifact
from studio.core.batching import feeds_for, fixed_batch
from studio.core.classes import same_class
from studio.core.dataset import Dataset
from studio.core.engine import Engine
from studio.core.errors import DataError
from studio.core.grafting.grafter import Grafter
from studio.core.grafting.propagation import gains, summed_tensors
from studio.core.report import Reporter, SilentReporter
from studio.core.runtime import ExecutedNode, LoadedModel
from studio.core.sensitivity import LayerOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: samples of one inference where the model takes any number
BATCH = 4
#: bytes of reference outputs held; beyond that fewer samples are used
HELD = 128 << 20
#: samples of the estimate
FEW = 8
#: inferences behind a layer's time
RUNS = 15
#: an output without energy has an error of this relative power when it gets any
_ALL = 1.0

Outputs = Mapping[str, "NDArray[Any]"]


@dataclass
class OutputError:
    """Running error of outputs against a reference; energies are float64 sums of squares."""

    samples: int = 0
    signal: dict[str, float] = field(default_factory=dict)
    error: dict[str, float] = field(default_factory=dict)
    same: list[float] = field(default_factory=list)

    def add(self, reference: Outputs, other: Outputs, samples: int) -> None:
        """Take in the outputs of some samples; what is not finite counts as lost."""
        import numpy as np

        self.samples += samples
        for name, right in reference.items():
            if right.dtype.kind not in "fV":
                continue
            right = right.astype(np.float64)
            found = other[name].astype(np.float64) if name in other else np.zeros_like(right)
            usable = np.isfinite(right)
            lost = np.where(np.isfinite(found), right - found, right)[usable] if found.shape == right.shape else right
            self.signal[name] = self.signal.get(name, 0.0) + float(np.square(right[usable]).sum())
            self.error[name] = self.error.get(name, 0.0) + float(np.square(lost).sum())
        agreed = same_class(dict(reference), dict(other))
        if agreed is not None:
            self.same += agreed.tolist()

    @property
    def noise(self) -> float:
        """Energy of the error over that of the reference, the mean over the float outputs."""
        if not self.signal:
            return 0.0 if all(self.same) else _ALL
        shares = [
            self.error[name] / signal if signal > 0 else (_ALL if self.error[name] else 0.0)
            for name, signal in self.signal.items()
        ]
        return sum(shares) / len(shares)

    @property
    def agreement(self) -> float | None:
        """Share of samples with the same class; None without class scores."""
        return sum(self.same) / len(self.same) if self.same else None


class Sensor:
    """Measures what changes of a source do to its outputs; its own outputs are computed once.

    Parameters
    ----------
    engine
        What runs the models.
    grafter
        The source with its variants.
    source
        The source itself.
    dataset
        Samples that fit it.
    samples
        Most samples; fewer where the outputs take more than `HELD` bytes.
    folder
        For temporary models.
    """

    def __init__(
        self,
        engine: Engine,
        grafter: Grafter,
        source: Artifact,
        dataset: Dataset,
        samples: int,
        folder: Path,
        reporter: Reporter | None = None,
    ) -> None:
        self._engine, self._grafter, self._source = engine, grafter, source
        self._dataset, self._samples, self._folder = dataset, samples, folder
        self._reporter = reporter or SilentReporter()
        self._reference: list[tuple[Outputs, int]] = []

    @property
    def samples(self) -> int:
        """How many samples stand behind a measured figure, once anything was measured."""
        return sum(samples for _, samples in self._reference)

    def options(self) -> list[LayerOption]:
        """List every region of every variant, nothing known of its error yet."""
        return [
            LayerOption(
                layers=region.layers,
                operator=region.operator,
                output=region.output,
                choice=label,
                bytes=region.bytes_before - region.bytes_after,
            )
            for label, regions in self._grafter.regions.items()
            for region in regions.values()
        ]

    def estimates(self, label: str) -> dict[str, float]:
        """Estimate the relative error power at the outputs of each region of a variant, by its output.

        The error of all regions is measured in one run over a few samples, each fed with what the source
        computes; how much of it arrives at the outputs is reckoned along the graph.
        """
        if not self._grafter.regions[label]:
            return {}
        arriving = self._gains()
        with self._temporary() as folder:
            model, named = self._grafter.beside(label, folder / "beside.onnx")
            sums = self._sums(model)
        found = {}
        for output, (error, signal) in named.items():
            local = sums[error] / sums[signal] if sums[signal] > 0 else _ALL
            found[output] = max(0.0, local) * arriving.get(output, 1.0)
        return found

    def measure(self, chosen: Mapping[str, str]) -> OutputError:
        """Run the source with some regions taken over (output to label) and compare its outputs."""
        with self._temporary() as folder:
            return self.compare(self._grafter.hybrid(chosen, folder / "hybrid.onnx"))

    def compare(self, model: Artifact, engine: Engine | None = None) -> OutputError:
        """Compare a model's outputs with the source's, both on the engine's first place."""
        engine = engine or self._engine
        reference = self._known() if engine is self._engine else list(self._run(self._source, engine))
        result = OutputError()
        for (right, samples), (found, _) in zip(reference, self._run(model, engine), strict=False):
            result.add(right, found, samples)
        return result

    def _known(self) -> list[tuple[Outputs, int]]:
        if not self._reference:
            self._reference = list(self._run(self._source, self._engine))
        return self._reference

    def _run(self, model: Artifact, engine: Engine) -> Iterator[tuple[Outputs, int]]:
        held = 0
        with engine.load(model) as loaded:
            for outputs, samples in self._inferences(loaded, self._samples):
                yield outputs, samples
                held += sum(array.nbytes for array in outputs.values())
                if held > HELD:
                    return
        if not held:
            raise DataError("There is no sample to measure with.", "Give a dataset with some typical inputs.")

    def _inferences(self, model: LoadedModel, most: int) -> Iterator[tuple[Outputs, int]]:
        for batch in self._dataset.batches(fixed_batch(model.inputs) or BATCH, most):
            for feed in feeds_for(model.inputs, batch):
                self._reporter.check()
                yield feed.trim(model.run(feed.arrays)), feed.samples

    def _sums(self, model: Artifact) -> dict[str, float]:
        """Add up scalar outputs over a few samples."""
        found: dict[str, float] = {}
        with self._engine.load(model) as loaded:
            for batch in self._dataset.batches(fixed_batch(loaded.inputs) or BATCH, FEW):
                for feed in feeds_for(loaded.inputs, batch):
                    self._reporter.check()
                    for name, array in loaded.run(feed.arrays).items():
                        found[name] = found.get(name, 0.0) + float(array)
        return found

    def _gains(self) -> dict[str, float]:
        model = self._grafter.source()
        wanted = summed_tensors(model)
        if not wanted:
            return gains(model, {})
        with self._temporary() as folder:
            artifact, named = self._grafter.energies(wanted, folder / "energies.onnx")
            sums = self._sums(artifact)
        return gains(model, {tensor: sums[output] for tensor, output in named.items()})

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        folder = Path(mkdtemp(prefix="sensor-", dir=self._folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def layer_times(
    before: Sequence[ExecutedNode], after: Sequence[ExecutedNode], old: Mapping[str, str], new: Mapping[str, str]
) -> dict[str, float]:
    """Give the milliseconds that each layer saves, from the executed nodes of source and variant.

    A node that executes several layers counts for each in equal parts. Empty without times.

    Parameters
    ----------
    old, new
        The source's and the variant's nodes, each with the tensor that its layer is named after.
    """
    if not before or not after:
        return {}
    mine, theirs = _spent(before, old), _spent(after, new)
    return {output: spent - theirs.get(output, 0.0) for output, spent in mine.items()}


def _spent(executed: Sequence[ExecutedNode], owners: Mapping[str, str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for node in executed:
        outputs = _owners(node, owners)
        for output in outputs:
            found[output] = found.get(output, 0.0) + node.nanoseconds / 1e6 / len(outputs)
    return found


def _owners(node: ExecutedNode, owners: Mapping[str, str]) -> set[str]:
    """Give the regions that a node executes: that which its own name tells, else those of its sources."""
    name = node.name
    while name:
        if name in owners:
            return {owners[name]}
        # Engines append parts of their own: "conv1/WithoutBiases", "conv1_token_4", "conv1_nchwc".
        name = name[: max(name.rfind("_"), name.rfind("/"), 0)]
    return {owners[source] for source in node.sources if source in owners}


def profile(engine: Engine, artifact: Artifact, dataset: Dataset, runs: int = RUNS) -> tuple[ExecutedNode, ...]:
    """Time the nodes of a model on one sample; empty where the runtime has no counters."""
    with engine.load(artifact) as model:
        for batch in dataset.batches(fixed_batch(model.inputs) or 1, fixed_batch(model.inputs) or 1):
            for feed in feeds_for(model.inputs, batch):
                return model.profile(feed.arrays, runs) or ()
    return ()

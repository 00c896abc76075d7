"""Checking data against a model: statistics, other ways to read it, and the labels."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from studio.core.artifact import Artifact
from studio.core.batching import feeds_for, fixed_batch
from studio.core.classes import class_scores, top_class
from studio.core.datacheck.expected import ChannelMoments, Learned, calibrated_ranges, learned_statistics
from studio.core.datacheck.findings import Finding, InputStatistics, Reading
from studio.core.datacheck.judging import Evidence, judge
from studio.core.datacheck.ways import AS_GIVEN, Way, channel_axis, other_ways
from studio.core.dataset import Batch, Dataset
from studio.core.disagreeing import probabilities
from studio.core.engine import Engine
from studio.core.errors import DataError, RuntimeLoadError
from studio.core.idbounds import id_bounds
from studio.core.modelfile import read_model
from studio.core.probe import with_outputs
from studio.core.report import Reporter, SilentReporter
from studio.core.runtime import LoadedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: samples of one inference
BATCH = 8


@dataclass(frozen=True)
class Checked:
    """What was found."""

    samples: int
    inputs: tuple[InputStatistics, ...]
    readings: tuple[Reading, ...]
    findings: tuple[Finding, ...]
    limits: tuple[str, ...]


def check_data(
    engine: Engine,
    artifact: Artifact,
    dataset: Dataset,
    folder: Path,
    *,
    samples: int = 64,
    ways: bool = True,
    reporter: Reporter | None = None,
) -> Checked:
    """Look for what speaks against data for a model.

    Parameters
    ----------
    folder
        For a temporary model.
    samples
        Samples to look at; each is run once for each way to read it.
    ways
        Whether to try other ways to read the data; else it is run as it is alone.

    Raises
    ------
    DataError
        When there is no sample.
    RuntimeLoadError
        When the model cannot be run.
    """
    reporter = reporter or SilentReporter()
    model = read_model(artifact)
    learned, ranges, bounds = learned_statistics(model), calibrated_ranges(model), id_bounds(model)
    scans = _scan(dataset, samples)
    statistics = tuple(scan.result(name) for name, scan in scans.items())
    limits: list[str] = []
    pictured = [item for item in statistics if item.dtype.startswith("float") and len(item.shape) > 1]
    usable = ways and len(pictured) == 1 and not any(item.not_finite for item in statistics)
    tried = [AS_GIVEN, *(other_ways(pictured[0]) if usable else [])]
    if ways and not usable:
        limits.append("Other ways to read the data are tried only with one float input, of finite values.")
    out_of_range = any(
        item.name in bounds and (item.high >= bounds[item.name] or item.low < -bounds[item.name]) for item in statistics
    )
    runs: dict[str, _Run] = {}
    if not out_of_range:
        work = Path(mkdtemp(prefix="check-", dir=folder))
        try:
            runs = _run(engine, artifact, learned, dataset, samples, tried, pictured, work, reporter)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    if not learned:
        limits.append("The model has no BatchNormalization left whose learned statistics inputs could be held against.")
    if not dataset.labelled:
        limits.append("Without labels, nothing is known of the accuracy.")
    evidence = Evidence(
        statistics, tuple(ranges), bounds, {scan: item.outside(ranges, scan) for scan, item in scans.items()}
    )
    readings = tuple(run.reading(way.name, learned) for way in tried if (run := runs.get(way.name)) is not None)
    given = runs.get(AS_GIVEN.name)
    findings = judge(
        evidence,
        readings,
        {name: run.right for name, run in runs.items()},
        {way.name for way in tried if way.louder},
        given.labels if given else [],
        given.chosen if given else [],
        given.classes if given else 0,
    )
    return Checked(min(samples, dataset.samples), statistics, readings, tuple(findings), tuple(limits))


@dataclass
class _Scan:
    """Running statistics of one input; a histogram-free count of what lies outside a range."""

    dtype: str
    shape: tuple[int, ...]
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    not_finite: int = 0
    channels: ChannelSums | None = None
    pieces: list[NDArray[Any]] = field(default_factory=list)

    def add(self, array: NDArray[Any]) -> None:
        import numpy as np

        values = array.astype(np.float64)
        finite = values[np.isfinite(values)]
        self.not_finite += values.size - finite.size
        if finite.size:
            self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
        self.count += finite.size
        self.total += float(finite.sum())
        self.squares += float(np.square(finite).sum())
        axis = channel_axis(array.shape)
        if axis is not None:
            self.channels = self.channels or ChannelSums(axis)
            self.channels.add(values)
        # A few hundred values of each batch stand for all when a share is asked for.
        step = max(1, finite.size // 512)
        self.pieces.append(finite[::step])

    def outside(self, ranges: Sequence[Any], name: str) -> float:
        """Give the share of values outside the range that the input is quantized to."""
        import numpy as np

        known = next((item for item in ranges if item.input == name), None)
        if known is None or not self.pieces:
            return 0.0
        values = np.concatenate(self.pieces)
        margin = 0.02 * (known.high - known.low)
        return float(((values < known.low - margin) | (values > known.high + margin)).mean()) if values.size else 0.0

    def result(self, name: str) -> InputStatistics:
        mean = self.total / max(1, self.count)
        return InputStatistics(
            name=name,
            dtype=self.dtype,
            shape=self.shape,
            low=self.low if self.count else 0.0,
            high=self.high if self.count else 0.0,
            mean=mean,
            deviation=max(0.0, self.squares / max(1, self.count) - mean**2) ** 0.5,
            not_finite=self.not_finite,
            channels=self.channels.result() if self.channels else (),
        )


class ChannelSums:
    """Mean and deviation of each channel of pictures."""

    def __init__(self, axis: int) -> None:
        self._axis, self._count = axis, 0
        self._sum: Any = 0.0
        self._squares: Any = 0.0

    def add(self, array: NDArray[np.float64]) -> None:
        """Take in a batch."""
        import numpy as np

        flat = np.nan_to_num(np.moveaxis(array, self._axis, 0).reshape(array.shape[self._axis], -1))
        self._count += flat.shape[1]
        self._sum = self._sum + flat.sum(axis=1)
        self._squares = self._squares + np.square(flat).sum(axis=1)

    def result(self) -> tuple[tuple[float, float], ...]:
        """Give mean and deviation of each channel."""
        import numpy as np

        mean = self._sum / self._count
        deviation = np.sqrt(np.maximum(0.0, self._squares / self._count - mean**2))
        return tuple((float(one), float(other)) for one, other in zip(mean, deviation, strict=True))


@dataclass
class _Run:
    """What the model made of the samples in one way."""

    moments: dict[str, ChannelMoments] = field(default_factory=dict)
    labels: list[int] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    entropy: list[float] = field(default_factory=list)
    total: Any = 0.0
    classes: int = 0

    def add(self, outputs: Mapping[str, NDArray[Any]], inner: Sequence[Learned], labels: NDArray[Any] | None) -> None:
        import numpy as np

        for item in inner:
            self.moments.setdefault(item.tensor, ChannelMoments()).add(outputs[item.tensor])
        names = {item.tensor for item in inner}
        scores = class_scores({name: array for name, array in outputs.items() if name not in names})
        if scores is None:
            return
        shares = probabilities(scores)
        chosen = top_class(scores)
        self.classes = scores.shape[1]
        self.chosen += chosen.tolist()
        self.confidence += shares.max(axis=1).tolist()
        self.entropy += (-(shares * np.log2(np.maximum(shares, 1e-12))).sum(axis=1)).tolist()
        self.total = self.total + shares.sum(axis=0)
        if labels is not None:
            self.labels += labels.tolist()
            self.right += (chosen == labels).astype(float).tolist()

    def reading(self, name: str, learned: Sequence[Learned]) -> Reading:
        import numpy as np

        far = [self.moments[item.tensor].divergence(item) for item in learned if item.tensor in self.moments]
        count = len(self.confidence)
        information = None
        if count:
            mean = self.total / count
            information = float(-(mean * np.log2(np.maximum(mean, 1e-12))).sum() - np.mean(self.entropy))
        return Reading(
            name=name,
            accuracy=sum(self.right) / len(self.right) if self.right else None,
            confidence=sum(self.confidence) / count if count else None,
            information=information,
            mismatch=far[0] if far else None,
        )


def _scan(dataset: Dataset, samples: int) -> dict[str, _Scan]:
    """Read the samples once for their values.

    Raises
    ------
    DataError
        When there is none.
    """
    scans: dict[str, _Scan] = {}
    for batch in dataset.batches(BATCH, samples):
        for name, array in batch.feeds.items():
            if array.dtype.kind not in "fViub":
                continue
            scans.setdefault(name, _Scan(array.dtype.name, tuple(array.shape))).add(array)
    if not scans and not dataset.samples:
        raise DataError(f"{dataset.name} has no samples.", "Give data with at least one sample.")
    return scans


def _run(
    engine: Engine,
    artifact: Artifact,
    learned: Sequence[Learned],
    dataset: Dataset,
    samples: int,
    ways: Sequence[Way],
    pictured: Sequence[InputStatistics],
    folder: Path,
    reporter: Reporter,
) -> dict[str, _Run]:
    """Run the samples in every way; a way that the model does not take is left out."""
    probe = with_outputs(artifact, [item.tensor for item in learned], folder / "probe") if learned else artifact
    runs = {way.name: _Run() for way in ways}
    done = 0
    with engine.load(probe) as model:
        for batch in dataset.batches(fixed_batch(model.inputs) or BATCH, samples):
            for way in ways:
                reporter.check()
                if way.name not in runs:
                    continue
                try:
                    for outputs, labels in _outputs(model, _changed(batch, way, pictured)):
                        runs[way.name].add(outputs, learned, labels)
                except (RuntimeLoadError, DataError, ValueError):
                    if way is AS_GIVEN:
                        raise
                    runs.pop(way.name)
            done += batch.samples
            reporter.progress(done, min(samples, dataset.samples), "checking the data")
    return runs


def _outputs(model: LoadedModel, batch: Batch) -> Iterator[tuple[dict[str, NDArray[Any]], NDArray[Any] | None]]:
    for feed in feeds_for(model.inputs, batch):
        found = model.run(feed.arrays)
        yield (
            {
                name: array[: feed.samples] if array.ndim and len(array) == feed.fed else array
                for name, array in found.items()
            },
            feed.labels,
        )


def _changed(batch: Batch, way: Way, pictured: Sequence[InputStatistics]) -> Batch:
    if way is AS_GIVEN:
        return batch
    name = pictured[0].name
    return Batch(batch.first, {**batch.feeds, name: way.change(batch.feeds[name])}, batch.labels)

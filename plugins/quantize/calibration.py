"""Run a model over calibration data and find the range of each activation, in bounded memory, resumably.

ONNX Runtime's own calibrators keep every activation of every sample. Here a batch is run, its
activations update running statistics, and are dropped: first smallest and largest values, then, for
percentile and entropy, a histogram over that range. When one batch's activations exceed `BUDGET`,
they are fetched in groups, one session each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import Cancelled, DataError, Dataset, Memo, PassError, Reporter

from .finish import first_line, open_session
from .progress import Keeper, Position
from .statistics import Extremes, Histogram, Method

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

#: bytes of activations held at once
BUDGET = 256 << 20
#: most samples in a batch
MAX_BATCH = 32
#: size assumed for a dimension that is not known
_UNKNOWN = 64

Update = Callable[[str, "NDArray[Any]"], None]


@dataclass(frozen=True)
class Plan:
    """How to calibrate."""

    method: Method
    percentile: float
    samples: int
    levels: int = 256


@dataclass(frozen=True)
class Ranges:
    """The range of each activation; `unusable` had infinite or undefined values."""

    values: dict[str, tuple[float, float]]
    unusable: tuple[str, ...]
    samples: int


class _DoesNotRunError(DataError):
    """The model refuses the data, or so many samples at once."""


@dataclass(frozen=True)
class _State:
    """A calibration under way."""

    keeper: Keeper
    at: Position
    extremes: Mapping[str, Extremes]
    histograms: Mapping[str, Histogram]

    def save(self, *, now: bool = False) -> None:
        self.keeper.save(self.at, self.extremes, self.histograms, now=now)


class Calibrator:
    """Calibrates one prepared model.

    Parameters
    ----------
    path
        The model, its weights in a file beside it; working files are written there too.
    tensors
        Names of the float32 tensors to observe.
    dataset
        What to run.
    reporter
        Told of the progress; asked after every batch whether to stop.
    most
        Most samples of one inference.
    """

    def __init__(
        self, path: Path, tensors: Sequence[str], dataset: Dataset, reporter: Reporter, most: int = MAX_BATCH
    ) -> None:
        import onnx

        self._path = path
        self._model = onnx.load(str(path), load_external_data=False)
        self._dataset = dataset
        self._reporter = reporter
        self._inputs = {value.name: value for value in self._model.graph.input}
        self._defaults = {item.name for item in self._model.graph.initializer} & set(self._inputs)
        self._sizes = _sample_bytes(self._model.graph, tensors)
        self._batch = self._batch_size(most)

    def run(self, plan: Plan, memo: Memo | None = None) -> Ranges:
        """Find the ranges; one sample at a time when the model refuses several.

        Parameters
        ----------
        plan
            How to calibrate.
        memo
            Keeps the statistics, so that an interrupted calibration goes on from there, and a finished one
            need not be repeated for the same model and data.

        Raises
        ------
        DataError
            When the data is empty, not finite, or does not fit the model.
        Cancelled
            When the caller asked for it to stop.
        """
        keeper = Keeper(memo, self._key(plan) if memo is not None else "")
        try:
            return self._run(plan, keeper)
        except _DoesNotRunError:
            if self._batch == 1:
                raise
            self._batch = 1
            return self._run(plan, keeper)

    def watch(self, limit: int, update: Update) -> int:
        """Give every tensor of each inference to `update`, in groups that fit the budget; gives the number of samples.

        Raises
        ------
        DataError
            As for `run`.
        """
        try:
            return self._watch(limit, update)
        except _DoesNotRunError:
            if self._batch == 1:
                raise
            self._batch = 1
            return self._watch(limit, update)

    def _watch(self, limit: int, update: Update) -> int:
        done = 0
        for group in self._groups():
            session, done = self._session(group), 0
            for samples, arrays in self._activations(session, group, limit):
                for name, array in arrays:
                    update(name, array)
                done += samples
                self._reporter.check()
        return done

    def feeds(self, limit: int) -> Iterator[dict[str, NDArray[Any]]]:
        """Give the data as the model takes it, an inference at a time."""
        for batch in self._dataset.batches(min(self._batch, limit), limit):
            yield self._feeds(batch.feeds)

    def sample_bytes(self) -> dict[str, int]:
        """Give the estimated bytes of each tensor for one sample."""
        return dict(self._sizes)

    def _key(self, plan: Plan) -> str:
        """Name the statistics by all that they depend on."""
        files = [self._path, *(self._path.with_name(name) for name in sorted(_data_files(self._model)))]
        return Memo.key(
            "quantize.ranges.1",
            [_file_digest(path) for path in files],
            self._dataset.digest(),
            list(self._sizes),
            plan.method if plan.method in ("minmax", "entropy") else "histogram",
            min(plan.samples, self._dataset.samples),
        )

    def _run(self, plan: Plan, keeper: Keeper) -> Ranges:
        names = list(self._sizes)
        extremes = {name: Extremes() for name in names}
        passes = 1 if plan.method == "minmax" else 2
        histograms = {name: Histogram(plan.method, item, plan.levels) for name, item in extremes.items()}
        at = keeper.load(names, extremes, histograms if passes == 2 else {}) or Position(self._batch)
        self._batch = at.batch
        state = _State(keeper, at, extremes, histograms if passes == 2 else {})
        seen = self._observe(plan, state, 0, passes, lambda name, array: extremes[name].update(array))
        if not seen:
            raise DataError("The calibration data has no samples.", "Give data with at least a few dozen samples.")
        unusable = tuple(name for name, item in extremes.items() if not item.finite)
        if passes == 1:
            values = {name: item.range for name, item in extremes.items() if item.finite}
            return Ranges(values, unusable, seen)
        self._sizes = {name: size for name, size in self._sizes.items() if extremes[name].finite}
        self._observe(plan, state, 1, passes, lambda name, array: histograms[name].update(array))
        return Ranges({name: histograms[name].range(plan.percentile) for name in self._sizes}, unusable, seen)

    def _observe(self, plan: Plan, state: _State, which: int, passes: int, update: Update) -> int:
        """Run all data once for each group of tensors, from where it stood; give the number of samples."""
        total, at = min(plan.samples, self._dataset.samples), state.at
        if at.phase > which:
            return total
        groups = self._groups()
        steps = passes * len(groups)
        try:
            while at.group < len(groups):
                group = groups[at.group]
                for samples, arrays in self._activations(self._session(group), group, plan.samples, at.samples):
                    for name, array in arrays:
                        update(name, array)
                    at.samples += samples
                    done = (which * len(groups) + at.group) * total + at.samples
                    self._reporter.progress(done, steps * total, "calibrating")
                    state.save()
                    self._reporter.check()
                seen, at.samples, at.group = at.samples, 0, at.group + 1
        except Cancelled:
            state.save(now=True)
            raise
        at.group, at.phase = 0, which + 1
        if seen:
            state.save(now=at.phase == passes)
        return seen

    def _activations(
        self, session: Any, group: Sequence[str], limit: int, skip: int = 0
    ) -> Iterator[tuple[int, list[tuple[str, NDArray[Any]]]]]:
        fetched = [name for name in group if name not in self._inputs]
        for batch in self._dataset.batches(self._batch, limit):
            if batch.first < skip:
                continue
            feeds = self._feeds(batch.feeds)
            arrays = [(name, feeds[name]) for name in group if name in feeds]
            try:
                arrays += zip(fetched, session.run(fetched, feeds) if fetched else (), strict=True)
            except Exception as error:
                raise _DoesNotRunError(
                    f"The model does not run on the calibration data: {first_line(error)}.",
                    "Check the shapes and values of the data against the model's inputs.",
                ) from error
            yield batch.samples, arrays

    def _feeds(self, given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Check one batch; fill up the last one when the model's batch is fixed."""
        import numpy as np

        missing = [name for name in self._inputs if name not in given and name not in self._defaults]
        if missing:
            raise DataError(
                f"The calibration data has no array for the input {missing[0]!r}.", "Name its arrays after the inputs."
            )
        feeds = {}
        for name, value in self._inputs.items():
            if name not in given:
                continue
            array = np.asarray(given[name])
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise DataError(
                    f"The calibration data of the input {name!r} holds NaN or infinite values.",
                    "Remove those samples, or mend what made them.",
                )
            wanted = _fixed(value)
            if wanted and array.ndim and wanted[0] > len(array) > 0:
                array = array[np.arange(wanted[0]) % len(array)]
            feeds[name] = np.ascontiguousarray(array)
        return feeds

    def _batch_size(self, most: int) -> int:
        """Choose as many samples at once as the model takes and the budget holds."""
        fixed = next((dims[0] for dims in map(_fixed, self._inputs.values()) if dims and dims[0]), 0)
        return fixed or max(1, min(most, BUDGET // max(1, sum(self._sizes.values()))))

    def _groups(self) -> list[list[str]]:
        """Split the tensors so that each group's activations of one batch fit the budget."""
        groups: list[list[str]] = [[]]
        held = 0
        for name, size in self._sizes.items():
            if groups[-1] and held + size * self._batch > BUDGET:
                groups.append([])
                held = 0
            groups[-1].append(name)
            held += size * self._batch
        return groups

    def _session(self, group: Sequence[str]) -> object:
        """Load the model with these tensors as its only outputs."""
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        del model.graph.output[:]
        wanted = [name for name in group if name not in self._inputs] or [self._model.graph.output[0].name]
        kinds = {value.name: value for value in (*self._model.graph.output, *self._model.graph.value_info)}
        for name in wanted:
            model.graph.output.append(kinds[name])
        stale = [value for value in model.graph.value_info if value.name not in wanted]
        del model.graph.value_info[:]
        model.graph.value_info.extend(stale)
        path = self._path.with_name("observed.onnx")
        onnx.save(model, str(path))
        try:
            return open_session(path, lean=True)
        except Exception as error:
            raise PassError(
                f"ONNX Runtime cannot run the model to calibrate it: {first_line(error)}.",
                "Static quantization needs a model that ONNX Runtime runs on the CPU.",
            ) from error


def _data_files(model: onnx.ModelProto) -> set[str]:
    """Name the files beside the model that hold its weights."""
    return {entry.value for item in model.graph.initializer for entry in item.external_data if entry.key == "location"}


def _file_digest(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fixed(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Give the dimensions of an input, 0 for those that are not fixed (some exporters write -1)."""
    return tuple(max(0, dim.dim_value) for dim in value.type.tensor_type.shape.dim)


def _sample_bytes(graph: onnx.GraphProto, tensors: Sequence[str]) -> dict[str, int]:
    """Estimate the bytes of each tensor for one sample, where its first dimension is dynamic."""
    kinds = {value.name: value for value in (*graph.value_info, *graph.output, *graph.input)}
    sizes = {}
    for name in tensors:
        known = [size or (1 if axis == 0 else _UNKNOWN) for axis, size in enumerate(_fixed(kinds[name]))]
        sizes[name] = 4 * math.prod(known)
    return sizes

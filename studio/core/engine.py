"""Running models inside a pass, on a runtime that is not named: inner tensors over a dataset, loads to time."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from studio.core.artifact import Artifact
from studio.core.batching import feeds_for, fixed_batch
from studio.core.dataset import Dataset
from studio.core.errors import RuntimeLoadError, nearest
from studio.core.modelfile import read_light_proto
from studio.core.place import Place
from studio.core.probe import tensor_types, with_outputs
from studio.core.report import Reporter, SilentReporter
from studio.core.runtime import LoadedModel, RunOptions

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

#: bytes of inner tensors held at once
BUDGET = 256 << 20
#: most samples of one inference
MOST = 32
#: size assumed for a dimension that is not known
_UNKNOWN = 64


class Engine:
    """Runs models for a pass: on the first of some places that can.

    Parameters
    ----------
    places
        Where to run, best first.
    workdir
        A folder for temporary models; each is removed after its use.
    reporter
        Asked before every inference whether to stop.
    """

    def __init__(self, places: Sequence[Place], workdir: Path, reporter: Reporter | None = None) -> None:
        self._places = tuple(places)
        self._workdir = workdir
        self._reporter = reporter or SilentReporter()

    def each(self) -> Iterator[tuple[str, Engine]]:
        """Give an engine for each of the places alone, with its ``RUNTIME:DEVICE``."""
        for place in self._places:
            yield place.spec, Engine([place], self._workdir, self._reporter)

    @contextmanager
    def load(self, artifact: Artifact, options: RunOptions | None = None) -> Iterator[LoadedModel]:
        """Load a model on the first place that can.

        Raises
        ------
        RuntimeLoadError
            When none can; the first one's reason.
        """
        failure: RuntimeLoadError | None = None
        for place in self._places:
            try:
                model = place.runtime.load(artifact, place.device, options or RunOptions())
            except RuntimeLoadError as error:
                failure = failure or error
                continue
            with model:
                yield model
            return
        raise failure or RuntimeLoadError("No runtime is installed to run the model with.", "pip install onnxruntime")

    def activations(
        self,
        artifact: Artifact,
        tensors: Sequence[str],
        dataset: Dataset,
        *,
        limit: int | None = None,
        batch: int = 0,
        together: bool = False,
    ) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """Run a model over a dataset and give inner tensors, in memory that no number of samples makes larger.

        Tensors that together exceed `BUDGET` for one inference are given in groups, each with a run over
        the data of its own.

        Parameters
        ----------
        artifact
            The model; only what the tensors depend on is computed.
        tensors
            Names of tensors of its graph: inputs, outputs or inner ones.
        dataset
            Samples that fit the model's inputs.
        limit
            Most samples to run; all when None.
        batch
            Samples of one inference where the model takes any number; chosen from the tensors' sizes when 0.
        together
            Give all tensors of an inference at once, however large they are: the caller bounds memory by
            asking for few. Two models over the same data and batch then give the same samples in step.

        Yields
        ------
        tuple
            How many samples the inference had (fillers of a fixed batch are cut off where the tensor's first
            axis is the batch), and tensor name to array.

        Raises
        ------
        RuntimeLoadError
            When no place runs the model.
        DataError
            When the data does not fit it.
        KeyError
            For a tensor that the graph does not have.
        """
        proto = read_light_proto(artifact.path)
        sizes = _sample_bytes(proto, tensors)
        groups = [sizes] if together else _groups(sizes, batch or _fitting_batch(sizes))
        for group in groups:
            yield from self._group(artifact, group, dataset, limit, batch or _fitting_batch(group))

    def sample_bytes(self, artifact: Artifact, tensors: Sequence[str]) -> dict[str, int]:
        """Estimate the bytes of tensors for one sample, dynamic dimensions assumed.

        Raises
        ------
        KeyError
            For a tensor that the graph does not have.
        """
        return _sample_bytes(read_light_proto(artifact.path), tensors)

    def _group(
        self, artifact: Artifact, sizes: Mapping[str, int], dataset: Dataset, limit: int | None, batch: int
    ) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        with self._probed(artifact, list(sizes)) as probe, self.load(probe) as model:
            for samples in dataset.batches(fixed_batch(model.inputs) or batch, limit):
                for feed in feeds_for(model.inputs, samples):
                    self._reporter.check()
                    found = {**model.run(feed.arrays), **feed.arrays}
                    yield feed.samples, {name: _unfilled(found[name], feed.fed, feed.samples) for name in sizes}

    @contextmanager
    def _probed(self, artifact: Artifact, tensors: Sequence[str]) -> Iterator[Artifact]:
        folder = Path(mkdtemp(prefix="engine-", dir=self._workdir))
        try:
            yield with_outputs(artifact, tensors, folder / "probe", only=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _unfilled(array: NDArray[Any], fed: int, samples: int) -> NDArray[Any]:
    return array[:samples] if array.ndim and array.shape[0] == fed else array


def _sample_bytes(proto: onnx.ModelProto, tensors: Sequence[str]) -> dict[str, int]:
    """Estimate the bytes of each tensor for one sample, where its first dimension is dynamic."""
    made = {out for node in proto.graph.node for out in node.output}
    known = made | {value.name for value in proto.graph.input}
    types = tensor_types(proto)
    sizes = {}
    for name in tensors:
        if name not in known:
            raise KeyError(f"{name}: the graph has no such tensor. {nearest(name, known)}")
        dims = types[name].type.tensor_type.shape.dim if name in types else ()
        fixed = [dim.dim_value or (1 if axis == 0 else _UNKNOWN) for axis, dim in enumerate(dims)]
        sizes[name] = 4 * math.prod(fixed)
    return sizes


def _fitting_batch(sizes: Mapping[str, int]) -> int:
    return max(1, min(MOST, BUDGET // max(1, sum(sizes.values()))))


def _groups(sizes: Mapping[str, int], batch: int) -> Iterator[dict[str, int]]:
    """Split the tensors so that each group's share of one inference fits the budget."""
    group: dict[str, int] = {}
    for name, size in sizes.items():
        if group and (sum(group.values()) + size) * batch > BUDGET:
            yield group
            group = {}
        group[name] = size
    if group:
        yield group

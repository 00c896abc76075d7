"""Second moments of what layers take and give, over a dataset, in memory that no number of samples makes larger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.core.artifact import Artifact
from studio.core.dataset import Dataset
from studio.core.engine import BUDGET, Engine
from studio.core.errors import DataError
from studio.core.linear import Linear
from studio.core.weights import Weight

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: rows taken of one sample: neighbouring positions of a picture say much the same
ROWS_OF_SAMPLE = 512
#: samples of one inference
BATCH = 8
#: bytes of moments held at once, where one layer does not take more
MOMENTS = 512 << 20
#: layers with more inputs are observed by the mean squares alone
WIDEST = 6144


@dataclass(frozen=True)
class Site:
    """A layer to observe: its tensors by name, and what to keep.

    Attributes
    ----------
    key
        Its name in the answer.
    input, output
        Tensors of the graph; without output only the inputs' moments are kept.
    diagonal
        Keep only the mean square of each input, not the covariance of all pairs.
    """

    key: str
    linear: Linear
    input: str
    output: str = ""
    diagonal: bool = False


class Moments:
    """Sums over the rows of a layer, of at most `most` rows for each sample; float64.

    Attributes
    ----------
    rows
        How many rows were added.
    positions
        How many rows the layer has for each sample (all, whatever was drawn of them).
    xx
        Sum of ``x x'``: ``(groups, inputs, inputs)``, or of squares: ``(groups, inputs)``.
    xy
        Sum of ``x y'``: ``(groups, inputs, outputs)``; None without outputs.
    x, y
        Sums of rows: ``(groups, inputs)``, ``(groups, outputs)``.
    yy
        Sum of squares of the outputs.
    shapes
        Shapes of the last input and output that were added.
    """

    def __init__(self, site: Site, most: int = ROWS_OF_SAMPLE) -> None:
        import numpy as np

        linear = site.linear
        self.most = most
        self.site, self.rows, self.samples, self.seen = site, 0, 0, 0
        size = (linear.groups, linear.inputs)
        self.xx: NDArray[np.float64] = np.zeros(size if site.diagonal else (*size, linear.inputs))
        self.xy: NDArray[np.float64] = np.zeros((*size, linear.outputs if site.output else 0))
        self.x: NDArray[np.float64] = np.zeros(size)
        self.y: NDArray[np.float64] = np.zeros((linear.groups, linear.outputs if site.output else 0))
        self.yy = 0.0
        self.shapes: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())

    @property
    def positions(self) -> float:
        """Rows that the layer has for each sample."""
        return self.seen / max(1, self.samples)

    def add(
        self, inputs: NDArray[Any], outputs: NDArray[Any] | None, samples: int, random: np.random.Generator
    ) -> None:
        """Take in the activations of one inference.

        Raises
        ------
        DataError
            When they are not finite.
        """
        import numpy as np

        self.samples += samples
        self.shapes = (inputs.shape, outputs.shape if outputs is not None else ())
        self.seen += self.site.linear.positions(inputs.shape, self.shapes[1] or inputs.shape)
        for x, y in self.site.linear.rows(inputs, outputs, self.most, random):
            if not np.isfinite(x).all() or (y is not None and not np.isfinite(y).all()):
                raise DataError(
                    f"The calibration data gives NaN or infinity at {self.site.key!r}.",
                    "Give data that the model computes finite values for, or leave that node out of the scope.",
                )
            self._take(x, y)

    def _take(self, x: NDArray[np.float32], y: NDArray[np.float32] | None) -> None:
        import numpy as np

        self.rows += x.shape[1]
        self.x += x.sum(axis=1, dtype=np.float64)
        if self.site.diagonal:
            self.xx += np.square(x, dtype=np.float64).sum(axis=1)
        else:
            self.xx += np.matmul(x.swapaxes(1, 2), x)
        if y is not None:
            self.xy += np.matmul(x.swapaxes(1, 2), y)
            self.y += y.sum(axis=1, dtype=np.float64)
            self.yy += float(np.square(y, dtype=np.float64).sum())


def moment_bytes(site: Site) -> int:
    """Give the memory that the moments of a site take."""
    linear = site.linear
    wide = linear.groups * linear.inputs
    return 8 * wide * ((1 if site.diagonal else linear.inputs) + (linear.outputs if site.output else 0))


def observe(weights: Sequence[Weight], *, outputs: bool = False) -> tuple[list[Site], dict[str, list[str]]]:
    """Describe the layers of some weights as sites, and name those that cannot be observed, by the reason.

    A matrix of more than `WIDEST` inputs is observed by its diagonal.
    """
    sites, refused = [], defaultdict(list)
    for weight in weights:
        linear, value = Linear.of(weight), weight.other
        if weight.inner:
            refused["it stands inside If, Loop or Scan, where activations cannot be observed"].append(weight.name)
        elif linear is None:
            refused["its weight is a stack of matrices"].append(weight.name)
        elif value is None or not value.name:
            refused["it has no input"].append(weight.name)
        else:
            result = str(weight.node.outputs[0].name) if outputs else ""
            sites.append(Site(weight.name, linear, value.name, result, linear.inputs > WIDEST))
    return sites, refused


def gather_moments(
    engine: Engine,
    artifact: Artifact,
    sites: Sequence[Site],
    dataset: Dataset,
    *,
    limit: int | None = None,
    reference: Artifact | None = None,
) -> Iterator[Moments]:
    """Run a model over a dataset and add up the moments of some layers.

    So many layers share a run over the data that moments and activations fit in `MOMENTS` bytes and the
    engine's budget; what was given before is best dropped.

    Parameters
    ----------
    artifact
        The model that inputs are taken from.
    sites
        The layers.
    limit
        Most samples.
    reference
        The model that outputs are taken from, fed the same samples; `artifact` itself when None.

    Yields
    ------
    Moments
        One for each site, in order.

    Raises
    ------
    DataError
        When there is no sample, or a value is not finite.
    """
    sizes = engine.sample_bytes(artifact, list(dict.fromkeys(site.input for site in sites)))
    sizes |= engine.sample_bytes(reference or artifact, [site.output for site in sites if site.output])
    for group, batch in _groups(sites, sizes):
        yield from _together(engine, artifact, group, dataset, limit, reference or artifact, batch)


def _groups(sites: Sequence[Site], sizes: Mapping[str, int]) -> Iterator[tuple[list[Site], int]]:
    """Split the sites so that moments and activations fit; give each group's batch too."""
    group: list[Site] = []
    kept = moving = 0
    for site in sites:
        moments, tensors = moment_bytes(site), sizes[site.input] + sizes.get(site.output, 0)
        if group and (kept + moments > MOMENTS or (moving + tensors) * BATCH > BUDGET):
            yield group, max(1, min(BATCH, BUDGET // max(1, moving)))
            group, kept, moving = [], 0, 0
        group.append(site)
        kept, moving = kept + moments, moving + tensors
    if group:
        yield group, max(1, min(BATCH, BUDGET // max(1, moving)))


def _together(
    engine: Engine,
    artifact: Artifact,
    sites: Sequence[Site],
    dataset: Dataset,
    limit: int | None,
    reference: Artifact,
    batch: int,
) -> list[Moments]:
    import numpy as np

    found = [Moments(site) for site in sites]
    random = np.random.default_rng(0)
    for samples, inputs, outputs in _in_step(engine, artifact, reference, sites, dataset, limit, batch):
        for moments in found:
            site = moments.site
            moments.add(inputs[site.input], outputs[site.output] if site.output else None, samples, random)
    if not all(moments.rows for moments in found):
        raise DataError("The calibration data holds no sample.", "Give a dataset with some typical inputs.")
    return found


Tensors = Mapping[str, "NDArray[Any]"]


def _in_step(
    engine: Engine,
    artifact: Artifact,
    reference: Artifact,
    sites: Sequence[Site],
    dataset: Dataset,
    limit: int | None,
    batch: int,
) -> Iterator[tuple[int, Tensors, Tensors]]:
    """Give the tensors of both models for the same samples."""
    wanted = list(dict.fromkeys(site.input for site in sites))
    results = list(dict.fromkeys(site.output for site in sites if site.output))
    if reference.sha256 == artifact.sha256:
        both = list(dict.fromkeys([*wanted, *results]))
        for samples, arrays in engine.activations(artifact, both, dataset, limit=limit, batch=batch, together=True):
            yield samples, arrays, arrays
        return
    left = engine.activations(artifact, wanted, dataset, limit=limit, batch=batch, together=True)
    right = engine.activations(reference, results, dataset, limit=limit, batch=batch, together=True)
    for (samples, inputs), (_, outputs) in zip(left, right, strict=True):
        yield samples, inputs, outputs

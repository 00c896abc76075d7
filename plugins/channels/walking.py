"""Going through a network from its inputs to its outputs once, with the original beside it.

The activations of all samples are kept at one cut through the graph; what lies between the cut and a layer is
computed again for each wave of layers, and the cut moves on where the graph is narrow. So a whole network is
fitted in few times the work of running it, in memory that no number of samples makes larger.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.api import Batch, DataError, Linear, Moments, PassContext, Site, feeds_for, fixed_batch

from .network import Line, Network
from .sites import Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

Arrays = dict[str, "NDArray[Any]"]
#: rows of a layer that are looked at in all: at least so many, and so many for each of its inputs
LEAST_ROWS = 8192
ROWS_AN_INPUT = 10
#: samples of one inference
BATCH = 16
#: bytes of activations kept in memory; more go to disk
IN_MEMORY = 256 << 20
#: the cut moves to where the graph is at most this much wider, or where all samples take fewer bytes than this
WIDER = 1.3
ALWAYS = 32 << 20
#: waves after which the cut moves on even where the graph is wide
PATIENCE = 6


class Shelf:
    """Tensors of all batches at a cut, in memory or on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(mkdtemp(prefix="shelf-", dir=folder))
        self._held: dict[int, Arrays] = {}
        self._stored: dict[int, dict[str, Path]] = {}
        self._bytes = 0

    def put(self, number: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep the tensors of a batch."""
        size = sum(array.nbytes for array in arrays.values())
        if self._bytes + size <= IN_MEMORY:
            self._held[number] = dict(arrays)
            self._bytes += size
            return
        paths = {}
        for index, (name, array) in enumerate(arrays.items()):
            paths[name] = self._folder / f"{number}-{index}.npy"
            np.save(paths[name], array)
        self._stored[number] = paths

    def get(self, number: int) -> Arrays:
        """Give the tensors of a batch."""
        if number in self._held:
            return self._held[number]
        return {name: np.load(path) for name, path in self._stored[number].items()}

    def close(self) -> None:
        """Forget them."""
        self._held.clear()
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass
class Samples:
    """The calibration data as feeds, with what says which rows count.

    Attributes
    ----------
    sizes
        Samples of each batch.
    masks
        Of each batch, the array of zeros and ones that says which positions are filled; None where there is none.
    """

    shelf: Shelf
    sizes: list[int]
    masks: list[NDArray[np.bool_] | None]

    @property
    def count(self) -> int:
        """How many samples there are."""
        return sum(self.sizes)


def read_samples(context: PassContext, inputs: Sequence[Any], limit: int, first: int = 0) -> Samples:
    """Read samples ``first`` to ``limit`` of the calibration data.

    Raises
    ------
    DataError
        When there is none.
    """
    assert context.calibration is not None
    size = fixed_batch(inputs) or BATCH
    found = Samples(Shelf(context.workdir), [], [])
    for batch in context.calibration.batches(size, limit):
        before = first - batch.first
        if before >= batch.samples:
            continue
        if before > 0:
            batch = Batch(first, {name: array[before:] for name, array in batch.feeds.items()})
        for feed in feeds_for(inputs, batch):
            arrays = dict(feed.arrays)
            for name, array in arrays.items():
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    raise DataError(
                        f"The calibration data for {name!r} has NaN or infinity.", "Give data of finite values."
                    )
            found.shelf.put(len(found.sizes), arrays)
            found.sizes.append(feed.samples)
            found.masks.append(_mask(arrays))
    if not found.sizes:
        raise DataError("The calibration data holds no sample.", "Give a dataset with some typical inputs.")
    return found


def _mask(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_] | None:
    """Find the input that says which positions are filled: zeros and ones, a row for each sample."""
    for name, array in arrays.items():
        named = "mask" in name.lower() and array.ndim == 2 and array.dtype.kind in "biuf"
        if named and np.isin(array, (0, 1)).all() and array.any():
            return np.asarray(array != 0)
    return None


@dataclass(frozen=True)
class _Cut:
    """Where the activations are kept: of both networks, their bytes for a batch, and the wave that follows."""

    mine: Shelf
    theirs: Shelf
    width: float = float("inf")
    wave: int = 0


@dataclass
class Walk:
    """A walk through two networks of the same line: the one that is changed and the original.

    The original may be the changed one itself, to look at only.
    """

    network: Network
    original: Network
    samples: Samples
    layers: list[list[Layer]]
    targets: bool = True
    seed: int = 0

    def __iter__(self) -> Iterator[tuple[list[Layer], dict[str, Moments]]]:
        """Give the moments of each wave of layers; the caller changes the network before it asks for the next."""
        depths = _depths(self.network.line, self.layers)
        cut = _Cut(self.samples.shelf, self.samples.shelf)
        try:
            for number, wave in enumerate(self.layers):
                moments, after = self._wave(number, wave, _live(self.network.line, depths, number), cut)
                if after is not cut:
                    self._close(cut)
                cut = after
                yield wave, moments
        finally:
            self._close(cut)

    def _close(self, cut: _Cut) -> None:
        for shelf in (cut.mine, cut.theirs):
            if shelf is not self.samples.shelf:
                shelf.close()

    def _wave(
        self, number: int, wave: Sequence[Layer], live: Sequence[str], cut: _Cut
    ) -> tuple[dict[str, Moments], _Cut]:
        """Run all samples from the cut to a wave of layers; the cut moves up to them where that is worth it."""
        taken = [layer.input for layer in wave] + [layer.skip for layer in wave if layer.skip]
        given = [layer.total or layer.output for layer in wave if layer.fits and self.targets]
        moments = {layer.name: self._moments(layer) for layer in wave}
        random = np.random.default_rng([self.seed, number])
        both = self.original is not self.network
        with ExitStack() as stack:
            wanted = dict.fromkeys([*live, *taken, *([] if both else given)])
            mine = stack.enter_context(self.network.part(list(wanted), cut.mine.get(0)))
            width = sum(array.nbytes for name, array in mine.run(cut.mine.get(0)).items() if name in live)
            after = self._next(number, width, cut, both)
            theirs = mine
            if both:
                wanted = dict.fromkeys([*(live if after is not cut else ()), *given])
                theirs = stack.enter_context(self.original.part(list(wanted), cut.theirs.get(0)))
            for index, size in enumerate(self.samples.sizes):
                self.network.context.reporter.check()
                inputs = mine.run(cut.mine.get(index))
                outputs = theirs.run(cut.theirs.get(index)) if both else inputs
                for layer in wave:
                    _observe(layer, moments[layer.name], inputs, outputs, size, self.samples.masks[index], random)
                if after is not cut:
                    after.mine.put(index, {name: inputs[name] for name in live})
                if after is not cut and both:
                    after.theirs.put(index, {name: outputs[name] for name in live})
        return moments, after

    def _next(self, number: int, width: int, cut: _Cut, both: bool) -> _Cut:
        """Say where the cut is after a wave: at its inputs where they are narrow, or the way from it has got long."""
        narrow = width <= WIDER * cut.width or width * len(self.samples.sizes) < ALWAYS
        if not number or not (narrow or number - cut.wave >= PATIENCE):
            return cut
        folder = self.network.context.workdir
        mine = Shelf(folder)
        return _Cut(mine, Shelf(folder) if both else mine, width, number)

    def _moments(self, layer: Layer) -> Moments:
        output = layer.output if layer.fits and self.targets else ""
        site = Site(layer.name, layer.linear, layer.input, output)
        return Moments(site, rows_for(layer.linear, self.samples.count))


def rows_for(linear: Linear, samples: int) -> int:
    """Give the rows to take of one sample: some times as many in all as a layer has inputs."""
    return max(8, -(-max(LEAST_ROWS, ROWS_AN_INPUT * linear.inputs) // samples))


def _observe(
    layer: Layer,
    moments: Moments,
    inputs: Mapping[str, NDArray[Any]],
    outputs: Mapping[str, NDArray[Any]],
    samples: int,
    mask: NDArray[np.bool_] | None,
    random: np.random.Generator,
) -> None:
    x, y = inputs[layer.input], None
    if moments.site.output:
        y = outputs[layer.total] - inputs[layer.skip] if layer.total else outputs[layer.output]
    if mask is not None and layer.linear.window is None and x.shape[: mask.ndim] == mask.shape and x.ndim > mask.ndim:
        moments.add(x[mask], y[mask] if y is not None else None, samples, random)
        return
    moments.add(x, y, samples, random)


def _depths(line: Line, layers: Sequence[Sequence[Layer]]) -> dict[str, int]:
    """Give, for each tensor, the first wave before which it is known."""
    of_place = {layer.place: number for number, wave in enumerate(layers) for layer in wave}
    depths: dict[str, int] = {}
    for place, node in enumerate(line.nodes):
        level = max((depths.get(name, 0) for name in line.reads[place]), default=0)
        if place in of_place:
            level = of_place[place] + 1
        depths.update((str(value.name), level) for value in node.outputs if value.name)
    return depths


def _live(line: Line, depths: Mapping[str, int], number: int) -> list[str]:
    """List the tensors known before a wave that later nodes, or the caller, read."""
    found = []
    for name in (*line.inputs, *line.made):
        if depths.get(name, 0) > number:
            continue
        later = any(
            depths.get(str(value.name), 0) > number
            for place in line.readers.get(name, ())
            for value in line.nodes[place].outputs
            if value.name
        )
        if later or name in line.outputs:
            found.append(name)
    return found

"""Going through a network from its inputs to its outputs once, with the original beside it.

The activations of all samples are kept at one cut through the graph; what lies between the cut and a layer is
computed again for each wave of layers, and the cut moves on where the graph is narrow. So a whole network is
fitted in few times the work of running it, in memory that no number of samples makes larger.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
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
        if "mask" in name.lower() and array.ndim == 2 and array.dtype.kind in "biuf":
            if np.isin(array, (0, 1)).all() and array.any():
                return np.asarray(array != 0)
    return None


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
    _depths: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[list[Layer], dict[str, Moments]]]:
        """Give the moments of each wave of layers; the caller changes the network before it asks for the next."""
        line = self.network.line
        self._depths = _depths(line, self.layers)
        with ExitStack() as stack:
            shelves: list[Shelf | None] = [None, None]
            stack.callback(lambda: [shelf.close() for shelf in shelves if shelf is not None])
            start, width = 0, float("inf")
            for number, wave in enumerate(self.layers):
                live = _live(line, self._depths, number)
                moments, shelves, width, start = self._wave(number, wave, live, shelves, width, start)
                yield wave, moments

    def _wave(
        self,
        number: int,
        wave: Sequence[Layer],
        live: Sequence[str],
        shelves: list[Shelf | None],
        width: float,
        start: int,
    ) -> tuple[dict[str, Moments], list[Shelf | None], float, int]:
        context = self.network.context
        taken = list(dict.fromkeys([layer.input for layer in wave] + [layer.skip for layer in wave if layer.skip]))
        given = list(dict.fromkeys((layer.total or layer.output) for layer in wave if layer.fits))
        if not self.targets:
            given = []
        moments = {
            layer.name: Moments(
                Site(layer.name, layer.linear, layer.input, layer.output if layer.fits and given else ""),
                rows_for(layer.linear, self.samples.count),
            )
            for layer in wave
        }
        random = np.random.default_rng([self.seed, number])
        first = self._feeds(shelves[0], 0)
        both = self.original is not self.network
        moves = False
        fresh: list[Shelf | None] = [None, None]
        with ExitStack() as stack:
            mine = stack.enter_context(self.network.part([*dict.fromkeys([*live, *taken])], first))
            sizes = mine.run(first)
            now = sum(array.nbytes for name, array in sizes.items() if name in live)
            moves = number > 0 and (
                now <= 1.3 * width or number - start >= PATIENCE or now * len(self.samples.sizes) < 32 << 20
            )
            wanted = [*dict.fromkeys([*(live if moves else []), *given])]
            theirs = None
            if both:
                theirs = stack.enter_context(self.original.part(wanted, self._feeds(shelves[1], 0)))
            elif given:
                mine = stack.enter_context(self.network.part([*dict.fromkeys([*live, *taken, *given])], first))
            if moves:
                fresh = [Shelf(context.workdir), Shelf(context.workdir) if both else None]
            for index, size in enumerate(self.samples.sizes):
                context.reporter.check()
                inputs = mine.run(self._feeds(shelves[0], index))
                outputs = theirs.run(self._feeds(shelves[1], index)) if theirs is not None else inputs
                for layer in wave:
                    _observe(layer, moments[layer.name], inputs, outputs, size, self.samples.masks[index], random)
                if moves:
                    for shelf, arrays in zip(fresh, (inputs, outputs), strict=True):
                        if shelf is not None:
                            shelf.put(index, {name: arrays[name] for name in live})
        if moves:
            for shelf in shelves:
                if shelf is not None:
                    shelf.close()
            return moments, fresh, float(now), number
        return moments, shelves, width, start

    def _feeds(self, shelf: Shelf | None, index: int) -> Mapping[str, NDArray[Any]]:
        return (self.samples.shelf if shelf is None else shelf).get(index)


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
        if layer.total:
            y = np.asarray(outputs[layer.total] - inputs[layer.skip])
        else:
            y = outputs[layer.output]
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

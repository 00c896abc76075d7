"""Finding the samples on which two models differ, batch by batch."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studio.core.classes import class_scores, top_class
from studio.core.dataset import Batch, Dataset
from studio.core.disagreement import Parting, SampleDifference
from studio.core.layercompare import sqnr
from studio.core.layererrors import CONCERN_DB, JUMP_DB, TensorError, drop_db

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: samples of one piece
PIECE = 32


class Differences:
    """A running comparison that keeps counts and the gravest samples only.

    Parameters
    ----------
    most
        How many samples to keep.
    below
        Outputs that are no classes differ when their SQNR is below this, in dB.
    """

    def __init__(self, most: int, below: float) -> None:
        self._most, self._below = most, below
        self._heap: list[tuple[float, int, SampleDifference]] = []
        self.samples = self.differing = 0
        self.verdicts: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()

    def add(
        self, before: Mapping[str, NDArray[Any]], after: Mapping[str, NDArray[Any]], labels: NDArray[Any] | None
    ) -> None:
        """Take in the outputs of some samples, first axis the samples."""
        first, second = class_scores(before), class_scores(after)
        count = len(next(iter(before.values()), ()))
        levels = _levels(before, after, count)
        if first is not None and second is not None and first.shape == second.shape:
            found = _by_class(first, second, labels, levels, self.samples)
        else:
            found = (
                SampleDifference(index=self.samples + row, verdict="differs", sqnr_db=level)
                for row, level in enumerate(levels)
                if level < self._below
            )
        for item in found:
            self._keep(item)
        self.samples += count

    @property
    def gravest(self) -> list[SampleDifference]:
        """The samples kept, the gravest first."""
        return [item for _, _, item in sorted(self._heap, key=lambda entry: (-entry[0], -entry[1]))]

    def _keep(self, item: SampleDifference) -> None:
        self.differing += 1
        self.verdicts[item.verdict] += 1
        if item.before is not None:
            self.classes[f"{item.before} -> {item.after}"] += 1
        grave = item.margin if item.margin is not None else -item.sqnr_db
        entry = (grave, -item.index, item)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        elif self._heap and entry[:2] > self._heap[0][:2]:
            heapq.heapreplace(self._heap, entry)


def probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give class scores as probabilities: as they are when they are some, else their softmax."""
    import numpy as np

    if scores.size and scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-2):
        return scores
    known = np.nan_to_num(scores, nan=-1e30, posinf=1e30, neginf=-1e30)
    shifted = np.exp(known - known.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
    return result


class Picked(Dataset):
    """Some samples of a dataset, read in its order without holding the others."""

    def __init__(self, whole: Dataset, indices: Sequence[int]) -> None:
        self._whole = whole
        self.indices = sorted(set(indices))
        self.name, self.samples = whole.name, len(self.indices)
        self.labelled, self.synthetic, self.notes = whole.labelled, whole.synthetic, whole.notes

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        """Go through the picked samples, `size` at a time."""
        import numpy as np

        wanted = self.indices if limit is None else self.indices[:limit]
        waiting: list[Batch] = []
        given = 0
        for batch in self._whole.batches(PIECE, wanted[-1] + 1 if wanted else 0):
            rows = [index - batch.first for index in wanted if batch.first <= index < batch.first + batch.samples]
            for row in rows:
                labels = None if batch.labels is None else batch.labels[row : row + 1]
                waiting.append(Batch(row, {name: array[row : row + 1] for name, array in batch.feeds.items()}, labels))
                if len(waiting) == size:
                    yield _joined(waiting, given, np)
                    given += size
                    waiting = []
        if waiting:
            yield _joined(waiting, given, np)

    def digest(self) -> str:
        """Give the digest of the whole with the indices."""
        from studio.core.frozen import digest

        return digest([self._whole.digest(), self.indices])


def partings(tensors: Sequence[TensorError], each: Mapping[str, Sequence[float]], samples: int) -> list[Parting | None]:
    """Say for each sample at which layer the models part.

    Parameters
    ----------
    tensors
        The compared tensors in the source's order.
    each
        Tensor to the SQNR of each sample in dB.
    samples
        How many samples there are.
    """
    found: list[Parting | None] = []
    for number in range(samples):
        level = {name: values[number] for name, values in each.items() if number < len(values)}
        worst: Parting | None = None
        for item in tensors:
            if item.tensor not in level:
                continue
            drop = drop_db(level[item.tensor], [level[name] for name in item.inputs if name in level])
            jump = drop >= JUMP_DB and level[item.tensor] < CONCERN_DB
            here = Parting(node=item.node, operator=item.operator, sqnr_db=level[item.tensor], drop_db=drop, jump=jump)
            if jump:
                worst = here
                break
            if worst is None or drop > worst.drop_db:
                worst = here
        found.append(worst)
    return found


def _by_class(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    labels: NDArray[Any] | None,
    levels: Sequence[float],
    start: int,
) -> Iterator[SampleDifference]:
    before, after = top_class(first), top_class(second)
    mine, theirs = probabilities(first), probabilities(second)
    for row in (before != after).nonzero()[0]:
        one, other = int(before[row]), int(after[row])
        label = None if labels is None else int(labels[row])
        verdict = "broken" if label == one else "mended" if label == other else "changed"
        yield SampleDifference(
            index=start + int(row),
            label=label,
            before=one,
            after=other,
            margin=float(mine[row, one] - mine[row, other]),
            margin_after=float(theirs[row, other] - theirs[row, one]),
            verdict=verdict,
            sqnr_db=levels[row],
        )


def _levels(before: Mapping[str, NDArray[Any]], after: Mapping[str, NDArray[Any]], count: int) -> list[float]:
    """Give the SQNR of each sample over all float outputs; -200 dB where the shapes differ."""
    import numpy as np

    signal, error = np.zeros(count), np.zeros(count)
    for name, array in before.items():
        if array.dtype.kind not in "fV":
            continue
        right = np.nan_to_num(array.astype(np.float64).reshape(count, -1), posinf=0.0, neginf=0.0)
        signal += np.square(right).sum(axis=1)
        other = after.get(name)
        if other is None or other.shape != array.shape:
            error += np.inf
            continue
        found = other.astype(np.float64).reshape(count, -1)
        error += np.square(np.where(np.isfinite(found), right - found, np.abs(right) + 1.0)).sum(axis=1)
    return [sqnr(float(one), float(other)) for one, other in zip(signal, error, strict=True)]


def _joined(parts: Sequence[Batch], first: int, np: Any) -> Batch:
    feeds = {name: np.concatenate([part.feeds[name] for part in parts]) for name in parts[0].feeds}
    labels = None if parts[0].labels is None else np.concatenate([part.labels for part in parts])
    return Batch(first, feeds, labels)

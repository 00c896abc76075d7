"""Error rates of recognized text: characters and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import DataError, Params, SetMetric, Statistic, param

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class TranscriptParams(Params):
    """What can be set."""

    charset: str = param(
        "", "File with a character on each line: what the classes of a recognizer mean, in order, the blank aside."
    )
    blank: int = param(0, "Class that stands for no character (CTC); -1 is the last.", ge=-1, le=1_000_000)


class CharacterErrorRate(SetMetric):
    """Characters to insert, remove or replace to get the right text, over its length (Levenshtein 1966)."""

    id = "cer"
    title = "Character error rate"
    needs_labels = True
    higher_is_better = False
    unit = "fraction"
    label_kinds = frozenset({"text"})
    highest = float("inf")
    Params = TranscriptParams

    def scores(
        self,
        outputs: Mapping[str, NDArray[Any]],
        labels: NDArray[Any] | None,
        reference: Mapping[str, NDArray[Any]] | None,
    ) -> Floats:
        """Record errors and length of each sample: float64 of shape ``(samples, 2)``.

        Raises
        ------
        DataError
            When the outputs are neither text nor, with a charset, scores of characters.
        """
        import numpy as np

        if labels is None:
            raise DataError("There are no texts to compare with.", "Give labels, and say --read labels=text.")
        texts = self._texts(outputs)
        rows = []
        for found, wanted in zip(texts, labels, strict=True):
            got, want = self._units(found), self._units(str(wanted))
            rows.append((edit_distance(got, want), len(want)))
        return np.array(rows, np.float64).reshape(-1, 2)

    def statistic(self, records: NDArray[Any]) -> Statistic:
        """Divide all errors by the length of all texts."""
        errors, lengths = records[:, 0], records[:, 1]

        def value(weights: Floats) -> float:
            total = float(weights @ lengths)
            return float(weights @ errors) / total if total else float("nan")

        return value

    def figures(self, records: NDArray[Any]) -> Floats:
        """Give each sample's own rate; of an empty text the number of errors."""
        import numpy as np

        return np.asarray(records[:, 0] / np.maximum(records[:, 1], 1), float)

    def _units(self, text: str) -> Sequence[str]:
        return text

    def _texts(self, outputs: Mapping[str, NDArray[Any]]) -> list[str]:
        for array in outputs.values():
            if array.dtype.kind in "OUS":
                return [_plain(value) for value in array.reshape(len(array), -1)[:, 0]]
        for array in outputs.values():
            if array.ndim == 3 and array.dtype.kind in "fV":
                return self._decoded(array)
        found = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in outputs.items())
        raise DataError(
            f"{self.title} needs text, or scores of characters [samples, steps, characters], but the outputs are "
            f"{found}.",
            "Choose a metric for these outputs.",
        )

    def _decoded(self, scores: NDArray[Any]) -> list[str]:
        """Take the best character of each step, drop repeats and blanks (greedy CTC)."""
        if not self.params.charset:
            raise DataError(
                f"{self.title} does not know what the model's {scores.shape[2]} classes mean.",
                f"Name the file of its characters: --metric {self.id}:charset=FILE.",
            )
        characters = _characters(Path(self.params.charset))
        classes = scores.shape[2]
        blank = self.params.blank % classes
        names = [*characters[:blank], "", *characters[blank:]]
        # recognizers of Chinese text have one class more, for the space
        names += [" "] * max(0, classes - len(names))
        texts = []
        for row in scores.argmax(axis=2):
            kept = [int(step) for index, step in enumerate(row) if index == 0 or step != row[index - 1]]
            texts.append("".join(names[step] for step in kept if step != blank))
        return texts


class WordErrorRate(CharacterErrorRate):
    """The same over words, which blanks divide."""

    id = "wer"
    title = "Word error rate"

    def _units(self, text: str) -> Sequence[str]:
        return text.split()


def edit_distance(found: Sequence[str], wanted: Sequence[str]) -> int:
    """Count the insertions, removals and replacements from one sequence to the other."""
    if len(found) < len(wanted):
        found, wanted = wanted, found
    row = list(range(len(wanted) + 1))
    for number, one in enumerate(found, 1):
        corner, row[0] = row[0], number
        for index, other in enumerate(wanted, 1):
            corner, row[index] = row[index], min(row[index] + 1, row[index - 1] + 1, corner + (one != other))
    return row[-1]


def _characters(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8") as stream:
            return [line.rstrip("\r\n") for line in stream]
    except UnicodeDecodeError:
        raise DataError(f"{path.name} is not text in UTF-8.", "Save it as UTF-8.") from None
    except OSError as error:
        raise DataError(f"The charset {path} cannot be read: {error.strerror}.", "Check the path.") from None


def _plain(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

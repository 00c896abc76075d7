"""Comparing the outputs of two models on the same inputs, batch by batch in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: An exact pass may change outputs by rounding only: this SQNR, or this error relative to the largest value.
EXACT_SQNR_DB = 60.0
EXACT_RELATIVE = 1e-5
#: Share of integer outputs (such as an argmax) that an exact pass must keep; a tie may flip.
EXACT_INTEGERS = 0.99
#: Two outputs with less than this in common do not compute the same function.
GARBAGE_SQNR_DB = 0.0


@dataclass
class OutputDifference:
    """Running comparison of two models' outputs.

    All sums are float64. `signal` and `noise` are sums of squares of the reference and of the
    difference; `integers` and `equal` count the elements of integer, boolean and string outputs.
    """

    samples: int = 0
    signal: float = 0.0
    noise: float = 0.0
    max_abs_error: float = 0.0
    largest: float = 0.0
    cosine_sum: float = 0.0
    integers: int = 0
    equal: int = 0
    classified: int = 0
    agreed: int = 0
    new_nan: bool = False
    shape_change: str = ""
    floats: bool = False

    def add(self, reference: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]], samples: int) -> None:
        """Take in one batch: output name to array for both models."""
        self.samples += samples
        for name, expected in reference.items():
            got = other.get(name)
            if got is None or got.shape != expected.shape:
                self.shape_change = self.shape_change or _shape_text(name, expected, got)
            elif expected.dtype.kind in "fcV":
                self._add_floats(_as_float(expected), _as_float(got))
            else:
                self.integers += expected.size
                self.equal += int((expected == got).sum())
        self._add_cosine(reference, other, samples)
        self._add_classes(reference, other)

    @property
    def identical(self) -> bool:
        """Whether not one bit of meaning differs."""
        return self.noise == 0.0 and self.equal == self.integers and not (self.new_nan or self.shape_change)

    @property
    def sqnr_db(self) -> float | None:
        """Signal to quantization noise ratio in dB; None when there is no noise or no float output."""
        if not self.floats or self.noise == 0.0:
            return None
        return 10 * math.log10(self.signal / self.noise) if self.signal > 0 else -math.inf

    @property
    def cosine(self) -> float | None:
        """Mean cosine similarity of the samples' flattened float outputs."""
        return self.cosine_sum / self.samples if self.floats and self.samples else None

    @property
    def top1_agreement(self) -> float | None:
        """Share of samples with the same largest output; None without class scores."""
        return self.agreed / self.classified if self.classified else None

    def within_rounding(self) -> bool:
        """Say whether the difference is what another order of the same arithmetic may give."""
        if self.new_nan or self.shape_change:
            return False
        if self.integers and self.equal / self.integers < EXACT_INTEGERS:
            return False
        sqnr = self.sqnr_db
        return sqnr is None or sqnr >= EXACT_SQNR_DB or self.max_abs_error <= EXACT_RELATIVE * max(self.largest, 1.0)

    def _add_floats(self, expected: NDArray[np.float64], got: NDArray[np.float64]) -> None:
        import numpy as np

        self.floats = True
        finite = np.isfinite(expected)
        self.new_nan = self.new_nan or bool((~np.isfinite(got) & finite).any())
        both = finite & np.isfinite(got)
        reference, difference = expected[both], expected[both] - got[both]
        if reference.size == 0:
            return
        self.signal += float(np.square(reference).sum())
        self.noise += float(np.square(difference).sum())
        self.max_abs_error = max(self.max_abs_error, float(np.abs(difference).max()))
        self.largest = max(self.largest, float(np.abs(reference).max()))

    def _add_cosine(
        self, reference: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]], samples: int
    ) -> None:
        import numpy as np

        if not samples:
            return
        rows = [
            (_rows(array, samples), _rows(other[name], samples))
            for name, array in reference.items()
            if array.dtype.kind in "fcV" and name in other and other[name].shape == array.shape
        ]
        if not rows:
            return
        first = np.nan_to_num(np.concatenate([a for a, _ in rows], axis=1), posinf=0.0, neginf=0.0)
        second = np.nan_to_num(np.concatenate([b for _, b in rows], axis=1), posinf=0.0, neginf=0.0)
        norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        dots = (first * second).sum(axis=1)
        same = (first == second).all(axis=1)
        values = np.where(same, 1.0, dots / np.where(norms > 0, norms, 1.0))
        self.cosine_sum += float(values.mean()) * samples

    def _add_classes(self, reference: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> None:
        for name, expected in reference.items():
            got = other.get(name)
            if is_scores(expected) and got is not None and got.shape == expected.shape:
                same = expected.argmax(axis=1) == got.argmax(axis=1)
                self.classified += len(same)
                self.agreed += int(same.sum())
                return


def is_scores(array: NDArray[Any]) -> bool:
    """Say whether an output looks like class scores: float, ``(samples, classes)``, two classes or more."""
    return array.dtype.kind in "fV" and array.ndim == 2 and array.shape[1] >= 2 and array.shape[0] > 0


def _rows(array: NDArray[Any], samples: int) -> NDArray[np.float64]:
    values = _as_float(array)
    if values.ndim and len(values) == samples:
        return values.reshape(samples, -1)
    return values.reshape(1, -1).repeat(samples, axis=0)


def _as_float(array: NDArray[Any]) -> NDArray[np.float64]:
    import numpy as np

    if array.dtype.kind == "c":
        return array.astype(np.complex128).view(np.float64)
    return array.astype(np.float64)


def _shape_text(name: str, expected: NDArray[Any], got: NDArray[Any] | None) -> str:
    if got is None:
        return f"the output {name!r} is gone"
    return f"the output {name!r} changed its shape from {expected.shape} to {got.shape}"

"""Which weights of a matrix go: a share of each row, or N of every M, by a score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Share:
    """A share of the weights."""

    share: float


@dataclass(frozen=True)
class Pattern:
    """At most `kept` of every `of` weights in a row stay."""

    kept: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read ``"2:4"``."""
        kept, of = (int(part) for part in text.split(":"))
        return cls(kept, of)


Rule = Share | Pattern


def mask(scores: NDArray[Any], rule: Rule) -> NDArray[np.bool_]:
    """Mark the weights to set to zero: those of least score; NaN counts as the largest.

    Parameters
    ----------
    scores
        Shape ``(rows, inputs)``; for a pattern, `inputs` is a multiple of M.
    rule
        A share is taken of each row, so that the whole has exactly that share of its weights marked.
    """
    return _of_rows(scores, rule.share) if isinstance(rule, Share) else _of_groups(scores, rule)


def _of_rows(scores: NDArray[Any], share: float) -> NDArray[np.bool_]:
    rows, inputs = scores.shape
    # rounding is carried from row to row
    counts = np.diff(np.round(share * inputs * np.arange(rows + 1))).astype(int)
    ranks = np.argsort(np.argsort(scores, axis=1, kind="stable"), axis=1)
    return np.asarray(ranks < counts[:, None])


def _of_groups(scores: NDArray[Any], pattern: Pattern) -> NDArray[np.bool_]:
    groups = scores.reshape(-1, pattern.of)
    ranks = np.argsort(np.argsort(groups, axis=1, kind="stable"), axis=1)
    return np.asarray((ranks < pattern.of - pattern.kept).reshape(scores.shape))

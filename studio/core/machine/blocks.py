"""Blocks of a run: each is watched, and those that something disturbed are measured again within a bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from studio.core.frozen import Frozen

if TYPE_CHECKING:
    from studio.core.noise import Observation

#: Seconds of a block: the counters of processor time tick at 10 ms, so that less tells little.
BLOCK = 0.5
#: Share of the time wanted that may be spent again on blocks that were hit.
AGAIN = 0.5
#: More blocks hit than this share: the noise is lasting, and measuring again would meet it again.
LASTING = 0.5
#: Seconds by which a run may end early: the clock is looked at between rounds.
TICK = 0.01

Describe = Callable[["Observation", "Observation"], tuple[str, ...]]


class Stability(Frozen):
    """What the noise guard says of a run.

    Attributes
    ----------
    blocks, hit, repeated
        Blocks watched; those that something disturbed; those of them that were measured again and left out.
    noise
        What disturbed the blocks that count, in sentences.
    spans
        The rounds of these blocks, as first and end among the samples that were kept.
    """

    verdict: Literal["stable", "noisy", "cannot tell"]
    blocks: int
    hit: int
    repeated: int
    noise: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()

    @property
    def text(self) -> str:
        """Give ``"stable"``, ``"noisy: …"`` or ``"cannot tell"`` with how many blocks were hit."""
        again = f"{self.repeated} of {self.blocks} blocks were disturbed and measured again"
        if self.verdict == "noisy":
            hit = f" ({self.hit - self.repeated} of {self.blocks} blocks)"
            return f"noisy: {' '.join(self.noise)}{hit}{f'; {again}' if self.repeated else ''}"
        if self.verdict == "cannot tell":
            return f"cannot tell{': ' + ' '.join(self.noise) if self.noise else ''}"
        return f"stable; {again}" if self.repeated else "stable"


@dataclass(frozen=True)
class _Block:
    """Rounds from `first` up to `end`, and what disturbed them."""

    first: int
    end: int
    seconds: float
    noise: tuple[str, ...]


class BlockWatch:
    """Watches a run in blocks.

    Parameters
    ----------
    seconds
        Time wanted for the run.
    observe
        Observes the machine.
    describe
        Says what disturbed between two observations; see `studio.core.noise.describe_noise`.
    """

    def __init__(self, seconds: float, observe: Callable[[], Observation], describe: Describe) -> None:
        self._wanted, self._observe, self._describe = seconds, observe, describe
        self._blocks: list[_Block] = []
        self._first, self._began = 0, 0.0
        self._start = self._last = observe()

    def start(self) -> None:
        """Begin the first block now: what was before is not watched."""
        self._start = self._last = self._observe()

    def mark(self, rounds: int, elapsed: float, *, last: bool = False) -> tuple[int, int, str] | None:
        """Close the block when it is long enough, or the run ends.

        Parameters
        ----------
        rounds
            Complete rounds so far.
        elapsed
            Seconds of the run so far.

        Returns
        -------
        tuple or None
            First round, end and what disturbed the block that was closed, if anything did.
        """
        seconds = elapsed - self._began
        if rounds == self._first or (seconds < BLOCK and not last):
            return None
        now = self._observe()
        self._blocks.append(_Block(self._first, rounds, seconds, self._describe(self._last, now)))
        self._first, self._began, self._last = rounds, elapsed, now
        closed = self._blocks[-1]
        return (closed.first, closed.end, " ".join(closed.noise)) if closed.noise else None

    @property
    def extra(self) -> float:
        """Seconds to measure longer, in place of the blocks that were hit; 0 while most are."""
        return sum(block.seconds for block in self._again(AGAIN * self._wanted))

    def kept(self, rounds: int) -> tuple[bool, ...]:
        """Say of each round whether it counts: all but those of blocks that were measured again."""
        counts = [True] * rounds
        for block in self._repeated():
            counts[block.first : block.end] = [False] * (min(rounds, block.end) - block.first)
        return tuple(counts)

    def stability(self) -> Stability:
        """Judge the run."""
        hit = [block for block in self._blocks if block.noise]
        again = self._repeated()
        left = [block for block in hit if block not in again]
        whole = self._describe(self._start, self._last)
        noise = whole or tuple(dict.fromkeys(sentence for block in left for sentence in block.noise[:1]))[:2]
        verdict: Literal["stable", "noisy", "cannot tell"] = "noisy" if left else "stable"
        if self._last.time - self._start.time < BLOCK / 2:
            verdict, noise = "cannot tell", ("The run was too short to watch.",)
        elif verdict == "stable":
            noise = ()
        return Stability(
            verdict=verdict,
            blocks=len(self._blocks),
            hit=len(hit),
            repeated=len(again),
            noise=noise,
            spans=tuple(_moved(block, again) for block in left),
        )

    def _repeated(self) -> list[_Block]:
        """List the blocks for which the run has lasted longer; a run that was stopped early has none."""
        return self._again(min(AGAIN * self._wanted, self._began - self._wanted + TICK))

    def _again(self, budget: float) -> list[_Block]:
        hit = [block for block in self._blocks if block.noise]
        if not hit or len(hit) > LASTING * len(self._blocks):
            return []
        chosen: list[_Block] = []
        for block in hit:
            if sum(item.seconds for item in chosen) + block.seconds <= budget:
                chosen.append(block)
        return chosen


def _moved(block: _Block, gone: Sequence[_Block]) -> tuple[int, int]:
    """Give the rounds of a block among those that were kept."""
    before = sum(other.end - other.first for other in gone if other.end <= block.first)
    return block.first - before, block.end - before


def together(found: Sequence[Stability]) -> Stability | None:
    """Judge several runs as one: noisy when one was, stable when all were; None without any."""
    if not found:
        return None
    verdicts = [item.verdict for item in found]
    worst = next((verdict for verdict in ("noisy", "cannot tell") if verdict in verdicts), "stable")
    return Stability(
        verdict=worst,
        blocks=sum(item.blocks for item in found),
        hit=sum(item.hit for item in found),
        repeated=sum(item.repeated for item in found),
        noise=next((item.noise for item in found if item.verdict == worst), ()),
    )

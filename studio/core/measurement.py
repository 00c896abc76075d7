"""Measurements: raw samples with all that is needed to judge them. Append-only facts."""

from __future__ import annotations

from studio.core.device import Device
from studio.core.environment import Environment
from studio.core.frozen import Frozen
from studio.core.machine.blocks import Stability
from studio.core.runtime import RunOptions


class Memory(Frozen):
    """Resident memory of the measuring process, in bytes.

    `before` is taken before loading, `loaded` after, `peak` at the end; `peak_delta` is what the model
    added over `before` at most.
    """

    before: int
    loaded: int
    peak: int

    @property
    def peak_delta(self) -> int:
        """Bytes that loading and running added at most."""
        return max(0, self.peak - self.before)


class Measurement(Frozen):
    """What was measured of one model on one device, in one run.

    Attributes
    ----------
    model_sha256
        The model measured.
    samples_ns
        Steady-state latencies in nanoseconds, in the order they were taken; warm-up excluded.
    warmup_ns
        The latencies before the steady state.
    load_ns, first_ns
        Time to load the model and of the first inference.
    disturbed_ns
        Latencies of blocks that something disturbed and that were measured again; not part of `samples_ns`.
    stability
        What the noise guard says of the run; None for figures of before it.
    pair
        Name of the run in which it was measured; measurements of one run with the same `rounds` were
        taken in pairs with the baseline, sample i beside sample i.
    """

    id: str
    model_sha256: str
    model_name: str
    device: Device
    runtime_version: str
    options: RunOptions
    batch: int
    feeds: dict[str, tuple[int, ...]]
    synthetic: bool
    samples_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    load_ns: int
    first_ns: int
    memory: Memory | None = None
    #: id of the measurement that this one continues with more samples
    extends: str = ""
    #: id of the baseline's measurement taken in pairs with this one; empty for a baseline or a run alone
    paired_with: str = ""
    run: str = ""
    #: what disturbed the run, in words
    noise: tuple[str, ...] = ()
    stability: Stability | None = None
    disturbed_ns: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    environment: Environment
    taken_at: str

"""Results as they are written down: typed and versioned, in ``--json`` and in reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.analysis.cold import ColdReport
from studio.core.environment import Environment
from studio.core.frozen import Frozen
from studio.core.machine.blocks import Stability
from studio.core.machine.processes import ProcessSpread
from studio.core.passes import Range
from studio.core.runtime import ExecutedNode
from studio.core.scope import Scope
from studio.core.statistics import Verdict
from studio.core.verification import Verification

VERSION = 1


class Document(Frozen):
    """Base of every document."""

    version: int = VERSION


class ModelFile(Frozen):
    """A model file."""

    path: Path
    sha256: str
    bytes: int


class StepRow(Frozen):
    """A step that was applied. `nodes_changed` counts nodes by what happened to them."""

    id: str
    pass_version: int
    params: dict[str, Any]
    scope: Scope
    unchanged: bool
    nodes: int
    nodes_changed: dict[str, int]
    seconds: float
    warnings: tuple[str, ...]
    notes: dict[str, Any]
    verification: Verification | None


class Latency(Frozen):
    """Milliseconds; a percentile is null below its floor of samples (p90: 64, p99: 662)."""

    p50: float
    p90: float | None
    p99: float | None
    mean: float
    min: float
    samples: int


class BenchModel(Frozen):
    """One model on one device."""

    name: str
    path: Path
    sha256: str
    bytes: int
    device: str
    runtime_version: str
    batch: int
    synthetic: bool
    latency_ms: Latency
    throughput_per_s: float
    load_ms: float
    first_ms: float
    peak_memory_bytes: int | None
    noise: tuple[str, ...]
    warnings: tuple[str, ...]
    layers: tuple[ExecutedNode, ...] = ()
    #: what the noise guard says of all its runs
    stability: Stability | None = None
    #: p50 in milliseconds as each process measured it; null with one process
    between_processes: ProcessSpread | None = None


class BenchPair(Frozen):
    """A model against the baseline: ratio above 1 is faster, with a 95 % interval.

    `between_processes` is how the ratio varies between processes; null with one process.
    """

    baseline: str
    model: str
    device: str
    ratio: float
    low: float
    high: float
    verdict: Verdict
    pairs: int
    between_processes: ProcessSpread | None = None
    #: what the surveys of the steps that made the model expected; null when no known steps made it
    expected: Range | None = None


class FailureRow(Frozen):
    """A model that could not be measured."""

    name: str
    device: str
    message: str
    hint: str


class BenchDocument(Document):
    """``bench --json``; `cold` with ``--cold``."""

    models: tuple[BenchModel, ...]
    pairs: tuple[BenchPair, ...]
    failures: tuple[FailureRow, ...]
    options: dict[str, Any]
    environment: Environment
    cold: tuple[ColdReport, ...] = ()


class EvaluationRow(Frozen):
    """A metric of one model; against a baseline also the difference on the same samples."""

    model: str
    device: str
    dataset: str
    synthetic: bool
    metric: str
    value: float
    low: float
    high: float
    samples: int
    unit: str
    delta: float | None = None
    delta_low: float | None = None
    delta_high: float | None = None
    significant: bool | None = None
    agreement: float | None = None
    p: float | None = None
    test: str = ""
    title: str = ""
    higher_is_better: bool = True
    warnings: tuple[str, ...] = ()
    details: dict[str, Any] = {}

"""What ``--json`` prints: typed and versioned. A field is never renamed or removed within one version."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from studio.analysis.automatic import AutoResult
from studio.analysis.calibrate import Uncalibrated
from studio.analysis.cold import ColdReport
from studio.core.datacheck.findings import DataCheck
from studio.core.device import Device, UnavailableDevice
from studio.core.disagreement import Disagreements
from studio.core.environment import Environment
from studio.core.frozen import Frozen
from studio.core.layererrors import LayerErrors
from studio.core.machine.blocks import Stability
from studio.core.machine.processes import ProcessSpread
from studio.core.machine.profile import MachineProfile
from studio.core.machine.record import RecordSummary
from studio.core.machine.sweeping import SweepPoint
from studio.core.memoryplan import MemoryPlan
from studio.core.modelinfo import ModelInfo
from studio.core.params import ParamSpec
from studio.core.passes import Range, Survey
from studio.core.runtime import ExecutedNode
from studio.core.scope import Scope
from studio.core.sensitivity import Sensitivity
from studio.core.statistics import Verdict
from studio.core.verification import Verification

VERSION = 1


class Document(Frozen):
    """Base of every document."""

    version: int = VERSION


class DevicesDocument(Document):
    """``devices --json``."""

    devices: tuple[dict[str, Any], ...]
    unavailable: tuple[UnavailableDevice, ...]
    runtimes: dict[str, str]
    environment: Environment


class CalibrateDocument(Document):
    """``calibrate --json``: all devices that are calibrated, which were measured now, and which could not be."""

    profile: MachineProfile
    measured: tuple[str, ...]
    failures: tuple[Uncalibrated, ...]


class RecordDocument(Document):
    """``calibrate --record --json``: predictions against results."""

    record: RecordSummary
    problems: tuple[str, ...]


class PassRow(Frozen):
    """A pass as ``passes --json`` lists it."""

    id: str
    title: str
    family: str
    pass_version: int
    exact: bool
    needs: tuple[str, ...]
    summary: str
    plugin: str
    params: tuple[ParamSpec, ...]


class PassesDocument(Document):
    """``passes --json``."""

    passes: tuple[PassRow, ...]


class InspectDocument(Document):
    """``inspect --json``; `memory` with ``--memory``."""

    model: ModelInfo
    memory: MemoryPlan | None = None


class SurveyDocument(Document):
    """``survey --json``: a survey for each pass id."""

    model: Path
    sha256: str
    device: str
    surveys: dict[str, Survey]
    calibrated: bool = False


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


class SweepDocument(Document):
    """``sweep --json``: every point that was measured, the Pareto front, and the best within the latency limit."""

    model: Path
    sha256: str
    device: str
    points: tuple[SweepPoint, ...]
    front: tuple[SweepPoint, ...]
    best: SweepPoint | None
    possible: int
    resumed: int
    complete: bool
    options: dict[str, Any]
    environment: Environment


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


class EvaluateDocument(EvaluationRow):
    """``evaluate --json``: the first metric of the model at top level, and every one in `evaluations`."""

    version: int = VERSION
    evaluations: tuple[EvaluationRow, ...]
    disagreements: Disagreements | None = None


class OptimizeDocument(Document):
    """``optimize --json``. `verification` compares the result with the source over all steps."""

    source: ModelFile
    result: ModelFile
    steps: tuple[StepRow, ...]
    verification: Verification | None
    bench: BenchDocument | None = None
    #: evaluation samples that are calibration samples too
    shared_samples: int = 0
    evaluations: tuple[EvaluationRow, ...] = ()
    report: Path | None = None


class AutoDocument(Document):
    """``optimize --auto --json``: every recipe that was tried, what is proposed, and the model that was written.

    `result` is null where the baseline is best; nothing is written then.
    """

    source: ModelFile
    result: ModelFile | None
    search: AutoResult


class CompareRow(Frozen):
    """A model in the comparison."""

    name: str
    path: Path
    bytes: int
    parameters: int
    macs: int | None
    nodes: int
    bench: BenchModel | None
    pair: BenchPair | None
    evaluations: tuple[EvaluationRow, ...]


class CompareDocument(Document):
    """``compare --json``; the first model is the baseline."""

    models: tuple[CompareRow, ...]
    failures: tuple[FailureRow, ...]
    environment: Environment


class ExportDocument(Document):
    """``export --json``."""

    path: Path
    sha256: str
    bytes: int
    files: tuple[str, ...]
    warnings: tuple[str, ...]


class SampleDocument(Document):
    """``sample --headless --json``: what was made of the sample, and where it lies."""

    best: str
    results: dict[str, Path]
    bench: BenchDocument
    evaluations: tuple[EvaluationRow, ...]
    steps: dict[str, tuple[StepRow, ...]]
    export: ExportDocument


class ErrorsDocument(LayerErrors):
    """``errors --json``."""

    version: int = VERSION


class DisagreementsDocument(Disagreements):
    """``disagreements --json``."""

    version: int = VERSION


class DataCheckDocument(DataCheck):
    """``check-data --json``."""

    version: int = VERSION


class SensitivityDocument(Sensitivity):
    """``sensitivity --json``; `chosen` is the set that keeps the budget: output of a layer to the label of its form."""

    version: int = VERSION
    chosen: dict[str, str] = {}


class PluginRowDocument(Frozen):
    """A plugin as listed."""

    id: str
    title: str
    origin: Literal["bundled", "user", "installed"]
    folder: Path
    usable: bool
    reason: str
    remedy: str
    offers: dict[str, tuple[str, ...]]


class PluginsDocument(Document):
    """``plugins --json``."""

    plugins: tuple[PluginRowDocument, ...]


class CacheDocument(Document):
    """``cache --json``: the step cache, after what was removed."""

    folder: Path
    bytes: int
    results: int
    limit_bytes: int
    freed_bytes: int


def device_table(device: Device) -> dict[str, Any]:
    """Give a device with its ``spec``."""
    return {"spec": device.spec, **device.model_dump(mode="json")}

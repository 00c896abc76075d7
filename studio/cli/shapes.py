"""What ``--json`` prints: typed and versioned. A field is never renamed or removed within one version."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from studio.analysis.automatic import AutoResult
from studio.analysis.calibrate import Uncalibrated
from studio.core.datacheck.findings import DataCheck
from studio.core.device import Device, UnavailableDevice
from studio.core.disagreement import Disagreements
from studio.core.environment import Environment
from studio.core.frozen import Frozen
from studio.core.layererrors import LayerErrors
from studio.core.machine.profile import MachineProfile
from studio.core.machine.record import RecordSummary
from studio.core.machine.sweeping import SweepPoint
from studio.core.memoryplan import MemoryPlan
from studio.core.modelinfo import ModelInfo
from studio.core.params import ParamSpec
from studio.core.passes import Survey
from studio.core.sensitivity import Sensitivity
from studio.core.verification import Verification
from studio.report.shapes import (
    VERSION,
    BenchDocument,
    BenchModel,
    BenchPair,
    Document,
    EvaluationRow,
    FailureRow,
    ModelFile,
    StepRow,
)


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

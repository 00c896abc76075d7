"""Cold starts of a model: in fresh processes, several rounds, plain and with what the engine kept."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from studio.benchmark import BenchOptions
from studio.core.errors import BurnishError
from studio.core.frozen import Frozen
from studio.core.memoryplan import MemoryPlan
from studio.jobs.tasks.cold import ColdRun, ColdStart
from studio.jobs.tasks.subject import Subject
from studio.workbench import Watch, Workbench


class Spread(Frozen):
    """A figure over several rounds: median, least and most."""

    median: float
    least: float
    most: float


class StartFigures(Frozen):
    """What starts took, in milliseconds, over `rounds` fresh processes.

    `load` holds all stages; `total` goes from an empty process to the first result.
    """

    rounds: int
    engine_import: Spread
    load: Spread
    stages: dict[str, Spread]
    first: Spread
    steady: Spread
    total: Spread


class ColdReport(Frozen):
    """Cold start and memory of one model on one device.

    Attributes
    ----------
    cached
        Starts that use what an earlier load left; None where the runtime keeps nothing.
    filling
        The one start that left it.
    cache_bytes
        What it left on disk.
    loaded_bytes, peak_bytes
        Resident memory that loading added, and that loading and running added at most.
    weight_bytes
        Weights as the model's file holds them.
    activation_bytes
        The planned arena: what activations need at least when memory is shared; None when shapes are unknown.
    faults, major_faults
        Pages touched first, and those read from the disk.
    joules
        Energy of one inference; None where it is not readable here.
    """

    model_name: str
    model_sha256: str
    device: str
    plain: StartFigures
    cached: StartFigures | None
    filling: StartFigures | None
    cache_bytes: int
    loaded_bytes: Spread
    peak_bytes: Spread
    weight_bytes: int
    activation_bytes: int | None
    faults: Spread | None
    major_faults: Spread | None
    joules: Spread | None
    runs: tuple[ColdRun, ...]
    cached_runs: tuple[ColdRun, ...] = ()
    notes: tuple[str, ...] = ()


def cold_start(
    work: Workbench, subject: Subject, options: BenchOptions, rounds: int = 5, *, watch: Watch | None = None
) -> ColdReport:
    """Start a model `rounds` times in fresh processes without, and as often with, what the engine kept.

    Plain and cached starts take turns. The file cache of the system stays as it is: warm.

    Raises
    ------
    BurnishError
        When it cannot be loaded or run.
    """
    opened = work.open_model(subject.artifact.path, dims=options.dims, memory=True, watch=watch)
    work.cache.scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="cold-", dir=work.cache.scratch))
    try:
        filling, notes = _filling(work, subject, options, folder, watch)
        plain: list[ColdRun] = []
        cached: list[ColdRun] = []
        for _ in range(rounds):
            plain.append(_start(work, subject, options, None, watch))
            if filling is not None:
                cached.append(_start(work, subject, options, folder, watch))
        kept = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return ColdReport(
        model_name=subject.name,
        model_sha256=subject.artifact.sha256,
        device=subject.device.spec,
        plain=_figures(plain),
        cached=_figures(cached) if cached else None,
        filling=_figures([filling]) if filling is not None else None,
        cache_bytes=kept if filling is not None else 0,
        loaded_bytes=_spread([max(0, run.memory.loaded - run.memory.before) for run in plain]),
        peak_bytes=_spread([run.memory.peak_delta for run in plain]),
        weight_bytes=sum(opened.info.precision_bytes.values()),
        activation_bytes=_arena(opened.memory),
        faults=_known([run.faults for run in plain]),
        major_faults=_known([run.major_faults for run in plain]),
        joules=_known([run.joules for run in plain]),
        runs=tuple(plain),
        cached_runs=tuple(cached),
        notes=notes,
    )


def _filling(
    work: Workbench, subject: Subject, options: BenchOptions, folder: Path, watch: Watch | None
) -> tuple[ColdRun | None, tuple[str, ...]]:
    """Start once so that the engine leaves something; some models it cannot keep."""
    try:
        filling = _start(work, subject, options, folder, watch)
    except BurnishError as error:
        return None, (f"Nothing can be kept for a later start: {error.message}",)
    return (filling, ()) if filling.supported else (None, ("This runtime keeps nothing for a later start.",))


def _start(
    work: Workbench, subject: Subject, options: BenchOptions, cache: Path | None, watch: Watch | None
) -> ColdRun:
    request = ColdStart(
        subject=subject,
        run=options.run,
        batch=options.batch,
        data=options.data,
        dims=options.dims,
        seed=options.seed,
        cache=cache,
    )
    label = f"start {subject.name} on {subject.device.spec}"
    found = work.run_task("cold", request, label, artifact=subject.artifact, exclusive=True, fresh=True, watch=watch)
    return ColdRun.model_validate(found)


def _figures(runs: Sequence[ColdRun]) -> StartFigures:
    stages = dict.fromkeys(stage for run in runs for stage in run.stages_ns)
    return StartFigures(
        rounds=len(runs),
        engine_import=_ms([run.import_ns for run in runs]),
        load=_ms([run.load_ns for run in runs]),
        stages={stage: _ms([run.stages_ns.get(stage, 0) for run in runs]) for stage in stages},
        first=_ms([run.first_ns for run in runs]),
        steady=_ms([run.steady_ns for run in runs]),
        total=_ms([run.total_ns for run in runs]),
    )


def _ms(nanoseconds: Sequence[int]) -> Spread:
    return _spread([value / 1e6 for value in nanoseconds])


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median=statistics.median(values), least=min(values), most=max(values))


def _known(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return _spread(known) if len(known) == len(values) else None


def _arena(plan: MemoryPlan | None) -> int | None:
    return None if plan is None or (plan.unknown and not plan.tensors) else plan.arena_bytes

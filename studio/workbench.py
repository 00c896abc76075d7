"""The work itself, without a document: open, detect, survey, apply, measure, evaluate, export.

Every call blocks until its job in a worker process is done; the window calls them from threads of
its own, the command line directly. A result that was computed before comes from the step cache.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from studio.core.artifact import Artifact
from studio.core.datasets import data_digest
from studio.core.device import Device
from studio.core.environment import fingerprint
from studio.core.errors import BurnishError
from studio.core.evaluation import Evaluation
from studio.core.exporter import ExportResult
from studio.core.frozen import Frozen
from studio.core.machine.profile import MachineProfile
from studio.core.machine.record import prediction_record
from studio.core.machine.store import MachineStore
from studio.core.modelinfo import ModelInfo
from studio.core.params import parse_params
from studio.core.passes import Need, Survey
from studio.core.preprocessing import parse_preprocessing
from studio.core.recipe import Recipe, Step
from studio.core.registry import Registry
from studio.core.resultcache import ResultCache
from studio.core.runner import StepRecord, resolve_recipe
from studio.core.source import described, parse_reading, parse_split
from studio.core.verification import Verification, refusal_text
from studio.jobs.pool import JobPool
from studio.jobs.protocol import JobEvent
from studio.jobs.tasks.apply import ApplyStep
from studio.jobs.tasks.detect import Detected
from studio.jobs.tasks.evaluate import EvaluateModels
from studio.jobs.tasks.export import ExportModel
from studio.jobs.tasks.open_model import OpenedModel, OpenModel
from studio.jobs.tasks.overlap import CountShared
from studio.jobs.tasks.survey import Surveyed, SurveyModel
from studio.jobs.tasks.verify import VerifyModels
from studio.locations import cache_limit

Watch = Callable[[JobEvent], None]
TASKS = "studio.jobs.tasks"
#: what a pass or a runtime may need beside its model: room for copies while converting, and the engines
MEMORY_FACTOR, MEMORY_BASE = 3, 300_000_000


class Data(Frozen):
    """The user's data: what passes calibrate on and what results are verified on."""

    calibration: Path | None = None
    evaluation: Path | None = None
    seed: int = 0


class Said(Frozen):
    """How data is read, as a user says it: ``--preprocess``, ``--read`` and ``--split``."""

    preprocess: str = ""
    read: str = ""
    split: str = ""


class Workbench:
    """Runs jobs on a pool and keeps their models in a blob store.

    Parameters
    ----------
    registry
        The plugins; only their manifests and passes' declarations are used in this process.
    pool
        Where jobs run.
    root
        Folder for models, records and temporary files.
    """

    def __init__(self, registry: Registry, pool: JobPool, root: Path) -> None:
        self.registry = registry
        self.pool = pool
        self.cache = ResultCache(root)
        self.blobs = self.cache.blobs
        self.steps = self.cache.steps
        self.machines = MachineStore(root / "machine")
        self.predictions = prediction_record(root / "predictions.jsonl")
        self._added = False

    def close(self) -> None:
        """Let other processes remove the models that were used here, and bound the cache if it grew."""
        self.cache.leases.release()
        if self._added:
            # What is too large today can be removed another day; the work itself is done.
            with suppress(BurnishError, OSError):
                self.cache.tidy(cache_limit())

    def open_model(
        self, path: Path, *, dims: dict[str, int] | None = None, memory: bool = False, watch: Watch | None = None
    ) -> OpenedModel:
        """Check and summarize a model file; with `memory` also plan that of its activations.

        Raises
        ------
        ModelError
            When it is not a valid model.
        """
        payload = OpenModel(path=path.absolute(), dims=dims or {}, memory=memory)
        return OpenedModel.model_validate(self._run("open_model", payload, f"open {path.name}", watch=watch))

    def summarize(self, artifact: Artifact, *, watch: Watch | None = None) -> ModelInfo:
        """Summarize a model that is known to be valid."""
        return self.open_model(artifact.path, watch=watch).info

    def detect(self, *, watch: Watch | None = None) -> Detected:
        """Detect this machine's devices."""
        return Detected.model_validate(self._run("detect", None, "detect devices", watch=watch))

    def machine(self) -> MachineProfile:
        """Give what `burnish calibrate` measured for this hardware and these versions; without places if nothing."""
        return self.machines.read(fingerprint())

    def survey(
        self,
        artifact: Artifact,
        device: Device | None = None,
        steps: Sequence[Step] = (),
        *,
        earlier: Sequence[Step] = (),
        watch: Watch | None = None,
    ) -> dict[str, Survey]:
        """Survey all passes, or the given steps, on a model."""
        payload = SurveyModel(
            artifact=artifact,
            device=device,
            steps=tuple(steps),
            earlier=tuple(earlier),
            place=self.machine().place(device.spec) if device else None,
        )
        found = self._run("survey", payload, "survey passes", artifact=artifact, watch=watch)
        return Surveyed.model_validate(found).surveys

    def resolve(self, recipe: Recipe) -> Recipe:
        """Validate a recipe and fill in every default.

        Raises
        ------
        UsageError
            For an unknown pass or parameter, or an order that a pass refuses.
        """
        return resolve_recipe(recipe, self.registry.get_pass)

    def resolve_one(self, step: Step) -> Step:
        """Validate one step that stands alone and fill in every default.

        Raises
        ------
        UsageError
            For an unknown pass or parameter.
        """
        return resolve_recipe(Recipe(steps=(step,)), self.registry.get_pass).steps[0]

    def apply(
        self, artifact: Artifact, step: Step, data: Data, device: Device | None = None, *, watch: Watch | None = None
    ) -> StepRecord:
        """Apply one resolved step and verify the result; at once when it is in the step cache.

        Raises
        ------
        PassError
            When the pass or its verification fails; the source is unchanged.
        """
        key = self._data_key(step, data, device)
        known = self.known(artifact, step, data, device)
        if known is not None:
            return known
        with self._scratch() as folder:
            payload = ApplyStep(
                artifact=artifact,
                step=step,
                folder=folder,
                device=device,
                calibration=data.calibration,
                evaluation=data.evaluation,
                seed=data.seed,
                memo=self.cache.memo.folder,
            )
            label = f"{step.pass_id} on {artifact.path.name}"
            record = StepRecord.model_validate(
                self._run("apply", payload, label, step=step.pass_id, artifact=artifact, watch=watch)
            )
            if record.unchanged:
                return record
            self.cache.leases.hold(record.artifact.sha256)
            self._added = True
            kept = self.blobs.put(record.artifact, move=True)
        record = record.model_copy(update={"artifact": kept})
        self.steps.put(artifact.sha256, step.digest(), key, record)
        return record

    def known(self, artifact: Artifact, step: Step, data: Data, device: Device | None = None) -> StepRecord | None:
        """Give what a resolved step made of a model, if it was computed before; None if not."""
        known = self.steps.get(artifact.sha256, step.digest(), self._data_key(step, data, device))
        if known is not None:
            self.cache.leases.hold(known.artifact.sha256)
        return known

    def verify(
        self, source: Artifact, result: Artifact, data: Data, device: str, *, watch: Watch | None = None
    ) -> Verification:
        """Compare a result with a source that is several steps away."""
        payload = VerifyModels(
            source=source, result=result, device=device, data=data.evaluation or data.calibration, seed=data.seed + 1
        )
        found = self._run("verify", payload, "verify the result", artifact=source, watch=watch)
        return Verification.model_validate(found)

    def refusal(self, model: str, device: str) -> str:
        """Say why a device must not run a model that steps made here; empty when it may, or nothing is known.

        A step that refused a device speaks for those after it too: they compared themselves with its result.
        """
        seen: set[str] = set()
        while model not in seen:
            seen.add(model)
            record = self.steps.making(model)
            if record is None:
                return ""
            found = refusal_text(record.verification, record.step.pass_id, device)
            if found:
                return found
            model = record.source_sha256
        return ""

    def described(self, path: Path | str | None, said: Said, part: str) -> Path | None:
        """Give a path that stands for data read as is said; of a split, the part of that name or all of it.

        Raises
        ------
        UsageError
            When what is said cannot be understood.
        DataError
            When the path is a description that is not valid.
        """
        preprocess = parse_preprocessing(said.preprocess) if said.preprocess else None
        reading, parts = parse_reading(said.read), parse_split(said.split)
        if reading.tokenizer is not None:
            reading = reading.model_copy(update={"tokenizer": reading.tokenizer.absolute()})
        if not path:
            return None
        folder = self.cache.root / "data"
        return described(Path(path).absolute(), folder, preprocess=preprocess, reading=reading, part=parts.get(part))

    def overlap(self, artifact: Artifact, data: Data, *, watch: Watch | None = None) -> int:
        """Count the evaluation samples that are calibration samples too; 0 when one of the two is not given."""
        if data.calibration is None or data.evaluation is None:
            return 0
        request = CountShared(artifact=artifact, calibration=data.calibration, evaluation=data.evaluation)
        found = self._run("overlap", request, "compare calibration and evaluation data", watch=watch)
        return int(found["shared"])

    def evaluate(self, request: EvaluateModels, *, watch: Watch | None = None) -> tuple[Evaluation, ...]:
        """Evaluate models on a dataset; the first is the baseline of the others."""
        found = self._run(
            "evaluate",
            request,
            "evaluate",
            step="evaluate",
            artifact=request.models[0].artifact,
            partial=True,
            watch=watch,
        )
        return tuple(Evaluation.model_validate(item) for item in found["evaluations"])

    def export(self, request: ExportModel, *, watch: Watch | None = None) -> ExportResult:
        """Export a model as a bundle.

        Raises
        ------
        StoreError
            When the target cannot be written.
        """
        label = f"export {request.target.name}"
        found = self._run("export", request, label, step=request.exporter, artifact=request.artifact, watch=watch)
        return ExportResult.model_validate(found)

    def run_task(
        self,
        task: str,
        payload: Frozen | None,
        label: str,
        *,
        step: str = "",
        artifact: Artifact | None = None,
        exclusive: bool = False,
        fresh: bool = False,
        partial: bool = False,
        watch: Watch | None = None,
    ) -> dict[str, Any]:
        """Run ``studio.jobs.tasks.<task>:run`` and wait; Ctrl-C while waiting cancels it.

        Parameters
        ----------
        exclusive
            Whether no other job may run at the same time.
        fresh
            Whether it needs a process that ran nothing before.
        partial
            Whether what it did until it was stopped is worth having.
        """
        job = self.pool.submit(
            f"{TASKS}.{task}:run",
            payload.model_dump(mode="json") if payload is not None else {},
            label=label,
            step=step or label,
            exclusive=exclusive,
            fresh=fresh,
            partial=partial,
            memory_bytes=MEMORY_FACTOR * artifact.bytes + MEMORY_BASE if artifact else 0,
            on_event=watch,
        )
        try:
            return job.result()
        except BaseException:
            job.cancel()
            # What it was writing can be removed only when it writes no more; it is made to end within the grace.
            job.wait()
            raise

    _run = run_task

    def _data_key(self, step: Step, data: Data, device: Device | None) -> str:
        """Name what a step's result depends on besides model and step."""
        the_pass = self.registry.get_pass(step.pass_id)
        params = parse_params(the_pass.Params, step.params, owner=the_pass.id)
        needs = Need.CALIBRATION in the_pass.needs_for(params)
        parts = [f"device={device.spec if device else ''}", f"seed={data.seed}"]
        if needs:
            parts.append(f"calibration={data_digest(data.calibration)}")
        parts.append(f"evaluation={data_digest(data.evaluation or data.calibration)}")
        return " ".join(parts)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Give an empty folder on the blobs' file system, so that results are moved, not copied."""
        folder = self.cache.scratch / uuid.uuid4().hex
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

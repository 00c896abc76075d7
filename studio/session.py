"""`Session`: one open project, its history and its work. The window and the command line are its two faces."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from studio.analysis.calibrate import THREADS, Calibration, calibrate
from studio.analysis.expected import measure_expected
from studio.analysis.sweep import OnPoint, SweepOptions, SweepResult, sweep
from studio.benchmark import BenchOptions, BenchResult
from studio.core.artifact import Artifact
from studio.core.continuation import continued
from studio.core.device import Device, find_device
from studio.core.errors import BurnishError, StoreError, UsageError
from studio.core.evaluation import Evaluation
from studio.core.exporter import ExportResult
from studio.core.frozen import digest
from studio.core.history import History
from studio.core.measurement import Measurement
from studio.core.modelinfo import ModelInfo
from studio.core.passes import Survey
from studio.core.project import BASELINE, FailedStep, Project, Variant, add_failure, add_variant, dismiss_failure
from studio.core.provenance import compose
from studio.core.recipe import Recipe, Step
from studio.core.recovery import Kept, Left
from studio.core.runner import StepRecord
from studio.core.runtime import RunOptions
from studio.core.store import ProjectStore
from studio.core.verification import refusal_text
from studio.jobs.tasks.detect import Detected
from studio.jobs.tasks.evaluate import EvaluateModels
from studio.jobs.tasks.export import ExportModel
from studio.jobs.tasks.subject import Subject
from studio.workbench import Data, Said, Watch, Workbench

Topic = Literal["project", "variants", "measurements", "evaluations", "devices", "surveys"]
Edit = Callable[[Project], Project]


@dataclass(frozen=True)
class Applied:
    """What applying a recipe gave: the variant at its end, the record of each step, and how many were known before."""

    variant: Variant
    records: tuple[StepRecord, ...]
    reused: int = 0


class Session:
    """An open project.

    All methods may be called from any thread; those that run jobs block until they are done.

    Parameters
    ----------
    work
        The workbench that jobs run on.
    on_change
        The one callback: told what changed, on the thread that changed it.
    """

    def __init__(self, work: Workbench, on_change: Callable[[Topic], None] | None = None) -> None:
        self.work = work
        self.detected: Detected | None = None
        self.info: ModelInfo | None = None
        self.surveys: dict[str, Survey] = {}
        self._on_change = on_change or _ignore
        self._lock = threading.RLock()
        self._history: History | None = None
        self._store: ProjectStore | None = None
        self._loose: dict[str, Artifact] = {}
        self._measurements: list[Measurement] = []
        self._evaluations: list[Evaluation] = []

    def listen(self, on_change: Callable[[Topic], None]) -> None:
        """Replace the one callback."""
        self._on_change = on_change

    # the document

    @property
    def project(self) -> Project:
        """The document as it stands.

        Raises
        ------
        UsageError
            When no model is open.
        """
        if self._history is None:
            raise UsageError("No model is open.", "Open a model or a project first.")
        return self._history.present

    @property
    def is_open(self) -> bool:
        """Whether a model or project is open."""
        return self._history is not None

    @property
    def history(self) -> History | None:
        """The snapshots behind undo and redo."""
        return self._history

    @property
    def folder(self) -> Path | None:
        """The project's folder; None until it is saved."""
        return self._store.folder if self._store else None

    @property
    def read_only(self) -> bool:
        """Whether another process has the project open."""
        return self._store is not None and self._store.read_only

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """All measurements, oldest first."""
        return tuple(self._measurements)

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """All evaluations, oldest first."""
        return tuple(self._evaluations)

    def edit(self, label: str, change: Edit, topic: Topic = "project") -> Project:
        """Replace the document by what `change` makes of it; undoable, saved when the project has a folder."""
        with self._lock:
            changed = change(self.project)
            if changed == self.project:
                return changed
            assert self._history is not None
            self._history = self._history.push(changed, label)
            self._save()
        self._on_change(topic)
        return changed

    def undo(self) -> None:
        """Go back one edit; nothing happens at the beginning."""
        self._step_history("undo")

    def redo(self) -> None:
        """Go forward one edit; nothing happens at the end."""
        self._step_history("redo")

    def artifact(self, variant: str = BASELINE) -> Artifact:
        """Give the model file of a variant.

        Raises
        ------
        StoreError
            When it is missing from the project's blobs.
        """
        sha = self.project.variant(variant).model
        if sha in self._loose:
            return self._loose[sha]
        return (self._store or self.work).blobs.get(sha)

    # opening and saving

    def open_model(self, path: Path, *, watch: Watch | None = None) -> ModelInfo:
        """Open a model as a new, unsaved project; the file stays where it is.

        Raises
        ------
        ModelError
            When it is not a valid model; what was open stays open.
        """
        opened = self.work.open_model(path, watch=watch)
        baseline = Variant(
            id=BASELINE,
            name=BASELINE,
            model=opened.artifact.sha256,
            bytes=opened.artifact.bytes,
            nodes=opened.info.nodes,
        )
        project = Project(
            name=path.stem,
            source_name=path.name,
            source_path=str(opened.artifact.path),
            created_at=now(),
            variants=(baseline,),
        )
        with self._lock:
            self._forget()
            self._history = History.start(project)
            self._loose = {opened.artifact.sha256: opened.artifact}
            self.info = opened.info
        self._on_change("project")
        return opened.info

    def open_project(self, folder: Path, *, watch: Watch | None = None) -> Project:
        """Open a project folder; read-only when another process has it.

        Raises
        ------
        StoreError
            When it is no project or is damaged; what was open stays open.
        """
        store = ProjectStore.open(folder)
        try:
            project = store.load()
            info = self.work.summarize(store.blobs.get(project.baseline.model), watch=watch)
        except BaseException:
            store.close()
            raise
        with self._lock:
            self._forget()
            self._store = store
            self._history = History.start(project)
            self._measurements = list(store.measurements())
            self._evaluations = list(store.evaluations())
            self.info = info
        self._on_change("project")
        return project

    def kept(self) -> Kept:
        """Give what must be written down so that a crash costs nothing.

        Raises
        ------
        UsageError
            When no model is open.
        """
        with self._lock:
            return Kept(at=now(), folder=self.folder, project=self.project, models=tuple(self._loose.values()))

    def restore(self, left: Left, *, watch: Watch | None = None) -> Project:
        """Open what a session left behind that ended unexpectedly.

        Raises
        ------
        BurnishError
            When its model or project is no longer there; what was open stays open.
        """
        if left.kept.folder is not None:
            return self.open_project(left.kept.folder, watch=watch)
        kept = left.kept
        loose = {model.sha256: model for model in kept.models}
        opened = self.work.open_model(Path(kept.project.source_path), watch=watch)
        if opened.artifact.sha256 != kept.project.baseline.model:
            raise StoreError(
                f"{kept.project.source_name} is another model than the one that was open.",
                "Bring the earlier file back, or discard what was kept.",
            )
        measurements, evaluations = list(left.measurements()), list(left.evaluations())
        with self._lock:
            self._forget()
            self._history = History.start(kept.project)
            self._loose = {**loose, opened.artifact.sha256: opened.artifact}
            self._measurements, self._evaluations = measurements, evaluations
            self.info = opened.info
        self._on_change("project")
        return kept.project

    def save_as(self, folder: Path) -> Path:
        """Save into a new project folder and go on in it; models are copied there.

        Raises
        ------
        StoreError
            When it cannot be written; nothing is lost.
        """
        with self._lock:
            project = self.project
            others = [self.artifact(variant.id) for variant in project.variants[1:]]
            store = ProjectStore.create(folder, project, self.artifact(), [*others, *self._undoable()])
            try:
                store.append_measurements(self._measurements)
                store.append_evaluations(self._evaluations)
            except BaseException:
                store.close()
                raise
            if self._store is not None:
                self._store.close()
            self._store = store
            self._loose = {}
        self._on_change("project")
        return store.folder

    def collect(self) -> int:
        """Remove the models from the project's folder that no state of the history names; gives the bytes freed.

        Nothing happens while the project is unsaved or open read-only.

        Raises
        ------
        StoreError
            When a file cannot be removed.
        """
        with self._lock:
            if self._store is None or self._store.read_only or self._history is None:
                return 0
            return self._store.collect(self._history.models)

    def close(self) -> None:
        """Close what is open; an unsaved project is dropped, its models stay in the cache.

        From a project's folder goes what only the undo history could bring back.
        """
        with self._lock:
            if self._history is not None:
                self._history = History.start(self._history.present)
                with suppress(StoreError):
                    self.collect()
            self._forget()
            self._history, self.info = None, None

    # work

    def detect(self, *, watch: Watch | None = None) -> Detected:
        """Detect devices, once; later calls give what was found."""
        if self.detected is None:
            self.detected = self.work.detect(watch=watch)
            self._on_change("devices")
        return self.detected

    def calibrate(
        self,
        devices: Sequence[str] = (),
        *,
        renew: bool = False,
        threads: int | None = THREADS,
        watch: Watch | None = None,
    ) -> Calibration:
        """Measure what devices can do, all of them by default; surveys expect by it from then on."""
        places = [self.device(spec, watch=watch) for spec in devices] or list(self.detect(watch=watch).devices)
        return calibrate(self.work, places, renew=renew, threads=threads, watch=watch)

    def device(self, spec: str = "", *, watch: Watch | None = None) -> Device:
        """Find a device by name; the project's own or the first by default.

        Raises
        ------
        UsageError
            When there is none.
        """
        devices = self.detect(watch=watch).devices
        chosen = spec or (self.project.settings.device if self.is_open else "")
        if chosen:
            return find_device(devices, chosen)
        if not devices:
            raise UsageError("No device works here.", "'burnish plugins' says what is missing.")
        return devices[0]

    def data(self) -> Data:
        """Give the data that the project's settings name."""
        settings = self.project.settings
        said = Said(preprocess=settings.preprocess, read=settings.read, split=settings.split)
        return Data(
            calibration=self.work.described(settings.calibration, said, "calibration"),
            evaluation=self.work.described(settings.evaluation, said, "evaluation"),
        )

    def overlap(self, data: Data | None = None, *, watch: Watch | None = None) -> int:
        """Count the evaluation samples that are calibration samples too."""
        return self.work.overlap(self.artifact(), data or self.data(), watch=watch)

    def survey(self, variant: str = BASELINE, device: str = "", *, watch: Watch | None = None) -> dict[str, Survey]:
        """Survey every pass on a variant for a device."""
        earlier = self.project.recipe_of(variant).steps
        target = self.device(device, watch=watch)
        self.surveys = self.work.survey(self.artifact(variant), target, earlier=earlier, watch=watch)
        self._on_change("surveys")
        return self.surveys

    def apply(
        self,
        recipe: Recipe,
        *,
        parent: str = BASELINE,
        name: str = "",
        device: str = "",
        data: Data | None = None,
        watch: Watch | None = None,
    ) -> Applied:
        """Apply a recipe's active steps to a variant; each step becomes a variant.

        Steps that were computed before cost nothing. When a step fails, those before it stay, and the step
        becomes a row of the project that says why.

        Raises
        ------
        UsageError
            When there are no steps, or the recipe is not valid.
        PassError
            When a step fails.
        """
        base = self.project.recipe_of(parent).steps
        whole = self.work.resolve(Recipe(steps=(*base, *recipe.active)))
        steps = whole.steps[len(base) :]
        if not steps:
            raise UsageError("The recipe has no steps that are switched on.", "Switch a pass on.")
        target = self.device(device, watch=watch) if device or self.project.settings.device else None
        records: list[StepRecord] = []
        variant, chosen, reused = self.project.variant(parent), data or self.data(), 0
        for at, step in enumerate(steps):
            source = self.artifact(variant.id)
            known = self.work.known(source, step, chosen, target)
            reused += known is not None
            try:
                record = known or self.work.apply(source, step, chosen, target, watch=watch)
            except BurnishError as error:
                self._note_failure(variant, steps[at:], error)
                raise
            records.append(record)
            if not record.unchanged:
                variant = self._add(variant, record)
        if name and records and variant.id != parent:
            variant = self._rename(variant, name)
        return Applied(variant, tuple(records), reused)

    def measure(
        self,
        variants: Sequence[str],
        options: BenchOptions,
        devices: Sequence[str] = (),
        *,
        extend: bool = False,
        watch: Watch | None = None,
    ) -> BenchResult:
        """Measure variants on devices, each in pairs with the baseline on the first device.

        Parameters
        ----------
        extend
            Take more pairs of what was measured before: the measurements continue the earlier ones.
        """
        places = [self.device(spec, watch=watch) for spec in devices or ("",)]
        names = [self.project.variant(variant).name for variant in variants]
        subjects = [
            Subject(name=name, artifact=self.artifact(name), device=place, refused=self.refusal(name, place.spec))
            for place in places
            for name in names
        ]
        if extend:
            # Another order than before: the same would repeat whatever it favours.
            options = options.model_copy(update={"seed": options.seed + len(self._measurements)})
        result = measure_expected(self.work, subjects, options, watch=watch)
        if extend:
            linked = continued(result.measurements, self.measurements)
            result = result.model_copy(update={"measurements": linked})
        self.record(result.measurements)
        return result

    def sweep(
        self,
        variant: str,
        options: SweepOptions,
        device: str = "",
        *,
        on_point: OnPoint | None = None,
        watch: Watch | None = None,
    ) -> SweepResult:
        """Search the settings of a variant on a device, see `studio.analysis.sweep.sweep`."""
        name = self.project.variant(variant).name
        subject = Subject(name=name, artifact=self.artifact(variant), device=self.device(device, watch=watch))
        return sweep(self.work, subject, options, on_point=on_point, watch=watch)

    def honours(self, device: Device) -> frozenset[str]:
        """Name the options that the runtime of a device has there; all where it does not say."""
        return frozenset(self.detect().honours.get(device.spec, tuple(RunOptions.model_fields)))

    def refusal(self, variant: str, device: str) -> str:
        """Say why a device must not run a variant, as its steps found; empty when it may, or nothing is known."""
        at: str | None = variant
        while at is not None:
            one = self.project.variant(at)
            found = refusal_text(one.verification, one.step.pass_id if one.step else "", device)
            if found:
                return found
            at = one.parent
        return ""

    def staleness(self, variant: str) -> str:
        """Say why a variant is not what its recipe would make today, or cannot be used; empty when it is current."""
        for one in self.project.lineage(variant):
            if one.step is None:
                continue
            try:
                the_pass = self.work.registry.get_pass(one.step.pass_id)
                self.artifact(one.id)
            except BurnishError as error:
                return str(error)
            if the_pass.version != one.step.version:
                return f"{the_pass.title} has changed since ({one.name}): apply its recipe again."
        return ""

    def record(self, measurements: Sequence[Measurement]) -> None:
        """Keep measurements with the project."""
        with self._lock:
            self._measurements.extend(measurements)
            if self._store is not None and not self._store.read_only:
                self._store.append_measurements(measurements)
        self._on_change("measurements")

    def evaluate(
        self,
        variants: Sequence[str],
        metrics: Sequence[str] = (),
        data: Path | None = None,
        device: str = "",
        *,
        watch: Watch | None = None,
    ) -> tuple[Evaluation, ...]:
        """Evaluate variants on the evaluation data; the first is the baseline of the others."""
        place = self.device(device, watch=watch)
        models = tuple(
            Subject(name=self.project.variant(item).name, artifact=self.artifact(item), device=place)
            for item in variants
        )
        chosen = data or self.data().evaluation
        request = EvaluateModels(models=models, data=chosen, metrics=tuple(metrics))
        found = self.work.evaluate(request, watch=watch)
        with self._lock:
            self._evaluations.extend(found)
            if self._store is not None and not self._store.read_only:
                self._store.append_evaluations(found)
        self._on_change("evaluations")
        return found

    def export(
        self, variant: str, exporter: str, target: Path, *, device: str = "", watch: Watch | None = None
    ) -> ExportResult:
        """Export a variant with its recipe, measurements and evaluations."""
        project = self.project
        chosen = project.variant(variant)
        data = self.data()
        related = {chosen.model, project.baseline.model}
        request = ExportModel(
            artifact=self.artifact(variant),
            recipe=project.recipe_of(variant),
            source_name=project.source_name,
            source_sha256=project.baseline.model,
            exporter=exporter,
            target=target.absolute(),
            device=self.device(device, watch=watch).spec,
            data=data.evaluation or data.calibration,
            measurements=tuple(item for item in self._measurements if item.model_sha256 in related),
            evaluations=tuple(item for item in self._evaluations if item.model_sha256 == chosen.model),
        )
        return self.work.export(request, watch=watch)

    # inside

    def _undoable(self) -> list[Artifact]:
        """Give the models that only other states of the history name, as far as they are still there."""
        assert self._history is not None
        blobs = (self._store or self.work).blobs
        found = []
        for sha in sorted(self._history.models - {variant.model for variant in self.project.variants}):
            with suppress(StoreError):
                found.append(self._loose.get(sha) or blobs.get(sha))
        return found

    def _forget(self) -> None:
        """Let go of all but the document, which readers on other threads see until the next one is there."""
        if self._store is not None:
            self._store.close()
        self._store = None
        self._loose, self._measurements, self._evaluations, self.surveys = {}, [], [], {}

    def _add(self, parent: Variant, record: StepRecord) -> Variant:
        variant = _variant(self.project, parent, record)
        self._keep(record.artifact)
        failure = _failure_id(parent, record.step)
        self.edit(
            f"apply {record.step.pass_id}",
            lambda project: dismiss_failure(add_variant(project, variant), failure),
            "variants",
        )
        return self.project.variant(variant.id)

    def _note_failure(self, parent: Variant, steps: Sequence[Step], error: BurnishError) -> None:
        """Keep a step that failed as a row with its reason."""
        step = steps[0]
        failure = FailedStep(
            id=_failure_id(parent, step),
            parent=parent.id,
            name=step.pass_id.partition(".")[2] or step.pass_id,
            step=step,
            rest=tuple(steps[1:]),
            message=error.message,
            hint=error.hint,
            at=now(),
        )
        self.edit(f"keep why {step.pass_id} failed", lambda project: add_failure(project, failure), "variants")

    def _keep(self, artifact: Artifact) -> None:
        """Bring a model of the shared cache into the project's own folder."""
        if self._store is not None and not self._store.read_only:
            self._store.blobs.put(artifact)
        else:
            self._loose[artifact.sha256] = artifact

    def _rename(self, variant: Variant, name: str) -> Variant:
        taken = {other.name for other in self.project.variants if other.id != variant.id}
        named = variant.model_copy(update={"name": _free(name, taken)})
        self.edit(f"name {named.name}", lambda project: add_variant(project, named), "variants")
        return named

    def _save(self) -> None:
        if self._store is not None and not self._store.read_only and self._history is not None:
            self._store.save(self._history.present)

    def _step_history(self, direction: Literal["undo", "redo"]) -> None:
        with self._lock:
            if self._history is None:
                return
            self._history = self._history.undo() if direction == "undo" else self._history.redo()
            self._save()
        self._on_change("variants")


def _ignore(topic: Topic) -> None:
    """Drop a change that nobody listens to."""


def now() -> str:
    """Give the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _variant(project: Project, parent: Variant, record: StepRecord) -> Variant:
    """Make the variant for a step's record; the same parent and step give the same id, name, notes and colour."""
    made = "v" + digest([parent.id, record.step.digest(), record.artifact.sha256])[:12]
    known = next((child for child in project.children(parent.id) if _is_made_by(child, record)), None)
    short = record.step.pass_id.partition(".")[2] or record.step.pass_id
    taken = {variant.name for variant in project.variants}
    base = short if parent.id == BASELINE else f"{parent.name} + {short}"
    provenance = compose(parent.provenance, record.provenance) if parent.provenance else record.provenance
    return Variant(
        id=known.id if known else made,
        name=known.name if known else _free(base, taken),
        notes=known.notes if known else "",
        color=known.color if known else None,
        parent=parent.id,
        step=record.step,
        model=record.artifact.sha256,
        bytes=record.artifact.bytes,
        nodes=record.nodes,
        provenance=provenance,
        changes=record.changes,
        warnings=record.warnings,
        verification=record.verification,
        seconds=record.seconds,
    )


def _is_made_by(variant: Variant, record: StepRecord) -> bool:
    same = variant.step is not None and variant.step.digest() == record.step.digest()
    return same and variant.model == record.artifact.sha256 and not variant.copy_of


def _failure_id(parent: Variant, step: Step) -> str:
    """Name the failure of a step on a variant."""
    return "f" + digest([parent.id, step.digest()])[:12]


def _free(name: str, taken: set[str]) -> str:
    """Give the name, with a number behind it when it is taken."""
    if name not in taken:
        return name
    return next(text for number in range(2, len(taken) + 3) if (text := f"{name} {number}") not in taken)

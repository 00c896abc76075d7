"""Sensitivity of a model's layers: error and time of each in other forms, for choosing which to change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from studio.core.artifact import Artifact
from studio.core.atomic import explained
from studio.core.datasets import data_digest
from studio.core.device import Device
from studio.core.errors import BurnishError, UsageError, nearest
from studio.core.frozen import Frozen, digest
from studio.core.recipe import Step
from studio.core.registry import Registry
from studio.core.runner import resolve_step
from studio.core.runtime import ExecutedNode, RunOptions
from studio.core.scope import Scope
from studio.core.sensing import layer_times
from studio.core.sensitivity import LayerOption, Sensitivity
from studio.jobs.protocol import JobEvent, Samples
from studio.jobs.tasks.profile import Profiled, ProfileModel
from studio.jobs.tasks.sensitivity import SCHEMA, FormedVariant, SensedLayers, SenseLayers
from studio.jobs.tasks.subject import Subject
from studio.workbench import Data, Watch, Workbench

#: told of each option as it becomes known
Listener = Callable[[LayerOption], None]


class SenseOptions(Frozen):
    """How to find out.

    Attributes
    ----------
    choices
        Label of each form to its step; the passes' own trials of another precision when empty.
    seconds
        Time for measuring after the estimate; None for as long as it takes, 0 for the estimate alone.
    times
        Whether to measure the time of layers.
    """

    choices: dict[str, Step] = {}
    samples: int = 32
    scope: Scope = Scope()
    seed: int = 0
    seconds: float | None = None
    times: bool = True
    run: RunOptions = RunOptions()


def known_choices(registry: Registry) -> dict[str, Step]:
    """Give the forms that passes name as worth trying on single layers, by their label."""
    found: dict[str, Step] = {}
    for name in registry.ids("pass"):
        try:
            the_pass = registry.get_pass(name)
        except BurnishError:
            continue
        for label, params in the_pass.trials.items():
            found[label] = resolve_step(the_pass, Step(pass_id=name, params=dict(params)))
    return found


def pick_choices(registry: Registry, labels: Sequence[str] = ()) -> dict[str, Step]:
    """Choose forms by their labels; without any all of another precision.

    Raises
    ------
    UsageError
        For an unknown label.
    """
    known = known_choices(registry)
    for label in labels:
        if label not in known:
            raise UsageError(f"There is no form {label!r} to try on layers.", nearest(label, known))
    if labels:
        return {label: known[label] for label in labels}
    return {label: step for label, step in known.items() if registry.get_pass(step.pass_id).family == "precision"}


def sensitivity(
    work: Workbench,
    artifact: Artifact,
    device: Device,
    data: Path | None,
    options: SenseOptions,
    *,
    name: str = "",
    on_option: Listener | None = None,
    watch: Watch | None = None,
) -> Sensitivity:
    """Find out what each layer costs and brings in other forms.

    The whole model is brought into each form once (instant when that was done before); then layer by
    layer that form's piece is put into the source. What is measured is kept in the cache at once, so
    that stopping loses nothing and a second call goes on where the first ended.

    Parameters
    ----------
    data
        Calibration data and samples to measure on; generated when None.
    on_option
        Called from another thread with every option when it is estimated and again when it is measured.

    Raises
    ------
    BurnishError
        When no form can be made of the model.
    """
    choices = options.choices or pick_choices(work.registry)
    made, refused = _variants(work, artifact, device, data, choices, options.seed, watch)
    if not made:
        reasons = "; ".join(f"{label}: {why}" for label, why in refused.items())
        raise UsageError(f"No form can be made of this model. {reasons}"[:600], "Give other forms with --choice.")
    sensed = _sense(work, artifact, device, data, made, options, _forward(on_option, watch))
    times, total = _times(work, artifact, device, data, made, sensed, options, watch) if options.times else ({}, None)
    runtime = device.runtime
    return Sensitivity(
        model_sha256=artifact.sha256,
        model_name=name or artifact.path.name,
        device=device.spec,
        runtime_version=work.registry.get_runtime(runtime).version() if runtime else "",
        dataset=sensed.dataset,
        dataset_digest=sensed.dataset_digest,
        synthetic=sensed.synthetic,
        choices={label: _step_text(choices[label]) for label in choices},
        options=tuple(
            option.model_copy(update={"milliseconds": times.get(option.choice, {}).get(option.output)})
            for option in sensed.options
        ),
        milliseconds=total,
        refused={**sensed.refused, **{label: {why: ()} for label, why in refused.items()}},
        complete=sensed.complete,
        warnings=sensed.warnings,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _variants(
    work: Workbench,
    artifact: Artifact,
    device: Device,
    data: Path | None,
    choices: Mapping[str, Step],
    seed: int,
    watch: Watch | None,
) -> tuple[list[FormedVariant], dict[str, str]]:
    """Bring the whole model into each form; gives those that worked, and why others did not."""
    made, refused = [], {}
    for label, step in choices.items():
        try:
            record = work.apply(artifact, step, Data(calibration=data, seed=seed), device, watch=watch)
        except BurnishError as error:
            refused[label] = error.message
            continue
        if record.unchanged:
            refused[label] = next(iter(record.warnings), "It changes nothing.")
        else:
            made.append(FormedVariant(label=label, artifact=record.artifact))
    return made, refused


def _sense(
    work: Workbench,
    artifact: Artifact,
    device: Device,
    data: Path | None,
    made: Sequence[FormedVariant],
    options: SenseOptions,
    watch: Watch | None,
) -> SensedLayers:
    request = SenseLayers(
        artifact=artifact,
        variants=tuple(made),
        device=device,
        data=data,
        samples=options.samples,
        scope=options.scope,
        seed=options.seed,
        seconds=options.seconds,
        records=_records(work, artifact, device, data, options),
    )
    label = f"sensitivity of {artifact.path.name}"
    found = work.run_task(
        "sensitivity", request, label, step="sensitivity", artifact=artifact, partial=True, watch=watch
    )
    return SensedLayers.model_validate(found)


def _records(
    work: Workbench,
    artifact: Artifact,
    device: Device,
    data: Path | None,
    options: SenseOptions,
) -> Path:
    """Name the file that holds what was measured of this model on this data."""
    version = work.registry.get_runtime(device.runtime).version() if device.runtime else ""
    key: list[Any] = [SCHEMA, artifact.sha256, device.spec, version, data_digest(data), options.samples, options.seed]
    folder = work.cache.root / "cache" / "sensitivity"
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{digest(key)}.jsonl"


def _times(
    work: Workbench,
    artifact: Artifact,
    device: Device,
    data: Path | None,
    made: Sequence[FormedVariant],
    sensed: SensedLayers,
    options: SenseOptions,
    watch: Watch | None,
) -> tuple[dict[str, dict[str, float]], float | None]:
    """Give, form by form, the milliseconds that each layer saves; and those of the whole source."""

    def executed(item: Artifact, label: str) -> tuple[ExecutedNode, ...]:
        subject = Subject(name=label, artifact=item, device=device)
        request = ProfileModel(subject=subject, run=options.run, data=data, seed=options.seed)
        try:
            found = work.run_task(
                "profile", request, f"time of layers: {label}", artifact=item, exclusive=True, watch=watch
            )
        except BurnishError:
            return ()
        return Profiled.model_validate(found).nodes

    before = executed(artifact, artifact.path.name)
    times = {}
    for item in made:
        after = executed(item.artifact, item.label)
        times[item.label] = layer_times(before, after, sensed.before[item.label], sensed.after[item.label])
    total = sum(node.nanoseconds for node in before) / 1e6
    return times, total or None


def _forward(on_option: Listener | None, watch: Watch | None) -> Watch:
    def listen(event: JobEvent) -> None:
        if on_option is not None and isinstance(event, Samples) and event.series == "sensitivity":
            on_option(LayerOption.model_validate(event.info))
        if watch is not None:
            watch(event)

    return listen


def _step_text(step: Step) -> str:
    params = ",".join(f"{key}={value}" for key, value in sorted(step.params.items()))
    return f"{step.pass_id}:{params}" if params else step.pass_id

"""Why one model is slower than another: paired clean timing, a profile of each, and the causes."""

from __future__ import annotations

from studio.analysis.profile import profile_layers, with_clean
from studio.analysis.remedies import with_remedies
from studio.benchmark import BenchOptions
from studio.core.device import Device
from studio.core.diagnosis.causes import Side, find_causes
from studio.core.diagnosis.difference import gap
from studio.core.diagnosis.explanation import Explanation
from studio.core.diagnosis.roofline import Rates
from studio.core.profile import Profile
from studio.core.runtime import RunOptions
from studio.core.statistics import compare
from studio.jobs.tasks.measure import MeasuredPair, MeasurePair
from studio.jobs.tasks.subject import Subject
from studio.workbench import Watch, Workbench


def explain(
    work: Workbench,
    baseline: Subject,
    variant: Subject,
    options: BenchOptions,
    *,
    variant_run: RunOptions | None = None,
    rates: Rates | None = None,
    watch: Watch | None = None,
) -> Explanation:
    """Say why a variant is slower or faster than a baseline.

    The two may be two models, or one on two devices, or one with two numbers of threads.

    Parameters
    ----------
    variant_run
        How the variant is loaded; as the baseline where None.
    rates
        What the machine can do; without it no layer is called memory-bound.

    Raises
    ------
    BurnishError
        When one of them cannot be loaded or run, or takes other inputs.
    """
    request = MeasurePair(
        baseline=baseline,
        variant=variant,
        run=options.run,
        variant_run=variant_run,
        batch=options.batch,
        data=options.data,
        dims=options.dims,
        seconds=options.seconds,
        seed=options.seed,
    )
    label = f"measure {variant.name} beside {baseline.name}"
    found = work.run_task(
        "measure", request, label, artifact=baseline.artifact, exclusive=True, fresh=True, watch=watch
    )
    first, second = MeasuredPair.model_validate(found).made
    other = options.model_copy(update={"run": variant_run or options.run})
    sides = (
        _side(baseline.device, with_clean(profile_layers(work, baseline, options, watch=watch), first)),
        _side(
            variant.device,
            with_clean(profile_layers(work, variant, other, source=baseline.artifact, watch=watch), second),
        ),
    )
    difference = gap(first.samples_ns, second.samples_ns, options.seed)
    causes = with_remedies(find_causes(*sides, rates), *sides)
    return Explanation(
        baseline=sides[0].profile,
        variant=sides[1].profile,
        difference=difference,
        ratio=compare(first.samples_ns, second.samples_ns, options.seed),
        causes=causes,
        remainder_ms=difference.milliseconds - sum(cause.milliseconds for cause in causes),
        notes=tuple(_notes(sides)),
    )


def _side(device: Device, profile: Profile) -> Side:
    return Side(profile, device.cores if device.kind == "cpu" else None)


def _notes(sides: tuple[Side, Side]) -> list[str]:
    notes = []
    for side in sides:
        name = f"{side.profile.model_name} on {side.profile.device}"
        if not side.profile.layers:
            notes.append(f"{name}: this runtime counts no layers, so nothing can be explained.")
        if side.oversubscribed:
            notes.append(f"{name} has {side.threads} threads on {side.cores} cores; use {side.cores} at most.")
        if side.profile.counter_factor > 1.25:
            notes.append(
                f"{name}: counting made the layers {side.profile.counter_factor:.2f} times as slow as the clean run; "
                "small layers look larger than they are."
            )
        notes.extend(f"{name}: {text}" for text in (*side.profile.warnings, *side.profile.noise))
    return list(dict.fromkeys(notes))

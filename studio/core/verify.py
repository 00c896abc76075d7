"""Verification: a pass's result against its source, on the same inputs, on the device that will run it."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from studio.core.adapted import adapting
from studio.core.artifact import Artifact
from studio.core.batching import feeds_for, fixed_batch
from studio.core.comparison import GARBAGE_SQNR_DB, OutputDifference
from studio.core.dataset import Batch, Dataset
from studio.core.device import Device
from studio.core.errors import RuntimeLoadError, StoreError, VerificationError
from studio.core.interface import changes_of, new_changes
from studio.core.memory_usage import give_back
from studio.core.modelfile import read_light_proto, write_beside
from studio.core.modelinfo import model_inputs
from studio.core.pairing import BATCH, Pairing
from studio.core.place import Place
from studio.core.report import Reporter, SilentReporter
from studio.core.runtime import LoadedModel, RunOptions
from studio.core.verification import PlaceCheck, Verification

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Samples to compare on: enough that a share of changed classes means something, little enough to stay cheap.
SAMPLES = 64
#: Verification stops taking further batches after this long.
SECONDS = 20.0
#: Bytes of source and result above which they are loaded one after the other: a loaded model takes up to
#: 1.3 times its bytes.
TOGETHER = 200_000_000
#: Bytes of inputs and outputs that are kept meanwhile.
HELD = 100_000_000


@dataclass(frozen=True)
class Check:
    """How to verify.

    Attributes
    ----------
    places
        Where to run, best first: the comparison is made on the first that can load the source; the
        others are only asked whether they can load the result.
    dataset
        The inputs.
    workdir
        For temporary models, when the first diverging node is looked for.
    """

    places: tuple[Place, ...]
    dataset: Dataset
    workdir: Path
    samples: int = SAMPLES
    reporter: Reporter = field(default_factory=SilentReporter)


def verify(source: Artifact, result: Artifact, check: Check, *, exact: bool, everywhere: bool = False) -> Verification:
    """Compare a result with its source.

    Parameters
    ----------
    exact
        Whether the outputs must be the same up to rounding.
    everywhere
        Whether engines may well differ, as they do in 8 bits: it is then run in each place, and may be
        wrong in some; see `studio.core.everywhere`.

    Raises
    ------
    VerificationError
        When the result computes something else: NaN where the source has none, another output shape,
        or for an exact pass an error beyond rounding (with the first diverging node named).
    RuntimeLoadError
        When no runtime loads the source, or the chosen one does not load the result.
    """
    changes = new_changes(source, result)
    if changes:
        check = replace(check, places=adapting(check.places, len(changes_of(source)), changes))
    if everywhere and not exact:
        from studio.core.everywhere import verify_everywhere

        return verify_everywhere(source, result, check)
    with ExitStack() as stack:
        before, after = (_lean(artifact, check, stack) for artifact in (source, result))
        place, difference, notes = _compare(before, after, check)
        others = _elsewhere(before, after, check, place)
        warnings = [*notes, *(f"{other.runtime}: {other.refused}" for other in others if other.refused)]
    diverging = ""
    if difference.new_nan or difference.shape_change or (exact and not difference.within_rounding()):
        diverging = first_diverging(source, result, place, check)
        raise VerificationError(*_failure(difference, diverging, place, exact=exact))
    sqnr = difference.sqnr_db
    if sqnr is not None and sqnr < GARBAGE_SQNR_DB:
        warnings.append(
            f"The outputs have nothing in common with the source's on {place.spec} (SQNR {sqnr:.1f} dB): do not use it."
        )
    return Verification(
        exact=exact,
        identical=difference.identical,
        max_abs_error=difference.max_abs_error if difference.floats else None,
        sqnr_db=finite_db(sqnr),
        cosine=difference.cosine,
        top1_agreement=difference.top1_agreement,
        samples=difference.samples,
        synthetic=check.dataset.synthetic,
        runtime=place.spec,
        warnings=tuple(warnings),
        places=(PlaceCheck(runtime=place.spec, samples=difference.samples), *others),
    )


def finite_db(sqnr: float | None) -> float | None:
    """Give an SQNR as JSON can hold it: no signal at all is -999 dB."""
    return sqnr if sqnr is None or math.isfinite(sqnr) else -999.0


def _lean(artifact: Artifact, check: Check, stack: ExitStack) -> Artifact:
    """Give a large model with its weights in a file beside it, which engines map instead of parsing it into memory.

    The same model where it is small or has them there already, or where there is no room for a copy.
    """
    if 2 * artifact.bytes < TOGETHER or artifact.external:
        return artifact
    try:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=check.workdir, prefix="lean-")))
        return write_beside(artifact, folder)
    except (OSError, StoreError):
        return artifact
    finally:
        give_back()


def _enter_source(stack: ExitStack, source: Artifact, check: Check) -> tuple[Place, LoadedModel]:
    """Load the source on the first place that can."""
    failure: RuntimeLoadError | None = None
    for place in check.places:
        try:
            return place, stack.enter_context(place.runtime.load(source, place.device, RunOptions()))
        except RuntimeLoadError as error:
            failure = failure or error
    raise failure or RuntimeLoadError("No runtime is installed to verify with.", "Run: pip install onnxruntime")


def _compare(source: Artifact, result: Artifact, check: Check) -> tuple[Place, OutputDifference, list[str]]:
    if source.bytes + result.bytes > TOGETHER and _same_interface(source, result):
        return _compare_in_turn(source, result, check)
    difference = OutputDifference()
    with ExitStack() as stack:
        place, before = _enter_source(stack, _reference(source, result, check.workdir), check)
        after = stack.enter_context(place.runtime.load(result, place.device, RunOptions()))
        pairing = Pairing(before, after)
        for batch in batches(pairing.batch, check.dataset.fitted(after.inputs), check):
            for pair in pairing.runs(batch):
                difference.add(pair.source, pair.result, pair.samples)
        notes = [warning for warning in after.warnings if warning not in before.warnings]
    if not difference.samples:
        raise VerificationError("There was no sample to verify with.", "Give a dataset with at least one sample.")
    return place, difference, notes


def _reference(source: Artifact, result: Artifact, workdir: Path) -> Artifact:
    """Give the source, with the tensors as outputs that a result which is a part of it takes and gives."""
    from studio.core.probe import interface_tensors, with_outputs

    inner = interface_tensors(source, result)
    return with_outputs(source, inner, Path(mkdtemp(prefix="whole-", dir=workdir)) / "probe") if inner else source


def _compare_in_turn(source: Artifact, result: Artifact, check: Check) -> tuple[Place, OutputDifference, list[str]]:
    """Compare without ever having both models loaded; the source's outputs are kept, as many as there is room for."""
    with ExitStack() as stack:
        place, before = _enter_source(stack, source, check)
        known = before.warnings
        kept = list(_run_source(before, check))
    give_back()
    difference = OutputDifference()
    with place.runtime.load(result, place.device, RunOptions()) as after:
        for batch, outputs in kept:
            for feed, expected in zip(feeds_for(after.inputs, batch), outputs, strict=True):
                check.reporter.check()
                difference.add(expected, after.run(feed.arrays), feed.samples)
        notes = [warning for warning in after.warnings if warning not in known]
    if not difference.samples:
        raise VerificationError("There was no sample to verify with.", "Give a dataset with at least one sample.")
    give_back()
    return place, difference, notes


def _run_source(model: LoadedModel, check: Check) -> Iterator[tuple[Batch, list[dict[str, NDArray[Any]]]]]:
    """Give batches with what the source makes of them, until they take too much memory."""
    held = 0
    for batch in batches(fixed_batch(model.inputs) or BATCH, check.dataset.fitted(model.inputs), check):
        outputs = [model.run(feed.arrays) for feed in feeds_for(model.inputs, batch)]
        yield batch, outputs
        held += sum(array.nbytes for arrays in (batch.feeds, *outputs) for array in arrays.values())
        if held > HELD:
            return


def _same_interface(source: Artifact, result: Artifact) -> bool:
    """Say whether both take the same arrays and name their outputs alike."""
    before, after = (read_light_proto(artifact.path) for artifact in (source, result))
    taken = [[(info.name, info.shape) for info in model_inputs(proto)] for proto in (before, after)]
    given = [[value.name for value in proto.graph.output] for proto in (before, after)]
    return taken[0] == taken[1] and given[0] == given[1]


def batches(size: int, dataset: Dataset, check: Check) -> Iterator[Batch]:
    """Give batches up to the number of samples, or until the time is up."""
    started = time.monotonic()
    done = 0
    for batch in dataset.batches(size, limit=check.samples):
        check.reporter.check()
        yield batch
        done += batch.samples
        check.reporter.progress(done, check.samples, "verifying")
        if time.monotonic() - started > SECONDS:
            return


def _elsewhere(source: Artifact, result: Artifact, check: Check, used: Place) -> tuple[PlaceCheck, ...]:
    """Ask the other runtimes whether they still load the result; what they never could is no news."""
    found = []
    for place in check.places:
        if place.spec == used.spec:
            continue
        try:
            place.runtime.load(result, place.device, RunOptions()).close()
            found.append(PlaceCheck(runtime=place.spec))
        except RuntimeLoadError as error:
            if _loads(source, place):
                found.append(PlaceCheck(runtime=place.spec, refused=f"it cannot load the result: {error.message}"))
    return tuple(found)


def _loads(artifact: Artifact, place: Place) -> bool:
    try:
        place.runtime.load(artifact, place.device, RunOptions()).close()
    except RuntimeLoadError:
        return False
    return True


def _failure(difference: OutputDifference, diverging: str, place: Place, *, exact: bool) -> tuple[str, str]:
    where = f" The first node that diverges is {diverging!r}." if diverging else ""
    if difference.shape_change:
        what = f"The result is wrong: {difference.shape_change}."
    elif difference.new_nan:
        what = f"The result gives NaN or infinity on {place.spec} where the source does not."
    else:
        sqnr = difference.sqnr_db
        what = (
            f"The result must equal its source but differs by up to {difference.max_abs_error:.3g}"
            f"{f' (SQNR {sqnr:.1f} dB)' if sqnr is not None else ''} on {place.spec}."
        )
    hint = "Exclude that node from the step's scope, or leave the step out; the parent is unchanged."
    if not exact and difference.new_nan:
        hint = "Exclude that node from the step's scope (values may overflow the type there), or leave the step out."
    return what + where, hint


def first_diverging(source: Artifact, result: Artifact, place: Place, check: Check) -> str:
    """Name the first node of the result, in its order, whose output leaves the tolerance.

    Both models are run once more with every tensor that they have in common as a further output.
    Empty when none of these differs or the models cannot be run so.
    """
    from studio.core.probe import common_tensors, interface_tensors, with_outputs

    shared = common_tensors(source, result)
    if not shared:
        return ""
    try:
        probed = [
            with_outputs(artifact, tensors, check.workdir / f"probe-{label}")
            for label, artifact, tensors in (
                ("source", source, [*shared, *interface_tensors(source, result)]),
                ("result", result, list(shared)),
            )
        ]
        with ExitStack() as stack:
            models = [
                stack.enter_context(place.runtime.load(artifact, place.device, RunOptions())) for artifact in probed
            ]
            batch = next(iter(check.dataset.fitted(models[1].inputs).batches(1, limit=1)))
            pair = Pairing(*models).first(batch)
    except RuntimeLoadError:
        return ""
    if pair is None:
        return ""
    return next((node for tensor, node in shared.items() if _differs(tensor, pair.source, pair.result)), "")


def _differs(tensor: str, before: object, after: object) -> bool:
    assert isinstance(before, dict) and isinstance(after, dict)
    if tensor not in before or tensor not in after:
        return False
    difference = OutputDifference()
    difference.add({tensor: before[tensor]}, {tensor: after[tensor]}, 1)
    return not difference.within_rounding()


def order_places(places: Sequence[Place], wanted: Device | None) -> tuple[Place, ...]:
    """Put the wanted device first, then one CPU of each other runtime."""
    first = [place for place in places if wanted is not None and place.spec == wanted.spec]
    seen = {place.runtime.id for place in first}
    rest = []
    for place in places:
        if place.device.kind == "cpu" and place.runtime.id not in seen:
            seen.add(place.runtime.id)
            rest.append(place)
    return (*first, *rest)

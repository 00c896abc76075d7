"""Verification in every place: a result in another precision may be good on one engine and garbage on another.

Engines disagree about 8 bits: an instruction saturates, a fusion is wrong for some shapes, an operator
is missing. So each runs source and result on the same inputs, several samples at a time and one by one,
and a place where the result is wrong is refused by name.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from studio.core.artifact import Artifact
from studio.core.batching import fixed_batch, run_batch
from studio.core.comparison import GARBAGE_SQNR_DB, OutputDifference
from studio.core.dataset import Batch
from studio.core.errors import BurnishError, RuntimeLoadError, VerificationError
from studio.core.pairing import Pairing
from studio.core.place import Place
from studio.core.runtime import LoadedModel, RunOptions
from studio.core.verification import PlaceCheck, Verification
from studio.core.verify import Check, batches, finite_db, first_diverging

#: A place is refused below this SQNR when another place is better by `APART_DB`.
POOR_SQNR_DB = 15.0
APART_DB = 10.0
#: A place is refused when it keeps fewer classes than another by this share, of at least `CLASSIFIED` samples.
APART_AGREEMENT = 0.25
CLASSIFIED = 16
#: Samples that are also run one by one where the model takes any number: another kernel may serve them.
SINGLES = 4


@dataclass(frozen=True)
class _Found:
    """What one place gave; `failure` when it could not run the result."""

    place: Place
    difference: OutputDifference
    failure: str = ""
    notes: tuple[str, ...] = ()


def verify_everywhere(source: Artifact, result: Artifact, check: Check) -> Verification:
    """Compare a result with its source in each place that runs the source.

    Returns
    -------
    Verification
        The figures of the first place where the result is good; all of them in `places`.

    Raises
    ------
    VerificationError
        When it is good in none, with the reason of the first.
    RuntimeLoadError
        When no place loads the source, or none the result.
    """
    found, failures = _run_all(source, result, check)
    if not found:
        raise failures[0] if failures else RuntimeLoadError("No runtime is installed to verify with.", "Install one.")
    judged = [(item, _judge(item, found)) for item in found]
    good = next((item for item, refused in judged if not refused), None)
    if good is None:
        raise _error(source, result, check, judged[0][0], judged[0][1])
    difference = good.difference
    return Verification(
        exact=False,
        identical=difference.identical,
        max_abs_error=difference.max_abs_error if difference.floats else None,
        sqnr_db=finite_db(difference.sqnr_db),
        cosine=difference.cosine,
        top1_agreement=difference.top1_agreement,
        samples=difference.samples,
        synthetic=check.dataset.synthetic,
        runtime=good.place.spec,
        warnings=(*good.notes, *(f"Do not run it on {item.place.spec}: {why}" for item, why in judged if why)),
        places=tuple(_place_check(item, why) for item, why in judged),
    )


def _run_all(source: Artifact, result: Artifact, check: Check) -> tuple[list[_Found], list[RuntimeLoadError]]:
    """Run both in every place; what never ran the source is no news."""
    found, failures = [], []
    for place in check.places:
        with ExitStack() as stack:
            try:
                before = stack.enter_context(place.runtime.load(source, place.device, RunOptions()))
            except RuntimeLoadError as error:
                failures.append(error)
                continue
            try:
                after = stack.enter_context(place.runtime.load(result, place.device, RunOptions()))
            except RuntimeLoadError as error:
                found.append(_Found(place, OutputDifference(), f"it cannot load the result: {error.message}"))
                continue
            try:
                found.append(_compare(place, before, after, check))
            except RuntimeLoadError as error:
                failures.append(error)
    return found, failures


def _compare(place: Place, before: LoadedModel, after: LoadedModel, check: Check) -> _Found:
    """Run both on the same samples.

    Raises
    ------
    RuntimeLoadError
        When the place does not run the source either.
    """
    pairing, dataset = Pairing(before, after), check.dataset.fitted(after.inputs)
    whole, single = OutputDifference(), OutputDifference()
    notes = tuple(note for note in after.warnings if note not in before.warnings)
    for batch in batches(pairing.batch, dataset, check):
        failure = _add(whole, pairing, batch, before)
        if failure:
            return _Found(place, whole, failure, notes)
    if not whole.samples:
        raise VerificationError("There was no sample to verify with.", "Give a dataset with at least one sample.")
    if pairing.batch > 1 and fixed_batch(after.inputs) is None:
        for batch in dataset.batches(1, limit=min(SINGLES, check.samples)):
            failure = _add(single, pairing, batch, before)
            if failure:
                return _Found(place, single, failure, notes)
    alone = single.samples and _level(single) < _level(whole) - APART_DB and _level(single) < POOR_SQNR_DB
    return _Found(place, single if alone or _broken(single) else whole, "", notes)


def _add(difference: OutputDifference, pairing: Pairing, batch: Batch, before: LoadedModel) -> str:
    """Run both on a batch; says why the result cannot be run."""
    try:
        for pair in pairing.runs(batch):
            difference.add(pair.source, pair.result, pair.samples)
    except RuntimeLoadError as error:
        run_batch(before, batch)
        return f"it loads the result but cannot run it: {error.message}"
    return ""


def _judge(item: _Found, found: list[_Found]) -> str:
    """Say why a place must not run the result; empty when it may."""
    difference = item.difference
    if item.failure:
        return item.failure
    if difference.shape_change:
        return f"{difference.shape_change}."
    if difference.new_nan:
        return "it gives NaN or infinity where the source does not."
    level, best = _level(difference), max(_level(other.difference) for other in found if _usable(other))
    if level < GARBAGE_SQNR_DB:
        return f"the outputs have nothing in common with the source's (SQNR {level:.1f} dB)."
    if level < min(POOR_SQNR_DB, best - APART_DB):
        return f"SQNR is {level:.1f} dB there and {best:.1f} dB elsewhere."
    mine = difference.top1_agreement
    others = [other.difference.top1_agreement for other in found if _usable(other)]
    top = max((share for share in others if share is not None), default=0.0)
    if mine is not None and difference.classified >= CLASSIFIED and mine < top - APART_AGREEMENT:
        return f"it keeps {100 * mine:.0f} % of the classes there and {100 * top:.0f} % elsewhere."
    return ""


def _usable(item: _Found) -> bool:
    return not item.failure and not _broken(item.difference)


def _broken(difference: OutputDifference) -> bool:
    return difference.new_nan or bool(difference.shape_change)


def _level(difference: OutputDifference) -> float:
    """Give the SQNR in dB; infinite where there is no noise or nothing that it could be measured on."""
    sqnr = difference.sqnr_db
    return float("inf") if sqnr is None else sqnr


def _place_check(item: _Found, refused: str) -> PlaceCheck:
    difference = item.difference
    return PlaceCheck(
        runtime=item.place.spec,
        refused=refused,
        samples=difference.samples,
        identical=bool(difference.samples) and difference.identical,
        sqnr_db=finite_db(difference.sqnr_db),
        cosine=difference.cosine,
        top1_agreement=difference.top1_agreement,
    )


def _error(source: Artifact, result: Artifact, check: Check, item: _Found, refused: str) -> BurnishError:
    if item.failure and not item.difference.samples:
        return RuntimeLoadError(
            f"No runtime here runs the result; {item.place.spec}: {refused}",
            "Narrow the step's scope, or leave it out.",
        )
    name = first_diverging(source, result, item.place, check) if item.difference.new_nan else ""
    where = f" The first node that diverges is {name!r}." if name else ""
    return VerificationError(
        f"The result is wrong on every runtime here; on {item.place.spec}: {refused}{where}",
        "Exclude sensitive nodes from the step's scope, or leave the step out; the parent is unchanged.",
    )

"""From figures to findings. The thresholds are such that right data gives none: a false alarm costs trust."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio.core.datacheck.findings import Finding, InputStatistics, Reading
from studio.core.intervals import fraction_estimate, paired_fraction

#: a way is better when it gains this much accuracy, and the paired interval leaves out 0
GAIN = 0.1
#: divergence from the learned statistics that ordinary data stays below, and that is far beyond
ODD, FAR = 0.5, 3.0
#: a way explains a divergence when it divides it by this
EXPLAINS = 4.0
#: bits that a way must tell more, and how many times as many, when nothing else speaks
BITS, TIMES = 1.0, 2.0
#: share of values outside of a quantized input's range, and share of that range in use
OUTSIDE, USED = 0.05, 0.05
#: samples below which chance and order of labels are not judged
FEW = 30
#: accuracy that a renumbering of classes must reach on samples that it was not found on
RENUMBERED = 0.5


@dataclass(frozen=True)
class Evidence:
    """What is known of the values alone; `outside` is the share of each input beyond its quantized range."""

    statistics: tuple[InputStatistics, ...]
    ranges: tuple[Any, ...]
    bounds: Mapping[str, int]
    outside: Mapping[str, float]


def judge(
    evidence: Evidence,
    readings: Sequence[Reading],
    right: Mapping[str, Sequence[float]],
    louder: set[str],
    labels: Sequence[int],
    chosen: Sequence[int],
    classes: int,
) -> list[Finding]:
    """Say what speaks against the data.

    Parameters
    ----------
    evidence
        Of the values.
    readings
        The data as given first, then read in other ways.
    right
        For each way, 1 for each sample that came out as labelled.
    louder
        Ways that enlarge values.
    labels, chosen
        Of each sample as given; empty without.
    classes
        How many the model knows.
    """
    found = [*_values(evidence), *_ranges(evidence)]
    # What such values give says nothing of the rest.
    if readings and not any(item.kind in ("not-finite", "constant") for item in found):
        moved = _moved(labels, chosen, classes)
        better = [moved] if moved is not None else _better(readings, right, louder)
        found += better
        chance = None if better else _at_chance(labels, chosen, classes)
        if chance is not None:
            found.append(chance)
    return found


def _values(evidence: Evidence) -> Iterator[Finding]:
    for item in evidence.statistics:
        if item.not_finite:
            yield Finding(
                kind="not-finite",
                severity="wrong",
                message=f"The input {item.name!r} holds NaN or infinity.",
                evidence=f"{item.not_finite:,} values are not finite.",
                remedy="Remove those samples, or mend what made them.",
            )
        elif item.deviation == 0 and item.shape[1:] and item.dtype.startswith("float"):
            yield Finding(
                kind="constant",
                severity="wrong",
                message=f"The input {item.name!r} is the same everywhere.",
                evidence=f"Every value looked at is {item.low:g}.",
                remedy="Check how the samples were read; were pictures converted to integers after scaling to 0..1?",
            )
        bound = evidence.bounds.get(item.name)
        if bound is not None and item.high >= bound:
            yield Finding(
                kind="ids",
                severity="wrong",
                message=f"The input {item.name!r} holds ids that the model's table does not have.",
                evidence=f"The largest is {item.high:.0f}, and the table has {bound:,} rows.",
                remedy="Use the tokenizer that belongs to the model.",
            )


def _ranges(evidence: Evidence) -> Iterator[Finding]:
    known = {item.name: item for item in evidence.statistics}
    for quantized in evidence.ranges:
        item = known.get(quantized.input)
        if item is None or item.not_finite:
            continue
        wanted = f"{quantized.low:.3g} to {quantized.high:.3g}"
        span = f"it was calibrated on {wanted}, the data has {item.low:.3g} to {item.high:.3g}"
        share = evidence.outside.get(item.name, 0.0)
        used = (item.high - item.low) / max(1e-12, quantized.high - quantized.low)
        if share > OUTSIDE:
            what, figures = "lies outside the range that it is quantized to", f"{share:.0%} of the values are cut off"
        elif used < USED:
            what, figures = (
                "fills almost none of the range that it is quantized to",
                f"{used:.1%} of the range is in use",
            )
        else:
            continue
        yield Finding(
            kind="range",
            severity="wrong",
            message=f"The input {item.name!r} {what}.",
            evidence=f"{figures}: {span}.",
            remedy="Scale the data as the calibration data was.",
        )


def _better(readings: Sequence[Reading], right: Mapping[str, Sequence[float]], louder: set[str]) -> list[Finding]:
    """Find the way that suits the model clearly better than the data as given."""
    given, others = readings[0], readings[1:]
    by_labels = _by_labels(given, others, right)
    if by_labels is not None:
        return [by_labels]
    if given.accuracy is not None and given.accuracy >= 0.5:
        # Labels agree with the model: whatever else looks odd, the data is read rightly.
        return []
    by_statistics = _by_statistics(given, others)
    if by_statistics is not None:
        return [by_statistics]
    by_information = _by_information(given, [item for item in others if item.name not in louder])
    return [by_information] if by_information is not None else []


def _by_labels(given: Reading, others: Sequence[Reading], right: Mapping[str, Sequence[float]]) -> Finding | None:
    import numpy as np

    measured = [item for item in others if item.accuracy is not None]
    if given.accuracy is None or not measured:
        return None
    best = max(measured, key=lambda item: item.accuracy or 0.0)
    assert best.accuracy is not None
    low, _ = paired_fraction(np.asarray(right[best.name], float), np.asarray(right[given.name], float))
    if best.accuracy - given.accuracy < GAIN or low <= 0:
        return None
    return _finding(
        "wrong",
        best,
        f"Top-1 accuracy is {given.accuracy:.1%} as given and {best.accuracy:.1%} then, "
        f"over {len(right[best.name])} samples.",
    )


def _by_statistics(given: Reading, others: Sequence[Reading]) -> Finding | None:
    measured = [item for item in others if item.mismatch is not None]
    if given.mismatch is None or given.mismatch < ODD:
        return None
    best = min(measured, key=lambda item: item.mismatch or 0.0, default=None)
    if best is not None and best.mismatch is not None and best.mismatch * EXPLAINS <= given.mismatch:
        return _finding(
            "wrong",
            best,
            "What the first BatchNormalization takes diverges from what it learned in training "
            f"by {given.mismatch:.2f} as given and by {best.mismatch:.2f} then.",
        )
    if given.mismatch < FAR:
        return None
    return Finding(
        kind="statistics",
        severity="suspicious",
        message="The data is unlike what the model was trained on.",
        evidence=f"What the first BatchNormalization takes diverges from what it learned by {given.mismatch:.2f}; "
        f"below {ODD:g} is ordinary.",
        remedy="Check scaling, channel order and layout against the model's own documentation.",
    )


def _by_information(given: Reading, others: Sequence[Reading]) -> Finding | None:
    """Judge by how much the predictions tell, where neither labels nor learned statistics can."""
    if given.mismatch is not None or given.information is None or given.accuracy is not None:
        return None
    best = max(others, key=lambda item: item.information or 0.0, default=None)
    if best is None or best.information is None or best.confidence is None or given.confidence is None:
        return None
    enough = best.information >= max(given.information + BITS, TIMES * given.information)
    if not enough or best.confidence < given.confidence:
        return None
    return _finding(
        "suspicious",
        best,
        f"Predictions tell {given.information:.2f} bits of a sample as given, at a mean confidence of "
        f"{given.confidence:.2f}, and {best.information:.2f} bits then, at {best.confidence:.2f}.",
    )


def _finding(severity: Any, best: Reading, evidence: str) -> Finding:
    return Finding(
        kind="reading",
        severity=severity,
        message=f"The model fits the data much better when it is {best.name}.",
        evidence=evidence,
        remedy="Prepare the data in that way, if that is how the model was trained.",
    )


def _at_chance(labels: Sequence[int], chosen: Sequence[int], classes: int) -> Finding | None:
    import numpy as np

    if len(labels) < FEW or len(labels) != len(chosen) or classes < 2:
        return None
    right = np.equal(labels, chosen).astype(float)
    accuracy = float(right.mean())
    kinds = Counter(labels)
    interval = fraction_estimate(right)
    chance = max(1 / classes, max(kinds.values()) / len(labels))
    if len(kinds) < 2 or interval.low > chance or accuracy >= 0.5:
        return None
    common, number = Counter(chosen).most_common(1)[0]
    return Finding(
        kind="chance",
        severity="suspicious",
        message="The model does no better than chance on this data.",
        evidence=f"Top-1 accuracy is {accuracy:.1%} ({interval.low:.1%} to {interval.high:.1%}) over {len(labels)} "
        f"samples, where guessing gives {chance:.1%}; it says {common} for {number / len(chosen):.0%} of them.",
        remedy="Check that labels, preprocessing and model belong together.",
    )


def _moved(given: Sequence[int], predicted: Sequence[int], classes: int) -> Finding | None:
    """Find labels that are right but numbered otherwise: by one off, or in another order."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    if len(given) < FEW or len(given) != len(predicted) or classes < 2:
        return None
    labels, chosen = np.asarray(given), np.asarray(predicted)
    accuracy = float((labels == chosen).mean())
    if accuracy >= RENUMBERED:
        return None
    for step in (1, -1):
        share = float((labels + step == chosen).mean())
        if share >= RENUMBERED and share >= accuracy + GAIN:
            return _renumbered(f"Counted from {step} on instead of 0", accuracy, share, len(labels))
    half = len(labels) // 2
    known = (labels >= 0) & (labels < classes) & (chosen >= 0)
    table = np.zeros((classes, classes))
    np.add.at(table, (labels[:half][known[:half]], chosen[:half][known[:half]]), 1)
    rows, columns = linear_sum_assignment(-table)
    order = np.full(classes, -1)
    order[rows] = columns
    rest = known.copy()
    rest[:half] = False
    # Only classes that the first half had can be judged on the second.
    rest &= np.isin(labels, np.unique(labels[:half]))
    if rest.sum() < FEW // 2:
        return None
    share = float((order[labels[rest]] == chosen[rest]).mean())
    if share < RENUMBERED or share < accuracy + 2 * GAIN:
        return None
    return _renumbered("With the classes in another order", accuracy, share, int(rest.sum()))


def _renumbered(how: str, accuracy: float, share: float, count: int) -> Finding:
    return Finding(
        kind="labels",
        severity="wrong",
        message="The labels number the classes otherwise than the model does.",
        evidence=f"Top-1 accuracy is {accuracy:.1%} as given. {how} it is {share:.1%}, over {count} samples.",
        remedy="Give the classes in the model's order; folders are numbered by their names.",
    )

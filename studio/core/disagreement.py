"""Samples on which two models differ."""

from __future__ import annotations

from typing import Literal

from studio.core.frozen import Frozen

#: whether the class changed, and with a label whether for the better
Verdict = Literal["broken", "mended", "changed", "differs"]


class Parting(Frozen):
    """The layer at which the models part on one sample: where its error first jumps, else where it grows most."""

    node: str
    operator: str
    sqnr_db: float
    drop_db: float
    jump: bool


class SampleDifference(Frozen):
    """One sample on which the models differ.

    Attributes
    ----------
    index
        Its place in the dataset, from 0.
    label
        Its label, when there is one.
    before, after
        Class that the baseline and the variant choose; None without class scores.
    margin
        Probability by which the baseline prefers its class to the variant's: a large one is a grave change,
        one near 0 a toss-up.
    margin_after
        Probability by which the variant prefers its own.
    verdict
        ``"broken"`` when only the baseline was right, ``"mended"`` when only the variant is, ``"changed"``
        for other changes of the class, ``"differs"`` for outputs that are no classes.
    sqnr_db
        Of the sample's outputs.
    """

    index: int
    label: int | None = None
    before: int | None = None
    after: int | None = None
    margin: float | None = None
    margin_after: float | None = None
    verdict: Verdict
    sqnr_db: float
    parting: Parting | None = None


class Disagreements(Frozen):
    """Where two models differ on a dataset; a fact about both, a device and data.

    Attributes
    ----------
    samples
        How many were compared.
    differing
        On how many they differ.
    verdicts
        How many of each verdict.
    classes
        How many by ``"BEFORE -> AFTER"``, most first.
    partings
        How many of `listed` part at each node.
    listed
        The gravest ones: largest margin first, without classes lowest SQNR first.
    """

    source_sha256: str
    source_name: str
    variant_sha256: str
    variant_name: str
    device: str
    dataset: str
    dataset_digest: str
    synthetic: bool
    samples: int
    differing: int
    verdicts: dict[str, int] = {}
    classes: dict[str, int] = {}
    partings: dict[str, int] = {}
    listed: tuple[SampleDifference, ...] = ()
    warnings: tuple[str, ...] = ()

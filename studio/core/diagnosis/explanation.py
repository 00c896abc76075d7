"""The answer to "why is it slower?": causes in milliseconds that add up to the measured difference."""

from __future__ import annotations

from typing import Literal

from studio.core.diagnosis.difference import Gap
from studio.core.frozen import Frozen
from studio.core.profile import Profile
from studio.core.statistics import RatioEstimate

CauseKind = Literal[
    "conversion",
    "reorder",
    "fusion lost",
    "fusion won",
    "still in float",
    "lower precision",
    "no fast kernel",
    "other kernel",
    "memory-bound",
    "too small",
    "oversubscription",
    "threads",
    "fallback",
    "device",
    "work removed",
    "work added",
    "between kernels",
]

#: what each means, as the start of a sentence
TITLES: dict[str, str] = {
    "conversion": "Conversions between types (quantize, dequantize, cast, scales)",
    "reorder": "Reorders and transposes of the layout",
    "fusion lost": "Operators that ran inside another kernel before",
    "fusion won": "Operators that run inside another kernel now",
    "still in float": "Operators that still run in float",
    "lower precision": "Arithmetic in fewer bits",
    "no fast kernel": "No faster kernel for this precision on this instruction set",
    "other kernel": "Another kernel for the same work",
    "memory-bound": "Bound by memory, so fewer bits of arithmetic do not help",
    "too small": "Layers so small that starting them takes the time",
    "oversubscription": "More threads than cores",
    "threads": "Another number of threads",
    "fallback": "Operators that fell back to another device",
    "device": "The same layers on the other device",
    "work removed": "Work that is gone",
    "work added": "Work that was added",
    "between kernels": "Time between kernels: dispatch, inputs and outputs",
}


class LayerDelta(Frozen):
    """What one layer adds to a cause: milliseconds in the baseline and in the variant, and what ran.

    `nodes` are of the model that ran it, `origins` of the baseline's (those that do the arithmetic, where
    some do). `milliseconds` is the part that this cause explains; the layer may be listed under another too.
    """

    nodes: tuple[str, ...]
    origins: tuple[str, ...] = ()
    milliseconds: float
    baseline_ms: float = 0.0
    variant_ms: float = 0.0
    baseline_kernel: str = ""
    variant_kernel: str = ""
    bound: str = "unknown"


class Remedy(Frozen):
    """What to do about a cause; `step` is the recipe's edit as ``--step`` takes it, where there is one."""

    text: str
    step: str = ""


class Cause(Frozen):
    """A cause of the difference.

    Attributes
    ----------
    milliseconds
        By how much it makes the variant slower; negative: faster.
    nodes
        Nodes of the variant's model that it concerns, those that weigh most first.
    evidence
        What was seen, in a sentence.
    """

    kind: CauseKind
    title: str
    milliseconds: float
    nodes: tuple[str, ...] = ()
    evidence: str = ""
    layers: tuple[LayerDelta, ...] = ()
    remedy: Remedy | None = None


class Explanation(Frozen):
    """Why the variant is slower or faster.

    The causes and `remainder_ms` add up to `difference.milliseconds`.

    Attributes
    ----------
    causes
        Largest first.
    remainder_ms
        What nothing explains: drift between the passes, caches, the same kernels taking another time.
    notes
        What else a user should know.
    """

    baseline: Profile
    variant: Profile
    difference: Gap
    ratio: RatioEstimate
    causes: tuple[Cause, ...]
    remainder_ms: float
    notes: tuple[str, ...] = ()

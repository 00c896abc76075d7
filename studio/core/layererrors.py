"""How far a variant's inner tensors are from its source's, along the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studio.core.frozen import Frozen

#: a layer where the SQNR falls by this much below that of what it takes, to less than `CONCERN_DB`, is a jump
JUMP_DB = 6.0
CONCERN_DB = 30.0
#: SQNR of a tensor without any error, and of what comes before the first tensor that was compared
CLEAN_DB = 200.0


class TensorError(Frozen):
    """One tensor of both models over the same samples.

    Attributes
    ----------
    tensor, other
        Its name in the source, and in the variant.
    node, operator, other_node
        The source's node that makes it; and the variant's.
    inputs
        The nearest tensors before it that were compared too.
    samples
        Samples that both models were run on.
    sqnr_db
        Energy of the source's tensor over that of the difference; 200 without any difference, -200 with NaN.
    max_abs_error
        Largest difference of an element; and `largest`, the source's largest element.
    cosine
        Mean cosine similarity of a sample's tensor in both models.
    drop_db
        How far the SQNR lies below the lowest of `inputs` (each taken as at most 60 dB).
    added
        Relative error power that is new here: its own less the largest of its inputs; 0 when it shrinks.
    jump
        Whether the error jumps here.
    """

    tensor: str
    other: str
    node: str
    operator: str
    other_node: str
    inputs: tuple[str, ...] = ()
    samples: int
    sqnr_db: float
    max_abs_error: float
    largest: float
    cosine: float
    drop_db: float = 0.0
    added: float = 0.0
    jump: bool = False


class LayerErrors(Frozen):
    """The errors of a variant in the source's order; a fact about two models, a device and data.

    Attributes
    ----------
    first_jump
        Name of the source's first node where the error jumps; empty when it nowhere does.
    unmatched
        The source's nodes without a tensor to compare, by the reason.
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
    tensors: tuple[TensorError, ...]
    first_jump: str = ""
    unmatched: dict[str, tuple[str, ...]] = {}
    warnings: tuple[str, ...] = ()


def with_growth(tensors: Sequence[TensorError]) -> tuple[TensorError, ...]:
    """Fill in how the error grows from each tensor's inputs; `tensors` in the graph's order."""
    known: Mapping[str, TensorError] = {item.tensor: item for item in tensors}
    grown = []
    for item in tensors:
        before = [known[name] for name in item.inputs if name in known]
        drop = drop_db(item.sqnr_db, [other.sqnr_db for other in before])
        carried = max((power(other.sqnr_db) for other in before), default=0.0)
        added = max(0.0, power(item.sqnr_db) - carried)
        jump = drop >= JUMP_DB and item.sqnr_db < CONCERN_DB
        grown.append(item.model_copy(update={"drop_db": drop, "added": added, "jump": jump}))
    return tuple(grown)


def drop_db(sqnr: float, inputs: Sequence[float]) -> float:
    """Give how far an SQNR lies below the lowest of its inputs', which count as at most 60 dB."""
    return min(60.0, *inputs, 60.0) - min(sqnr, 60.0)


def power(sqnr: float) -> float:
    """Give the relative error power of an SQNR in dB."""
    return 0.0 if sqnr >= CLEAN_DB else float(10 ** (-sqnr / 10))

"""What `quantize.static` does to the float model first, so that 8 bits suit it better."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from studio.api import Dataset, NodeChange, Reporter

from .calibration import Calibrator
from .equalization import equalize, find_pairs
from .prepare import save_prepared
from .selection import Selection
from .smoothing import ROWS, SAMPLES, Seen, Smooth, candidates, smooth

if TYPE_CHECKING:
    import onnx_ir as ir


@dataclass(frozen=True)
class Wishes:
    """What to do.

    Attributes
    ----------
    smooth, strength
        SmoothQuant, and its exponent; 0 searches it.
    equalize
        Cross-layer equalization.
    bits
        Of the weights.
    samples
        Most samples to look at.
    """

    smooth: Smooth
    strength: float
    equalize: bool
    bits: int
    samples: int = SAMPLES


@dataclass
class Prepared:
    """What was done: changes, inserted nodes with the nodes that they serve, and notes for the user."""

    changes: list[NodeChange] = field(default_factory=list)
    added: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)


def prepare(
    model: ir.Model, selection: Selection, wishes: Wishes, data: Dataset, reporter: Reporter, folder: Path
) -> Prepared:
    """Change the weights of a float model without changing what it computes.

    Parameters
    ----------
    model
        The model, edited in place; every selected node has weights of its own.
    folder
        For working files.
    """
    done = Prepared()
    pairs = find_pairs(selection) if wishes.equalize else []
    groups = candidates(model, selection) if wishes.smooth != "off" else {}
    if not pairs and not groups:
        return done
    widths = {name: targets[0].inputs for name, targets in groups.items()}
    seen = {name: Seen(width) for name, width in widths.items()}
    clipped = {pair.clipped: Seen(pair.channels) for pair in pairs if pair.clipped}
    path = save_prepared(model, folder, 0)
    most = min(SAMPLES, wishes.samples)
    each = max(1, ROWS * _BATCH // min(most, max(1, data.samples)))

    def update(name: str, values: object) -> None:
        if name in seen:
            seen[name].update(values, each)  # type: ignore[arg-type]
        if name in clipped:
            clipped[name].update(values.swapaxes(1, -1), 0)  # type: ignore[attr-defined]

    tensors = [*seen, *(name for name in clipped if name not in seen)]
    if tensors:
        Calibrator(path, tensors, data, reporter, most=_BATCH).watch(most, update)
    if pairs:
        done.changes += equalize(model, pairs, {name: item.peaks for name, item in clipped.items() if item.finite})
        done.notes["equalized"] = len(pairs)
    if groups:
        smoothed = smooth(model, groups, seen, wishes.smooth, wishes.strength, wishes.bits)
        done.changes += smoothed.changes
        done.added |= smoothed.added
        done.notes["smoothed"] = smoothed.layers
    return done


#: samples of one inference here: rows are drawn from each
_BATCH = 8

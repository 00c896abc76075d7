"""Which operators leave the range of float16 on real data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studio.api import BurnishError, Cancelled, Dataset, PassContext

from .calibration import Calibrator, Plan, Ranges
from .graph import constant, is_float
from .half import LARGEST
from .prepare import save_prepared
from .quiet import scratch_folder

if TYPE_CHECKING:
    import onnx_ir as ir

#: data that was not seen may be this many times as large
HEADROOM = 2.0


@dataclass(frozen=True)
class Overflow:
    """The nodes that must stay float32, by name with the largest value, and warnings."""

    nodes: Mapping[str, float]
    warnings: tuple[str, ...] = ()


def find_overflow(model: ir.Model, nodes: Mapping[ir.Node, str], context: PassContext, samples: int) -> Overflow:
    """Run a float32 model and list the nodes that take or give values that float16 may not hold.

    Parameters
    ----------
    model
        The model; is not changed.
    nodes
        The nodes to look at, with their names.
    samples
        Most samples to run; 0 looks at none.
    """
    data = context.calibration
    if not samples or data is None:
        return Overflow({})
    touched = {
        name: [
            str(value.name)
            for value in (*node.inputs, *node.outputs)
            if value is not None and value.name and is_float(value) and constant(value) is None
        ]
        for node, name in nodes.items()
    }
    try:
        ranges = _ranges(
            model, list(dict.fromkeys(item for names in touched.values() for item in names)), data, context, samples
        )
    except Cancelled:
        raise
    except BurnishError as error:
        return Overflow({}, (f"Values were not checked for overflow: {error.message}",))
    sizes = {name: max(abs(low), abs(high)) for name, (low, high) in ranges.values.items()}
    found = {}
    for name, tensors in touched.items():
        largest = max((sizes.get(tensor, 0.0) for tensor in tensors), default=0.0)
        if largest * HEADROOM > LARGEST:
            found[name] = largest
    return Overflow(found, _warnings(found, synthetic=data.synthetic))


def _ranges(model: ir.Model, tensors: list[str], data: Dataset, context: PassContext, samples: int) -> Ranges:
    with scratch_folder(context.workdir) as scratch:
        path: Path = save_prepared(model, scratch, 0)
        plan = Plan("minmax", 100.0, samples)
        return Calibrator(path, tensors, data, context.reporter).run(plan, context.memo)


def _warnings(found: Mapping[str, float], *, synthetic: bool) -> tuple[str, ...]:
    if not found:
        return ()
    worst = max(found, key=lambda name: found[name])
    source = "generated inputs" if synthetic else "the calibration data"
    return (
        f"{len(found)} operators stay float32, as values come near or beyond 65504 on {source}: "
        f"the largest is {found[worst]:.3g} at {worst}.",
    )
